`include "tmv_macros.svh"

/// AXI4 read master for contiguous ranges: takes (address, beats) commands and requests them in bursts. The beats go
/// to a queue outside, in the order of the commands.
///
/// Bursts end at multiples of `BurstBeats` beats, so they have at most 16 beats and never cross 4 KiB. Up to
/// `Outstanding` bursts are in flight. Each has its room in the queue reserved, so RREADY is always high, and a
/// consumer that stalls never holds the port. Throughput one beat a cycle; one idle cycle between commands. Latency two
/// cycles from a command to ARVALID. Combinational: `r_valid_i` to `r_taken_o`.
/// Reports a bad response, a misplaced RLAST and a beat that the consumer calls illegal; delivers such a beat too.
/// Reports a beat that belongs to no burst, with an address that means nothing, and drops it: after a reset, a slave may
/// still deliver beats of before.
module tmv_read_bursts
  import tmv_axi_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Beats for which the queue has room, a power of two, at least two bursts.
  parameter  int unsigned FifoBeats = 256,
  /// Bursts in flight, a power of two, at least 2.
  parameter  int unsigned Outstanding = 8,
  /// AXI ID of the bursts.
  parameter  logic Id = 1'b0,
  localparam int unsigned TableBits = $clog2(Outstanding),
  localparam int unsigned SpaceBits = $clog2(FifoBeats) + 1
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  /// No new burst starts while this is high.
  input  logic                halt_i,
  /// Bursts that are requested or in flight; none of them.
  output logic [TableBits:0]  inflight_o,
  output logic                quiet_o,
  /// Command: a range of `cmd_beats_i` beats from `cmd_addr_i`, aligned to a beat.
  input  logic                cmd_valid_i,
  output logic                cmd_ready_o,
  input  addr_t               cmd_addr_i,
  input  beats_t              cmd_beats_i,
  /// Read address channel.
  output logic                ar_valid_o,
  input  logic                ar_ready_i,
  /// An address that was taken is still on its way to the slave.
  input  logic                ar_held_i,
  output ar_t                 ar_o,
  /// Read data channel, always ready. `r_taken_o`: the beat belongs to a burst, and goes to the queue.
  input  logic                r_valid_i,
  input  r_t                  r_i,
  output logic                r_taken_o,
  /// The consumer calls the beat on the read data channel illegal.
  input  logic                r_illegal_i,
  /// Beats whose room in the queue is free again.
  input  logic [SpaceBits-1:0] free_beats_i,
  /// An error, a cycle after its beat, with the address of the beat.
  output bus_fault_t          fault_o
);
  localparam int unsigned PortBytes = PortBits / 8;
  localparam int unsigned ByteBits = $clog2(PortBytes);

  /// Number of beats of a range and of the beats before it in its first line of `BurstBeats` beats.
  typedef logic [$bits(beats_t):0] span_t;

  // The rest of the command: its address, its beats counted from the begin of the line, the length of the next burst and
  // whether that is the last one. The length is worked out a cycle ahead, because whether it has room takes its time.
  addr_t addr_q;
  span_t left_q;
  length_t length_q;
  logic busy_q, last_q;
  logic [SpaceBits-1:0] space_q;
  logic [TableBits:0] inflight_q;

  span_t cmd_span;
  assign cmd_span = span_t'(cmd_beats_i) + span_t'(cmd_addr_i[ByteBits+:BurstBits]);

  assign cmd_ready_o = !busy_q;
  assign inflight_o  = inflight_q;
  assign quiet_o     = inflight_q == '0;
  // No counter moves on any other beat. A burst whose address is not at the slave has no answer.
  assign r_taken_o   = r_valid_i && r_i.id == Id
      && inflight_q > (TableBits + 1)'(ar_valid_o) + (TableBits + 1)'(ar_held_i);

  // Bursts in flight, oldest first: address and length, for the address of a beat and for the last beat.
  addr_t burst_addr[Outstanding];
  logic [BurstBits-1:0] burst_len[Outstanding];
  logic [TableBits-1:0] issue_ptr_q, burst_ptr_q;
  logic [BurstBits-1:0] beat_q;

  // Statements stand in the order of use: readers before the writer of a register. The simulator then needs no copies.
  always_ff @(posedge clk_i) begin
    automatic logic last_beat = beat_q == burst_len[burst_ptr_q];
    automatic logic finish = r_taken_o && last_beat;

    // A burst goes out when the address channel is free, its beats have room and a place in the table is free.
    automatic logic issue = busy_q && (!ar_valid_o || ar_ready_i) && space_q >= SpaceBits'(length_q)
        && inflight_q != (TableBits + 1)'(Outstanding) && !halt_i;

    // A cycle late, so that the simulator works out the address only when there is an error to report.
    fault_o.valid <= 1'b0;
    if (r_valid_i && (!r_taken_o || r_i.resp[1] || r_i.last != last_beat || r_illegal_i)) begin
      fault_o.valid <= 1'b1;
      fault_o.code  <= !r_taken_o ? BusStray : r_i.resp[1] ? (r_i.resp[0] ? BusReadDecerr : BusReadSlverr)
          : (r_i.last != last_beat) ? BusReadLast : BusBeatIllegal;
      fault_o.addr  <= burst_addr[burst_ptr_q] + (addr_t'(beat_q) << ByteBits);
    end

    if (issue) begin
      burst_addr[issue_ptr_q] <= addr_q;
      burst_len[issue_ptr_q]  <= BurstBits'(length_q - 1'b1);
      ar_o                    <= '{addr: addr_q, len: len_t'(length_q) - 1'b1, id: Id};
      // Don't-care after the last burst.
      addr_q   <= {addr_q[AddrBits-1:ByteBits+BurstBits] + 1'b1, (ByteBits + BurstBits)'(0)};
      last_q   <= left_q <= span_t'(2 * BurstBeats);
      length_q <= length_t'(BurstBeats);
      if (left_q <= span_t'(2 * BurstBeats)) begin
        length_q <= {left_q[BurstBits-1:0] == '0, left_q[BurstBits-1:0]};
      end
      left_q   <= left_q - span_t'(BurstBeats);
    end else if (cmd_ready_o) begin
      addr_q   <= cmd_addr_i;
      left_q   <= cmd_span;
      last_q   <= cmd_span <= span_t'(BurstBeats);
      length_q <= (cmd_span <= span_t'(BurstBeats)) ? cmd_beats_i[BurstBits:0]
          : length_t'(BurstBeats) - {1'b0, cmd_addr_i[ByteBits+:BurstBits]};
    end

    if (!rst_ni) begin
      {ar_valid_o, fault_o.valid} <= '0;
      busy_q      <= 1'b0;
      issue_ptr_q <= '0;
      space_q     <= SpaceBits'(FifoBeats);
      inflight_q  <= '0;
      burst_ptr_q <= '0;
      beat_q      <= '0;
    end else begin
      if (issue) begin
        ar_valid_o  <= 1'b1;
        busy_q      <= !last_q;
        issue_ptr_q <= issue_ptr_q + 1'b1;
      end else begin
        if (ar_ready_i) ar_valid_o <= 1'b0;
        if (cmd_valid_i && cmd_ready_o) busy_q <= cmd_beats_i != '0;
      end
      if (issue || free_beats_i != '0) space_q <= space_q - (issue ? SpaceBits'(length_q) : '0) + free_beats_i;
      if (issue != finish) inflight_q <= issue ? inflight_q + 1'b1 : inflight_q - 1'b1;
      if (finish) burst_ptr_q <= burst_ptr_q + 1'b1;
      if (r_taken_o) beat_q <= finish ? '0 : beat_q + 1'b1;
    end
  end

  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_read_bursts: PortBits must be 64 or 128")
  `TMV_REQUIRE(room, FifoBeats >= 2 * BurstBeats, "tmv_read_bursts: FifoBeats must hold two bursts")
  `TMV_REQUIRE(table, Outstanding >= 2 && (1 << TableBits) == Outstanding,
               "tmv_read_bursts: Outstanding must be a power of two, at least 2")
  `TMV_ASSERT_IF(LengthFits, busy_q, length_q != '0 && length_q <= length_t'(BurstBeats))
  `TMV_ASSERT(SpaceFits, space_q <= SpaceBits'(FifoBeats))
  `TMV_ASSERT(TableHolds, inflight_q <= (TableBits + 1)'(Outstanding))
  `TMV_COVER(AllBurstsInFlight, inflight_q == (TableBits + 1)'(Outstanding))
  `TMV_COVER(AddressStalled, ar_valid_o && !ar_ready_i)
  `TMV_COVER(BeatWhileHalted, halt_i && r_valid_i)
  `TMV_COVER(StrayBeat, r_valid_i && !r_taken_o)
endmodule
