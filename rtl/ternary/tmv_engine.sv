`include "tmv_macros.svh"

/// Dot engine of one port: takes row blocks and their beats, delivers the accumulators of each block.
///
/// Beats of a block come interleaved: for each word of activations one beat of each row. So the engine reads a word
/// once for `RowBlock` beats. Tokens beyond `Vectors` are in further groups: the engine keeps the `RowBlock` beats of a
/// word, and they meet the words of the other groups too, one group after the other. So weights come once for all
/// tokens.
///
/// Blocks of single columns have no words of activations and no results here: the engine takes their beats in the same
/// order and decodes them for `tmv_column_engine`.
///
/// Throughput one beat a cycle, across blocks too. In the last word of a block, the first beat of a group waits until
/// the collector has taken the result before. Latency six cycles from the last beat of a block to its result; the README
/// of this folder draws the pipeline. Accumulators cannot overflow, see `AccBits`. No combinational path from an
/// input to an output.
module tmv_engine
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Weight codec, see `tmv_decode`.
  parameter  int unsigned Codec = CodecWeights2b,
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Activation vectors.
  parameter  int unsigned Vectors = 4,
  /// Words of an activation bank, a power of two, at least 2.
  parameter  int unsigned BankWords = DefaultBankWords,
  /// Groups of vectors, a power of two.
  parameter  int unsigned Groups = 1,
  /// Row blocks queued ahead of the beats, a power of two, at least 2.
  parameter  int unsigned BlockFifo = PortBlocks,
  localparam int unsigned Lanes = lanes_of(Codec, PortBits),
  localparam int unsigned Slices = slices_of(Lanes),
  localparam int unsigned SliceLanes = Lanes / Slices,
  localparam int unsigned WordAddrBits = x_addr_bits(BankWords, Groups)
) (
  input  logic                                              clk_i,
  input  logic                                              rst_ni,
  /// Row blocks in the order of their beats.
  input  logic                                              block_valid_i,
  output logic                                              block_ready_o,
  input  block_t                                            block_i,
  /// Beats of weights.
  input  logic                                              beat_valid_i,
  output logic                                              beat_ready_o,
  input  logic   [PortBits-1:0]                             beat_i,
  /// Contexts whose activations are in the memory.
  input  logic   [Contexts-1:0]                             x_loaded_i,
  /// Activation words: requests, and answers in order.
  output logic                                              x_req_o,
  input  logic                                              x_grant_i,
  output logic   [WordAddrBits-1:0]                         x_addr_o,
  input  logic                                              x_valid_i,
  input  logic   [Vectors-1:0][7:0][Lanes-1:0]              x_i,
  /// Results: `RowBlock` accumulators of one token a transfer. `result_slot_o` is the slot of the block,
  /// `result_token_o` the token of the first transfer of a group, `result_last_o` marks the last transfer of a group.
  /// The transfers of a group are taken in successive cycles.
  /// `result_done_o` the last group of a block.
  output logic                                              result_valid_o,
  input  logic                                              result_ready_i,
  output logic   [RowBlock-1:0][AccBits-1:0]                result_o,
  output slot_t                                             result_slot_o,
  output logic   [3:0]                                      result_token_o,
  output logic                                              result_last_o,
  output logic                                              result_done_o,
  /// A beat of a block of columns is at work: its column, whether it is of the first word, of the last word. Its planes come
  /// a cycle later.
  output logic                                              column_take_o,
  output logic   [$clog2(RowBlock)-1:0]                     column_o,
  output logic                                              column_first_word_o,
  output logic                                              column_last_word_o,
  output logic   [SliceLanes-1:0]                           nz_o [Slices],
  output logic   [SliceLanes-1:0]                           neg_o[Slices],
  /// The last beat of a block is at work.
  output logic                                              block_done_o,
  /// Use of this cycle, at most one of them high: a beat at work; no beat; no word of activations; result not taken.
  output logic                                              busy_o,
  output logic                                              stall_data_o,
  output logic                                              stall_x_o,
  output logic                                              stall_result_o
);
  localparam int unsigned RowBits = $clog2(RowBlock);
  localparam int unsigned BlockBits = $clog2(BlockFifo);
  localparam int unsigned SumBits = $clog2(128 * Lanes) + 2;
  localparam int unsigned CountBits = $clog2(Lanes + 1);
  localparam int unsigned GroupBits = group_bits(Groups);
  localparam int unsigned StepBits = $clog2(Groups * RowBlock);

  typedef logic [GroupBits-1:0] group_t;
  /// Place within a word: group and row. Also the place of an accumulator.
  typedef logic [StepBits-1:0] step_t;

  // Queue of row blocks with two readers: activations are fetched ahead of the beats. The block at work is in
  // registers.
  block_t blocks[BlockFifo];
  logic [BlockBits:0] push_q, fetch_q, load_q, compute_q;
  // `fetch_valid_q`: a block in the queue has words to fetch. A comparison of pointers would have a level more.
  logic push, load_block, current_valid_q, compute_pop, fetch_valid_q;

  assign push       = block_valid_i && block_ready_o;
  assign load_block = push_q != load_q && (!current_valid_q || compute_pop);

  // Words of activations: one is in use, in `tmv_plane`; the next one waits in `next_q`.
  logic [$clog2(BankWords)-1:0] fetch_word_q;
  group_t fetch_group_q;
  logic [1:0] words_q;
  logic word_done, word_used, next_valid_q, word_valid_q, word_shift;
  logic [Vectors-1:0][7:0][Lanes-1:0] next_q;

  assign word_shift = next_valid_q && (!word_valid_q || word_used);

  // The beat at work. The first group takes beats from the port, the other groups take the beats that were kept. A beat
  // comes out of a block RAM, which is slow, so it goes into a register before anything else.
  step_t take_q;
  group_t take_group;
  logic beat_valid_q, take, take_beat, first_take;
  logic [PortBits-1:0] beat_q;

  assign take = !beat_valid_q || busy_o;
  assign take_group = group_t'(take_q >> RowBits);
  assign first_take = take_group == '0;
  assign take_beat = take && (beat_valid_i || !first_take);
  assign beat_ready_o = take && first_take;

  // With one group there is nothing to keep.
  if (Groups == 1) begin : gen_beat
    always_ff @(posedge clk_i) if (take_beat) beat_q <= beat_i;
  end else begin : gen_kept
    logic [PortBits-1:0] kept[RowBlock];

    always_ff @(posedge clk_i) begin
      if (take_beat) begin
        beat_q <= first_take ? beat_i : kept[take_q[RowBits-1:0]];
        if (first_take) kept[take_q[RowBits-1:0]] <= beat_i;
      end
    end
  end

  // A cycle later, the beat as planes.
  logic [SliceLanes-1:0] nz[Slices], neg[Slices], nz_q[Slices], neg_q[Slices];

  tmv_decode #(
    .Codec(Codec),
    .PortBits(PortBits)
  ) u_decode (
    .beat_i(beat_q),
    .nz_o  (nz),
    .neg_o (neg)
  );

  always_ff @(posedge clk_i) begin
    if (busy_o) begin
      nz_q  <= nz;
      neg_q <= neg;
    end
  end

  // One beat a cycle. Words of a block in turn, for each word its groups, for each group its rows.
  slot_t slot_q;
  logic [MaxTokens-1:0] tokens_mask_q;
  logic [3:0] tokens_q, result_tokens_q;
  step_t step_q;
  group_t group;
  word_t words_left_q;
  logic columns_q, first_word_q, last_word_q, last_group, finish_word;
  logic result_pending_q, result_first_q, result_start, result_complete, result_pop, result_end;
  logic result_release, result_blocked;

  // The result that is being computed: what the outputs say of it when it is complete.
  struct packed {
    slot_t      slot;
    logic [3:0] token;
    logic       done;
    logic [3:0] tokens;
  } result_next_q;

  assign group = group_t'(step_q >> RowBits);
  assign last_group = Groups == 1 || 32'(tokens_q) <= (32'(group) + 1) * Vectors;
  assign result_blocked = last_word_q && result_pending_q && step_q[RowBits-1:0] == '0 && !columns_q;
  assign busy_o = beat_valid_q && (word_valid_q || columns_q) && !result_blocked;
  assign stall_data_o = current_valid_q && !beat_valid_q;
  assign stall_x_o = beat_valid_q && !word_valid_q && !columns_q;
  assign stall_result_o = beat_valid_q && word_valid_q && result_blocked;
  assign word_done = busy_o && &step_q[RowBits-1:0];
  assign word_used = word_done && !columns_q;
  assign finish_word = word_done && last_group;
  assign compute_pop = finish_word && last_word_q;

  assign block_done_o        = compute_pop;
  assign column_take_o       = busy_o && columns_q;
  assign column_o            = step_q[RowBits-1:0];
  assign column_first_word_o = first_word_q;
  assign column_last_word_o  = last_word_q;
  assign nz_o                = nz_q;
  assign neg_o               = neg_q;

  // Dot products and accumulation for the vectors that carry a token; registers of the other vectors keep still. Beside
  // the pipeline travel the vectors in use and the place of the sum: element 0 with the planes, 1 with the counts, 2 with
  // the sums of three, `Last` with the sum.
  localparam int unsigned Last = 3;

  typedef struct packed {
    step_t step;
    logic  first;
    logic  last;
  } place_t;

  logic [Last:0][Vectors-1:0] used_q;
  place_t [Last:0] place_q;
  place_t sum_place;
  logic [Vectors-1:0] used;
  logic sum_last;
  logic [CountBits-1:0] neg_count, neg_count_q;

  assign used = busy_o ? Vectors'(tokens_mask_q >> (group * Vectors)) : '0;
  assign sum_place = place_q[Last];
  assign sum_last = used_q[Last][0] && sum_place.last;

  // The result of a group begins with the first beat of the last word, is complete with the last sum, and then leaves.
  assign result_start  = busy_o && last_word_q && step_q[RowBits-1:0] == '0 && !columns_q;
  assign result_pop    = result_valid_o && result_ready_i;
  assign result_last_o = result_tokens_q == 4'd1;
  assign result_end    = result_pop && result_last_o;

  assign result_complete = sum_last && &sum_place.step[RowBits-1:0];
  // The collector takes the tokens of a group in successive cycles. The next group may begin when so few are left that
  // they are gone before its first sum: that comes `Last + 1` cycles after its first beat, and two cycles after this.
  assign result_release = result_pop && (result_tokens_q == 4'(Last + 2) || (result_tokens_q < 4'(Last + 2) && result_first_q));

  // Statements stand in the order of use: readers before the writer of a register. The simulator then needs no copies.
  always_ff @(posedge clk_i) begin
    place_q <= {place_q[Last-1:0], place_t'({step_q, first_word_q, last_word_q})};

    if (result_complete) begin
      {result_slot_o, result_token_o, result_done_o, result_tokens_q} <= result_next_q;
    end else if (result_pop) result_tokens_q <= result_tokens_q - 1'b1;
    result_first_q <= result_complete || (result_first_q && !result_pop);
    if (result_start) begin
      result_next_q.slot   <= slot_q;
      result_next_q.token  <= 4'(group * Vectors);
      result_next_q.done   <= last_group;
      result_next_q.tokens <= last_group ? tokens_q - 4'(group * Vectors) : 4'(Vectors);
    end

    if (|used_q[0]) neg_count_q <= neg_count;
    if (x_valid_i) next_q <= x_i;

    if (!rst_ni) begin
      used_q            <= '0;
      result_pending_q  <= 1'b0;
      result_valid_o    <= 1'b0;
      step_q            <= '0;
      take_q            <= '0;
      beat_valid_q      <= 1'b0;
      next_valid_q      <= 1'b0;
      word_valid_q      <= 1'b0;
    end else begin
      if (result_complete) result_valid_o <= 1'b1;
      else if (result_end) result_valid_o <= 1'b0;
      if (result_start) result_pending_q <= 1'b1;
      else if (result_release) result_pending_q <= 1'b0;
      used_q <= {used_q[Last-1:0], used};

      if (busy_o) step_q <= finish_word ? '0 : step_q + 1'b1;
      if (take) beat_valid_q <= take_beat;
      if (take_beat) begin
        take_q <= take_q + 1'b1;
        // Of the last row, so the row before is at work, and `tokens_q` belongs to the block of both.
        if (&take_q[RowBits-1:0] && (Groups == 1 || 32'(tokens_q) <= (32'(take_group) + 1) * Vectors)) take_q <= '0;
      end

      if (x_valid_i) next_valid_q <= 1'b1;
      else if (word_shift) next_valid_q <= 1'b0;
      if (word_shift) word_valid_q <= 1'b1;
      else if (word_used) word_valid_q <= 1'b0;
    end
  end

  // Requests for words of activations. Statements stand in the order of use, as above.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      x_req_o       <= 1'b0;
      words_q       <= '0;
      fetch_word_q  <= '0;
      fetch_group_q <= '0;
      fetch_q       <= '0;
      fetch_valid_q <= 1'b0;
    end else begin
      automatic logic request = 1'b0;
      if (x_req_o) begin
        if (x_grant_i) x_req_o <= 1'b0;
      end else if (words_q != 2'd2 && fetch_valid_q) begin
        automatic block_t fetch = blocks[fetch_q[BlockBits-1:0]];
        request = x_loaded_i[fetch.id] && !fetch.columns;
        if (fetch.columns) begin
          fetch_valid_q <= push_q != fetch_q + 1'b1;
          fetch_q       <= fetch_q + 1'b1;
        end
        if (request) begin
          x_req_o  <= 1'b1;
          x_addr_o <= {fetch.bank, (WordAddrBits - 1)'({fetch_group_q, fetch_word_q})};
          if (Groups > 1 && 32'(fetch.tokens) > (32'(fetch_group_q) + 1) * Vectors) begin
            fetch_group_q <= fetch_group_q + 1'b1;
          end else begin
            fetch_group_q <= '0;
            if (word_t'(fetch_word_q) != fetch.last_word) fetch_word_q <= fetch_word_q + 1'b1;
            else begin
              fetch_word_q  <= '0;
              fetch_valid_q <= push_q != fetch_q + 1'b1;
              fetch_q       <= fetch_q + 1'b1;
            end
          end
        end
      end
      if (request != word_used) words_q <= request ? words_q + 1'b1 : words_q - 1'b1;
      if (push) fetch_valid_q <= 1'b1;
    end
  end

  // The block at work and the queue of blocks.
  always_ff @(posedge clk_i) begin
    if (finish_word) begin
      last_word_q  <= words_left_q == word_t'(1);
      words_left_q <= words_left_q - 1'b1;
      first_word_q <= 1'b0;
    end
    if (load_block) begin
      automatic block_t load = blocks[load_q[BlockBits-1:0]];
      slot_q        <= load.slot;
      columns_q     <= load.columns;
      tokens_mask_q <= load.tokens_mask;
      tokens_q      <= load.tokens;
      words_left_q  <= load.last_word;
      first_word_q  <= 1'b1;
      last_word_q   <= load.last_word == '0;
    end
    if (push) blocks[push_q[BlockBits-1:0]] <= block_i;
    if (!rst_ni) begin
      block_ready_o   <= 1'b1;
      current_valid_q <= 1'b0;
      push_q          <= '0;
      load_q          <= '0;
      compute_q       <= '0;
    end else begin
      if (push != compute_pop) block_ready_o <= !push || (push_q - compute_q) != (BlockBits + 1)'(BlockFifo - 1);
      if (load_block) current_valid_q <= 1'b1;
      else if (compute_pop) current_valid_q <= 1'b0;
      if (push) push_q <= push_q + 1'b1;
      if (load_block) load_q <= load_q + 1'b1;
      if (compute_pop) compute_q <= compute_q + 1'b1;
    end
  end

  tmv_popcount #(
    .Width(Lanes),
    .Slices(Slices)
  ) u_neg_count (
    .bits_i (neg_q),
    .count_o(neg_count)
  );

  acc_t acc[Vectors];

  for (genvar v = 0; v < int'(Vectors); v++) begin : gen_vector
    logic signed [SumBits-1:0] sum;
    acc_t acc_q[1 << StepBits];

    tmv_dot #(
      .Lanes(Lanes)
    ) u_dot (
      .clk_i,
      .load_i     (word_shift),
      .x_i        (next_q[v]),
      .valid_i    (used_q[0][v]),
      .valid_q_i  (used_q[1][v]),
      .valid_qq_i (used_q[2][v]),
      .nz_i       (nz_q),
      .neg_i      (neg_q),
      .neg_count_i(neg_count_q),
      .sum_o      (sum)
    );

    assign acc[v] = acc_t'(sum) + (sum_place.first ? '0 : acc_q[sum_place.step]);

    always_ff @(posedge clk_i) if (used_q[Last][v]) acc_q[sum_place.step] <= acc[v];
  end

  // Results are a chain with a link for each vector. Rows shift into the link of their vector; links leave at link 0.
  // The link of a vector without a token is don't-care. One assignment, because a simulator would copy a register that
  // has two.
  typedef logic [Vectors-1:0][RowBlock-1:0][AccBits-1:0] results_t;
  results_t result_q;

  assign result_o = result_q[0];

  always_ff @(posedge clk_i) begin
    if (sum_last || result_pop) begin
      automatic results_t next = result_q >> (RowBlock * AccBits);
      for (int unsigned v = 0; v < Vectors; v++) if (sum_last) next[v] = {acc[v], result_q[v][RowBlock-1:1]};
      result_q <= next;
    end
  end

  // -128 times -1 in every lane of every word is the largest sum, and accumulators have a sign.
  `TMV_REQUIRE(width, BankWords * Lanes * 128 < (1 << (AccBits - 1)), "tmv_engine: accumulators would overflow")
  `TMV_REQUIRE(words, BankWords >= 2 && BankWords <= (1 << $bits(word_t)),
               "tmv_engine: BankWords must be at least 2, and a word's index must fit word_t")
  `TMV_REQUIRE(vectors, Vectors >= 1 && Groups >= 1 && Vectors * Groups <= MaxTokens,
               "tmv_engine: Vectors * Groups must be 1 to 8")
  `TMV_REQUIRE(blocks, BlockFifo >= 2 && (1 << BlockBits) == BlockFifo,
               "tmv_engine: BlockFifo must be a power of two, at least 2")
  `TMV_ASSERT(ReadyIsRoom, block_ready_o == ((push_q - compute_q) != (BlockBits + 1)'(BlockFifo)))
  `TMV_ASSERT(FetchIsQueued, fetch_valid_q == (push_q != fetch_q))
  // Planes take `next_q` a cycle after `word_shift`, so no word may come in its place in the cycle of `word_shift`.
  `TMV_ASSERT_IF(WordExpected, x_valid_i, !next_valid_q)
  `TMV_ASSERT_IF(BlockOfBeat, beat_valid_q, current_valid_q)
  `TMV_ASSERT(OneCause, $onehot0({busy_o, stall_data_o, stall_x_o, stall_result_o}))
  `TMV_ASSERT(ResultKept, !(sum_last && result_valid_o))
  `TMV_ASSERT_IF(TakenInSuccession, result_valid_o, result_first_q || result_ready_i)
  `TMV_COVER(WeightsMissing, stall_data_o)
  `TMV_COVER(ActivationsMissing, stall_x_o)
  `TMV_COVER(ResultBlocked, stall_result_o)
  `TMV_COVER(LaterGroup, word_done && group != '0)
endmodule
