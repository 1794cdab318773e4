`include "tmv_macros.svh"

/// Reads ranges of memory and makes words of singles of them: a queue of `RingWords` words, in which the consumer may
/// read a block in any order before it takes the block.
///
/// Ranges are read ahead, as far as there is room. Throughput a beat a cycle. bfloat16 and singles become singles as they
/// are, int32 is rounded. The range of a pass must be as long as the pass says; the last word of a range has a mark.
module tmv_vec_loader
  import tmv_axi_pkg::*;
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  parameter  int unsigned Lanes = 32,
  parameter  int unsigned PortBits = 128,
  /// Words of the queue, a power of two.
  parameter  int unsigned RingWords = 32,
  parameter  int unsigned FifoBeats = 128,
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned RingBits = $clog2(RingWords),
  localparam int unsigned TableBits = $clog2(Outstanding)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                halt_i,
  output logic [TableBits:0]  inflight_o,
  output logic                quiet_o,
  /// Ranges.
  input  logic                range_valid_i,
  output logic                range_ready_o,
  input  range_t              range_i,
  /// Read channels, see `tmv_read_stream`.
  output logic                ar_valid_o,
  input  logic                ar_ready_i,
  input  logic                ar_held_i,
  output ar_t                 ar_o,
  input  logic                r_valid_i,
  input  logic [PortBits-1:0] r_data_i,
  input  r_t                  r_i,
  output logic                r_taken_o,
  /// Words that are here.
  output logic [RingBits:0]   count_o,
  /// Reads the word that is `offset_i` behind the oldest; it comes two cycles later.
  input  logic                read_i,
  input  logic [RingBits-1:0] offset_i,
  output f32_t [Lanes-1:0]    word_o,
  /// Takes the oldest `take_words_i` words; whether the last of them is the last of its range.
  input  logic                take_i,
  input  logic [RingBits:0]   take_words_i,
  output logic                take_last_o,
  /// The bus failed; a range is no whole number of words.
  output bus_fault_t          fault_o,
  output logic                ragged_o
);
  localparam int unsigned Singles = PortBits / 32;
  /// Beats of a word of singles.
  localparam int unsigned WordBeats = Lanes / Singles;
  localparam int unsigned PartBits = $clog2(WordBeats);

  // The same ranges for two readers: one asks for rows, one makes words.
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

  // Rows.
  logic cmd_valid, cmd_ready, ask_q;
  count_t rows_left_q;
  addr_t row_addr_q;

  assign cmd_valid = ask_q && !halt_i;
  assign queue_take[0] = cmd_valid && cmd_ready && rows_left_q == count_t'(1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) ask_q <= 1'b0;
    else if (queue_take[0]) ask_q <= 1'b0;
    else if (queue_valid[0]) ask_q <= 1'b1;
    if (!ask_q) begin
      rows_left_q <= queue[0].rows;
      row_addr_q  <= queue[0].addr;
    end else if (cmd_valid && cmd_ready) begin
      rows_left_q <= rows_left_q - 1'b1;
      row_addr_q  <= row_addr_q + addr_t'({queue[0].row_stride, 4'b0});
    end
  end

  logic beat_valid, beat_ready;
  logic [PortBits-1:0] beat;

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
    .cmd_valid_i (cmd_valid),
    .cmd_ready_o (cmd_ready),
    .cmd_addr_i  (row_addr_q),
    .cmd_beats_i (queue[0].row_beats),
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

  // Beats go into a pipeline as long as that of the conversion. The first beat of a word reserves its place.
  typedef struct packed {
    logic valid;
    logic wide;
    logic word;
    logic last;
    logic from_int;
  } mark_t;

  mark_t mark;
  mark_t [FromIntLatency-1:0] mark_q;
  logic [FromIntLatency-1:0][PortBits-1:0] beat_q;
  count_t row_left_q, range_left_q;
  logic begun_q, word_end, range_end, is_bf16;
  logic [PartBits-1:0] part_q;
  logic [RingBits:0] free_q;

  assign is_bf16       = queue[1].from == FromBf16;
  assign word_end      = part_q == PartBits'(is_bf16 ? WordBeats / 2 - 1 : WordBeats - 1);
  assign range_end     = row_left_q == count_t'(1) && range_left_q == count_t'(1);
  assign beat_ready    = begun_q && (part_q != '0 || free_q != '0);
  assign mark.valid    = beat_valid && beat_ready;
  assign mark.wide     = is_bf16;
  assign mark.word     = word_end;
  assign mark.last     = range_end;
  assign mark.from_int = queue[1].from == FromI32;
  assign queue_take[1] = mark.valid && range_end;
  assign ragged_o      = mark.valid && range_end && !word_end;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      begun_q <= 1'b0;
      part_q  <= '0;
      mark_q  <= '0;
    end else begin
      if (queue_take[1]) begun_q <= 1'b0;
      else if (queue_valid[1]) begun_q <= 1'b1;
      if (mark.valid) part_q <= word_end ? '0 : part_q + 1'b1;
      mark_q <= {mark_q[FromIntLatency-2:0], mark};
    end
  end

  always_ff @(posedge clk_i) begin
    if (!begun_q) begin
      row_left_q   <= queue[1].row_beats;
      range_left_q <= queue[1].rows;
    end else if (mark.valid) begin
      row_left_q <= row_left_q - 1'b1;
      if (row_left_q == count_t'(1)) begin
        row_left_q   <= queue[1].row_beats;
        range_left_q <= range_left_q - 1'b1;
      end
    end
    beat_q <= {beat_q[FromIntLatency-2:0], beat};
  end

  // Singles of a beat.
  mark_t made;
  f32_t [Singles-1:0] converted, singles;
  f32_t [2*Singles-1:0] halves;
  f32_t [Lanes-1:0] word_q;
  logic write_q, write_last_q;

  assign made = mark_q[FromIntLatency-1];

  for (genvar i = 0; i < int'(Singles); i++) begin : gen_single
    tmv_fp_from_int u_from_int (
      .clk_i,
      .a_i(beat[32*i+:32]),
      .y_o(converted[i])
    );
    assign singles[i] = made.from_int ? converted[i] : beat_q[FromIntLatency-1][32*i+:32];
  end

  for (genvar i = 0; i < 2 * int'(Singles); i++) begin : gen_half
    assign halves[i] = {beat_q[FromIntLatency-1][16*i+:16], 16'b0};
  end

  always_ff @(posedge clk_i) begin
    if (made.valid) begin
      if (!made.wide) word_q <= {singles, word_q[Lanes-1:Singles]};
      else word_q <= {halves, word_q[Lanes-1:2*Singles]};
    end
    write_last_q <= made.last;
    write_q      <= rst_ni && made.valid && made.word;
  end

  // The ring.
  f32_t [Lanes-1:0] ring[RingWords];
  logic [RingWords-1:0] lasts_q;
  logic [RingBits-1:0] head_q, tail_q, take_at;
  f32_t [Lanes-1:0] read_q;
  logic read2_q;

  assign take_at     = tail_q + RingBits'(take_words_i) - 1'b1;
  assign take_last_o = lasts_q[take_at];

  always_ff @(posedge clk_i) begin
    if (write_q) begin
      ring[head_q]    <= word_q;
      lasts_q[head_q] <= write_last_q;
    end
    if (read_i) read_q <= ring[tail_q+offset_i];
    read2_q <= read_i;
    if (read2_q) word_o <= read_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q  <= '0;
      tail_q  <= '0;
      count_o <= '0;
      free_q  <= (RingBits + 1)'(RingWords);
    end else begin
      if (write_q) head_q <= head_q + 1'b1;
      if (take_i) tail_q <= tail_q + RingBits'(take_words_i);
      count_o <= count_o + (RingBits + 1)'(write_q) - (take_i ? take_words_i : '0);
      free_q  <= free_q - (RingBits + 1)'(mark.valid && part_q == '0) + (take_i ? take_words_i : '0);
    end
  end

  `TMV_REQUIRE(word, PortBits <= 8 * Lanes, "tmv_vec_loader: a word of bytes must fill a beat")
  `TMV_REQUIRE(ring, RingWords >= 2 && (1 << RingBits) == RingWords, "tmv_vec_loader: RingWords must be a power of two")
  `TMV_ASSERT(TakesWhatIsHere, !take_i || take_words_i <= count_o)
  `TMV_ASSERT(RingHolds, !(write_q && count_o == (RingBits + 1)'(RingWords) && !take_i))
  `TMV_COVER(RingFull, beat_valid && begun_q && part_q == '0 && free_q == '0)
endmodule
