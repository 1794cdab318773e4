/// One lane: S = (A * B or a quotient) + C, with a rounding to bfloat16 after each operation if asked.
///
/// A slot a cycle. Stages count from the issue of the slot; the operands arrive in stage 3. An accumulator is read in
/// stage 9 and written in stage 16, so a sum can be read `ChainCycles` cycles after the one before it.
///
///   3 operands   4 A, B   9 product   10 rounded product, C   16 sum   17 rounded sum   18 result
module tmv_vec_lane
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  /// Accumulators.
  parameter  int unsigned Accs = 64,
  localparam int unsigned AccBits = $clog2(Accs)
) (
  input  logic               clk_i,
  /// The operation; constant during a pass.
  input  lane_op_t           op_i,
  /// A slot is in this stage.
  input  logic               valid3_i,
  input  logic               valid4_i,
  input  logic               valid9_i,
  input  logic               valid10_i,
  input  logic               valid16_i,
  input  logic               valid17_i,
  input  f32_t               x_i,
  /// Y for B in stage 3, for C in stage 9.
  input  f32_t               y_i,
  /// A and B in stage 4, for division and root; what comes of it, in stage 9.
  output f32_t               a_o,
  output f32_t               b_o,
  input  f32_t               m_i,
  /// Accumulator: its number and whether it begins at zero, in stage 9; its number in stage 16.
  input  logic [AccBits-1:0] acc9_i,
  input  logic               first9_i,
  input  logic [AccBits-1:0] acc16_i,
  /// Result, in stage 18.
  output f32_t               s_o
);
  /// 2^(y + 1) for an integer of -150 to 0; subnormal below -127.
  function automatic f32_t exp2_plus_1(f32_t y);
    logic [7:0] magnitude;
    logic [4:0] below;
    magnitude = (y[30:23] < 8'd127) ? '0 : {1'b1, y[22:16]} >> 3'(8'd134 - y[30:23]);
    below = 5'(magnitude - 8'd128);
    return (magnitude < 8'd128) ? {1'b0, 8'd128 - magnitude, 23'b0} : 32'h0040_0000 >> below;
  endfunction

  /// The order of floats as that of integers.
  function automatic logic [31:0] key(f32_t s);
    return s[31] ? ~s : {1'b1, s[30:0]};
  endfunction

  /// A of the operation.
  function automatic f32_t a_of(lane_op_t op, f32_t x);
    if (op.a_sel == AOne) return One;
    if (op.a_sel == ARelu && x[31] && x[30:0] != '0 && x[30:0] <= 31'h7f80_0000) return '0;
    return x;
  endfunction

  /// B of the operation. The immediate is 1 for `BOne`.
  function automatic f32_t b_of(lane_op_t op, f32_t a, f32_t y);
    f32_t b;
    unique case (op.b_sel)
      BY:      b = y;
      BA:      b = a;
      BExp2:   b = exp2_plus_1(y);
      default: b = op.imm_b;
    endcase
    return {b[31] ^ op.b_neg, b[30:0]};
  endfunction

  /// C of the operation. A chain, which has no other addend, begins with +0, as golden's sums do; otherwise nothing is -0.
  function automatic f32_t c_of(lane_op_t op, f32_t y, f32_t acc, logic first);
    logic from_acc, from_imm, from_y;
    f32_t c;
    from_acc = op.chain && !first;
    from_imm = op.c_sel == CImm;
    from_y   = op.c_sel == CY;
    c = (acc & {32{from_acc}}) | (op.imm_c & {32{from_imm}}) | (y & {32{from_y}});
    return {(from_acc || from_imm || from_y) ? c[31] ^ op.c_neg : !op.chain, c[30:0]};
  endfunction

  /// What becomes of the rounded sum: the immediate, or some of its bits.
  function automatic f32_t result_of(lane_op_t op, f32_t s, logic m_zero);
    logic floor, flush, none;
    logic [22:0] fraction;
    floor = op.post == PostFloor && key(s) < key(op.imm_c);
    flush = op.post == PostFlush && m_zero && s[30:0] <= 31'h3900_0000;
    none  = op.post == PostTrunc && s[30:23] < 8'd127;
    fraction = (op.post != PostTrunc || s[30:23] >= 8'd150) ? '0 : 23'h7f_ffff >> 5'(s[30:23] - 8'd127);
    return floor ? op.imm_c : {s[31] && !flush, s[30:0] & ~{8'b0, fraction} & {31{!(flush || none)}}};
  endfunction

  // Everything is under the valid bit of its stage, so that a simulator skips the work of idle lanes.
  f32_t a_q, b_q, m_q, c_q, s_q, product, s;
  f32_t accs[Accs];
  logic [6:0] m_zero_q;

  always_ff @(posedge clk_i) begin
    if (valid3_i) begin
      a_q <= a_of(op_i, x_i);
      b_q <= b_of(op_i, a_of(op_i, x_i), y_i);
    end
  end

  assign a_o = a_q;
  assign b_o = b_q;

  tmv_fp_mul u_mul (
    .clk_i,
    .valid_i(valid4_i),
    .a_i    (a_q),
    .b_i    (b_q),
    .y_o    (product)
  );

  always_ff @(posedge clk_i) begin
    if (valid9_i) begin
      automatic f32_t m = (op_i.m_op == OpMul) ? product : m_i;
      m_q <= op_i.m_round ? round_bf16(m) : m;
      c_q <= c_of(op_i, y_i, accs[acc9_i], first9_i);
    end
  end

  tmv_fp_add u_add (
    .clk_i,
    .valid_i(valid10_i),
    .a_i    (m_q),
    .b_i    (c_q),
    .y_o    (s)
  );

  always_ff @(posedge clk_i) begin
    if (valid16_i && op_i.chain) accs[acc16_i] <= s;
    if (valid16_i) s_q <= op_i.s_round ? round_bf16(s) : s;
    if (valid17_i) s_o <= result_of(op_i, s_q, m_zero_q[6]);
    m_zero_q <= {m_zero_q[5:0], m_q[30:0] == '0};
  end
endmodule
