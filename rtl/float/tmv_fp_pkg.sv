/// Floats of IEEE 754 binary32 as bits, and what all cells of this room share.
///
/// Every cell rounds to nearest, ties to even, has subnormals, and gives one quiet NaN, `Nan`, for every result that is
/// not a number. Cells have a body for LUTs and one for simulation, which computes in double precision: the sum, the
/// product, the quotient and the root of two singles in double precision, rounded to single, are correctly rounded (a
/// double has more than 2 * 24 + 2 bits; subnormal results: a sum is exact, a product has 48 bits, and a quotient is
/// farther from every midpoint than its error).
package tmv_fp_pkg;
  typedef logic [31:0] f32_t;

  localparam f32_t Nan = 32'h7fc0_0000;
  localparam f32_t One = 32'h3f80_0000;
  localparam f32_t NegZero = 32'h8000_0000;
  localparam f32_t NegInf = 32'hff80_0000;

  /// Cycles from the operands of a cell to its result.
  localparam int unsigned AddLatency = 6;
  localparam int unsigned MulLatency = 5;
  localparam int unsigned DivLatency = 21;
  localparam int unsigned FromIntLatency = 4;

  /// Rounds to bfloat16, the upper half of a single, if `on`; NaN stays.
  function automatic f32_t round_bf16(f32_t x, logic on);
    logic up, cut;
    up = on && x[15] && (x[16] || x[14:0] != '0) && x[30:23] != '1;
    cut = on && x[30:23] != '1;
    return {x[31], x[30:16] + 15'(up), x[15:0] & {16{!cut}}};
  endfunction

`ifndef SYNTHESIS
  /// The double with the value of a single, as bits.
  function automatic logic [63:0] widened(f32_t x);
    real tiny;
    if (x[30:23] == '0) begin
      tiny = real'(int'({9'b0, x[22:0]})) * 1.401298464324817e-45;  // 2^-149
      return $realtobits(x[31] ? -tiny : tiny);
    end
    if (x[30:23] == '1) return {x[31], 11'h7ff, x[22:0], 29'b0};
    return {x[31], 11'(x[30:23]) + 11'd896, x[22:0], 29'b0};
  endfunction

  /// A double, as bits, rounded to single.
  function automatic f32_t narrowed(logic [63:0] x);
    logic [63:0] significand;
    logic [5:0] lost;
    if (x[62:52] == '1 && x[51:0] != '0) return Nan;
    if (x[62:52] >= 11'd1151) return {x[63], 8'hff, 23'b0};
    if (x[62:52] >= 11'd897) begin
      return {x[63], 31'(({1'b0, x[62:0]} - (64'd896 << 52) + 64'h0fff_ffff + 64'(x[29])) >> 29)};
    end
    if (x[62:52] < 11'd872) return {x[63], 31'b0};
    // To a multiple of 2^-149.
    significand = {12'b1, x[51:0]};
    lost = 6'(11'd926 - x[62:52]);
    return {x[63], 31'((significand + (64'd1 << (lost - 1)) - 64'd1 + 64'(1'(significand >> lost))) >> lost)};
  endfunction

  function automatic f32_t sum_of(f32_t a, f32_t b);
    return narrowed($realtobits($bitstoreal(widened(a)) + $bitstoreal(widened(b))));
  endfunction

  function automatic f32_t product_of(f32_t a, f32_t b);
    return narrowed($realtobits($bitstoreal(widened(a)) * $bitstoreal(widened(b))));
  endfunction

  function automatic f32_t quotient_of(f32_t a, f32_t b);
    return narrowed($realtobits($bitstoreal(widened(a)) / $bitstoreal(widened(b))));
  endfunction

`endif
endpackage
