//! Register map of the vector unit. Generated from `rtl/vector/registers.toml` by `cargo run -p register_map`; do not edit.

/// Version of the map: major in 31:16, minor in 15:0.
pub const MAP_VERSION: u32 = 0x2;
/// First 32 bits of the SHA-256 of the map.
pub const MAP_HASH_VALUE: u32 = 0x505bfa35;

/// Constant: value of the register ID: the letters TVU1.
pub const ID_VALUE: u32 = 0x54565531;
/// Constant: opcode of a descriptor: a program of vector instructions.
pub const OPCODE: u32 = 0xb2;
/// Constant: flag of a descriptor: raise DONE on completion.
pub const FLAG_IRQ: u32 = 0x2;
/// Constant: bytes of a descriptor, and the alignment of its ring and its program.
pub const DESC_BYTES: u32 = 0x40;
/// Constant: bytes of an instruction.
pub const INSTR_BYTES: u32 = 0x40;
/// Constant: most instructions of a program.
pub const MAX_INSTRUCTIONS: u32 = 0x1000;
/// Constant: value of ERROR.SOURCE: the loader of streams.
pub const SOURCE_LOADER: u32 = 0x0;
/// Constant: value of ERROR.SOURCE: the engine, with the address of the instruction.
pub const SOURCE_ENGINE: u32 = 0x1;
/// Constant: value of ERROR.SOURCE: the storer.
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
/// PARAM0: lanes: singles of a word.
pub const PARAM0_LANES: u32 = 0x3f;
/// PARAM0: bytes a beat of each memory port: 8 or 16.
pub const PARAM0_PORT_BYTES: u32 = 0x1f00;
/// PARAM0: AXI read ports: 1 or 2.
pub const PARAM0_PORTS: u32 = 0x30000;
/// Offset. Sizes of the unit.
pub const PARAM1: u32 = 0x10;
/// PARAM1: words of the scratchpad.
pub const PARAM1_WORDS: u32 = 0xffff;
/// PARAM1: accumulators of a lane.
pub const PARAM1_ACCS: u32 = 0xff0000;
/// PARAM1: words of a stream that a block may have.
pub const PARAM1_STREAM_WORDS: u32 = 0xff000000;
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
/// STATUS: read bursts that are outstanding.
pub const STATUS_READ_BURSTS: u32 = 0xff00;
/// STATUS: write bursts that are outstanding.
pub const STATUS_WRITE_BURSTS: u32 = 0xff0000;
/// Offset. The error latched first since the last soft reset; sticky.
pub const ERROR: u32 = 0x1c;
/// ERROR: error code, see the table of codes.
pub const ERROR_CODE: u32 = 0xff;
/// ERROR: SOURCE_LOADER, SOURCE_ENGINE, SOURCE_WRITER or SOURCE_FRONTEND.
pub const ERROR_SOURCE: u32 = 0xf00;
/// Offset. Address of the beat or descriptor that caused the error, or of the instruction, bits 31:0; the refused value after BAD_DOORBELL; 0 after WATCHDOG; without meaning after STRAY_RESPONSE.
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
/// Offset. Cycles without progress on any AXI channel, while busy, after which error WATCHDOG is latched; 0 turns it off. WATCHDOG_RESET after reset.
pub const WATCHDOG: u32 = 0x38;
/// Offset. Address of the descriptor ring, bits 31:0; aligned to DESC_BYTES, else MISALIGNED. A write is refused while STATUS.BUSY is set.
pub const RING_BASE_LO: u32 = 0x40;
/// Offset. Address of the descriptor ring, bits 39:32. A write is refused while STATUS.BUSY is set.
pub const RING_BASE_HI: u32 = 0x44;
/// Offset. log2 of the number of descriptors in the ring, 0 to 15. A write is refused while STATUS.BUSY is set.
pub const RING_LOG2: u32 = 0x48;
/// Offset. Doorbell: number of descriptors ever queued, modulo 65536. Writing it starts the unit. A number behind the one before, or more than a ring ahead of RING_HEAD, is the error BAD_DOORBELL. A write is refused while STATUS.ERROR or STATUS.DRAINING is set.
pub const RING_TAIL: u32 = 0x4c;
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
/// Offset. Slots that went through the lanes. Modulo 2^32; cleared by CLEAR_COUNTERS.
pub const SLOTS: u32 = 0x100;
/// Offset. Cycles in which a slot waited for words of its stream. Modulo 2^32; cleared by CLEAR_COUNTERS.
pub const STALL_STREAM: u32 = 0x104;
/// Offset. Cycles in which a slot waited for room in the storer. Modulo 2^32; cleared by CLEAR_COUNTERS.
pub const STALL_STORE: u32 = 0x108;
/// Offset. Instructions completed. Modulo 2^32; cleared by CLEAR_COUNTERS.
pub const INSTRUCTIONS: u32 = 0x10c;
/// Offset. Beats read from memory for streams. Modulo 2^32; cleared by CLEAR_COUNTERS.
pub const READ_BEATS: u32 = 0x110;
/// Offset. Beats written to memory. Modulo 2^32; cleared by CLEAR_COUNTERS.
pub const WRITE_BEATS: u32 = 0x114;

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
    ("SLOTS", 0x100, "ro"),
    ("STALL_STREAM", 0x104, "ro"),
    ("STALL_STORE", 0x108, "ro"),
    ("INSTRUCTIONS", 0x10c, "ro"),
    ("READ_BEATS", 0x110, "ro"),
    ("WRITE_BEATS", 0x114, "ro"),
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
    (0x4c, 0xffff),
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
    (7, "MISALIGNED", "the ring's address, or a program's, is not a multiple of DESC_BYTES"),
    (8, "BAD_INSTRUCTION", "an instruction has a field out of range, or reaches beyond scratchpad or range"),
    (9, "WATCHDOG", "no AXI channel made progress for WATCHDOG cycles"),
    (10, "BAD_DOORBELL", "RING_TAIL was set behind its value before, or more than a ring ahead of RING_HEAD"),
    (11, "STRAY_RESPONSE", "a read beat or a write response came that belongs to no burst of the unit"),
    (12, "NOT_FINITE", "a maximum is a NaN or an infinity, or a row of it has a NaN"),
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
/// Error code: the ring's address, or a program's, is not a multiple of DESC_BYTES.
pub const ERR_MISALIGNED: u8 = 7;
/// Error code: an instruction has a field out of range, or reaches beyond scratchpad or range.
pub const ERR_BAD_INSTRUCTION: u8 = 8;
/// Error code: no AXI channel made progress for WATCHDOG cycles.
pub const ERR_WATCHDOG: u8 = 9;
/// Error code: RING_TAIL was set behind its value before, or more than a ring ahead of RING_HEAD.
pub const ERR_BAD_DOORBELL: u8 = 10;
/// Error code: a read beat or a write response came that belongs to no burst of the unit.
pub const ERR_STRAY_RESPONSE: u8 = 11;
/// Error code: a maximum is a NaN or an infinity, or a row of it has a NaN.
pub const ERR_NOT_FINITE: u8 = 12;

/// Descriptor word: OPCODE in 31:24; FLAG_IRQ in 7:0.
pub const DESC_CONTROL: usize = 0;
/// Descriptor word: instructions of the program, 1 to MAX_INSTRUCTIONS.
pub const DESC_COUNT: usize = 1;
/// Descriptor word: program, INSTR_BYTES an instruction: address, bits 31:0.
pub const DESC_PROGRAM: usize = 2;
/// Descriptor word: program: address, bits 39:32.
pub const DESC_PROGRAM_HI: usize = 3;
/// Descriptor word: zero.
pub const DESC_RESERVED_4: usize = 4;
/// Descriptor word: zero.
pub const DESC_RESERVED_5: usize = 5;
/// Descriptor word: zero.
pub const DESC_RESERVED_6: usize = 6;
/// Descriptor word: zero.
pub const DESC_RESERVED_7: usize = 7;
/// Descriptor word: zero.
pub const DESC_RESERVED_8: usize = 8;
/// Descriptor word: zero.
pub const DESC_RESERVED_9: usize = 9;
/// Descriptor word: zero.
pub const DESC_RESERVED_10: usize = 10;
/// Descriptor word: zero.
pub const DESC_RESERVED_11: usize = 11;
/// Descriptor word: completion record, written by the unit: bit 31 = done.
pub const DESC_STATUS: usize = 12;
/// Descriptor word: completion record: CYCLE_LO when the descriptor was accepted.
pub const DESC_START_CYCLE: usize = 13;
/// Descriptor word: completion record: CYCLE_LO when its last word was in memory.
pub const DESC_END_CYCLE: usize = 14;
/// Descriptor word: completion record: number of the descriptor since reset, modulo 65536.
pub const DESC_TAG: usize = 15;
/// For each word of a descriptor, the mask of the bits that must be zero.
pub const DESC_RESERVED_BITS: [u32; 16] = [
    0xfffffd, 0xffffe000, 0x0, 0xffffff00, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
    0xffffffff, 0xffffffff, 0x0, 0x0, 0x0, 0x0,
];
