`include "tmv_formal.svh"

/// `tmv_column_drain` delivers as many words as the operator has, in order, and a lane of a word is the sum of the ports'
/// lanes; it reads only while all ports are idle and everything was dealt.
///
/// Unbounded. Follows one lane of one entry, whichever it is: what each port holds there is any value.
module tmv_column_drain_fv
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  parameter  int unsigned Ports = 2,
  parameter  int unsigned PortBits = 64,
  localparam int unsigned SumLanes = PortBits / 8,
  localparam int unsigned EntryWords = SumLanes / RowBlock,
  localparam int unsigned LaneBits = $clog2(SumLanes),
  localparam int unsigned RowBits = $clog2(RowBlock)
) (
  input logic                                               clk_i,
  input logic                                               begin_i,
  input logic                                               dealt_i,
  input logic                                               start_i,
  input words_t                                             words_i,
  input logic                                               done_i,
  input logic [Ports-1:0]                                   idle_i,
  input logic [Ports-1:0][SumLanes-1:0][ColumnSumBits-1:0]  other_sums_i,
  input logic                                               word_ready_i
);
  typedef logic [ColumnSumBits-1:0] sum_t;

  `TMV_FORMAL_RESET

  // The lane that is followed, and what the ports hold there. They start with any value and keep it.
  column_sum_index_t entry_q;
  logic [LaneBits-1:0] lane_q;
  sum_t [Ports-1:0] held_sums_q;

  always_ff @(posedge clk_i) {entry_q, lane_q, held_sums_q} <= {entry_q, lane_q, held_sums_q};

  logic busy, read, word_valid;
  column_sum_index_t read_index;
  logic [SumLanes-1:0][ColumnSumBits-1:0] sums[Ports];
  words_t words;
  logic [RowBlock*AccBits-1:0] word;

  tmv_column_drain #(
    .Ports(Ports),
    .PortBits(PortBits)
  ) u_drain (
    .clk_i,
    .rst_ni,
    .begin_i,
    .dealt_i,
    .busy_o      (busy),
    .start_i,
    .words_i,
    .done_i,
    .idle_i,
    .read_o      (read),
    .read_index_o(read_index),
    .sums_i      (sums),
    .words_o     (words),
    .word_valid_o(word_valid),
    .word_ready_i,
    .word_o      (word)
  );

  // The ports answer a cycle after a read and keep the answer until the next one.
  logic followed_q;

  always_ff @(posedge clk_i) if (read) followed_q <= read_index == entry_q;

  for (genvar p = 0; p < int'(Ports); p++) begin : gen_port
    always_comb begin
      sums[p] = other_sums_i[p];
      if (followed_q) sums[p][lane_q] = held_sums_q[p];
    end
  end

  // The operator: whether it was begun, dealt and started; its words, and those that were taken.
  logic dealt_q, open_q, take;
  words_t given_q, taken_q;

  assign take = word_valid && word_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) {dealt_q, open_q, given_q, taken_q} <= '0;
    else begin
      if (begin_i) dealt_q <= 1'b0;
      else if (dealt_i) dealt_q <= 1'b1;
      if (start_i) {open_q, given_q, taken_q} <= {1'b1, words_i, words_t'(0)};
      else if (take) begin
        taken_q <= taken_q + 1'b1;
        open_q  <= taken_q + 1'b1 != given_q;
      end
    end
  end

  `TMV_ASSUME(StartsWithWords, !start_i || (!open_q && words_i != '0 && 32'(words_i) <= EntryWords * ColumnSumEntries))
  `TMV_ASSUME(BeginsWhenItMay, !begin_i || (!busy && !open_q && !start_i))
  `TMV_ASSUME(DealtWhileBusy, !dealt_i || (busy && !begin_i))
  `TMV_ASSUME(DoneAtTheEnd, !done_i || (busy && !open_q && !start_i && !begin_i))
  // An operator retires after it began, and stays begun until it is done.
  `TMV_ASSUME(StartsWhileBusy, !start_i || busy)

  sum_t total;

  always_comb begin
    total = '0;
    for (int unsigned p = 0; p < Ports; p++) total += held_sums_q[p];
  end

  // The word and the row of the lane that is followed.
  logic here;
  assign here = 32'(taken_q) == 32'(entry_q) * EntryWords + 32'(lane_q) / RowBlock;

  `TMV_ASSERT(NothingFromNothing, !word_valid || (open_q && words != '0))
  `TMV_ASSERT(ReadsWhatIsComplete, !read || (open_q && dealt_q))
  `TMV_ASSERT(Value, !(take && here) || word[AccBits*lane_q[RowBits-1:0]+:AccBits] == AccBits'(signed'(total)))

  // States of the drain, in their order.
  logic [2:0] state;
  logic waiting, working;
  sum_t part;

  assign state   = u_drain.state_q;
  assign waiting = state == 3'd1;
  assign working = state > 3'd1;

  always_comb begin
    part = '0;
    for (int unsigned p = 0; p < Ports; p++) if (state == 3'd4 || p < 32'(u_drain.port_q)) part += held_sums_q[p];
  end

  `TMV_ASSERT(HelpState, state <= 3'd4 && open_q == (state != 3'd0) && u_drain.dealt_q == dealt_q)
  `TMV_ASSERT(HelpDealt, !working || dealt_q)
  `TMV_ASSERT(HelpWords, !open_q || (u_drain.words_q == given_q && given_q != '0 && taken_q < given_q
      && 32'(given_q) <= EntryWords * ColumnSumEntries))
  `TMV_ASSERT(HelpLeft, words == (working ? given_q - taken_q : '0))
  `TMV_ASSERT(HelpWaiting, !waiting || (taken_q == '0 && !word_valid))
  `TMV_ASSERT(HelpIdle, open_q || !word_valid)
  `TMV_ASSERT(HelpHeld, 32'(u_drain.held_q) <= EntryWords)
  // Entries that were handed over, modulo their number.
  `TMV_ASSERT(HelpEntries, !working
      || 11'(taken_q) + 11'(u_drain.held_q) == 11'(32'(read_index) * EntryWords)
      || (read_index == '0 && 32'(taken_q) + 32'(u_drain.held_q) == EntryWords * ColumnSumEntries))
  `TMV_ASSERT(HelpPort, 32'(u_drain.port_q) < Ports && (state == 3'd0 || state > 3'd2 || u_drain.port_q == '0))
  `TMV_ASSERT(HelpFollowed, !(state == 3'd3 || state == 3'd4) || followed_q == (read_index == entry_q))
  `TMV_ASSERT(HelpPart, !((state == 3'd3 || state == 3'd4) && followed_q) || u_drain.total_q[lane_q] == part)
  // What was handed over last, if the lane is in it and its word was not taken yet.
  logic [SumLanes*AccBits-1:0] out;
  logic [LaneBits-1:0] shifted;
  assign out = u_drain.out_q;
  assign shifted = lane_q - LaneBits'(RowBlock * (EntryWords - 32'(u_drain.held_q)));
  `TMV_ASSERT(HelpOut, !(word_valid && column_sum_index_t'(read_index - 1'b1) == entry_q
      && 32'(lane_q) >= RowBlock * (EntryWords - 32'(u_drain.held_q)))
      || out[AccBits*shifted+:AccBits] == AccBits'(signed'(total)))

  `TMV_COVER(Ends, taken_q == words_t'(2) && given_q == words_t'(2) && !open_q)
  `TMV_COVER(WriterStalls, word_valid && !word_ready_i && here)
  `TMV_COVER(EngineIsLate, waiting && dealt_q && !(&idle_i))
endmodule
