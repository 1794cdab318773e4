/// One lane: S = (A * B or a quotient) + C, with a rounding to bfloat16 after each operation if asked.
///
/// A slot a cycle. Stages count from the issue of the slot; the operands arrive in stage 3. An accumulator is read in
/// stage 9 and written in stage 16, so a sum can be read `ChainCycles` cycles after the one before it.
///
///   3 operands   4 A, B   9 product   10 rounded product, C   16 sum   17 result
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
  /// Result, in stage 17.
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

  /// Rounds towards zero.
  function automatic f32_t truncated(f32_t s);
    logic [22:0] kept;
    kept = (s[30:23] >= 8'd150) ? '1 : ~(23'h7f_ffff >> 5'(s[30:23] - 8'd127));
    return (s[30:23] < 8'd127) ? {s[31], 31'b0} : {s[31:23], s[22:0] & kept};
  endfunction

  /// The order of floats as that of integers.
  function automatic logic [31:0] key(f32_t s);
    return s[31] ? ~s : {1'b1, s[30:0]};
  endfunction

  f32_t a, b, a_q, b_q, m, m_q, c_q, s, acc, c;
  logic [5:0] m_zero_q;

  always_comb begin
    unique case (op_i.a_sel)
      ARelu:   a = (x_i[31] && x_i[30:0] <= 31'h7f80_0000 && x_i[30:0] != '0) ? '0 : x_i;
      AOne:    a = One;
      default: a = x_i;
    endcase
    unique case (op_i.b_sel)
      BImm:    b = op_i.imm_b;
      BY:      b = y_i;
      BA:      b = a;
      BExp2:   b = exp2_plus_1(y_i);
      default: b = One;
    endcase
    b[31] ^= op_i.b_neg;
  end

  always_ff @(posedge clk_i) begin
    if (valid3_i) begin
      a_q <= a;
      b_q <= b;
    end
  end

  assign a_o = a_q;
  assign b_o = b_q;

  f32_t product;

  tmv_fp_mul u_mul (
    .clk_i,
    .valid_i(valid4_i),
    .a_i    (a_q),
    .b_i    (b_q),
    .y_o    (product)
  );

  assign m = (op_i.m_op == OpMul) ? product : m_i;

  // Accumulators. A chain begins with +0, as golden's sums do.
  f32_t accs[Accs];

  assign acc = first9_i ? '0 : accs[acc9_i];

  always_comb begin
    unique case (op_i.c_sel)
      CImm:    c = op_i.imm_c;
      CY:      c = y_i;
      default: c = NegZero;
    endcase
    c[31] ^= op_i.c_neg;
    if (op_i.chain) c = acc;
  end

  always_ff @(posedge clk_i) begin
    if (valid9_i) begin
      m_q <= op_i.m_round ? round_bf16(m) : m;
      c_q <= c;
    end
  end

  tmv_fp_add u_add (
    .clk_i,
    .valid_i(valid10_i),
    .a_i    (m_q),
    .b_i    (c_q),
    .y_o    (s)
  );

  always_ff @(posedge clk_i) if (valid16_i && op_i.chain) accs[acc16_i] <= s;
  always_ff @(posedge clk_i) m_zero_q <= {m_zero_q[4:0], m_q[30:0] == '0};

  f32_t rounded;

  assign rounded = op_i.s_round ? round_bf16(s) : s;

  always_ff @(posedge clk_i) begin
    if (valid16_i) begin
      unique case (op_i.post)
        PostTrunc: s_o <= truncated(rounded);
        PostFloor: s_o <= (key(rounded) < key(op_i.imm_c)) ? op_i.imm_c : rounded;
        PostFlush: s_o <= (m_zero_q[5] && rounded[30:0] <= 31'h3900_0000) ? '0 : rounded;
        default:   s_o <= rounded;
      endcase
    end
  end
endmodule
