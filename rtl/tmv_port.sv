/// One read port: weight stream and dot engine. Row blocks in, accumulators out.
///
/// A block is accepted when the stream has requested all of the block before and the engine can queue it, so
/// requests run ahead of the engine by the depth of the stream's queue and no further.
module tmv_port
  import tmv_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Activation vectors.
  parameter  int unsigned Vectors = 4,
  /// Weight codec, see `tmv_pkg`.
  parameter  int unsigned Codec = CodecWeights2b,
  /// Words of an activation bank, a power of two.
  parameter  int unsigned BankWords = 256,
  /// Beats of the weight queue, a power of two.
  parameter  int unsigned FifoBeats = 256,
  /// Bursts in flight.
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned Lanes = lanes_of(Codec, PortBits),
  localparam int unsigned WordAddrBits = $clog2(BankWords) + 1
) (
  input  logic                                              clk_i,
  input  logic                                              rst_ni,
  /// No new burst while `halt_i`; `quiet_o` when none is in flight.
  input  logic                                              halt_i,
  output logic                                              quiet_o,
  /// Dispatcher.
  output logic                                              free_o,
  input  logic                                              grant_i,
  input  block_t                                            block_i,
  /// Read channels.
  output logic                                              ar_valid_o,
  input  logic                                              ar_ready_i,
  output addr_t                                             ar_addr_o,
  output logic   [7:0]                                      ar_len_o,
  input  logic                                              r_valid_i,
  input  logic   [PortBits-1:0]                             r_data_i,
  input  logic   [1:0]                                      r_resp_i,
  input  logic                                              r_last_i,
  /// Activation memory.
  input  logic   [Contexts-1:0]                             x_loaded_i,
  output logic                                              x_req_o,
  input  logic                                              x_grant_i,
  output logic   [WordAddrBits-1:0]                         x_addr_o,
  input  logic                                              x_valid_i,
  input  logic   [Vectors-1:0][7:0][Lanes-1:0]              x_i,
  /// Results.
  output logic                                              result_valid_o,
  input  logic                                              result_ready_i,
  output logic   [RowBlock-1:0][AccBits-1:0]                result_o,
  output slot_t                                             result_slot_o,
  output logic                                              result_last_o,
  /// Errors and events.
  output fault_t                                            fault_o,
  output logic                                              busy_o,
  output logic                                              stall_data_o,
  output logic                                              stall_x_o,
  output logic                                              stall_result_o
);
  logic cmd_ready, block_ready, beat_valid, beat_ready;
  logic [PortBits-1:0] beat;
  fault_t stream_fault, engine_fault;

  assign free_o  = cmd_ready && block_ready;
  assign fault_o = stream_fault.valid ? stream_fault : engine_fault;

  tmv_read_stream #(
    .PortBits,
    .FifoBeats,
    .Outstanding
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i,
    .quiet_o,
    .cmd_valid_i (grant_i),
    .cmd_ready_o (cmd_ready),
    .cmd_addr_i  (block_i.addr),
    .cmd_beats_i (block_i.row_beats << $clog2(RowBlock)),
    .ar_valid_o,
    .ar_ready_i,
    .ar_addr_o,
    .ar_len_o,
    .r_valid_i,
    .r_data_i,
    .r_resp_i,
    .r_last_i,
    .beat_valid_o(beat_valid),
    .beat_ready_i(beat_ready),
    .beat_o      (beat),
    .fault_o     (stream_fault)
  );

  tmv_engine #(
    .PortBits,
    .Vectors,
    .Codec,
    .BankWords
  ) u_engine (
    .clk_i,
    .rst_ni,
    .block_valid_i(grant_i),
    .block_ready_o(block_ready),
    .block_i,
    .beat_valid_i (beat_valid),
    .beat_ready_o (beat_ready),
    .beat_i       (beat),
    .x_loaded_i,
    .x_req_o,
    .x_grant_i,
    .x_addr_o,
    .x_valid_i,
    .x_i,
    .result_valid_o,
    .result_ready_i,
    .result_o,
    .result_slot_o,
    .result_last_o,
    .fault_o      (engine_fault),
    .busy_o,
    .stall_data_o,
    .stall_x_o,
    .stall_result_o
  );
endmodule
