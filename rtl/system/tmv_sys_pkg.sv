/// Types and constants of the sequencer: the address map of its core, and the bus between core, memory and registers.
package tmv_sys_pkg;
  /// Words of the longest transfer: a line of the data cache.
  localparam int unsigned LineWords = 8;

  /// A request. `valid` and all else stay until `ready` of the response. The address of a read of several words is a
  /// multiple of the whole read. A write has one word; its data are a signal of their own, because a simulator is slow
  /// with structs of more than 64 bits.
  typedef struct packed {
    logic        valid;
    logic        write;
    logic [31:0] addr;
    /// Words to read, minus one: 0 or `LineWords - 1`.
    logic [ 2:0] len;
    logic [ 3:0] strb;
  } bus_req_t;

  /// A response. After `ready`, `valid` is high once for each word of a read, in order, or once for a write. The first
  /// `valid` comes after `ready`, never with it. A slave takes no other request before the last `valid`; with it, it may.
  typedef struct packed {
    logic        ready;
    logic        valid;
    /// The access was refused, or the memory reports an error.
    logic        error;
    logic [31:0] rdata;
  } bus_rsp_t;

  /// Where the core finds what, by bits 31:30 and 16 of an address:
  ///
  /// | address | content |
  /// | --- | --- |
  /// | 0x0000_0000 | on-chip memory, for code, data and stack |
  /// | 0x4000_0000 | window of 1 GiB to the memory of the system |
  /// | 0xF000_0000 | registers of the ternary unit |
  /// | 0xF000_1000 | registers of the vector unit |
  /// | 0xF001_0000 | registers of the sequencer |
  typedef enum logic [2:0] {
    TargetRam,
    TargetWindow,
    TargetUnit,
    TargetRegs,
    TargetNone
  } target_e;

  /// The target of an access. `ram_words`: size of the on-chip memory.
  function automatic target_e target_of(logic [31:0] addr, int unsigned ram_words);
    if (addr < 32'(4 * ram_words)) return TargetRam;
    if (addr[31:30] == 2'b01) return TargetWindow;
    if (addr[31:13] == 19'h78000) return TargetUnit;
    if (addr[31:12] == 20'hF0010) return TargetRegs;
    return TargetNone;
  endfunction
endpackage
