// Generated from `rtl/vector/registers.toml` by `cargo run -p register_map`; do not edit.

/// Constants, register offsets (bytes), masks of the bits that are not reserved, field positions (bits), error
/// codes and descriptor words (32 bits each).
package tmv_vec_reg_pkg;
  localparam logic [31:0] MapVersion = 32'h0000_0002;
  localparam logic [31:0] MapHash = 32'h505b_fa35;

  /// Value of the register ID: the letters TVU1.
  localparam int unsigned IdValue = 1414944049;
  /// Opcode of a descriptor: a program of vector instructions.
  localparam int unsigned Opcode = 178;
  /// Flag of a descriptor: raise DONE on completion.
  localparam int unsigned FlagIrq = 2;
  /// Bytes of a descriptor, and the alignment of its ring and its program.
  localparam int unsigned DescBytes = 64;
  /// Bytes of an instruction.
  localparam int unsigned InstrBytes = 64;
  /// Most instructions of a program.
  localparam int unsigned MaxInstructions = 4096;
  /// Value of ERROR.SOURCE: the loader of streams.
  localparam int unsigned SourceLoader = 0;
  /// Value of ERROR.SOURCE: the engine, with the address of the instruction.
  localparam int unsigned SourceEngine = 1;
  /// Value of ERROR.SOURCE: the storer.
  localparam int unsigned SourceWriter = 14;
  /// Value of ERROR.SOURCE: the front end.
  localparam int unsigned SourceFrontend = 15;
  /// Value of WATCHDOG after reset, in cycles.
  localparam int unsigned WatchdogReset = 1048576;

  localparam logic [11:0] IdOffset = 12'h000;
  localparam logic [11:0] VersionOffset = 12'h004;
  localparam logic [11:0] MapHashOffset = 12'h008;
  localparam logic [11:0] Param0Offset = 12'h00c;
  localparam int unsigned Param0LanesLsb = 0;
  localparam int unsigned Param0PortBytesLsb = 8;
  localparam int unsigned Param0PortsLsb = 16;
  localparam logic [11:0] Param1Offset = 12'h010;
  localparam int unsigned Param1WordsLsb = 0;
  localparam int unsigned Param1AccsLsb = 16;
  localparam int unsigned Param1StreamWordsLsb = 24;
  localparam logic [11:0] ControlOffset = 12'h014;
  localparam logic [31:0] ControlBits = 32'h00000007;
  localparam int unsigned ControlSoftResetLsb = 0;
  localparam int unsigned ControlClearCountersLsb = 1;
  localparam int unsigned ControlAbortLsb = 2;
  localparam logic [11:0] StatusOffset = 12'h018;
  localparam int unsigned StatusBusyLsb = 0;
  localparam int unsigned StatusErrorLsb = 1;
  localparam int unsigned StatusDrainingLsb = 2;
  localparam int unsigned StatusReadBurstsLsb = 8;
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
  localparam int unsigned IrqEnableDoneLsb = 0;
  localparam int unsigned IrqEnableErrorLsb = 1;
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
  localparam logic [31:0] RingTailBits = 32'h0000ffff;
  localparam logic [11:0] RingHeadOffset = 12'h050;
  localparam logic [11:0] CycleLoOffset = 12'h060;
  localparam logic [11:0] CycleHiOffset = 12'h064;
  localparam logic [11:0] RunStartOffset = 12'h068;
  localparam logic [11:0] BusyCyclesOffset = 12'h06c;
  localparam logic [11:0] SlotsOffset = 12'h100;
  localparam logic [11:0] StallStreamOffset = 12'h104;
  localparam logic [11:0] StallStoreOffset = 12'h108;
  localparam logic [11:0] InstructionsOffset = 12'h10c;
  localparam logic [11:0] ReadBeatsOffset = 12'h110;
  localparam logic [11:0] WriteBeatsOffset = 12'h114;

  typedef enum logic [7:0] {
    ErrNone = 8'd0,
    ErrReadSlverr = 8'd1,
    ErrReadDecerr = 8'd2,
    ErrReadLast = 8'd3,
    ErrWriteSlverr = 8'd4,
    ErrWriteDecerr = 8'd5,
    ErrBadDescriptor = 8'd6,
    ErrMisaligned = 8'd7,
    ErrBadInstruction = 8'd8,
    ErrWatchdog = 8'd9,
    ErrBadDoorbell = 8'd10,
    ErrStrayResponse = 8'd11,
    ErrNotFinite = 8'd12
  } error_e;

  localparam int unsigned DescControlWord = 0;
  localparam int unsigned DescCountWord = 1;
  localparam int unsigned DescProgramWord = 2;
  localparam int unsigned DescProgramHiWord = 3;
  localparam int unsigned DescReserved4Word = 4;
  localparam int unsigned DescReserved5Word = 5;
  localparam int unsigned DescReserved6Word = 6;
  localparam int unsigned DescReserved7Word = 7;
  localparam int unsigned DescReserved8Word = 8;
  localparam int unsigned DescReserved9Word = 9;
  localparam int unsigned DescReserved10Word = 10;
  localparam int unsigned DescReserved11Word = 11;
  localparam int unsigned DescStatusWord = 12;
  localparam int unsigned DescStartCycleWord = 13;
  localparam int unsigned DescEndCycleWord = 14;
  localparam int unsigned DescTagWord = 15;

  /// Bits of a descriptor that must be zero.
  localparam logic [511:0] DescReservedBits = {
    32'h00000000,
    32'h00000000,
    32'h00000000,
    32'h00000000,
    32'hffffffff,
    32'hffffffff,
    32'hffffffff,
    32'hffffffff,
    32'hffffffff,
    32'hffffffff,
    32'hffffffff,
    32'hffffffff,
    32'hffffff00,
    32'h00000000,
    32'hffffe000,
    32'h00fffffd
  };
endpackage
