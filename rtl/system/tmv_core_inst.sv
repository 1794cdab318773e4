`include "tmv_macros.svh"

/// Leads the core's requests for instructions to on-chip memory. Elsewhere there are none: such an access is an error. One request
/// at a time; the next one is taken with the last answer before it, so a word a cycle is read.
///
/// `rsp_o` follows the answers of the memory, and its requests follow `req_i`, in the same cycle.
module tmv_core_inst
  import tmv_sys_pkg::*;
#(
  /// Size of the on-chip memory in words.
  parameter int unsigned RamWords = 16384
) (
  input  logic     clk_i,
  input  logic     rst_ni,
  /// The core's bus for instructions; only reads.
  input  bus_req_t req_i,
  output bus_rsp_t rsp_o,
  /// An access is in progress.
  output logic     busy_o,
  /// The memory.
  output bus_req_t ram_req_o,
  input  bus_rsp_t ram_rsp_i
);
  logic busy_q, none_q, open, in_ram;
  logic [2:0] left_q;

  assign in_ram = target_of(req_i.addr, RamWords) == TargetRam;
  assign busy_o = busy_q;
  assign open   = !busy_q || (none_q || ram_rsp_i.valid) && left_q == '0;

  always_comb begin
    ram_req_o       = req_i;
    ram_req_o.valid = req_i.valid && in_ram && open;
    rsp_o           = none_q ? '{ready: 1'b0, valid: 1'b1, error: 1'b1, rdata: '0} : ram_rsp_i;
    rsp_o.valid &= busy_q;
    // The memory is ready with its last answer.
    rsp_o.ready = open;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) busy_q <= 1'b0;
    else if (req_i.valid && rsp_o.ready) busy_q <= 1'b1;
    else if (rsp_o.valid && left_q == '0) busy_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (req_i.valid && rsp_o.ready) begin
      none_q <= !in_ram;
      left_q <= req_i.len;
    end else if (rsp_o.valid) begin
      left_q <= left_q - 3'd1;
    end
  end

  `TMV_ASSERT_IF(MemoryIsReady, ram_req_o.valid, ram_rsp_i.ready)
endmodule
