`include "tmv_macros.svh"

/// Queue of weights of one port: takes beats in the order in which they lie in memory, delivers them in the order in
/// which the engine needs them: for each word of activations one beat of each row.
///
/// Beats of an interleaved block have that order already. Beats of single rows come in panels: up to `PanelBeats` beats
/// of the first row, as many of the second row, and so on. A panel is read across its rows:
///
///   written   r0w0 r0w1 .. r0w15 r1w0 r1w1 .. r7w15
///   read      r0w0 r1w0 .. r7w0  r0w1 r1w1 .. r7w15
///
/// The room of a panel is free again when all of it was read. Throughput one beat a cycle, across blocks too; latency two
/// cycles from `write_i` to `beat_valid_o`. No combinational path from an input to an output.
module tmv_weight_queue
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat.
  parameter  int unsigned PortBits = 128,
  /// Beats of the memory, a power of two, at least 32: four panels.
  parameter  int unsigned FifoBeats = 512,
  /// Blocks between their grant and their last beat, a power of two, at least 2.
  parameter  int unsigned Blocks = PortBlocks,
  /// 1: the memory is UltraRAM, which some UltraScale+ devices have; 0: block RAM.
  parameter  int unsigned UltraRam = 0,
  localparam int unsigned SpaceBits = $clog2(FifoBeats) + 1
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  /// Blocks in the order of their beats: whether their rows are single, and the beats of a row, minus one.
  input  logic                 block_valid_i,
  input  logic                 block_rows_i,
  input  word_t                block_last_word_i,
  /// Beats from memory. There is room: see `free_beats_o`.
  input  logic                 write_i,
  input  logic [PortBits-1:0]  beat_i,
  /// Beats to the engine.
  output logic                 beat_valid_o,
  input  logic                 beat_ready_i,
  output logic [PortBits-1:0]  beat_o,
  /// Beats whose room is free again since the cycle before.
  output logic [SpaceBits-1:0] free_beats_o
);
  localparam int unsigned PanelBeats = panel_beats(FifoBeats);
  localparam int unsigned PanelBits = $clog2(PanelBeats);
  localparam int unsigned PtrBits = $clog2(FifoBeats);

  /// Number of a beat since reset, modulo four times the queue: reading may be ahead of writing by most of a panel.
  typedef logic [PtrBits+1:0] ptr_t;
  /// Beats of a row in a panel.
  typedef logic [PanelBits:0] span_t;

  // Blocks that were granted and are not at work yet.
  typedef struct packed {
    logic  rows;
    word_t last_word;
  } shape_t;

  localparam int unsigned BlockBits = $clog2(Blocks);

  shape_t shapes[Blocks];
  logic [BlockBits:0] push_q, pop_q;

  // The next panel, prepared while this one is read: whether its rows are single, its words. Words of its block that are
  // not in a panel yet.
  logic next_valid_q, next_rows_q;
  span_t next_span_q;
  word_t left_q;

  // The panel that is read: its words; the word after this one, in the first row; words after this one.
  logic active_q, rows_q;
  span_t span_q, columns_q;
  logic [$clog2(RowBlock)-1:0] row_q;
  ptr_t write_q, read_q, word_q;

  localparam Style = (UltraRam != 0) ? "ultra" : "block";

  (* ram_style = Style *) logic [PortBits-1:0] mem[FifoBeats];

  // Statements stand in the order of use: readers before the writer of a register. The simulator then needs no copies.
  always_ff @(posedge clk_i) begin
    // A negative difference: the beat was written.
    automatic logic written = read_q - write_q >= ptr_t'(2 * FifoBeats);
    automatic logic read = active_q && written && (!beat_valid_o || beat_ready_i);
    automatic logic row_end = read && row_q == '1;
    automatic logic panel_end = row_end && columns_q == '0;

    if (read) beat_o <= mem[read_q[PtrBits-1:0]];
    if (write_i) mem[write_q[PtrBits-1:0]] <= beat_i;

    if (!rst_ni) begin
      beat_valid_o <= 1'b0;
      free_beats_o <= '0;
      word_q       <= ptr_t'(1);
      read_q       <= '0;
      write_q      <= '0;
      row_q        <= '0;
      active_q     <= 1'b0;
      next_valid_q <= 1'b0;
      left_q       <= '0;
      push_q       <= '0;
      pop_q        <= '0;
    end else begin
      free_beats_o <= SpaceBits'(read && !rows_q);
      if (read) begin
        beat_valid_o <= 1'b1;
        row_q        <= row_q + 1'b1;
        if (row_end) begin
          columns_q <= columns_q - 1'b1;
          word_q    <= panel_end ? read_q + ptr_t'(2) : word_q + 1'b1;
        end
        if (panel_end) begin
          active_q <= 1'b0;
          if (rows_q) free_beats_o <= SpaceBits'(span_q) << $clog2(RowBlock);
        end
        if (rows_q && !panel_end) read_q <= row_end ? word_q : read_q + ptr_t'(span_q);
        else read_q <= read_q + 1'b1;
      end else if (beat_ready_i) beat_valid_o <= 1'b0;
      if (write_i) write_q <= write_q + 1'b1;
      if (next_valid_q) begin
        if (!active_q || panel_end) begin
          active_q     <= 1'b1;
          rows_q       <= next_rows_q;
          span_q       <= next_span_q;
          columns_q    <= next_span_q - 1'b1;
          next_valid_q <= 1'b0;
        end
      end else if (left_q != '0 || push_q != pop_q) begin
        automatic shape_t shape = shapes[pop_q[BlockBits-1:0]];
        automatic word_t rest = (left_q != '0) ? left_q : shape.last_word + 1'b1;
        next_valid_q <= 1'b1;
        next_span_q  <= (rest < word_t'(PanelBeats)) ? span_t'(rest) : span_t'(PanelBeats);
        if (left_q == '0) begin
          next_rows_q <= shape.rows;
          pop_q       <= pop_q + 1'b1;
        end
        left_q <= (rest < word_t'(PanelBeats)) ? '0 : rest - word_t'(PanelBeats);
      end
      if (block_valid_i) push_q <= push_q + 1'b1;
    end
    if (block_valid_i) shapes[push_q[BlockBits-1:0]] <= '{rows: block_rows_i, last_word: block_last_word_i};
  end

  `TMV_REQUIRE(beats, FifoBeats >= 32 && (1 << PtrBits) == FifoBeats,
               "tmv_weight_queue: FifoBeats must be a power of two, at least 32")
  `TMV_REQUIRE(blocks, Blocks >= 2 && (1 << BlockBits) == Blocks, "tmv_weight_queue: Blocks must be a power of two")
  `TMV_ASSERT_IF(BlockFits, block_valid_i, push_q - pop_q != (BlockBits + 1)'(Blocks))
  `TMV_ASSERT_IF(Room, write_i, rows_q || ptr_t'(write_q - read_q) < ptr_t'(FifoBeats))
  `TMV_COVER(RowsAfterBlock, block_valid_i && block_rows_i && active_q && !rows_q)
  `TMV_COVER(BlockAfterRows, block_valid_i && !block_rows_i && active_q && rows_q)
  `TMV_COVER(PanelIncomplete, active_q && rows_q && row_q != '0 && read_q - write_q < ptr_t'(FifoBeats))
endmodule
