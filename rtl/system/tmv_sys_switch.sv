`include "tmv_macros.svh"

/// The way to all registers of a system: the host reaches those of both units and of the sequencer, the core those of the
/// units. Each has 4 KiB, in this order from address 0: ternary unit, vector unit, sequencer.
///
/// The host may be any master of AXI4-Lite. The switch forwards one access of the host at a time. After a read, a waiting write
/// is next, and after a write a waiting read. An access of the host to 0x3000 and above goes to byte address 0xfff of the
/// sequencer, where no register is: the sequencer refuses and remembers it, as it does every access to no register.
///
/// The core makes one access at a time, offers address and data of a write together, and leaves a cycle between two accesses, in
/// which the host gets its turn. Nothing delays the core but an access of the host to the same unit.
///
/// What the core sends and what a unit answers to it pass in the same cycle. What the host sends is held first. A unit that never
/// answers the core keeps the host from that unit; once the host asks it, the host's bus stands until a reset. The slaves of both
/// units and of the sequencer answer every access.
module tmv_sys_switch
  import tmv_axi_pkg::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  /// The host.
  input  logic              s_axil_awvalid,
  output logic              s_axil_awready,
  input  logic [13:0]       s_axil_awaddr,
  input  logic              s_axil_wvalid,
  output logic              s_axil_wready,
  input  logic [31:0]       s_axil_wdata,
  input  logic [ 3:0]       s_axil_wstrb,
  output logic              s_axil_bvalid,
  input  logic              s_axil_bready,
  output logic [ 1:0]       s_axil_bresp,
  input  logic              s_axil_arvalid,
  output logic              s_axil_arready,
  input  logic [13:0]       s_axil_araddr,
  output logic              s_axil_rvalid,
  input  logic              s_axil_rready,
  output logic [31:0]       s_axil_rdata,
  output logic [ 1:0]       s_axil_rresp,
  /// The core.
  input  logic              c_axil_awvalid,
  output logic              c_axil_awready,
  input  logic [12:0]       c_axil_awaddr,
  input  logic              c_axil_wvalid,
  output logic              c_axil_wready,
  input  logic [31:0]       c_axil_wdata,
  input  logic [ 3:0]       c_axil_wstrb,
  output logic              c_axil_bvalid,
  input  logic              c_axil_bready,
  output logic [ 1:0]       c_axil_bresp,
  input  logic              c_axil_arvalid,
  output logic              c_axil_arready,
  input  logic [12:0]       c_axil_araddr,
  output logic              c_axil_rvalid,
  input  logic              c_axil_rready,
  output logic [31:0]       c_axil_rdata,
  output logic [ 1:0]       c_axil_rresp,
  /// Ternary unit, vector unit, sequencer.
  output logic [ 2:0]       m_axil_awvalid,
  input  logic [ 2:0]       m_axil_awready,
  output logic [ 2:0][11:0] m_axil_awaddr,
  output logic [ 2:0]       m_axil_wvalid,
  input  logic [ 2:0]       m_axil_wready,
  output logic [ 2:0][31:0] m_axil_wdata,
  output logic [ 2:0][ 3:0] m_axil_wstrb,
  input  logic [ 2:0]       m_axil_bvalid,
  output logic [ 2:0]       m_axil_bready,
  input  logic [ 2:0][ 1:0] m_axil_bresp,
  output logic [ 2:0]       m_axil_arvalid,
  input  logic [ 2:0]       m_axil_arready,
  output logic [ 2:0][11:0] m_axil_araddr,
  input  logic [ 2:0]       m_axil_rvalid,
  output logic [ 2:0]       m_axil_rready,
  input  logic [ 2:0][31:0] m_axil_rdata,
  input  logic [ 2:0][ 1:0] m_axil_rresp
);
  // What the host sent and has no answer yet.
  logic aw_held_q, w_held_q, ar_held_q;
  logic [13:0] awaddr_q, araddr_q;
  logic [31:0] wdata_q;
  logic [3:0] wstrb_q;
  // Its access that goes on: whether there is one, whether it is a write, and whether it has its target for itself.
  logic busy_q, write_q, owns_q;
  logic aw_sent_q, w_sent_q, ar_sent_q;
  logic write_waits, read_waits, choose, b_done, r_done;
  logic [1:0] place, target;
  // The core's access, and what the host's shares with it.
  logic c_valid, c_open_q, c_blocked, c_done, free;
  logic [1:0] c_target, c_target_q;

  assign s_axil_awready = !aw_held_q;
  assign s_axil_wready  = !w_held_q;
  assign s_axil_arready = !ar_held_q;

  assign write_waits  = aw_held_q && w_held_q && !s_axil_bvalid;
  assign read_waits   = ar_held_q && !s_axil_rvalid;
  // When an access ends, the next one of its kind is not held yet.
  assign choose       = !busy_q && (write_waits || read_waits);
  assign place        = write_q ? awaddr_q[13:12] : araddr_q[13:12];
  assign target       = place[1] ? 2'd2 : place;

  assign c_valid   = c_axil_awvalid || c_axil_wvalid || c_axil_arvalid;
  assign c_target  = c_open_q || !c_valid ? c_target_q : {1'b0, c_axil_arvalid ? c_axil_araddr[12] : c_axil_awaddr[12]};
  assign c_blocked = owns_q && target == c_target;
  assign c_done    = c_axil_bvalid && c_axil_bready || c_axil_rvalid && c_axil_rready;
  assign free      = target != c_target || !c_valid && !c_open_q;

  assign b_done = owns_q && write_q && m_axil_bvalid[target];
  assign r_done = owns_q && !write_q && m_axil_rvalid[target];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_held_q     <= 1'b0;
      w_held_q      <= 1'b0;
      ar_held_q     <= 1'b0;
      busy_q        <= 1'b0;
      owns_q        <= 1'b0;
      s_axil_bvalid <= 1'b0;
      s_axil_rvalid <= 1'b0;
      c_open_q      <= 1'b0;
      // Not for the result, but so that `target` and `c_target` are never 3.
      c_target_q    <= '0;
      write_q       <= 1'b0;
    end else begin
      if (s_axil_awvalid && s_axil_awready) aw_held_q <= 1'b1;
      else if (b_done) aw_held_q <= 1'b0;
      if (s_axil_wvalid && s_axil_wready) w_held_q <= 1'b1;
      else if (b_done) w_held_q <= 1'b0;
      if (s_axil_arvalid && s_axil_arready) ar_held_q <= 1'b1;
      else if (r_done) ar_held_q <= 1'b0;

      if (choose) write_q <= write_waits;
      busy_q <= choose || busy_q && !b_done && !r_done;
      owns_q <= busy_q && (owns_q || free) && !b_done && !r_done;

      if (b_done) s_axil_bvalid <= 1'b1;
      else if (s_axil_bready) s_axil_bvalid <= 1'b0;
      if (r_done) s_axil_rvalid <= 1'b1;
      else if (s_axil_rready) s_axil_rvalid <= 1'b0;

      c_open_q   <= (c_valid || c_open_q) && !c_done;
      c_target_q <= c_target;
    end
  end

  always_ff @(posedge clk_i) begin
    if (s_axil_awready) awaddr_q <= s_axil_awaddr;
    if (s_axil_wready) {wdata_q, wstrb_q} <= {s_axil_wdata, s_axil_wstrb};
    if (s_axil_arready) araddr_q <= s_axil_araddr;
    aw_sent_q <= owns_q && (aw_sent_q || m_axil_awready[target]);
    w_sent_q  <= owns_q && (w_sent_q || m_axil_wready[target]);
    ar_sent_q <= owns_q && (ar_sent_q || m_axil_arready[target]);
    if (b_done) s_axil_bresp <= m_axil_bresp[target];
    if (r_done) {s_axil_rdata, s_axil_rresp} <= {m_axil_rdata[target], m_axil_rresp[target]};
  end

  // The ways to the targets.
  always_comb begin
    for (int unsigned t = 0; t < 3; t++) begin
      m_axil_awvalid[t] = 1'b0;
      m_axil_wvalid[t]  = 1'b0;
      m_axil_arvalid[t] = 1'b0;
      m_axil_bready[t]  = 1'b0;
      m_axil_rready[t]  = 1'b0;
      m_axil_awaddr[t]  = c_axil_awaddr[11:0];
      m_axil_wdata[t]   = c_axil_wdata;
      m_axil_wstrb[t]   = c_axil_wstrb;
      m_axil_araddr[t]  = c_axil_araddr[11:0];
      if (owns_q && target == 2'(t)) begin
        m_axil_awvalid[t] = write_q && !aw_sent_q;
        m_axil_wvalid[t]  = write_q && !w_sent_q;
        m_axil_arvalid[t] = !write_q && !ar_sent_q;
        m_axil_bready[t]  = 1'b1;
        m_axil_rready[t]  = 1'b1;
        m_axil_awaddr[t]  = &awaddr_q[13:12] ? '1 : awaddr_q[11:0];
        m_axil_wdata[t]   = wdata_q;
        m_axil_wstrb[t]   = wstrb_q;
        m_axil_araddr[t]  = &araddr_q[13:12] ? '1 : araddr_q[11:0];
      end else if (c_target == 2'(t)) begin
        m_axil_awvalid[t] = c_axil_awvalid;
        m_axil_wvalid[t]  = c_axil_wvalid;
        m_axil_arvalid[t] = c_axil_arvalid;
        m_axil_bready[t]  = c_axil_bready;
        m_axil_rready[t]  = c_axil_rready;
      end
    end
  end

  // The way back to the core.
  assign c_axil_awready = !c_blocked && m_axil_awready[c_target];
  assign c_axil_wready  = !c_blocked && m_axil_wready[c_target];
  assign c_axil_arready = !c_blocked && m_axil_arready[c_target];
  assign c_axil_bvalid  = !c_blocked && m_axil_bvalid[c_target];
  assign c_axil_rvalid  = !c_blocked && m_axil_rvalid[c_target];
  assign c_axil_bresp   = m_axil_bresp[c_target];
  assign c_axil_rresp   = m_axil_rresp[c_target];
  assign c_axil_rdata   = m_axil_rdata[c_target];

  logic c_done_q;

  always_ff @(posedge clk_i) c_done_q <= rst_ni && c_done;

  `TMV_ASSERT(OneAccessOfTheCore, !(c_axil_arvalid && (c_axil_awvalid || c_axil_wvalid)) && !(c_done_q && c_valid))
  `TMV_ASSERT(AddressAndDataTogether, c_open_q || c_axil_awvalid == c_axil_wvalid)
  `TMV_COVER(HostWaitsForCore, busy_q && !owns_q && !free)
  `TMV_COVER(CoreWaitsForHost, c_valid && c_blocked)
  `TMV_COVER(ReadAndWriteWait, write_waits && read_waits)
endmodule
