`include "tmv_macros.svh"

/// Sums of one port over columns: each row of the matrix has a sum, and a column adds its weights times one activation.
///
/// Takes the planes of a port's beats from `tmv_engine`, which decodes them. A block is `RowBlock` columns, and its beats
/// come as those of single rows do: for each word of rows one beat of each column. `tmv_column_products` adds up the
/// products of a word over the columns of the block; then they go to the sums in memory, `PortBits / 8` lanes a cycle.
///
/// Throughput one beat a cycle. Latency from the last beat of a word to its last sum `Lanes / (PortBits / 8) + 6` cycles. No
/// combinational path from an input to an output.
module tmv_column_engine
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Weight codec, see `tmv_decode`.
  parameter  int unsigned Codec = CodecWeights2b,
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// 1: sums in UltraRAM, which some UltraScale+ devices have; 0: in block RAM.
  parameter  int unsigned UltraRam = 0,
  /// Blocks between their grant and their last sum, a power of two: more than `tmv_engine` takes.
  parameter  int unsigned Blocks = 2 * PortBlocks,
  localparam int unsigned Lanes = lanes_of(Codec, PortBits),
  localparam int unsigned Slices = slices_of(Lanes),
  localparam int unsigned SliceLanes = Lanes / Slices,
  localparam int unsigned SumLanes = PortBits / 8
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  /// An operator reads columns: from its begin until its sums were read. Nothing moves without it.
  input  logic                              active_i,
  /// It begins: all sums are zero.
  input  logic                              start_i,
  /// A block is granted; the activation of its next column. The columns that a block lacks get zero.
  input  logic                              block_i,
  input  logic                              column_i,
  input  activation_t                       value_i,
  /// A beat of column `take_column_i` of the oldest block is at work: of its first word, of its last one. Its planes come
  /// a cycle later.
  input  logic                              take_i,
  input  logic [$clog2(RowBlock)-1:0]       take_column_i,
  input  logic                              take_first_i,
  input  logic                              take_last_i,
  input  logic [SliceLanes-1:0]             nz_i  [Slices],
  input  logic [SliceLanes-1:0]             neg_i [Slices],
  /// All sums of the blocks that were granted are complete.
  output logic                              idle_o,
  /// Reads an entry of sums while idle; a cycle later, the sums.
  input  logic                              read_i,
  input  column_sum_index_t                 read_index_i,
  output logic [SumLanes-1:0][ColumnSumBits-1:0] sums_o
);
  localparam int unsigned BlockBits = $clog2(Blocks);
  /// Cycles in which the sums of a word go to the memory.
  localparam int unsigned Steps = Lanes / SumLanes;
  localparam int unsigned StepBits = $clog2(Steps);
  localparam int unsigned FieldBits = ColumnFieldBits;

  typedef logic [SumLanes-1:0][ColumnSumBits-1:0] sums_t;

  // Activations of the blocks that were granted. A grant sets all of a block to zero.
  activation_t [RowBlock-1:0] values[Blocks];
  activation_t [RowBlock-1:0] open_values_q;
  logic [BlockBits-1:0] push_q, pop_q;
  logic [$clog2(RowBlock)-1:0] column_q;

  // Beside the pipeline travels what a beat is: element 0 with the planes, 3 with their sums.
  typedef struct packed {
    // Of the columns, the last one.
    logic last;
    // Of the words of a block.
    logic first_word;
    logic last_word;
  } place_t;

  place_t [3:0] place_q;
  logic [3:0] valid_q;
  logic [2:0] first_q;
  activation_t value_q;
  logic [Steps-1:0][SumLanes-1:0][FieldBits-1:0] word;
  logic [Steps-1:0][SumLanes-1:0] borrow;
  logic word_done;

  tmv_column_products #(
    .Lanes(Lanes),
    .Fields(PortBits == 64 ? 2 : 3)
  ) u_products (
    .clk_i,
    .valid_i (valid_q[2:0]),
    .first_i (first_q[2]),
    .done_i  (word_done),
    .x_i     (value_q),
    .nz_i,
    .neg_i,
    .sum_o   (word),
    .borrow_o(borrow)
  );

  // Sums of a word on their way to the memory.
  logic stepping_q, adding_q, last_word_q, fresh_q, block_done;
  logic [StepBits-1:0] step_q;
  column_sum_index_t index_q, add_index_q;
  logic [BlockBits:0] pending_q;
  logic [SumLanes-1:0][FieldBits-1:0] add_q;
  logic [SumLanes-1:0] add_borrow_q;
  sums_t read_q;

  localparam Style = (UltraRam != 0) ? "ultra" : "block";

  (* ram_style = Style *) sums_t mem[ColumnSumEntries];

  assign idle_o = pending_q == '0;
  assign word_done = valid_q[3] && place_q[3].last;
  assign block_done = stepping_q && step_q == StepBits'(Steps - 1) && last_word_q;
  assign sums_o = read_q;

  // Statements stand in the order of use: readers before the writer of a register. The simulator then needs no copies,
  // and has nothing to do while no operator reads columns. There are no functions, because with them the simulator would
  // not share the code of the ports.
  always_ff @(posedge clk_i) begin
    if (active_i || !rst_ni) begin
      if (adding_q) begin
        automatic sums_t sums = '0;
        for (int unsigned l = 0; l < SumLanes; l++) begin
          // One adder: what the field below borrowed comes in as the carry of a bit below.
          sums[l] = ColumnSumBits'(({read_q[l], 1'b1} + {ColumnSumBits'(signed'(add_q[l])), add_borrow_q[l]}) >> 1);
        end
        mem[add_index_q] <= sums;
      end
      if (stepping_q) begin
        add_index_q  <= index_q;
        add_q        <= word[step_q];
        add_borrow_q <= borrow[step_q];
      end
      // Nothing was added since the start: a reset of the memory's output costs less than gates.
      if (stepping_q || read_i) begin
        if (fresh_q) read_q <= '0;
        else read_q <= mem[stepping_q ? index_q : read_index_i];
      end
      if (start_i) fresh_q <= 1'b1;
      else if (block_done) fresh_q <= 1'b0;
      if (!rst_ni) pending_q <= '0;
      else if (block_i != block_done) pending_q <= block_i ? pending_q + 1'b1 : pending_q - 1'b1;
      if (word_done) last_word_q <= place_q[3].last_word;
      if (word_done || (stepping_q && step_q != StepBits'(Steps - 1))) begin
        index_q <= (word_done && place_q[3].first_word) ? '0 : index_q + 1'b1;
      end
      adding_q <= stepping_q && rst_ni;
      stepping_q <= (word_done || (stepping_q && step_q != StepBits'(Steps - 1))) && rst_ni;
      step_q <= word_done ? '0 : step_q + StepBits'(stepping_q);
      if (take_i) value_q <= values[pop_q][take_column_i];
      place_q <= {place_q[2:0], place_t'({take_column_i == '1, take_first_i, take_last_i})};
      first_q <= {first_q[1:0], take_column_i == '0};
      valid_q <= rst_ni ? {valid_q[2:0], take_i} : '0;
      if (!rst_ni) pop_q <= '0;
      else if (take_i && take_column_i == '1 && take_last_i) pop_q <= pop_q + 1'b1;
      if (block_i || column_i) begin
        automatic activation_t [RowBlock-1:0] open_values = block_i ? '0 : open_values_q;
        if (column_i) open_values[column_q] = value_i;
        values[block_i ? push_q : push_q - 1'b1] <= open_values;
        open_values_q <= open_values;
        column_q      <= block_i ? '0 : column_q + 1'b1;
      end
      if (!rst_ni) push_q <= '0;
      else if (block_i) push_q <= push_q + 1'b1;
    end
  end

  `TMV_REQUIRE(steps, Steps * SumLanes == Lanes && Steps + 1 <= RowBlock,
               "tmv_column_engine: the sums of a word must be in the memory before those of the next word")
  `TMV_REQUIRE(blocks, Blocks >= 2 && (1 << BlockBits) == Blocks, "tmv_column_engine: Blocks must be a power of two")
  `TMV_REQUIRE(entries, (MaxColumnRows + Lanes - 1) / Lanes * Steps <= ColumnSumEntries,
               "tmv_column_engine: the sums of MaxColumnRows rows must fit their memory")
  `TMV_ASSERT_IF(ActiveWithBlocks, block_i, active_i)
  `TMV_ASSERT_IF(BlocksFit, block_i, pending_q < (BlockBits + 1)'(Blocks))
  `TMV_ASSERT_IF(StartIdle, start_i, idle_o)
  `TMV_ASSERT_IF(ReadIdle, read_i, idle_o)
  `TMV_ASSERT_IF(WordComplete, word_done, !stepping_q)
  `TMV_COVER(BlocksOverlap, take_i && take_first_i && pending_q > (BlockBits + 1)'(1))
endmodule
