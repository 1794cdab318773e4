`include "tmv_macros.svh"

/// The largest value of each row of words. Values beyond the row's end do not count.
///
/// A word a cycle; between two rows there are `Lanes` / 8 - 1 cycles at least. `bad_o` says that the row has a value from
/// which no exponential or scale can be formed: a NaN, an infinity, or, unless magnitudes are asked for, +infinity. The
/// sum of a lane is no negative NaN, so a NaN is larger than everything else.
module tmv_vec_max
  import tmv_fp_pkg::*;
#(
  parameter int unsigned Lanes = 32
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  /// Magnitudes; the result is at least `floor_i`, a magnitude.
  input  logic             abs_i,
  input  logic [30:0]      floor_i,
  /// A word, its place in the row, and the lanes that count.
  input  logic             valid_i,
  input  logic             first_i,
  input  logic             last_i,
  input  logic [Lanes-1:0] mask_i,
  input  f32_t [Lanes-1:0] word_i,
  /// The result of a row, for a cycle.
  output logic             valid_o,
  output f32_t             max_o,
  output logic             bad_o
);
  localparam int unsigned Steps = Lanes / 8;
  localparam int unsigned StepBits = (Steps > 1) ? $clog2(Steps) : 1;

  /// A value, if there is one: the lanes of a row's last word may have none.
  typedef struct packed {
    logic some;
    f32_t value;
  } option_t;

  /// Whether `a` counts and not `b`: it is larger, or `b` is nothing. Of equal values either counts.
  function automatic logic wins(option_t a, option_t b);
    logic more;
    more = a.value[30:0] > b.value[30:0];
    return (!a.some || !b.some) ? a.some : (a.value[31] != b.value[31]) ? b.value[31] : more != a.value[31];
  endfunction

  function automatic option_t larger(option_t a, option_t b);
    return wins(a, b) ? a : b;
  endfunction

  /// The largest of four. All comparisons that may matter are made at once: two in turn are a long path.
  function automatic option_t largest(option_t a, option_t b, option_t c, option_t d);
    logic ab, cd, across;
    ab = wins(a, b);
    cd = wins(c, d);
    across = ab ? (cd ? wins(a, c) : wins(a, d)) : cd ? wins(b, c) : wins(b, d);
    return across ? (ab ? a : b) : cd ? c : d;
  endfunction

  // A maximum in each lane, then those of all lanes, eight a cycle.
  logic [Lanes-1:0] word_some_q, lane_some_q;
  f32_t [Lanes-1:0] word_q, lane_q;
  option_t [7:0] eight_q;
  logic valid_q, first_q, last_q;
  logic row_end_q, busy, busy_q, busy1_q, busy2_q, last1_q, last2_q;
  logic [StepBits-1:0] step_q;
  option_t left_q, right_q;
  f32_t best_q, floor;
  logic first1_q, first2_q;

  assign floor = abs_i ? {1'b0, floor_i} : NegInf;

  for (genvar l = 0; l < int'(Lanes); l++) begin : gen_lane
    always_ff @(posedge clk_i) begin
      if (valid_i) begin
        word_some_q[l] <= mask_i[l];
        word_q[l]      <= {word_i[l][31] && !abs_i, word_i[l][30:0]};
      end
      if (valid_q && (first_q || wins('{word_some_q[l], word_q[l]}, '{lane_some_q[l], lane_q[l]}))) begin
        lane_some_q[l] <= word_some_q[l];
        lane_q[l]      <= word_q[l];
      end
    end
  end

  // The maxima of the lanes stay until the next row comes.
  assign busy = row_end_q || busy_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q   <= 1'b0;
      row_end_q <= 1'b0;
      busy_q    <= 1'b0;
      busy1_q   <= 1'b0;
      busy2_q   <= 1'b0;
      step_q    <= '0;
      valid_o   <= 1'b0;
    end else begin
      valid_q   <= valid_i;
      row_end_q <= valid_q && last_q;
      busy_q    <= busy && step_q != StepBits'(Steps - 1);
      if (busy) step_q <= (step_q == StepBits'(Steps - 1)) ? '0 : step_q + 1'b1;
      busy1_q <= busy;
      busy2_q <= busy1_q;
      valid_o <= busy2_q && last2_q;
    end
  end

  always_ff @(posedge clk_i) begin
    first_q <= first_i;
    last_q  <= last_i;
    if (busy) begin
      for (int unsigned i = 0; i < 8; i++) eight_q[i] <= '{lane_some_q[32'(step_q)*8+i], lane_q[32'(step_q)*8+i]};
      first1_q <= step_q == '0;
      last1_q  <= step_q == StepBits'(Steps - 1);
    end
    if (busy1_q) begin
      left_q   <= largest(eight_q[0], eight_q[1], eight_q[2], eight_q[3]);
      right_q  <= largest(eight_q[4], eight_q[5], eight_q[6], eight_q[7]);
      first2_q <= first1_q;
      last2_q  <= last1_q;
    end
    if (busy2_q) begin
      automatic option_t rest = '{1'b1, first2_q ? floor : best_q};
      // There is a value: the cast takes off that bit.
      best_q <= 32'(wins(left_q, right_q) ? larger(left_q, rest) : larger(right_q, rest));
    end
  end

  assign max_o = best_q;
  assign bad_o = !max_o[31] && max_o[30:23] == '1;
  `TMV_ASSERT(RowStays, !(busy_q && valid_q && first_q && step_q != StepBits'(Steps - 1)))
endmodule
