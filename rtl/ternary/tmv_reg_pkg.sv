// Generated from `rtl/ternary/registers.toml` by `cargo run -p register_map`; do not edit.

/// Constants, register offsets (bytes), masks of the bits that are not reserved, field positions (bits), error
/// codes and descriptor words (32 bits each).
package tmv_reg_pkg;
  localparam logic [31:0] MapVersion = 32'h0000_0007;
  localparam logic [31:0] MapHash = 32'hb0b0_c530;

  /// Value of the register ID: the letters TMV1.
  localparam int unsigned IdValue = 1414354481;
  /// Opcode of a descriptor: a ternary product.
  localparam int unsigned Opcode = 177;
  /// Flag of a descriptor: use the activations of the descriptor before.
  localparam int unsigned FlagKeepX = 1;
  /// Flag of a descriptor: raise DONE on completion.
  localparam int unsigned FlagIrq = 2;
  /// Flag of a descriptor: weights lie row by row, W_STRIDE apart, not in row blocks.
  localparam int unsigned FlagRows = 4;
  /// Flag of a descriptor: record which rows have a result above zero. One token; at most MAX_RECORDED_ROWS rows.
  localparam int unsigned FlagRecord = 8;
  /// Flag of a descriptor: read only the rows that the last FLAG_RECORD recorded; the results of the other rows are zero. One token; FLAG_ROWS; as many rows as were recorded.
  localparam int unsigned FlagSkip = 16;
  /// Flag of a descriptor, beside FLAG_SKIP: not the last record, but the one before it.
  localparam int unsigned FlagOlder = 32;
  /// Flag of a descriptor: weights lie column by column, W_STRIDE apart; only columns whose activation is not zero are read. One token; no other flag for rows; at most MAX_COLUMNS columns and MAX_COLUMN_ROWS rows.
  localparam int unsigned FlagColumns = 64;
  /// Flag of a descriptor: tell the other unit, by a wire, when all results are in memory.
  localparam int unsigned FlagTell = 4096;
  /// Flag of a descriptor: its activations are late until the other unit tells, by a wire. Each telling ends one wait, also if it came before. Not with FLAG_KEEP_X.
  localparam int unsigned FlagAfter = 8192;
  /// Most rows of an operator that records or skips.
  localparam int unsigned MaxRecordedRows = 8192;
  /// Most columns of an operator with FLAG_COLUMNS.
  localparam int unsigned MaxColumns = 8192;
  /// Most rows of an operator with FLAG_COLUMNS.
  localparam int unsigned MaxColumnRows = 4000;
  /// Bytes of a descriptor, and the alignment of every address and stride in it.
  localparam int unsigned DescBytes = 64;
  /// Rows of a row block, whose beats are interleaved in memory.
  localparam int unsigned RowBlock = 8;
  /// Most tokens of a descriptor: the limit of VECTORS x GROUPS.
  localparam int unsigned MaxTokens = 8;
  /// Most rows of a weight matrix.
  localparam int unsigned MaxOutFeatures = 524288;
  /// Descriptors in flight.
  localparam int unsigned Contexts = 4;
  /// Words of one activation bank, unless the unit was built with another number.
  localparam int unsigned DefaultBankWords = 256;
  /// Value of PARAM0.CODEC: 2-bit planes.
  localparam int unsigned CodecWeights2b = 0;
  /// Value of PARAM0.CODEC: base 3, five trits a byte.
  localparam int unsigned CodecWeightsBase3 = 1;
  /// Value of ERROR.SOURCE: the result writer.
  localparam int unsigned SourceWriter = 14;
  /// Value of ERROR.SOURCE: the front end.
  localparam int unsigned SourceFrontend = 15;
  /// Value of WATCHDOG after reset, in cycles.
  localparam int unsigned WatchdogReset = 1048576;

  localparam logic [11:0] IdOffset = 12'h000;
  localparam logic [11:0] VersionOffset = 12'h004;
  localparam logic [11:0] MapHashOffset = 12'h008;
  localparam logic [11:0] Param0Offset = 12'h00c;
  localparam int unsigned Param0PortsLsb = 0;
  localparam int unsigned Param0PortBytesLsb = 8;
  localparam int unsigned Param0VectorsLsb = 16;
  localparam int unsigned Param0GroupsLsb = 20;
  localparam int unsigned Param0CodecLsb = 24;
  localparam logic [11:0] Param1Offset = 12'h010;
  localparam int unsigned Param1BankWordsLsb = 0;
  localparam int unsigned Param1RowBlockLsb = 16;
  localparam int unsigned Param1ContextsLsb = 20;
  localparam int unsigned Param1ColumnsLsb = 24;
  localparam logic [11:0] ControlOffset = 12'h014;
  localparam logic [31:0] ControlBits = 32'h00000007;
  localparam int unsigned ControlSoftResetLsb = 0;
  localparam int unsigned ControlClearCountersLsb = 1;
  localparam int unsigned ControlAbortLsb = 2;
  localparam logic [11:0] StatusOffset = 12'h018;
  localparam int unsigned StatusBusyLsb = 0;
  localparam int unsigned StatusErrorLsb = 1;
  localparam int unsigned StatusDrainingLsb = 2;
  localparam int unsigned StatusFrontendBurstsLsb = 8;
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
  localparam int unsigned RingTailTailLsb = 0;
  localparam int unsigned RingTailLateLsb = 16;
  localparam logic [11:0] RingHeadOffset = 12'h050;
  localparam logic [11:0] CycleLoOffset = 12'h060;
  localparam logic [11:0] CycleHiOffset = 12'h064;
  localparam logic [11:0] RunStartOffset = 12'h068;
  localparam logic [11:0] BusyCyclesOffset = 12'h06c;
  localparam logic [11:0] PortBusyOffset = 12'h100;
  localparam logic [11:0] PortStallDataOffset = 12'h104;
  localparam logic [11:0] PortStallXOffset = 12'h108;
  localparam logic [11:0] PortStallResultOffset = 12'h10c;
  localparam logic [11:0] PortBeatsOffset = 12'h110;
  localparam logic [11:0] PortBurstsOffset = 12'h114;
  localparam logic [11:0] PortOutstandingOffset = 12'h118;

  typedef enum logic [7:0] {
    ErrNone = 8'd0,
    ErrReadSlverr = 8'd1,
    ErrReadDecerr = 8'd2,
    ErrReadLast = 8'd3,
    ErrWriteSlverr = 8'd4,
    ErrWriteDecerr = 8'd5,
    ErrBadDescriptor = 8'd6,
    ErrMisaligned = 8'd7,
    ErrBadWeight = 8'd8,
    ErrWatchdog = 8'd9,
    ErrBadDoorbell = 8'd10,
    ErrStrayResponse = 8'd11
  } error_e;

  localparam int unsigned DescControlWord = 0;
  localparam int unsigned DescInFeaturesWord = 1;
  localparam int unsigned DescOutFeaturesWord = 2;
  localparam int unsigned DescColumnBeatsWord = 3;
  localparam int unsigned DescXAddrWord = 4;
  localparam int unsigned DescXAddrHiWord = 5;
  localparam int unsigned DescWAddrWord = 6;
  localparam int unsigned DescWAddrHiWord = 7;
  localparam int unsigned DescYAddrWord = 8;
  localparam int unsigned DescYAddrHiWord = 9;
  localparam int unsigned DescXStrideWord = 10;
  localparam int unsigned DescWStrideWord = 11;
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
    32'h00000000,
    32'h00000000,
    32'hffffff00,
    32'h00000000,
    32'hffffff00,
    32'h00000000,
    32'hffffff00,
    32'h00000000,
    32'hffff0000,
    32'h00000000,
    32'h00000000,
    32'h00ffc080
  };
endpackage
