/// AXI rules at the edge of `tmv_unit`, checked in every simulation. Rules have the names of Arm's checkers.
///
/// ERRM rules bind the unit, ERRS rules bind the other side; for AXI4-Lite the roles are swapped. A read response with
/// an error code or a misplaced RLAST breaks no rule here, because the unit itself reports it. Does not check data.
/// The checker costs little time: it compares payload only while a channel waits and skips idle channels. In a block,
/// checks come before the registers that they read are written: the simulator then needs no copies.
module tmv_axi_checker
  import tmv_axi_pkg::*;
#(
  /// AXI read ports.
  parameter int unsigned Ports = 4,
  /// Bits of a beat.
  parameter int unsigned PortBits = 128
) (
  input logic                               clk_i,
  input logic                               rst_ni,
  /// AXI4-Lite.
  input logic                               s_axil_awvalid,
  input logic                               s_axil_awready,
  input logic                               s_axil_wvalid,
  input logic                               s_axil_wready,
  input logic                               s_axil_bvalid,
  input logic                               s_axil_bready,
  input logic [         1:0]                s_axil_bresp,
  input logic                               s_axil_arvalid,
  input logic                               s_axil_arready,
  input logic                               s_axil_rvalid,
  input logic                               s_axil_rready,
  input logic [        31:0]                s_axil_rdata,
  input logic [         1:0]                s_axil_rresp,
  /// AXI4 read channels.
  input logic [   Ports-1:0]                m_axi_arvalid,
  input logic [   Ports-1:0]                m_axi_arready,
  input logic [   Ports-1:0][AddrBits-1:0]  m_axi_araddr,
  input logic [   Ports-1:0][         7:0]  m_axi_arlen,
  input logic [   Ports-1:0]                m_axi_arid,
  input logic [   Ports-1:0]                m_axi_rvalid,
  input logic [   Ports-1:0]                m_axi_rready,
  input logic [   Ports-1:0][         1:0]  m_axi_rresp,
  /// AXI4 write channels.
  input logic                               m_axi_awvalid,
  input logic                               m_axi_awready,
  input logic [AddrBits-1:0]                m_axi_awaddr,
  input logic [         7:0]                m_axi_awlen,
  input logic                               m_axi_wvalid,
  input logic                               m_axi_wready,
  input logic [PortBits-1:0]                m_axi_wdata,
  input logic                               m_axi_wlast,
  input logic                               m_axi_bvalid,
  input logic                               m_axi_bready,
  input logic [         1:0]                m_axi_bresp
);
  localparam int unsigned PortBytes = PortBits / 8;

  /// Whether a burst stays within 4 KiB.
  function automatic logic within_4k(logic [11:0] addr, logic [7:0] len);
    return 32'(addr) + (32'(len) + 1) * PortBytes <= 32'd4096;
  endfunction

  /// Reset was active in the cycle before.
  logic reset_q;

  always @(posedge clk_i) begin
    reset_q <= !rst_ni;
    if (rst_ni) begin
      if (reset_q) begin
        if (!(m_axi_arvalid == '0 && !m_axi_awvalid && !m_axi_wvalid))
          $error("AXI_ERRM_VALID_RESET: a VALID is high in the first cycle after reset");
        if (!(!s_axil_bvalid && !s_axil_rvalid))
          $error("AXI4LITE_ERRS_VALID_RESET: a VALID is high in the first cycle after reset");
      end
      if (!(&m_axi_rready && m_axi_bready))
        $error("TMV_READY_HIGH: RREADY or BREADY is low");
    end
  end

  // Read channels.
  for (genvar p = 0; p < int'(Ports); p++) begin : gen_port
    logic waiting_q, id_q;
    addr_t addr_q;
    logic [7:0] len_q;
    /// Beats requested and not yet received.
    logic [11:0] owed_q;

    always @(posedge clk_i) begin
      if (!rst_ni) begin
        waiting_q <= 1'b0;
        owed_q    <= '0;
      end else begin
        if (m_axi_arvalid[p]) begin
          if (waiting_q) begin
            if (!(m_axi_araddr[p] == addr_q && m_axi_arlen[p] == len_q && m_axi_arid[p] == id_q))
              $error("AXI_ERRM_AR_STABLE: port %0d changed its address before ARREADY", p);
          end else begin
            addr_q <= m_axi_araddr[p];
            len_q  <= m_axi_arlen[p];
            id_q   <= m_axi_arid[p];
            if (!(m_axi_arlen[p] < 8'(BurstBeats)))
              $error("AXI_ERRM_ARLEN_AXI3: port %0d asks for more than 16 beats", p);
            if (!(within_4k(m_axi_araddr[p][11:0], m_axi_arlen[p])))
              $error("AXI_ERRM_ARADDR_BOUNDARY: port %0d crosses 4 KiB", p);
            if (!(m_axi_araddr[p] % AddrBits'(PortBytes) == '0))
              $error("AXI_ERRM_ARADDR_ALIGN: port %0d asks for an unaligned address", p);
          end
        end else begin
          if (!(!waiting_q))
            $error("AXI_ERRM_ARVALID_STABLE: ARVALID of port %0d fell before ARREADY", p);
        end
        if (m_axi_rvalid[p]) begin
          if (!(owed_q != '0))
            $error("AXI_ERRS_RVALID_UNASKED: port %0d got a beat it did not ask for", p);
          if (!(m_axi_rresp[p] != RespExOkay))
            $error("AXI_ERRS_RRESP_EXOKAY: port %0d got EXOKAY", p);
        end
        waiting_q <= m_axi_arvalid[p] && !m_axi_arready[p];
        owed_q <= owed_q - 12'(m_axi_rvalid[p])
            + ((m_axi_arvalid[p] && m_axi_arready[p]) ? 12'(m_axi_arlen[p]) + 12'd1 : '0);
      end
    end
  end

  // Write channels. Four counters of bursts, modulo 32: address shown, address taken, last beat taken, answered.
  logic aw_waiting_q, w_waiting_q, w_last_q;
  addr_t aw_addr_q;
  logic [7:0] aw_len_q;
  logic [PortBits-1:0] w_data_q;
  logic [7:0] lengths[32];
  logic [4:0] announced_q, accepted_q, filled_q, answered_q;
  logic [7:0] beat_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      {aw_waiting_q, w_waiting_q} <= '0;
      {announced_q, accepted_q, filled_q, answered_q} <= '0;
      beat_q <= '0;
    end else if (m_axi_awvalid || m_axi_wvalid || m_axi_bvalid || aw_waiting_q || w_waiting_q) begin
      automatic logic announce = m_axi_awvalid && !aw_waiting_q;
      if (announce) begin
        if (!(m_axi_awlen < 8'(BurstBeats)))
          $error("AXI_ERRM_AWLEN_AXI3: more than 16 beats");
        if (!(within_4k(m_axi_awaddr[11:0], m_axi_awlen)))
          $error("AXI_ERRM_AWADDR_BOUNDARY: crosses 4 KiB");
        if (!(m_axi_awaddr % AddrBits'(PortBytes) == '0))
          $error("AXI_ERRM_AWADDR_ALIGN: unaligned address");
      end
      if (aw_waiting_q) begin
        if (!(m_axi_awvalid))
          $error("AXI_ERRM_AWVALID_STABLE: AWVALID fell before AWREADY");
        if (!(m_axi_awaddr == aw_addr_q && m_axi_awlen == aw_len_q))
          $error("AXI_ERRM_AW_STABLE: the address changed before AWREADY");
      end
      if (w_waiting_q) begin
        if (!(m_axi_wvalid))
          $error("AXI_ERRM_WVALID_STABLE: WVALID fell before WREADY");
        if (!(m_axi_wdata == w_data_q && m_axi_wlast == w_last_q))
          $error("AXI_ERRM_W_STABLE: the data changed before WREADY");
      end
      if (m_axi_wvalid) begin
        // The unit shows the address of a burst not later than its first beat.
        if (!(announced_q != filled_q || announce))
          $error("TMV_W_ANNOUNCED: data without an address");
        if (!(m_axi_wlast == (beat_q == ((announced_q != filled_q) ? lengths[filled_q] : m_axi_awlen))))
          $error("AXI_ERRM_WLAST: WLAST is misplaced");
        w_data_q <= m_axi_wdata;
        w_last_q <= m_axi_wlast;
        if (m_axi_wready) beat_q <= m_axi_wlast ? '0 : beat_q + 1'b1;
      end
      if (m_axi_bvalid) begin
        if (!(answered_q != accepted_q && answered_q != filled_q))
          $error("AXI_ERRS_BVALID_UNASKED: a response to no write");
        if (!(m_axi_bresp != RespExOkay))
          $error("AXI_ERRS_BRESP_EXOKAY: EXOKAY");
      end
      if (announce) begin
        aw_addr_q            <= m_axi_awaddr;
        aw_len_q             <= m_axi_awlen;
        lengths[announced_q] <= m_axi_awlen;
      end
      aw_waiting_q <= m_axi_awvalid && !m_axi_awready;
      w_waiting_q  <= m_axi_wvalid && !m_axi_wready;
      announced_q  <= announced_q + 5'(announce);
      accepted_q   <= accepted_q + 5'(m_axi_awvalid && m_axi_awready);
      filled_q     <= filled_q + 5'(m_axi_wvalid && m_axi_wready && m_axi_wlast);
      answered_q   <= answered_q + 5'(m_axi_bvalid);
    end
  end

  // AXI4-Lite: requests that were taken and not yet answered, and answers that wait.
  logic b_waiting_q, r_waiting_q;
  logic [1:0] b_resp_q, r_resp_q, aw_open_q, w_open_q, ar_open_q;
  logic [31:0] r_data_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      {b_waiting_q, r_waiting_q} <= '0;
      {aw_open_q, w_open_q, ar_open_q} <= '0;
    end else if (s_axil_awvalid || s_axil_wvalid || s_axil_bvalid || b_waiting_q) begin
      if (!(!s_axil_bvalid || (aw_open_q != '0 && w_open_q != '0)))
        $error("AXI4LITE_ERRS_BVALID_UNASKED: a response to no write");
      if (!(!b_waiting_q || (s_axil_bvalid && s_axil_bresp == b_resp_q)))
        $error("AXI4LITE_ERRS_B_STABLE: the response changed before BREADY");
      b_waiting_q <= s_axil_bvalid && !s_axil_bready;
      b_resp_q    <= s_axil_bresp;
      aw_open_q   <= aw_open_q + 2'(s_axil_awvalid && s_axil_awready) - 2'(s_axil_bvalid && s_axil_bready);
      w_open_q    <= w_open_q + 2'(s_axil_wvalid && s_axil_wready) - 2'(s_axil_bvalid && s_axil_bready);
    end
    if (rst_ni && (s_axil_arvalid || s_axil_rvalid || r_waiting_q)) begin
      if (!(!s_axil_rvalid || ar_open_q != '0))
        $error("AXI4LITE_ERRS_RVALID_UNASKED: an answer to no read");
      if (!(!r_waiting_q || (s_axil_rvalid && s_axil_rresp == r_resp_q && s_axil_rdata == r_data_q)))
        $error("AXI4LITE_ERRS_R_STABLE: the answer changed before RREADY");
      r_waiting_q <= s_axil_rvalid && !s_axil_rready;
      r_resp_q    <= s_axil_rresp;
      r_data_q    <= s_axil_rdata;
      ar_open_q   <= ar_open_q + 2'(s_axil_arvalid && s_axil_arready) - 2'(s_axil_rvalid && s_axil_rready);
    end
  end
endmodule

bind tmv_unit tmv_axi_checker #(
  .Ports   (Ports),
  .PortBits(PortBits)
) u_axi_checker (
  .*
);
