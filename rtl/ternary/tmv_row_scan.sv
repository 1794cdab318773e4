`include "tmv_macros.svh"

/// Walks through the bits of an operator's rows or columns, one a cycle. A value travels with each bit.
///
/// Bits come in bytes, a byte for each row block, from a memory that answers a cycle after its request. The byte of the
/// next block is fetched while the bits of this one are taken. Combinational: `byte_ready_i` to `byte_req_o`.
module tmv_row_scan
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a number of row blocks.
  parameter int unsigned CountBits = 17
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  /// An operator of `blocks_i` row blocks begins. Not before `end_o`.
  input  logic         start_i,
  input  logic [CountBits-1:0] blocks_i,
  /// Memory of bits: the request for the byte of block `byte_index_o` may go out while `byte_ready_i` is high.
  output logic         byte_req_o,
  output mask_index_t  byte_index_o,
  input  logic         byte_ready_i,
  input  logic [RowBlock-1:0] byte_i,
  input  activation_t [RowBlock-1:0] values_i,
  /// The next row: its bit, its value.
  output logic         row_valid_o,
  output logic         row_o,
  output activation_t  value_o,
  input  logic         row_ready_i,
  /// No row is left.
  output logic         end_o
);
  localparam int unsigned RowBits = $clog2(RowBlock);

  logic [CountBits-1:0] left_q;
  // Blocks are left: not zero.
  logic more_q;
  logic [RowBlock-1:0] bits_q, next_q;
  activation_t [RowBlock-1:0] values_q, next_values_q;
  logic [RowBits-1:0] row_q;
  logic pending_q, next_valid_q, load, last;

  assign row_o      = bits_q[0];
  assign value_o    = values_q[0];
  assign last       = row_valid_o && row_ready_i && row_q == '1;
  assign load       = next_valid_q && (!row_valid_o || last);
  assign byte_req_o = more_q && byte_ready_i && !pending_q && (!next_valid_q || load);
  assign end_o      = !more_q && !pending_q && !next_valid_q && !row_valid_o;

  always_ff @(posedge clk_i) begin
    // At the end, the simulator has nothing to do.
    if (start_i || !end_o || !rst_ni) begin
      if (load) {values_q, bits_q} <= {next_values_q, next_q};
      else if (row_ready_i) {values_q, bits_q} <= {values_q >> $bits(activation_t), bits_q >> 1};
      if (pending_q) {next_values_q, next_q} <= {values_i, byte_i};
      if (start_i) byte_index_o <= '0;
      else if (byte_req_o) byte_index_o <= byte_index_o + 1'b1;
      if (start_i) left_q <= blocks_i;
      else if (byte_req_o) left_q <= left_q - 1'b1;
      if (start_i) more_q <= blocks_i != '0;
      else if (byte_req_o) more_q <= left_q != CountBits'(1);
      pending_q <= byte_req_o;
      if (pending_q) next_valid_q <= 1'b1;
      else if (load) next_valid_q <= 1'b0;
      if (load) row_valid_o <= 1'b1;
      else if (last) row_valid_o <= 1'b0;
      if (row_valid_o && row_ready_i) row_q <= row_q + 1'b1;
      if (!rst_ni) begin
        more_q       <= 1'b0;
        pending_q    <= 1'b0;
        next_valid_q <= 1'b0;
        row_valid_o  <= 1'b0;
        row_q        <= '0;
      end
    end
  end

  `TMV_ASSERT_IF(StartAtEnd, start_i, end_o)
  `TMV_ASSERT_IF(MoreIsLeft, more_q, left_q != '0)
endmodule
