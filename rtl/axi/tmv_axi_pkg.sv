/// Types and constants of the bus parts in `rtl/axi`. A unit imports this package; this package imports nothing.
///
/// The parts use a subset of AXI4: INCR bursts of whole beats, at most `BurstBeats` long, that end at multiples of
/// `BurstBeats` beats. Signals that never change in that subset (size, burst, cache, strobes) are not here.
package tmv_axi_pkg;
  /// Bits of a physical address; Zynq-7000 uses the low 32.
  localparam int unsigned AddrBits = 40;
  /// Beats of the longest burst, a power of two. A Zynq HP port turns AXI4 into AXI3, which has bursts of 16 beats.
  localparam int unsigned BurstBeats = 16;
  /// Bits of a beat's number in its burst.
  localparam int unsigned BurstBits = $clog2(BurstBeats);

  typedef logic [AddrBits-1:0] addr_t;
  /// Number of beats of a range.
  typedef logic [15:0] beats_t;
  /// Number of beats of a burst: 1 to `BurstBeats`.
  typedef logic [BurstBits:0] length_t;
  /// ARLEN or AWLEN: the number of beats of a burst, minus one.
  typedef logic [7:0] len_t;
  /// RRESP or BRESP. Bit 1 is set in an error, bit 0 tells which one.
  typedef enum logic [1:0] {
    RespOkay = 2'b00,
    RespExOkay = 2'b01,
    RespSlvErr = 2'b10,
    RespDecErr = 2'b11
  } resp_e;

  /// Read address channel.
  typedef struct packed {
    addr_t addr;
    len_t  len;
    logic  id;
  } ar_t;

  /// Write address channel.
  typedef struct packed {
    addr_t addr;
    len_t  len;
  } aw_t;

  /// Read data channel without RDATA, which is a signal of its own: simulation is slower with a wide word in a struct.
  typedef struct packed {
    resp_e resp;
    logic  last;
    logic  id;
  } r_t;

  /// Codes of errors that a bus part reports. A unit that uses the same numbers for its own codes needs no table.
  typedef enum logic [7:0] {
    /// A read beat was answered with SLVERR or DECERR.
    BusReadSlverr = 8'd1,
    BusReadDecerr = 8'd2,
    /// RLAST came early or was missing.
    BusReadLast = 8'd3,
    /// A write burst was answered with SLVERR or DECERR.
    BusWriteSlverr = 8'd4,
    BusWriteDecerr = 8'd5,
    /// The consumer of a read stream says that the beat is no valid data.
    BusBeatIllegal = 8'd8,
    /// An answer that belongs to no burst: the slave kept it from before a reset, or it is broken.
    BusStray = 8'd11
  } bus_error_e;

  /// An error of the bus, with the address of its beat or burst; `valid` for one cycle.
  typedef struct packed {
    logic       valid;
    bus_error_e code;
    addr_t      addr;
  } bus_fault_t;

  /// Codes that every unit has besides those of the bus and its own: no error, no progress, a doorbell out of range.
  typedef enum logic [7:0] {
    UnitErrorNone = 8'd0,
    UnitErrorWatchdog = 8'd9,
    UnitErrorBadDoorbell = 8'd10
  } unit_error_e;

  /// Sources of errors of every unit. Smaller numbers are ports.
  typedef enum logic [3:0] {
    UnitSourceWriter = 4'd14,
    UnitSourceFrontend = 4'd15
  } unit_source_e;

  /// An error of a unit, with the address of its beat, burst or descriptor.
  typedef struct packed {
    logic       valid;
    logic [7:0] code;
    addr_t      addr;
  } fault_t;
endpackage
