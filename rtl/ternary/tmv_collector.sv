`include "tmv_macros.svh"

/// Reorder buffer for results: engines finish row blocks in any order, the writer takes them in dispatch order.
///
/// A result word has the `RowBlock` accumulators of one block and one token. An engine hands over a block in one or
/// more groups of words, with the token of the first word of each group. The collector copies one word a cycle from the
/// engines and offers one word a cycle to the writer. `ready_words_o` counts the words, oldest first, that follow one
/// another without a gap, so the writer can wait for a burst that is worth it. No combinational path from an input to
/// an output.
module tmv_collector
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Engines, at least 1.
  parameter  int unsigned Ports = 4,
  /// Most tokens of an operator, 1 to 8.
  parameter  int unsigned Tokens = 4,
  localparam int unsigned WordBits = RowBlock * AccBits
) (
  input  logic                                                 clk_i,
  input  logic                                                 rst_ni,
  /// Results of the engines, see `tmv_engine`.
  input  logic  [Ports-1:0]                                    result_valid_i,
  output logic  [Ports-1:0]                                    result_ready_o,
  input  logic  [Ports-1:0]                                    result_last_i,
  input  logic  [Ports-1:0]                                    result_done_i,
  input  logic  [ 3:0]                                         result_token_i [Ports],
  input  logic  [WordBits-1:0]                                 result_i       [Ports],
  input  slot_t                                                result_slot_i  [Ports],
  /// The writer begins an operator with so many blocks and tokens. It has taken all words of the operator before.
  input  logic                                                 start_i,
  input  logic  [16:0]                                         blocks_i,
  input  logic  [ 3:0]                                         tokens_i,
  /// Words that are ready without a gap; they reach to the end of the operator.
  output words_t                                               ready_words_o,
  output logic                                                 complete_o,
  /// The oldest word that is ready.
  output logic                                                 word_valid_o,
  input  logic                                                 word_ready_i,
  output logic  [WordBits-1:0]                                 word_o,
  /// The oldest slot is free again.
  output logic                                                 slot_free_o
);
  localparam int unsigned TokenBits = (Tokens > 1) ? $clog2(Tokens) : 1;
  localparam int unsigned PortIndexBits = (Ports > 1) ? $clog2(Ports) : 1;

  typedef logic [TokenBits-1:0] token_t;

  logic [WordBits-1:0] mem[Window << TokenBits];
  logic [Window-1:0] done_q;

  // Copies results, one engine at a time.
  logic copying_q, copy_last, copy_done;
  logic [PortIndexBits-1:0] port_q;
  // Number of a word within its group; its token.
  token_t word_q, token;
  logic [Ports-1:0] grant;

  tmv_round_robin #(
    .Clients(Ports)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .enable_i(!copying_q),
    .req_i   (result_valid_i),
    .grant_o (grant)
  );

  assign copy_last = result_last_i[port_q];
  assign copy_done = copying_q && copy_last && result_done_i[port_q];

  always_comb begin
    result_ready_o = '0;
    result_ready_o[port_q] = copying_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) copying_q <= 1'b0;
    else if (!copying_q) copying_q <= |result_valid_i;
    else if (copy_last) copying_q <= 1'b0;
  end

  assign token = result_token_i[port_q][TokenBits-1:0] + word_q;

  always_ff @(posedge clk_i) begin
    for (int unsigned p = 0; p < Ports; p++) if (grant[p]) port_q <= PortIndexBits'(p);
    word_q <= copying_q ? word_q + 1'b1 : '0;
    if (copying_q) mem[{result_slot_i[port_q], token}] <= result_i[port_q];
  end

  // Finds the finished prefix of the operator. A block takes two cycles: look at its slot, then count its words.
  // Copying a block takes as long. Slots are read in rows of eight, a cycle late. The first slot of a row waits until
  // its row was read: slots of the row before may be done again, for a later block.
  logic [16:0] unscanned_q;
  logic [3:0] tokens_q;
  slot_t scan_slot_q;
  logic [7:0] row_q;
  logic row_valid_q, scanning_q, scan_q, take;

  assign complete_o = !scanning_q;
  assign take = word_valid_o && word_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      done_q        <= '0;
      unscanned_q   <= '0;
      scanning_q    <= 1'b0;
      scan_q        <= 1'b0;
      row_valid_q   <= 1'b0;
      scan_slot_q   <= '0;
      ready_words_o <= '0;
    end else begin
      scan_q      <= !scan_q && scanning_q && row_valid_q && row_q[scan_slot_q[2:0]];
      row_valid_q <= !(scan_q && scan_slot_q[2:0] == '1);
      if (copy_done) done_q[result_slot_i[port_q]] <= 1'b1;
      if (scan_q) done_q[scan_slot_q] <= 1'b0;
      if (start_i) begin
        unscanned_q <= blocks_i;
        scanning_q  <= blocks_i != '0;
      end else if (scan_q) begin
        unscanned_q <= unscanned_q - 1'b1;
        scanning_q  <= unscanned_q != 17'd1;
      end
      scan_slot_q <= scan_slot_q + slot_t'(scan_q);
      ready_words_o <= ready_words_o + (scan_q ? words_t'(tokens_q) : '0) - words_t'(take);
    end
  end

  always_ff @(posedge clk_i) row_q <= done_q[{scan_slot_q[$bits(slot_t)-1:3], 3'b0}+:8];

  // Offers the words of a block token by token.
  words_t unread_q;
  slot_t read_slot_q;
  token_t read_token_q;
  logic read, read_last;

  assign read = unread_q != '0 && (!word_valid_o || word_ready_i);
  assign read_last = 4'(read_token_q) == tokens_q - 1'b1;

  always_ff @(posedge clk_i) begin
    if (start_i) tokens_q <= tokens_i;
    if (read) word_o <= mem[{read_slot_q, read_token_q}];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      unread_q     <= '0;
      read_slot_q  <= '0;
      read_token_q <= '0;
      word_valid_o <= 1'b0;
      slot_free_o  <= 1'b0;
    end else begin
      unread_q <= unread_q + (scan_q ? words_t'(tokens_q) : '0) - words_t'(read);
      if (read) begin
        read_token_q <= read_last ? '0 : read_token_q + 1'b1;
        read_slot_q  <= read_slot_q + slot_t'(read_last);
      end
      if (read) word_valid_o <= 1'b1;
      else if (word_ready_i) word_valid_o <= 1'b0;
      slot_free_o <= read && read_last;
    end
  end

  `TMV_REQUIRE(tokens, Tokens >= 1 && Tokens <= MaxTokens, "tmv_collector: Tokens must be 1 to 8")
  `TMV_REQUIRE(window, Window >= 16 && (1 << $bits(slot_t)) == Window && Window * Tokens < (1 << $bits(words_t)),
               "tmv_collector: Window must be a power of two, at least 16, and its words fit words_t")
  `TMV_ASSERT(ScanningIsUnscanned, scanning_q == (unscanned_q != '0))
  `TMV_ASSERT_IF(StartAfterEnd, start_i, unscanned_q == '0 && ready_words_o == '0)
  `TMV_ASSERT_IF(SlotOnce, copy_done, !done_q[result_slot_i[port_q]])
  `TMV_COVER(OutOfOrder, copy_done && result_slot_i[port_q] != scan_slot_q)
  `TMV_COVER(EnginesCompete, $countones(result_valid_i) > 1)
  `TMV_COVER(WriterStalls, word_valid_o && !word_ready_i)
endmodule
