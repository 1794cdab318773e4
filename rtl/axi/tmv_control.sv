`include "tmv_macros.svh"

/// Error latch, drain and reset of the datapath.
///
/// An error or a soft reset halts the datapath: no new burst starts, bursts in flight are completed, then the datapath
/// is in reset for one cycle. After an error the unit stays halted, with code, source and address of the error held,
/// until a soft reset. After a soft reset the unit runs again. Does not record errors while halted: the first counts.
/// An abort is a soft reset that does not wait for bursts in flight, for a slave that never answers.
///
/// Combinational: errors to `error_event_o`.
///
///          error or soft reset     quiet or abort     soft reset
///   Run ------------------------> Drain -----> Reset ------------> Run
///                                   ^            | error
///                        soft reset |            v
///                                   +--------- Halted
module tmv_control
  import tmv_axi_pkg::*;
#(
  /// Ports, 1 to 14.
  parameter int unsigned Ports = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  /// Errors. The first of a cycle counts: front end, ports from 0 on, writer, watchdog, doorbell.
  input  fault_t             port_fault_i[Ports],
  input  fault_t             frontend_fault_i,
  input  fault_t             writer_fault_i,
  /// A doorbell was refused: the value that was written.
  input  logic               doorbell_fault_i,
  input  logic   [     15:0] doorbell_i,
  /// Soft reset requested, for one cycle; as an abort.
  input  logic               soft_reset_i,
  input  logic               abort_i,
  /// Watchdog: limit in cycles, 0 = off; the unit is busy; some AXI channel or engine makes progress.
  input  logic   [     31:0] watchdog_i,
  input  logic               busy_i,
  input  logic               progress_i,
  /// No burst is open or in flight anywhere.
  input  logic               quiet_i,
  /// No new bursts.
  output logic               halt_o,
  /// Reset of the datapath, active low: a register, low from power-up on, because it drives the whole datapath.
  output logic               core_rst_no,
  /// The ring restarts: a soft reset completed.
  output logic               restart_o,
  /// Status: drain or reset in progress; an error is held, is latched in this cycle; code, source, address.
  output logic               draining_o,
  output logic               error_o,
  output logic               error_event_o,
  output logic   [      7:0] code_o,
  output logic   [      3:0] source_o,
  output addr_t              addr_o
);
  typedef enum logic [1:0] {
    Run,
    Drain,
    Reset,
    Halted
  } state_e;

  state_e state_q;
  logic soft_q, abort_q, core_rst_q;

  initial core_rst_q = 1'b0;

  localparam fault_t WatchdogFault = '{valid: 1'b1, code: UnitErrorWatchdog, addr: '0};

  fault_t doorbell_fault;
  assign doorbell_fault = '{valid: 1'b1, code: UnitErrorBadDoorbell, addr: addr_t'(doorbell_i)};

  logic any_fault;
  logic [31:0] idle_cycles_q;
  logic watchdog_q;

  always_comb begin
    any_fault = frontend_fault_i.valid || writer_fault_i.valid || watchdog_q || doorbell_fault_i;
    for (int unsigned p = 0; p < Ports; p++) any_fault |= port_fault_i[p].valid;
  end

  assign error_event_o = any_fault && state_q == Run;
  assign halt_o        = state_q != Run;
  assign draining_o    = state_q == Drain || state_q == Reset;
  assign restart_o     = state_q == Reset && soft_q;
  assign core_rst_no   = core_rst_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q       <= Run;
      soft_q        <= 1'b0;
      abort_q       <= 1'b0;
      error_o       <= 1'b0;
      code_o        <= UnitErrorNone;
      source_o      <= '0;
      addr_o        <= '0;
      idle_cycles_q <= '0;
      watchdog_q    <= 1'b0;
      core_rst_q    <= 1'b0;
    end else begin
      core_rst_q    <= state_q != Reset || !core_rst_q;
      watchdog_q    <= watchdog_i != '0 && idle_cycles_q >= watchdog_i;
      idle_cycles_q <= (busy_i && !progress_i && state_q == Run) ? idle_cycles_q + 1'b1 : '0;
      if (error_event_o) begin
        // Each error is gated by those before it, then all are ORed. A chain of choices has more levels.
        automatic fault_t fault = '0;
        automatic logic [3:0] source = '0;
        automatic logic earlier = frontend_fault_i.valid;
        if (frontend_fault_i.valid) begin
          fault |= frontend_fault_i;
          source |= UnitSourceFrontend;
        end
        for (int unsigned p = 0; p < Ports; p++) begin
          if (port_fault_i[p].valid && !earlier) begin
            fault |= port_fault_i[p];
            source |= 4'(p);
          end
          earlier |= port_fault_i[p].valid;
        end
        if (writer_fault_i.valid && !earlier) begin
          fault |= writer_fault_i;
          source |= UnitSourceWriter;
        end
        earlier |= writer_fault_i.valid;
        if (watchdog_q && !earlier) begin
          fault |= WatchdogFault;
          source |= UnitSourceFrontend;
        end
        if (doorbell_fault_i && !earlier && !watchdog_q) begin
          fault |= doorbell_fault;
          source |= UnitSourceFrontend;
        end
        error_o  <= 1'b1;
        code_o   <= fault.code;
        source_o <= source;
        addr_o   <= fault.addr;
      end
      if (soft_reset_i) soft_q <= 1'b1;
      if (abort_i) abort_q <= 1'b1;
      unique case (state_q)
        Run:     if (any_fault || soft_reset_i) state_q <= Drain;
        Drain:   if (quiet_i || abort_q) state_q <= Reset;
        // Until the datapath is in reset: errors that it still shows belong to the run before.
        Reset:   if (!core_rst_q) begin
          state_q <= soft_q ? Run : Halted;
          abort_q <= 1'b0;
          if (soft_q) begin
            soft_q   <= 1'b0;
            error_o  <= 1'b0;
            code_o   <= UnitErrorNone;
            source_o <= '0;
            addr_o   <= '0;
          end
        end
        Halted:  if (soft_q) state_q <= Drain;
      endcase
    end
  end

  `TMV_REQUIRE(ports, Ports >= 1 && Ports <= 32'(UnitSourceWriter), "tmv_control: a port would have the writer's number")
  `TMV_COVER(WatchdogBites, state_q == Run && watchdog_q)
  `TMV_COVER(TwoFaultsAtOnce, state_q == Run && Ports > 1 && port_fault_i[0].valid && port_fault_i[Ports-1].valid)
  `TMV_COVER(FaultWhileDraining, state_q == Drain && any_fault)
  `TMV_COVER(SoftResetWhileBusy, state_q == Run && soft_reset_i && busy_i)
  `TMV_COVER(SoftResetWhileDraining, state_q == Drain && soft_reset_i)
  `TMV_COVER(SoftResetWithFault, state_q == Run && soft_reset_i && any_fault)
  `TMV_COVER(DrainTakesTime, state_q == Drain && !quiet_i)
  `TMV_COVER(AbortCutsDrain, state_q == Drain && !quiet_i && abort_q)
endmodule
