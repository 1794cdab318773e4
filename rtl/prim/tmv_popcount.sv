`include "tmv_macros.svh"

/// Number of ones in a word that comes in slices. Combinational.
///
/// Two bodies have the same function. `$countones` is for simulation: one machine instruction a slice. A tree of 6:3
/// compressors is for synthesis (`TMV_LUT_BODIES`).
module tmv_popcount #(
  /// Bits to count, 1 to 252.
  parameter  int unsigned Width = 64,
  /// Slices of equal width.
  parameter  int unsigned Slices = 1,
  localparam int unsigned SliceWidth = Width / Slices,
  /// Bits of the count.
  localparam int unsigned CountBits = $clog2(Width + 1)
) (
  /// The word; slice 0 has its low bits.
  input  logic [SliceWidth-1:0] bits_i [Slices],
  /// Number of ones.
  output logic [ CountBits-1:0] count_o
);
`ifdef TMV_LUT_BODIES
  // Coverage leaves this body out: it has many thousands of toggles. Tests and proofs compare it with the other body.
  /* verilator coverage_off */
  localparam int unsigned MaxStages = 6;

  /// Number of compressors of a column of `height` bits. They leave at most two bits.
  function automatic logic [7:0] compressors(logic [7:0] height);
    return (height + 8'd3) / 8'd6;
  endfunction

  /// Number of bits that the compressors of a column leave; these go to the next stage as they are.
  function automatic logic [7:0] rest(logic [7:0] height);
    return (height % 8'd6 < 8'd3) ? height % 8'd6 : '0;
  endfunction

  /// Number of bits of weight 2^column before a stage: [stage][column].
  typedef logic [MaxStages:0][CountBits-1:0][7:0] heights_t;

  /// Number of bits in every column of every stage.
  function automatic heights_t heights();
    for (int unsigned c = 0; c < CountBits; c++) heights[0][c] = (c == 0) ? 8'(Width) : '0;
    for (int unsigned s = 1; s <= MaxStages; s++) begin
      for (int unsigned c = 0; c < CountBits; c++) begin
        heights[s][c] = compressors(heights[s-1][c]) + rest(heights[s-1][c]);
        if (c >= 1) heights[s][c] += compressors(heights[s-1][c-1]);
        if (c >= 2) heights[s][c] += compressors(heights[s-1][c-2]);
      end
    end
  endfunction

  localparam heights_t Heights = heights();

  /// Number of stages until every column has at most three bits.
  function automatic int unsigned stages();
    stages = 0;
    for (int unsigned s = 0; s < MaxStages; s++) begin
      for (int unsigned c = 0; c < CountBits; c++) if (Heights[s][c] > 8'd3) stages = s + 1;
    end
  endfunction

  localparam int unsigned Stages = stages();

  logic [Width-1:0] bits;

  for (genvar s = 0; s < int'(Slices); s++) begin : gen_slice
    assign bits[SliceWidth*s+:SliceWidth] = bits_i[s];
  end

  // A column holds bits of one weight. Where the bits of a column come from:
  //
  //   stage s-1   column c-2       column c-1       column c
  //               compressors      compressors      compressors   rest
  //                  | high bits      | middle bits    | low bits  |
  //   stage s        +----------------+----------------+-----------+--> column c
  logic [CountBits-1:0][2:0] last;

  for (genvar s = 0; s <= int'(Stages); s++) begin : gen_stage
    for (genvar c = 0; c < int'(CountBits); c++) begin : gen_column
      localparam int unsigned Height = 32'(Heights[s][c]);
      localparam int unsigned Compressors = 32'(compressors(8'(Height)));

      logic [Width+5:0] column;
      logic [Width+5:0][2:0] ones;

      if (s == 0) begin : gen_first
        if (c == 0) begin : gen_bits
          assign column[Width-1:0] = bits;
        end
      end else begin : gen_later
        localparam int unsigned Before = 32'(Heights[s-1][c]);
        localparam int unsigned Low = 32'(compressors(8'(Before)));
        localparam int unsigned Middle = (c >= 1) ? 32'(compressors(Heights[s-1][c-1])) : 0;
        localparam int unsigned High = (c >= 2) ? 32'(compressors(Heights[s-1][c-2])) : 0;

        for (genvar i = 0; i < int'(Low); i++) begin : gen_low
          assign column[i] = gen_stage[s-1].gen_column[c].ones[i][0];
        end
        for (genvar i = 0; i < int'(Middle); i++) begin : gen_middle
          assign column[Low+i] = gen_stage[s-1].gen_column[c-1].ones[i][1];
        end
        for (genvar i = 0; i < int'(High); i++) begin : gen_high
          assign column[Low+Middle+i] = gen_stage[s-1].gen_column[c-2].ones[i][2];
        end
        for (genvar i = 0; i < int'(rest(8'(Before))); i++) begin : gen_rest
          assign column[Low+Middle+High+i] = gen_stage[s-1].gen_column[c].column[6*Low+i];
        end
      end

      assign column[Width+5:Height] = '0;

      if (s < int'(Stages)) begin : gen_compress
        for (genvar i = 0; i < int'(Compressors); i++) begin : gen_six
          tmv_compress u_compress (
            .bits_i (column[6*i+:6]),
            .count_o(ones[i])
          );
        end
        assign ones[Width+5:Compressors] = '0;
      end else begin : gen_last
        assign ones    = '0;
        assign last[c] = column[2:0];
      end
    end
  end

  // At most three bits are left in a column: the bits of three numbers.
  always_comb begin
    logic [2:0][CountBits-1:0] rows;
    for (int unsigned c = 0; c < CountBits; c++) for (int unsigned r = 0; r < 3; r++) rows[r][c] = last[c][r];
    count_o = rows[0] + rows[1] + rows[2];
  end
  /* verilator coverage_on */
`else
  always_comb begin
    count_o = '0;
    for (int unsigned s = 0; s < Slices; s++) count_o += CountBits'($countones(bits_i[s]));
  end
`endif

  // The body for LUTs adds 3 to the height of a column in 8 bits.
  `TMV_REQUIRE(width, Width >= 1 && Width <= 252 && Slices >= 1 && Slices * SliceWidth == Width,
               "tmv_popcount: Width must be 1 to 252, in slices of equal width")
endmodule
