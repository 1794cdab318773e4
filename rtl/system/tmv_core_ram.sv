`include "tmv_macros.svh"

/// On-chip memory of the core, with a port for instructions and one for data. A word a cycle and port; the first word
/// comes in the cycle after the request. No combinational path. The content at power-up is not defined.
///
/// It does not check addresses: bits above the memory are dropped.
module tmv_core_ram
  import tmv_sys_pkg::*;
#(
  /// Size in words of 32 bits, a power of two.
  parameter int unsigned Words = 16384
) (
  input  logic     clk_i,
  input  logic     rst_ni,
  /// Instructions; only reads.
  input  bus_req_t inst_req_i,
  output bus_rsp_t inst_rsp_o,
  /// Data.
  input  bus_req_t data_req_i,
  input  logic [31:0] data_wdata_i,
  output bus_rsp_t data_rsp_o
);
  localparam int unsigned IndexBits = $clog2(Words);
  typedef logic [IndexBits-1:0] index_t;

  logic [31:0] mem_q[Words];

  // Two ports of the same kind: the address of the next word, the words that follow, and an answer in this cycle.
  index_t [1:0] next_q, index;
  logic [1:0][2:0] left_q;
  logic [1:0] valid_q, ready, take, more;
  bus_req_t [1:0] req;

  assign req = {data_req_i, inst_req_i};

  for (genvar i = 0; i < 2; i++) begin : gen_port
    assign more[i]  = valid_q[i] && left_q[i] != '0;
    assign ready[i] = !more[i];
    assign take[i]  = req[i].valid && ready[i];
    assign index[i] = more[i] ? next_q[i] : req[i].addr[2+:IndexBits];

    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_q[i] <= 1'b0;
      else valid_q[i] <= take[i] || more[i];
    end

    always_ff @(posedge clk_i) begin
      if (take[i] || more[i]) next_q[i] <= index[i] + index_t'(1);
      if (take[i]) left_q[i] <= req[i].write ? '0 : req[i].len;
      else if (more[i]) left_q[i] <= left_q[i] - 3'd1;
    end
  end

  logic [1:0][31:0] rdata_q;

  always_ff @(posedge clk_i) if (take[0] || more[0]) rdata_q[0] <= mem_q[index[0]];

  always_ff @(posedge clk_i) begin
    if (take[1] && req[1].write) begin
      for (int unsigned b = 0; b < 4; b++) begin
        if (req[1].strb[b]) mem_q[index[1]][8*b+:8] <= data_wdata_i[8*b+:8];
      end
    end
    if (take[1] || more[1]) rdata_q[1] <= mem_q[index[1]];
  end

  assign inst_rsp_o = '{ready: ready[0], valid: valid_q[0], error: 1'b0, rdata: rdata_q[0]};
  assign data_rsp_o = '{ready: ready[1], valid: valid_q[1], error: 1'b0, rdata: rdata_q[1]};

  `TMV_REQUIRE(words, Words >= 64 && Words == 1 << IndexBits, "Words must be a power of two, at least 64")
  `TMV_ASSERT(InstructionsAreRead, !(inst_req_i.valid && inst_req_i.write))
  `TMV_ASSERT(WritesAreOneWord, !(data_req_i.valid && data_req_i.write && data_req_i.len != '0))
endmodule
