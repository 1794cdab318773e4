/// Registers that every unit has, at the same places: identity, control, status, ring, interrupts, cycles. `tmv_csr` is
/// built of them. The map of each unit has the same constants: `sim/register_map/tests` compares them.
package tmv_csr_pkg;
  localparam logic [11:0] IdOffset = 12'h000;
  localparam logic [11:0] VersionOffset = 12'h004;
  localparam logic [11:0] MapHashOffset = 12'h008;
  localparam logic [11:0] Param0Offset = 12'h00c;
  localparam logic [11:0] Param1Offset = 12'h010;
  localparam logic [11:0] ControlOffset = 12'h014;
  localparam logic [31:0] ControlBits = 32'h00000007;
  localparam int unsigned ControlSoftResetLsb = 0;
  localparam int unsigned ControlClearCountersLsb = 1;
  localparam int unsigned ControlAbortLsb = 2;
  localparam logic [11:0] StatusOffset = 12'h018;
  localparam int unsigned StatusBusyLsb = 0;
  localparam int unsigned StatusErrorLsb = 1;
  localparam int unsigned StatusDrainingLsb = 2;
  localparam int unsigned StatusWriteBurstsLsb = 16;
  localparam logic [11:0] ErrorOffset = 12'h01c;
  localparam int unsigned ErrorCodeLsb = 0;
  localparam int unsigned ErrorSourceLsb = 8;
  localparam logic [11:0] ErrorAddrLoOffset = 12'h020;
  localparam logic [11:0] ErrorAddrHiOffset = 12'h024;
  localparam logic [11:0] AccessErrorOffset = 12'h028;
  localparam int unsigned AccessErrorOffsetLsb = 0;
  localparam int unsigned AccessErrorWriteLsb = 30;
  localparam int unsigned AccessErrorValidLsb = 31;
  localparam logic [11:0] IrqEnableOffset = 12'h030;
  localparam logic [31:0] IrqEnableBits = 32'h00000007;
  localparam int unsigned IrqEnableBadAccessLsb = 2;
  localparam logic [11:0] IrqStatusOffset = 12'h034;
  localparam logic [31:0] IrqStatusBits = 32'h00000007;
  localparam logic [11:0] WatchdogOffset = 12'h038;
  localparam logic [11:0] RingBaseLoOffset = 12'h040;
  localparam logic [11:0] RingBaseHiOffset = 12'h044;
  localparam logic [31:0] RingBaseHiBits = 32'h000000ff;
  localparam logic [11:0] RingLog2Offset = 12'h048;
  localparam logic [31:0] RingLog2Bits = 32'h0000000f;
  localparam logic [11:0] RingTailOffset = 12'h04c;
  localparam logic [11:0] RingHeadOffset = 12'h050;
  localparam logic [11:0] CycleLoOffset = 12'h060;
  localparam logic [11:0] CycleHiOffset = 12'h064;
  localparam logic [11:0] RunStartOffset = 12'h068;
  localparam logic [11:0] BusyCyclesOffset = 12'h06c;
  localparam int unsigned StatusReadBurstsLsb = 8;
  /// The counters of the first port. Those of a port are words, and those of the next one are 32 bytes further.
  localparam logic [11:0] CountOffset = 12'h100;
endpackage
