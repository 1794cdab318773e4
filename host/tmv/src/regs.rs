//! Register map of the TMV unit. Generated from `rtl/ternary/registers.toml` by `cargo run -p register_map`; do not edit.

/// Version of the map: major in 31:16, minor in 15:0.
pub const MAP_VERSION: u32 = 0x7;
/// First 32 bits of the SHA-256 of the map.
pub const MAP_HASH_VALUE: u32 = 0xb0b0c530;

/// Constant: value of the register ID: the letters TMV1.
pub const ID_VALUE: u32 = 0x544d5631;
/// Constant: opcode of a descriptor: a ternary product.
pub const OPCODE: u32 = 0xb1;
/// Constant: flag of a descriptor: use the activations of the descriptor before.
pub const FLAG_KEEP_X: u32 = 0x1;
/// Constant: flag of a descriptor: raise DONE on completion.
pub const FLAG_IRQ: u32 = 0x2;
/// Constant: flag of a descriptor: weights lie row by row, W_STRIDE apart, not in row blocks.
pub const FLAG_ROWS: u32 = 0x4;
/// Constant: flag of a descriptor: record which rows have a result above zero. One token; at most MAX_RECORDED_ROWS rows.
pub const FLAG_RECORD: u32 = 0x8;
/// Constant: flag of a descriptor: read only the rows that the last FLAG_RECORD recorded; the results of the other rows are zero. One token; FLAG_ROWS; as many rows as were recorded.
pub const FLAG_SKIP: u32 = 0x10;
/// Constant: flag of a descriptor, beside FLAG_SKIP: not the last record, but the one before it.
pub const FLAG_OLDER: u32 = 0x20;
/// Constant: flag of a descriptor: weights lie column by column, W_STRIDE apart; only columns whose activation is not zero are read. One token; no other flag for rows; at most MAX_COLUMNS columns and MAX_COLUMN_ROWS rows.
pub const FLAG_COLUMNS: u32 = 0x40;
/// Constant: flag of a descriptor: tell the other unit, by a wire, when all results are in memory.
pub const FLAG_TELL: u32 = 0x1000;
/// Constant: flag of a descriptor: its activations are late until the other unit tells, by a wire. Each telling ends one wait, also if it came before. Not with FLAG_KEEP_X.
pub const FLAG_AFTER: u32 = 0x2000;
/// Constant: most rows of an operator that records or skips.
pub const MAX_RECORDED_ROWS: u32 = 0x2000;
/// Constant: most columns of an operator with FLAG_COLUMNS.
pub const MAX_COLUMNS: u32 = 0x2000;
/// Constant: most rows of an operator with FLAG_COLUMNS.
pub const MAX_COLUMN_ROWS: u32 = 0xfa0;
/// Constant: bytes of a descriptor, and the alignment of every address and stride in it.
pub const DESC_BYTES: u32 = 0x40;
/// Constant: rows of a row block, whose beats are interleaved in memory.
pub const ROW_BLOCK: u32 = 0x8;
/// Constant: most tokens of a descriptor: the limit of VECTORS x GROUPS.
pub const MAX_TOKENS: u32 = 0x8;
/// Constant: most rows of a weight matrix.
pub const MAX_OUT_FEATURES: u32 = 0x80000;
/// Constant: descriptors in flight.
pub const CONTEXTS: u32 = 0x4;
/// Constant: words of one activation bank, unless the unit was built with another number.
pub const DEFAULT_BANK_WORDS: u32 = 0x100;
/// Constant: value of PARAM0.CODEC: 2-bit planes.
pub const CODEC_WEIGHTS_2B: u32 = 0x0;
/// Constant: value of PARAM0.CODEC: base 3, five trits a byte.
pub const CODEC_WEIGHTS_BASE3: u32 = 0x1;
/// Constant: value of ERROR.SOURCE: the result writer.
pub const SOURCE_WRITER: u32 = 0xe;
/// Constant: value of ERROR.SOURCE: the front end.
pub const SOURCE_FRONTEND: u32 = 0xf;
/// Constant: value of WATCHDOG after reset, in cycles.
pub const WATCHDOG_RESET: u32 = 0x100000;

/// Offset. Always ID_VALUE.
pub const ID: u32 = 0x0;
/// Offset. Version of the register map: major in 31:16, minor in 15:0.
pub const VERSION: u32 = 0x4;
/// Offset. First 32 bits of the SHA-256 of this map; a driver refuses a unit with another map.
pub const MAP_HASH: u32 = 0x8;
/// Offset. Shape of the unit.
pub const PARAM0: u32 = 0xc;
/// PARAM0: AXI read ports.
pub const PARAM0_PORTS: u32 = 0xf;
/// PARAM0: bytes a beat of each port: 8 or 16.
pub const PARAM0_PORT_BYTES: u32 = 0x1f00;
/// PARAM0: activation vectors served at the full rate of the weights.
pub const PARAM0_VECTORS: u32 = 0xf0000;
/// PARAM0: groups of vectors that a pass over the weights serves in turn: up to VECTORS x GROUPS tokens an operator.
pub const PARAM0_GROUPS: u32 = 0xf00000;
/// PARAM0: weight codec, CODEC_WEIGHTS_2B or CODEC_WEIGHTS_BASE3.
pub const PARAM0_CODEC: u32 = 0xf000000;
/// Offset. Sizes of the unit.
pub const PARAM1: u32 = 0x10;
/// PARAM1: words of one activation bank: in_features is at most BANK_WORDS x lanes.
pub const PARAM1_BANK_WORDS: u32 = 0xffff;
/// PARAM1: rows of a row block.
pub const PARAM1_ROW_BLOCK: u32 = 0xf0000;
/// PARAM1: descriptors in flight.
pub const PARAM1_CONTEXTS: u32 = 0xf00000;
/// PARAM1: the unit takes FLAG_COLUMNS.
pub const PARAM1_COLUMNS: u32 = 0x1000000;
/// Offset. Commands; every bit clears itself.
pub const CONTROL: u32 = 0x14;
/// CONTROL: drain outstanding bursts, then reset the datapath, the ring's head and tail, and ERROR; all other registers keep their values.
pub const CONTROL_SOFT_RESET: u32 = 0x1;
/// CONTROL: zero all performance counters.
pub const CONTROL_CLEAR_COUNTERS: u32 = 0x2;
/// CONTROL: a soft reset that does not wait for outstanding bursts: the last resort after a slave that never answers. A later answer ends in STRAY_RESPONSE.
pub const CONTROL_ABORT: u32 = 0x4;
/// Offset. What the unit is doing.
pub const STATUS: u32 = 0x18;
/// STATUS: descriptors are queued or in flight.
pub const STATUS_BUSY: u32 = 0x1;
/// STATUS: ERROR holds a code; only a soft reset leaves this state.
pub const STATUS_ERROR: u32 = 0x2;
/// STATUS: waiting for outstanding bursts after an error or a soft reset.
pub const STATUS_DRAINING: u32 = 0x4;
/// STATUS: read bursts of the front end that are outstanding.
pub const STATUS_FRONTEND_BURSTS: u32 = 0xff00;
/// STATUS: write bursts that are outstanding.
pub const STATUS_WRITE_BURSTS: u32 = 0xff0000;
/// Offset. The error latched first since the last soft reset; sticky.
pub const ERROR: u32 = 0x1c;
/// ERROR: error code, see the table of codes.
pub const ERROR_CODE: u32 = 0xff;
/// ERROR: number of the AXI read port, or SOURCE_WRITER, or SOURCE_FRONTEND.
pub const ERROR_SOURCE: u32 = 0xf00;
/// Offset. Address of the beat or descriptor that caused the error, bits 31:0; the refused TAIL after BAD_DOORBELL; 0 after WATCHDOG; without meaning after STRAY_RESPONSE.
pub const ERROR_ADDR_LO: u32 = 0x20;
/// Offset. Address of the error, bits 39:32.
pub const ERROR_ADDR_HI: u32 = 0x24;
/// Offset. The first access that was refused since IRQ_STATUS.BAD_ACCESS was cleared; 0 if there was none.
pub const ACCESS_ERROR: u32 = 0x28;
/// ACCESS_ERROR: offset of the access in bytes.
pub const ACCESS_ERROR_OFFSET: u32 = 0xfff;
/// ACCESS_ERROR: the access was a write.
pub const ACCESS_ERROR_WRITE: u32 = 0x40000000;
/// ACCESS_ERROR: an access was refused.
pub const ACCESS_ERROR_VALID: u32 = 0x80000000;
/// Offset. Interrupt sources that raise the interrupt line.
pub const IRQ_ENABLE: u32 = 0x30;
/// IRQ_ENABLE: a descriptor with the IRQ flag completed.
pub const IRQ_ENABLE_DONE: u32 = 0x1;
/// IRQ_ENABLE: an error was latched.
pub const IRQ_ENABLE_ERROR: u32 = 0x2;
/// IRQ_ENABLE: a register access was refused: see ACCESS_ERROR.
pub const IRQ_ENABLE_BAD_ACCESS: u32 = 0x4;
/// Offset. Pending interrupt sources, bits as in IRQ_ENABLE.
pub const IRQ_STATUS: u32 = 0x34;
/// Offset. Cycles without progress on any AXI channel, while busy, after which error WATCHDOG is latched; 0 turns it off. WATCHDOG_RESET after reset. A wait for late activations does not count, unless a burst is outstanding.
pub const WATCHDOG: u32 = 0x38;
/// Offset. Address of the descriptor ring, bits 31:0; aligned to DESC_BYTES, else MISALIGNED. A write is refused while STATUS.BUSY is set.
pub const RING_BASE_LO: u32 = 0x40;
/// Offset. Address of the descriptor ring, bits 39:32. A write is refused while STATUS.BUSY is set.
pub const RING_BASE_HI: u32 = 0x44;
/// Offset. log2 of the number of descriptors in the ring, 0 to 15. A write is refused while STATUS.BUSY is set.
pub const RING_LOG2: u32 = 0x48;
/// Offset. Doorbell. Writing it starts the unit. The error BAD_DOORBELL: a TAIL behind the one before, or more than a ring ahead of RING_HEAD, or with fewer descriptors ahead of RING_HEAD than LATE says. A write is refused while STATUS.ERROR or STATUS.DRAINING is set.
pub const RING_TAIL: u32 = 0x4c;
/// RING_TAIL: number of descriptors ever queued, modulo 65536.
pub const RING_TAIL_TAIL: u32 = 0xffff;
/// RING_TAIL: so many of them, the last ones, have activations that are not in memory yet. The unit reads their weights as far as its queues hold them, and waits for a doorbell with a smaller LATE. A descriptor with FLAG_KEEP_X does not wait.
pub const RING_TAIL_LATE: u32 = 0xffff0000;
/// Offset. Number of descriptors completed, modulo 65536.
pub const RING_HEAD: u32 = 0x50;
/// Offset. Free-running cycle counter, bits 31:0; a reset does not clear it. Completion records carry values of it. A read keeps bits 63:32 for CYCLE_HI.
pub const CYCLE_LO: u32 = 0x60;
/// Offset. Free-running cycle counter, bits 63:32, at the last read of CYCLE_LO.
pub const CYCLE_HI: u32 = 0x64;
/// Offset. CYCLE_LO at the moment the unit last left idle.
pub const RUN_START: u32 = 0x68;
/// Offset. Cycles spent busy since counters were cleared, modulo 2^32.
pub const BUSY_CYCLES: u32 = 0x6c;
/// Offset. Cycles in which the port's dot engine computed: a weight beat met a word of activations.
pub const PORT_BUSY: u32 = 0x100;
/// Bytes from one PORT_BUSY to the next.
pub const PORT_BUSY_STRIDE: u32 = 0x20;
/// Offset. Cycles in which the engine had a row block and no weight beat.
pub const PORT_STALL_DATA: u32 = 0x104;
/// Bytes from one PORT_STALL_DATA to the next.
pub const PORT_STALL_DATA_STRIDE: u32 = 0x20;
/// Offset. Cycles in which the engine had a weight beat and no activation word.
pub const PORT_STALL_X: u32 = 0x108;
/// Bytes from one PORT_STALL_X to the next.
pub const PORT_STALL_X_STRIDE: u32 = 0x20;
/// Offset. Cycles in which the engine waited for its previous result to be collected.
pub const PORT_STALL_RESULT: u32 = 0x10c;
/// Bytes from one PORT_STALL_RESULT to the next.
pub const PORT_STALL_RESULT_STRIDE: u32 = 0x20;
/// Offset. Weight beats received.
pub const PORT_BEATS: u32 = 0x110;
/// Bytes from one PORT_BEATS to the next.
pub const PORT_BEATS_STRIDE: u32 = 0x20;
/// Offset. Weight bursts issued.
pub const PORT_BURSTS: u32 = 0x114;
/// Bytes from one PORT_BURSTS to the next.
pub const PORT_BURSTS_STRIDE: u32 = 0x20;
/// Offset. Weight bursts that are outstanding now. Not cleared by CLEAR_COUNTERS.
pub const PORT_OUTSTANDING: u32 = 0x118;
/// Bytes from one PORT_OUTSTANDING to the next.
pub const PORT_OUTSTANDING_STRIDE: u32 = 0x20;

/// Every register: name, offset, access.
pub const REGISTERS: &[(&str, u32, &str)] = &[
    ("ID", 0x0, "ro"),
    ("VERSION", 0x4, "ro"),
    ("MAP_HASH", 0x8, "ro"),
    ("PARAM0", 0xc, "ro"),
    ("PARAM1", 0x10, "ro"),
    ("CONTROL", 0x14, "wo"),
    ("STATUS", 0x18, "ro"),
    ("ERROR", 0x1c, "ro"),
    ("ERROR_ADDR_LO", 0x20, "ro"),
    ("ERROR_ADDR_HI", 0x24, "ro"),
    ("ACCESS_ERROR", 0x28, "ro"),
    ("IRQ_ENABLE", 0x30, "rw"),
    ("IRQ_STATUS", 0x34, "w1c"),
    ("WATCHDOG", 0x38, "rw"),
    ("RING_BASE_LO", 0x40, "rw"),
    ("RING_BASE_HI", 0x44, "rw"),
    ("RING_LOG2", 0x48, "rw"),
    ("RING_TAIL", 0x4c, "rw"),
    ("RING_HEAD", 0x50, "ro"),
    ("CYCLE_LO", 0x60, "ro"),
    ("CYCLE_HI", 0x64, "ro"),
    ("RUN_START", 0x68, "ro"),
    ("BUSY_CYCLES", 0x6c, "ro"),
    ("PORT_BUSY", 0x100, "ro"),
    ("PORT_STALL_DATA", 0x104, "ro"),
    ("PORT_STALL_X", 0x108, "ro"),
    ("PORT_STALL_RESULT", 0x10c, "ro"),
    ("PORT_BEATS", 0x110, "ro"),
    ("PORT_BURSTS", 0x114, "ro"),
    ("PORT_OUTSTANDING", 0x118, "ro"),
];

/// Registers that can be written: offset, and mask of the bits that are not reserved.
pub const WRITABLE: &[(u32, u32)] = &[
    (0x14, 0x7),
    (0x30, 0x7),
    (0x34, 0x7),
    (0x38, 0xffffffff),
    (0x40, 0xffffffff),
    (0x44, 0xff),
    (0x48, 0xf),
    (0x4c, 0xffffffff),
];

/// Error codes: code, name, meaning.
pub const ERRORS: &[(u8, &str, &str)] = &[
    (0, "NONE", "no error"),
    (1, "READ_SLVERR", "a read beat was answered with SLVERR"),
    (2, "READ_DECERR", "a read beat was answered with DECERR"),
    (3, "READ_LAST", "RLAST came early or was missing"),
    (4, "WRITE_SLVERR", "a result burst was answered with SLVERR"),
    (5, "WRITE_DECERR", "a result burst was answered with DECERR"),
    (6, "BAD_DESCRIPTOR", "a descriptor has an unknown opcode or a field out of range"),
    (7, "MISALIGNED", "the ring's address, or an address or stride in a descriptor, is not a multiple of DESC_BYTES"),
    (8, "BAD_WEIGHT", "a weight beat holds a code that is not a ternary weight"),
    (9, "WATCHDOG", "no AXI channel made progress for WATCHDOG cycles"),
    (10, "BAD_DOORBELL", "RING_TAIL went back, or too far ahead of RING_HEAD, or had too large a LATE"),
    (11, "STRAY_RESPONSE", "a read beat or a write response came that belongs to no burst of the unit"),
];
/// Error code: no error.
pub const ERR_NONE: u8 = 0;
/// Error code: a read beat was answered with SLVERR.
pub const ERR_READ_SLVERR: u8 = 1;
/// Error code: a read beat was answered with DECERR.
pub const ERR_READ_DECERR: u8 = 2;
/// Error code: RLAST came early or was missing.
pub const ERR_READ_LAST: u8 = 3;
/// Error code: a result burst was answered with SLVERR.
pub const ERR_WRITE_SLVERR: u8 = 4;
/// Error code: a result burst was answered with DECERR.
pub const ERR_WRITE_DECERR: u8 = 5;
/// Error code: a descriptor has an unknown opcode or a field out of range.
pub const ERR_BAD_DESCRIPTOR: u8 = 6;
/// Error code: the ring's address, or an address or stride in a descriptor, is not a multiple of DESC_BYTES.
pub const ERR_MISALIGNED: u8 = 7;
/// Error code: a weight beat holds a code that is not a ternary weight.
pub const ERR_BAD_WEIGHT: u8 = 8;
/// Error code: no AXI channel made progress for WATCHDOG cycles.
pub const ERR_WATCHDOG: u8 = 9;
/// Error code: RING_TAIL went back, or too far ahead of RING_HEAD, or had too large a LATE.
pub const ERR_BAD_DOORBELL: u8 = 10;
/// Error code: a read beat or a write response came that belongs to no burst of the unit.
pub const ERR_STRAY_RESPONSE: u8 = 11;

/// Descriptor word: OPCODE in 31:24; flags in 13:12 and 7:0; tokens (1 to VECTORS x GROUPS) in 11:8.
pub const DESC_CONTROL: usize = 0;
/// Descriptor word: in_features K in 15:0; beats of one weight row, ceil(K / lanes), in 31:16.
pub const DESC_IN_FEATURES: usize = 1;
/// Descriptor word: out_features N, 1 to MAX_OUT_FEATURES.
pub const DESC_OUT_FEATURES: usize = 2;
/// Descriptor word: with FLAG_COLUMNS beats of one column, ceil(N / lanes); else 0.
pub const DESC_COLUMN_BEATS: usize = 3;
/// Descriptor word: activations, int8 [tokens, X_STRIDE]: address, bits 31:0.
pub const DESC_X_ADDR: usize = 4;
/// Descriptor word: activations: address, bits 39:32.
pub const DESC_X_ADDR_HI: usize = 5;
/// Descriptor word: weight image, row blocks W_STRIDE apart, with FLAG_ROWS rows and with FLAG_COLUMNS columns W_STRIDE apart: address, bits 31:0. Weights in the padding of a row have no effect.
pub const DESC_W_ADDR: usize = 6;
/// Descriptor word: weight image: address, bits 39:32.
pub const DESC_W_ADDR_HI: usize = 7;
/// Descriptor word: results, int32 [ceil(N / ROW_BLOCK), tokens, ROW_BLOCK]: address, bits 31:0. The image has rows to a whole row block: rows beyond N get the products of their weights in the image.
pub const DESC_Y_ADDR: usize = 8;
/// Descriptor word: results: address, bits 39:32.
pub const DESC_Y_ADDR_HI: usize = 9;
/// Descriptor word: bytes from one token's activations to the next; readable up to whole weight rows.
pub const DESC_X_STRIDE: usize = 10;
/// Descriptor word: bytes from one row block to the next, at least a row block; with FLAG_ROWS from one row to the next, at least a row; with FLAG_COLUMNS from one column to the next, at least a column.
pub const DESC_W_STRIDE: usize = 11;
/// Descriptor word: completion record, written by the unit: bit 31 = done; 13:0 with FLAG_SKIP the number of rows that were read, with FLAG_COLUMNS that of columns, else 0.
pub const DESC_STATUS: usize = 12;
/// Descriptor word: completion record: CYCLE_LO when the descriptor was accepted.
pub const DESC_START_CYCLE: usize = 13;
/// Descriptor word: completion record: CYCLE_LO when its last result was acknowledged.
pub const DESC_END_CYCLE: usize = 14;
/// Descriptor word: completion record: number of the descriptor since reset, modulo 65536.
pub const DESC_TAG: usize = 15;
/// For each word of a descriptor, the mask of the bits that must be zero.
pub const DESC_RESERVED_BITS: [u32; 16] =
    [0xffc080, 0x0, 0x0, 0xffff0000, 0x0, 0xffffff00, 0x0, 0xffffff00, 0x0, 0xffffff00, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0];
