`include "tmv_macros.svh"

/// AXI4 write master for results, in operator order, then each operator's completion record.
///
/// Waits until `GroupBytes` of results or the rest of the operator are ready, then writes bursts of at most 16 beats
/// that never cross 4 KiB; a burst is announced only when all its data is at hand, so it can always be finished.
/// The record (last 16 bytes of the descriptor) is written after every result burst was acknowledged.
/// A result word becomes `RowBlock` int32 values.
module tmv_writer
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Bytes of results worth a turnaround of the memory bus.
  parameter  int unsigned GroupBytes = 1024,
  /// Bursts in flight, a power of two.
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned WordBits = RowBlock * AccBits
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  /// No new burst starts while this is high.
  input  logic                  halt_i,
  /// No burst is open or in flight.
  output logic                  quiet_o,
  /// Operators to retire, in order.
  input  logic                  op_valid_i,
  output logic                  op_ready_o,
  input  retire_t               op_i,
  /// The operator's record was acknowledged.
  output logic                  done_o,
  output logic                  done_irq_o,
  /// Cycle counter, for the record.
  input  logic [          31:0] cycle_i,
  /// Collector.
  output logic                  start_o,
  input  logic [           9:0] ready_words_i,
  input  logic                  complete_i,
  input  logic                  word_valid_i,
  output logic                  word_ready_o,
  input  logic [  WordBits-1:0] word_i,
  /// AXI4 write channels.
  output logic                  aw_valid_o,
  input  logic                  aw_ready_i,
  output aw_t                   aw_o,
  output logic                  w_valid_o,
  input  logic                  w_ready_i,
  output logic [  PortBits-1:0] w_data_o,
  output logic                  w_last_o,
  input  logic                  b_valid_i,
  input  logic [           1:0] b_resp_i,
  /// Errors.
  output fault_t                fault_o
);
  localparam int unsigned WordBytes = RowBlock * 4;
  localparam int unsigned WordBeats = WordBytes * 8 / PortBits;
  localparam int unsigned LineWords = BurstBeats / WordBeats;
  localparam int unsigned LineBits = $clog2(WordBytes * LineWords);
  localparam int unsigned GroupWords = GroupBytes / WordBytes;
  localparam int unsigned RecordBeats = 128 / PortBits;
  localparam int unsigned TableBits = $clog2(Outstanding);

  typedef enum logic [2:0] {
    Idle,
    Results,
    ResultData,
    Flush,
    RecordData,
    RecordFlush
  } state_e;

  state_e state_q;
  logic irq_q;
  logic [15:0] tag_q;
  logic [31:0] start_cycle_q, end_cycle_q;
  addr_t addr_q, record_addr_q;
  logic [20:0] words_left_q;
  logic draining_q;

  // The next burst of results: up to the end of its line.
  logic [3:0] to_line, burst_words;
  logic [4:0] beats_left_q;
  logic start_results, start_record, room, space, data_sent;
  logic [TableBits:0] inflight_q;
  addr_t burst_addr;

  assign to_line = 4'(LineWords) - 4'(addr_q[$clog2(WordBytes)+:$clog2(LineWords)]);
  assign burst_words = (words_left_q < 21'(to_line)) ? words_left_q[3:0] : to_line;
  assign room = inflight_q != (TableBits + 1)'(Outstanding) && (!aw_valid_o || aw_ready_i);
  assign start_results = state_q == Results && words_left_q != '0 && draining_q
      && ready_words_i >= 10'(burst_words) && room && !halt_i;
  assign start_record = state_q == Flush && inflight_q == '0 && room && !halt_i;
  assign burst_addr = (state_q == Flush) ? record_addr_q : addr_q;
  assign space = !w_valid_o || w_ready_i;
  assign op_ready_o = state_q == Idle;
  assign start_o = op_valid_i && op_ready_o;
  assign quiet_o = inflight_q == '0;

  // One beat of data: a slice of the current word, or of the record.
  logic [127:0] record;
  logic [$clog2(WordBeats)-1:0] slice_q;
  logic send, last_slice, refused_q;

  /// The result word as int32 values.
  function automatic logic [WordBytes*8-1:0] widen(logic [WordBits-1:0] accumulators);
    for (int unsigned r = 0; r < RowBlock; r++) widen[32*r+:32] = 32'(signed'(accumulators[r*AccBits+:AccBits]));
  endfunction

  // The end is when the record begins to leave; the bus may take its second beat late.
  assign record = {16'b0, tag_q, RecordBeats == 1 ? cycle_i : end_cycle_q, start_cycle_q, 32'h8000_0000};
  assign last_slice = slice_q == '1;
  assign send = space && ((state_q == ResultData && word_valid_i) || state_q == RecordData);
  assign word_ready_o = state_q == ResultData && space && last_slice;
  assign data_sent = send && beats_left_q == 5'd1;
  assign done_o = state_q == RecordFlush && inflight_q == '0 && !refused_q;
  assign done_irq_o = done_o && irq_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q    <= Idle;
      draining_q <= 1'b0;
    end else begin
      unique case (state_q)
        Idle:        if (op_valid_i) state_q <= Results;
        Results:     if (words_left_q == '0) state_q <= Flush;
                     else if (start_results) state_q <= ResultData;
        ResultData:  if (data_sent) state_q <= Results;
        Flush:       if (start_record) state_q <= RecordData;
        RecordData:  if (data_sent) state_q <= RecordFlush;
        RecordFlush: if (inflight_q == '0) state_q <= Idle;
        default:     state_q <= Idle;
      endcase
      if (state_q == Results) begin
        draining_q <= ready_words_i >= 10'(GroupWords) || complete_i || (draining_q && ready_words_i >= 10'(burst_words));
      end
      if (start_results) slice_q <= '0;
      else if (send) slice_q <= slice_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_o) begin
      irq_q         <= op_i.irq;
      tag_q         <= op_i.tag;
      start_cycle_q <= op_i.start_cycle;
      record_addr_q <= op_i.record_addr;
      addr_q        <= op_i.y_addr;
      words_left_q  <= op_i.words;
    end else if (start_results) begin
      // Right unless the burst was the operator's last, and then nobody asks.
      addr_q       <= {addr_q[AddrBits-1:LineBits] + 1'b1, LineBits'(0)};
      words_left_q <= words_left_q - 21'(burst_words);
    end
    if (!slice_q[0]) end_cycle_q <= cycle_i;
    if (start_results) beats_left_q <= 5'(burst_words) << $clog2(WordBeats);
    else if (start_record) beats_left_q <= 5'(RecordBeats);
    else if (send) beats_left_q <= beats_left_q - 1'b1;
  end

  // Address and data channels.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_valid_o <= 1'b0;
      w_valid_o  <= 1'b0;
    end else begin
      if (start_results || start_record) aw_valid_o <= 1'b1;
      else if (aw_ready_i) aw_valid_o <= 1'b0;
      if (send) w_valid_o <= 1'b1;
      else if (w_ready_i) w_valid_o <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_results || start_record) begin
      aw_o <= '{
        addr: burst_addr,
        len: ((state_q == Flush) ? len_t'(RecordBeats) : len_t'(burst_words) << $clog2(WordBeats)) - 1'b1
      };
    end
    if (send) begin
      w_data_o <= (state_q == RecordData) ? record[PortBits*slice_q[0]%128+:PortBits] : PortBits'(widen(word_i) >> (PortBits * slice_q));
      w_last_o <= data_sent;
    end
  end

  // Bursts in flight, oldest first, for the address of an error.
  addr_t burst_addrs[Outstanding];
  logic [TableBits-1:0] issue_ptr_q, answer_ptr_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      inflight_q   <= '0;
      issue_ptr_q  <= '0;
      answer_ptr_q <= '0;
    end else begin
      inflight_q   <= inflight_q + (TableBits + 1)'(start_results || start_record) - (TableBits + 1)'(b_valid_i);
      issue_ptr_q  <= issue_ptr_q + TableBits'(start_results || start_record);
      answer_ptr_q <= answer_ptr_q + TableBits'(b_valid_i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_results || start_record) burst_addrs[issue_ptr_q] <= burst_addr;
  end

  // A refused record completes nothing.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) refused_q <= 1'b0;
    else refused_q <= fault_o.valid;
  end

  assign fault_o = '{
    valid: b_valid_i && b_resp_i[1],
    code: b_resp_i[0] ? ErrWriteDecerr : ErrWriteSlverr,
    addr: burst_addrs[answer_ptr_q]
  };

  `TMV_REQUIRE(group, GroupBytes / WordBytes <= Window, "tmv_writer: a group must fit the reorder window")
  `TMV_REQUIRE(table, Outstanding >= 2 && (1 << TableBits) == Outstanding,
               "tmv_writer: Outstanding must be a power of two, at least 2")
  `TMV_ASSERT(BurstBacked, !(state_q == ResultData && space) || word_valid_i || ready_words_i != '0)
  `TMV_ASSERT(ResponseExpected, !b_valid_i || inflight_q != '0)
  `TMV_ASSERT(TableHolds, inflight_q <= (TableBits + 1)'(Outstanding))
  `TMV_COVER(AllBurstsInFlight, inflight_q == (TableBits + 1)'(Outstanding))
  `TMV_COVER(AddressStalled, aw_valid_o && !aw_ready_i)
  `TMV_COVER(DataStalled, w_valid_o && !w_ready_i)
  `TMV_COVER(ResultsGathered, state_q == Results && ready_words_i != '0 && words_left_q != '0 && !draining_q)
  `TMV_COVER(RecordWaits, state_q == Flush && inflight_q != '0)
  `TMV_COVER(HaltedInBurst, halt_i && state_q == ResultData)
endmodule
