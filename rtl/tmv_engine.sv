`include "tmv_macros.svh"

/// Dot engine of one port: consumes row blocks, beat by beat, and delivers their accumulators.
///
/// Beats of a block come interleaved: for each word of activations the `RowBlock` rows in turn, so a word is read
/// once for `RowBlock` beats and accumulation has `RowBlock` cycles from one use of an accumulator to the next.
/// Tokens beyond `Vectors` are in further groups: the beats of a word are kept and met by the words of the other groups
/// too, one group after the other, so that weights come once for all tokens.
/// Throughput one beat a cycle, across blocks too, provided that the previous result is collected within a block.
/// Latency from a block's last beat to its result: five cycles. Accumulators cannot overflow, see `AccBits`.
module tmv_engine
  import tmv_pkg::*;
#(
  /// Weights of a beat.
  parameter  int unsigned Lanes = 64,
  /// Activation vectors.
  parameter  int unsigned Vectors = 4,
  /// Words of an activation bank, a power of two.
  parameter  int unsigned BankWords = 256,
  /// Groups of vectors, a power of two.
  parameter  int unsigned Groups = 1,
  /// Row blocks queued ahead of the beats, a power of two.
  parameter  int unsigned BlockFifo = 8,
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
  /// Weight beats, as planes.
  input  logic                                              beat_valid_i,
  output logic                                              beat_ready_o,
  input  logic   [SliceLanes-1:0]                           nz_i           [Slices],
  input  logic   [SliceLanes-1:0]                           neg_i          [Slices],
  /// Contexts whose activations are in the memory.
  input  logic   [Contexts-1:0]                             x_loaded_i,
  /// Activation words: requests, and answers in order.
  output logic                                              x_req_o,
  input  logic                                              x_grant_i,
  output logic   [WordAddrBits-1:0]                         x_addr_o,
  input  logic                                              x_valid_i,
  input  logic   [Vectors-1:0][7:0][Lanes-1:0]              x_i,
  /// Accumulators of a block and group, a word a token; the block's slot, the token of the first word, whether this
  /// word is the group's last, and whether the group is the block's last.
  output logic                                              result_valid_o,
  input  logic                                              result_ready_i,
  output logic   [RowBlock-1:0][AccBits-1:0]                result_o,
  output slot_t                                             result_slot_o,
  output logic   [3:0]                                      result_token_o,
  output logic                                              result_last_o,
  output logic                                              result_done_o,
  /// What this cycle was spent on, at most one high: a beat consumed, or what was missing.
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
  localparam int unsigned AccIndexBits = $clog2(Groups * RowBlock);

  typedef logic [RowBits-1:0] row_t;
  typedef logic [GroupBits-1:0] group_t;

  /// Whether a block's tokens end in this group.
  function automatic logic is_last_group(group_t group, logic [3:0] tokens);
    return Groups == 1 || 32'(tokens) <= (32'(group) + 1) * Vectors;
  endfunction

  // Row blocks, read twice: activations are fetched ahead of the beats. The one at work is in a register.
  block_t blocks[BlockFifo];
  block_t load, fetch;
  logic [BlockBits:0] push_q, fetch_q, load_q, compute_q;
  logic push, load_valid, load_block, current_valid_q, compute_pop, fetch_valid, fetch_pop;

  assign push          = block_valid_i && block_ready_o;
  assign load_valid    = push_q != load_q;
  assign fetch_valid   = push_q != fetch_q;
  assign load          = blocks[load_q[BlockBits-1:0]];
  assign fetch         = blocks[fetch_q[BlockBits-1:0]];
  assign load_block    = load_valid && (!current_valid_q || compute_pop);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      push_q          <= '0;
      fetch_q         <= '0;
      load_q          <= '0;
      compute_q       <= '0;
      block_ready_o   <= 1'b1;
      current_valid_q <= 1'b0;
    end else begin
      if (push) push_q <= push_q + 1'b1;
      if (push != compute_pop) block_ready_o <= !push || (push_q - compute_q) != (BlockBits + 1)'(BlockFifo - 1);
      if (fetch_pop) fetch_q <= fetch_q + 1'b1;
      if (load_block) load_q <= load_q + 1'b1;
      if (compute_pop) compute_q <= compute_q + 1'b1;
      if (load_block) current_valid_q <= 1'b1;
      else if (compute_pop) current_valid_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) if (push) blocks[push_q[BlockBits-1:0]] <= block_i;

  // Activation words: one in use, one behind it.
  logic [$clog2(BankWords)-1:0] fetch_word_q;
  group_t fetch_group_q;
  logic fetch_step, fetch_last_group;
  logic [1:0] words_q;
  logic word_done, next_valid_q, word_valid_q, word_shift;
  logic [Vectors-1:0][7:0][Lanes-1:0] next_q;

  assign fetch_step = fetch_valid && x_loaded_i[fetch.id] && words_q != 2'd2 && !x_req_o;
  assign fetch_last_group = is_last_group(fetch_group_q, fetch.tokens);
  assign fetch_pop = fetch_step && fetch_last_group && word_t'(fetch_word_q) == fetch.last_word;
  assign word_shift = next_valid_q && (!word_valid_q || word_done);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      x_req_o      <= 1'b0;
      fetch_word_q <= '0;
      words_q      <= '0;
      next_valid_q <= 1'b0;
      word_valid_q <= 1'b0;
    end else begin
      if (fetch_step) x_req_o <= 1'b1;
      else if (x_grant_i) x_req_o <= 1'b0;
      if (fetch_step && fetch_last_group) fetch_word_q <= fetch_pop ? '0 : fetch_word_q + 1'b1;
      words_q <= words_q + 2'(fetch_step) - 2'(word_done);
      if (x_valid_i) next_valid_q <= 1'b1;
      else if (word_shift) next_valid_q <= 1'b0;
      if (word_shift) word_valid_q <= 1'b1;
      else if (word_done) word_valid_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) if (x_valid_i) next_q <= x_i;

  // The beat at work, one behind it in the queue before: from there, or from those kept for the groups that follow.
  logic beat_valid_q, take, take_beat, busy, first_take;
  group_t take_group_q;
  logic [SliceLanes-1:0] nz_q[Slices], neg_q[Slices];

  assign take = !beat_valid_q || busy;
  assign first_take = take_group_q == '0;
  assign take_beat = take && (beat_valid_i || !first_take);
  assign beat_ready_o = take && first_take;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) beat_valid_q <= 1'b0;
    else if (take) beat_valid_q <= take_beat;
  end

  // One beat a cycle: row by row within a word, group by group, word by word within a block.
  slot_t slot_q;
  logic [MaxTokens-1:0] tokens_mask_q;
  logic [3:0] tokens_q;
  row_t row_q;
  group_t group_q;
  word_t words_left_q;
  logic first_word_q, last_word_q, last_row, last_group, result_pending_q, result_blocked, word_ready, finish_word;

  assign last_group = is_last_group(group_q, tokens_q);
  assign last_row = row_q == row_t'(RowBlock - 1);
  assign result_blocked = last_word_q && row_q == '0 && result_pending_q;
  assign word_ready = current_valid_q && word_valid_q;
  assign busy = beat_valid_q && word_ready && !result_blocked;
  assign busy_o = busy;
  assign stall_data_o = current_valid_q && !beat_valid_q;
  assign stall_x_o = current_valid_q && beat_valid_q && !word_valid_q;
  assign stall_result_o = word_ready && beat_valid_q && result_blocked;
  assign word_done = busy && last_row;
  assign finish_word = word_done && last_group;
  assign compute_pop = finish_word && last_word_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) row_q <= '0;
    else if (busy) row_q <= row_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (load_block) begin
      slot_q        <= load.slot;
      tokens_mask_q <= load.tokens_mask;
      tokens_q      <= load.tokens;
      words_left_q  <= load.last_word;
      first_word_q  <= 1'b1;
      last_word_q   <= load.last_word == '0;
    end else if (finish_word) begin
      words_left_q <= words_left_q - 1'b1;
      first_word_q <= 1'b0;
      last_word_q  <= words_left_q == word_t'(1);
    end
  end

  // With one group there is nothing to keep.
  if (Groups == 1) begin : gen_one_group
    assign fetch_group_q = '0;
    assign take_group_q  = '0;
    assign group_q       = '0;

    always_ff @(posedge clk_i) begin
      if (take_beat) begin
        nz_q  <= nz_i;
        neg_q <= neg_i;
      end
    end

    always_ff @(posedge clk_i) if (fetch_step) x_addr_o <= {fetch.bank, fetch_word_q};
  end else begin : gen_groups
    row_t take_row_q;

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_kept
      logic [SliceLanes-1:0] mem_nz[RowBlock], mem_neg[RowBlock];

      always_ff @(posedge clk_i) begin
        if (take_beat && first_take) begin
          mem_nz[take_row_q]  <= nz_i[s];
          mem_neg[take_row_q] <= neg_i[s];
        end
        if (take_beat) begin
          nz_q[s]  <= first_take ? nz_i[s] : mem_nz[take_row_q];
          neg_q[s] <= first_take ? neg_i[s] : mem_neg[take_row_q];
        end
      end
    end

    // When the last beat of a word is taken, the one before it is at work: both are of the same block.
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        fetch_group_q <= '0;
        take_row_q    <= '0;
        take_group_q  <= '0;
        group_q       <= '0;
      end else begin
        if (fetch_step) fetch_group_q <= fetch_last_group ? '0 : fetch_group_q + 1'b1;
        if (take_beat) begin
          take_row_q <= take_row_q + 1'b1;
          if (take_row_q == row_t'(RowBlock - 1)) begin
            take_group_q <= is_last_group(take_group_q, tokens_q) ? '0 : take_group_q + 1'b1;
          end
        end
        if (word_done) group_q <= last_group ? '0 : group_q + 1'b1;
      end
    end

    always_ff @(posedge clk_i) if (fetch_step) x_addr_o <= {fetch.bank, fetch_group_q, fetch_word_q};
  end

  // Dot products, then accumulation, of the vectors that carry a token; the others keep still. `place` says where a
  // sum belongs, alongside the dot pipeline.
  typedef struct packed {
    group_t group;
    row_t row;
    logic first;
    logic last;
  } place_t;

  place_t place_q, place_qq;
  logic [Vectors-1:0] used, used_q, used_qq;
  logic [CountBits-1:0] neg_count, neg_count_q;
  logic last_sum, result_pop;
  logic [3:0] result_tokens_q;

  tmv_popcount #(
    .Width(Lanes),
    .Slices(Slices)
  ) u_neg_count (
    .bits_i (neg_q),
    .count_o(neg_count)
  );

  assign used       = busy ? Vectors'(tokens_mask_q >> (group_q * Vectors)) : '0;
  assign last_sum   = used_qq[0] && place_qq.last;
  assign result_pop = result_valid_o && result_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) {used_qq, used_q} <= '0;
    else {used_qq, used_q} <= {used_q, used};
  end

  always_ff @(posedge clk_i) begin
    place_q  <= '{group: group_q, row: row_q, first: first_word_q, last: last_word_q};
    place_qq <= place_q;
  end

  always_ff @(posedge clk_i) if (busy) neg_count_q <= neg_count;

  // Results form a chain, one link a vector: rows shift in at every link, words shift out at the first.
  logic [Vectors:0][RowBlock-1:0][AccBits-1:0] link;

  assign link[Vectors] = '0;
  assign result_o = link[0];

  for (genvar v = 0; v < int'(Vectors); v++) begin : gen_vector
    logic signed [SumBits-1:0] sum;
    acc_t acc, acc_q[Groups * RowBlock];
    logic [RowBlock-1:0][AccBits-1:0] result_q;

    tmv_dot #(
      .Lanes(Lanes)
    ) u_dot (
      .clk_i,
      .load_i     (word_shift),
      .x_i        (next_q[v]),
      .valid_i    (used[v]),
      .valid_q_i  (used_q[v]),
      .nz_i       (nz_q),
      .neg_i      (neg_q),
      .neg_count_i(neg_count_q),
      .sum_o      (sum)
    );

    assign acc = acc_t'(sum) + (place_qq.first ? '0 : acc_q[AccIndexBits'({place_qq.group, place_qq.row})]);
    assign link[v] = result_q;

    always_ff @(posedge clk_i) begin
      if (used_qq[v]) acc_q[AccIndexBits'({place_qq.group, place_qq.row})] <= acc;
      if (used_qq[v] && place_qq.last) result_q <= {acc, result_q[RowBlock-1:1]};
      else if (result_pop) result_q <= link[v+1];
    end
  end

  assign result_last_o = result_tokens_q == 4'd1;

  always_ff @(posedge clk_i) begin
    if (busy && last_word_q && row_q == '0) begin
      result_slot_o   <= slot_q;
      result_token_o  <= 4'(group_q * Vectors);
      result_done_o   <= last_group;
      result_tokens_q <= last_group ? tokens_q - 4'(group_q * Vectors) : 4'(Vectors);
    end else if (result_pop) result_tokens_q <= result_tokens_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      result_pending_q <= 1'b0;
      result_valid_o   <= 1'b0;
    end else begin
      if (busy && last_word_q && row_q == '0) result_pending_q <= 1'b1;
      else if (result_pop && result_last_o) result_pending_q <= 1'b0;
      if (last_sum && place_qq.row == row_t'(RowBlock - 1)) result_valid_o <= 1'b1;
      else if (result_pop && result_last_o) result_valid_o <= 1'b0;
    end
  end

  `TMV_REQUIRE(width, BankWords * Lanes * 128 < (1 << AccBits), "tmv_engine: accumulators would overflow")
  `TMV_ASSERT(ReadyIsRoom, block_ready_o == ((push_q - compute_q) != (BlockBits + 1)'(BlockFifo)))
  `TMV_ASSERT(WordExpected, !x_valid_i || !next_valid_q || word_shift)
  `TMV_ASSERT(OneCause, $onehot0({busy_o, stall_data_o, stall_x_o, stall_result_o}))
  `TMV_ASSERT(ResultKept, !(last_sum && result_valid_o))
  `TMV_COVER(WeightsMissing, stall_data_o)
  `TMV_COVER(ActivationsMissing, stall_x_o)
  `TMV_COVER(ResultBlocked, stall_result_o)
  `TMV_COVER(LaterGroup, word_done && group_q != '0)
endmodule
