`include "tmv_macros.svh"

/// First-in first-out queue. Its output is a register, so the queue maps to block RAM.
///
/// Throughput one entry a cycle; latency two cycles through an empty queue; holds `Depth` + 1 entries, one of them in
/// the output register. No combinational path from an input to an output. Not for clock crossing.
module tmv_fifo #(
  /// Bits of an entry.
  parameter int unsigned Width = 32,
  /// Entries of the memory, a power of two, at least 2.
  parameter int unsigned Depth = 16,
  /// 1: the memory is block RAM, although it is small; 0: as the tool chooses.
  parameter int unsigned BlockRam = 0
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  /// Producer.
  input  logic             wvalid_i,
  output logic             wready_o,
  input  logic [Width-1:0] wdata_i,
  /// Consumer.
  output logic             rvalid_o,
  input  logic             rready_i,
  output logic [Width-1:0] rdata_o
);
  localparam int unsigned PtrBits = $clog2(Depth);

  localparam Style = (BlockRam != 0) ? "block" : "auto";

  (* ram_style = Style *) logic [Width-1:0] mem[Depth];
  logic [PtrBits:0] wptr_q, rptr_q;

  assign wready_o = (wptr_q - rptr_q) != (PtrBits + 1)'(Depth);

  always_ff @(posedge clk_i) begin
    automatic logic write = wvalid_i && wready_o;
    automatic logic read = (wptr_q != rptr_q) && (!rvalid_o || rready_i);

    if (write) mem[wptr_q[PtrBits-1:0]] <= wdata_i;
    if (read) rdata_o <= mem[rptr_q[PtrBits-1:0]];
    if (!rst_ni) begin
      wptr_q   <= '0;
      rptr_q   <= '0;
      rvalid_o <= 1'b0;
    end else begin
      if (write) wptr_q <= wptr_q + 1'b1;
      if (read) rptr_q <= rptr_q + 1'b1;
      if (read) rvalid_o <= 1'b1;
      else if (rready_i) rvalid_o <= 1'b0;
    end
  end

  `TMV_REQUIRE(depth, Depth >= 2 && (1 << PtrBits) == Depth, "tmv_fifo: Depth must be a power of two, at least 2")
  `TMV_REQUIRE(width, Width >= 1, "tmv_fifo: an entry must have a bit")
  `TMV_COVER(Full, wvalid_i && !wready_o)
endmodule
