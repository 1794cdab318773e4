`include "tmv_formal.svh"

/// `tmv_dispatcher` deals every row block of every operator once, in order, to a port that is free. At most `Window`
/// blocks are between dispatcher and collector.
///
/// Operators are free: up to 131,071 blocks, any address and stride. Unbounded. Of operators with single rows,
/// `tmv_row_scan` has a proof.
module tmv_dispatcher_fv
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  parameter int unsigned Ports = 4
) (
  input logic                  clk_i,
  input logic                  op_valid_i,
  input dispatch_t             op_i,
  input logic      [Ports-1:0] free_i,
  input logic                  slot_free_i,
  /// The slot to watch.
  input slot_t                 any_slot_i
);
  typedef logic [$clog2(Window):0] used_t;

  `TMV_FORMAL_RESET

  logic op_ready;
  logic [Ports-1:0] grant;
  block_t block;
  addr_t block_addr;

  tmv_dispatcher #(
    .Ports(Ports)
  ) u_dispatcher (
    .clk_i,
    .rst_ni,
    .op_valid_i,
    .op_ready_o   (op_ready),
    .op_i,
    .free_i,
    .grant_o      (grant),
    .block_o      (block),
    .block_addr_o (block_addr),
    .row_o        (),
    .row_end_o    (),
    .record_o     (),
    .scan_start_o (),
    .scan_valid_o (),
    .scan_older_o (),
    .scan_req_o   (),
    .scan_index_o (),
    .scan_ready_i (1'b0),
    .scan_i       ('0),
    .value_o      (),
    .x_loaded_i   ('0),
    .x_bank_o     (),
    .x_nonzero_i  ('0),
    .x_values_i   ('0),
    .columns_begin_o(),
    .columns_dealt_o(),
    .columns_busy_i (1'b0),
    .columns_o      (),
    .slot_free_i
  );

  logic accept, granted, blocked;
  assign accept  = op_valid_i && op_ready;
  assign granted = grant != '0;

  // The operator at work: number of blocks dealt, address of the next block.
  logic any_q;
  dispatch_t op_q;
  logic [16:0] dealt_q;
  addr_t addr_q;
  // Blocks between dispatcher and collector, and the slot of the oldest.
  used_t used_q;
  slot_t oldest_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      any_q    <= 1'b0;
      used_q   <= '0;
      oldest_q <= '0;
    end else begin
      if (accept) any_q <= 1'b1;
      used_q   <= used_q + used_t'(granted) - used_t'(slot_free_i);
      oldest_q <= oldest_q + slot_t'(slot_free_i);
    end
    if (accept) begin
      op_q    <= op_i;
      dealt_q <= '0;
      addr_q  <= op_i.w_addr;
    end else if (granted) begin
      dealt_q <= dealt_q + 1'b1;
      addr_q  <= addr_q + addr_t'(op_q.w_stride);
    end
  end

  // The front end refuses an operator without rows. The collector hands back only slots that are in use.
  `TMV_ASSUME(SomeBlocks, !op_valid_i || op_i.blocks != '0)
  `TMV_ASSUME(RowBlocks, !op_valid_i || (!op_i.rows && !op_i.columns))
  `TMV_ASSUME(SlotWasTaken, !slot_free_i || used_q != '0)

  `TMV_ASSERT(OneHot, (grant & (grant - 1'b1)) == '0)
  `TMV_ASSERT(OnlyFreePorts, (grant & ~free_i) == '0)
  `TMV_ASSERT(NothingOutOfNothing, !granted || (any_q && dealt_q < op_q.blocks))
  `TMV_ASSERT(AllBlocksBeforeTheNext, !(accept && any_q) || dealt_q == op_q.blocks)
  `TMV_ASSERT(Address, !granted || block_addr == addr_q)
  `TMV_ASSERT(Block, !granted || (block.id == op_q.id && block.bank == op_q.bank && block.tokens == op_q.tokens
      && block.last_word == word_t'(op_q.row_beats - 1'b1) && !block.rows && !block.columns))
  `TMV_ASSERT(WindowKept, used_q <= used_t'(Window))
  // Slots follow one another, so no slot of the window is given twice. The solver picks any slot: `any_slot_i`.
  `TMV_ASSERT(SlotsInOrder, !granted || block.slot == slot_t'(oldest_q + used_q))
  `TMV_ASSERT(SlotIsNotInUse,
              !(granted && block.slot == any_slot_i) || used_t'(slot_t'(any_slot_i - oldest_q)) >= used_q)

  for (genvar t = 0; t < int'(MaxTokens); t++) begin : gen_token
    `TMV_ASSERT(TokensMask, !granted || block.tokens_mask[t] == (t < op_q.tokens))
  end

  // A cycle without a grant has a reason: no operator, no free port or no free slot.
  assign blocked = !any_q || dealt_q == op_q.blocks || free_i == '0 || used_q == used_t'(Window);
  `TMV_ASSERT(NoCycleIsLost, granted || blocked)
  `TMV_ASSERT(NextOperatorIsTaken, op_ready || dealt_q != op_q.blocks)

  // Helpers for the induction: the state of the model equals that of the dispatcher.
  `TMV_ASSERT(HelpWindow, u_dispatcher.used_q == used_q && u_dispatcher.block_o.slot == slot_t'(oldest_q + used_q))
  `TMV_ASSERT(HelpNoRows, !u_dispatcher.sending_q)
  `TMV_ASSERT(HelpOperator, op_ready == (!any_q || dealt_q == op_q.blocks) && (!any_q || dealt_q <= op_q.blocks)
      && (op_ready || (u_dispatcher.op_q.blocks == op_q.blocks - dealt_q && u_dispatcher.op_q.w_addr == addr_q
      && u_dispatcher.op_q.w_stride == op_q.w_stride && !u_dispatcher.op_q.rows && !u_dispatcher.block_o.rows && u_dispatcher.block_o.id == op_q.id
      && !u_dispatcher.op_q.columns && !u_dispatcher.block_o.columns
      && u_dispatcher.block_o.bank == op_q.bank && u_dispatcher.block_o.tokens == op_q.tokens
      && u_dispatcher.op_q.row_beats == op_q.row_beats
      && u_dispatcher.block_o.last_word == word_t'(op_q.row_beats - 1'b1)
      && u_dispatcher.block_o.tokens_mask == MaxTokens'((9'd1 << op_q.tokens) - 9'd1))))

  `TMV_COVER(SecondOperatorEnds, any_q && granted && op_q.blocks == 17'd3 && dealt_q == 17'd2 && oldest_q == 6'd3)
endmodule
