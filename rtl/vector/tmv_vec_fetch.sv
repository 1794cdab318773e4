`include "tmv_macros.svh"

/// One read port of the loader: takes segments of ranges and makes words of singles of their beats.
///
/// bfloat16 and singles become singles as they are, int32 is rounded. A beat of singles or int32 takes a cycle, one of
/// bfloat16 two. The first beat of a word waits until the word has a place. A word leaves in the cycle after its last part
/// was converted.
module tmv_vec_fetch
  import tmv_axi_pkg::*;
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  parameter  int unsigned Lanes = 32,
  parameter  int unsigned PortBits = 128,
  parameter  int unsigned FifoBeats = 128,
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned TableBits = $clog2(Outstanding)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                halt_i,
  output logic [TableBits:0]  inflight_o,
  output logic                quiet_o,
  /// Segments: with two ports, beats of four words at most.
  input  logic                valid_i,
  output logic                ready_o,
  input  addr_t               addr_i,
  input  count_t              beats_i,
  input  from_e               from_i,
  /// Read channels, see `tmv_read_stream`.
  output logic                ar_valid_o,
  input  logic                ar_ready_i,
  input  logic                ar_held_i,
  output ar_t                 ar_o,
  input  logic                r_valid_i,
  input  logic [PortBits-1:0] r_data_i,
  input  r_t                  r_i,
  output logic                r_taken_o,
  /// There is a place for a word; a word takes it.
  input  logic                room_i,
  output logic                begin_o,
  /// A word.
  output logic                word_valid_o,
  output f32_t [Lanes-1:0]    word_o,
  /// The bus failed.
  output bus_fault_t          fault_o
);
  localparam int unsigned Singles = PortBits / 32;
  /// Beats of a word of singles.
  localparam int unsigned WordBeats = Lanes / Singles;
  localparam int unsigned PartBits = $clog2(WordBeats);

  // A segment goes to the stream, and its kind to the queue of those whose beats are to come.
  typedef struct packed {
    count_t last_beat;
    from_e  from;
  } kind_t;

  logic cmd_ready, queue_ready, queue_valid, queue_take;
  kind_t kind;

  assign ready_o = cmd_ready && queue_ready && !halt_i;

  tmv_fifo #(
    .Width($bits(kind_t)),
    .Depth(16)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .wvalid_i(valid_i && ready_o),
    .wready_o(queue_ready),
    .wdata_i ({beats_i - 1'b1, from_i}),
    .rvalid_o(queue_valid),
    .rready_i(queue_take),
    .rdata_o (kind)
  );

  logic beat_valid, beat_ready;
  logic [PortBits-1:0] beat, doubled;

  tmv_read_stream #(
    .PortBits(PortBits),
    .FifoBeats(FifoBeats),
    .Outstanding(Outstanding),
    .Id(1'b0)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i,
    .inflight_o,
    .quiet_o,
    .cmd_valid_i (valid_i && ready_o),
    .cmd_ready_o (cmd_ready),
    .cmd_addr_i  (addr_i),
    .cmd_beats_i (beats_i),
    .ar_valid_o,
    .ar_ready_i,
    .ar_held_i,
    .ar_o,
    .r_valid_i,
    .r_data_i,
    .r_i,
    .r_taken_o,
    .r_illegal_i (1'b0),
    .beat_valid_o(beat_valid),
    .beat_ready_i(beat_ready),
    .beat_o      (beat),
    .fault_o
  );

  // Beats, or halves of them, go into a pipeline as long as that of the conversion.
  typedef struct packed {
    logic valid;
    logic word;
    logic from_int;
  } mark_t;

  mark_t mark;
  mark_t [FromIntLatency-1:0] mark_q;
  logic [FromIntLatency-1:0][PortBits-1:0] beat_q;
  count_t done_q;
  logic [PartBits-1:0] part_q;
  logic word_end, segment_end, is_bf16, upper_q;

  assign is_bf16     = kind.from == FromBf16;
  assign word_end    = part_q == PartBits'(WordBeats - 1);
  assign segment_end = done_q == kind.last_beat && (upper_q || !is_bf16);
  assign beat_ready  = mark.valid && (upper_q || !is_bf16);
  assign begin_o     = mark.valid && part_q == '0;
  assign mark = '{
    valid: beat_valid && queue_valid && (part_q != '0 || room_i),
    word: word_end,
    from_int: kind.from == FromI32
  };
  assign queue_take  = mark.valid && segment_end;

  always_ff @(posedge clk_i) begin
    beat_q <= {beat_q[FromIntLatency-2:0], is_bf16 ? doubled : beat};
    if (!rst_ni) begin
      done_q  <= '0;
      part_q  <= '0;
      upper_q <= 1'b0;
      mark_q  <= '0;
    end else begin
      if (mark.valid) part_q <= word_end ? '0 : part_q + 1'b1;
      if (mark.valid) upper_q <= is_bf16 && !upper_q;
      if (beat_ready) done_q <= segment_end ? '0 : done_q + 1'b1;
      mark_q <= {mark_q[FromIntLatency-2:0], mark};
    end
  end

  // A half of a beat of bfloat16.
  logic [1:0][Singles-1:0][15:0] halves;

  assign halves = beat;
  for (genvar i = 0; i < int'(Singles); i++) begin : gen_widened
    assign doubled[32*i+:32] = {halves[upper_q][i], 16'b0};
  end

  // Singles of what was converted.
  mark_t made;
  f32_t [Singles-1:0] converted, singles;

  assign made = mark_q[FromIntLatency-1];

  for (genvar i = 0; i < int'(Singles); i++) begin : gen_single
    tmv_fp_from_int u_from_int (
      .clk_i,
      .a_i(beat[32*i+:32]),
      .y_o(converted[i])
    );
    assign singles[i] = made.from_int ? converted[i] : beat_q[FromIntLatency-1][32*i+:32];
  end

  always_ff @(posedge clk_i) begin
    if (made.valid) word_o <= {singles, word_o[Lanes-1:Singles]};
    word_valid_o <= rst_ni && made.valid && made.word;
  end

  `TMV_REQUIRE(word, PortBits <= 8 * Lanes, "tmv_vec_fetch: a word of bytes must fill a beat")
  `TMV_COVER(NoRoom, beat_valid && queue_valid && part_q == '0 && !room_i)
endmodule
