`include "tmv_macros.svh"

/// Remembers which rows of an operator had a result above zero, for a later operator that skips the other rows.
///
/// Two banks: operators that record use them in turn, so the last two records are there. Records are written while
/// results leave, in order of retirement. `scan_ready_o` says when a byte of the record that the dispatcher asks for
/// was written. Latency one cycle from `scan_req_i` and `place_req_i` to the byte.
module tmv_row_mask
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
(
  input  logic                          clk_i,
  input  logic                          rst_ni,
  /// Dispatcher: an operator that records is dispatched.
  input  logic                          dispatch_i,
  /// Dispatcher: begins with an operator; is at one that skips; reads the bits of block `scan_index_i` of the last record, or of the one before
  /// it, in an order that `tmv_row_scan` sets.
  input  logic                          scan_start_i,
  input  logic                          scan_valid_i,
  input  logic                          scan_older_i,
  input  logic                          scan_req_i,
  input  mask_index_t                   scan_index_i,
  output logic                          scan_ready_o,
  output logic [RowBlock-1:0]           scan_o,
  /// Retirement: an operator that records begins; its results, in order.
  input  logic                          record_start_i,
  input  logic                          record_valid_i,
  input  logic [RowBlock*AccBits-1:0]   record_i,
  /// Retirement: reads the bits of block `place_index_i` of the last record, or of the one before it; its rows.
  input  logic                          place_older_i,
  input  logic                          place_req_i,
  input  mask_index_t                   place_index_i,
  output logic [RowBlock-1:0]           place_o,
  output logic [$bits(mask_index_t)+3:0] rows_o
);
  /// Number of rows of a record.
  typedef logic [$bits(mask_index_t)+3:0] rows_t;
  localparam int unsigned Bytes = 2 << $bits(mask_index_t);

  // One memory for each reader.
  logic [RowBlock-1:0] scan_mem[Bytes];
  logic [RowBlock-1:0] place_mem[Bytes];

  // Records that were dispatched and have not begun to retire. Negative when one retires before its dispatch: then no
  // operator that skips is at the dispatcher.
  logic [$clog2(Contexts):0] ahead_q;
  logic dispatch_bank_q, record_bank_q;

  // Bytes that were written of the record at work. A bit more than an index: all of them may be.
  logic [$bits(mask_index_t):0] written_q;
  logic byte_valid_q;
  logic [RowBlock-1:0] byte_q;
  // Rows of the last record and of the one before.
  rows_t rows_q, older_rows_q;

  function automatic logic [RowBlock-1:0] above_zero(logic [RowBlock*AccBits-1:0] accumulators);
    for (int unsigned r = 0; r < RowBlock; r++) begin
      above_zero[r] = !accumulators[r*AccBits+AccBits-1] && accumulators[r*AccBits+:AccBits] != '0;
    end
  endfunction

  assign rows_o = place_older_i ? older_rows_q : rows_q;

  always_ff @(posedge clk_i) begin
    if (record_valid_i) byte_q <= above_zero(record_i);
    if (byte_valid_q) begin
      scan_mem[{record_bank_q, mask_index_t'(written_q)}]  <= byte_q;
      place_mem[{record_bank_q, mask_index_t'(written_q)}] <= byte_q;
    end
    if (scan_req_i) scan_o <= scan_mem[{dispatch_bank_q ^ scan_older_i, scan_index_i}];
    if (place_req_i) place_o <= place_mem[{record_bank_q ^ place_older_i, place_index_i}];
    if (record_start_i) older_rows_q <= rows_q;
    if (record_start_i) rows_q <= '0;
    else if (byte_valid_q) rows_q <= rows_q + rows_t'($countones(byte_q));
    if (!rst_ni) begin
      ahead_q         <= '0;
      dispatch_bank_q <= 1'b0;
      record_bank_q   <= 1'b0;
      written_q       <= '0;
      byte_valid_q    <= 1'b0;
      scan_ready_o    <= 1'b0;
    end else begin
      ahead_q         <= ahead_q + ($clog2(Contexts) + 1)'(dispatch_i) - ($clog2(Contexts) + 1)'(record_start_i);
      dispatch_bank_q <= dispatch_bank_q ^ dispatch_i;
      record_bank_q   <= record_bank_q ^ record_start_i;
      byte_valid_q    <= record_valid_i;
      if (record_start_i) written_q <= '0;
      else if (byte_valid_q) written_q <= written_q + 1'b1;
      // Not for the byte that is read in this cycle: the index moves on with the request, and goes back at the start.
      if (scan_valid_i || scan_start_i) begin
        scan_ready_o <= !scan_req_i && !scan_start_i && (ahead_q < ($clog2(Contexts) + 1)'(scan_older_i)
            || (ahead_q == ($clog2(Contexts) + 1)'(scan_older_i) && {1'b0, scan_index_i} < written_q));
      end
    end
  end

  `TMV_ASSERT_IF(RecordsDispatched, scan_req_i, !scan_ready_o || ahead_q <= ($clog2(Contexts) + 1)'(Contexts))
  `TMV_ASSERT_IF(RecordFits, byte_valid_q, written_q < ($bits(mask_index_t) + 1)'(Bytes / 2))
  `TMV_COVER(ScanWaits, !scan_ready_o && ahead_q == '0 && {1'b0, scan_index_i} == written_q)
  `TMV_COVER(ScanOlder, scan_req_i && scan_older_i)
endmodule
