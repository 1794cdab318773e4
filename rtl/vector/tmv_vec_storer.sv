`include "tmv_macros.svh"

/// Writes the words of passes to memory, as singles, bfloat16 or bytes, and the records of programs.
///
/// Words come at most one in as many cycles as it has beats. Bursts start when all of their beats are here. The range of
/// a pass must be as long as the pass says: `short_o` or `long_o` otherwise.
module tmv_vec_storer
  import tmv_axi_pkg::*;
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  parameter  int unsigned Lanes = 32,
  parameter  int unsigned PortBits = 128,
  /// Beats that wait for their burst, a power of two.
  parameter  int unsigned FifoBeats = 128,
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned TableBits = $clog2(Outstanding),
  localparam int unsigned BeatBits = $clog2(FifoBeats)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                halt_i,
  output logic [TableBits:0]  inflight_o,
  output logic                quiet_o,
  /// Ranges, in the order of the passes that fill them.
  input  logic                range_valid_i,
  output logic                range_ready_o,
  input  range_t              range_i,
  /// Words. `room_o`: there is room for a word more than those on their way through the lanes.
  output logic                room_o,
  input  logic                valid_i,
  input  to_e                 to_i,
  input  logic                last_i,
  input  f32_t [Lanes-1:0]    word_i,
  /// Words are being packed, or the count of their pass is being checked.
  output logic                packing_o,
  /// The pass had fewer or more words than its range.
  output logic                wrong_o,
  /// A record of 16 bytes, when nothing else is here; `record_done_o` when it is in memory.
  input  logic                record_i,
  input  addr_t               record_addr_i,
  input  logic [127:0]        record_data_i,
  output logic                record_done_o,
  /// All words are in memory.
  output logic                idle_o,
  /// Write channels, see `tmv_write_stream`.
  output logic                aw_valid_o,
  input  logic                aw_ready_i,
  output aw_t                 aw_o,
  output logic                w_valid_o,
  input  logic                w_ready_i,
  output logic [PortBits-1:0] w_data_o,
  output logic                w_last_o,
  input  logic                b_valid_i,
  input  resp_e               b_resp_i,
  output bus_fault_t          fault_o
);
  localparam int unsigned LaneBits = $clog2(Lanes);
  localparam int unsigned WordBeats = 32 * Lanes / PortBits;
  localparam int unsigned RecordBeats = 128 / PortBits;
  /// Beats on their way: words in the lanes come at least as far apart as they have beats.
  localparam int unsigned Margin = 48;

  // Ranges: for the stream, and for the count of their beats.
  logic [1:0] queue_ready, queue_valid, queue_take;
  range_t [1:0] queue;

  assign range_ready_o = &queue_ready;

  for (genvar i = 0; i < 2; i++) begin : gen_queue
    tmv_fifo #(
      .Width($bits(range_t)),
      .Depth(4)
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .wvalid_i(range_valid_i && range_ready_o),
      .wready_o(queue_ready[i]),
      .wdata_i (range_i),
      .rvalid_o(queue_valid[i]),
      .rready_i(queue_take[i]),
      .rdata_o (queue[i])
    );
  end

  // A word leaves beat by beat, packed. `at_q`: number of the beat in the word.
  f32_t [Lanes-1:0] word_q;
  to_e to_q;
  logic [PortBits-1:0] packed_beat;
  logic [$clog2(WordBeats)-1:0] at_q;
  logic [$clog2(WordBeats):0] left_q;
  logic last_q, push, checking_q, wrong_q;
  // Number of the next beat in its range, from 1.
  count_t number_q;

  assign push = left_q != '0;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      last_q <= last_i;
      to_q   <= to_i;
      word_q <= word_i;
      at_q   <= '0;
    end else if (push) at_q <= at_q + 1'b1;
    if (!rst_ni) left_q <= '0;
    else if (valid_i) begin
      left_q <= ($clog2(WordBeats) + 1)'((to_i == ToF32) ? WordBeats : (to_i == ToBf16) ? WordBeats / 2 : WordBeats / 4);
    end else if (push) left_q <= left_q - 1'b1;
  end

  always_comb begin
    unique case (to_q)
      ToBf16:
      for (int unsigned i = 0; i < PortBits / 16; i++) packed_beat[16*i+:16] = word_q[LaneBits'(PortBits/16*32'(at_q)+i)][31:16];
      ToI8:
      for (int unsigned i = 0; i < PortBits / 8; i++) packed_beat[8*i+:8] = word_q[LaneBits'(PortBits/8*32'(at_q)+i)][7:0];
      default:
      for (int unsigned i = 0; i < PortBits / 32; i++) packed_beat[32*i+:32] = word_q[LaneBits'(PortBits/32*32'(at_q)+i)];
    endcase
  end

  // The last beat of the last word is the last beat of the range, and no other beat is.
  logic at_end, pass_end;

  assign pass_end      = left_q == ($clog2(WordBeats) + 1)'(1) && last_q;
  assign at_end        = number_q == queue[1].row_beats;
  assign queue_take[1] = pass_end;
  assign wrong_o       = wrong_q;
  assign packing_o     = push || checking_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      number_q   <= count_t'(1);
      checking_q <= 1'b0;
      wrong_q    <= 1'b0;
    end else begin
      if (push) number_q <= pass_end ? count_t'(1) : number_q + 1'b1;
      checking_q <= push;
      wrong_q    <= push && (pass_end != at_end || !queue_valid[1]);
    end
  end

  logic beat_valid, beat_ready, burst_ready, cmd_valid, cmd_ready, stream_ready, fifo_valid, fifo_ready;
  logic fifo_take, record_cmd_q, record_open_q, record_beat_q;
  logic [BeatBits:0] beats_q;
  logic [PortBits-1:0] fifo_beat, beat;
  length_t burst_beats;

  tmv_fifo #(
    .Width(PortBits),
    .Depth(FifoBeats)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .wvalid_i(push),
    .wready_o(fifo_ready),
    .wdata_i (packed_beat),
    .rvalid_o(fifo_valid),
    .rready_i(fifo_take),
    .rdata_o (fifo_beat)
  );

  assign fifo_take = stream_ready && !record_open_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) beats_q <= '0;
    else beats_q <= beats_q + (BeatBits + 1)'(push) - (BeatBits + 1)'(fifo_valid && fifo_take);
  end

  assign room_o = beats_q <= (BeatBits + 1)'(FifoBeats - Margin - WordBeats);

  // A record: a command of its own, when the stream has nothing else to do.
  assign cmd_valid     = record_cmd_q || queue_valid[0];
  assign queue_take[0] = cmd_ready && !record_cmd_q;
  assign burst_ready   = record_open_q || beats_q >= (BeatBits + 1)'(burst_beats);
  assign beat_valid    = record_open_q || fifo_valid;
  assign beat_ready    = stream_ready;
  assign beat          = !record_open_q ? fifo_beat : PortBits'(record_data_i >> (PortBits * record_beat_q));
  assign record_done_o = record_open_q && !record_cmd_q && cmd_ready && quiet_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      record_cmd_q  <= 1'b0;
      record_open_q <= 1'b0;
      record_beat_q <= 1'b0;
    end else begin
      if (record_i) {record_cmd_q, record_open_q} <= '1;
      else begin
        if (cmd_ready) record_cmd_q <= 1'b0;
        if (record_done_o) record_open_q <= 1'b0;
      end
      if (record_i) record_beat_q <= 1'b0;
      else if (record_open_q && beat_ready) record_beat_q <= 1'b1;
    end
  end

  tmv_write_stream #(
    .PortBits(PortBits),
    .Outstanding(Outstanding)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i,
    .inflight_o,
    .quiet_o,
    .cmd_valid_i  (cmd_valid),
    .cmd_ready_o  (cmd_ready),
    .cmd_addr_i   (record_cmd_q ? record_addr_i : queue[0].addr),
    .cmd_beats_i  (record_cmd_q ? beats_t'(RecordBeats) : queue[0].row_beats),
    .burst_valid_o(),
    .burst_beats_o(burst_beats),
    .burst_ready_i(burst_ready),
    .beat_valid_i (beat_valid),
    .beat_ready_o (stream_ready),
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
    .fault_o
  );

  // A word that is packed is of a range in the queue.
  assign idle_o = !queue_valid[0] && !queue_valid[1] && beats_q == '0 && cmd_ready && quiet_o;

  `TMV_ASSERT_IF(BeatsHaveRoom, push, fifo_ready)
  `TMV_ASSERT(WordsFarApart, !(valid_i && left_q > ($clog2(WordBeats) + 1)'(1)))
  `TMV_ASSERT_IF(RecordAlone, record_i, idle_o)
  `TMV_COVER(NoRoom, !room_o)
endmodule
