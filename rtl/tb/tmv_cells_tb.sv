/// Test top: cells and bus parts side by side, in the sizes that tests need, behind plain ports. Simulation only.
module tmv_cells_tb
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
(
  input  logic                 clk_i,
  input  logic                 rst_ni,
  /// Queues of 2 and of 16 entries.
  input  logic  [   1:0]       fifo_wvalid_i,
  output logic  [   1:0]       fifo_wready_o,
  input  logic  [  36:0]       fifo_wdata_i,
  output logic  [   1:0]       fifo_rvalid_o,
  input  logic  [   1:0]       fifo_rready_i,
  output logic  [   1:0][36:0] fifo_rdata_o,
  /// Arbiters of 1, 4 and 8 clients.
  input  logic                 arbiter_enable_i,
  input  logic  [   7:0]       arbiter_req_i,
  output logic                 arbiter1_grant_o,
  output logic  [   3:0]       arbiter4_grant_o,
  output logic  [   7:0]       arbiter8_grant_o,
  /// Popcounts of 6, 32, 40, 64 and 80 bits.
  input  logic  [  79:0]       popcount_bits_i,
  output logic  [   4:0][ 6:0] popcount_o,
  /// Decoders: two bits a weight from 64 and 128 bits, base 3 from 128.
  input  logic  [ 127:0]       decode_beat_i,
  output logic  [  31:0]       decode64_nz_o,
  output logic  [  31:0]       decode64_neg_o,
  output logic  [  63:0]       decode128_nz_o,
  output logic  [  63:0]       decode128_neg_o,
  output logic  [   1:0]       decode_illegal_o,
  output logic  [  79:0]       decode_base3_nz_o,
  output logic  [  79:0]       decode_base3_neg_o,
  output logic                 decode_base3_illegal_o,
  /// Dot products of 32 lanes, one slice, and of 80, two.
  input  logic                 dot_load_i,
  input  logic                 dot_valid_i,
  input  logic  [  79:0]       dot_nz_i,
  input  logic  [  79:0]       dot_neg_i,
  input  logic  [   7:0][79:0] dot_x_i,
  output logic  [   1:0][31:0] dot_sum_o,
  /// Products of columns: 80 lanes, three to a multiplier, and 32 lanes, two to a multiplier. Sums of a lane have 16 bits.
  input  logic                 products_valid_i,
  input  logic                 products_first_i,
  input  logic                 products_last_i,
  input  activation_t          products_x_i,
  input  logic  [  79:0]       products_nz_i,
  input  logic  [  79:0]       products_neg_i,
  output logic  [  79:0][15:0] products80_sum_o,
  output logic  [  31:0][15:0] products32_sum_o,
  /// Read stream: 64-bit port, room for two bursts, four in flight.
  input  logic                 stream_halt_i,
  output logic                 stream_quiet_o,
  input  logic                 stream_cmd_valid_i,
  output logic                 stream_cmd_ready_o,
  input  addr_t                stream_cmd_addr_i,
  input  beats_t               stream_cmd_beats_i,
  output logic                 stream_ar_valid_o,
  input  logic                 stream_ar_ready_i,
  output addr_t                stream_ar_addr_o,
  output logic  [   7:0]       stream_ar_len_o,
  input  logic                 stream_r_valid_i,
  input  logic  [  63:0]       stream_r_data_i,
  input  logic  [   1:0]       stream_r_resp_i,
  input  logic                 stream_r_last_i,
  output logic                 stream_beat_valid_o,
  input  logic                 stream_beat_ready_i,
  output logic  [  63:0]       stream_beat_o,
  output logic                 stream_fault_o,
  output logic  [   7:0]       stream_fault_code_o,
  output addr_t                stream_fault_addr_o,
  /// Collector of 4 ports and 8 tokens. All accumulators of a word are equal.
  input  logic  [   3:0]       collector_valid_i,
  output logic  [   3:0]       collector_ready_o,
  input  logic  [   3:0]       collector_last_i,
  input  logic  [   3:0]       collector_done_i,
  input  logic  [   3:0][ 3:0] collector_token_i,
  input  slot_t [   3:0]       collector_slot_i,
  input  logic  [   3:0][23:0] collector_acc_i,
  input  logic                 collector_start_i,
  input  logic  [  16:0]       collector_blocks_i,
  input  logic  [   3:0]       collector_tokens_i,
  output words_t               collector_ready_words_o,
  output logic                 collector_complete_o,
  output logic                 collector_word_valid_o,
  input  logic                 collector_word_ready_i,
  output logic  [  23:0]       collector_acc_o,
  output logic                 collector_same_o,
  output logic                 collector_slot_free_o,
  /// Balance of 4 ports.
  input  logic  [   3:0]       balance_grant_i,
  input  logic  [   3:0]       balance_done_i,
  output logic  [   3:0]       balance_may_o,
  /// AXI4-Lite slave.
  input  logic                 s_axil_awvalid,
  output logic                 s_axil_awready,
  input  logic  [  11:0]       s_axil_awaddr,
  input  logic                 s_axil_wvalid,
  output logic                 s_axil_wready,
  input  logic  [  31:0]       s_axil_wdata,
  input  logic  [   3:0]       s_axil_wstrb,
  output logic                 s_axil_bvalid,
  input  logic                 s_axil_bready,
  output logic  [   1:0]       s_axil_bresp,
  input  logic                 s_axil_arvalid,
  output logic                 s_axil_arready,
  input  logic  [  11:0]       s_axil_araddr,
  output logic                 s_axil_rvalid,
  input  logic                 s_axil_rready,
  output logic  [  31:0]       s_axil_rdata,
  output logic  [   1:0]       s_axil_rresp,
  output logic                 axil_write_o,
  output logic                 axil_write_full_o,
  output logic  [  11:0]       axil_write_addr_o,
  output logic  [  31:0]       axil_write_data_o,
  output logic                 axil_read_o,
  output logic  [  11:0]       axil_read_addr_o,
  input  logic  [  31:0]       axil_read_data_i
);
  for (genvar i = 0; i < 2; i++) begin : gen_fifo
    tmv_fifo #(
      .Width(37),
      .Depth((i == 0) ? 2 : 16)
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .wvalid_i(fifo_wvalid_i[i]),
      .wready_o(fifo_wready_o[i]),
      .wdata_i (fifo_wdata_i),
      .rvalid_o(fifo_rvalid_o[i]),
      .rready_i(fifo_rready_i[i]),
      .rdata_o (fifo_rdata_o[i])
    );
  end

  tmv_round_robin #(
    .Clients(1)
  ) u_arbiter1 (
    .clk_i,
    .rst_ni,
    .enable_i(arbiter_enable_i),
    .req_i   (arbiter_req_i[0]),
    .grant_o (arbiter1_grant_o)
  );

  tmv_round_robin #(
    .Clients(4)
  ) u_arbiter4 (
    .clk_i,
    .rst_ni,
    .enable_i(arbiter_enable_i),
    .req_i   (arbiter_req_i[3:0]),
    .grant_o (arbiter4_grant_o)
  );

  tmv_round_robin #(
    .Clients(8)
  ) u_arbiter8 (
    .clk_i,
    .rst_ni,
    .enable_i(arbiter_enable_i),
    .req_i   (arbiter_req_i),
    .grant_o (arbiter8_grant_o)
  );

  for (genvar i = 0; i < 5; i++) begin : gen_popcount
    localparam int unsigned Width = (i == 0) ? 6 : (i == 1) ? 32 : (i == 2) ? 40 : (i == 3) ? 64 : 80;
    localparam int unsigned Slices = (i == 4) ? 2 : 1;
    logic [Width/Slices-1:0] bits[Slices];
    logic [$clog2(Width+1)-1:0] count;

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_slice
      assign bits[s] = popcount_bits_i[Width/Slices*s+:Width/Slices];
    end

    tmv_popcount #(
      .Width(Width),
      .Slices(Slices)
    ) u_popcount (
      .bits_i (bits),
      .count_o(count)
    );

    assign popcount_o[i] = 7'(count);
  end

  logic [31:0] nz64[1], neg64[1];
  logic [63:0] nz128[1], neg128[1];
  logic [39:0] nz_base3[2], neg_base3[2];

  assign {decode64_neg_o, decode64_nz_o} = {neg64[0], nz64[0]};
  assign {decode128_neg_o, decode128_nz_o} = {neg128[0], nz128[0]};
  assign decode_base3_nz_o  = {nz_base3[1], nz_base3[0]};
  assign decode_base3_neg_o = {neg_base3[1], neg_base3[0]};

  tmv_decode #(
    .PortBits(64)
  ) u_decode64 (
    .beat_i(decode_beat_i[63:0]),
    .nz_o  (nz64),
    .neg_o (neg64)
  );

  tmv_weight_check #(
    .PortBits(64)
  ) u_check64 (
    .beat_i   (decode_beat_i[63:0]),
    .illegal_o(decode_illegal_o[0])
  );

  tmv_decode #(
    .PortBits(128)
  ) u_decode128 (
    .beat_i(decode_beat_i),
    .nz_o  (nz128),
    .neg_o (neg128)
  );

  tmv_weight_check #(
    .PortBits(128)
  ) u_check128 (
    .beat_i   (decode_beat_i),
    .illegal_o(decode_illegal_o[1])
  );

  tmv_decode #(
    .Codec   (CodecWeightsBase3),
    .PortBits(128)
  ) u_decode_base3 (
    .beat_i(decode_beat_i),
    .nz_o  (nz_base3),
    .neg_o (neg_base3)
  );

  tmv_weight_check #(
    .Codec   (CodecWeightsBase3),
    .PortBits(128)
  ) u_check_base3 (
    .beat_i   (decode_beat_i),
    .illegal_o(decode_base3_illegal_o)
  );

  logic dot_valid_q, dot_valid_qq;

  always_ff @(posedge clk_i) {dot_valid_qq, dot_valid_q} <= {dot_valid_q, dot_valid_i};

  for (genvar i = 0; i < 2; i++) begin : gen_dot
    localparam int unsigned Lanes = (i == 0) ? 32 : 80;
    localparam int unsigned Slices = slices_of(Lanes);
    localparam int unsigned SliceLanes = Lanes / Slices;
    logic [SliceLanes-1:0] nz[Slices], neg[Slices];
    logic [7:0][Lanes-1:0] x;
    logic [$clog2(Lanes+1)-1:0] neg_count_q;
    logic signed [31:0] sum;

    for (genvar b = 0; b < 8; b++) begin : gen_x
      assign x[b] = dot_x_i[b][Lanes-1:0];
    end

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_planes
      assign nz[s]  = dot_nz_i[SliceLanes*s+:SliceLanes];
      assign neg[s] = dot_neg_i[SliceLanes*s+:SliceLanes];
    end

    always_ff @(posedge clk_i) if (dot_valid_i) neg_count_q <= ($clog2(Lanes + 1))'($countones(dot_neg_i[Lanes-1:0]));

    tmv_dot #(
      .Lanes(Lanes)
    ) u_dot (
      .clk_i,
      .load_i     (dot_load_i),
      .x_i        (x),
      .valid_i    (dot_valid_i),
      .valid_q_i  (dot_valid_q),
      .valid_qq_i (dot_valid_qq),
      .nz_i       (nz),
      .neg_i      (neg),
      .neg_count_i(neg_count_q),
      // A sum has fewer bits: Verilator extends its sign.
      /* verilator lint_off WIDTH */
      .sum_o      (sum)
      /* verilator lint_on WIDTH */
    );

    assign dot_sum_o[i] = sum;
  end

  logic [1:0] products_valid_q, products_first_q;
  logic [2:0] products_last_q;

  always_ff @(posedge clk_i) begin
    products_valid_q <= {products_valid_q[0], products_valid_i};
    products_first_q <= {products_first_q[0], products_first_i};
    products_last_q  <= {products_last_q[1:0], products_valid_i && products_last_i};
  end

  for (genvar i = 0; i < 2; i++) begin : gen_products
    localparam int unsigned Lanes = (i == 0) ? 32 : 80;
    localparam int unsigned Slices = slices_of(Lanes);
    localparam int unsigned SliceLanes = Lanes / Slices;
    logic [SliceLanes-1:0] nz[Slices], neg[Slices];
    logic [Lanes-1:0][ColumnFieldBits-1:0] sum;
    logic [Lanes-1:0] borrow;
    logic [Lanes-1:0][15:0] whole;

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_planes
      assign nz[s]  = products_nz_i[SliceLanes*s+:SliceLanes];
      assign neg[s] = products_neg_i[SliceLanes*s+:SliceLanes];
    end

    tmv_column_products #(
      .Lanes (Lanes),
      .Fields(i + 2)
    ) u_products (
      .clk_i,
      .valid_i ({products_valid_q, products_valid_i}),
      .first_i (products_first_q[1]),
      .done_i  (products_last_q[2]),
      .x_i     (products_x_i),
      .nz_i    (nz),
      .neg_i   (neg),
      .sum_o   (sum),
      .borrow_o(borrow)
    );

    for (genvar l = 0; l < int'(Lanes); l++) begin : gen_whole
      assign whole[l] = 16'(signed'(sum[l])) + 16'(borrow[l]);
    end
  end

  assign products32_sum_o = gen_products[0].whole;
  assign products80_sum_o = gen_products[1].whole;

  bus_fault_t stream_fault;
  ar_t stream_ar;
  logic unused_stream_id, unused_taken;
  logic [2:0] unused_inflight;

  assign stream_fault_o      = stream_fault.valid;
  assign stream_fault_code_o = 8'(stream_fault.code);
  assign stream_fault_addr_o = stream_fault.addr;
  assign stream_ar_addr_o    = stream_ar.addr;
  assign stream_ar_len_o     = stream_ar.len;
  assign unused_stream_id    = stream_ar.id;

  tmv_read_stream #(
    .PortBits   (64),
    .FifoBeats  (32),
    .Outstanding(4)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .halt_i      (stream_halt_i),
    .inflight_o  (unused_inflight),
    .quiet_o     (stream_quiet_o),
    .cmd_valid_i (stream_cmd_valid_i),
    .cmd_ready_o (stream_cmd_ready_o),
    .cmd_addr_i  (stream_cmd_addr_i),
    .cmd_beats_i (stream_cmd_beats_i),
    .ar_valid_o  (stream_ar_valid_o),
    .ar_ready_i  (stream_ar_ready_i),
    .ar_held_i   (1'b0),
    .ar_o        (stream_ar),
    .r_valid_i   (stream_r_valid_i),
    .r_data_i    (stream_r_data_i),
    .r_i         ('{resp: resp_e'(stream_r_resp_i), last: stream_r_last_i, id: 1'b0}),
    .r_taken_o   (unused_taken),
    .r_illegal_i (1'b0),
    .beat_valid_o(stream_beat_valid_o),
    .beat_ready_i(stream_beat_ready_i),
    .beat_o      (stream_beat_o),
    .fault_o     (stream_fault)
  );

  logic [3:0] collector_token[4];
  slot_t collector_slot[4];
  logic [RowBlock-1:0][AccBits-1:0] collector_result[4], collector_word;

  for (genvar p = 0; p < 4; p++) begin : gen_collector_port
    assign collector_token[p]  = collector_token_i[p];
    assign collector_slot[p]   = collector_slot_i[p];
    assign collector_result[p] = {RowBlock{collector_acc_i[p]}};
  end

  assign collector_acc_o  = collector_word[0];
  assign collector_same_o = collector_word == {RowBlock{collector_word[0]}};

  tmv_collector #(
    .Ports (4),
    .Tokens(8)
  ) u_collector (
    .clk_i,
    .rst_ni,
    .result_valid_i(collector_valid_i),
    .result_ready_o(collector_ready_o),
    .result_last_i (collector_last_i),
    .result_done_i (collector_done_i),
    .result_token_i(collector_token),
    .result_i      (collector_result),
    .result_slot_i (collector_slot),
    .start_i       (collector_start_i),
    .blocks_i      (collector_blocks_i),
    .tokens_i      (collector_tokens_i),
    .ready_words_o (collector_ready_words_o),
    .complete_o    (collector_complete_o),
    .word_valid_o  (collector_word_valid_o),
    .word_ready_i  (collector_word_ready_i),
    .word_o        (collector_word),
    .slot_free_o   (collector_slot_free_o)
  );

  tmv_balance #(
    .Ports(4)
  ) u_balance (
    .clk_i,
    .rst_ni,
    .grant_i(balance_grant_i),
    .done_i (balance_done_i),
    .may_o  (balance_may_o)
  );

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
    .write_o     (axil_write_o),
    .write_full_o(axil_write_full_o),
    .write_addr_o(axil_write_addr_o),
    .write_data_o(axil_write_data_o),
    .read_o      (axil_read_o),
    .read_addr_o (axil_read_addr_o),
    .read_data_i (axil_read_data_i)
  );
endmodule
