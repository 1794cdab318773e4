`include "tmv_formal.svh"

/// `tmv_read_stream` requests all beats of its commands, in order and by the rules of AXI4, and delivers each beat once
/// and in order.
///
/// Memory, consumer and `halt_i` are free: the memory answers after any time, with any data, response, ID and RLAST, and
/// it answers without a question.
/// Commands have any address and length. Unbounded, except for the values of beats: `gen_follow` follows them for a
/// bounded time. For longer times `RoomReserved` in the stream says that the queue takes every beat, and the proof of
/// `tmv_fifo` says that a queue keeps its entries.
module tmv_read_stream_fv
  import tmv_axi_pkg::*;
#(
  parameter int unsigned PortBits = 64,
  parameter int unsigned FifoBeats = 32,
  parameter int unsigned Outstanding = 2,
  /// Follow a beat through the queue.
  parameter int unsigned Follow = 0
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
  input logic                r_id_i,
  input logic                r_illegal_i,
  input logic                beat_ready_i,
  /// The beat that arrives in this cycle is the one to follow.
  input logic                pick_i
);
  localparam int unsigned ByteBits = $clog2(PortBits / 8);
  localparam int unsigned PtrBits = $clog2(Outstanding);

  /// Beats in the queue or on their way; bursts. Wide enough not to wrap where an assertion would notice.
  typedef logic [$clog2(FifoBeats)+1:0] count_t;
  typedef logic [PtrBits-1:0] ptr_t;

  `TMV_FORMAL_RESET

  logic quiet, cmd_ready, ar_valid, beat_valid, taken;
  logic [PtrBits:0] inflight;
  ar_t ar;
  addr_t ar_addr;
  len_t ar_len;
  logic [PortBits-1:0] beat;
  bus_fault_t fault;

  tmv_read_stream #(
    .PortBits   (PortBits),
    .FifoBeats  (FifoBeats),
    .Outstanding(Outstanding)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i,
    .inflight_o  (inflight),
    .quiet_o     (quiet),
    .cmd_valid_i,
    .cmd_ready_o (cmd_ready),
    .cmd_addr_i,
    .cmd_beats_i,
    .ar_valid_o  (ar_valid),
    .ar_ready_i,
    .ar_held_i   (1'b0),
    .ar_o        (ar),
    .r_valid_i,
    .r_data_i,
    .r_i         ('{resp: resp_e'(r_resp_i), last: r_last_i, id: r_id_i}),
    .r_taken_o   (taken),
    .r_illegal_i,
    .beat_valid_o(beat_valid),
    .beat_ready_i,
    .beat_o      (beat),
    .fault_o     (fault)
  );

  logic accept, ask, leave, answer;

  assign ar_addr = ar.addr;
  assign ar_len  = ar.len;
  assign accept = cmd_valid_i && cmd_ready;
  assign ask    = ar_valid && ar_ready_i;
  assign leave  = beat_valid && beat_ready_i;

  `TMV_ASSUME(CommandsAligned, !cmd_valid_i || cmd_addr_i[ByteBits-1:0] == '0)

  // Read address channel. A burst counts from the first cycle of its ARVALID.
  logic waiting_q, reset_q, halt_q, show;
  addr_t ar_addr_q;
  len_t ar_len_q;
  beats_t ar_beats;

  assign show     = ar_valid && !waiting_q;
  assign ar_beats = beats_t'(ar_len) + 1'b1;

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

  // The rest of the command at work: the range that the stream has not requested yet.
  addr_t addr_q, addr_now;
  beats_t left_q, left_now;

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

  // The memory: bursts that it has accepted and not yet answered completely, the oldest first. Each has the number of
  // beats to come and the address of the next beat. The first answer comes a cycle after the burst at the earliest.
  logic [4:0] mem_left[Outstanding];
  addr_t mem_addr[Outstanding];
  count_t bursts_q;
  logic last, ends;

  assign last = mem_left[0] == 5'd1;
  // Only a beat of a burst that the memory has accepted is an answer.
  assign answer = r_valid_i && bursts_q != '0 && !r_id_i;
  assign ends = answer && last;

  `TMV_ASSERT(OnlyAnswersAreTaken, taken == answer)

  always_ff @(posedge clk_i) begin
    if (!rst_ni) bursts_q <= '0;
    else bursts_q <= bursts_q + count_t'(ask) - count_t'(ends);
  end

  for (genvar i = 0; i < int'(Outstanding); i++) begin : gen_mem
    logic [4:0] left_after;
    addr_t addr_after;

    // When the oldest burst ends, all others move up by one.
    if (i + 1 < int'(Outstanding)) begin : gen_older
      assign left_after = ends ? mem_left[i+1] : mem_left[i] - 5'(answer && i == 0);
      assign addr_after = ends ? mem_addr[i+1] : mem_addr[i] + (addr_t'(answer && i == 0) << ByteBits);
    end else begin : gen_youngest
      assign left_after = ends ? '0 : mem_left[i] - 5'(answer && i == 0);
      assign addr_after = mem_addr[i] + (addr_t'(answer && i == 0) << ByteBits);
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) mem_left[i] <= '0;
      else if (ask && bursts_q - count_t'(ends) == count_t'(i)) mem_left[i] <= ar_beats[4:0];
      else mem_left[i] <= left_after;
      if (ask && bursts_q - count_t'(ends) == count_t'(i)) mem_addr[i] <= ar_addr;
      else mem_addr[i] <= addr_after;
    end

    // Helpers: entries are in use from the first on, and equal those of the stream.
    ptr_t place;
    logic [3:0] sent;
    assign place = u_stream.u_bursts.burst_ptr_q + ptr_t'(i);
    assign sent = (i == 0) ? u_stream.u_bursts.beat_q : '0;

    `TMV_ASSERT(HelpInUse, (mem_left[i] != '0) == (count_t'(i) < bursts_q))
    `TMV_ASSERT(HelpBurst, mem_left[i] == '0 || (6'(u_stream.u_bursts.burst_len[place]) + 6'd1 == 6'(mem_left[i]) + 6'(sent)
        && u_stream.u_bursts.burst_addr[place] + (addr_t'(sent) << ByteBits) == mem_addr[i]))
  end

  `TMV_ASSERT(InFlight, bursts_q + count_t'(ar_valid) <= count_t'(Outstanding))
  `TMV_ASSERT(QuietMeansNone, quiet == (bursts_q == '0 && !ar_valid))

  // Beats that the memory owes. Each must find room, because RREADY is always high.
  count_t owed;

  always_comb begin
    owed = ar_valid ? count_t'(ar_beats) : '0;
    for (int unsigned i = 0; i < Outstanding; i++) owed = owed + count_t'(mem_left[i]);
  end

  // Beats in the queue.
  count_t held_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) held_q <= '0;
    else held_q <= held_q + count_t'(answer) - count_t'(leave);
  end

  `TMV_ASSERT(RoomForEveryBeatOwed, held_q + owed <= count_t'(FifoBeats))
  `TMV_ASSERT(NothingFromNothing, !leave || held_q != '0)

  // The solver picks a beat; `ahead_q` counts the beats ahead of it. The choice is free: this holds for every beat.
  if (Follow != 0) begin : gen_follow
    count_t ahead_q;
    logic follow_q, arrives;
    logic [PortBits-1:0] value_q;

    assign arrives = leave && follow_q && ahead_q == '0;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) follow_q <= 1'b0;
      else if (!follow_q) follow_q <= answer && pick_i;
      else if (arrives) follow_q <= 1'b0;
      if (!follow_q) begin
        ahead_q <= held_q - count_t'(leave);
        value_q <= r_data_i;
      end else if (leave) ahead_q <= ahead_q - 1'b1;
    end

    `TMV_ASSERT(ValueAndOrder, !arrives || beat == value_q)
    `TMV_COVER(FourthOfFive, arrives && held_q == count_t'(2) && ahead_q == '0 && bursts_q == '0)
  end

  // No deadlock: with nothing in flight and an empty queue the next burst goes out, so no reserved room is lost.
  logic must_ask_q;

  always_ff @(posedge clk_i) begin
    must_ask_q <= rst_ni && left_now != '0 && !halt_i && bursts_q == '0 && held_q == '0 && !ar_valid;
  end

  `TMV_ASSERT(Progress, !must_ask_q || show)

  // An error comes a cycle after its beat, with the address of the beat.
  bus_fault_t expected_q;

  always_ff @(posedge clk_i) begin
    expected_q.valid <= rst_ni && r_valid_i && (!answer || r_resp_i[1] || r_last_i != last || r_illegal_i);
    expected_q.code  <= !answer ? BusStray : (r_resp_i == RespDecErr) ? BusReadDecerr : (r_resp_i == RespSlvErr) ? BusReadSlverr
        : (r_last_i != last) ? BusReadLast : BusBeatIllegal;
    expected_q.addr  <= mem_addr[0];
  end

  `TMV_ASSERT(FaultTold, fault.valid == expected_q.valid)
  `TMV_ASSERT(FaultRight, !fault.valid || (fault.code == expected_q.code
      && (fault.code == BusStray || fault.addr == expected_q.addr)))

  // Helpers for the induction: the state of the model equals that of the stream.
  logic [16:0] span;
  assign span = 17'(left_now) + 17'(addr_now[ByteBits+:4]);

  `TMV_ASSERT(HelpCommand, u_stream.u_bursts.busy_q == (left_now != '0) && (left_now == '0
      || (u_stream.u_bursts.left_q == span && u_stream.u_bursts.addr_q == addr_now && addr_now[ByteBits-1:0] == '0)))
  `TMV_ASSERT(HelpLength, left_now == '0 || (u_stream.u_bursts.last_q == (span <= 17'd16)
      && u_stream.u_bursts.length_q == (u_stream.u_bursts.last_q ? left_now[4:0] : 5'd16 - 5'(addr_now[ByteBits+:4]))))
  `TMV_ASSERT(HelpLine, !ar_valid || (5'(ar_addr[ByteBits+:4]) + 5'(ar_len) < 5'd16 && ar_len < 8'd16
      && ar_addr[ByteBits-1:0] == '0))
  ptr_t shown;
  assign shown = u_stream.u_bursts.issue_ptr_q - 1'b1;

  `TMV_ASSERT(HelpTable, count_t'(inflight) == bursts_q + count_t'(ar_valid)
      && u_stream.u_bursts.issue_ptr_q == ptr_t'(u_stream.u_bursts.burst_ptr_q + ptr_t'(u_stream.u_bursts.inflight_q)))
  `TMV_ASSERT(HelpShown, !ar_valid || (u_stream.u_bursts.burst_len[shown] == ar_len[3:0]
      && u_stream.u_bursts.burst_addr[shown] == ar_addr))
  `TMV_ASSERT(HelpIdle, bursts_q != '0 || u_stream.u_bursts.beat_q == '0)
  // The same number as `owed`, counted. Induction is faster with two steps: count equals sum, count fits the room.
  count_t counted_q, counted;
  assign counted = counted_q + (show ? count_t'(ar_beats) : '0);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) counted_q <= '0;
    else counted_q <= counted - count_t'(answer);
  end

  `TMV_ASSERT(HelpOwed, counted == owed)
  `TMV_ASSERT(HelpSpace, count_t'(u_stream.u_bursts.space_q) + held_q + counted == count_t'(FifoBeats))

  count_t stored;
  assign stored = count_t'(($clog2(FifoBeats) + 1)'(u_stream.u_fifo.wptr_q - u_stream.u_fifo.rptr_q));

  `TMV_ASSERT(HelpQueue, held_q == stored + count_t'(beat_valid) && stored <= count_t'(FifoBeats))

  // A command of two bursts across 4 KiB, both in flight at the same time.
  logic across_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || accept) across_q <= 1'b0;
    else if (show && ar_addr[11:0] == '0 && bursts_q != '0 && left_now == '0) across_q <= 1'b1;
  end

  `TMV_COVER(TwoBurstsAndDone, across_q && quiet && leave && held_q == count_t'(1))
  `TMV_COVER(AllInFlight, bursts_q == count_t'(Outstanding))
  `TMV_COVER(StrayBesideAddress, fault.valid && fault.code == BusStray && waiting_q)
endmodule
