`include "tmv_formal.svh"

/// `tmv_write_stream` writes all beats of its commands, in order, to the right addresses and by the rules of AXI4.
///
/// Client, memory and `halt_i` are free: the client offers beats and starts bursts at any time; the memory takes
/// addresses and data at any time and answers at any time, with any response. Only an answer after address and data of a
/// burst counts. Commands have any address and length. Unbounded.
module tmv_write_stream_fv
  import tmv_axi_pkg::*;
#(
  parameter int unsigned PortBits = 64,
  parameter int unsigned CountBits = 16,
  parameter int unsigned Outstanding = 2
) (
  input logic                 clk_i,
  input logic                 halt_i,
  input logic                 cmd_valid_i,
  input addr_t                cmd_addr_i,
  input logic [CountBits-1:0] cmd_beats_i,
  input logic                 burst_ready_i,
  input logic                 beat_valid_i,
  input logic [ PortBits-1:0] beat_i,
  input logic                 aw_ready_i,
  input logic                 w_ready_i,
  input logic                 b_valid_i,
  input logic [          1:0] b_resp_i
);
  localparam int unsigned ByteBits = $clog2(PortBits / 8);
  localparam int unsigned PtrBits = $clog2(Outstanding);

  typedef logic [CountBits-1:0] count_t;
  typedef logic [PtrBits+1:0] bursts_t;

  `TMV_FORMAL_RESET

  logic [PtrBits:0] inflight;
  logic quiet, cmd_ready, burst_valid, beat_ready, aw_valid, w_valid, w_last;
  length_t burst_beats;
  aw_t aw;
  logic [PortBits-1:0] w_data;
  bus_fault_t fault;

  tmv_write_stream #(
    .PortBits   (PortBits),
    .CountBits  (CountBits),
    .Outstanding(Outstanding)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i,
    .inflight_o   (inflight),
    .quiet_o      (quiet),
    .cmd_valid_i,
    .cmd_ready_o  (cmd_ready),
    .cmd_addr_i,
    .cmd_beats_i,
    .burst_valid_o(burst_valid),
    .burst_beats_o(burst_beats),
    .burst_ready_i,
    .beat_valid_i,
    .beat_ready_o (beat_ready),
    .beat_i,
    .aw_valid_o   (aw_valid),
    .aw_ready_i,
    .aw_o         (aw),
    .w_valid_o    (w_valid),
    .w_ready_i,
    .w_data_o     (w_data),
    .w_last_o     (w_last),
    .b_valid_i,
    .b_resp_i     (resp_e'(b_resp_i)),
    .fault_o      (fault)
  );

  logic accept, take, aw_taken, w_taken;

  assign accept   = cmd_valid_i && cmd_ready;
  assign take     = beat_valid_i && beat_ready;
  assign aw_taken = aw_valid && aw_ready_i;
  assign w_taken  = w_valid && w_ready_i;

  `TMV_ASSUME(CommandsAligned, !cmd_valid_i || cmd_addr_i[ByteBits-1:0] == '0)

  // Address and data stay until they are taken. Bursts and beats count from the first cycle of their VALID.
  logic reset_q, halt_q, aw_waiting_q, w_waiting_q, w_last_q, take_q, show, show_w;
  aw_t aw_q;
  logic [PortBits-1:0] w_data_q, beat_q;
  length_t aw_beats;

  assign show     = aw_valid && !aw_waiting_q;
  assign show_w   = w_valid && !w_waiting_q;
  assign aw_beats = length_t'(aw.len) + 1'b1;

  always_ff @(posedge clk_i) begin
    reset_q      <= !rst_ni;
    halt_q       <= halt_i;
    aw_waiting_q <= rst_ni && aw_valid && !aw_ready_i;
    w_waiting_q  <= rst_ni && w_valid && !w_ready_i;
    take_q       <= rst_ni && take;
    aw_q         <= aw;
    w_data_q     <= w_data;
    w_last_q     <= w_last;
    beat_q       <= beat_i;
  end

  `TMV_ASSERT(AXI_ERRM_VALID_RESET, !reset_q || !(aw_valid || w_valid))
  `TMV_ASSERT(AXI_ERRM_AWADDR_STABLE, !aw_waiting_q || (aw_valid && aw == aw_q))
  `TMV_ASSERT(AXI_ERRM_WDATA_STABLE, !w_waiting_q || (w_valid && w_data == w_data_q && w_last == w_last_q))
  `TMV_ASSERT(AXI_ERRM_AWADDR_BOUNDARY, !aw_valid || 16'(aw.addr[11:0]) + (16'(aw_beats) << ByteBits) <= 16'd4096)
  `TMV_ASSERT(AtMost16Beats, !aw_valid || aw.len < 8'(BurstBeats))
  `TMV_ASSERT(NoBurstAfterHalt, !(show && halt_q))

  // The rest of the command at work: the range that the stream has not announced yet.
  addr_t addr_q, addr_now;
  count_t left_q, left_now;

  assign addr_now = show ? addr_q + (addr_t'(aw_beats) << ByteBits) : addr_q;
  assign left_now = show ? left_q - count_t'(aw_beats) : left_q;

  // The memory acknowledges a burst after it has taken address and last beat. `aw_done_q`: bursts whose address was
  // taken, `w_done_q`: bursts whose last beat was taken, both without the acknowledged bursts.
  bursts_t aw_done_q, w_done_q;
  logic answer;

  assign answer = b_valid_i && aw_done_q != '0 && w_done_q != '0;

  // Bursts that are announced and not acknowledged; beats to come of the burst that is open.
  bursts_t bursts_q, bursts_now;
  length_t open_q, open_now;

  assign bursts_now = bursts_q + bursts_t'(show);
  assign open_now   = show ? aw_beats : open_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      left_q   <= '0;
      bursts_q <= '0;
      open_q   <= '0;
    end else begin
      left_q   <= accept ? cmd_beats_i : left_now;
      bursts_q <= bursts_now - bursts_t'(answer);
      open_q   <= open_now - length_t'(show_w);
    end
    addr_q <= accept ? cmd_addr_i : addr_now;
  end

  `TMV_ASSERT(AddressesConsecutive, !show || aw.addr == addr_q)
  `TMV_ASSERT(NothingTooMuch, !show || count_t'(aw_beats) <= left_q)
  `TMV_ASSERT(AllBeforeTheNext, !accept || (left_now == '0 && open_now == length_t'(show_w)))
  `TMV_ASSERT(InFlight, bursts_now <= bursts_t'(Outstanding))
  `TMV_ASSERT(QuietMeansNone, !quiet || (bursts_now == '0 && open_now == '0 && !aw_valid && !w_valid))
  `TMV_ASSERT(NoisyMeansSome, quiet || bursts_now != '0)

  // The length that the client sees is the length of the next burst.
  length_t told_q;

  always_ff @(posedge clk_i) told_q <= burst_beats;

  `TMV_ASSERT(ToldLength, !show || aw_beats == told_q)

  // Data follow their address, in the order of the bursts. WLAST marks the last beat of a burst and no other.
  `TMV_ASSERT(BurstAfterBurst, !show || open_q == '0)
  `TMV_ASSERT(DataBelongToBurst, !show_w || open_now != '0)
  `TMV_ASSERT(AXI_ERRM_WLAST, !show_w || w_last == (open_now == length_t'(1)))
  `TMV_ASSERT(BeatOnce, show_w == take_q)
  `TMV_ASSERT(Value, !show_w || w_data == beat_q)

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_done_q <= '0;
      w_done_q  <= '0;
    end else begin
      aw_done_q <= aw_done_q + bursts_t'(aw_taken) - bursts_t'(answer);
      w_done_q  <= w_done_q + bursts_t'(w_taken && w_last) - bursts_t'(answer);
    end
  end

  // Addresses of the bursts that are announced and not acknowledged, the oldest first.
  addr_t mem_addr[Outstanding];

  for (genvar i = 0; i < int'(Outstanding); i++) begin : gen_mem
    addr_t after;

    // When the oldest burst is acknowledged, all others move up by one.
    if (i + 1 < int'(Outstanding)) begin : gen_older
      assign after = answer ? mem_addr[i+1] : mem_addr[i];
    end else begin : gen_youngest
      assign after = mem_addr[i];
    end

    always_ff @(posedge clk_i) begin
      if (show && bursts_q - bursts_t'(answer) == bursts_t'(i)) mem_addr[i] <= aw.addr;
      else mem_addr[i] <= after;
    end

    // Helper: entries equal those of the stream.
    `TMV_ASSERT(HelpTable, bursts_t'(i) >= bursts_q
        || u_stream.burst_addr[PtrBits'(u_stream.answer_ptr_q + PtrBits'(i))] == mem_addr[i])
  end

  `TMV_ASSERT(FaultTold, fault.valid == (b_valid_i && (!answer || b_resp_i[1])))
  `TMV_ASSERT(StrayTold, !fault.valid || (fault.code == BusStray) == !answer)
  `TMV_ASSERT(FaultRight, !fault.valid || !answer || (fault.addr == mem_addr[0]
      && fault.code == ((b_resp_i == RespDecErr) ? BusWriteDecerr : BusWriteSlverr)))

  // No deadlock: with nothing in flight the next burst goes out when the client starts it.
  logic must_show_q;

  always_ff @(posedge clk_i) begin
    must_show_q <= rst_ni && left_now != '0 && open_now == length_t'(show_w) && burst_ready_i && !halt_i && quiet;
  end

  `TMV_ASSERT(Progress, !must_show_q || show)
  `TMV_ASSERT(BeatsAreTaken, beat_ready || open_now == length_t'(show_w) || (w_valid && !w_ready_i))

  // Helpers for the induction: the state of the model equals that of the stream.
  length_t to_send;

  assign to_send = open_now - length_t'(show_w);

  logic [CountBits:0] span;
  assign span = (CountBits + 1)'(left_now) + (CountBits + 1)'(addr_now[ByteBits+:4]);

  `TMV_ASSERT(HelpCommand, u_stream.busy_q == (left_now != '0) && (left_now == '0
      || (u_stream.left_q == span && u_stream.addr_q == addr_now && addr_now[ByteBits-1:0] == '0)))
  `TMV_ASSERT(HelpLength, left_now == '0 || (u_stream.last_q == (span <= (CountBits + 1)'(16))
      && u_stream.length_q == (u_stream.last_q ? left_now[4:0] : 5'd16 - 5'(addr_now[ByteBits+:4]))))
  `TMV_ASSERT(HelpFlight, bursts_t'(inflight) == bursts_now && bursts_t'(u_stream.complete_q) == w_done_q
      && PtrBits'(u_stream.issue_ptr_q - u_stream.answer_ptr_q) == PtrBits'(bursts_now))
  `TMV_ASSERT(HelpOpen, to_send == (u_stream.open_q ? u_stream.burst_left_q : '0) && u_stream.open_q == (to_send != '0)
      && to_send <= length_t'(BurstBeats))
  `TMV_ASSERT(HelpAnswers, aw_done_q + bursts_t'(aw_valid) == bursts_now
      && w_done_q + bursts_t'(to_send != '0) + bursts_t'(w_valid && w_last) == bursts_now)
  `TMV_ASSERT(HelpBounds, aw_done_q <= bursts_now && w_done_q <= bursts_now)
  `TMV_ASSERT(HelpLast, !(w_valid && !w_last) || to_send != '0)
  `TMV_ASSERT(HelpShow, !(show && show_w) && (!show || u_stream.open_q))
  `TMV_ASSERT(HelpLine, !aw_valid || (5'(aw.addr[ByteBits+:4]) + 5'(aw.len) < 5'd16 && aw.len < 8'd16
      && aw.addr[ByteBits-1:0] == '0))
  `TMV_ASSERT(HelpShown, !show
      || u_stream.burst_addr[PtrBits'(u_stream.issue_ptr_q - 1'b1)] == aw.addr)

  // A command of two bursts across 4 KiB, both in flight at the same time; the memory refuses the second.
  logic across_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || accept) across_q <= 1'b0;
    else if (show && aw.addr[11:0] == '0 && bursts_q != '0 && left_now == '0) across_q <= 1'b1;
  end

  `TMV_COVER(TwoBurstsAndRefused, across_q && fault.valid && bursts_q == bursts_t'(1))
  `TMV_COVER(StrayBetweenAddressAndData, fault.valid && !answer && aw_done_q != '0 && w_done_q == '0)
  `TMV_COVER(AllInFlight, bursts_q == bursts_t'(Outstanding))
endmodule
