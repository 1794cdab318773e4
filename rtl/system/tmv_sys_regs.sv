`include "tmv_macros.svh"

/// Registers of the sequencer, which the host and the core see. `docs/sequencer-registers.md` defines them.
///
/// A refused access of the host changes nothing, reads zero and sets BAD_ACCESS. A refused access of the core is an
/// error of its access. The core's answer comes in the cycle after its request.
module tmv_sys_regs
  import tmv_sys_pkg::*;
  import tmv_sys_reg_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  /// Value of PARAM; constant.
  input  logic [31:0] param_i,
  /// The host's accesses, as `tmv_axil_slave` gives them.
  input  logic        write_i,
  input  logic        write_full_i,
  input  logic [11:0] write_addr_i,
  input  logic [31:0] write_data_i,
  input  logic        read_i,
  input  logic [11:0] read_addr_i,
  output logic [31:0] read_data_o,
  /// The core's bus; reads of one word only.
  input  bus_req_t    req_i,
  input  logic [31:0] wdata_i,
  output bus_rsp_t    rsp_o,
  /// CONTROL.RUN, and whether the core is out of reset or an access of it is not complete.
  output logic        run_o,
  input  logic        busy_i,
  /// WINDOW.
  output logic [ 9:0] window_o,
  /// A write of on-chip memory by the host, for one cycle: byte address and word.
  output logic        ram_write_o,
  output logic [31:0] ram_addr_o,
  output logic [31:0] ram_data_o,
  /// Level of the ternary unit's interrupt.
  input  logic        unit_irq_i,
  input  logic        vector_irq_i,
  /// The memory answered a write with an error, or an answer belongs to no burst; for one cycle.
  input  logic        memory_fault_i,
  /// An access of the core was answered with an error, for one cycle, and its address.
  input  logic        core_fault_i,
  input  logic [31:0] fault_addr_i,
  /// Interrupt to the host.
  output logic        irq_o
);
  logic run_q, job_q, done_q, bad_access_q, memory_fault_q, core_fault_q;
  logic [ 9:0] window_q;
  logic [31:0] ram_addr_q, job_addr_q, result_q, trap_cause_q, trap_pc_q, trap_value_q, fault_addr_q;
  logic [63:0] cycle_q;

  /// The value of a register, and whether it exists.
  function automatic logic [32:0] value(logic [11:0] offset);
    unique case (offset)
      IdOffset:        return {1'b1, IdValue};
      VersionOffset:   return {1'b1, MapVersion};
      MapHashOffset:   return {1'b1, MapHash};
      ParamOffset:     return {1'b1, param_i};
      ControlOffset:   return {1'b1, 31'b0, run_q};
      StatusOffset:    return {1'b1, 28'b0, vector_irq_i, unit_irq_i, job_q, busy_i};
      IrqStatusOffset: return {1'b1, 28'b0, core_fault_q, memory_fault_q, bad_access_q, done_q};
      WindowOffset:    return {1'b1, 22'b0, window_q};
      RamAddrOffset:   return {1'b1, ram_addr_q};
      RamDataOffset:   return {1'b1, 32'b0};
      JobOffset:       return {1'b1, job_addr_q};
      ResultOffset:    return {1'b1, result_q};
      TrapCauseOffset: return {1'b1, trap_cause_q};
      TrapPcOffset:    return {1'b1, trap_pc_q};
      TrapValueOffset: return {1'b1, trap_value_q};
      FaultAddrOffset: return {1'b1, fault_addr_q};
      CycleLoOffset:   return {1'b1, cycle_q[31:0]};
      CycleHiOffset:   return {1'b1, cycle_q[63:32]};
      default:         return '0;
    endcase
  endfunction

  // The host's writes.
  logic refused, host_write, clear;

  always_comb begin
    unique case (write_addr_i)
      ControlOffset:   refused = |(write_data_i & ~ControlBits);
      IrqStatusOffset: refused = |(write_data_i & ~IrqStatusBits);
      WindowOffset:    refused = run_q || busy_i || |(write_data_i & ~WindowBits);
      RamAddrOffset:   refused = |write_data_i[1:0];
      RamDataOffset:   refused = run_q || busy_i;
      JobOffset:       refused = job_q || !run_q;
      default:         refused = 1'b1;
    endcase
    refused |= !write_full_i;
  end
  assign host_write = write_i && !refused;
  assign clear      = host_write && write_addr_i == IrqStatusOffset;

  // The core's accesses. An answer is due in the cycle after the request.
  logic core_write, core_writes, valid_q, error_q;
  logic [31:0] rdata_q;
  logic [11:0] core_offset;

  assign core_offset = req_i.addr[11:0];
  assign core_writes =
      core_offset inside {ResultOffset, TrapCauseOffset, TrapPcOffset, TrapValueOffset} && req_i.strb == '1;
  assign core_write = req_i.valid && rsp_o.ready && req_i.write && core_writes;
  assign rsp_o      = '{ready: !valid_q, valid: valid_q, error: error_q, rdata: rdata_q};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= req_i.valid && rsp_o.ready;
  end

  always_ff @(posedge clk_i) begin
    if (req_i.valid) begin
      {error_q, rdata_q} <= value(core_offset) ^ {1'b1, 32'b0};
      if (req_i.write) error_q <= !core_writes;
    end
  end

  // The host's reads.
  logic bad_read_q, known_q;

  // The answer has two cycles. BAD_ACCESS follows in the cycle after.
  always_ff @(posedge clk_i) begin
    if (read_i) {known_q, read_data_o} <= value(read_addr_i);
  end
  always_ff @(posedge clk_i) bad_read_q <= rst_ni && read_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      run_q         <= 1'b0;
      job_q         <= 1'b0;
      done_q        <= 1'b0;
      bad_access_q  <= 1'b0;
      memory_fault_q <= 1'b0;
      core_fault_q  <= 1'b0;
      fault_addr_q  <= '0;
      cycle_q       <= '0;
      window_q      <= '0;
      ram_addr_q    <= '0;
      job_addr_q    <= '0;
      result_q      <= '0;
      trap_cause_q  <= '0;
      trap_pc_q     <= '0;
      trap_value_q  <= '0;
    end else begin
      cycle_q <= cycle_q + 64'd1;
      // What happens in the cycle of its clearing stays pending.
      if (clear) begin
        done_q        <= done_q && !write_data_i[IrqStatusDoneLsb];
        bad_access_q  <= bad_access_q && !write_data_i[IrqStatusBadAccessLsb];
        memory_fault_q <= memory_fault_q && !write_data_i[IrqStatusMemoryFaultLsb];
        core_fault_q  <= core_fault_q && !write_data_i[IrqStatusCoreFaultLsb];
      end
      if (write_i && refused || bad_read_q && !known_q) bad_access_q <= 1'b1;
      if (memory_fault_i) memory_fault_q <= 1'b1;
      if (core_fault_i) core_fault_q <= 1'b1;
      if (core_fault_i && (!core_fault_q || clear && write_data_i[IrqStatusCoreFaultLsb])) fault_addr_q <= fault_addr_i;
      if (host_write && write_addr_i == ControlOffset) run_q <= write_data_i[ControlRunLsb];
      if (host_write && write_addr_i == WindowOffset) window_q <= write_data_i[9:0];
      if (host_write && write_addr_i == RamAddrOffset) ram_addr_q <= write_data_i;
      else if (ram_write_o) ram_addr_q <= ram_addr_q + 32'd4;
      if (host_write && write_addr_i == JobOffset) begin
        job_q      <= 1'b1;
        job_addr_q <= write_data_i;
      end else if (!run_q) begin
        job_q <= 1'b0;
      end
      if (core_write) begin
        unique case (core_offset)
          TrapCauseOffset: trap_cause_q <= wdata_i;
          TrapPcOffset:    trap_pc_q <= wdata_i;
          TrapValueOffset: trap_value_q <= wdata_i;
          default: begin
            result_q <= wdata_i;
            job_q    <= 1'b0;
            done_q   <= 1'b1;
          end
        endcase
      end
    end
  end

  assign ram_write_o = host_write && write_addr_i == RamDataOffset;
  assign ram_addr_o  = ram_addr_q;
  assign ram_data_o  = write_data_i;
  assign run_o       = run_q;
  assign window_o    = window_q;
  assign irq_o       = done_q || bad_access_q || memory_fault_q || core_fault_q;

  `TMV_ASSERT(OneWord, !(req_i.valid && req_i.len != '0))
  `TMV_COVER(ClearedInTheCycleOfDone, core_write && clear)
endmodule
