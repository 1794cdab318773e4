`include "tmv_macros.svh"

/// Puts the results of an operator that skips rows in their places: takes words of the rows that were computed, delivers
/// words of all rows, with zeros for the rows that were skipped.
///
/// A row a cycle. `ready_words_o` counts the words that are ready without a gap, `complete_o` says that they reach to
/// the end of the operator, as with `tmv_collector`. The rows that filled up the last block are dropped. Combinational:
/// none from an input to an output but `word_valid_i` to `word_ready_o`.
module tmv_row_place
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Words of the queue, a power of two.
  parameter  int unsigned Words = 64,
  localparam int unsigned BlockBits = $bits(mask_index_t) + 1,
  localparam int unsigned WordBits = RowBlock * AccBits
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  /// An operator of `blocks_i` row blocks begins. Not before the one before is complete and read.
  input  logic                start_i,
  input  logic [BlockBits-1:0] blocks_i,
  /// Bits of its rows, see `tmv_row_scan`.
  output logic                byte_req_o,
  output mask_index_t         byte_index_o,
  input  logic [RowBlock-1:0] byte_i,
  /// Words of the rows that were computed.
  input  logic                word_valid_i,
  output logic                word_ready_o,
  input  logic [WordBits-1:0] word_i,
  /// Words of all rows.
  output words_t              ready_words_o,
  output logic                complete_o,
  output logic                word_valid_o,
  input  logic                word_ready_i,
  output logic [WordBits-1:0] word_o
);
  localparam int unsigned RowBits = $clog2(RowBlock);


  logic row_valid, row, row_ready, scan_end, word_room, room_q, pushed, rest, push_q;
  logic [RowBits-1:0] from_q, to_q;
  logic [WordBits-1:0] word_q;

  tmv_row_scan #(
    .CountBits(BlockBits)
  ) u_scan (
    .clk_i,
    .rst_ni,
    .start_i,
    .blocks_i,
    .byte_req_o,
    .byte_index_o,
    .byte_ready_i(1'b1),
    .byte_i,
    .values_i    ('0),
    .row_valid_o (row_valid),
    .row_o       (row),
    .value_o     (),
    .row_ready_i (row_ready),
    .end_o       (scan_end)
  );

  // Rows that filled up the last block are left at the end.
  assign rest         = scan_end && from_q != '0;
  assign row_ready    = room_q && (!row || word_valid_i);
  assign pushed       = row_valid && row_ready;
  assign word_ready_o = (pushed && row && from_q == '1) || rest;

  always_ff @(posedge clk_i) begin
    if (pushed) word_q <= {row ? word_i[from_q*AccBits+:AccBits] : AccBits'(0), word_q[WordBits-1:AccBits]};
    if (!rst_ni) begin
      from_q        <= '0;
      to_q          <= '0;
      push_q        <= 1'b0;
      room_q        <= 1'b0;
      complete_o    <= 1'b1;
      ready_words_o <= '0;
    end else if (start_i || !complete_o || ready_words_o != '0) begin
      if (pushed && row) from_q <= from_q + 1'b1;
      else if (rest && word_valid_i) from_q <= '0;
      if (pushed) to_q <= to_q + 1'b1;
      push_q        <= pushed && to_q == '1;
      complete_o    <= !start_i && scan_end && !push_q && !rest;
      ready_words_o <= ready_words_o + words_t'(push_q) - words_t'(word_valid_o && word_ready_i);
      // A row that is pushed in this cycle and one in the next may each end a word.
      room_q        <= ready_words_o < words_t'(Words - 2);
    end
  end

  tmv_fifo #(
    .Width(WordBits),
    .Depth(Words),
    .BlockRam(1)
  ) u_words (
    .clk_i,
    .rst_ni,
    .wvalid_i(push_q),
    .wready_o(word_room),
    .wdata_i (word_q),
    .rvalid_o(word_valid_o),
    .rready_i(word_ready_i),
    .rdata_o (word_o)
  );

  `TMV_ASSERT_IF(WordFits, push_q, word_room)
  `TMV_ASSERT_IF(StartAfterEnd, start_i, scan_end && ready_words_o == '0 && from_q == '0)
  `TMV_COVER(WriterStalls, !room_q && row_valid)
  `TMV_COVER(RestDropped, rest && word_valid_i)
endmodule
