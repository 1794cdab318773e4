`include "tmv_formal.svh"

/// `tmv_read_stream` asks for the beats of its commands, all of them, in order and by the rules of AXI4, and delivers
/// what comes back, once and in order, whatever memory, consumer and `halt_i` do.
///
/// The memory answers after any time, with any data, response and RLAST. Commands have any address and length. A beat,
/// picked by the solver, is followed through the queue; so what holds for it holds for every beat. Unbounded.
module tmv_read_stream_fv
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  parameter int unsigned PortBits = 64,
  parameter int unsigned FifoBeats = 32,
  parameter int unsigned Outstanding = 2
) (
  input logic                clk_i,
  input logic                halt_i,
  input logic                cmd_valid_i,
  input addr_t               cmd_addr_i,
  input beats_t              cmd_beats_i,
  input logic                ar_ready_i,
  input logic                r_valid_i,
  input logic [PortBits-1:0] r_data_i,
  input logic [         1:0] r_resp_i,
  input logic                r_last_i,
  input logic                r_illegal_i,
  input logic                beat_ready_i,
  /// Follow the beat that arrives now.
  input logic                pick_i
);
  localparam int unsigned ByteBits = $clog2(PortBits / 8);
  localparam int unsigned PtrBits = $clog2(Outstanding);

  typedef logic [15:0] count_t;
  typedef logic [PtrBits-1:0] ptr_t;

  `TMV_FORMAL_RESET

  logic quiet, cmd_ready, ar_valid, beat_valid;
  addr_t ar_addr;
  logic [7:0] ar_len;
  logic [PortBits-1:0] beat;
  fault_t fault;

  tmv_read_stream #(
    .PortBits   (PortBits),
    .FifoBeats  (FifoBeats),
    .Outstanding(Outstanding)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i,
    .quiet_o     (quiet),
    .cmd_valid_i,
    .cmd_ready_o (cmd_ready),
    .cmd_addr_i,
    .cmd_beats_i,
    .ar_valid_o  (ar_valid),
    .ar_ready_i,
    .ar_addr_o   (ar_addr),
    .ar_len_o    (ar_len),
    .r_valid_i,
    .r_data_i,
    .r_resp_i,
    .r_last_i,
    .r_illegal_i,
    .beat_valid_o(beat_valid),
    .beat_ready_i,
    .beat_o      (beat),
    .fault_o     (fault)
  );

  logic accept, ask, leave;

  assign accept = cmd_valid_i && cmd_ready;
  assign ask    = ar_valid && ar_ready_i;
  assign leave  = beat_valid && beat_ready_i;

  `TMV_ASSUME(CommandsAligned, !cmd_valid_i || cmd_addr_i[ByteBits-1:0] == '0)

  // Read address channel. A burst counts from the cycle it is first shown.
  logic waiting_q, reset_q, halt_q, show;
  addr_t ar_addr_q;
  logic [7:0] ar_len_q;
  count_t ar_beats;

  assign show     = ar_valid && !waiting_q;
  assign ar_beats = count_t'(ar_len) + 1'b1;

  always_ff @(posedge clk_i) begin
    reset_q   <= !rst_ni;
    waiting_q <= rst_ni && ar_valid && !ar_ready_i;
    halt_q    <= halt_i;
    ar_addr_q <= ar_addr;
    ar_len_q  <= ar_len;
  end

  `TMV_ASSERT(AXI_ERRM_VALID_RESET, !reset_q || !ar_valid)
  `TMV_ASSERT(AXI_ERRM_ARADDR_STABLE, !waiting_q || (ar_valid && ar_addr == ar_addr_q && ar_len == ar_len_q))
  `TMV_ASSERT(AXI_ERRM_ARADDR_BOUNDARY, !ar_valid || 16'(ar_addr[11:0]) + 16'(ar_beats << ByteBits) <= 16'd4096)
  `TMV_ASSERT(AtMost16Beats, !ar_valid || ar_len < 8'(BurstBeats))
  `TMV_ASSERT(NoBurstAfterHalt, !(show && halt_q))

  // The range that remains to be asked for, of the command at work.
  addr_t addr_q, addr_now;
  count_t left_q, left_now;

  assign addr_now = show ? addr_q + (addr_t'(ar_beats) << ByteBits) : addr_q;
  assign left_now = show ? left_q - ar_beats : left_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) left_q <= '0;
    else left_q <= accept ? cmd_beats_i : left_now;
    addr_q <= accept ? cmd_addr_i : addr_now;
  end

  `TMV_ASSERT(AddressesConsecutive, !show || ar_addr == addr_q)
  `TMV_ASSERT(NothingTooMuch, !show || ar_beats <= left_q)
  `TMV_ASSERT(AllBeforeTheNext, !accept || left_now == '0)

  // The memory: bursts it accepted and has not answered to the end. It may answer from the cycle after.
  addr_t mem_addr[Outstanding];
  logic [3:0] mem_len[Outstanding];
  ptr_t head_q, tail_q;
  count_t bursts_q, sent_q;
  logic last;

  assign last = sent_q == count_t'(mem_len[head_q]);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q   <= '0;
      tail_q   <= '0;
      bursts_q <= '0;
      sent_q   <= '0;
    end else begin
      tail_q   <= tail_q + ptr_t'(ask);
      head_q   <= head_q + ptr_t'(r_valid_i && last);
      bursts_q <= bursts_q + count_t'(ask) - count_t'(r_valid_i && last);
      if (r_valid_i) sent_q <= last ? '0 : sent_q + 1'b1;
    end
    if (ask) begin
      mem_addr[tail_q] <= ar_addr;
      mem_len[tail_q]  <= ar_len[3:0];
    end
  end

  `TMV_ASSUME(AnswersToQuestions, !r_valid_i || bursts_q != '0)

  `TMV_ASSERT(InFlight, bursts_q + count_t'(ar_valid) <= count_t'(Outstanding))
  `TMV_ASSERT(QuietMeansNone, quiet == (bursts_q == '0 && !ar_valid))

  // Beats owed, each of which must find room: RREADY has no register.
  count_t owed;

  always_comb begin
    owed = (ar_valid ? ar_beats : '0) - sent_q;
    for (int unsigned i = 0; i < Outstanding; i++) begin
      if (count_t'(ptr_t'(i - 32'(head_q))) < bursts_q) owed = owed + count_t'(mem_len[i]) + 1'b1;
    end
  end

  // Through the queue: beats in it, the followed one, and how many are ahead of it.
  count_t held_q, ahead_q;
  logic follow_q;
  logic [PortBits-1:0] value_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      held_q   <= '0;
      follow_q <= 1'b0;
    end else begin
      held_q <= held_q + count_t'(r_valid_i) - count_t'(leave);
      if (!follow_q) follow_q <= r_valid_i && pick_i;
      else if (leave && ahead_q == '0) follow_q <= 1'b0;
    end
    if (!follow_q) begin
      ahead_q <= held_q - count_t'(leave);
      value_q <= r_data_i;
    end else if (leave) ahead_q <= ahead_q - 1'b1;
  end

  `TMV_ASSERT(RoomForEveryBeatOwed, held_q + owed <= count_t'(FifoBeats))
  `TMV_ASSERT(NothingFromNothing, !leave || held_q != '0)
  `TMV_ASSERT(ValueAndOrder, !(follow_q && leave && ahead_q == '0) || beat == value_q)

  // Room that was reserved is given back: with nothing on its way the next burst goes out, so there is no deadlock.
  logic must_ask_q;

  always_ff @(posedge clk_i) begin
    must_ask_q <= rst_ni && left_now != '0 && !halt_i && bursts_q == '0 && held_q == '0 && !ar_valid;
  end

  `TMV_ASSERT(Progress, !must_ask_q || show)

  // Errors: a cycle after the beat, with its address.
  fault_t expected_q;

  always_ff @(posedge clk_i) begin
    expected_q.valid <= rst_ni && r_valid_i && (r_resp_i[1] || r_last_i != last || r_illegal_i);
    expected_q.code  <= (r_resp_i == 2'b11) ? ErrReadDecerr : (r_resp_i == 2'b10) ? ErrReadSlverr
        : (r_last_i != last) ? ErrReadLast : ErrBadWeight;
    expected_q.addr  <= mem_addr[head_q] + (addr_t'(sent_q) << ByteBits);
  end

  `TMV_ASSERT(FaultTold, fault.valid == expected_q.valid)
  `TMV_ASSERT(FaultRight, !fault.valid || (fault.code == expected_q.code && fault.addr == expected_q.addr))

  // Helpers for the induction: the model's state is the stream's.
  `TMV_ASSERT(HelpCommand, u_stream.left_q == left_now && (left_now == '0 || u_stream.addr_q == addr_now)
      && (left_now == '0 || addr_now[ByteBits-1:0] == '0))
  `TMV_ASSERT(HelpLine, !ar_valid || (5'(ar_addr[ByteBits+:4]) + 5'(ar_len) < 5'd16 && ar_len < 8'd16
      && ar_addr[ByteBits-1:0] == '0))
  `TMV_ASSERT(HelpTable, count_t'(u_stream.inflight_q) == bursts_q + count_t'(ar_valid)
      && u_stream.issue_ptr_q == ptr_t'(tail_q + ptr_t'(ar_valid)) && u_stream.burst_ptr_q == head_q
      && tail_q == ptr_t'(head_q + ptr_t'(bursts_q)) && count_t'(u_stream.beat_q) == sent_q)
  `TMV_ASSERT(HelpShown, !ar_valid || (u_stream.burst_len[tail_q] == ar_len[3:0]
      && u_stream.burst_addr[tail_q] == ar_addr))
  `TMV_ASSERT(HelpSent, (bursts_q == '0) ? sent_q == '0 : sent_q <= count_t'(mem_len[head_q]))
  for (genvar i = 0; i < int'(Outstanding); i++) begin : gen_burst
    `TMV_ASSERT(HelpBurst, count_t'(ptr_t'(i - 32'(head_q))) >= bursts_q
        || (u_stream.burst_len[i] == mem_len[i] && u_stream.burst_addr[i] == mem_addr[i]))
  end
  `TMV_ASSERT(HelpSpace, count_t'(u_stream.space_q) + held_q + owed == count_t'(FifoBeats))

  count_t stored;
  assign stored = count_t'(($clog2(FifoBeats) + 1)'(u_stream.u_fifo.wptr_q - u_stream.u_fifo.rptr_q));

  `TMV_ASSERT(HelpQueue, held_q == stored + count_t'(beat_valid) && stored <= count_t'(FifoBeats))
  `TMV_ASSERT(HelpAhead, !follow_q || ahead_q < held_q)
  `TMV_ASSERT(HelpValue, !follow_q || value_q == ((beat_valid && ahead_q == '0) ? beat
      : u_stream.u_fifo.mem[$clog2(FifoBeats)'(count_t'(u_stream.u_fifo.rptr_q) + ahead_q - count_t'(beat_valid))]))

  // One whole command of two bursts, across 4 KiB, and a beat of it is followed while both are on their way.
  logic across_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || accept) across_q <= 1'b0;
    else if (show && ar_addr[11:0] == '0 && bursts_q != '0 && left_now == '0) across_q <= 1'b1;
  end

  `TMV_COVER(TwoBurstsAndDone, across_q && quiet && follow_q && leave && ahead_q == '0 && held_q == 16'd1)
  `TMV_COVER(AllInFlight, bursts_q == count_t'(Outstanding))
endmodule
