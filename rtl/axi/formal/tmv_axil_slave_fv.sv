`include "tmv_formal.svh"

/// `tmv_axil_slave` keeps the rules of AXI4-Lite, and turns each access into one access to the register file.
///
/// A model keeps the last address and data that were accepted, and the answers that are owed. Unbounded.
module tmv_axil_slave_fv
  import tmv_axi_pkg::*;
(
  input logic        clk_i,
  input logic        s_axil_awvalid,
  input logic [11:0] s_axil_awaddr,
  input logic        s_axil_wvalid,
  input logic [31:0] s_axil_wdata,
  input logic [ 3:0] s_axil_wstrb,
  input logic        s_axil_bready,
  input logic        s_axil_arvalid,
  input logic [11:0] s_axil_araddr,
  input logic        s_axil_rready,
  /// Answer of the register file.
  input logic [31:0] read_data_i
);
  `TMV_FORMAL_RESET

  logic s_axil_awready, s_axil_wready, s_axil_bvalid, s_axil_arready, s_axil_rvalid;
  logic [1:0] s_axil_bresp, s_axil_rresp;
  logic [31:0] s_axil_rdata, write_data;
  logic [11:0] write_addr, read_addr;
  logic write, write_full, read;

  tmv_axil_slave u_slave (
    .clk_i,
    .rst_ni,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_awaddr,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_bresp,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_araddr,
    .s_axil_rvalid,
    .s_axil_rready,
    .s_axil_rdata,
    .s_axil_rresp,
    .write_o     (write),
    .write_full_o(write_full),
    .write_addr_o(write_addr),
    .write_data_o(write_data),
    .read_o      (read),
    .read_addr_o (read_addr),
    .read_data_i
  );

  logic aw, w, b, ar, r;

  assign aw = s_axil_awvalid && s_axil_awready;
  assign w  = s_axil_wvalid && s_axil_wready;
  assign b  = s_axil_bvalid && s_axil_bready;
  assign ar = s_axil_arvalid && s_axil_arready;
  assign r  = s_axil_rvalid && s_axil_rready;

  // Writes. The slave holds address, data or both until it performs the write; then it owes an answer.
  logic have_aw_q, have_w_q, answer_q, perform;
  logic [11:0] awaddr_q;
  logic [31:0] wdata_q;
  logic [3:0] wstrb_q;

  assign perform = have_aw_q && have_w_q && !answer_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      have_aw_q <= 1'b0;
      have_w_q  <= 1'b0;
      answer_q  <= 1'b0;
    end else begin
      have_aw_q <= aw || (have_aw_q && !perform);
      have_w_q  <= w || (have_w_q && !perform);
      answer_q  <= perform || (answer_q && !b);
    end
    if (aw) awaddr_q <= s_axil_awaddr;
    if (w) {wdata_q, wstrb_q} <= {s_axil_wdata, s_axil_wstrb};
  end

  // A second address or word would overwrite one that waits.
  `TMV_ASSERT(OneAddressAtATime, !(aw && have_aw_q))
  `TMV_ASSERT(OneWordAtATime, !(w && have_w_q))
  `TMV_ASSERT(WriteOnce, write == perform)
  `TMV_ASSERT(WriteWhat, !write
      || (write_addr == awaddr_q && write_data == wdata_q && write_full == (wstrb_q == '1)))
  `TMV_ASSERT(AnswerOwed, s_axil_bvalid == answer_q)
  `TMV_ASSERT(NeverAnError, s_axil_bresp == RespOkay && s_axil_rresp == RespOkay)
  `TMV_ASSERT(WriteNeverBlocked, have_aw_q || s_axil_awready)
  `TMV_ASSERT(WordNeverBlocked, have_w_q || s_axil_wready)

  // Reads: the slave asks the register file a cycle after the address. The answer comes within two cycles and stays.
  logic asked_q, asked2_q, waiting_q, reset_q;
  logic [1:0] age_q;
  logic [11:0] araddr_q;
  logic [31:0] data_q;

  always_ff @(posedge clk_i) begin
    reset_q <= !rst_ni;
    if (!rst_ni) begin
      waiting_q <= 1'b0;
      asked_q   <= 1'b0;
      asked2_q  <= 1'b0;
    end else begin
      waiting_q <= ar || (waiting_q && !r);
      asked_q   <= read;
      asked2_q  <= asked_q;
    end
    if (ar) araddr_q <= s_axil_araddr;
    // Cycles since the address was taken, up to three.
    age_q <= ar ? '0 : age_q + 2'(age_q != '1);
    data_q <= read_data_i;
  end

  `TMV_ASSUME(AnswerStays, reset_q || asked_q || asked2_q || read_data_i == data_q)

  `TMV_ASSERT(OneReadAtATime, !(ar && waiting_q))
  `TMV_ASSERT(ReadOnce, read == (waiting_q && age_q == 2'd0))
  `TMV_ASSERT(ReadWhat, !read || read_addr == araddr_q)
  `TMV_ASSERT(ReadLatency, s_axil_rvalid == (waiting_q && age_q >= 2'd2))
  `TMV_ASSERT(ReadNeverBlocked, waiting_q || s_axil_arready)
  `TMV_ASSERT(ReadAnswer, !s_axil_rvalid || s_axil_rdata == read_data_i)

  // An answer that waits does not change.
  logic b_stalled_q, r_stalled_q;
  logic [31:0] rdata_q;

  always_ff @(posedge clk_i) begin
    b_stalled_q <= rst_ni && s_axil_bvalid && !s_axil_bready;
    r_stalled_q <= rst_ni && s_axil_rvalid && !s_axil_rready;
    rdata_q     <= s_axil_rdata;
  end

  `TMV_ASSERT(AXI4LITE_ERRS_BVALID_STABLE, !b_stalled_q || s_axil_bvalid)
  `TMV_ASSERT(AXI4LITE_ERRS_RDATA_STABLE, !r_stalled_q || (s_axil_rvalid && s_axil_rdata == rdata_q))
  `TMV_ASSERT(AXI4LITE_ERRS_VALID_RESET, !reset_q || (!s_axil_bvalid && !s_axil_rvalid))

  // Helpers for the induction: the model's state is the slave's.
  `TMV_ASSERT(HelpWrite, have_aw_q == u_slave.aw_held_q && have_w_q == u_slave.w_held_q
      && (!have_aw_q || write_addr == awaddr_q)
      && (!have_w_q || (write_data == wdata_q && write_full == (wstrb_q == '1))))
  `TMV_ASSERT(HelpRead, u_slave.read_q == (waiting_q && age_q == 2'd1) && asked_q == u_slave.read_q)

  `TMV_COVER(PartialWriteWhileReading, b && wstrb_q != '1 && r && rdata_q != '0)
  `TMV_COVER(SecondWriteWaits, have_aw_q && have_w_q && b_stalled_q)
endmodule
