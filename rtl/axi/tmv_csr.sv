`include "tmv_macros.svh"

/// Registers of the unit: identity, control, status, ring, interrupts and performance counters.
///
/// Offsets and fields of the registers that all units have come from `tmv_csr_pkg`; a unit gives the values that are its
/// own, and the counters of its ports. `docs/registers.md` is for reading.
/// An access that is not allowed changes nothing, and IRQ_STATUS.BAD_ACCESS remembers it. A write takes effect within two
/// cycles; the answer to a read comes within two cycles. Combinational: the register bus to `count_read_o` and
/// `count_index_o`.
module tmv_csr
  import tmv_axi_pkg::*;
  import tmv_csr_pkg::*;
#(
  /// Values of ID, VERSION, MAP_HASH, PARAM0 and PARAM1.
  parameter logic [31:0] Id = '0,
  parameter logic [31:0] Version = '0,
  parameter logic [31:0] Hash = '0,
  parameter logic [31:0] Param0 = '0,
  parameter logic [31:0] Param1 = '0,
  /// Value of WATCHDOG after reset.
  parameter logic [31:0] WatchdogReset = '0,
  /// Ports with counters, 1 to 8, and the counters of each, 1 to 8.
  parameter int unsigned Ports = 4,
  parameter int unsigned Events = 7,
  /// 1: RING_TAIL says how many descriptors are late; 0: those bits are reserved.
  parameter int unsigned Late = 0
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  /// Register bus, writes. `write_full_i`: all strobes are set.
  input  logic                  write_i,
  input  logic                  write_full_i,
  input  logic      [11:0]      write_addr_i,
  input  logic      [31:0]      write_data_i,
  /// Register bus, reads. The answer stays until the next read.
  input  logic                  read_i,
  input  logic      [11:0]      read_addr_i,
  output logic      [31:0]      read_data_o,
  /// Control, see `tmv_control`: requests, status, and the error that is held.
  output logic                  soft_reset_o,
  output logic                  abort_o,
  output logic      [31:0]      watchdog_o,
  input  logic                  restart_i,
  output logic                  busy_o,
  input  logic                  draining_i,
  input  logic                  error_i,
  input  logic                  error_event_i,
  input  logic      [ 7:0]      code_i,
  input  logic      [ 3:0]      source_i,
  input  addr_t                 addr_i,
  /// Outstanding bursts of reads and of writes, for STATUS.
  input  logic      [ 7:0]      read_bursts_i,
  input  logic      [ 7:0]      write_bursts_i,
  /// Ring: base address, log2 of its number of descriptors, number of descriptors ever queued, how many of them are late;
  /// one more is complete.
  output addr_t                 ring_base_o,
  output logic      [ 3:0]      ring_log2_o,
  output logic      [15:0]      ring_tail_o,
  output logic      [15:0]      ring_late_o,
  input  logic                  done_i,
  /// The doorbell was refused, for one cycle, and the value that was written.
  output logic                  doorbell_fault_o,
  output logic      [15:0]      doorbell_o,
  /// Cycle counter, its low half.
  output logic      [31:0]      cycle_o,
  /// A descriptor with the IRQ flag is complete; the interrupt, a level.
  input  logic                  done_irq_i,
  output logic                  irq_o,
  /// Counters of the ports: `count_i` is number `count_index_o` of each, a cycle after `count_read_o`.
  output logic                  count_clear_o,
  output logic                  count_read_o,
  output logic      [ 2:0]      count_index_o,
  input  logic      [31:0]      count_i[Ports]
);
  // Sources of interrupts, in the order of IRQ_ENABLE.
  localparam int unsigned Sources = 3;
  localparam logic [31:0] TailBits = (Late != 0) ? '1 : 32'h0000ffff;

  logic [Sources-1:0] irq_enable_q, irq_status_q, irq_clear_q;
  logic [63:0] cycle_q;
  logic [31:0] cycle_hi_q;
  logic [31:0] run_start_q, busy_cycles_q;
  logic busy_q, write, refused;

  assign irq_o = |(irq_status_q & irq_enable_q);
  assign cycle_o = cycle_q[31:0];

  // Writes. A refused one does nothing: a register that cannot be written, partial strobes, a reserved bit, the ring
  // while the unit works on it, a doorbell that the unit would forget.
  assign write = write_i && !refused;

  // Registers that can be written are below 0x80. Five bits of the address select one, so that the path is short.
  always_comb begin
    refused = 1'b1;
    if (write_i) unique case ({5'b0, write_addr_i[6:2], 2'b0})
      ControlOffset:    refused = |(write_data_i & ~ControlBits);
      IrqEnableOffset:  refused = |(write_data_i & ~IrqEnableBits);
      IrqStatusOffset:  refused = |(write_data_i & ~IrqStatusBits);
      WatchdogOffset:   refused = 1'b0;
      RingBaseLoOffset: refused = busy_o;
      RingBaseHiOffset: refused = busy_o || |(write_data_i & ~RingBaseHiBits);
      RingLog2Offset:   refused = busy_o || |(write_data_i & ~RingLog2Bits);
      RingTailOffset:   refused = error_i || draining_i || |(write_data_i & ~TailBits);
      default:          refused = 1'b1;
    endcase
    refused |= !write_full_i || write_addr_i[11:7] != '0 || write_addr_i[1:0] != '0;
  end

  always_ff @(posedge clk_i) begin
    automatic logic control = write && write_addr_i == ControlOffset;

    count_clear_o <= !rst_ni || (control && write_data_i[ControlClearCountersLsb]);
    if (!rst_ni) {soft_reset_o, abort_o} <= '0;
    else begin
      soft_reset_o <= control && (write_data_i[ControlSoftResetLsb] || write_data_i[ControlAbortLsb]);
      abort_o      <= control && write_data_i[ControlAbortLsb];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      irq_enable_q <= '0;
      watchdog_o   <= WatchdogReset;
      ring_base_o  <= '0;
      ring_log2_o  <= '0;
    end else if (write) begin
      unique case (write_addr_i)
        IrqEnableOffset:  irq_enable_q <= write_data_i[Sources-1:0];
        WatchdogOffset:   watchdog_o <= write_data_i;
        RingBaseLoOffset: ring_base_o[31:0] <= write_data_i;
        RingBaseHiOffset: ring_base_o[AddrBits-1:32] <= write_data_i[AddrBits-33:0];
        RingLog2Offset:   ring_log2_o <= write_data_i[3:0];
        default:          ;
      endcase
    end
  end

  // Number of completed descriptors. It stays visible after an error, until the soft reset.
  logic [15:0] ring_head_q;

  assign busy_o = ring_tail_o != ring_head_q;

  // The doorbell may not take back descriptors, the ring must hold all that are queued, and only those can be late.
  // Distances from the head are compared, so numbers may wrap. A soft reset starts a new ring.
  logic doorbell_q, doorbell_good;
  logic [15:0] ahead_q, ahead_before_q, late_q;

  assign doorbell_good = ahead_q >= ahead_before_q && ahead_q <= (16'd1 << ring_log2_o) && late_q <= ahead_q;
  assign doorbell_fault_o = doorbell_q && !doorbell_good;

  always_ff @(posedge clk_i) begin
    if (write) doorbell_o <= write_data_i[15:0];
    late_q         <= write_data_i[31:16] & TailBits[31:16];
    ahead_q        <= write_data_i[15:0] - ring_head_q;
    ahead_before_q <= ring_tail_o - ring_head_q;
    if (!rst_ni || restart_i) begin
      doorbell_q  <= 1'b0;
      ring_tail_o <= '0;
      ring_late_o <= '0;
    end else begin
      doorbell_q <= write && write_addr_i == RingTailOffset;
      if (doorbell_q && doorbell_good) {ring_late_o, ring_tail_o} <= {late_q, doorbell_o};
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || restart_i) ring_head_q <= '0;
    else ring_head_q <= ring_head_q + 16'(done_i);
  end

  // A source that fires in the cycle of its clearing stays pending. An access is refused in the cycle after `write_i` or
  // `read_i`; its address is still there.
  logic read_q, read_error_q, bad_write_q, bad_access;

  assign bad_access = bad_write_q || (read_q && read_error_q);

  always_ff @(posedge clk_i) begin
    bad_write_q <= rst_ni && write_i && refused;
    irq_clear_q <= (write && write_addr_i == IrqStatusOffset) ? write_data_i[Sources-1:0] : '0;
    if (!rst_ni) irq_status_q <= '0;
    else irq_status_q <= (irq_status_q & ~irq_clear_q) | {bad_access, error_event_i, done_irq_i};
  end

  // The first access that was refused, while BAD_ACCESS is pending.
  logic access_write_q;
  logic [11:0] access_addr_q;

  always_ff @(posedge clk_i) begin
    if (!irq_status_q[IrqEnableBadAccessLsb] || irq_clear_q[IrqEnableBadAccessLsb]) begin
      access_write_q <= bad_write_q;
      access_addr_q  <= bad_write_q ? write_addr_i : read_addr_i;
    end
  end

  // Counters. A test starts the cycle counter shortly before its low half wraps.
`ifdef TMV_CYCLE_START
  initial cycle_q = `TMV_CYCLE_START;
`endif

  always_ff @(posedge clk_i) begin
    // No reset: it starts anywhere. Only differences mean something.
    cycle_q <= cycle_q + 1'b1;
    busy_q  <= busy_o;
    if (!rst_ni) begin
      run_start_q   <= '0;
      busy_cycles_q <= '0;
    end else begin
      if (busy_o && !busy_q) run_start_q <= cycle_q[31:0];
      busy_cycles_q <= count_clear_o ? '0 : busy_cycles_q + 32'(busy_o);
    end
  end

  // Reads. A register answers in the next cycle; counters of the ports, requested in the same cycle, in the one after.
  logic is_count, is_count_q;
  logic [2:0] port_q;

  assign is_count      = read_addr_i[11:8] == CountOffset[11:8];
  assign count_read_o  = read_i;
  assign count_index_o = read_addr_i[4:2];

  always_ff @(posedge clk_i) begin
    read_q <= read_i;
    if (read_i) begin
      is_count_q   <= is_count;
      port_q       <= read_addr_i[7:5];
      read_data_o  <= '0;
      read_error_q <= 1'b0;
      // Registers are below 0x80. Five bits of the address select the data, so that the path through `busy_o` is short.
      unique case ({5'b0, read_addr_i[6:2], 2'b0})
        IdOffset: read_data_o <= Id;
        VersionOffset: read_data_o <= Version;
        MapHashOffset: read_data_o <= Hash;
        Param0Offset: read_data_o <= Param0;
        Param1Offset: read_data_o <= Param1;
        ControlOffset: ;
        StatusOffset: begin
          read_data_o <= (32'(busy_o) << StatusBusyLsb) | (32'(error_i) << StatusErrorLsb)
              | (32'(draining_i) << StatusDrainingLsb) | (32'(read_bursts_i) << StatusReadBurstsLsb)
              | (32'(write_bursts_i) << StatusWriteBurstsLsb);
        end
        ErrorOffset: read_data_o <= (32'(code_i) << ErrorCodeLsb) | (32'(source_i) << ErrorSourceLsb);
        ErrorAddrLoOffset: read_data_o <= addr_i[31:0];
        ErrorAddrHiOffset: read_data_o <= 32'(addr_i[AddrBits-1:32]);
        AccessErrorOffset: begin
          if (irq_status_q[IrqEnableBadAccessLsb]) begin
            read_data_o <= (32'(access_addr_q) << AccessErrorOffsetLsb) | (32'(access_write_q) << AccessErrorWriteLsb)
                | (32'd1 << AccessErrorValidLsb);
          end
        end
        IrqEnableOffset: read_data_o <= 32'(irq_enable_q);
        IrqStatusOffset: read_data_o <= 32'(irq_status_q);
        WatchdogOffset: read_data_o <= watchdog_o;
        RingBaseLoOffset: read_data_o <= ring_base_o[31:0];
        RingBaseHiOffset: read_data_o <= 32'(ring_base_o[AddrBits-1:32]);
        RingLog2Offset: read_data_o <= 32'(ring_log2_o);
        RingTailOffset: read_data_o <= {ring_late_o, ring_tail_o};
        RingHeadOffset: read_data_o <= 32'(ring_head_q);
        CycleLoOffset: begin
          read_data_o <= cycle_q[31:0];
          cycle_hi_q  <= cycle_q[63:32];
        end
        CycleHiOffset: read_data_o <= cycle_hi_q;
        RunStartOffset: read_data_o <= run_start_q;
        BusyCyclesOffset: read_data_o <= busy_cycles_q;
        default: read_error_q <= 1'b1;
      endcase
      if (read_addr_i[11:7] != '0 || read_addr_i[1:0] != '0) begin
        read_data_o  <= '0;
        read_error_q <= !is_count || read_addr_i[1:0] != '0 || 4'(read_addr_i[4:2]) >= 4'(Events)
            || 32'(read_addr_i[7:5]) >= Ports;
      end
    end else if (read_q && is_count_q && !read_error_q) begin
      for (int unsigned p = 0; p < Ports; p++) if (port_q == 3'(p)) read_data_o <= count_i[p];
    end
  end

  `TMV_REQUIRE(ports, Ports >= 1 && Ports <= 8, "tmv_csr: Ports must be 1 to 8")
  `TMV_REQUIRE(events, Events >= 1 && Events <= 8, "tmv_csr: Events must be 1 to 8")
  `TMV_COVER(DoorbellDeaf, write_i && write_addr_i == RingTailOffset && (error_i || draining_i))
  `TMV_COVER(DoorbellWhileBusy, write_i && write_addr_i == RingTailOffset && busy_o)
  `TMV_COVER(DoorbellRefused, doorbell_fault_o)
  `TMV_COVER(TooManyLate, doorbell_q && late_q > ahead_q)
  `TMV_COVER(RingWhileBusy, write_i && write_addr_i == RingBaseLoOffset && busy_o)
  `TMV_COVER(InterruptWhileCleared, irq_clear_q != '0 && (error_event_i || done_irq_i))
endmodule
