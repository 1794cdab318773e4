`include "tmv_macros.svh"

/// Vector unit: floats in the order of golden, bit for bit. Programs of passes over vectors in a scratchpad, with streams
/// from and to memory.
///
/// One clock. No combinational path from an input to an output. RREADY and BREADY are always high, because room is
/// reserved before a burst is requested. Registers, descriptor and errors: `docs/vector-registers.md`.
module tmv_vec_unit
  import tmv_axi_pkg::*;
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
  import tmv_vec_reg_pkg::*;
#(
  /// Lanes: 8, 16 or 32.
  parameter int unsigned Lanes = 32,
  /// AXI read ports, 1 or 2.
  parameter int unsigned Ports = 1,
  /// Bits of a beat: 64 or 128, at most 8 for each lane.
  parameter int unsigned PortBits = 128,
  /// Words of the scratchpad, a power of two, at most 65,536 singles.
  parameter int unsigned Words = 1024,
  /// Accumulators of a lane, a power of two.
  parameter int unsigned Accs = 64,
  /// Bursts in flight of each stream, a power of two, at least 2.
  parameter int unsigned Outstanding = 8
) (
  input  logic                clk_i,
  /// Synchronous, active low.
  input  logic                rst_ni,
  /// Level; high while an enabled source is pending.
  output logic                irq_o,
  /// Descriptors are queued or in flight.
  output logic                busy_o,
  /// An instruction is complete, for a cycle: for measurements in simulation.
  output logic                instr_done_o,
  /// Wires to another unit, high for a cycle. `tell_o`: all that instructions before one with TELL store is in memory.
  /// `told_i`: one instruction with AFTER may go on.
  output logic                tell_o,
  input  logic                told_i,
  /// An instruction waits for the other unit, and nothing else is left to do: for a simulation that then need not clock.
  output logic                waits_o,
  /// AXI4-Lite control.
  input  logic                s_axil_awvalid,
  output logic                s_axil_awready,
  input  logic [        11:0] s_axil_awaddr,
  input  logic                s_axil_wvalid,
  output logic                s_axil_wready,
  input  logic [        31:0] s_axil_wdata,
  input  logic [         3:0] s_axil_wstrb,
  output logic                s_axil_bvalid,
  input  logic                s_axil_bready,
  output logic [         1:0] s_axil_bresp,
  input  logic                s_axil_arvalid,
  output logic                s_axil_arready,
  input  logic [        11:0] s_axil_araddr,
  output logic                s_axil_rvalid,
  input  logic                s_axil_rready,
  output logic [        31:0] s_axil_rdata,
  output logic [         1:0] s_axil_rresp,
  /// AXI4 read channels, an element for each port. Bursts: INCR, full width, at most 16 beats. Streams have ID 0;
  /// descriptors and programs come through port 0 with ID 1.
  output logic [Ports-1:0]               m_axi_arvalid,
  input  logic [Ports-1:0]               m_axi_arready,
  output logic [Ports-1:0][AddrBits-1:0] m_axi_araddr,
  output logic [Ports-1:0][         7:0] m_axi_arlen,
  output logic [Ports-1:0]               m_axi_arid,
  input  logic [Ports-1:0]               m_axi_rvalid,
  output logic [Ports-1:0]               m_axi_rready,
  input  logic [Ports-1:0][PortBits-1:0] m_axi_rdata,
  input  logic [Ports-1:0][         1:0] m_axi_rresp,
  input  logic [Ports-1:0]               m_axi_rlast,
  input  logic [Ports-1:0]               m_axi_rid,
  /// AXI4 write channels of port 0; all strobes are set.
  output logic                m_axi_awvalid,
  input  logic                m_axi_awready,
  output addr_t               m_axi_awaddr,
  output len_t                m_axi_awlen,
  output logic                m_axi_wvalid,
  input  logic                m_axi_wready,
  output logic [PortBits-1:0] m_axi_wdata,
  output logic                m_axi_wlast,
  input  logic                m_axi_bvalid,
  output logic                m_axi_bready,
  input  logic [         1:0] m_axi_bresp
);
  localparam int unsigned RingWords = 32;
  localparam int unsigned RingBits = $clog2(RingWords);
  localparam int unsigned TableBits = $clog2(Outstanding);
  localparam int unsigned Events = 6;

  logic core_rst_n, halt, quiet, busy, progress;
  logic [31:0] cycle;

  // Control.
  logic csr_write, csr_write_full, csr_read;
  logic [11:0] csr_write_addr, csr_read_addr;
  logic [31:0] csr_write_data, csr_read_data;
  logic soft_reset, abort, restart, draining, error, error_event, done_irq, doorbell_fault, done;
  logic [31:0] watchdog;
  logic [7:0] error_code;
  logic [3:0] error_source, ring_log2;
  addr_t error_addr, ring_base;
  logic [15:0] ring_tail, doorbell;
  logic count_clear, count_read;
  logic [2:0] count_index;
  logic [31:0] count[1];
  logic [TableBits:0] frontend_bursts, write_bursts;
  logic [Ports-1:0][TableBits:0] load_bursts;
  logic [7:0] read_bursts;
  logic frontend_quiet, load_quiet, write_quiet;

  assign m_axi_rready = '1;
  assign m_axi_bready = 1'b1;
  assign quiet        = frontend_quiet && load_quiet && write_quiet;

  tmv_axil_slave u_axil (
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
    .write_o     (csr_write),
    .write_full_o(csr_write_full),
    .write_addr_o(csr_write_addr),
    .write_data_o(csr_write_data),
    .read_o      (csr_read),
    .read_addr_o (csr_read_addr),
    .read_data_i (csr_read_data)
  );

  tmv_csr #(
    .Id(IdValue),
    .Version(MapVersion),
    .Hash(MapHash),
    .Param0((Lanes << Param0LanesLsb) | ((PortBits / 8) << Param0PortBytesLsb) | (Ports << Param0PortsLsb)),
    .Param1((Words << Param1WordsLsb) | (Accs << Param1AccsLsb) | (RingWords << Param1StreamWordsLsb)),
    .WatchdogReset(WatchdogReset),
    .Ports(1),
    .Events(Events)
  ) u_csr (
    .clk_i,
    .rst_ni,
    .write_i         (csr_write),
    .write_full_i    (csr_write_full),
    .write_addr_i    (csr_write_addr),
    .write_data_i    (csr_write_data),
    .read_i          (csr_read),
    .read_addr_i     (csr_read_addr),
    .read_data_o     (csr_read_data),
    .soft_reset_o    (soft_reset),
    .abort_o         (abort),
    .watchdog_o      (watchdog),
    .restart_i       (restart),
    .busy_o          (busy),
    .draining_i      (draining),
    .error_i         (error),
    .error_event_i   (error_event),
    .code_i          (error_code),
    .source_i        (error_source),
    .addr_i          (error_addr),
    .read_bursts_i   (read_bursts),
    .write_bursts_i  (8'(write_bursts)),
    .ring_base_o     (ring_base),
    .ring_log2_o     (ring_log2),
    .ring_tail_o     (ring_tail),
    .ring_late_o     (),
    .done_i          (done),
    .doorbell_fault_o(doorbell_fault),
    .doorbell_o      (doorbell),
    .cycle_o         (cycle),
    .done_irq_i      (done_irq),
    .irq_o,
    .count_clear_o   (count_clear),
    .count_read_o    (count_read),
    .count_index_o   (count_index),
    .count_i         (count)
  );

  always_comb begin
    read_bursts = 8'(frontend_bursts);
    for (int unsigned p = 0; p < Ports; p++) read_bursts += 8'(load_bursts[p]);
  end

  // Errors of loader and engine are held, so that control compares errors of the same cycle.
  fault_t port_fault[2], frontend_fault, frontend_item_fault, writer_fault;
  bus_fault_t frontend_stream_fault, write_fault;
  bus_fault_t [Ports-1:0] load_fault;
  addr_t instr_addr;
  logic wrong, bad, not_finite;

  always_ff @(posedge clk_i) begin
    for (int p = int'(Ports) - 1; p >= 0; p--) if (load_fault[p].valid) port_fault[0] <= fault_t'(load_fault[p]);
    if (!port_fault[1].valid && (bad || wrong || not_finite)) begin
      port_fault[1] <= '{valid: 1'b1, code: not_finite ? ErrNotFinite : ErrBadInstruction, addr: instr_addr};
    end
    frontend_fault <= frontend_stream_fault.valid ? fault_t'(frontend_stream_fault) : frontend_item_fault;
    if (!core_rst_n) begin
      port_fault[0].valid  <= 1'b0;
      port_fault[1].valid  <= 1'b0;
      frontend_fault.valid <= 1'b0;
    end
  end

  assign writer_fault = fault_t'(write_fault);

  tmv_control #(
    .Ports(2)
  ) u_control (
    .clk_i,
    .rst_ni,
    .port_fault_i    (port_fault),
    .frontend_fault_i(frontend_fault),
    .writer_fault_i  (writer_fault),
    .doorbell_fault_i(doorbell_fault),
    .doorbell_i      (doorbell),
    .soft_reset_i    (soft_reset),
    .abort_i         (abort),
    .watchdog_i      (watchdog),
    .busy_i          (busy),
    .progress_i      (progress || waits_o),
    .quiet_i         (quiet),
    .halt_o          (halt),
    .core_rst_no     (core_rst_n),
    .restart_o       (restart),
    .draining_o      (draining),
    .error_o         (error),
    .error_event_o   (error_event),
    .code_o          (error_code),
    .source_o        (error_source),
    .addr_o          (error_addr)
  );

  // Port 0 has two streams: one of the loader (`l_`), and that of the front end (`f_`).
  logic f_ar_valid, f_ar_ready, f_ar_held, f_r_valid;
  logic [Ports-1:0] l_ar_valid, l_ar_ready, l_ar_held, l_r_valid;
  ar_t f_ar;
  ar_t [Ports-1:0] l_ar, ar;
  r_t [Ports-1:0] r;
  aw_t aw;

  assign m_axi_awaddr = aw.addr;
  assign m_axi_awlen  = aw.len;

  for (genvar p = 0; p < int'(Ports); p++) begin : gen_port
    assign m_axi_araddr[p] = ar[p].addr;
    assign m_axi_arlen[p]  = ar[p].len;
    assign m_axi_arid[p]   = ar[p].id;
    assign r[p] = '{resp: resp_e'(m_axi_rresp[p]), last: m_axi_rlast[p], id: m_axi_rid[p]};

    if (p == 0) begin : gen_mux
      tmv_read_mux u_read_mux (
        .clk_i,
        .rst_ni,
        .ar_valid_i({f_ar_valid, l_ar_valid[p]}),
        .ar_ready_o({f_ar_ready, l_ar_ready[p]}),
        .ar_i      ({f_ar, l_ar[p]}),
        .ar_held_o ({f_ar_held, l_ar_held[p]}),
        .r_valid_o ({f_r_valid, l_r_valid[p]}),
        .ar_valid_o(m_axi_arvalid[p]),
        .ar_ready_i(m_axi_arready[p]),
        .ar_o      (ar[p]),
        .r_valid_i (m_axi_rvalid[p]),
        .r_id_i    (r[p].id)
      );
    end else begin : gen_direct
      assign m_axi_arvalid[p] = l_ar_valid[p];
      assign l_ar_ready[p]    = m_axi_arready[p];
      assign l_ar_held[p]     = 1'b0;
      assign ar[p]            = l_ar[p];
      assign l_r_valid[p]     = m_axi_rvalid[p];
    end
  end

  logic cmd_valid, cmd_ready, beat_valid, beat_ready;
  addr_t cmd_addr;
  beats_t cmd_beats;
  logic [PortBits-1:0] beat;

  tmv_read_stream #(
    .PortBits(PortBits),
    .FifoBeats(64),
    .Outstanding(Outstanding),
    .Id(1'b1)
  ) u_frontend_stream (
    .clk_i,
    .rst_ni      (core_rst_n),
    .halt_i      (halt),
    .inflight_o  (frontend_bursts),
    .quiet_o     (frontend_quiet),
    .cmd_valid_i (cmd_valid),
    .cmd_ready_o (cmd_ready),
    .cmd_addr_i  (cmd_addr),
    .cmd_beats_i (cmd_beats),
    .ar_valid_o  (f_ar_valid),
    .ar_ready_i  (f_ar_ready),
    .ar_held_i   (f_ar_held),
    .ar_o        (f_ar),
    .r_valid_i   (f_r_valid),
    .r_data_i    (m_axi_rdata[0]),
    .r_i         (r[0]),
    .r_taken_o   (),
    .r_illegal_i (1'b0),
    .beat_valid_o(beat_valid),
    .beat_ready_i(beat_ready),
    .beat_o      (beat),
    .fault_o     (frontend_stream_fault)
  );

  logic deal, deal_ready, load_valid, load_ready, store_range_valid, store_range_ready, store_idle, record, record_done;
  logic instr_valid, instr_ready, instr_done, pass_done, tell, waits;
  instr_t dealt, instr;
  range_t range;
  addr_t record_addr;
  logic [127:0] record_data;

  tmv_vec_frontend #(
    .Lanes(Lanes),
    .PortBits(PortBits),
    .RingWords(RingWords)
  ) u_frontend (
    .clk_i,
    .rst_ni       (core_rst_n),
    .halt_i       (halt),
    .ring_base_i  (ring_base),
    .ring_log2_i  (ring_log2),
    .ring_tail_i  (ring_tail),
    .cycle_i      (cycle),
    .cmd_valid_o  (cmd_valid),
    .cmd_ready_i  (cmd_ready),
    .cmd_addr_o   (cmd_addr),
    .cmd_beats_o  (cmd_beats),
    .beat_valid_i (beat_valid),
    .beat_ready_o (beat_ready),
    .beat_i       (beat),
    .told_i,
    .tell_o       (tell),
    .waits_o      (waits),
    .instr_valid_o(deal),
    .instr_ready_i(deal_ready),
    .instr_o      (dealt),
    .instr_done_i (instr_done),
    .load_valid_o (load_valid),
    .load_ready_i (load_ready),
    .store_valid_o(store_range_valid),
    .store_ready_i(store_range_ready),
    .range_o      (range),
    .store_idle_i (store_idle),
    .record_o     (record),
    .record_addr_o(record_addr),
    .record_data_o(record_data),
    .record_done_i(record_done),
    .done_o       (done),
    .done_irq_o   (done_irq),
    .instr_addr_o (instr_addr),
    .fault_o      (frontend_item_fault)
  );

  tmv_fifo #(
    .Width($bits(instr_t)),
    .Depth(8)
  ) u_instr_queue (
    .clk_i,
    .rst_ni  (core_rst_n),
    .wvalid_i(deal),
    .wready_o(deal_ready),
    .wdata_i (dealt),
    .rvalid_o(instr_valid),
    .rready_i(instr_ready),
    .rdata_o (instr)
  );

  logic [RingBits:0] stream_count, stream_take_words;
  logic stream_read, stream_take;
  logic [Ports-1:0] load_taken;
  logic [RingBits-1:0] stream_offset;
  f32_t [Ports-1:0][Lanes-1:0] stream_words;
  logic [((Ports > 1) ? $clog2(Ports) : 1)-1:0] stream_bank;
  f32_t [Lanes-1:0] store_word;
  logic store_room, store_packing, store_valid, store_last, issue, stall_stream, stall_store;
  to_e store_to;

  tmv_vec_loader #(
    .Lanes(Lanes),
    .PortBits(PortBits),
    .Ports(Ports),
    .RingWords(RingWords),
    .Outstanding(Outstanding)
  ) u_loader (
    .clk_i,
    .rst_ni       (core_rst_n),
    .halt_i       (halt),
    .inflight_o   (load_bursts),
    .quiet_o      (load_quiet),
    .range_valid_i(load_valid),
    .range_ready_o(load_ready),
    .range_i      (range),
    .ar_valid_o   (l_ar_valid),
    .ar_ready_i   (l_ar_ready),
    .ar_held_i    (l_ar_held),
    .ar_o         (l_ar),
    .r_valid_i    (l_r_valid),
    .r_data_i     (m_axi_rdata),
    .r_i          (r),
    .r_taken_o    (load_taken),
    .count_o      (stream_count),
    .read_i       (stream_read),
    .offset_i     (stream_offset),
    .words_o      (stream_words),
    .bank_o       (stream_bank),
    .take_i       (stream_take),
    .take_words_i (stream_take_words),
    .fault_o      (load_fault)
  );

  tmv_vec_engine #(
    .Lanes(Lanes),
    .PortBits(PortBits),
    .Words(Words),
    .Accs(Accs),
    .RingWords(RingWords),
    .Ports(Ports)
  ) u_engine (
    .clk_i,
    .rst_ni             (core_rst_n),
    .valid_i            (instr_valid),
    .ready_o            (instr_ready),
    .instr_i            (instr),
    .done_o             (pass_done),
    .issue_o            (issue),
    .stall_stream_o     (stall_stream),
    .stall_store_o      (stall_store),
    .stream_count_i     (stream_count),
    .stream_read_o      (stream_read),
    .stream_offset_o    (stream_offset),
    .stream_words_i     (stream_words),
    .stream_bank_i      (stream_bank),
    .stream_take_o      (stream_take),
    .stream_take_words_o(stream_take_words),
    .store_room_i       (store_room),
    .store_packing_i    (store_packing),
    .store_valid_o      (store_valid),
    .store_to_o         (store_to),
    .store_last_o       (store_last),
    .store_word_o       (store_word),
    .bad_o              (bad),
    .not_finite_o       (not_finite)
  );

  tmv_vec_storer #(
    .Lanes(Lanes),
    .PortBits(PortBits),
    .Outstanding(Outstanding)
  ) u_storer (
    .clk_i,
    .rst_ni       (core_rst_n),
    .halt_i       (halt),
    .inflight_o   (write_bursts),
    .quiet_o      (write_quiet),
    .range_valid_i(store_range_valid),
    .range_ready_o(store_range_ready),
    .range_i      (range),
    .room_o       (store_room),
    .packing_o    (store_packing),
    .valid_i      (store_valid),
    .to_i         (store_to),
    .last_i       (store_last),
    .word_i       (store_word),
    .wrong_o      (wrong),
    .record_i     (record),
    .record_addr_i(record_addr),
    .record_data_i(record_data),
    .record_done_o(record_done),
    .idle_o       (store_idle),
    .aw_valid_o   (m_axi_awvalid),
    .aw_ready_i   (m_axi_awready),
    .aw_o         (aw),
    .w_valid_o    (m_axi_wvalid),
    .w_ready_i    (m_axi_wready),
    .w_data_o     (m_axi_wdata),
    .w_last_o     (m_axi_wlast),
    .b_valid_i    (m_axi_bvalid),
    .b_resp_i     (resp_e'(m_axi_bresp)),
    .fault_o      (write_fault)
  );

  assign progress = (|(m_axi_arvalid & m_axi_arready)) || (|m_axi_rvalid) || issue || instr_done
      || (m_axi_awvalid && m_axi_awready) || (m_axi_wvalid && m_axi_wready) || m_axi_bvalid;

  // It is the other unit that is waited for, unless the memory owes something.
  assign waits_o = waits && quiet;

  always_ff @(posedge clk_i) tell_o <= rst_ni && tell;

  assign busy_o       = busy;
  // A pass that fails is not complete.
  assign instr_done   = pass_done && !(bad || wrong || not_finite || port_fault[1].valid);
  assign instr_done_o = instr_done;

  // Counters, in the order of the register map.
  logic [Events-1:0][1:0] event_now;
  logic [Events-1:0][31:0] count_q;
  logic [1:0] beats_now;

  always_comb begin
    beats_now = '0;
    for (int unsigned p = 0; p < Ports; p++) beats_now += 2'(load_taken[p]);
  end

  assign event_now = {
    2'(m_axi_wvalid && m_axi_wready), beats_now, 2'(instr_done), 2'(stall_store), 2'(stall_stream), 2'(issue)
  };

  always_ff @(posedge clk_i) begin
    for (int unsigned e = 0; e < Events; e++) begin
      if (count_clear) count_q[e] <= '0;
      else count_q[e] <= count_q[e] + 32'(event_now[e]);
    end
    if (count_read) for (int unsigned e = 0; e < Events; e++) if (count_index == 3'(e)) count[0] <= count_q[e];
  end

  `TMV_REQUIRE(fields, Lanes < 64 && PortBits / 8 < 32 && Words < (1 << 16) && Accs < 256 && RingWords < 256,
               "tmv_vec_unit: a parameter does not fit its field of PARAM0 or PARAM1")
  `TMV_REQUIRE(sizes, DescBytes == InstrBytes && $bits(instr_t) == 8 * InstrBytes,
               "tmv_vec_unit: the register map asks for sizes that this RTL is not written for")
  // Faults of the bus become faults of the unit by a cast.
  `TMV_REQUIRE(codes, $bits(bus_fault_t) == $bits(fault_t)
      && 8'(BusReadSlverr) == 8'(ErrReadSlverr) && 8'(BusReadDecerr) == 8'(ErrReadDecerr)
      && 8'(BusReadLast) == 8'(ErrReadLast) && 8'(BusStray) == 8'(ErrStrayResponse)
      && 8'(BusWriteSlverr) == 8'(ErrWriteSlverr) && 8'(BusWriteDecerr) == 8'(ErrWriteDecerr)
      && 8'(UnitErrorNone) == 8'(ErrNone) && 8'(UnitErrorWatchdog) == 8'(ErrWatchdog)
      && 8'(UnitErrorBadDoorbell) == 8'(ErrBadDoorbell)
      && 4'(UnitSourceWriter) == 4'(SourceWriter) && 4'(UnitSourceFrontend) == 4'(SourceFrontend),
      "tmv_vec_unit: error codes of the bus parts differ from those of the register map")
endmodule
