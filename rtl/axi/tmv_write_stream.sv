`include "tmv_macros.svh"

/// AXI4 write master for contiguous ranges: takes (address, beats) commands and the beats of each, in order.
///
/// Bursts end at multiples of `BurstBeats` beats, so they have at most 16 beats and never cross 4 KiB. Up to
/// `Outstanding` bursts are in flight; BREADY is always high. The client sees the length of the next burst and starts
/// the burst when it holds all of its beats, so a burst can always be finished.
///
///   1. `cmd_*`: the client gives a range.
///   2. `burst_*`: the client starts the next burst of the range.
///   3. `beat_*`: the client gives the beats of the burst. Steps 2 and 3 repeat until the end of the range.
///
/// Throughput one beat a cycle within a burst; one idle cycle between bursts, two between commands. Latency one cycle
/// from the start of a burst to AWVALID, one from a beat to WVALID. Combinational: `w_ready_i` to `beat_ready_o`, the
/// response to `fault_o`. Does not gather beats. Does not wait for responses: `quiet_o` says that all have come. Reports
/// a response that belongs to no burst whose address and data were taken, with an address that means nothing. No counter
/// moves on it.
module tmv_write_stream
  import tmv_axi_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Bits of the number of beats of a command, more than `BurstBits`.
  parameter  int unsigned CountBits = 16,
  /// Bursts in flight, a power of two, at least 2.
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned TableBits = $clog2(Outstanding)
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  /// No new burst starts while this is high.
  input  logic                 halt_i,
  /// Bursts that are open or in flight; none of them.
  output logic [TableBits:0]   inflight_o,
  output logic                 quiet_o,
  /// Command: a range of `cmd_beats_i` beats from `cmd_addr_i`, aligned to a beat. Taken when the last beat of the
  /// command before was taken.
  input  logic                 cmd_valid_i,
  output logic                 cmd_ready_o,
  input  addr_t                cmd_addr_i,
  input  logic [CountBits-1:0] cmd_beats_i,
  /// The next burst and its number of beats. Ready: the client holds all of them.
  output logic                 burst_valid_o,
  output length_t              burst_beats_o,
  input  logic                 burst_ready_i,
  /// Beats of the burst that was started.
  input  logic                 beat_valid_i,
  output logic                 beat_ready_o,
  input  logic [ PortBits-1:0] beat_i,
  /// Write address channel.
  output logic                 aw_valid_o,
  input  logic                 aw_ready_i,
  output aw_t                  aw_o,
  /// Write data channel; all strobes are set.
  output logic                 w_valid_o,
  input  logic                 w_ready_i,
  output logic [ PortBits-1:0] w_data_o,
  output logic                 w_last_o,
  /// Write response channel; always ready.
  input  logic                 b_valid_i,
  input  resp_e                b_resp_i,
  /// An error, in the cycle of its response, with the address of the burst.
  output bus_fault_t           fault_o
);
  localparam int unsigned PortBytes = PortBits / 8;
  localparam int unsigned ByteBits = $clog2(PortBytes);
  localparam int unsigned LineBits = ByteBits + BurstBits;

  /// Number of beats of a range and of the beats before it in its first line of `BurstBeats` beats.
  typedef logic [CountBits:0] span_t;

  // The rest of the command as in `tmv_read_stream`, and the beats that are left of the open burst.
  addr_t addr_q;
  span_t left_q, cmd_span;
  length_t length_q;
  logic busy_q, last_q, open_q;
  length_t burst_left_q;
  logic [TableBits:0] inflight_q;

  // Bursts whose last beat was taken and whose response has not come.
  logic [TableBits:0] complete_q;
  logic answer;

  // Bursts in flight, oldest first, for the address of an error.
  addr_t burst_addr[Outstanding];
  logic [TableBits-1:0] issue_ptr_q, answer_ptr_q;

  assign cmd_span = span_t'(cmd_beats_i) + span_t'(cmd_addr_i[ByteBits+:BurstBits]);
  assign burst_beats_o = length_q;
  assign burst_valid_o = busy_q && !open_q;
  assign cmd_ready_o = !busy_q && !open_q;
  assign beat_ready_o = open_q && (!w_valid_o || w_ready_i);
  assign inflight_o = inflight_q;
  assign quiet_o = inflight_q == '0;
  // The slave answers a burst after it took the address too. Only the address of the youngest burst can be waiting.
  assign answer = b_valid_i && complete_q != '0 && !(aw_valid_o && inflight_q == (TableBits + 1)'(1));

  assign fault_o = '{
    valid: b_valid_i && (!answer || b_resp_i[1]),
    code: !answer ? BusStray : b_resp_i[0] ? BusWriteDecerr : BusWriteSlverr,
    addr: burst_addr[answer_ptr_q]
  };

  // Statements stand in the order of use: readers before the writer of a register. The simulator then needs no copies.
  always_ff @(posedge clk_i) begin
    automatic logic send = beat_valid_i && beat_ready_o;
    automatic logic last_beat = burst_left_q == length_t'(1);
    automatic logic complete = w_valid_o && w_ready_i && w_last_o;
    automatic logic issue = burst_valid_o && burst_ready_i && !halt_i && (!aw_valid_o || aw_ready_i)
        && inflight_q != (TableBits + 1)'(Outstanding);

    if (send) begin
      w_data_o <= beat_i;
      w_last_o <= last_beat;
    end
    if (issue) begin
      aw_o                    <= '{addr: addr_q, len: len_t'(burst_beats_o) - 1'b1};
      burst_addr[issue_ptr_q] <= addr_q;
    end

    if (!rst_ni) begin
      {aw_valid_o, w_valid_o, busy_q, open_q} <= '0;
      inflight_q   <= '0;
      complete_q   <= '0;
      issue_ptr_q  <= '0;
      answer_ptr_q <= '0;
    end else begin
      if (issue) aw_valid_o <= 1'b1;
      else if (aw_ready_i) aw_valid_o <= 1'b0;
      if (send) w_valid_o <= 1'b1;
      else if (w_ready_i) w_valid_o <= 1'b0;
      if (issue) open_q <= 1'b1;
      else if (send && last_beat) open_q <= 1'b0;
      if (issue) busy_q <= !last_q;
      else if (cmd_ready_o) busy_q <= cmd_valid_i && cmd_beats_i != '0;
      if (issue != answer) inflight_q <= issue ? inflight_q + 1'b1 : inflight_q - 1'b1;
      if (complete != answer) complete_q <= complete ? complete_q + 1'b1 : complete_q - 1'b1;
      if (issue) issue_ptr_q <= issue_ptr_q + 1'b1;
      if (answer) answer_ptr_q <= answer_ptr_q + 1'b1;
    end

    // A burst ends at the end of its line or of the command. Its length is worked out a cycle ahead.
    if (issue) begin
      burst_left_q <= length_q;
      // Don't-care after the last burst.
      addr_q       <= {addr_q[AddrBits-1:LineBits] + 1'b1, LineBits'(0)};
      last_q       <= left_q <= span_t'(2 * BurstBeats);
      length_q     <= length_t'(BurstBeats);
      if (left_q <= span_t'(2 * BurstBeats)) begin
        length_q <= {left_q[BurstBits-1:0] == '0, left_q[BurstBits-1:0]};
      end
      left_q       <= left_q - span_t'(BurstBeats);
    end else begin
      if (send) burst_left_q <= burst_left_q - 1'b1;
      if (cmd_ready_o) begin
        addr_q   <= cmd_addr_i;
        left_q   <= cmd_span;
        last_q   <= cmd_span <= span_t'(BurstBeats);
        length_q <= (cmd_span <= span_t'(BurstBeats)) ? cmd_beats_i[BurstBits:0]
            : length_t'(BurstBeats) - {1'b0, cmd_addr_i[ByteBits+:BurstBits]};
      end
    end
  end

  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_write_stream: PortBits must be 64 or 128")
  `TMV_REQUIRE(count, CountBits > BurstBits, "tmv_write_stream: a command must be able to have a whole burst")
  `TMV_REQUIRE(table, Outstanding >= 2 && (1 << TableBits) == Outstanding,
               "tmv_write_stream: Outstanding must be a power of two, at least 2")
  `TMV_ASSERT_IF(OpenHasBeats, open_q, burst_left_q != '0)
  `TMV_ASSERT_IF(LengthFits, busy_q, length_q != '0 && length_q <= length_t'(BurstBeats))
  `TMV_ASSERT(TableHolds, inflight_q <= (TableBits + 1)'(Outstanding))
  `TMV_ASSERT(CompleteWasIssued, complete_q <= inflight_q)
  `TMV_COVER(AllBurstsInFlight, inflight_q == (TableBits + 1)'(Outstanding))
  `TMV_COVER(AddressStalled, aw_valid_o && !aw_ready_i)
  `TMV_COVER(DataStalled, w_valid_o && !w_ready_i)
  `TMV_COVER(HaltedInBurst, halt_i && open_q)
  `TMV_COVER(StrayResponse, b_valid_i && !answer)
endmodule
