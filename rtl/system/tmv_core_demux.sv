`include "tmv_macros.svh"

/// Leads the core's data bus to its targets by address, and answers an access to no target with an error. One request
/// at a time. Registers wait until all writes to memory are complete, so a doorbell never overtakes data.
///
/// `rsp_o` follows the answers of the targets, and the requests to the targets follow `req_i`, in the same cycle.
module tmv_core_demux
  import tmv_sys_pkg::*;
#(
  /// Size of the on-chip memory in words.
  parameter int unsigned RamWords = 16384
) (
  input  logic     clk_i,
  input  logic     rst_ni,
  /// The core's bus.
  input  bus_req_t req_i,
  output bus_rsp_t rsp_o,
  /// No write to memory is in flight.
  input  logic     quiet_i,
  /// No access is in progress.
  output logic     idle_o,
  /// An access was answered with an error, for one cycle, and its address.
  output logic     fault_o,
  output logic [31:0] fault_addr_o,
  /// The targets.
  output bus_req_t ram_req_o,
  input  bus_rsp_t ram_rsp_i,
  output bus_req_t window_req_o,
  input  bus_rsp_t window_rsp_i,
  output bus_req_t unit_req_o,
  input  bus_rsp_t unit_rsp_i,
  output bus_req_t regs_req_o,
  input  bus_rsp_t regs_rsp_i
);
  target_e target, target_q;
  logic busy_q, open, last;
  logic [2:0] left_q;
  bus_rsp_t rsp;

  assign target = target_of(req_i.addr, RamWords);
  // A request goes out when no answer is due, or with the last answer before it.
  assign last   = busy_q && rsp.valid && left_q == '0;
  assign open   = !busy_q || last;
  assign idle_o = !busy_q;
  // A core can ignore errors of its bus, as VexRiscv does.
  assign fault_o = rsp_o.valid && rsp_o.error;

  always_comb begin
    ram_req_o    = req_i;
    window_req_o = req_i;
    unit_req_o   = req_i;
    regs_req_o   = req_i;
    ram_req_o.valid    = req_i.valid && open && target == TargetRam;
    window_req_o.valid = req_i.valid && open && target == TargetWindow;
    unit_req_o.valid   = req_i.valid && open && target == TargetUnit && quiet_i;
    regs_req_o.valid   = req_i.valid && open && target == TargetRegs && quiet_i;
  end

  // The answers of the target of the request in progress.
  always_comb begin
    unique case (target_q)
      TargetRam:    rsp = ram_rsp_i;
      TargetWindow: rsp = window_rsp_i;
      TargetUnit:   rsp = unit_rsp_i;
      TargetRegs:   rsp = regs_rsp_i;
      default:      rsp = '{ready: 1'b0, valid: 1'b1, error: 1'b1, rdata: '0};
    endcase
  end

  // A block of its own: what follows depends on `open`, and `open` on the answers.
  always_comb begin
    rsp_o = rsp;
    rsp_o.valid = rsp.valid && busy_q;
    unique case (target)
      TargetRam:    rsp_o.ready = ram_rsp_i.ready;
      TargetWindow: rsp_o.ready = window_rsp_i.ready;
      TargetUnit:   rsp_o.ready = unit_rsp_i.ready && quiet_i;
      TargetRegs:   rsp_o.ready = regs_rsp_i.ready && quiet_i;
      default:      rsp_o.ready = 1'b1;
    endcase
    rsp_o.ready &= open;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) busy_q <= 1'b0;
    else if (req_i.valid && rsp_o.ready) busy_q <= 1'b1;
    else if (last) busy_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (req_i.valid && rsp_o.ready) begin
      target_q     <= target;
      fault_addr_o <= req_i.addr;
      left_q       <= req_i.write ? '0 : req_i.len;
    end else if (rsp_o.valid) begin
      left_q <= left_q - 3'd1;
    end
  end

  `TMV_COVER(RegisterWaitsForWrites, req_i.valid && target inside {TargetUnit, TargetRegs} && !quiet_i)
  `TMV_COVER(NoTarget, req_i.valid && target == TargetNone)
endmodule
