`include "tmv_formal.svh"

/// `tmv_sys_switch` brings each access of the host and of the core to its target once, and its answer back.
///
/// The host is any master that keeps the rules of AXI4-Lite. The core makes one access at a time. A target answers what it
/// has taken, whenever it likes. A model keeps what each target has taken, and from whom. Unbounded.
module tmv_sys_switch_fv
  import tmv_axi_pkg::*;
(
  input logic             clk_i,
  input logic             s_axil_awvalid,
  input logic [13:0]      s_axil_awaddr,
  input logic             s_axil_wvalid,
  input logic [31:0]      s_axil_wdata,
  input logic [ 3:0]      s_axil_wstrb,
  input logic             s_axil_bready,
  input logic             s_axil_arvalid,
  input logic [13:0]      s_axil_araddr,
  input logic             s_axil_rready,
  input logic             c_axil_awvalid,
  input logic [12:0]      c_axil_awaddr,
  input logic             c_axil_wvalid,
  input logic [31:0]      c_axil_wdata,
  input logic [ 3:0]      c_axil_wstrb,
  input logic             c_axil_bready,
  input logic             c_axil_arvalid,
  input logic [12:0]      c_axil_araddr,
  input logic             c_axil_rready,
  input logic [2:0]       m_axil_awready,
  input logic [2:0]       m_axil_wready,
  input logic [2:0]       m_axil_bvalid,
  input logic [2:0][ 1:0] m_axil_bresp,
  input logic [2:0]       m_axil_arready,
  input logic [2:0]       m_axil_rvalid,
  input logic [2:0][31:0] m_axil_rdata,
  input logic [2:0][ 1:0] m_axil_rresp
);
  `TMV_FORMAL_RESET

  logic s_axil_awready, s_axil_wready, s_axil_bvalid, s_axil_arready, s_axil_rvalid;
  logic [1:0] s_axil_bresp, s_axil_rresp;
  logic [31:0] s_axil_rdata;
  logic c_axil_awready, c_axil_wready, c_axil_bvalid, c_axil_arready, c_axil_rvalid;
  logic [1:0] c_axil_bresp, c_axil_rresp;
  logic [31:0] c_axil_rdata;
  logic [2:0] m_axil_awvalid, m_axil_wvalid, m_axil_bready, m_axil_arvalid, m_axil_rready;
  logic [2:0][11:0] m_axil_awaddr, m_axil_araddr;
  logic [2:0][31:0] m_axil_wdata;
  logic [2:0][3:0] m_axil_wstrb;

  tmv_sys_switch u_switch (.*);

  // The host's writes and reads: what the switch has taken, and the answer that it owes.
  logic have_aw_q, have_w_q, have_ar_q, answer_q, read_q, reset_q;
  logic [13:0] awaddr_q, araddr_q;
  logic [31:0] wdata_q, rdata_q;
  logic [3:0] wstrb_q;
  logic [1:0] bresp_q, rresp_q;
  // The core's access.
  logic core_q, write_q, aw_done_q, w_done_q, ar_done_q;
  logic core, write;
  logic [12:0] addr, addr_q;
  logic [31:0] core_data_q;
  logic [3:0] core_strb_q;
  logic core_end;
  // What each target has taken and not answered, and whether it is the host's.
  logic [2:0] aw_q, w_q, ar_q, host_q, host;
  logic [2:0] aw, w, b, ar, r;
  logic [2:0] host_b, host_r;

  assign aw = m_axil_awvalid & m_axil_awready;
  assign w  = m_axil_wvalid & m_axil_wready;
  assign b  = m_axil_bvalid & m_axil_bready;
  assign ar = m_axil_arvalid & m_axil_arready;
  assign r  = m_axil_rvalid & m_axil_rready;

  for (genvar t = 0; t < 3; t++) begin : gen_owner
    // Whose an access is that begins now. The sequencer is the host's alone.
    assign host[t] = (aw_q[t] || w_q[t] || ar_q[t]) ? host_q[t] : u_switch.owns_q && u_switch.target == 2'(t);
  end

  assign host_b = b & host;
  assign host_r = r & host;

  always_ff @(posedge clk_i) begin
    reset_q <= !rst_ni;
    if (!rst_ni) begin
      {have_aw_q, have_w_q, have_ar_q, answer_q, read_q} <= '0;
      {core_q, aw_done_q, w_done_q, ar_done_q} <= '0;
      {aw_q, w_q, ar_q} <= '0;
    end else begin
      have_aw_q <= s_axil_awvalid && s_axil_awready || have_aw_q && host_b == '0;
      have_w_q  <= s_axil_wvalid && s_axil_wready || have_w_q && host_b == '0;
      have_ar_q <= s_axil_arvalid && s_axil_arready || have_ar_q && host_r == '0;
      answer_q  <= host_b != '0 || answer_q && !s_axil_bready;
      read_q    <= host_r != '0 || read_q && !s_axil_rready;
      core_q    <= core && !core_end;
      aw_done_q <= core && !core_end && (aw_done_q || c_axil_awvalid && c_axil_awready);
      w_done_q  <= core && !core_end && (w_done_q || c_axil_wvalid && c_axil_wready);
      ar_done_q <= core && !core_end && (ar_done_q || c_axil_arvalid && c_axil_arready);
      aw_q      <= aw | aw_q & ~b;
      w_q       <= w | w_q & ~b;
      ar_q      <= ar | ar_q & ~r;
    end
    if (s_axil_awvalid && s_axil_awready) awaddr_q <= s_axil_awaddr;
    if (s_axil_wvalid && s_axil_wready) {wdata_q, wstrb_q} <= {s_axil_wdata, s_axil_wstrb};
    if (s_axil_arvalid && s_axil_arready) araddr_q <= s_axil_araddr;
    for (int t = 0; t < 3; t++) begin
      if (host_b[t]) bresp_q <= m_axil_bresp[t];
      if (host_r[t]) {rdata_q, rresp_q} <= {m_axil_rdata[t], m_axil_rresp[t]};
    end
    host_q      <= host;
    write_q     <= write;
    addr_q      <= addr;
    core_data_q <= c_axil_wdata;
    core_strb_q <= c_axil_wstrb;
  end

  // The core offers address and data of a write together, and leaves a cycle after the answer.
  logic core_ended_q;

  always_ff @(posedge clk_i) core_ended_q <= rst_ni && core_end;

  assign core     = core_q || c_axil_awvalid || c_axil_arvalid;
  assign write    = core_q ? write_q : c_axil_awvalid;
  assign addr     = core_q ? addr_q : c_axil_awvalid ? c_axil_awaddr : c_axil_araddr;
  assign core_end = c_axil_bvalid && c_axil_bready || c_axil_rvalid && c_axil_rready;

  `TMV_ASSUME(CoreBegins, core_q || (c_axil_awvalid == c_axil_wvalid && !(c_axil_awvalid && c_axil_arvalid)))
  `TMV_ASSUME(CoreLeavesACycle, !core_ended_q || !(c_axil_awvalid || c_axil_wvalid || c_axil_arvalid))
  `TMV_ASSUME(CoreGoesOn, !core_q || (c_axil_awvalid == (write_q && !aw_done_q)
      && c_axil_wvalid == (write_q && !w_done_q) && c_axil_arvalid == (!write_q && !ar_done_q)))
  `TMV_ASSUME(CoreStays, !core_q || ((!c_axil_awvalid || c_axil_awaddr == addr_q)
      && (!c_axil_arvalid || c_axil_araddr == addr_q)
      && (!c_axil_wvalid || (c_axil_wdata == core_data_q && c_axil_wstrb == core_strb_q))))

  // A target answers what it has taken. Its answer stays.
  logic [2:0] b_waits_q, r_waits_q;
  logic [2:0][1:0] target_bresp_q, target_rresp_q;
  logic [2:0][31:0] target_rdata_q;

  always_ff @(posedge clk_i) begin
    b_waits_q <= rst_ni ? m_axil_bvalid & ~m_axil_bready : '0;
    r_waits_q <= rst_ni ? m_axil_rvalid & ~m_axil_rready : '0;
    target_bresp_q <= m_axil_bresp;
    target_rresp_q <= m_axil_rresp;
    target_rdata_q <= m_axil_rdata;
  end

  `TMV_ASSUME(TargetsAnswer, (m_axil_bvalid & ~(aw_q & w_q)) == '0 && (m_axil_rvalid & ~ar_q) == '0)
  for (genvar t = 0; t < 3; t++) begin : gen_answer
    `TMV_ASSUME(BStays, !b_waits_q[t] || (m_axil_bvalid[t] && m_axil_bresp[t] == target_bresp_q[t]))
    `TMV_ASSUME(RStays, !r_waits_q[t] || (m_axil_rvalid[t] && m_axil_rresp[t] == target_rresp_q[t]
        && m_axil_rdata[t] == target_rdata_q[t]))
  end

  // The host waits with what it offers.
  logic aw_waits_q, w_waits_q, ar_waits_q;
  logic [13:0] offered_awaddr_q, offered_araddr_q;
  logic [35:0] offered_word_q;

  always_ff @(posedge clk_i) begin
    aw_waits_q <= rst_ni && s_axil_awvalid && !s_axil_awready;
    w_waits_q  <= rst_ni && s_axil_wvalid && !s_axil_wready;
    ar_waits_q <= rst_ni && s_axil_arvalid && !s_axil_arready;
    offered_awaddr_q <= s_axil_awaddr;
    offered_araddr_q <= s_axil_araddr;
    offered_word_q <= {s_axil_wdata, s_axil_wstrb};
  end

  `TMV_ASSUME(HostStays, (!aw_waits_q || (s_axil_awvalid && s_axil_awaddr == offered_awaddr_q))
      && (!w_waits_q || (s_axil_wvalid && {s_axil_wdata, s_axil_wstrb} == offered_word_q))
      && (!ar_waits_q || (s_axil_arvalid && s_axil_araddr == offered_araddr_q)))

  // What each target sees.
  for (genvar t = 0; t < 3; t++) begin : gen_target
    logic aw_held_q, w_held_q, ar_held_q;
    logic [11:0] awaddr_held_q, araddr_held_q;
    logic [35:0] word_held_q;

    always_ff @(posedge clk_i) begin
      aw_held_q <= rst_ni && m_axil_awvalid[t] && !m_axil_awready[t];
      w_held_q  <= rst_ni && m_axil_wvalid[t] && !m_axil_wready[t];
      ar_held_q <= rst_ni && m_axil_arvalid[t] && !m_axil_arready[t];
      awaddr_held_q <= m_axil_awaddr[t];
      araddr_held_q <= m_axil_araddr[t];
      word_held_q   <= {m_axil_wdata[t], m_axil_wstrb[t]};
    end

    `TMV_ASSERT(AXI4LITE_ERRM_AW_STABLE, !aw_held_q || (m_axil_awvalid[t] && m_axil_awaddr[t] == awaddr_held_q))
    `TMV_ASSERT(AXI4LITE_ERRM_W_STABLE, !w_held_q
        || (m_axil_wvalid[t] && {m_axil_wdata[t], m_axil_wstrb[t]} == word_held_q))
    `TMV_ASSERT(AXI4LITE_ERRM_AR_STABLE, !ar_held_q || (m_axil_arvalid[t] && m_axil_araddr[t] == araddr_held_q))
    `TMV_ASSERT(OneAccessAtATime, !(aw[t] && aw_q[t]) && !(w[t] && w_q[t]) && !(ar[t] && ar_q[t])
        && !((aw[t] || w[t] || aw_q[t] || w_q[t]) && (ar[t] || ar_q[t])))
    // Whose it is, it is all of it.
    `TMV_ASSERT(HostsAddress, !(aw[t] && host[t]) || (have_aw_q && have_w_q && !answer_q
        && (awaddr_q[13] ? t == 2 : t == int'(awaddr_q[12]))
        && m_axil_awaddr[t] == (awaddr_q[13] && awaddr_q[12] ? 12'hfff : awaddr_q[11:0])))
    `TMV_ASSERT(HostsWord, !(w[t] && host[t]) || (have_aw_q && have_w_q && !answer_q
        && (awaddr_q[13] ? t == 2 : t == int'(awaddr_q[12]))
        && m_axil_wdata[t] == wdata_q && m_axil_wstrb[t] == wstrb_q))
    `TMV_ASSERT(HostsRead, !(ar[t] && host[t]) || (have_ar_q && !read_q
        && (araddr_q[13] ? t == 2 : t == int'(araddr_q[12]))
        && m_axil_araddr[t] == (araddr_q[13] && araddr_q[12] ? 12'hfff : araddr_q[11:0])))
    `TMV_ASSERT(CoresAddress, !(aw[t] && !host[t]) || (c_axil_awvalid && c_axil_awready && t == int'(addr[12])
        && m_axil_awaddr[t] == addr[11:0]))
    `TMV_ASSERT(CoresWord, !(w[t] && !host[t]) || (c_axil_wvalid && c_axil_wready && t == int'(addr[12])
        && m_axil_wdata[t] == c_axil_wdata && m_axil_wstrb[t] == c_axil_wstrb))
    `TMV_ASSERT(CoresRead, !(ar[t] && !host[t]) || (c_axil_arvalid && c_axil_arready && t == int'(addr[12])
        && m_axil_araddr[t] == addr[11:0]))
    `TMV_ASSERT(CoresAnswer, !(b[t] && !host[t]) || (c_axil_bvalid && c_axil_bready && write && t == int'(addr[12])
        && c_axil_bresp == m_axil_bresp[t]))
    `TMV_ASSERT(CoresData, !(r[t] && !host[t]) || (c_axil_rvalid && c_axil_rready && !write && t == int'(addr[12])
        && c_axil_rdata == m_axil_rdata[t] && c_axil_rresp == m_axil_rresp[t]))

    // Helpers for the induction: who has what in this target.
    `TMV_ASSERT(HelpHost, !((aw_q[t] || w_q[t] || ar_q[t]) && host_q[t])
        || (u_switch.owns_q && u_switch.target == 2'(t)
            && (u_switch.write_q ? !ar_q[t] : !aw_q[t] && !w_q[t])))
    `TMV_ASSERT(HelpCore, !((aw_q[t] || w_q[t] || ar_q[t]) && !host_q[t])
        || (core_q && t == int'(addr_q[12]) && (write_q ? !ar_q[t] : !aw_q[t] && !w_q[t])))
    `TMV_ASSERT(HelpOwns, !(u_switch.owns_q && u_switch.target == 2'(t))
        || ((host_q[t] || !(aw_q[t] || w_q[t] || ar_q[t]))
            && (u_switch.write_q ? u_switch.aw_sent_q == aw_q[t] && u_switch.w_sent_q == w_q[t] && !ar_q[t]
                : u_switch.ar_sent_q == ar_q[t] && !aw_q[t] && !w_q[t])))
    `TMV_ASSERT(HelpDone, !(core_q && t == int'(addr_q[12]))
        || (host_q[t] && (aw_q[t] || w_q[t] || ar_q[t]) ? !aw_done_q && !w_done_q && !ar_done_q
            : aw_done_q == aw_q[t] && w_done_q == w_q[t] && ar_done_q == ar_q[t]))
  end

  // What the masters see.
  `TMV_ASSERT(CoreIsAnsweredOnce, !c_axil_bvalid || (core_q && write_q && aw_done_q && w_done_q))
  `TMV_ASSERT(CoreIsReadOnce, !c_axil_rvalid || (core_q && !write_q && ar_done_q))
  `TMV_ASSERT(HostIsAnsweredOnce, s_axil_bvalid == answer_q && (!answer_q || s_axil_bresp == bresp_q))
  `TMV_ASSERT(HostIsReadOnce, s_axil_rvalid == read_q
      && (!read_q || (s_axil_rdata == rdata_q && s_axil_rresp == rresp_q)))
  `TMV_ASSERT(NothingInReset, !reset_q || (m_axil_awvalid == '0 || c_axil_awvalid))
  // The core waits only while the host has its target.
  `TMV_ASSERT(CoreDoesNotWait, u_switch.owns_q
      || (!c_axil_awvalid || m_axil_awvalid[addr[12]]) && (!c_axil_arvalid || m_axil_arvalid[addr[12]]))

  `TMV_ASSERT(HelpHeld, u_switch.aw_held_q == have_aw_q && u_switch.w_held_q == have_w_q
      && u_switch.ar_held_q == have_ar_q && (!have_aw_q || u_switch.awaddr_q == awaddr_q)
      && (!have_w_q || {u_switch.wdata_q, u_switch.wstrb_q} == {wdata_q, wstrb_q})
      && (!have_ar_q || u_switch.araddr_q == araddr_q))
  `TMV_ASSERT(HelpBusy, !u_switch.busy_q
      || (u_switch.write_q ? have_aw_q && have_w_q && !answer_q : have_ar_q && !read_q))
  `TMV_ASSERT(HelpOwner, !u_switch.owns_q || u_switch.busy_q)
  `TMV_ASSERT(HelpNobody, u_switch.owns_q || !u_switch.busy_q
      || !(u_switch.aw_sent_q || u_switch.w_sent_q || u_switch.ar_sent_q))
  `TMV_ASSERT(HelpOpen, u_switch.c_open_q == core_q && (!core_q || u_switch.c_target_q == {1'b0, addr_q[12]})
      && !u_switch.c_target_q[1])
  `TMV_ASSERT(HelpKind, core_q ? (write_q ? !ar_done_q : !aw_done_q && !w_done_q)
      : !aw_done_q && !w_done_q && !ar_done_q)

  `TMV_COVER(CoreWaitsForHost, core_q && u_switch.c_blocked)
  `TMV_COVER(HostWaitsForCore, u_switch.busy_q && !u_switch.owns_q && c_axil_bvalid)
  `TMV_COVER(BothAtOnce, b[0] && r[2])
  `TMV_COVER(SecondWriteWaits, answer_q && have_aw_q && have_w_q)
endmodule
