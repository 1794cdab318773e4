`include "tmv_macros.svh"

/// One plane of a word of activations of one vector, and its count for each beat of weights.
///
/// count = pop(nz & (x ^ neg)). Throughput one beat a cycle, latency one cycle. The plane stays until the next load.
/// `tmv_dot` has it in the body for synthesis.
module tmv_plane
  import tmv_pkg::*;
#(
  /// Lanes of a beat: up to 64, or an even number up to 128.
  parameter  int unsigned Lanes = 64,
  localparam int unsigned Slices = slices_of(Lanes),
  localparam int unsigned SliceLanes = Lanes / Slices,
  /// Bits of a count.
  localparam int unsigned CountBits = $clog2(Lanes + 1)
) (
  input  logic                  clk_i,
  /// The plane for the beats from the next cycle on.
  input  logic                  load_i,
  input  logic [     Lanes-1:0] x_i,
  /// A beat of weights; the count, a cycle later.
  input  logic                  valid_i,
  input  logic [SliceLanes-1:0] nz_i  [Slices],
  input  logic [SliceLanes-1:0] neg_i [Slices],
  output logic [ CountBits-1:0] count_o
);
  logic [SliceLanes-1:0] ones[Slices];
  logic [CountBits-1:0] count;

  for (genvar s = 0; s < int'(Slices); s++) begin : gen_slice
    logic [SliceLanes-1:0] x_q;

    always_ff @(posedge clk_i) if (load_i) x_q <= x_i[SliceLanes*s+:SliceLanes];

    assign ones[s] = nz_i[s] & (x_q ^ neg_i[s]);
  end

  tmv_popcount #(
    .Width (Lanes),
    .Slices(Slices)
  ) u_count (
    .bits_i (ones),
    .count_o(count)
  );

  always_ff @(posedge clk_i) if (valid_i) count_o <= count;

  `TMV_REQUIRE(lanes, Lanes >= 1 && Lanes <= 128 && Slices * SliceLanes == Lanes,
               "tmv_plane: Lanes must be 1 to 64, or an even number up to 128")
endmodule
