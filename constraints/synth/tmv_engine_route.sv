/// `tmv_engine` with few pins, so that it can be placed and routed: a chain of flip-flops in, parity out.
module tmv_engine_route
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  parameter int unsigned Lanes = 32,
  parameter int unsigned Vectors = 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic serial_i,
  output logic parity_o
);
  typedef struct packed {
    logic block_valid;
    block_t block;
    logic beat_valid;
    logic [Lanes-1:0] nz;
    logic [Lanes-1:0] neg;
    logic [Contexts-1:0] x_loaded;
    logic x_grant;
    logic x_valid;
    logic [Vectors-1:0][7:0][Lanes-1:0] x;
    logic result_ready;
  } inputs_t;

  typedef struct packed {
    logic block_ready;
    logic beat_ready;
    logic x_req;
    logic [x_addr_bits(256, 1)-1:0] x_addr;
    logic result_valid;
    logic [RowBlock-1:0][AccBits-1:0] result;
    slot_t result_slot;
    logic [3:0] result_token;
    logic result_last;
    logic result_done;
    logic [3:0] causes;
  } outputs_t;

  inputs_t in_q;
  outputs_t out, out_q;

  always_ff @(posedge clk_i) begin
    in_q     <= {in_q[$bits(inputs_t)-2:0], serial_i};
    out_q    <= out;
    parity_o <= ^out_q;
  end

  tmv_engine #(
    .Lanes  (Lanes),
    .Vectors(Vectors)
  ) u_engine (
    .clk_i,
    .rst_ni,
    .block_valid_i (in_q.block_valid),
    .block_ready_o (out.block_ready),
    .block_i       (in_q.block),
    .beat_valid_i  (in_q.beat_valid),
    .beat_ready_o  (out.beat_ready),
    .nz_i          ('{in_q.nz}),
    .neg_i         ('{in_q.neg}),
    .x_loaded_i    (in_q.x_loaded),
    .x_req_o       (out.x_req),
    .x_grant_i     (in_q.x_grant),
    .x_addr_o      (out.x_addr),
    .x_valid_i     (in_q.x_valid),
    .x_i           (in_q.x),
    .result_valid_o(out.result_valid),
    .result_ready_i(in_q.result_ready),
    .result_o      (out.result),
    .result_slot_o (out.result_slot),
    .result_token_o(out.result_token),
    .result_last_o (out.result_last),
    .result_done_o (out.result_done),
    .busy_o        (out.causes[0]),
    .stall_data_o  (out.causes[1]),
    .stall_x_o     (out.causes[2]),
    .stall_result_o(out.causes[3])
  );
endmodule
