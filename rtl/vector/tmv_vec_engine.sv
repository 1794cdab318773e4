`include "tmv_macros.svh"

/// Runs passes: issues the slots of an instruction's loops into the lanes, and puts away what comes out.
///
///   issue: addresses of X and Y -> scratchpad or stream -> lanes -> retire: address of D -> scratchpad or storer
///                                                            |  -> tmv_vec_fold: a sum as an element
///                                                            |  -> tmv_vec_max: a maximum as an element
///
/// A slot a cycle, except where something needs more: a chain, see `ChainCycles`; a division, `DivideSlots`; a store, the
/// beats of a word; rows of a maximum, `MaxBubbles` between them. A pass begins when the one before has put everything away.
module tmv_vec_engine
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  parameter  int unsigned Lanes = 32,
  parameter  int unsigned PortBits = 128,
  /// Words of the scratchpad, a power of two.
  parameter  int unsigned Words = 1024,
  /// Accumulators of a lane.
  parameter  int unsigned Accs = 64,
  parameter  int unsigned RingWords = 32,
  /// Ports of the loader.
  parameter  int unsigned Ports = 1,
  localparam int unsigned PortNumBits = (Ports > 1) ? $clog2(Ports) : 1,
  localparam int unsigned RingBits = $clog2(RingWords)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                valid_i,
  output logic                ready_o,
  input  instr_t              instr_i,
  /// The pass is complete, for a cycle. An error of its last slot may come in the same cycle.
  output logic                done_o,
  /// A slot was issued.
  output logic                issue_o,
  /// A slot waits for the stream; for room in the storer.
  output logic                stall_stream_o,
  output logic                stall_store_o,
  /// Stream, see `tmv_vec_loader`.
  input  logic [RingBits:0]   stream_count_i,
  output logic                stream_read_o,
  output logic [RingBits-1:0] stream_offset_o,
  input  f32_t [Ports-1:0][Lanes-1:0] stream_words_i,
  input  logic [PortNumBits-1:0] stream_bank_i,
  output logic                stream_take_o,
  output logic [RingBits:0]   stream_take_words_o,
  /// Storer, see `tmv_vec_storer`.
  input  logic                store_room_i,
  input  logic                store_packing_i,
  output logic                store_valid_o,
  output to_e                 store_to_o,
  output logic                store_last_o,
  output f32_t [Lanes-1:0]    store_word_o,
  /// The instruction reaches beyond the scratchpad, the accumulators or its block; a value is not finite.
  output logic                bad_o,
  output logic                not_finite_o
);
  localparam int unsigned LaneBits = $clog2(Lanes);
  localparam int unsigned WordBits = $clog2(Words);
  localparam int unsigned AccBits = $clog2(Accs);
  localparam int unsigned WordBeats = 32 * Lanes / PortBits;
  localparam int unsigned FoldWords = 16;
  /// Cycles between the rows of a maximum, see `tmv_vec_max`; the result of the row before is written in one of them.
  localparam int unsigned MaxBubbles = (Lanes > 16) ? Lanes / 8 - 1 : 1;
  /// Stages of the pipeline, see `tmv_vec_lane`.
  localparam int unsigned Last = 18;

  // The instruction at work.
  typedef enum logic [1:0] {
    Idle,
    Start,
    Run,
    Drain
  } state_e;

  state_e state_q;
  instr_t instr_q;
  lane_op_t op;
  logic is_sum, is_keep, is_max, is_div, from_stream, to_store, uses_x, uses_y, y_late, start;

  assign ready_o     = state_q == Idle;
  assign start       = state_q == Start;

  always_ff @(posedge clk_i) begin
    if (ready_o) begin
      instr_q     <= instr_i;
      is_sum      <= instr_i.kind == KindSum;
      is_keep     <= instr_i.kind == KindKeep;
      is_max      <= instr_i.kind == KindMax || instr_i.kind == KindMaxAbs;
      is_div      <= instr_i.m_op != OpMul;
      from_stream <= instr_i.x_from != FromScratch;
      to_store    <= instr_i.d_to != ToScratch;
      uses_x      <= instr_i.a_sel != AOne;
      y_late      <= instr_i.c_sel == CY;
      uses_y      <= instr_i.c_sel == CY || instr_i.b_sel == BY || instr_i.b_sel == BExp2;
    end
  end

  // A sum is rounded after it is folded.
  assign op = '{
    a_relu: instr_q.a_sel == ARelu,
    b_y: instr_q.b_sel == BY && !instr_q.y_element,
    b_a: instr_q.b_sel == BA,
    b_exp2: instr_q.b_sel == BExp2 && !instr_q.y_element,
    b_neg: instr_q.b_neg,
    mul: instr_q.m_op == OpMul,
    m_round: instr_q.m_round,
    chain: is_sum || is_keep,
    c_y: instr_q.c_sel == CY && !instr_q.y_element,
    c_neg: instr_q.c_neg,
    s_round: instr_q.s_round && !is_sum,
    floor: instr_q.post == PostFloor,
    flush: instr_q.post == PostFlush,
    trunc: instr_q.post == PostTrunc,
    least: instr_q.imm_c
  };

  // Issue.
  count_t [Loops-1:0] counts;
  logic [Loops-1:0] level, last, first, at_end, at_begin;
  count_t x_addr, y_addr;
  logic issue, marks, blocked, chain_first, chain_last, emit;
  logic [1:0] bubbles_q;
  logic [3:0] gap, wait_q;
  logic [AccBits:0] acc_q, acc;
  logic [$clog2(FoldWords):0] fold_free_q;
  logic fold_take;

  assign counts = {instr_q.n3, instr_q.n2, instr_q.n1, instr_q.n0};

  tmv_vec_loops u_loops (
    .clk_i,
    .start_i (start),
    .counts_i(counts),
    .step_i  (issue),
    .level_o (level),
    .last_o  (last),
    .first_o (first),
    .end_o   (at_end),
    .begin_o (at_begin)
  );
  // Loop 0 of a stream takes a block; the addresses are within it.
  tmv_vec_address u_x_address (
    .clk_i,
    .start_i  (start),
    .base_i   (instr_q.x_base),
    .strides_i({instr_q.x3, instr_q.x2, instr_q.x1, from_stream ? count_t'(0) : instr_q.x0}),
    .step_i   (issue),
    .level_i  (level),
    .addr_o   (x_addr)
  );
  tmv_vec_address u_y_address (
    .clk_i,
    .start_i  (start),
    .base_i   (instr_q.y_base),
    .strides_i({instr_q.y3, instr_q.y2, instr_q.y1, instr_q.y0}),
    .step_i   (issue),
    .level_i  (level),
    .addr_o   (y_addr)
  );

  // Slots that must be `gap` cycles apart from each other.
  always_comb begin
    marks = 1'b0;
    gap   = 4'd1;
    if (is_div) {marks, gap} = {1'b1, 4'(DivideSlots)};
    else if (to_store) begin
      marks = 1'b1;
      gap = 4'((instr_q.d_to == ToF32) ? WordBeats : (instr_q.d_to == ToBf16) ? WordBeats / 2 : WordBeats / 4);
    end else if (is_sum) {marks, gap} = {first[2], 4'(ChainCycles)};
    else if (is_keep) {marks, gap} = {first[1], 4'(ChainCycles)};
  end

  assign chain_first = is_sum ? at_begin[1] : at_begin[0];
  assign chain_last  = is_sum ? at_end[1] : at_end[0];
  assign emit        = chain_last && !instr_q.hold;
  assign acc         = (is_sum ? first[2] : first[1]) ? '0 : acc_q;

  // The words of the next block are here. The count of the cycle before decides, so words that arrive are seen a cycle late.
  logic block_here_q;

  always_ff @(posedge clk_i) begin
    block_here_q <= 17'(stream_count_i) >= (stream_take_o ? {instr_q.x0, 1'b0} : 17'(instr_q.x0));
  end

  assign stall_stream_o = state_q == Run && from_stream && first[1] && !block_here_q;
  assign stall_store_o  = state_q == Run && to_store && !store_room_i;
  assign blocked = stall_stream_o || stall_store_o || (marks && wait_q != '0) || bubbles_q != '0
      || (is_sum && fold_free_q == '0);
  assign issue   = state_q == Run && !blocked;
  assign issue_o = issue;

  always_ff @(posedge clk_i) begin
    if (issue) acc_q <= acc + 1'b1;
    if (!rst_ni || start) bubbles_q <= '0;
    else if (issue && is_max && last[1]) bubbles_q <= 2'(MaxBubbles);
    else if (bubbles_q != '0) bubbles_q <= bubbles_q - 1'b1;
    if (start) wait_q <= '0;
    else if (issue && marks) wait_q <= gap - 1'b1;
    else if (wait_q != '0) wait_q <= wait_q - 1'b1;
    if (!rst_ni) fold_free_q <= ($clog2(FoldWords) + 1)'(FoldWords);
    else begin
      fold_free_q <= fold_free_q - ($clog2(FoldWords) + 1)'(issue && is_sum && emit)
          + ($clog2(FoldWords) + 1)'(fold_take);
    end
  end

  assign stream_read_o       = issue && from_stream;
  assign stream_offset_o     = x_addr[RingBits-1:0];
  assign stream_take_o       = issue && from_stream && last[1];
  assign stream_take_words_o = instr_q.x0[RingBits:0];

  // Control of the slots in flight: element i is stage i.
  typedef struct packed {
    logic               emit;
    logic               first;
    logic [AccBits-1:0] acc;
  } slot_t;

  logic [Last:1] valid_q;
  slot_t [Last:1] slot_q;
  logic quotient_valid;
  logic [Last:0] valid;
  slot_t slot0;

  assign slot0 = '{emit: emit, first: chain_first && !instr_q.more, acc: acc[AccBits-1:0]};
  assign valid = {valid_q, issue};

  always_ff @(posedge clk_i) begin
    slot_q <= {slot_q[Last-1:1], slot0};
    if (!rst_ni) valid_q <= '0;
    else begin
      valid_q <= valid[Last-1:0];
      // Quotients and roots come when they are ready.
      valid_q[5] <= valid[4] && !is_div;
      valid_q[10] <= is_div ? quotient_valid : valid[9];
    end
  end

  // Y, for C six stages later than for B.
  count_t [6:1] y_addr_q;
  logic y_read;
  count_t y_at;
  logic [WordBits-1:0] y_word;
  logic [2:1][LaneBits-1:0] y_lane_q;

  assign y_read = uses_y && (y_late ? valid[6] : issue);
  assign y_at   = y_late ? y_addr_q[6] : y_addr;
  assign y_word = instr_q.y_element ? WordBits'(y_at >> LaneBits) : WordBits'(y_at);

  always_ff @(posedge clk_i) begin
    y_addr_q <= {y_addr_q[5:1], y_addr};
    y_lane_q <= {y_lane_q[1], y_at[LaneBits-1:0]};
  end

  // Scratchpad.
  f32_t [Lanes-1:0] scratch_x, scratch_y, x_q, y_q, a, b, m, result;
  f32_t element_q, b_scalar, c_scalar;
  logic [Lanes-1:0] write;
  logic [WordBits-1:0] write_addr;
  f32_t [Lanes-1:0] write_data;

  tmv_vec_scratch #(
    .Lanes(Lanes),
    .Words(Words)
  ) u_scratch (
    .clk_i,
    .x_read_i    (issue && uses_x && !from_stream),
    .x_addr_i    (x_addr[WordBits-1:0]),
    .x_o         (scratch_x),
    .y_read_i    (y_read),
    .y_addr_i    (y_word),
    .y_o         (scratch_y),
    .write_i     (write),
    .write_addr_i(write_addr),
    .write_data_i(write_data)
  );

  always_ff @(posedge clk_i) begin
    if (valid[2]) x_q <= !uses_x ? {Lanes{One}} : from_stream ? stream_words_i[stream_bank_i] : scratch_x;
    if (uses_y && (y_late ? valid[8] : valid[2])) begin
      y_q <= scratch_y;
      element_q <= scratch_y[y_lane_q[2]];
    end
  end

  // Operands that are equal in all lanes. Without C, -0 is added, which changes no product, not even -0. A chain begins with +0,
  // as golden's sums do.
  always_comb begin
    unique case (instr_q.b_sel)
      BOne:    b_scalar = One;
      BImm:    b_scalar = instr_q.imm_b;
      BY:      b_scalar = instr_q.y_element ? element_q : '0;
      BExp2:   b_scalar = instr_q.y_element ? exp2_plus_1(element_q[30:23], element_q[22:16]) : '0;
      default: b_scalar = '0;
    endcase
    unique case (instr_q.c_sel)
      CImm:    c_scalar = instr_q.imm_c ^ {instr_q.c_neg, 31'b0};
      CY:      c_scalar = instr_q.y_element ? element_q ^ {instr_q.c_neg, 31'b0} : '0;
      default: c_scalar = op.chain ? '0 : NegZero;
    endcase
  end

  for (genvar l = 0; l < int'(Lanes); l++) begin : gen_lane
    tmv_vec_lane #(
      .Accs(Accs)
    ) u_lane (
      .clk_i,
      .op_i     (op),
      .valid3_i (valid[3]),
      .valid4_i (valid[4] && !is_div),
      .valid9_i (is_div ? quotient_valid : valid[9]),
      .valid10_i(valid[10]),
      .valid16_i(valid[16]),
      .valid17_i(valid[17]),
      .x_i      (x_q[l]),
      .y_i      (y_q[l]),
      .b_scalar_i(b_scalar),
      .c_scalar_i(c_scalar),
      .a_o      (a[l]),
      .b_o      (b[l]),
      .m_i      (m[l]),
      .acc9_i   (slot_q[9].acc),
      .first9_i (slot_q[9].first),
      .acc16_i  (slot_q[16].acc),
      .s_o      (result[l])
    );
  end

  tmv_vec_divide #(
    .Lanes(Lanes)
  ) u_divide (
    .clk_i,
    .rst_ni,
    .valid_i(valid[4] && is_div),
    .root_i (instr_q.m_op == OpRoot),
    .a_i    (a),
    .b_i    (b),
    .valid_o(quotient_valid),
    .m_o    (m)
  );

  // Sums.
  logic fold_valid, fold_ready, sum_valid, fold_idle;
  f32_t [Lanes-1:0] fold_word;
  f32_t sum;
  logic fold_wready;

  assign fold_take = fold_valid && fold_ready;

  tmv_fifo #(
    .Width(32 * Lanes),
    .Depth(FoldWords)
  ) u_fold_queue (
    .clk_i,
    .rst_ni,
    .wvalid_i(valid[Last] && is_sum && slot_q[Last].emit),
    .wready_o(fold_wready),
    .wdata_i (result),
    .rvalid_o(fold_valid),
    .rready_i(fold_ready),
    .rdata_o (fold_word)
  );

  tmv_vec_fold #(
    .Lanes(Lanes)
  ) u_fold (
    .clk_i,
    .rst_ni,
    .valid_i(fold_valid),
    .ready_o(fold_ready),
    .word_i (fold_word),
    .valid_o(sum_valid),
    .sum_o  (sum),
    .idle_o (fold_idle)
  );

  // Retire.
  logic retire, d_word;
  logic [Loops-1:0] d_level, d_last, d_first;
  count_t [Loops-1:0] d_counts;
  count_t d_addr;

  always_comb begin
    d_counts = counts;
    if (is_keep) d_counts[0] = count_t'(1);
    if (is_sum) d_counts[1] = count_t'(1);
    // The innermost loop has the words of a fold.
    if (is_sum && Lanes < Partials) d_counts[3] = count_t'(1);
  end

  assign d_word = valid[Last] && !is_sum && (!is_keep || slot_q[Last].emit);
  assign retire = d_word || sum_valid;

  tmv_vec_loops u_d_loops (
    .clk_i,
    .start_i (start),
    .counts_i(d_counts),
    .step_i  (retire),
    .level_o (d_level),
    .last_o  (d_last),
    .first_o (d_first),
    .end_o   (),
    .begin_o ()
  );
  tmv_vec_address u_d_address (
    .clk_i,
    .start_i  (start),
    .base_i   (instr_q.d_base),
    .strides_i({instr_q.d3, instr_q.d2, instr_q.d1, instr_q.d0}),
    .step_i   (retire),
    .level_i  (d_level),
    .addr_o   (d_addr)
  );

  assign store_valid_o = d_word && to_store;
  assign store_to_o    = instr_q.d_to;
  assign store_last_o  = d_last[0];
  assign store_word_o  = result;

  // Maxima.
  logic max_valid, max_bad, max_pending_q, r_write;
  logic [Lanes-1:0] mask;
  f32_t max, max_q;
  count_t r_addr_q, max_open_q;

  assign mask = (instr_q.last == '0 || !d_last[1]) ? '1 : Lanes'((64'd1 << instr_q.last) - 64'd1);

  tmv_vec_max #(
    .Lanes(Lanes)
  ) u_max (
    .clk_i,
    .rst_ni,
    .abs_i  (instr_q.kind == KindMaxAbs),
    .floor_i(instr_q.imm_c[30:0]),
    .valid_i(d_word && is_max),
    .first_i(d_first[1]),
    .last_i (d_last[1]),
    .mask_i (mask),
    .word_i (result),
    .valid_o(max_valid),
    .max_o  (max),
    .bad_o  (max_bad)
  );

  // The result of a row waits for a cycle in which no word is written.
  assign r_write = max_pending_q && !d_word;

  always_ff @(posedge clk_i) begin
    if (max_valid) max_q <= max;
    if (!rst_ni) begin
      max_pending_q <= 1'b0;
      max_open_q    <= '0;
    end else begin
      if (max_valid) max_pending_q <= 1'b1;
      else if (r_write) max_pending_q <= 1'b0;
      max_open_q <= max_open_q + count_t'(d_word && is_max && d_last[1]) - count_t'(r_write);
    end
    if (start) r_addr_q <= instr_q.r_base;
    else if (r_write) r_addr_q <= r_addr_q + 1'b1;
  end

  // Writes: a word, or an element.
  f32_t element;
  count_t element_addr;

  assign element      = r_write ? max_q : round_bf16(sum, instr_q.s_round);
  assign element_addr = r_write ? r_addr_q : d_addr;

  always_comb begin
    write      = '0;
    write_addr = WordBits'(d_addr);
    write_data = result;
    if (d_word) write = {Lanes{!to_store}};
    else if (sum_valid || r_write) begin
      write[element_addr[LaneBits-1:0]] = 1'b1;
      write_addr = WordBits'(element_addr >> LaneBits);
      write_data = {Lanes{element}};
    end
  end

  // Addresses beyond the scratchpad, the accumulators or the block. They are told while the pass is at work, and the unit stops.
  localparam count_t WordMask = count_t'(Words - 1);
  localparam count_t ElementMask = count_t'(Words * Lanes - 1);

  logic issued_q, x_bad_q, y_bad_q, acc_bad_q, word_bad, element_bad;

  assign word_bad    = d_word && !to_store && (d_addr & ~WordMask) != '0;
  assign element_bad = (sum_valid || r_write) && (element_addr & ~ElementMask) != '0;

  always_ff @(posedge clk_i) begin
    issued_q     <= rst_ni && issue;
    x_bad_q      <= uses_x && (from_stream ? x_addr >= instr_q.x0 : (x_addr & ~WordMask) != '0);
    y_bad_q      <= uses_y && (y_addr & ~(instr_q.y_element ? ElementMask : WordMask)) != '0;
    acc_bad_q    <= op.chain && acc[AccBits];
    bad_o        <= rst_ni && ((issued_q && (x_bad_q || y_bad_q || acc_bad_q)) || word_bad || element_bad);
    not_finite_o <= rst_ni && max_valid && max_bad;
  end

  // A pass is complete when nothing is on its way.
  logic [3:0] quotients_q;
  logic empty;

  assign empty = valid_q == '0 && quotients_q == '0 && !fold_valid && fold_idle && max_open_q == '0
      && fold_free_q == ($clog2(FoldWords) + 1)'(FoldWords) && !store_packing_i;
  assign done_o = state_q == Drain && empty;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) quotients_q <= '0;
    else quotients_q <= quotients_q + 4'(valid[4] && is_div) - 4'(quotient_valid);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) state_q <= Idle;
    else begin
      unique case (state_q)
        Idle:    if (valid_i) state_q <= Start;
        Start:   state_q <= Run;
        Run:     if (issue && last[0]) state_q <= Drain;
        Drain:   if (empty) state_q <= Idle;
      endcase
    end
  end

  `TMV_REQUIRE(lanes, Lanes == 8 || Lanes == 16 || Lanes == 32, "tmv_vec_engine: Lanes must be 8, 16 or 32")
  `TMV_REQUIRE(beats, WordBeats <= DivideSlots, "tmv_vec_engine: a stored word must not take longer than a division")
  `TMV_REQUIRE(words, Words * Lanes <= (1 << 16), "tmv_vec_engine: the number of an element has 16 bits")
  `TMV_ASSERT_IF(FoldQueueHolds, valid[Last] && is_sum && slot_q[Last].emit, fold_wready)
  `TMV_ASSERT_IF(AllIsPutAway, done_o && !instr_q.hold, d_last[0])
  `TMV_ASSERT(OneMaximumWaits, !(max_valid && max_pending_q && !r_write))
endmodule
