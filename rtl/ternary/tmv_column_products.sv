`include "tmv_macros.svh"

/// For each lane the sum of the products of its weights with the activations of up to `RowBlock` columns.
///
/// Throughput a beat a cycle. Latency four cycles from the planes of the last column to the sums, which then stay.
/// Two bodies have the same function. For synthesis (`TMV_LUT_BODIES`) a multiplier serves `Fields` lanes: it multiplies the
/// activation with one number that has their weights `FieldBits` apart. A lane whose sum is below zero borrows 1 from the
/// lane above; `borrow_o` gives it back. For simulation four lanes are in a machine word, 16 bits apart, and begin in the
/// middle of their range, so that none borrows.
module tmv_column_products
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Lanes of a beat: a multiple of 4.
  parameter  int unsigned Lanes = 80,
  /// Lanes of a multiplier: a DSP48E1 multiplies 25 bits, which is room for 2, a DSP48E2 27 bits, which is room for 3.
  parameter  int unsigned Fields = 3,
  localparam int unsigned Slices = slices_of(Lanes),
  localparam int unsigned SliceLanes = Lanes / Slices,
  localparam int unsigned FieldBits = ColumnFieldBits
) (
  input  logic                             clk_i,
  /// The planes of a beat are valid; they were, one and two cycles before, and then were those of the first column. Those of
  /// the last column were valid three cycles before.
  input  logic [2:0]                       valid_i,
  input  logic                             first_i,
  input  logic                             done_i,
  input  activation_t                      x_i,
  input  logic [SliceLanes-1:0]            nz_i  [Slices],
  input  logic [SliceLanes-1:0]            neg_i [Slices],
  /// Sum of each lane, two's complement, and what is to be added to it.
  output logic [Lanes-1:0][FieldBits-1:0]  sum_o,
  output logic [Lanes-1:0]                 borrow_o
);
`ifdef TMV_LUT_BODIES
  logic [Lanes-1:0] nz, neg;

  for (genvar s = 0; s < int'(Slices); s++) begin : gen_column_slice
    assign nz[SliceLanes*s+:SliceLanes]  = nz_i[s];
    assign neg[SliceLanes*s+:SliceLanes] = neg_i[s];
  end

  localparam int unsigned Products = (Lanes + Fields - 1) / Fields;
  localparam int unsigned PackedBits = FieldBits * (Fields - 1) + 2;

  for (genvar p = 0; p < int'(Products); p++) begin : gen_product
    // Lanes of this multiplier: the last one may have fewer.
    localparam int unsigned Used = (Lanes - Fields * p < Fields) ? Lanes - Fields * p : Fields;

    logic signed [PackedBits-1:0] weights, weights_q;
    activation_t x_q;
    logic signed [PackedBits+7:0] product_q;
    // As wide as the sum of a DSP block.
    logic signed [47:0] sum_q;

    // Sum of w[f] << (f * FieldBits).
    always_comb begin
      automatic logic borrow = 1'b0;
      weights = '0;
      for (int unsigned f = 0; f < Used; f++) begin
        automatic logic odd = nz[Fields*p+f] ^ borrow;
        borrow  = neg[Fields*p+f] || (!nz[Fields*p+f] && borrow);
        weights |= PackedBits'({{(FieldBits - 1) {borrow}}, odd}) << (FieldBits * f);
      end
      // The sign.
      for (int unsigned b = FieldBits * Used; b < PackedBits; b++) weights[b] = borrow;
    end

    always_ff @(posedge clk_i) begin
      if (valid_i[0]) {weights_q, x_q} <= {weights, x_i};
      if (valid_i[1]) product_q <= weights_q * signed'(x_q);
      if (valid_i[2]) sum_q <= (first_i ? '0 : sum_q) + 48'(product_q);
    end

    for (genvar f = 0; f < int'(Used); f++) begin : gen_field
      always_ff @(posedge clk_i) begin
        if (done_i) begin
          sum_o[Fields*p+f]    <= sum_q[FieldBits*f+:FieldBits];
          borrow_o[Fields*p+f] <= f != 0 && sum_q[(FieldBits*f+FieldBits*Fields-1)%(FieldBits*Fields)];
        end
      end
    end
  end
`else
  localparam logic [63:0] Ones = 64'h0001_0001_0001_0001;
  /// Moves bit i of four bits to bit 16 i: bit i meets 2^(15 i), and `Ones` drops the other products.
  localparam logic [63:0] Spread = 64'h0000_2000_4000_8001;

  // Planes of +1 and -1, delayed.
  logic [1:0][Lanes-1:0] plus_q, minus_q;
  activation_t [1:0] x_q;
  logic [Lanes/4-1:0][63:0] sum_q;

  // Statements stand in the order of use: readers before the writer of a register. The simulator then needs no copies.
  always_ff @(posedge clk_i) begin
    if (done_i) begin
      automatic logic [Lanes-1:0][FieldBits-1:0] lanes;
      for (int unsigned l = 0; l < Lanes; l++) lanes[l] = sum_q[l/4][16*(l%4)+:FieldBits];
      sum_o <= lanes;
    end
    if (valid_i[2]) begin
      automatic logic [Lanes/4-1:0][63:0] sums = first_i ? {Lanes / 4{Ones << 15}} : sum_q;
      automatic logic [63:0] x = 64'(signed'(x_q[1]));
      for (int unsigned i = 0; i < Lanes / 4; i++) begin
        automatic logic [63:0] plus = (64'(plus_q[1][4*i+:4]) * Spread) & Ones;
        automatic logic [63:0] minus = (64'(minus_q[1][4*i+:4]) * Spread) & Ones;
        sums[i] += (plus - minus) * x;
      end
      sum_q <= sums;
    end
    if (valid_i[1]) {plus_q[1], minus_q[1], x_q[1]} <= {plus_q[0], minus_q[0], x_q[0]};
    if (valid_i[0]) begin
      automatic logic [Lanes-1:0] plus_lanes, minus_lanes;
      for (int unsigned s = 0; s < Slices; s++) begin
        plus_lanes[SliceLanes*s+:SliceLanes]  = nz_i[s] & ~neg_i[s];
        minus_lanes[SliceLanes*s+:SliceLanes] = neg_i[s];
      end
      {plus_q[0], minus_q[0], x_q[0]} <= {plus_lanes, minus_lanes, x_i};
    end
  end

  assign borrow_o = '0;
`endif

  `TMV_REQUIRE(lanes, Lanes % 4 == 0 && FieldBits < 16, "tmv_column_products: Lanes must be a multiple of 4")
  `TMV_REQUIRE(fields, Fields >= 1 && FieldBits * (Fields - 1) + 2 <= 27,
               "tmv_column_products: the weights of a multiplier must fit 27 bits")
endmodule
