//! Register map of the sequencer. Generated from `rtl/system/registers.toml` by `cargo run -p register_map`; do not edit.

/// Version of the map: major in 31:16, minor in 15:0.
pub const MAP_VERSION: u32 = 0x1;
/// First 32 bits of the SHA-256 of the map.
pub const MAP_HASH_VALUE: u32 = 0xb5a27424;

/// Constant: value of the register ID: the letters TSQ1.
pub const ID_VALUE: u32 = 0x54535131;
/// Constant: value of PARAM.CORE: VexRiscv Full, rv32im.
pub const CORE_VEXRISCV: u32 = 0x0;
/// Constant: value of PARAM.CORE: CV32E40P with FPU, rv32imfc.
pub const CORE_CV32E40P: u32 = 0x1;

/// Offset. Always ID_VALUE.
pub const ID: u32 = 0x0;
/// Offset. Version of the register map: major in 31:16, minor in 15:0.
pub const VERSION: u32 = 0x4;
/// Offset. First 32 bits of the SHA-256 of this map.
pub const MAP_HASH: u32 = 0x8;
/// Offset. What the sequencer was built with.
pub const PARAM: u32 = 0xc;
/// PARAM: log2 of the words of on-chip memory.
pub const PARAM_RAM_WORDS_LOG2: u32 = 0x1f;
/// PARAM: the core, CORE_VEXRISCV or CORE_CV32E40P.
pub const PARAM_CORE: u32 = 0xf00;
/// PARAM: bytes a beat of the memory port.
pub const PARAM_PORT_BYTES: u32 = 0x1f0000;
/// Offset. Written by the host.
pub const CONTROL: u32 = 0x10;
/// CONTROL: the core runs; while zero, it is held in reset.
pub const CONTROL_RUN: u32 = 0x1;
/// Offset. State of the sequencer.
pub const STATUS: u32 = 0x14;
/// STATUS: the core runs, or an access of it is not complete.
pub const STATUS_RUNNING: u32 = 0x1;
/// STATUS: a job was given and is not complete.
pub const STATUS_JOB: u32 = 0x2;
/// STATUS: level of the ternary unit's interrupt, one of the two that are the core's external interrupt.
pub const STATUS_UNIT_IRQ: u32 = 0x4;
/// STATUS: level of the vector unit's interrupt, the other one.
pub const STATUS_VECTOR_IRQ: u32 = 0x8;
/// Offset. What happened; irq_o is high while a bit is set. Cleared by the host.
pub const IRQ_STATUS: u32 = 0x18;
/// IRQ_STATUS: the core wrote RESULT.
pub const IRQ_STATUS_DONE: u32 = 0x1;
/// IRQ_STATUS: a register access of the host was refused.
pub const IRQ_STATUS_BAD_ACCESS: u32 = 0x2;
/// IRQ_STATUS: the memory answered a write of the core with an error, or gave an answer that belongs to no burst.
pub const IRQ_STATUS_MEMORY_FAULT: u32 = 0x4;
/// IRQ_STATUS: an access of the core was answered with an error; FAULT_ADDR has its address.
pub const IRQ_STATUS_CORE_FAULT: u32 = 0x8;
/// Offset. Bits 39:30 of the physical address of the core's window to memory. Written by the host, while RUN and RUNNING are zero.
pub const WINDOW: u32 = 0x1c;
/// Offset. Byte address of the next write through RAM_DATA, a multiple of four. Written by the host.
pub const RAM_ADDR: u32 = 0x20;
/// Offset. A write stores the word in on-chip memory and advances RAM_ADDR by four. Written by the host, while RUN and RUNNING are zero.
pub const RAM_DATA: u32 = 0x24;
/// Offset. Address of a job, as the core sees it. A write by the host gives the job to the core; it is refused while RUN is zero, and while STATUS.JOB is set.
pub const JOB: u32 = 0x28;
/// Offset. Outcome of the job. A write by the core completes the job.
pub const RESULT: u32 = 0x2c;
/// Offset. mcause of the core's last trap. Written by the core.
pub const TRAP_CAUSE: u32 = 0x30;
/// Offset. mepc of the core's last trap. Written by the core.
pub const TRAP_PC: u32 = 0x34;
/// Offset. mtval of the core's last trap. Written by the core.
pub const TRAP_VALUE: u32 = 0x38;
/// Offset. Address of the first data access of the core that was answered with an error, while CORE_FAULT is pending.
pub const FAULT_ADDR: u32 = 0x3c;
/// Offset. Cycles since reset, bits 31:0.
pub const CYCLE_LO: u32 = 0x40;
/// Offset. Cycles since reset, bits 63:32. Read it before and after CYCLE_LO, and again if the two differ.
pub const CYCLE_HI: u32 = 0x44;

/// Every register: name, offset, access.
pub const REGISTERS: &[(&str, u32, &str)] = &[
    ("ID", 0x0, "ro"),
    ("VERSION", 0x4, "ro"),
    ("MAP_HASH", 0x8, "ro"),
    ("PARAM", 0xc, "ro"),
    ("CONTROL", 0x10, "rw"),
    ("STATUS", 0x14, "ro"),
    ("IRQ_STATUS", 0x18, "w1c"),
    ("WINDOW", 0x1c, "rw"),
    ("RAM_ADDR", 0x20, "rw"),
    ("RAM_DATA", 0x24, "wo"),
    ("JOB", 0x28, "rw"),
    ("RESULT", 0x2c, "rw"),
    ("TRAP_CAUSE", 0x30, "rw"),
    ("TRAP_PC", 0x34, "rw"),
    ("TRAP_VALUE", 0x38, "rw"),
    ("FAULT_ADDR", 0x3c, "ro"),
    ("CYCLE_LO", 0x40, "ro"),
    ("CYCLE_HI", 0x44, "ro"),
];

/// Registers that can be written: offset, and mask of the bits that are not reserved.
pub const WRITABLE: &[(u32, u32)] = &[
    (0x10, 0x1),
    (0x18, 0xf),
    (0x1c, 0x3ff),
    (0x20, 0xffffffff),
    (0x24, 0xffffffff),
    (0x28, 0xffffffff),
    (0x2c, 0xffffffff),
    (0x30, 0xffffffff),
    (0x34, 0xffffffff),
    (0x38, 0xffffffff),
];
