`include "tmv_formal.svh"

/// `tmv_writer` writes all results of its operators, in order and by the rules of AXI4. The record of an operator
/// follows when all of its results are acknowledged.
///
/// The memory takes addresses and data at any time and answers a burst after both. The collector has any words ready at
/// any time. Operators have any number of words, at any aligned address. Unbounded.
module tmv_writer_fv
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  parameter  int unsigned PortBits = 128,
  parameter  int unsigned Outstanding = 2,
  localparam int unsigned WordBits = RowBlock * AccBits
) (
  input logic                clk_i,
  input logic                halt_i,
  input logic                op_valid_i,
  input retire_t             op_i,
  input logic [        31:0] cycle_i,
  input words_t               ready_words_i,
  input logic                complete_i,
  input logic                word_valid_i,
  input logic [WordBits-1:0] word_i,
  /// The words come from `tmv_row_place`, or from `tmv_column_drain`; rows or columns that were read. That words are at hand
  /// is assumed for all of them; a drain may leave gaps between its words.
  input logic                placed_i,
  input logic                drained_i,
  input logic [        13:0] read_i,
  input logic                aw_ready_i,
  input logic                w_ready_i,
  input logic                b_valid_i,
  input logic [         1:0] b_resp_i
);
  localparam int unsigned ByteBits = $clog2(PortBits / 8);
  localparam int unsigned WordBeats = RowBlock * 32 / PortBits;
  localparam int unsigned RecordBeats = 128 / PortBits;

  typedef logic [$clog2(Outstanding)+1:0] bursts_t;
  typedef logic [24:0] beats25_t;

  `TMV_FORMAL_RESET

  logic quiet, op_ready, tell, done, done_irq, start, word_ready, aw_valid, w_valid, w_last;
  aw_t aw_channel;
  addr_t aw_addr;
  len_t aw_len;
  logic [PortBits-1:0] w_data;
  fault_t fault;

  tmv_writer #(
    .PortBits   (PortBits),
    .Outstanding(Outstanding)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .halt_i,
    .quiet_o     (quiet),
    .op_valid_i,
    .op_ready_o  (op_ready),
    .op_i,
    .tell_o      (tell),
    .done_o      (done),
    .done_irq_o  (done_irq),
    .cycle_i,
    .start_o     (start),
    .ready_words_i,
    .read_i,
    .complete_i,
    .word_valid_i,
    .word_ready_o(word_ready),
    .placed_i,
    .drained_i,
    // A word that is not chosen is another one.
    .word_i      ('{placed_i || drained_i ? ~word_i : word_i, placed_i ? word_i : ~word_i, drained_i ? word_i : ~word_i}),
    .aw_valid_o  (aw_valid),
    .aw_ready_i,
    .aw_o        (aw_channel),
    .w_valid_o   (w_valid),
    .w_ready_i,
    .w_data_o    (w_data),
    .w_last_o    (w_last),
    .b_valid_i,
    .b_resp_i    (resp_e'(b_resp_i)),
    .fault_o     (fault)
  );

  logic accept, aw, w, take;

  assign aw_addr = aw_channel.addr;
  assign aw_len  = aw_channel.len;
  assign accept = op_valid_i && op_ready;
  assign aw     = aw_valid && aw_ready_i;
  assign w      = w_valid && w_ready_i;
  assign take   = word_valid_i && word_ready;

  // Results begin at a multiple of a word, a record at a multiple of 16 bytes. The front end refuses other addresses.
  `TMV_ASSUME(ResultsAligned, !op_valid_i || op_i.y_addr[4:0] == '0)
  `TMV_ASSUME(RecordAligned, !op_valid_i || op_i.record_addr[3:0] == '0)

  // Address and data stay until they are taken.
  logic reset_q, halt_q, aw_waiting_q, w_waiting_q, w_last_q, show, show_w, is_record;
  addr_t aw_addr_q;
  len_t aw_len_q;
  logic [PortBits-1:0] w_data_q;
  beats25_t aw_beats;

  assign show     = aw_valid && !aw_waiting_q;
  assign show_w   = w_valid && !w_waiting_q;
  assign aw_beats = beats25_t'(aw_len) + 1'b1;

  always_ff @(posedge clk_i) begin
    reset_q      <= !rst_ni;
    halt_q       <= halt_i;
    aw_waiting_q <= rst_ni && aw_valid && !aw_ready_i;
    w_waiting_q  <= rst_ni && w_valid && !w_ready_i;
    aw_addr_q    <= aw_addr;
    aw_len_q     <= aw_len;
    w_data_q     <= w_data;
    w_last_q     <= w_last;
  end

  `TMV_ASSERT(AXI_ERRM_VALID_RESET, !reset_q || !(aw_valid || w_valid))
  `TMV_ASSERT(AXI_ERRM_AWADDR_STABLE, !aw_waiting_q || (aw_valid && aw_addr == aw_addr_q && aw_len == aw_len_q))
  `TMV_ASSERT(AXI_ERRM_WDATA_STABLE, !w_waiting_q || (w_valid && w_data == w_data_q && w_last == w_last_q))
  `TMV_ASSERT(AXI_ERRM_AWADDR_BOUNDARY, !aw_valid || 16'(aw_addr[11:0]) + 16'(aw_beats << ByteBits) <= 16'd4096)
  `TMV_ASSERT(AtMost16Beats, !aw_valid || aw_len < 8'(BurstBeats))
  `TMV_ASSERT(NoBurstAfterHalt, !(show && halt_q))

  // The operator at work: the range that the writer has not announced yet, then the record.
  retire_t op_q;
  logic busy_q, recorded_q;
  addr_t addr_q, addr_now;
  beats25_t left_q, left_now;

  assign is_record = left_q == '0;
  assign addr_now  = (show && !is_record) ? addr_q + (addr_t'(aw_beats) << ByteBits) : addr_q;
  assign left_now  = (show && !is_record) ? left_q - aw_beats : left_q;

  // Bursts that are announced and not acknowledged; beats to come of the burst that is open.
  bursts_t bursts_q, bursts_now;
  logic [4:0] open_q, open_now;
  // The answer of the cycle before was a refusal.
  logic refused_q, end_refused;

  assign bursts_now = bursts_q + bursts_t'(show);
  assign open_now   = show ? aw_beats[4:0] : open_q;
  // After the record nothing else is in flight.
  assign end_refused = recorded_q && refused_q && bursts_q == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q     <= 1'b0;
      recorded_q <= 1'b0;
      bursts_q   <= '0;
      open_q     <= '0;
      refused_q  <= 1'b0;
    end else begin
      busy_q     <= accept || (busy_q && !done && !end_refused);
      refused_q  <= b_valid_i && b_resp_i[1];
      recorded_q <= !accept && (recorded_q || (show && is_record));
      bursts_q   <= bursts_now - bursts_t'(b_valid_i);
      open_q     <= open_now - 5'(show_w);
    end
    if (accept) op_q <= op_i;
    addr_q <= accept ? op_i.y_addr : addr_now;
    left_q <= accept ? beats25_t'(op_i.words * WordBeats) : left_now;
  end

  `TMV_ASSERT(NothingOutOfNothing, !show || (busy_q && !recorded_q))
  `TMV_ASSERT(AddressesConsecutive, !(show && !is_record) || (aw_addr == addr_q && aw_beats <= left_q))
  `TMV_ASSERT(Record, !(show && is_record) || (aw_addr == op_q.record_addr && aw_len == 8'(RecordBeats - 1)))
  `TMV_ASSERT(RecordAfterAllResults, !(show && is_record) || bursts_q == '0)
  // The other unit is told once, when all results are acknowledged, and before the record.
  logic told_q;

  always_ff @(posedge clk_i) told_q <= rst_ni && !accept && (told_q || tell);

  `TMV_ASSERT(TellAfterAllResults, !tell || (busy_q && op_q.tell && left_q == '0 && bursts_now == '0))
  `TMV_ASSERT(TellOnce, !tell || !(told_q || recorded_q))
  `TMV_ASSERT(TellBeforeRecord, !(show && is_record) || told_q || !op_q.tell)
  `TMV_ASSERT(HaltedTellsNothing, !tell || !halt_i)
  `TMV_ASSERT(HelpTold, !told_q || recorded_q || (show && is_record))
  `TMV_ASSERT(DoneAfterRecord, !done || (busy_q && recorded_q && bursts_now == '0 && left_now == '0))
  `TMV_ASSERT(RefusedIsNotDone, !done || !refused_q)
  `TMV_ASSERT(DoneIrq, done_irq == (done && op_q.irq))
  `TMV_ASSERT(OneOperatorAtATime, !accept || !busy_q)
  `TMV_ASSERT(InFlight, bursts_now <= bursts_t'(Outstanding))
  // Data follow their address, in the order of the bursts. WLAST marks the last beat of a burst and no other.
  `TMV_ASSERT(BurstAfterBurst, !show || open_q == '0)
  `TMV_ASSERT(DataBelongToBurst, !show_w || open_now != '0)
  `TMV_ASSERT(AXI_ERRM_WLAST, !show_w || w_last == (open_now == 5'd1))
  `TMV_ASSERT(QuietMeansNone, !quiet || (bursts_now == '0 && open_now == '0 && !aw_valid && !w_valid))

  // The memory acknowledges a burst after it has taken address and last beat. `aw_done_q`: bursts whose address was
  // taken, `w_done_q`: bursts whose last beat was taken, both without the acknowledged bursts.
  bursts_t aw_done_q, w_done_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_done_q <= '0;
      w_done_q  <= '0;
    end else begin
      aw_done_q <= aw_done_q + bursts_t'(aw) - bursts_t'(b_valid_i);
      w_done_q  <= w_done_q + bursts_t'(w && w_last) - bursts_t'(b_valid_i);
    end
  end

  `TMV_ASSUME(AnswersToBursts, !b_valid_i || (aw_done_q != '0 && w_done_q != '0))

  // The collector: words that are ready stay ready, and one of them is offered a cycle later. `ready_words_i` counts
  // words of the operator at work only, for which the collector was started.
  words_t ready_q;
  logic word_stalled_q, take_q;
  logic [WordBits-1:0] word_q;
  logic [20:0] untaken_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ready_q   <= '0;
      untaken_q <= '0;
    end else begin
      ready_q <= ready_words_i - words_t'(take);
      if (accept) untaken_q <= op_i.words;
      else untaken_q <= untaken_q - 21'(take);
    end
    word_stalled_q <= rst_ni && word_valid_i && !word_ready;
    take_q         <= rst_ni && take;
    word_q         <= word_i;
  end

  `TMV_ASSUME(ReadyStays, ready_words_i >= ready_q && 21'(ready_words_i) <= untaken_q && ready_words_i <= words_t'(512))
  `TMV_ASSUME(WordsAreOffered, (ready_q == '0 || word_valid_i) && (ready_words_i != '0 || !word_valid_i))
  `TMV_ASSUME(WordStays, !word_stalled_q || (word_valid_i && word_i == word_q))
  `TMV_ASSUME(OperatorsFit, !op_valid_i || op_i.words <= 21'd1048576)

  // A burst is announced only when its words are ready, so it cannot stop in the middle.
  `TMV_ASSERT(WordsAtHand, !(show && !is_record) || 25'(ready_q) * WordBeats >= aw_beats)
  `TMV_ASSERT(NeverBeyondTheEnd, !take || ready_words_i != '0)
  `TMV_ASSERT(AllTaken, !(show && is_record) || untaken_q == '0)

  // Values. A beat is a slice of the current word; the writer takes the word with its last slice.
  logic [$clog2(WordBeats)-1:0] slice_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || show) slice_q <= '0;
    else if (show_w && !recorded_q) slice_q <= slice_q + 1'b1;
  end

  for (genvar i = 0; i < int'(PortBits / 32); i++) begin : gen_value
    logic [AccBits-1:0] acc;
    assign acc = AccBits'(word_q >> (AccBits * (32'(slice_q) * (PortBits / 32) + i)));

    `TMV_ASSERT(Value, !(show_w && !recorded_q) || w_data[32*i+:32] == 32'(signed'(acc)))
  end

  `TMV_ASSERT(WordOnce, take_q == (show_w && !recorded_q && slice_q == '1))

  // Helpers for the induction: the model's state is that of the writer and its stream.
  logic in_results, in_record, in_end, in_data;
  assign in_results = u_writer.state_q == 2'd1;
  assign in_record  = u_writer.state_q == 2'd2;
  assign in_end     = u_writer.state_q == 2'd3;
  assign in_data    = in_results && u_writer.u_stream.open_q;

  logic [4:0] to_send;
  assign to_send = open_now - 5'(show_w);

  `TMV_ASSERT(HelpState, busy_q == (u_writer.state_q != 2'd0)
      && (in_results || in_record || !(u_writer.u_stream.busy_q || u_writer.u_stream.open_q)))
  // The stream counts the rest of a command from the begin of its line.
  beats25_t span, record_span;
  assign span        = left_now + beats25_t'(addr_now[ByteBits+:4]);
  assign record_span = beats25_t'(RecordBeats) + beats25_t'(op_q.record_addr[ByteBits+:4]);

  `TMV_ASSERT(HelpLeft, !in_results || (u_writer.u_stream.busy_q == (left_now != '0) && (left_now == '0
      || (beats25_t'(u_writer.u_stream.left_q) == span && u_writer.u_stream.addr_q == addr_now && addr_now[4:0] == '0
          && u_writer.u_stream.last_q == (span <= beats25_t'(16))
          && u_writer.u_stream.length_q
              == (u_writer.u_stream.last_q ? left_now[4:0] : 5'd16 - 5'(addr_now[ByteBits+:4]))))))
  `TMV_ASSERT(HelpRefused, u_writer.refused_q == refused_q)
  `TMV_ASSERT(HelpRecord, !busy_q || (u_writer.record_addr_q == op_q.record_addr && op_q.record_addr[3:0] == '0
      && u_writer.irq_q == op_q.irq && u_writer.tell_q == op_q.tell))
  `TMV_ASSERT(HelpRecordNext, !(in_record && u_writer.u_stream.busy_q)
      || (beats25_t'(u_writer.u_stream.left_q) == record_span && u_writer.u_stream.last_q
      && u_writer.u_stream.length_q == 5'(RecordBeats) && u_writer.u_stream.addr_q == op_q.record_addr
      && !u_writer.u_stream.open_q))
  `TMV_ASSERT(HelpRecorded, !busy_q
      || ((in_record && !u_writer.u_stream.busy_q) || in_end) == (recorded_q || (show && is_record)))
  // The last beat of the record is on the bus when the writer begins to wait for the answer, so no answer is earlier.
  `TMV_ASSERT(HelpRecordOpen, !in_record || u_writer.u_stream.busy_q || u_writer.u_stream.open_q || show_w)
  `TMV_ASSERT(HelpNothingLeft, !(in_record || in_end) || left_now == '0)
  `TMV_ASSERT(HelpFlight, bursts_t'(u_writer.u_stream.inflight_q) == bursts_now
      && bursts_t'(u_writer.u_stream.complete_q) == w_done_q)
  `TMV_ASSERT(HelpOpen, to_send == (u_writer.u_stream.open_q ? u_writer.u_stream.burst_left_q : '0)
      && u_writer.u_stream.open_q == (to_send != '0) && to_send <= 5'd16)
  `TMV_ASSERT(HelpIdle, busy_q || (bursts_now == '0 && !aw_valid && !w_valid))
  `TMV_ASSERT(HelpAnswers, aw_done_q + bursts_t'(aw_valid) == bursts_now
      && w_done_q + bursts_t'(to_send != '0) + bursts_t'(w_valid && w_last) == bursts_now)
  `TMV_ASSERT(HelpBounds, aw_done_q <= bursts_now && w_done_q <= bursts_now)
  `TMV_ASSERT(HelpLast, !(w_valid && !w_last) || to_send != '0)
  `TMV_ASSERT(HelpShow, !(show && show_w) && (!show || u_writer.u_stream.open_q))
  `TMV_ASSERT(HelpSlice, !in_results
      || u_writer.slice_q == ((in_data && !show) ? $clog2(WordBeats)'(slice_q + show_w) : '0))
  `TMV_ASSERT(HelpLine, !aw_valid || (5'(aw_addr[ByteBits+:4]) + 5'(aw_len) < 5'd16 && aw_len < 8'd16))
  `TMV_ASSERT(HelpWords, !in_data || (u_writer.slice_q == $clog2(WordBeats)'(-to_send)
      && beats25_t'(ready_q) * WordBeats >= beats25_t'(to_send)))
  `TMV_ASSERT(HelpUntaken, !busy_q || (beats25_t'(untaken_q) * WordBeats == left_now
      + (in_data ? ((beats25_t'(to_send) + beats25_t'(WordBeats - 1)) / WordBeats) * WordBeats : '0)))

  `TMV_COVER(ResultsAndRecord, done && op_q.words != '0)
  `TMV_COVER(TwoBurstsInFlight, show && !is_record && bursts_q != '0)
endmodule
