`include "tmv_formal.svh"

/// `tmv_fifo` gives back every entry once and in order, and never holds more entries than it has room for.
///
/// The solver picks one entry, and the harness follows it. The entry leaves after exactly the entries that were ahead
/// of it. The choice is free, so this holds for every entry. Unbounded.
module tmv_fifo_fv #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 4
) (
  input logic             clk_i,
  input logic             wvalid_i,
  input logic [Width-1:0] wdata_i,
  input logic             rready_i,
  /// Follow the entry that enters now.
  input logic             pick_i
);
  localparam int unsigned CountBits = $clog2(Depth + 2);

  typedef logic [CountBits-1:0] count_t;

  `TMV_FORMAL_RESET

  logic wready, rvalid, enter, leave;
  logic [Width-1:0] rdata;

  tmv_fifo #(
    .Width(Width),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .wvalid_i,
    .wready_o(wready),
    .wdata_i,
    .rvalid_o(rvalid),
    .rready_i,
    .rdata_o (rdata)
  );

  assign enter = wvalid_i && wready;
  assign leave = rvalid && rready_i;

  // Number of entries in the queue; the followed entry, and the number of entries ahead of it.
  count_t held_q, ahead_q;
  logic follow_q, enter_q, stalled_q;
  logic [Width-1:0] value_q, rdata_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      held_q    <= '0;
      follow_q  <= 1'b0;
      enter_q   <= 1'b0;
      stalled_q <= 1'b0;
    end else begin
      held_q    <= held_q + count_t'(enter) - count_t'(leave);
      enter_q   <= enter;
      stalled_q <= rvalid && !rready_i;
      if (!follow_q) follow_q <= enter && pick_i;
      else if (leave && ahead_q == '0) follow_q <= 1'b0;
    end
    rdata_q <= rdata;
    if (!follow_q) begin
      ahead_q <= held_q - count_t'(leave);
      value_q <= wdata_i;
    end else if (leave) ahead_q <= ahead_q - 1'b1;
  end

  `TMV_ASSERT(NothingFromNothing, !leave || held_q != '0)
  `TMV_ASSERT(Room, held_q <= count_t'(Depth + 1))
  `TMV_ASSERT(RoomIsOffered, wready || held_q >= count_t'(Depth))
  `TMV_ASSERT(ValueAndOrder, !(follow_q && leave && ahead_q == '0) || rdata == value_q)
  `TMV_ASSERT(StaysWhileWaiting, !stalled_q || (rvalid && rdata == rdata_q))
  // Latency two cycles: an entry is not offered only if it is alone and came in the cycle before.
  `TMV_ASSERT(Latency, !(held_q != '0 && !rvalid) || (enter_q && held_q == count_t'(1)))

  // Helpers for the induction: where the followed entry is.
  count_t stored, place;

  assign stored = count_t'(u_fifo.wptr_q - u_fifo.rptr_q);
  assign place  = ahead_q - count_t'(rvalid);

  `TMV_ASSERT(HelpCount, held_q == stored + count_t'(rvalid) && stored <= count_t'(Depth))
  `TMV_ASSERT(HelpAhead, !follow_q || ahead_q < held_q)
  `TMV_ASSERT(HelpOutput, !(follow_q && rvalid && ahead_q == '0) || rdata == value_q)
  `TMV_ASSERT(HelpMemory, !(follow_q && !(rvalid && ahead_q == '0))
      || u_fifo.mem[$clog2(Depth)'(u_fifo.rptr_q + place)] == value_q)

  `TMV_COVER(FullAndFollowed, follow_q && leave && ahead_q == '0 && held_q == count_t'(Depth + 1))
endmodule
