`include "tmv_formal.svh"

/// `tmv_control` resets the datapath only when nothing is in flight, keeps the first error until a soft reset, loses no
/// soft reset, and takes no error of one run into the next. Of several errors in a cycle it keeps the first in order.
///
/// The datapath is free, except that it shows no error in the cycle after its reset, has nothing to do after a restart
/// and stays quiet once it is halted and quiet. Unbounded.
module tmv_control_fv
  import tmv_axi_pkg::*;
#(
  parameter int unsigned Ports = 2
) (
  input logic                clk_i,
  input fault_t [Ports-1:0]  port_fault_i,
  input fault_t              frontend_fault_i,
  input fault_t              writer_fault_i,
  input logic                doorbell_fault_i,
  input logic         [15:0] doorbell_i,
  input logic                soft_reset_i,
  input logic                abort_i,
  input logic         [31:0] watchdog_i,
  input logic                busy_i,
  input logic                progress_i,
  input logic                quiet_i
);
  `TMV_FORMAL_RESET

  fault_t port_fault[Ports];
  logic halt, core_rst_n, restart, draining, error, error_event;
  logic [7:0] code;
  logic [3:0] source;
  addr_t addr;

  for (genvar p = 0; p < int'(Ports); p++) begin : gen_port
    assign port_fault[p] = port_fault_i[p];
  end

  tmv_control #(
    .Ports(Ports)
  ) u_control (
    .clk_i,
    .rst_ni,
    .port_fault_i    (port_fault),
    .frontend_fault_i,
    .writer_fault_i,
    .doorbell_fault_i,
    .doorbell_i,
    .soft_reset_i,
    .abort_i,
    .watchdog_i,
    .busy_i,
    .progress_i,
    .quiet_i,
    .halt_o          (halt),
    .core_rst_no     (core_rst_n),
    .restart_o       (restart),
    .draining_o      (draining),
    .error_o         (error),
    .error_event_o   (error_event),
    .code_o          (code),
    .source_o        (source),
    .addr_o          (addr)
  );

  // The cycle before, if there was one (`past_q`).
  logic past_q, halt_q, quiet_q, core_rst_nq, restart_q, draining_q, error_q, event_q, soft_reset_q;
  logic [7:0] code_q;
  logic [3:0] source_q;
  addr_t addr_q;

  always_ff @(posedge clk_i) begin
    past_q       <= rst_ni;
    halt_q       <= halt;
    quiet_q      <= quiet_i;
    core_rst_nq  <= core_rst_n;
    restart_q    <= restart;
    draining_q   <= draining;
    error_q      <= error;
    event_q      <= error_event;
    soft_reset_q <= soft_reset_i;
    code_q       <= code;
    source_q     <= source;
    addr_q       <= addr;
    if (!rst_ni) {halt_q, core_rst_nq, restart_q, draining_q, error_q, event_q, soft_reset_q} <= '0;
  end

  // A soft reset was requested and is not complete.
  logic asked_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) asked_q <= 1'b0;
    else asked_q <= (asked_q || soft_reset_i) && !(restart && !core_rst_n);
  end

  // An abort was requested, and the datapath is not reset yet.
  logic aborted_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) aborted_q <= 1'b0;
    else aborted_q <= (aborted_q || abort_i) && !(u_control.state_q == 2'd2 && !core_rst_n);
  end

  `TMV_ASSUME(AbortIsSoftReset, !abort_i || soft_reset_i)

  logic fault;

  always_comb begin
    fault = frontend_fault_i.valid || writer_fault_i.valid;
    for (int unsigned p = 0; p < Ports; p++) if (port_fault_i[p].valid) fault = 1'b1;
  end

  // The first error of a cycle. Order: front end, ports, writer, watchdog, doorbell. The last assignment wins.
  fault_t first, first_q;
  logic [3:0] first_source, first_source_q;

  always_comb begin
    first = u_control.watchdog_q ? fault_t'{valid: 1'b1, code: UnitErrorWatchdog, addr: '0}
        : fault_t'{valid: 1'b1, code: UnitErrorBadDoorbell, addr: addr_t'(doorbell_i)};
    first_source = UnitSourceFrontend;
    if (writer_fault_i.valid) begin
      first = writer_fault_i;
      first_source = UnitSourceWriter;
    end
    for (int unsigned p = 0; p < Ports; p++) begin
      if (port_fault_i[Ports-1-p].valid) begin
        first = port_fault_i[Ports-1-p];
        first_source = 4'(Ports - 1 - p);
      end
    end
    if (frontend_fault_i.valid) begin
      first = frontend_fault_i;
      first_source = UnitSourceFrontend;
    end
  end

  always_ff @(posedge clk_i) begin
    first_q        <= first;
    first_source_q <= first_source;
  end

  `TMV_ASSUME(ResetClearsFaults, core_rst_nq || !fault)
  `TMV_ASSUME(IdleAfterRestart, !restart_q || !(busy_i || doorbell_fault_i))
  `TMV_ASSUME(QuietStays, !(past_q && halt_q && quiet_q) || quiet_i)

  // A run begins without error, and nothing is pending while it lasts.
  `TMV_ASSERT(RunIsClean, halt || !(error || draining || restart || asked_q))
  `TMV_ASSERT(NoErrorOfTheRunBefore, !(error_event && past_q && draining_q))
  // The datapath is reset before a run, and only when nothing is in flight or after an abort.
  `TMV_ASSERT(ResetBeforeRun, !(past_q && halt_q && !halt) || !core_rst_nq)
  `TMV_ASSERT(ResetWhenQuiet, core_rst_n || !past_q || (halt && (quiet_i || aborted_q)))
  // The first error counts, and stays until a soft reset.
  `TMV_ASSERT(ErrorHalts, !(past_q && event_q) || (error && halt))
  `TMV_ASSERT(FirstOfTheCycle,
              !(past_q && event_q) || (code == first_q.code && source == first_source_q && addr == first_q.addr))
  `TMV_ASSERT(FirstErrorCounts,
              !(past_q && error_q && error) || (code == code_q && source == source_q && addr == addr_q))
  `TMV_ASSERT(ErrorStays, !(past_q && error_q) || error || restart_q)
  // Only a soft reset restarts, and no soft reset is lost: the unit halts, or is just completing a restart.
  `TMV_ASSERT(RestartWasAskedFor, !restart || asked_q)
  `TMV_ASSERT(SoftResetCounts, !(past_q && soft_reset_q) || halt || restart_q)

  // Helpers for the induction.
  `TMV_ASSERT(HelpAsked, u_control.soft_q == asked_q)
  `TMV_ASSERT(HelpHalted, !halt || error || asked_q)
  `TMV_ASSERT(HelpReset, u_control.state_q != 2'd2 || quiet_q || aborted_q)
  `TMV_ASSERT(HelpAbort, u_control.abort_q == aborted_q)
  `TMV_ASSERT(HelpCore, u_control.core_rst_q || u_control.state_q == 2'd2 || !past_q)

  logic error_seen_q, restart_seen_q;

  always_ff @(posedge clk_i) begin
    error_seen_q   <= rst_ni && (error_seen_q || error);
    restart_seen_q <= rst_ni && (restart_seen_q || (error_seen_q && restart));
  end

  `TMV_COVER(AbortWhileNoisy, restart && !quiet_i && aborted_q)
  `TMV_COVER(ErrorAfterSoftReset, restart_seen_q && error)
endmodule
