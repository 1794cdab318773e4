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
  /// A word of Y, for B in stage 3, for C in stage 9.
  input  f32_t               y_i,
  /// In the same stages, what is equal in all lanes: an immediate, 1 or an element of Y; zero if the operand is A, a word of Y or
  /// the accumulator. The sign of B is changed here, that of C before.
  input  f32_t               b_scalar_i,
  input  f32_t               c_scalar_i,
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
  /// The order of floats as that of integers.
  function automatic logic [31:0] key(f32_t s);
    return s[31] ? ~s : {1'b1, s[30:0]};
  endfunction

  /// Whether A is zero in place of X. Neither -0 nor a NaN is negative.
  function automatic logic cut(lane_op_t op, f32_t x);
    return op.a_relu && x[31] && x[30:0] != '0 && !(x[30:23] == '1 && x[22:0] != '0);
  endfunction

  /// B of the operation.
  function automatic f32_t b_of(lane_op_t op, f32_t a, f32_t y, f32_t scalar);
    f32_t b;
    b = (y & {32{op.b_y}}) | (a & {32{op.b_a}}) | scalar;
    if (op.b_exp2) b |= exp2_plus_1(y[30:23], y[22:16]);
    return {b[31] ^ op.b_neg, b[30:0]};
  endfunction

  /// C of the operation.
  function automatic f32_t c_of(lane_op_t op, f32_t y, f32_t acc, logic first, f32_t scalar);
    return (acc & {32{op.chain && !first}}) | ({y[31] ^ op.c_neg, y[30:0]} & {32{op.c_y}}) | scalar;
  endfunction

  /// What becomes of the rounded sum: the least result, or some of its bits.
  function automatic f32_t result_of(lane_op_t op, f32_t s, logic m_zero);
    logic floor, flush, none;
    logic [22:0] fraction;
    floor = op.floor && key(s) < key(op.least);
    flush = op.flush && m_zero && s[30:0] <= 31'h3900_0000;
    none  = op.trunc && s[30:23] < 8'd127;
    // Bit i is below the point if the exponent is less than 150 - i; those from 127 on end in 31, 0, 1 and so on.
    for (int unsigned i = 0; i < 23; i++) begin
      fraction[i] = op.trunc && s[30:23] < 8'd150 && (s[27:23] == '1 || s[27:23] < 5'(22 - i));
    end
    return floor ? op.least : {s[31] && !flush, s[30:0] & ~{8'b0, fraction} & {31{!(flush || none)}}};
  endfunction

  // Everything is under the valid bit of its stage, so that a simulator skips the work of idle lanes.
  f32_t a_q, b_q, m_q, c_q, s_q, product, s;
  f32_t accs[Accs];
  logic [6:0] m_zero_q;

  always_ff @(posedge clk_i) begin
    if (valid3_i) begin
      a_q <= x_i;
      b_q <= b_of(op_i, cut(op_i, x_i) ? '0 : x_i, y_i, b_scalar_i);
    end
    // As a reset of the register, this takes no LUT.
    if (valid3_i && cut(op_i, x_i)) a_q <= '0;
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
      m_q <= round_bf16(op_i.mul ? product : m_i, op_i.m_round);
      c_q <= c_of(op_i, y_i, accs[acc9_i], first9_i, c_scalar_i);
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
    if (valid16_i) s_q <= round_bf16(s, op_i.s_round);
    if (valid17_i) s_o <= result_of(op_i, s_q, m_zero_q[6]);
    m_zero_q <= {m_zero_q[5:0], m_q[30:0] == '0};
  end
endmodule
