`include "tmv_macros.svh"

/// Ternary matrix-vector unit: y = W x for ternary W and int8 x.
///
/// One pass over the weights serves `Vectors` vectors at the full rate of the weights, and up to `Groups` times as many
/// at a rate divided by the number of groups in use. Each port has its own dot engine; a row block goes to a port that
/// is free. Peak rate: `Ports` beats of weights a cycle. Registers, descriptor and errors: `docs/registers.md`. How the
/// parts work together: `ARCHITECTURE.md`.
///
/// One clock. No combinational path from an input to an output. RREADY and BREADY are always high, because room is
/// reserved before a burst is requested.
module tmv_unit
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// AXI read ports, 1 to 8.
  parameter int unsigned Ports = 4,
  /// Bits of a beat: 64 (Zynq-7000) or 128 (UltraScale+).
  parameter int unsigned PortBits = 128,
  /// Activation vectors at the full rate of the weights, 1 to 8.
  parameter int unsigned Vectors = 4,
  /// Groups of vectors that a pass serves in turn, a power of two; `Vectors * Groups` is at most `MaxTokens`.
  parameter int unsigned Groups = 1,
  /// Weight codec: 0 = 2-bit planes, 1 = base 3.
  parameter int unsigned Codec = CodecWeights2b,
  /// Words of an activation bank, a power of two, at least 2: in_features <= BankWords * lanes.
  parameter int unsigned BankWords = DefaultBankWords,
  /// 1: operators may read columns.
  parameter int unsigned Columns = 1,
  /// 1: activations in bit planes, weights that wait and sums of columns in UltraRAM, which some UltraScale+ devices have; 0: in
  /// block RAM.
  parameter int unsigned UltraRam = 0,
  /// Beats of the weight queue of each port, a power of two, at least 32: as many weights are read ahead of late activations.
  /// 0: 4,096 with ports of 128 bits, 512 with ports of 64 bits.
  parameter int unsigned FifoBeats = 0,
  /// Bursts in flight of each read stream, a power of two, at least 2.
  parameter int unsigned Outstanding = 8
) (
  input  logic                             clk_i,
  /// Synchronous, active low.
  input  logic                             rst_ni,
  /// Level; high while an enabled source is pending.
  output logic                             irq_o,
  /// Wires to another unit, high for a cycle. `tell_o`: the results of a descriptor with TELL are in memory. `told_i`: one
  /// descriptor with AFTER may load its activations.
  output logic                             tell_o,
  input  logic                             told_i,
  /// AXI4-Lite control.
  input  logic                             s_axil_awvalid,
  output logic                             s_axil_awready,
  input  logic [        11:0]              s_axil_awaddr,
  input  logic                             s_axil_wvalid,
  output logic                             s_axil_wready,
  input  logic [        31:0]              s_axil_wdata,
  input  logic [         3:0]              s_axil_wstrb,
  output logic                             s_axil_bvalid,
  input  logic                             s_axil_bready,
  output logic [         1:0]              s_axil_bresp,
  input  logic                             s_axil_arvalid,
  output logic                             s_axil_arready,
  input  logic [        11:0]              s_axil_araddr,
  output logic                             s_axil_rvalid,
  input  logic                             s_axil_rready,
  output logic [        31:0]              s_axil_rdata,
  output logic [         1:0]              s_axil_rresp,
  /// AXI4 read channels, an element for each port. Bursts: INCR, full width, at most 16 beats. Weights have ID 0;
  /// descriptors and activations come through port 0 with ID 1.
  output logic [   Ports-1:0]              m_axi_arvalid,
  input  logic [   Ports-1:0]              m_axi_arready,
  output logic [   Ports-1:0][AddrBits-1:0] m_axi_araddr,
  output logic [   Ports-1:0][         7:0] m_axi_arlen,
  output logic [   Ports-1:0]              m_axi_arid,
  input  logic [   Ports-1:0]              m_axi_rvalid,
  output logic [   Ports-1:0]              m_axi_rready,
  input  logic [   Ports-1:0][PortBits-1:0] m_axi_rdata,
  input  logic [   Ports-1:0][         1:0] m_axi_rresp,
  input  logic [   Ports-1:0]              m_axi_rlast,
  input  logic [   Ports-1:0]              m_axi_rid,
  /// AXI4 write channels of port 0; all strobes are set.
  output logic                             m_axi_awvalid,
  input  logic                             m_axi_awready,
  output logic [AddrBits-1:0]              m_axi_awaddr,
  output logic [         7:0]              m_axi_awlen,
  output logic                             m_axi_wvalid,
  input  logic                             m_axi_wready,
  output logic [PortBits-1:0]              m_axi_wdata,
  output logic                             m_axi_wlast,
  input  logic                             m_axi_bvalid,
  output logic                             m_axi_bready,
  input  logic [         1:0]              m_axi_bresp
);
  localparam int unsigned Lanes = lanes_of(Codec, PortBits);
  localparam int unsigned QueueBeats = (FifoBeats != 0) ? FifoBeats : (PortBits == 128) ? 4096 : 512;
  localparam int unsigned WordAddrBits = x_addr_bits(BankWords, Groups);
  /// Beats of the queue for descriptors and activations: enough for the latency of a memory.
  localparam int unsigned FrontendBeats = 128;

  /// Bits of a number of outstanding bursts.
  localparam int unsigned TableBits = $clog2(Outstanding);

  logic core_rst_n, halt, quiet, busy, progress;
  logic [31:0] cycle;

  // Control.
  logic csr_write, csr_write_full, csr_read;
  logic [11:0] csr_write_addr, csr_read_addr;
  logic [31:0] csr_write_data, csr_read_data;
  logic soft_reset, abort, restart, draining, error, error_event, done_irq, doorbell_fault;
  logic [31:0] watchdog;
  logic [7:0] error_code;
  logic [3:0] error_source, ring_log2;
  addr_t error_addr, ring_base;
  logic [15:0] ring_tail, ring_late, doorbell;

  // Ports.
  logic [Ports-1:0] port_quiet, port_free, port_may, port_grant, port_done;
  logic [Ports-1:0] x_req, x_grant, x_valid;
  logic [WordAddrBits-1:0] x_req_addr[Ports];
  logic [Vectors-1:0][7:0][Lanes-1:0] x_data;
  logic [Ports-1:0] result_valid, result_ready;
  logic [RowBlock*AccBits-1:0] result[Ports];
  slot_t result_slot[Ports];
  logic [3:0] result_token[Ports];
  logic [Ports-1:0] result_last, result_done;
  fault_t port_fault[Ports];
  logic [Ports-1:0] port_busy;
  logic count_clear, count_read;
  logic [2:0] count_index;
  logic [31:0] count[Ports];

  // Front end, dispatch, retirement.
  logic [Contexts-1:0] x_loaded;
  logic op_valid, op_done, x_write, frontend_quiet, late, tell;
  logic [TableBits:0] frontend_bursts, write_bursts;
  dispatch_t op_dispatch, dispatch;
  retire_t op_retire, retire;
  logic dispatch_valid, dispatch_take, retire_valid, retire_take;
  logic [3:0] x_vector;
  logic [WordAddrBits-1:0] x_write_addr;
  logic [7:0][Lanes-1:0] x_write_data;
  fault_t frontend_fault, frontend_desc_fault, writer_fault;
  bus_fault_t frontend_stream_fault;
  block_t block;
  addr_t block_addr;
  logic [Ports-1:0] row, row_end;
  logic slot_free, result_start, collect_complete, collect_valid, collect_take, writer_quiet;
  words_t collect_words;
  logic [RowBlock*AccBits-1:0] collect_word;
  // Rows that are recorded and skipped.
  logic record_dispatch, scan_start, scan_valid, scan_older, scan_req, scan_ready, place_req;
  mask_index_t scan_index, place_index;
  logic [RowBlock-1:0] scan_bits, place_bits;
  logic [$bits(mask_index_t)+3:0] mask_rows, mask_blocks, read_count;
  logic recording_q, skipping_q, older_q;
  logic place_complete, place_valid, place_take;
  words_t place_words;
  logic [RowBlock*AccBits-1:0] place_word;
  // Columns.
  localparam int unsigned ColumnXBits = $clog2(MaxColumns * 8 / PortBits) + 1;

  logic column_x_write, column_x_bank, columns_begin, columns_dealt, columns_busy, columns_active;
  logic columns_read, drain_valid, draining_q;
  logic [ColumnXBits-1:0] column_x_addr;
  activation_t value;
  activation_t [RowBlock-1:0] x_values;
  logic [RowBlock-1:0] x_nonzero;
  logic [13:0] columns_count;
  logic [Ports-1:0] columns_idle;
  column_sum_index_t columns_index;
  logic [PortBits/8-1:0][ColumnSumBits-1:0] columns_sums[Ports];
  words_t drain_words;
  logic [RowBlock*AccBits-1:0] drain_word;
  // To the writer.
  logic word_take;

  assign columns_active = columns_begin || columns_busy;

  assign m_axi_rready = '1;
  assign m_axi_bready = 1'b1;
  assign quiet = (&port_quiet) && frontend_quiet && writer_quiet;
  assign progress = (|(m_axi_arvalid & m_axi_arready)) || (|m_axi_rvalid) || (|port_busy)
      || (m_axi_awvalid && m_axi_awready) || (m_axi_wvalid && m_axi_wready) || m_axi_bvalid
      // A walk through rows or columns that are not needed: a byte of bits every eight of them.
      || scan_req || place_req
      // Activations are late: it is not the unit that is waited for, unless the memory owes something.
      || (late && quiet);

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
    .Param0((Ports << Param0PortsLsb) | ((PortBits / 8) << Param0PortBytesLsb) | (Vectors << Param0VectorsLsb)
            | (Groups << Param0GroupsLsb) | (Codec << Param0CodecLsb)),
    .Param1((BankWords << Param1BankWordsLsb) | (RowBlock << Param1RowBlockLsb) | (Contexts << Param1ContextsLsb)
            | (Columns << Param1ColumnsLsb)),
    .WatchdogReset(WatchdogReset),
    .Ports(Ports),
    .Events(7),
    .Late(1)
  ) u_csr (
    .clk_i,
    .rst_ni,
    .write_i          (csr_write),
    .write_full_i     (csr_write_full),
    .write_addr_i     (csr_write_addr),
    .write_data_i     (csr_write_data),
    .read_i           (csr_read),
    .read_addr_i      (csr_read_addr),
    .read_data_o      (csr_read_data),
    .soft_reset_o     (soft_reset),
    .abort_o          (abort),
    .watchdog_o       (watchdog),
    .restart_i        (restart),
    .busy_o           (busy),
    .draining_i       (draining),
    .error_i          (error),
    .error_event_i    (error_event),
    .code_i           (error_code),
    .source_i         (error_source),
    .addr_i           (error_addr),
    .read_bursts_i    (8'(frontend_bursts)),
    .write_bursts_i   (8'(write_bursts)),
    .ring_base_o      (ring_base),
    .ring_log2_o      (ring_log2),
    .ring_tail_o      (ring_tail),
    .ring_late_o      (ring_late),
    .done_i           (op_done),
    .doorbell_fault_o (doorbell_fault),
    .doorbell_o       (doorbell),
    .cycle_o          (cycle),
    .done_irq_i       (done_irq),
    .irq_o,
    .count_clear_o    (count_clear),
    .count_read_o     (count_read),
    .count_index_o    (count_index),
    .count_i          (count)
  );

  tmv_control #(
    .Ports(Ports)
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
    .progress_i      (progress),
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

  // Each port has a stream of weights (`w_`). Port 0 carries a second stream, that of the front end (`f_`).
  logic f_ar_valid, f_ar_ready, f_ar_held, f_r_valid;
  ar_t f_ar;

  for (genvar p = 0; p < int'(Ports); p++) begin : gen_port
    // Signals of this block: arrays of structs would become more code in a simulated model.
    logic w_ar_valid, w_ar_ready, w_ar_held, w_r_valid;
    ar_t w_ar, ar;
    r_t r;

    assign m_axi_araddr[p] = ar.addr;
    assign m_axi_arlen[p]  = ar.len;
    assign m_axi_arid[p]   = ar.id;
    assign r = '{resp: resp_e'(m_axi_rresp[p]), last: m_axi_rlast[p], id: m_axi_rid[p]};

    if (p == 0) begin : gen_mux
      tmv_read_mux u_read_mux (
        .clk_i,
        .rst_ni,
        .ar_valid_i({f_ar_valid, w_ar_valid}),
        .ar_ready_o({f_ar_ready, w_ar_ready}),
        .ar_i      ({f_ar, w_ar}),
        .ar_held_o ({f_ar_held, w_ar_held}),
        .r_valid_o ({f_r_valid, w_r_valid}),
        .ar_valid_o(m_axi_arvalid[p]),
        .ar_ready_i(m_axi_arready[p]),
        .ar_o      (ar),
        .r_valid_i (m_axi_rvalid[p]),
        .r_id_i    (r.id)
      );
    end else begin : gen_direct
      assign m_axi_arvalid[p] = w_ar_valid;
      assign w_ar_ready       = m_axi_arready[p];
      assign w_ar_held        = 1'b0;
      assign ar               = w_ar;
      assign w_r_valid        = m_axi_rvalid[p];
    end

    tmv_port #(
      .PortBits(PortBits),
      .Vectors(Vectors),
      .Codec(Codec),
      .BankWords(BankWords),
      .Groups(Groups),
      .FifoBeats(QueueBeats),
      .Outstanding(Outstanding),
      .Columns(Columns),
      .UltraRam(UltraRam)
    ) u_port (
      .clk_i,
      .rst_ni         (core_rst_n),
      .halt_i         (halt),
      .quiet_o        (port_quiet[p]),
      .free_o         (port_free[p]),
      .grant_i        (port_grant[p]),
      .done_o         (port_done[p]),
      .block_i        (block),
      .block_addr_i   (block_addr),
      .row_i          (row[p]),
      .row_end_i      (row_end[p]),
      .value_i        (value),
      .ar_valid_o     (w_ar_valid),
      .ar_ready_i     (w_ar_ready),
      .ar_held_i      (w_ar_held),
      .ar_o           (w_ar),
      .r_valid_i      (w_r_valid),
      .r_data_i       (m_axi_rdata[p]),
      .r_i            (r),
      .x_loaded_i     (x_loaded),
      .x_req_o        (x_req[p]),
      .x_grant_i      (x_grant[p]),
      .x_addr_o       (x_req_addr[p]),
      .x_valid_i      (x_valid[p]),
      .x_i            (x_data),
      .result_valid_o (result_valid[p]),
      .result_ready_i (result_ready[p]),
      .result_o       (result[p]),
      .result_slot_o  (result_slot[p]),
      .result_token_o (result_token[p]),
      .result_last_o  (result_last[p]),
      .result_done_o  (result_done[p]),
      .columns_active_i(columns_active),
      .columns_start_i(columns_begin),
      .columns_idle_o (columns_idle[p]),
      .columns_read_i (columns_read),
      .columns_index_i(columns_index),
      .columns_sums_o (columns_sums[p]),
      .fault_o        (port_fault[p]),
      .busy_o         (port_busy[p]),
      .count_clear_i  (count_clear),
      .count_read_i   (count_read),
      .count_index_i  (count_index),
      .count_o        (count[p])
    );
  end

  tmv_x_memory #(
    .Ports(Ports),
    .Vectors(Vectors),
    .Lanes(Lanes),
    .BankWords(BankWords),
    .Groups(Groups),
    .UltraRam(UltraRam)
  ) u_x_memory (
    .clk_i,
    .rst_ni        (core_rst_n),
    .write_i       (x_write),
    .write_vector_i(x_vector),
    .write_addr_i  (x_write_addr),
    .write_data_i  (x_write_data),
    .req_i         (x_req),
    .grant_o       (x_grant),
    .addr_i        (x_req_addr),
    .valid_o       (x_valid),
    .data_o        (x_data)
  );

  // Front end.
  aw_t aw;

  assign m_axi_awaddr = aw.addr;
  assign m_axi_awlen  = aw.len;

  logic cmd_valid, cmd_ready, beat_valid, beat_ready;
  addr_t cmd_addr;
  beats_t cmd_beats;
  logic [PortBits-1:0] beat;

  // A register, because errors of the ports have one too: control compares errors that happened in the same cycle.
  always_ff @(posedge clk_i) begin
    frontend_fault <= frontend_stream_fault.valid ? fault_t'(frontend_stream_fault) : frontend_desc_fault;
    if (!core_rst_n) frontend_fault.valid <= 1'b0;
  end

  tmv_read_stream #(
    .PortBits(PortBits),
    .FifoBeats(FrontendBeats),
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
    .r_i         (gen_port[0].r),
    .r_taken_o   (),
    .r_illegal_i (1'b0),
    .beat_valid_o(beat_valid),
    .beat_ready_i(beat_ready),
    .beat_o      (beat),
    .fault_o     (frontend_stream_fault)
  );

  tmv_frontend #(
    .PortBits(PortBits),
    .Vectors(Vectors),
    .Lanes(Lanes),
    .BankWords(BankWords),
    .Groups(Groups),
    .Columns(Columns)
  ) u_frontend (
    .clk_i,
    .rst_ni      (core_rst_n),
    .halt_i      (halt),
    .ring_base_i (ring_base),
    .ring_log2_i (ring_log2),
    .ring_tail_i (ring_tail),
    .ring_late_i (ring_late),
    .told_i,
    .late_o      (late),
    .cycle_i     (cycle),
    .cmd_valid_o (cmd_valid),
    .cmd_ready_i (cmd_ready),
    .cmd_addr_o  (cmd_addr),
    .cmd_beats_o (cmd_beats),
    .beat_valid_i(beat_valid),
    .beat_ready_o(beat_ready),
    .beat_i      (beat),
    .x_write_o   (x_write),
    .x_vector_o  (x_vector),
    .x_addr_o    (x_write_addr),
    .x_data_o    (x_write_data),
    .x_loaded_o  (x_loaded),
    .column_x_write_o(column_x_write),
    .column_x_addr_o (column_x_addr),
    .op_valid_o  (op_valid),
    .dispatch_o  (op_dispatch),
    .retire_o    (op_retire),
    .done_i      (op_done),
    .fault_o     (frontend_desc_fault)
  );

  // The front end never has more than `Contexts` operators in flight, so these queues always have room.
  tmv_fifo #(
    .Width($bits(dispatch_t)),
    .Depth(Contexts)
  ) u_dispatch_queue (
    .clk_i,
    .rst_ni  (core_rst_n),
    .wvalid_i(op_valid),
    .wready_o(),
    .wdata_i (op_dispatch),
    .rvalid_o(dispatch_valid),
    .rready_i(dispatch_take),
    .rdata_o (dispatch)
  );

  tmv_fifo #(
    .Width($bits(retire_t)),
    .Depth(Contexts)
  ) u_retire_queue (
    .clk_i,
    .rst_ni  (core_rst_n),
    .wvalid_i(op_valid),
    .wready_o(),
    .wdata_i (op_retire),
    .rvalid_o(retire_valid),
    .rready_i(retire_take),
    .rdata_o (retire)
  );

  tmv_balance #(
    .Ports(Ports)
  ) u_balance (
    .clk_i,
    .rst_ni (core_rst_n),
    .grant_i(port_grant),
    .done_i (port_done),
    .may_o  (port_may)
  );

  tmv_dispatcher #(
    .Ports(Ports)
  ) u_dispatcher (
    .clk_i,
    .rst_ni     (core_rst_n),
    .op_valid_i (dispatch_valid),
    .op_ready_o (dispatch_take),
    .op_i       (dispatch),
    .free_i     (port_free & port_may),
    .grant_o    (port_grant),
    .block_o    (block),
    .block_addr_o(block_addr),
    .row_o        (row),
    .row_end_o    (row_end),
    .record_o     (record_dispatch),
    .scan_start_o (scan_start),
    .scan_valid_o (scan_valid),
    .scan_older_o(scan_older),
    .scan_req_o   (scan_req),
    .scan_index_o (scan_index),
    .scan_ready_i (scan_ready),
    .scan_i       (scan_bits),
    .value_o      (value),
    .x_loaded_i   (x_loaded),
    .x_bank_o     (column_x_bank),
    .x_nonzero_i  (x_nonzero),
    .x_values_i   (x_values),
    .columns_begin_o(columns_begin),
    .columns_dealt_o(columns_dealt),
    .columns_busy_i (columns_busy),
    .columns_o      (columns_count),
    .slot_free_i(slot_free)
  );

  tmv_collector #(
    .Ports(Ports),
    .Tokens(Vectors * Groups)
  ) u_collector (
    .clk_i,
    .rst_ni         (core_rst_n),
    .result_valid_i (result_valid),
    .result_ready_o (result_ready),
    .result_i       (result),
    .result_slot_i  (result_slot),
    .result_last_i  (result_last),
    .result_done_i  (result_done),
    .result_token_i (result_token),
    .start_i        (result_start),
    .blocks_i       (retire.columns ? '0 : retire.skip ? 17'(mask_blocks) : retire.blocks),
    .tokens_i       (retire.tokens),
    .ready_words_o  (collect_words),
    .complete_o     (collect_complete),
    .word_valid_o   (collect_valid),
    .word_ready_i   (collect_take),
    .word_o         (collect_word),
    .slot_free_o    (slot_free)
  );

  // Results of an operator that skips rows go through `tmv_row_place` to the writer, all others straight.
  assign collect_take = skipping_q ? place_take : word_take && !draining_q;
  assign mask_blocks  = (mask_rows + ($bits(mask_index_t) + 4)'(RowBlock - 1)) >> $clog2(RowBlock);
  assign read_count    = draining_q ? columns_count : skipping_q ? mask_rows : '0;

  always_ff @(posedge clk_i) begin
    if (result_start) older_q <= retire.older;
    if (!core_rst_n) {skipping_q, recording_q, draining_q} <= '0;
    else if (result_start) {skipping_q, recording_q, draining_q} <= {retire.skip, retire.record, retire.columns};
  end

  if (Columns != 0) begin : gen_columns
    tmv_column_x #(
      .PortBits(PortBits),
      .Lanes(Lanes)
    ) u_column_x (
      .clk_i,
      .write_i     (column_x_write),
      .write_addr_i(column_x_addr),
      .word_i      (x_write_data),
      .read_i      (scan_req),
      .read_bank_i (column_x_bank),
      .read_index_i(scan_index),
      .values_o    (x_values),
      .nonzero_o   (x_nonzero)
    );

    tmv_column_drain #(
      .Ports(Ports),
      .PortBits(PortBits)
    ) u_column_drain (
      .clk_i,
      .rst_ni      (core_rst_n),
      .begin_i     (columns_begin),
      .dealt_i     (columns_dealt),
      .busy_o      (columns_busy),
      .start_i     (result_start && retire.columns),
      .words_i     (words_t'(retire.words)),
      .done_i      (op_done && draining_q),
      .idle_i      (columns_idle),
      .read_o      (columns_read),
      .read_index_o(columns_index),
      .sums_i      (columns_sums),
      .words_o     (drain_words),
      .word_valid_o(drain_valid),
      .word_ready_i(draining_q && word_take),
      .word_o      (drain_word)
    );
  end else begin : gen_no_columns
    assign {x_values, x_nonzero, columns_busy, columns_read, columns_index, drain_words, drain_valid, drain_word} = '0;
  end

  tmv_row_mask u_row_mask (
    .clk_i,
    .rst_ni        (core_rst_n),
    .dispatch_i    (record_dispatch),
    .scan_start_i  (scan_start),
    .scan_valid_i  (scan_valid),
    .scan_older_i (scan_older),
    .scan_req_i    (scan_req),
    .scan_index_i  (scan_index),
    .scan_ready_o  (scan_ready),
    .scan_o        (scan_bits),
    .record_start_i(result_start && retire.record),
    .record_valid_i(recording_q && collect_valid && collect_take),
    .record_i      (collect_word),
    .place_older_i(result_start ? retire.older : older_q),
    .place_req_i   (place_req),
    .place_index_i (place_index),
    .place_o       (place_bits),
    .rows_o        (mask_rows)
  );

  tmv_row_place u_row_place (
    .clk_i,
    .rst_ni       (core_rst_n),
    .start_i      (result_start && retire.skip),
    .blocks_i     (retire.blocks[$bits(mask_index_t):0]),
    .byte_req_o   (place_req),
    .byte_index_o (place_index),
    .byte_i       (place_bits),
    .word_valid_i (skipping_q && collect_valid),
    .word_ready_o (place_take),
    .word_i       (collect_word),
    .ready_words_o(place_words),
    .complete_o   (place_complete),
    .word_valid_o (place_valid),
    .word_ready_i (skipping_q && word_take),
    .word_o       (place_word)
  );

  tmv_writer #(
    .PortBits(PortBits)
  ) u_writer (
    .clk_i,
    .rst_ni       (core_rst_n),
    .halt_i       (halt),
    .inflight_o   (write_bursts),
    .quiet_o      (writer_quiet),
    .op_valid_i   (retire_valid),
    .op_ready_o   (retire_take),
    .op_i         (retire),
    .tell_o       (tell),
    .done_o       (op_done),
    .done_irq_o   (done_irq),
    .cycle_i      (cycle),
    .start_o      (result_start),
    .read_i       (read_count),
    .ready_words_i(draining_q ? drain_words : skipping_q ? place_words : collect_words),
    .complete_i   (draining_q ? drain_words != '0 : skipping_q ? place_complete : collect_complete),
    .word_valid_i (draining_q ? drain_valid : skipping_q ? place_valid : collect_valid),
    .word_ready_o (word_take),
    .placed_i     (skipping_q),
    .drained_i    (draining_q),
    .word_i       ('{collect_word, place_word, drain_word}),
    .aw_valid_o   (m_axi_awvalid),
    .aw_ready_i   (m_axi_awready),
    .aw_o         (aw),
    .w_valid_o    (m_axi_wvalid),
    .w_ready_i    (m_axi_wready),
    .w_data_o     (m_axi_wdata),
    .w_last_o     (m_axi_wlast),
    .b_valid_i    (m_axi_bvalid),
    .b_resp_i     (resp_e'(m_axi_bresp)),
    .fault_o      (writer_fault)
  );

  always_ff @(posedge clk_i) tell_o <= rst_ni && tell;

  `TMV_REQUIRE(ports, Ports >= 1 && Ports <= 8, "tmv_unit: Ports must be 1 to 8")
  `TMV_REQUIRE(groups, (1 << $clog2(Groups)) == Groups && Vectors * Groups <= MaxTokens,
      "tmv_unit: Groups must be a power of two, and Vectors * Groups at most 8")
  `TMV_REQUIRE(words, BankWords <= (1 << $bits(word_t)), "tmv_unit: a word's index must fit word_t")
  `TMV_REQUIRE(features, BankWords * Lanes <= 65535, "tmv_unit: in_features must fit 16 bits")
  // The modules have these sizes as numbers: tokens have 4 bits, result words 32 bytes, rows of slots 8 bits.
  `TMV_REQUIRE(sizes, RowBlock == 8 && MaxTokens == 8 && DescBytes == 64 && (1 << $clog2(Contexts)) == Contexts
      && MaxOutFeatures <= 524288, "tmv_unit: the register map asks for sizes that this RTL is not written for")
  `TMV_REQUIRE(outstanding, TableBits < 8, "tmv_unit: a number of outstanding bursts must fit 8 bits of STATUS")
  `TMV_REQUIRE(fields, PortBits / 8 < 32 && Vectors < 16 && Groups < 16 && Codec < 16 && BankWords < (1 << 16),
               "tmv_unit: a parameter does not fit its field of PARAM0 or PARAM1")
  // Faults of the bus become faults of the unit by a cast.
  `TMV_REQUIRE(codes, $bits(bus_fault_t) == $bits(fault_t)
      && 8'(BusReadSlverr) == 8'(ErrReadSlverr) && 8'(BusReadDecerr) == 8'(ErrReadDecerr)
      && 8'(BusReadLast) == 8'(ErrReadLast) && 8'(BusBeatIllegal) == 8'(ErrBadWeight)
      && 8'(BusWriteSlverr) == 8'(ErrWriteSlverr) && 8'(BusWriteDecerr) == 8'(ErrWriteDecerr)
      && 8'(BusStray) == 8'(ErrStrayResponse)
      && 8'(UnitErrorNone) == 8'(ErrNone) && 8'(UnitErrorWatchdog) == 8'(ErrWatchdog)
      && 8'(UnitErrorBadDoorbell) == 8'(ErrBadDoorbell)
      && 4'(UnitSourceWriter) == 4'(SourceWriter) && 4'(UnitSourceFrontend) == 4'(SourceFrontend),
      "tmv_unit: error codes of the bus parts differ from those of the register map")
  `TMV_COVER(AllEnginesBusy, port_busy == '1)
  `TMV_COVER(AllPortsDeliver, m_axi_rvalid == '1)
endmodule
