`include "tmv_macros.svh"

/// The core's window to the memory of the system: reads and writes of the core's bus become bursts of AXI4.
///
/// A read of a line is one burst, and its words go on to the core as they arrive. A write is a burst of one beat with
/// strobes; the core goes on before its response, and up to `Writes` of them are in flight. A read waits until all
/// writes are complete, because AXI does not order a read after a write. So the core reads what it wrote. `quiet_o`
/// says that all writes are complete: whoever tells another master about them has to wait for it.
///
/// An error of a read is an error of the core's access. An error of a write comes after the core went on; `fault_o`
/// reports it, and an answer that belongs to no burst. No combinational path from AXI to AXI.
module tmv_core_window
  import tmv_axi_pkg::*;
  import tmv_sys_pkg::*;
#(
  /// Width of RDATA and WDATA in bits: 64 or 128.
  parameter int unsigned PortBits = 128,
  /// The most writes in flight, a power of two.
  parameter int unsigned Writes   = 8
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  /// The core's bus.
  input  bus_req_t              req_i,
  input  logic [          31:0] wdata_i,
  output bus_rsp_t              rsp_o,
  /// Bits 39:30 of all addresses on AXI; constant while a burst is in flight.
  input  logic [           9:0] window_i,
  /// No write is in flight.
  output logic                  quiet_o,
  /// A write was answered with an error, or an answer belongs to no burst; for one cycle.
  output logic                  fault_o,
  /// AXI4 read and write channels. The ID is zero, the burst INCR.
  output logic                  m_axi_arvalid,
  input  logic                  m_axi_arready,
  output addr_t                 m_axi_araddr,
  output len_t                  m_axi_arlen,
  input  logic                  m_axi_rvalid,
  output logic                  m_axi_rready,
  input  logic [  PortBits-1:0] m_axi_rdata,
  input  logic [           1:0] m_axi_rresp,
  input  logic                  m_axi_rlast,
  output logic                  m_axi_awvalid,
  input  logic                  m_axi_awready,
  output addr_t                 m_axi_awaddr,
  output len_t                  m_axi_awlen,
  output logic                  m_axi_wvalid,
  input  logic                  m_axi_wready,
  output logic [  PortBits-1:0] m_axi_wdata,
  output logic [PortBits/8-1:0] m_axi_wstrb,
  output logic                  m_axi_wlast,
  input  logic                  m_axi_bvalid,
  output logic                  m_axi_bready,
  input  logic [           1:0] m_axi_bresp
);
  /// Bytes and words of a beat.
  localparam int unsigned PortBytes = PortBits / 8;
  localparam int unsigned BeatWords = PortBits / 32;
  /// Beats of a line.
  localparam int unsigned LineBeats = LineWords / BeatWords;
  localparam int unsigned ByteBits = $clog2(PortBytes);
  localparam int unsigned WordBits = $clog2(BeatWords);
  localparam int unsigned CountBits = $clog2(Writes + 1);

  // Requests. One read at a time, and no write beside it.
  logic reading_q, write_ready, take, take_read, take_write, acked_q;
  /// Writes without their response.
  logic [CountBits-1:0] pending_q;

  assign write_ready = !m_axi_awvalid && !m_axi_wvalid && pending_q != CountBits'(Writes);
  assign rsp_o.ready = !reading_q && (req_i.write ? write_ready : quiet_o);
  assign take        = req_i.valid && rsp_o.ready;
  assign take_read   = take && !req_i.write;
  assign take_write  = take && req_i.write;

  // Reads: the line is kept, because RREADY is always high and the core takes a word a cycle.
  logic [LineWords-1:0][31:0] line_q;
  logic [LineWords-1:0] bad_q;
  /// Words that have arrived, counted from the beginning of the burst; the next word for the core; the last one.
  logic [3:0] arrived_q;
  logic [2:0] word_q, last_q;
  logic word_valid, read_done, beat_last;

  // A beat without a burst: the slave kept it from before a reset, or it is broken. It moves nothing.
  logic beat, stray_beat;

  assign stray_beat = m_axi_rvalid && (!reading_q || m_axi_arvalid || arrived_q > {1'b0, last_q});
  assign beat       = m_axi_rvalid && !stray_beat;
  assign word_valid = reading_q && {1'b0, word_q} < arrived_q;
  assign beat_last  = last_q - arrived_q[2:0] < 3'(BeatWords);
  assign read_done  = word_valid && word_q == last_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      reading_q     <= 1'b0;
      m_axi_arvalid <= 1'b0;
      arrived_q     <= '0;
      acked_q       <= 1'b0;
    end else begin
      if (take_read) reading_q <= 1'b1;
      else if (read_done) reading_q <= 1'b0;
      if (take_read) m_axi_arvalid <= 1'b1;
      else if (m_axi_arready) m_axi_arvalid <= 1'b0;
      if (take_read) arrived_q <= '0;
      else if (beat) arrived_q <= arrived_q + 4'(BeatWords);
      acked_q <= take_write;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take_read) begin
      m_axi_araddr <= {window_i, req_i.addr[29:ByteBits], ByteBits'(0)};
      m_axi_arlen  <= req_i.len == '0 ? '0 : len_t'(LineBeats - 1);
      // A single word lies somewhere in its beat; a line begins with a beat.
      word_q       <= req_i.len == '0 ? 3'(req_i.addr[2+:WordBits]) : '0;
      last_q       <= req_i.len == '0 ? 3'(req_i.addr[2+:WordBits]) : 3'(LineWords - 1);
    end else if (word_valid) begin
      word_q <= word_q + 3'd1;
    end
    if (beat) begin
      for (int unsigned b = 0; b < LineBeats; b++) begin
        if (arrived_q == 4'(b * BeatWords)) begin
          line_q[b*BeatWords+:BeatWords] <= m_axi_rdata;
          bad_q[b*BeatWords+:BeatWords]  <= {BeatWords{m_axi_rresp != RespOkay || m_axi_rlast != beat_last}};
        end
      end
    end
  end

  assign m_axi_rready = 1'b1;
  assign rsp_o.valid  = word_valid || acked_q;
  assign rsp_o.error  = word_valid && bad_q[word_q];
  assign rsp_o.rdata  = line_q[word_q];

  // Writes: address and data leave independently of each other. A response is only one for a write that has left.
  logic answer;

  assign answer = m_axi_bvalid && pending_q > CountBits'(m_axi_awvalid || m_axi_wvalid);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      m_axi_awvalid <= 1'b0;
      m_axi_wvalid  <= 1'b0;
      pending_q     <= '0;
    end else begin
      if (take_write) m_axi_awvalid <= 1'b1;
      else if (m_axi_awready) m_axi_awvalid <= 1'b0;
      if (take_write) m_axi_wvalid <= 1'b1;
      else if (m_axi_wready) m_axi_wvalid <= 1'b0;
      pending_q <= pending_q + CountBits'(take_write) - CountBits'(answer);
    end
  end

  always_ff @(posedge clk_i) begin
    if (take_write) begin
      m_axi_awaddr <= {window_i, req_i.addr[29:ByteBits], ByteBits'(0)};
      m_axi_wdata  <= {BeatWords{wdata_i}};
      m_axi_wstrb  <= PortBytes'(req_i.strb) << {req_i.addr[2+:WordBits], 2'b00};
    end
  end

  assign m_axi_awlen   = '0;
  assign m_axi_wlast   = 1'b1;
  assign m_axi_bready  = 1'b1;
  assign quiet_o       = pending_q == '0;
  assign fault_o       = m_axi_bvalid && (m_axi_bresp != RespOkay || !answer) || stray_beat;

  `TMV_REQUIRE(port_bits, PortBits == 64 || PortBits == 128, "PortBits must be 64 or 128")
  `TMV_REQUIRE(writes, Writes >= 1 && Writes == 1 << $clog2(Writes), "Writes must be a power of two")
  `TMV_ASSERT_IF(ReadsFollowWrites, m_axi_arvalid, quiet_o)
  `TMV_ASSERT(LinesAreAligned, !(req_i.valid && req_i.len != '0 && req_i.addr[4:0] != '0))
  `TMV_ASSERT(LinesAreWhole, !(req_i.valid && !(req_i.len inside {3'd0, 3'(LineWords - 1)})))
  `TMV_COVER(ReadWaitsForWrites, req_i.valid && !req_i.write && !quiet_o)
  `TMV_COVER(WritesAreFull, pending_q == CountBits'(Writes))
  `TMV_COVER(WordsCatchUp, reading_q && arrived_q != '0 && !word_valid)
endmodule
