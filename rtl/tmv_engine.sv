`include "tmv_macros.svh"

/// Dot engine of one port: consumes row blocks, beat by beat, and delivers their accumulators.
///
/// Beats of a block come interleaved: for each word of activations the `RowBlock` rows in turn, so a word is read
/// once for `RowBlock` beats and accumulation has `RowBlock` cycles from one use of an accumulator to the next.
/// Tokens beyond `Vectors` are in further groups: the beats of a word are kept and met by the words of the other groups
/// too, one group after the other, so that weights come once for all tokens.
/// Throughput one beat a cycle, across blocks too, provided that the previous result is collected within a block.
/// Latency from a block's last beat to its result: four cycles. Accumulators cannot overflow, see `AccBits`.
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

  // Row blocks, read twice: activations are fetched ahead of the beats.
  block_t blocks[BlockFifo];
  block_t compute, fetch;
  logic [BlockBits:0] push_q, fetch_q, compute_q;
  logic compute_valid, compute_pop, fetch_valid, fetch_pop;

  assign block_ready_o = (push_q - compute_q) != (BlockBits + 1)'(BlockFifo);
  assign compute_valid = push_q != compute_q;
  assign fetch_valid   = push_q != fetch_q;
  assign compute       = blocks[compute_q[BlockBits-1:0]];
  assign fetch         = blocks[fetch_q[BlockBits-1:0]];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      push_q    <= '0;
      fetch_q   <= '0;
      compute_q <= '0;
    end else begin
      if (block_valid_i && block_ready_o) push_q <= push_q + 1'b1;
      if (fetch_pop) fetch_q <= fetch_q + 1'b1;
      if (compute_pop) compute_q <= compute_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) if (block_valid_i && block_ready_o) blocks[push_q[BlockBits-1:0]] <= block_i;

  // Activation words: one in use, one behind it.
  logic [$clog2(BankWords)-1:0] fetch_word_q;
  group_t fetch_group_q;
  logic fetch_step, fetch_last_group;
  logic [1:0] words_q;
  logic word_done, next_valid_q, word_valid_q, word_shift;
  logic [Vectors-1:0][7:0][Lanes-1:0] next_q;

  assign x_req_o = fetch_valid && x_loaded_i[fetch.id] && words_q != 2'd2;
  assign fetch_step = x_req_o && x_grant_i;
  assign fetch_last_group = is_last_group(fetch_group_q, fetch.tokens);
  assign fetch_pop = fetch_step && fetch_last_group && word_t'(fetch_word_q) == fetch.last_word;
  assign word_shift = next_valid_q && (!word_valid_q || word_done);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fetch_word_q <= '0;
      words_q      <= '0;
      next_valid_q <= 1'b0;
      word_valid_q <= 1'b0;
    end else begin
      if (fetch_step && fetch_last_group) fetch_word_q <= fetch_pop ? '0 : fetch_word_q + 1'b1;
      words_q <= words_q + 2'(fetch_step) - 2'(word_done);
      if (x_valid_i) next_valid_q <= 1'b1;
      else if (word_shift) next_valid_q <= 1'b0;
      if (word_shift) word_valid_q <= 1'b1;
      else if (word_done) word_valid_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) if (x_valid_i) next_q <= x_i;

  // One beat a cycle: row by row within a word, group by group, word by word within a block.
  row_t row_q;
  group_t group_q;
  word_t word_index_q;
  logic first_word, last_word, last_row, first_group, last_group, beat_valid, result_pending_q, result_blocked;
  logic step_ready;
  logic [SliceLanes-1:0] nz[Slices], neg[Slices];

  assign first_group = group_q == '0;
  assign last_group = is_last_group(group_q, compute.tokens);
  assign beat_valid = first_group ? beat_valid_i : compute_valid;
  assign first_word = word_index_q == '0;
  assign last_word = word_index_q == compute.last_word;
  assign last_row = row_q == row_t'(RowBlock - 1);
  assign result_blocked = last_word && row_q == '0 && result_pending_q;
  assign beat_ready_o = first_group && step_ready;
  assign step_ready = compute_valid && word_valid_q && !result_blocked;
  assign busy_o = beat_valid && step_ready;
  assign stall_data_o = compute_valid && !beat_valid;
  assign stall_x_o = compute_valid && beat_valid && !word_valid_q;
  assign stall_result_o = compute_valid && beat_valid && word_valid_q && result_blocked;
  assign word_done = busy_o && last_row;
  assign compute_pop = busy_o && last_row && last_group && last_word;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      row_q        <= '0;
      word_index_q <= '0;
    end else if (busy_o) begin
      row_q <= row_q + 1'b1;
      if (last_row && last_group) word_index_q <= last_word ? '0 : word_index_q + 1'b1;
    end
  end

  // With one group there is nothing to keep.
  if (Groups == 1) begin : gen_one_group
    assign fetch_group_q = '0;
    assign group_q       = '0;
    assign nz            = nz_i;
    assign neg           = neg_i;
    assign x_addr_o      = {fetch.bank, fetch_word_q};
  end else begin : gen_groups
    // Beats of the word in use.
    logic [SliceLanes-1:0] kept_nz[Slices], kept_neg[Slices];

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_kept
      logic [SliceLanes-1:0] mem_nz[RowBlock], mem_neg[RowBlock];

      always_ff @(posedge clk_i) begin
        if (busy_o && first_group) begin
          mem_nz[row_q]  <= nz_i[s];
          mem_neg[row_q] <= neg_i[s];
        end
      end

      assign kept_nz[s]  = mem_nz[row_q];
      assign kept_neg[s] = mem_neg[row_q];
      assign nz[s]       = first_group ? nz_i[s] : kept_nz[s];
      assign neg[s]      = first_group ? neg_i[s] : kept_neg[s];
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        fetch_group_q <= '0;
        group_q       <= '0;
      end else begin
        if (fetch_step) fetch_group_q <= fetch_last_group ? '0 : fetch_group_q + 1'b1;
        if (word_done) group_q <= last_group ? '0 : group_q + 1'b1;
      end
    end

    assign x_addr_o = {fetch.bank, fetch_group_q, fetch_word_q};
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

  for (genvar s = 0; s < int'(Slices); s++) begin : gen_neg_count
    logic [$clog2(SliceLanes+1)-1:0] count;

    tmv_popcount #(
      .Width(SliceLanes)
    ) u_neg_count (
      .bits_i (neg[s]),
      .count_o(count)
    );
  end

  if (Slices == 1) begin : gen_neg_whole
    assign neg_count = gen_neg_count[0].count;
  end else begin : gen_neg_halves
    assign neg_count = CountBits'(gen_neg_count[0].count) + CountBits'(gen_neg_count[1].count);
  end

  assign used       = busy_o ? Vectors'(compute.tokens_mask >> (group_q * Vectors)) : '0;
  assign last_sum   = used_qq[0] && place_qq.last;
  assign result_pop = result_valid_o && result_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) {used_qq, used_q} <= '0;
    else {used_qq, used_q} <= {used_q, used};
  end

  always_ff @(posedge clk_i) begin
    place_q  <= '{group: group_q, row: row_q, first: first_word, last: last_word};
    place_qq <= place_q;
  end

  always_ff @(posedge clk_i) if (busy_o) neg_count_q <= neg_count;

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
      .nz_i       (nz),
      .neg_i      (neg),
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
    if (busy_o && last_word && row_q == '0) begin
      result_slot_o   <= compute.slot;
      result_token_o  <= 4'(group_q * Vectors);
      result_done_o   <= last_group;
      result_tokens_q <= last_group ? compute.tokens - 4'(group_q * Vectors) : 4'(Vectors);
    end else if (result_pop) result_tokens_q <= result_tokens_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      result_pending_q <= 1'b0;
      result_valid_o   <= 1'b0;
    end else begin
      if (busy_o && last_word && row_q == '0) result_pending_q <= 1'b1;
      else if (result_pop && result_last_o) result_pending_q <= 1'b0;
      if (last_sum && place_qq.row == row_t'(RowBlock - 1)) result_valid_o <= 1'b1;
      else if (result_pop && result_last_o) result_valid_o <= 1'b0;
    end
  end

  `TMV_REQUIRE(width, BankWords * Lanes * 128 < (1 << AccBits), "tmv_engine: accumulators would overflow")
  `TMV_ASSERT(WordExpected, !x_valid_i || !next_valid_q || word_shift)
  `TMV_ASSERT(ResultKept, !(last_sum && result_valid_o))
  `TMV_COVER(WeightsMissing, stall_data_o)
  `TMV_COVER(ActivationsMissing, stall_x_o)
  `TMV_COVER(ResultBlocked, stall_result_o)
  `TMV_COVER(LaterGroup, word_done && group_q != '0)
endmodule
