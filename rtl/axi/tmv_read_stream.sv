`include "tmv_macros.svh"

/// AXI4 read master for contiguous ranges: takes (address, beats) commands and delivers the beats in order.
///
/// `tmv_read_bursts` with a queue. Latency two cycles from RVALID to the consumer. Combinational: `r_valid_i` to
/// `r_taken_o`.
module tmv_read_stream
  import tmv_axi_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Beats of the queue, a power of two, at least two bursts.
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
  /// Read data channel, always ready. `r_taken_o`: the beat belongs to a burst.
  input  logic                r_valid_i,
  input  logic [PortBits-1:0] r_data_i,
  input  r_t                  r_i,
  output logic                r_taken_o,
  /// The consumer calls the beat on the read data channel illegal.
  input  logic                r_illegal_i,
  /// Beats to the consumer.
  output logic                beat_valid_o,
  input  logic                beat_ready_i,
  output logic [PortBits-1:0] beat_o,
  /// An error, a cycle after its beat, with the address of the beat.
  output bus_fault_t          fault_o
);
  logic fifo_ready;

  tmv_read_bursts #(
    .PortBits(PortBits),
    .FifoBeats(FifoBeats),
    .Outstanding(Outstanding),
    .Id(Id)
  ) u_bursts (
    .clk_i,
    .rst_ni,
    .halt_i,
    .inflight_o,
    .quiet_o,
    .cmd_valid_i,
    .cmd_ready_o,
    .cmd_addr_i,
    .cmd_beats_i,
    .ar_valid_o,
    .ar_ready_i,
    .ar_held_i,
    .ar_o,
    .r_valid_i,
    .r_i,
    .r_taken_o,
    .r_illegal_i,
    .free_beats_i(SpaceBits'(beat_valid_o && beat_ready_i)),
    .fault_o
  );

  tmv_fifo #(
    .Width(PortBits),
    .Depth(FifoBeats)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .wvalid_i(r_taken_o),
    .wready_o(fifo_ready),
    .wdata_i (r_data_i),
    .rvalid_o(beat_valid_o),
    .rready_i(beat_ready_i),
    .rdata_o (beat_o)
  );

  `TMV_ASSERT_IF(RoomReserved, r_taken_o, fifo_ready)
  `TMV_COVER(ConsumerStalls, beat_valid_o && !beat_ready_i)
endmodule
