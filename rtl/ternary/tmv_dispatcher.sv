`include "tmv_macros.svh"

/// Dispatcher: deals the row blocks of queued operators, in order, to ports that are free.
///
/// One block a cycle; one idle cycle between operators. At most `Window` blocks are between dispatcher and result
/// writer; the collector hands their slots back in order. Combinational: `free_i` to `grant_o`.
module tmv_dispatcher
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Ports, at least 1.
  parameter int unsigned Ports = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  /// Operators, in order.
  input  logic               op_valid_i,
  output logic               op_ready_o,
  input  dispatch_t          op_i,
  /// Ports that can take a block; the port that takes `block_o` in this cycle.
  input  logic   [Ports-1:0] free_i,
  output logic   [Ports-1:0] grant_o,
  output block_t             block_o,
  /// Address and number of the beats of the block.
  output addr_t              block_addr_o,
  output beats_t             block_beats_o,
  /// The oldest slot is free again.
  input  logic               slot_free_i
);
  logic active_q;
  dispatch_t op_q;
  logic [$clog2(Window):0] used_q;
  logic full_q;
  logic enable, granted;

  assign enable = active_q && !full_q;
  assign granted = enable && |free_i;
  assign op_ready_o = !active_q;

  tmv_round_robin #(
    .Clients(Ports)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .enable_i(enable),
    .req_i   (free_i),
    .grant_o
  );

  assign block_beats_o = op_q.row_beats << $clog2(RowBlock);
  assign block_addr_o = op_q.w_addr;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      used_q   <= '0;
      full_q   <= 1'b0;
    end else begin
      if (op_valid_i && op_ready_o) active_q <= 1'b1;
      else if (granted && op_q.blocks == 17'd1) active_q <= 1'b0;
      used_q <= used_q + ($clog2(Window) + 1)'(granted) - ($clog2(Window) + 1)'(slot_free_i);
      if (granted != slot_free_i) full_q <= granted && used_q == ($clog2(Window) + 1)'(Window - 1);
    end
  end

  // Don't-care while no operator is active.
  always_ff @(posedge clk_i) begin
    if (op_ready_o) begin
      op_q                <= op_i;
      block_o.id          <= op_i.id;
      block_o.bank        <= op_i.bank;
      block_o.tokens_mask <= MaxTokens'((9'd1 << op_i.tokens) - 9'd1);
      block_o.tokens      <= op_i.tokens;
      block_o.last_word   <= word_t'(op_i.row_beats - 1'b1);
    end else if (granted) begin
      op_q.blocks <= op_q.blocks - 1'b1;
      op_q.w_addr <= op_q.w_addr + addr_t'(op_q.w_stride);
    end
    if (!rst_ni) block_o.slot <= '0;
    else if (granted) block_o.slot <= block_o.slot + 1'b1;
  end

  `TMV_ASSERT(FullIsFull, full_q == (used_q == ($clog2(Window) + 1)'(Window)))
  `TMV_ASSERT(SlotsBalanced, !slot_free_i || used_q != '0)
  `TMV_COVER(WindowFull, used_q == ($clog2(Window) + 1)'(Window))
  `TMV_COVER(OperatorsOverlap, op_valid_i && op_ready_o && used_q != '0)
  `TMV_COVER(PortsCompete, granted && $countones(free_i) > 1)
endmodule
