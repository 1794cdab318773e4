`include "tmv_formal.svh"

/// `tmv_row_scan` shows every row of an operator once, in order, with its bit and its value: none is left out, none comes
/// twice.
///
/// An operator of up to two row blocks, with any bits; the memory of bits answers after any time, and the consumer takes
/// a row after any time. Unbounded.
module tmv_row_scan_fv
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
(
  input logic        clk_i,
  input logic        start_i,
  input logic [ 1:0] blocks_i,
  input logic        byte_ready_i,
  input logic        row_ready_i,
  /// Bits of the rows.
  input logic [15:0] bits_i
);
  `TMV_FORMAL_RESET

  logic byte_req, row_valid, row, scan_end;
  mask_index_t byte_index;
  logic [RowBlock-1:0] answer_q;
  // The value of a row is its number.
  logic second_block_q;
  activation_t [RowBlock-1:0] values;
  activation_t value;

  for (genvar r = 0; r < int'(RowBlock); r++) begin : gen_value
    assign values[r] = 8'({second_block_q, 3'(r)});
  end

  tmv_row_scan #(
    .CountBits(2)
  ) u_scan (
    .clk_i,
    .rst_ni,
    .start_i,
    .blocks_i,
    .byte_req_o  (byte_req),
    .byte_index_o(byte_index),
    .byte_ready_i,
    .byte_i      (answer_q),
    .values_i    (values),
    .row_valid_o (row_valid),
    .row_o       (row),
    .value_o     (value),
    .row_ready_i,
    .end_o       (scan_end)
  );

  // The operator, and the rows that were shown.
  logic any_q;
  logic [1:0] blocks_q;
  logic [15:0] bits_q;
  logic [4:0] shown_q;

  always_ff @(posedge clk_i) begin
    bits_q         <= bits_i;
    second_block_q <= byte_req && byte_index[0];
    // The memory answers a cycle after the request, and has no meaning otherwise.
    answer_q <= byte_req ? (byte_index[0] ? bits_i[15:8] : bits_i[7:0]) : ~bits_i[7:0];
    if (!rst_ni) begin
      any_q    <= 1'b0;
      blocks_q <= '0;
      shown_q  <= '0;
    end else if (start_i) begin
      any_q    <= 1'b1;
      blocks_q <= blocks_i;
      shown_q  <= '0;
    end else if (row_valid && row_ready_i) shown_q <= shown_q + 1'b1;
  end

  `TMV_ASSUME(BitsStay, !any_q || bits_i == bits_q)
  `TMV_ASSUME(OneOperator, !start_i || !any_q)
  `TMV_ASSUME(TwoBlocks, blocks_i <= 2'd2)

  `TMV_ASSERT(Bit, !row_valid || row == bits_i[shown_q[3:0]])
  `TMV_ASSERT(Value, !row_valid || value == 8'(shown_q))
  `TMV_ASSERT(NoRowTooMany, !row_valid || shown_q < {blocks_q, 3'b0})
  `TMV_ASSERT(EveryRow, !(any_q && scan_end) || shown_q == {blocks_q, 3'b0})
  `TMV_ASSERT(InOrder, !byte_req || 2'(byte_index) < blocks_q)

  // Helpers for the induction: bytes that were requested, and bytes whose rows are or were shown.
  logic [1:0] requested, loaded;
  logic [RowBlock-1:0] first, second;
  assign requested = 2'(byte_index);
  assign loaded    = requested - 2'(u_scan.pending_q) - 2'(u_scan.next_valid_q);
  assign first     = bits_i[7:0];
  assign second    = bits_i[15:8];

  `TMV_ASSERT(HelpIdle, blocks_q <= 2'd2 && (any_q || scan_end))
  `TMV_ASSERT(HelpRequested, !any_q || (requested <= blocks_q && byte_index <= mask_index_t'(2)
      && u_scan.left_q == blocks_q - requested && u_scan.more_q == (u_scan.left_q != '0)
      && !(u_scan.pending_q && u_scan.next_valid_q) && loaded <= requested))
  `TMV_ASSERT(HelpShown, !any_q || (row_valid ? loaded != '0 && shown_q == 5'({loaded - 2'd1, u_scan.row_q})
      : shown_q == {loaded, 3'b0} && u_scan.row_q == '0))
  `TMV_ASSERT(HelpRowIdle, any_q || u_scan.row_q == '0)
  `TMV_ASSERT(HelpBits, !row_valid || u_scan.bits_q == ((loaded == 2'd2) ? second >> u_scan.row_q : first >> u_scan.row_q))
  `TMV_ASSERT(HelpNext, !u_scan.next_valid_q || u_scan.next_q == ((loaded == 2'd1) ? second : first))
  `TMV_ASSERT(HelpAnswer, !u_scan.pending_q || answer_q == ((requested == 2'd2) ? second : first))

  for (genvar r = 0; r < int'(RowBlock); r++) begin : gen_help
    `TMV_ASSERT(HelpValues, !row_valid || 32'(u_scan.row_q) + r >= RowBlock
        || u_scan.values_q[r] == 8'({loaded == 2'd2, u_scan.row_q} + 4'(r)))
    `TMV_ASSERT(HelpNextValues, !u_scan.next_valid_q || u_scan.next_values_q[r] == 8'({loaded == 2'd1, 3'(r)}))
  end
  `TMV_ASSERT(HelpSecond, !u_scan.pending_q || second_block_q == (requested == 2'd2))

  `TMV_COVER(TwoBlocksShown, any_q && scan_end && blocks_q == 2'd2)
endmodule
