`include "tmv_macros.svh"

/// Result writer: writes the results of each operator, then its completion record; operators in order.
///
///   Idle -> Results -> Record -> Answer -> Idle
///
/// Waits until `GroupBytes` of results or the rest of the operator are ready, then writes until no whole burst is ready
/// any more. A burst starts only when all of its words are ready, so it can always be finished. (Sums of columns count as
/// ready when all of them are complete: `tmv_column_drain` then needs some cycles for a word, and nothing can hold it up.) A result word,
/// `RowBlock` accumulators, becomes as many int32 values. The record is the last 16 bytes of the descriptor; it starts
/// when every result of its operator is acknowledged. If the memory refuses the record, the operator is not complete.
/// `tmv_write_stream` cuts bursts and speaks AXI. Combinational: `op_valid_i` to `start_o`, `w_ready_i` to
/// `word_ready_o`, the response to `fault_o`.
module tmv_writer
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Bytes of results that are worth a turnaround of the memory bus.
  parameter  int unsigned GroupBytes = 1024,
  /// Bursts in flight, a power of two, at least 2.
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned TableBits = $clog2(Outstanding),
  localparam int unsigned WordBits = RowBlock * AccBits
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  /// No new burst starts while this is high.
  input  logic                  halt_i,
  /// Bursts that are open or in flight; none of them.
  output logic [TableBits:0]    inflight_o,
  output logic                  quiet_o,
  /// Operators, in order.
  input  logic                  op_valid_i,
  output logic                  op_ready_o,
  input  retire_t               op_i,
  /// All results of an operator with TELL are in memory, for a cycle. Its record is not.
  output logic                  tell_o,
  /// The record of the operator was acknowledged; the operator asks for an interrupt.
  output logic                  done_o,
  output logic                  done_irq_o,
  /// Cycle counter, for the record.
  input  logic [          31:0] cycle_i,
  /// Collector: begin of an operator, words that are ready, and the words. See `tmv_collector`.
  output logic                  start_o,
  input  words_t                ready_words_i,
  /// Rows or columns that the operator at work reads, if it skips some; else 0.
  input  logic [          13:0] read_i,
  input  logic                  complete_i,
  input  logic                  word_valid_i,
  output logic                  word_ready_o,
  /// The word comes from the collector, or from `tmv_row_place`, or from `tmv_column_drain`. All are inputs: a beat is chosen
  /// with its slice.
  input  logic                  placed_i,
  input  logic                  drained_i,
  input  logic [  WordBits-1:0] word_i [3],
  /// Write channels, see `tmv_write_stream`.
  output logic                  aw_valid_o,
  input  logic                  aw_ready_i,
  output aw_t                   aw_o,
  output logic                  w_valid_o,
  input  logic                  w_ready_i,
  output logic [  PortBits-1:0] w_data_o,
  output logic                  w_last_o,
  input  logic                  b_valid_i,
  input  resp_e                 b_resp_i,
  /// An error, in the cycle of its response, with the address of the burst.
  output fault_t                fault_o
);
  localparam int unsigned WordBytes = RowBlock * 4;
  localparam int unsigned WordBeats = WordBytes * 8 / PortBits;
  localparam int unsigned GroupWords = GroupBytes / WordBytes;
  localparam int unsigned RecordBeats = 128 / PortBits;
  localparam int unsigned SliceBits = $clog2(WordBeats);
  localparam int unsigned CountBits = $bits(op_i.words) + SliceBits;

  typedef enum logic [1:0] {
    Idle,
    Results,
    Record,
    Answer
  } state_e;

  state_e state_q;
  logic irq_q, tell_q;
  logic [15:0] tag_q;
  logic [31:0] start_cycle_q, end_cycle_q;
  addr_t record_addr_q;

  // Two commands for an operator: its results, then its record.
  logic cmd_valid, cmd_ready;
  addr_t cmd_addr;
  logic [CountBits-1:0] cmd_beats;

  assign op_ready_o = state_q == Idle;
  assign start_o = op_valid_i && op_ready_o;
  assign cmd_valid = start_o || state_q == Results;
  assign cmd_addr = (state_q == Idle) ? op_i.y_addr : record_addr_q;
  assign cmd_beats = (state_q == Idle) ? CountBits'(op_i.words) << SliceBits : CountBits'(RecordBeats);

  // A burst of results starts when a group was ready and all words of the burst are. The record starts when every
  // result is acknowledged.
  logic burst_valid, burst_ready, enough, draining_q;
  length_t burst_beats, burst_words;

  assign burst_words = burst_beats >> SliceBits;
  assign enough = ready_words_i >= words_t'(burst_words);
  assign burst_ready = (state_q == Results) ? draining_q && enough : quiet_o;

  // A beat is a slice of the current word or of the record.
  logic beat_valid, beat_ready;
  logic [PortBits-1:0] beat;
  logic [127:0] record;
  logic [SliceBits-1:0] slice_q;
  logic refused_q;
  bus_fault_t stream_fault;

  /// The result word as int32 values.
  function automatic logic [WordBytes*8-1:0] widen(logic [WordBits-1:0] accumulators);
    for (int unsigned r = 0; r < RowBlock; r++) widen[32*r+:32] = 32'(signed'(accumulators[r*AccBits+:AccBits]));
  endfunction

  // END_CYCLE is when the first beat of the record leaves; the bus may take the second beat late.
  assign record = {16'b0, tag_q, RecordBeats == 1 ? cycle_i : end_cycle_q, start_cycle_q, 18'h20000, read_i};
  assign beat_valid = word_valid_i || state_q == Record;
  // Zero while the next burst waits, which is most of the time: the simulator then skips the work.
  always_comb begin
    beat = '0;
    if (!burst_valid) begin
      beat = (state_q == Record) ? record[PortBits*slice_q[0]%128+:PortBits]
          : drained_i ? PortBits'(widen(word_i[2]) >> (PortBits * slice_q))
          : placed_i ? PortBits'(widen(word_i[1]) >> (PortBits * slice_q))
          : PortBits'(widen(word_i[0]) >> (PortBits * slice_q));
    end
  end

  // A record has fewer slices than a word, so it takes no word.
  assign word_ready_o = beat_ready && slice_q == '1;
  assign done_o = state_q == Answer && quiet_o && !refused_q;
  assign done_irq_o = done_o && irq_q;
  // The record starts in this cycle. If the last response was an error, the unit halts in this cycle.
  assign tell_o = state_q == Record && burst_valid && quiet_o && tell_q && !halt_i;
  assign fault_o = fault_t'(stream_fault);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q    <= Idle;
      draining_q <= 1'b0;
      refused_q  <= 1'b0;
    end else begin
      unique case (state_q)
        Idle:    if (op_valid_i) state_q <= Results;
        Results: if (cmd_ready) state_q <= Record;
        Record:  if (cmd_ready) state_q <= Answer;
        Answer:  if (quiet_o) state_q <= Idle;
      endcase
      if (burst_valid) draining_q <= ready_words_i >= words_t'(GroupWords) || complete_i || (draining_q && enough);
      // A refused record completes nothing.
      refused_q <= stream_fault.valid;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!slice_q[0]) end_cycle_q <= cycle_i;
    if (start_o) begin
      irq_q         <= op_i.irq;
      tell_q        <= op_i.tell;
      tag_q         <= op_i.tag;
      start_cycle_q <= op_i.start_cycle;
      record_addr_q <= op_i.record_addr;
      slice_q       <= '0;
    end else if (beat_valid && beat_ready) slice_q <= slice_q + 1'b1;
  end

  tmv_write_stream #(
    .PortBits   (PortBits),
    .CountBits  (CountBits),
    .Outstanding(Outstanding)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i,
    .inflight_o,
    .quiet_o,
    .cmd_valid_i  (cmd_valid),
    .cmd_ready_o  (cmd_ready),
    .cmd_addr_i   (cmd_addr),
    .cmd_beats_i  (cmd_beats),
    .burst_valid_o(burst_valid),
    .burst_beats_o(burst_beats),
    .burst_ready_i(burst_ready),
    .beat_valid_i (beat_valid),
    .beat_ready_o (beat_ready),
    .beat_i       (beat),
    .aw_valid_o,
    .aw_ready_i,
    .aw_o,
    .w_valid_o,
    .w_ready_i,
    .w_data_o,
    .w_last_o,
    .b_valid_i,
    .b_resp_i,
    .fault_o      (stream_fault)
  );

  `TMV_REQUIRE(group, GroupBytes / WordBytes <= Window, "tmv_writer: a group must fit the reorder window")
  `TMV_ASSERT_IF(BurstBacked, state_q == Results && beat_ready, word_valid_i || ready_words_i != '0)
  `TMV_ASSERT(StreamIsIdle, state_q != Idle || cmd_ready)
  `TMV_COVER(ResultsGathered, state_q == Results && burst_valid && ready_words_i != '0 && !draining_q)
  `TMV_COVER(RecordWaits, state_q == Record && burst_valid && !quiet_o)
endmodule
