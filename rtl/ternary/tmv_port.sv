/// One read port: bursts of weights, their queue, and dot engine. Takes row blocks, delivers accumulators. Takes blocks of
/// columns, keeps their sums.
///
/// Takes a block when all beats of the block before are requested and the engine has room for it. So requests run ahead
/// of the engine, by the beats of the queue at most. Throughput one beat a cycle. Checks beats as they arrive, while
/// their address is known. Counts cycles by their use. No combinational path from an input to an output.
module tmv_port
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Activation vectors.
  parameter  int unsigned Vectors = 4,
  /// Weight codec, see `tmv_decode`.
  parameter  int unsigned Codec = CodecWeights2b,
  /// Words of an activation bank, a power of two, at least 2.
  parameter  int unsigned BankWords = DefaultBankWords,
  /// Groups of vectors, a power of two.
  parameter  int unsigned Groups = 1,
  /// Beats of the weight queue, a power of two, at least 32.
  parameter  int unsigned FifoBeats = 512,
  /// Bursts in flight, a power of two, at least 2.
  parameter  int unsigned Outstanding = 8,
  /// 1: operators may read columns.
  parameter  int unsigned Columns = 1,
  /// 1: weights that wait and sums of columns in UltraRAM; 0: in block RAM.
  parameter  int unsigned UltraRam = 0,
  localparam int unsigned Lanes = lanes_of(Codec, PortBits),
  localparam int unsigned WordAddrBits = x_addr_bits(BankWords, Groups)
) (
  input  logic                                              clk_i,
  input  logic                                              rst_ni,
  /// No new burst starts while `halt_i` is high. `quiet_o`: no burst is requested or in flight.
  input  logic                                              halt_i,
  output logic                                              quiet_o,
  /// Dispatcher: the port can take a block; `grant_i` gives it the block, with its address; it is done with a block.
  output logic                                              free_o,
  input  logic                                              grant_i,
  output logic                                              done_o,
  input  block_t                                            block_i,
  input  addr_t                                             block_addr_i,
  /// Of a block of single rows: `block_addr_i` is the address of its next row; no more rows come.
  input  logic                                              row_i,
  input  logic                                              row_end_i,
  /// Activation of the column whose address it is.
  input  activation_t                                       value_i,
  /// Read channels; R is always ready.
  output logic                                              ar_valid_o,
  input  logic                                              ar_ready_i,
  /// An address that was taken is still on its way to the memory.
  input  logic                                              ar_held_i,
  output ar_t                                               ar_o,
  input  logic                                              r_valid_i,
  input  logic   [PortBits-1:0]                             r_data_i,
  input  r_t                                                r_i,
  /// Activation memory, see `tmv_engine`.
  input  logic   [Contexts-1:0]                             x_loaded_i,
  output logic                                              x_req_o,
  input  logic                                              x_grant_i,
  output logic   [WordAddrBits-1:0]                         x_addr_o,
  input  logic                                              x_valid_i,
  input  logic   [Vectors-1:0][7:0][Lanes-1:0]              x_i,
  /// Results, see `tmv_engine`.
  output logic                                              result_valid_o,
  input  logic                                              result_ready_i,
  output logic   [RowBlock-1:0][AccBits-1:0]                result_o,
  output slot_t                                             result_slot_o,
  output logic   [3:0]                                      result_token_o,
  output logic                                              result_last_o,
  output logic                                              result_done_o,
  /// Sums of columns, see `tmv_column_engine`.
  input  logic                                              columns_active_i,
  input  logic                                              columns_start_i,
  output logic                                              columns_idle_o,
  input  logic                                              columns_read_i,
  input  column_sum_index_t                                        columns_index_i,
  output logic   [PortBits/8-1:0][ColumnSumBits-1:0]              columns_sums_o,
  /// An error, two cycles after its beat; stays until reset.
  output fault_t                                            fault_o,
  /// A beat of weights meets a word of activations.
  output logic                                              busy_o,
  /// Performance counters, and the bursts that are outstanding: `count_o` is number `count_index_i`, in the order of
  /// the register map, a cycle after `count_read_i`.
  input  logic                                              count_clear_i,
  input  logic                                              count_read_i,
  input  logic   [2:0]                                      count_index_i,
  output logic   [31:0]                                     count_o
);
  logic cmd_ready, block_ready, r_taken, beat_valid, beat_ready, illegal, stall_data, stall_x, stall_result;
  logic reader_busy, cmd_valid;
  logic column_take, column_first_word, column_last_word;
  logic [$clog2(RowBlock)-1:0] column;
  logic [Lanes/slices_of(Lanes)-1:0] nz[slices_of(Lanes)], neg[slices_of(Lanes)];
  addr_t cmd_addr;
  beats_t cmd_beats;
  logic [$clog2(Outstanding):0] inflight;
  logic [$clog2(FifoBeats):0] free_beats;
  logic [PortBits-1:0] beat;
  bus_fault_t stream_fault;

  assign free_o = block_ready && !reader_busy;

  tmv_weight_check #(
    .Codec(Codec),
    .PortBits(PortBits)
  ) u_check (
    .beat_i   (r_data_i),
    .illegal_o(illegal)
  );

  tmv_row_reader #(
    .PortBits(PortBits),
    .FifoBeats(FifoBeats)
  ) u_row_reader (
    .clk_i,
    .rst_ni,
    .start_i    (grant_i),
    .rows_i     (block_i.rows),
    .last_word_i(block_i.last_word),
    .addr_i     (block_addr_i),
    .row_valid_i(row_i),
    .end_i      (row_end_i),
    .busy_o     (reader_busy),
    .cmd_valid_o(cmd_valid),
    .cmd_ready_i(cmd_ready),
    .cmd_addr_o (cmd_addr),
    .cmd_beats_o(cmd_beats)
  );

  tmv_read_bursts #(
    .PortBits(PortBits),
    .FifoBeats(FifoBeats),
    .Outstanding(Outstanding)
  ) u_bursts (
    .clk_i,
    .rst_ni,
    .halt_i,
    .inflight_o  (inflight),
    .quiet_o,
    .cmd_valid_i (cmd_valid),
    .cmd_ready_o (cmd_ready),
    .cmd_addr_i  (cmd_addr),
    .cmd_beats_i (cmd_beats),
    .ar_valid_o,
    .ar_ready_i,
    .ar_held_i,
    .ar_o,
    .r_valid_i,
    .r_i,
    .r_taken_o   (r_taken),
    .r_illegal_i (illegal),
    .free_beats_i(free_beats),
    .fault_o     (stream_fault)
  );

  tmv_weight_queue #(
    .PortBits(PortBits),
    .FifoBeats(FifoBeats),
    .UltraRam(UltraRam)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .block_valid_i    (grant_i),
    .block_rows_i     (block_i.rows),
    .block_last_word_i(block_i.last_word),
    .write_i          (r_taken),
    .beat_i           (r_data_i),
    .beat_valid_o     (beat_valid),
    .beat_ready_i     (beat_ready),
    .beat_o           (beat),
    .free_beats_o     (free_beats)
  );

  // A register, because the check of a beat and the choice of the first error do not fit one cycle. The error stays:
  // the datapath is reset after every error.
  always_ff @(posedge clk_i) begin
    if (stream_fault.valid) fault_o <= fault_t'(stream_fault);
    if (!rst_ni) fault_o.valid <= 1'b0;
  end

  tmv_engine #(
    .Codec(Codec),
    .PortBits(PortBits),
    .Vectors(Vectors),
    .BankWords(BankWords),
    .Groups(Groups)
  ) u_engine (
    .clk_i,
    .rst_ni,
    .block_valid_i(grant_i),
    .block_ready_o(block_ready),
    .block_i,
    .beat_valid_i (beat_valid),
    .beat_ready_o (beat_ready),
    .beat_i       (beat),
    .x_loaded_i,
    .x_req_o,
    .x_grant_i,
    .x_addr_o,
    .x_valid_i,
    .x_i,
    .result_valid_o,
    .result_ready_i,
    .result_o,
    .result_slot_o,
    .result_token_o,
    .result_last_o,
    .result_done_o,
    .column_take_o      (column_take),
    .column_o           (column),
    .column_first_word_o(column_first_word),
    .column_last_word_o (column_last_word),
    .nz_o               (nz),
    .neg_o              (neg),
    .block_done_o  (done_o),
    .busy_o,
    .stall_data_o  (stall_data),
    .stall_x_o     (stall_x),
    .stall_result_o(stall_result)
  );

  if (Columns != 0) begin : gen_columns
    // Rows of a block of rows are not columns.
    logic open_q;

    always_ff @(posedge clk_i) if (grant_i) open_q <= block_i.columns;

    tmv_column_engine #(
      .Codec(Codec),
      .PortBits(PortBits),
      .UltraRam(UltraRam)
    ) u_columns (
      .clk_i,
      .rst_ni,
      .active_i     (columns_active_i),
      .start_i      (columns_start_i),
      .block_i      (grant_i && block_i.columns),
      .column_i     (row_i && open_q),
      .value_i,
      .take_i       (column_take),
      .take_column_i(column),
      .take_first_i (column_first_word),
      .take_last_i  (column_last_word),
      .nz_i         (nz),
      .neg_i        (neg),
      .idle_o       (columns_idle_o),
      .read_i       (columns_read_i),
      .read_index_i (columns_index_i),
      .sums_o       (columns_sums_o)
    );
  end else begin : gen_no_columns
    assign columns_idle_o = 1'b1;
    assign columns_sums_o = '0;
  end

  logic [31:0] busy_q, stall_data_q, stall_x_q, stall_result_q, beats_q, bursts_q;

  always_ff @(posedge clk_i) begin
    if (count_read_i) begin
      unique case (count_index_i)
        3'd0:    count_o <= busy_q;
        3'd1:    count_o <= stall_data_q;
        3'd2:    count_o <= stall_x_q;
        3'd3:    count_o <= stall_result_q;
        3'd4:    count_o <= beats_q;
        3'd5:    count_o <= bursts_q;
        default: count_o <= 32'(inflight);
      endcase
    end
    if (busy_o) busy_q <= busy_q + 1'b1;
    else if (stall_data) stall_data_q <= stall_data_q + 1'b1;
    else if (stall_x) stall_x_q <= stall_x_q + 1'b1;
    else if (stall_result) stall_result_q <= stall_result_q + 1'b1;
    if (r_taken) beats_q <= beats_q + 1'b1;
    if (ar_valid_o && ar_ready_i) bursts_q <= bursts_q + 1'b1;
    if (count_clear_i) begin
      busy_q         <= '0;
      stall_data_q   <= '0;
      stall_x_q      <= '0;
      stall_result_q <= '0;
      beats_q        <= '0;
      bursts_q       <= '0;
    end
  end
endmodule
