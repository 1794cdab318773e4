`include "tmv_macros.svh"

/// Dispatcher: deals the row blocks of queued operators, in order, to ports that are free.
///
/// One block a cycle; one idle cycle between operators. At most `Window` blocks are between dispatcher and result
/// writer; the collector hands their slots back in order. Combinational: `free_i` to `grant_o`.
///
/// The blocks of an operator with single rows are made here: a port is given the next eight rows that are to be read,
/// one address after the other (`row_o`). So are the blocks of single columns, each with its activation. They have no
/// slot, because their results are sums that stay in the ports.
module tmv_dispatcher
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Ports, at least 1.
  parameter int unsigned Ports = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  /// Operators, in order.
  input  logic               op_valid_i,
  output logic               op_ready_o,
  input  dispatch_t          op_i,
  /// Ports that can take a block; the port that takes `block_o` in this cycle.
  input  logic   [Ports-1:0] free_i,
  output logic   [Ports-1:0] grant_o,
  output block_t             block_o,
  /// Address of the block. Of single rows it is the address of a row: for the port in `row_o`.
  /// `row_end_o`: no more rows come for the block of this port.
  output addr_t              block_addr_o,
  output logic   [Ports-1:0] row_o,
  output logic   [Ports-1:0] row_end_o,
  /// Activation of the column whose address it is.
  output activation_t        value_o,
  /// Record of rows, see `tmv_row_mask`.
  output logic               record_o,
  output logic               scan_start_o,
  output logic               scan_valid_o,
  output logic               scan_older_o,
  output logic               scan_req_o,
  output mask_index_t        scan_index_o,
  input  logic               scan_ready_i,
  input  logic   [RowBlock-1:0] scan_i,
  /// Columns, see `tmv_column_x` and `tmv_column_drain`: contexts whose activations are in memory; the bank and the
  /// activations of eight columns; an operator begins, and was given to ports; the one before it is at work.
  input  logic   [Contexts-1:0] x_loaded_i,
  output logic               x_bank_o,
  input  logic   [RowBlock-1:0] x_nonzero_i,
  input  activation_t [RowBlock-1:0] x_values_i,
  output logic               columns_begin_o,
  output logic               columns_dealt_o,
  input  logic               columns_busy_i,
  /// Columns that were read of the last operator that reads columns.
  output logic   [13:0]      columns_o,
  /// The oldest slot is free again.
  input  logic               slot_free_i
);
  logic active_q;
  dispatch_t op_q;
  logic [$clog2(Window):0] used_q;
  logic full_q;
  logic enable, granted, slot_taken, take;

  // Single rows. A block begins when its first row is known and a port is free; then its rows follow.
  logic row_valid, row, row_ready, scan_end, sending_q, finish, send;
  logic [Ports-1:0] port_q;
  logic [$clog2(RowBlock)-1:0] sent_q;

  assign enable = active_q && (!full_q || op_q.columns) && (!op_q.rows || (row_valid && row && !sending_q));
  assign granted = enable && |free_i;
  assign slot_taken = granted && !op_q.columns;
  assign op_ready_o = !active_q && !(op_i.columns && columns_busy_i);
  assign take = op_valid_i && op_ready_o;

  assign record_o      = take && op_i.record;
  assign scan_start_o  = take && op_i.rows;
  assign scan_valid_o  = active_q && op_q.skip;
  assign scan_older_o  = op_q.older;
  assign send      = sending_q && row_valid && row;
  assign row_ready = !row || sending_q;
  assign row_o     = send ? port_q : '0;
  assign finish    = (send && sent_q == '1) || (sending_q && scan_end);
  assign row_end_o = finish ? port_q : '0;
  assign x_bank_o        = op_q.bank;
  assign columns_begin_o = take && op_i.columns;
  assign columns_dealt_o = active_q && op_q.columns && scan_end;

  tmv_row_scan #(
    .CountBits(17)
  ) u_scan (
    .clk_i,
    .rst_ni,
    .start_i     (scan_start_o),
    .blocks_i    (op_i.blocks),
    .byte_req_o  (scan_req_o),
    .byte_index_o(scan_index_o),
    .byte_ready_i(op_q.columns ? x_loaded_i[op_q.id] : !op_q.skip || scan_ready_i),
    .byte_i      (op_q.columns ? x_nonzero_i : op_q.skip ? scan_i : '1),
    .values_i    (x_values_i),
    .row_valid_o (row_valid),
    .row_o       (row),
    .value_o,
    .row_ready_i (row_ready),
    .end_o       (scan_end)
  );

  always_ff @(posedge clk_i) begin
    if (granted) port_q <= grant_o;
    if (columns_begin_o) columns_o <= '0;
    else if (send && op_q.columns) columns_o <= columns_o + 1'b1;
    if (!rst_ni) begin
      sending_q <= 1'b0;
      sent_q    <= '0;
    end else begin
      if (granted && op_q.rows) sending_q <= 1'b1;
      else if (finish) sending_q <= 1'b0;
      if (finish) sent_q <= '0;
      else if (send) sent_q <= sent_q + 1'b1;
    end
  end

  tmv_round_robin #(
    .Clients(Ports)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .enable_i(enable),
    .req_i   (free_i),
    .grant_o
  );

  assign block_addr_o = op_q.w_addr;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      used_q   <= '0;
      full_q   <= 1'b0;
    end else begin
      if (take) active_q <= 1'b1;
      else if (op_q.rows ? scan_end : granted && op_q.blocks == 17'd1) active_q <= 1'b0;
      used_q <= used_q + ($clog2(Window) + 1)'(slot_taken) - ($clog2(Window) + 1)'(slot_free_i);
      if (slot_taken != slot_free_i) full_q <= slot_taken && used_q == ($clog2(Window) + 1)'(Window - 1);
    end
  end

  // Don't-care while no operator is active.
  always_ff @(posedge clk_i) begin
    if (op_ready_o) begin
      op_q                <= op_i;
      block_o.id          <= op_i.id;
      block_o.bank        <= op_i.bank;
      block_o.rows        <= op_i.rows;
      block_o.columns     <= op_i.columns;
      block_o.tokens_mask <= op_i.columns ? '0 : MaxTokens'((9'd1 << op_i.tokens) - 9'd1);
      block_o.tokens      <= op_i.tokens;
      block_o.last_word   <= word_t'(op_i.row_beats - 1'b1);
    end else if (op_q.rows ? row_valid && row_ready : granted) begin
      op_q.blocks <= op_q.blocks - 1'b1;
      op_q.w_addr <= op_q.w_addr + addr_t'(op_q.w_stride);
    end
    if (!rst_ni) block_o.slot <= '0;
    else if (slot_taken) block_o.slot <= block_o.slot + 1'b1;
  end

  `TMV_ASSERT(FullIsFull, full_q == (used_q == ($clog2(Window) + 1)'(Window)))
  `TMV_ASSERT_IF(SlotsBalanced, slot_free_i, used_q != '0)
  `TMV_ASSERT(RowsForOnePort, $onehot0(row_o) && $onehot0(row_end_o))
  `TMV_COVER(NoRowRecorded, active_q && op_q.rows && !sending_q && scan_end)
  `TMV_COVER(BlockOfFewRows, finish && !send)
  `TMV_COVER(WindowFull, used_q == ($clog2(Window) + 1)'(Window))
  `TMV_COVER(OperatorsOverlap, op_valid_i && op_ready_o && used_q != '0)
  `TMV_COVER(PortsCompete, granted && $countones(free_i) > 1)
endmodule
