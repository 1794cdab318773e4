`include "tmv_macros.svh"

/// Front end of the vector unit: fetches descriptors and their programs, checks instructions, and deals each one to
/// engine, loader and storer. One descriptor at a time; its record is written when all of its words are in memory.
///
///   Idle -> Fetch -> Receive -> Check -> Ask -> Program -> Finish -> Record -> Idle
///
/// Instructions are dealt ahead of the engine, as far as the queues have room, so streams are read early. An instruction
/// with FENCE waits until all words that those before it store are in memory: a stream that reads them needs it. So does one
/// with TELL; then the other unit is told. One with AFTER waits until the other unit tells.
/// A bad descriptor or instruction stays where it is until all before it is complete, and is then told.
module tmv_vec_frontend
  import tmv_axi_pkg::*;
  import tmv_vec_pkg::*;
  import tmv_vec_reg_pkg::*;
#(
  parameter int unsigned Lanes = 32,
  parameter int unsigned PortBits = 128,
  /// Words of the loader's queue: the largest block of a stream.
  parameter int unsigned RingWords = 32
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                halt_i,
  /// Ring: base address, log2 of its number of descriptors, number of descriptors ever queued.
  input  addr_t               ring_base_i,
  input  logic [         3:0] ring_log2_i,
  input  logic [        15:0] ring_tail_i,
  input  logic [        31:0] cycle_i,
  /// Read stream: commands, and their beats.
  output logic                cmd_valid_o,
  input  logic                cmd_ready_i,
  output addr_t               cmd_addr_o,
  output beats_t              cmd_beats_o,
  input  logic                beat_valid_i,
  output logic                beat_ready_o,
  input  logic [PortBits-1:0] beat_i,
  /// The other unit tells; it is told. Each for a cycle.
  input  logic                told_i,
  output logic                tell_o,
  /// The next instruction waits for the other unit, and all before it are complete.
  output logic                waits_o,
  /// Instructions for the engine; an instruction is complete.
  output logic                instr_valid_o,
  input  logic                instr_ready_i,
  output instr_t              instr_o,
  input  logic                instr_done_i,
  /// Ranges for loader and storer.
  output logic                load_valid_o,
  input  logic                load_ready_i,
  output logic                store_valid_o,
  input  logic                store_ready_i,
  output range_t              range_o,
  /// All words are in memory that instructions store which were dealt.
  input  logic                store_idle_i,
  /// Record, see `tmv_vec_storer`.
  output logic                record_o,
  output addr_t               record_addr_o,
  output logic [       127:0] record_data_o,
  input  logic                record_done_i,
  /// A descriptor is complete; it asks for an interrupt.
  output logic                done_o,
  output logic                done_irq_o,
  /// Address of the instruction that the engine is at.
  output addr_t               instr_addr_o,
  /// An error of a descriptor or instruction, with its address; stays until reset.
  output fault_t              fault_o
);
  localparam int unsigned PortBytes = PortBits / 8;
  localparam int unsigned ItemBeats = InstrBytes / PortBytes;
  localparam int unsigned WordBeats = 32 * Lanes / PortBits;
  localparam int unsigned WordBits = $clog2(WordBeats);
  localparam int unsigned RingBits = $clog2(RingWords);

  typedef enum logic [2:0] {
    Idle,
    Fetch,
    Receive,
    Check,
    Ask,
    Program,
    Finish,
    Record
  } state_e;

  state_e state_q;

  logic [15:0] fetched_q, ring_index;
  addr_t desc_addr_q;
  logic [31:0] start_cycle_q;
  logic fetch_start;

  assign ring_index  = fetched_q & ((16'd1 << ring_log2_i) - 16'd1);
  assign fetch_start = state_q == Idle && fetched_q != ring_tail_i && !halt_i;

  // A descriptor or an instruction, shifted in beat by beat.
  logic [InstrBytes*8-1:0] item_q;
  logic [$clog2(ItemBeats)-1:0] beat_q;
  logic item_valid_q, item_full, receiving, deal;
  instr_t incoming;

  assign incoming     = instr_t'({beat_i, item_q[InstrBytes*8-1:PortBits]});
  assign receiving    = state_q == Receive || (state_q == Program && (!item_valid_q || deal));
  assign beat_ready_o = receiving;
  assign item_full    = beat_valid_i && receiving && beat_q == '1;

  always_ff @(posedge clk_i) begin
    if (beat_valid_i && receiving) item_q <= incoming;
    if (!rst_ni) begin
      beat_q       <= '0;
      item_valid_q <= 1'b0;
    end else begin
      if (beat_valid_i && receiving) beat_q <= beat_q + 1'b1;
      if (state_q == Program && item_full) item_valid_q <= 1'b1;
      else if (deal) item_valid_q <= 1'b0;
    end
  end

  // Descriptor.
  logic [12:0] count_q, dealt_q, done_q;
  logic last_q;
  addr_t program_q;
  logic irq_q, bad_q, misaligned_q, ring_aligned;

  assign ring_aligned = ring_base_i[$clog2(DescBytes)-1:0] == '0;

  always_ff @(posedge clk_i) begin
    if (fetch_start) begin
      desc_addr_q   <= {ring_base_i[AddrBits-1:$clog2(DescBytes)], $clog2(DescBytes)'(0)}
          + (addr_t'(ring_index) << $clog2(DescBytes));
      start_cycle_q <= cycle_i;
    end
    if (state_q == Check) begin
      count_q      <= item_q[32*DescCountWord+:13];
      program_q    <= item_q[32*DescProgramWord+:AddrBits];
      irq_q        <= (item_q[32*DescControlWord+:8] & 8'(FlagIrq)) != '0;
      bad_q        <= ring_aligned && (item_q[32*DescControlWord+24+:8] != 8'(Opcode)
          || (item_q & DescReservedBits) != '0 || item_q[32*DescCountWord+:13] == '0
          || item_q[32*DescCountWord+:13] > 13'(MaxInstructions));
      misaligned_q <= !ring_aligned || item_q[32*DescProgramWord+:$clog2(DescBytes)] != '0;
    end
  end

  // An instruction.
  instr_t instr;
  logic bad_instr, checked_q, bad_fields_q, ragged_q, ragged, loads, stores, ready_q, fenced, store_idle_q;
  logic good, tell, telling_q, told_q, told;
  logic [31:0] range_beats_q;
  logic [RingBits+16:0] words_q;

  assign instr = instr_t'(item_q);

  /// Whether a field is out of range, or fields contradict each other.
  function automatic logic is_bad(instr_t i);
    logic chain, maximum, y_b;
    chain   = i.kind == KindSum || i.kind == KindKeep;
    maximum = i.kind == KindMax || i.kind == KindMaxAbs;
    y_b     = i.b_sel == BY || i.b_sel == BExp2;
    return 3'(i.kind) > 3'(KindMaxAbs) || 2'(i.m_op) == 2'd3 || 2'(i.a_sel) == 2'd3 || 3'(i.b_sel) > 3'(BExp2)
        || 2'(i.c_sel) == 2'd3 || i.reserved != '0
        || i.n0 == '0 || i.n1 == '0 || i.n2 == '0 || i.n3 == '0
        // The addend of a chain is its accumulator. Y is read once.
        || (chain && (i.c_sel != CNone || i.m_op != OpMul || i.post != PostNone))
        || (!chain && (i.more || i.hold))
        || (i.c_sel == CNone && i.c_neg) || (i.c_sel == CY && y_b) || (i.m_op != OpMul && i.c_sel == CY)
        || (i.m_op == OpRoot && (i.n0 != 16'd1 || i.n1 != 16'd1 || i.n2 != 16'd1 || i.n3 != 16'd1))
        || (maximum && (i.n2 != 16'd1 || i.n3 != 16'd1 || i.m_op != OpMul))
        || (i.d_to != ToScratch && i.kind != KindMap)
        // Partial sums of a fold come in words one after the other.
        || (i.kind == KindSum && Lanes < Partials && i.n3 != 16'(Partials / Lanes))
        || i.last > 6'(Lanes) || (i.last != '0 && !maximum)
        || (i.x_from != FromScratch && (i.a_sel == AOne || i.d_to != ToScratch || i.rows == '0 || i.row_beats == '0
            || i.x0 == '0 || i.x0 > count_t'(RingWords) || i.addr[$clog2(PortBytes)-1:0] != '0 || i.x_base != '0))
        || (i.d_to != ToScratch && (i.rows != 16'd1 || i.row_beats == '0 || i.addr[$clog2(PortBytes)-1:0] != '0));
  endfunction

  assign loads     = instr.x_from != FromScratch;
  assign stores    = instr.d_to != ToScratch;
  assign fenced    = instr.fence && !store_idle_q;
  assign bad_instr = bad_fields_q || ragged_q;
  // A range must have exactly the beats of all blocks: rows * beats = n0 * words of a block.
  assign ragged    = range_beats_q != (instr.x_from == FromBf16 ? 32'(words_q) << (WordBits - 1) : 32'(words_q) << WordBits);
  // An instruction tells before it waits.
  assign good      = state_q == Program && checked_q && !bad_instr && !halt_i;
  assign tell      = good && instr.tell && !telling_q && store_idle_q;
  assign deal      = good && !fenced && ready_q && (telling_q || !instr.tell) && (told_q || !instr.after);
  assign waits_o   = good && instr.after && !told_q && (telling_q || !instr.tell) && dealt_q == done_q && store_idle_q;
  assign tell_o    = tell;

  tmv_credits u_credits (
    .clk_i,
    .rst_ni,
    .told_i,
    .any_o (told),
    .take_i(deal && instr.after)
  );

  assign instr_valid_o = deal;
  assign instr_o       = instr;
  assign load_valid_o  = deal && loads;
  assign store_valid_o = deal && stores;
  assign range_o = '{
    addr: instr.addr,
    rows: instr.rows,
    row_beats: instr.row_beats,
    row_stride: instr.row_stride,
    from: instr.x_from
  };

  // Both products are made of the last beat as it comes: they are there when the instruction is.
  always_ff @(posedge clk_i) begin
    if (beat_valid_i && receiving) begin
      range_beats_q <= 32'(incoming.rows) * 32'(incoming.row_beats);
      words_q       <= $bits(words_q)'(incoming.n0) * $bits(words_q)'(incoming.x0[RingBits:0]);
    end
  end

  // A cycle between an instruction and its check. The storer is not idle from the deal of a range until its words are in
  // memory, which is later than the pass ends: a cycle does no harm.
  always_ff @(posedge clk_i) begin
    store_idle_q <= store_idle_i;
    // Only deals fill the queues, and they are several cycles apart.
    ready_q      <= instr_ready_i && load_ready_i && store_ready_i;
    checked_q    <= rst_ni && state_q == Program && item_valid_q && !deal;
    bad_fields_q <= is_bad(instr);
    ragged_q     <= loads && ragged;
    telling_q    <= tell || (telling_q && item_valid_q && !deal);
    told_q       <= told;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || state_q == Check) begin
      dealt_q <= '0;
      done_q  <= '0;
    end else begin
      dealt_q <= dealt_q + 13'(deal);
      done_q  <= done_q + 13'(instr_done_i);
    end
    // Deals are several cycles apart.
    last_q <= dealt_q == count_q - 1'b1;
  end

  assign instr_addr_o = program_q + (addr_t'(done_q) << $clog2(InstrBytes));

  assign fault_o = '{
    valid: (state_q == Ask && (bad_q || misaligned_q))
        || (state_q == Program && checked_q && bad_instr && dealt_q == done_q && store_idle_q),
    code: (state_q != Ask) ? ErrBadInstruction : bad_q ? ErrBadDescriptor : ErrMisaligned,
    addr: (state_q != Ask) ? instr_addr_o : desc_addr_q
  };

  assign cmd_valid_o = !halt_i && (state_q == Fetch || (state_q == Ask && !bad_q && !misaligned_q));
  assign cmd_addr_o  = (state_q == Fetch) ? desc_addr_q : program_q;
  assign cmd_beats_o = (state_q == Fetch) ? beats_t'(ItemBeats) : beats_t'(count_q) << $clog2(ItemBeats);

  logic finished, recorded_q;

  assign finished      = state_q == Finish && done_q == count_q && store_idle_q && !halt_i;
  assign record_o      = finished;
  assign record_addr_o = desc_addr_q + addr_t'(4 * DescStatusWord);
  assign done_o        = state_q == Record && recorded_q && !halt_i;
  assign done_irq_o    = done_o && irq_q;

  logic [31:0] end_cycle_q;

  // A refused record completes nothing: its error halts the unit in the cycle after.
  always_ff @(posedge clk_i) begin
    recorded_q <= rst_ni && state_q == Record && record_done_i;
    if (finished) end_cycle_q <= cycle_i;
  end

  assign record_data_o = {16'b0, fetched_q, end_cycle_q, start_cycle_q, 32'h8000_0000};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q   <= Idle;
      fetched_q <= '0;
    end else begin
      unique case (state_q)
        Idle:    if (fetch_start) state_q <= Fetch;
        Fetch:   if (cmd_valid_o && cmd_ready_i) state_q <= Receive;
        Receive: if (item_full) state_q <= Check;
        Check:   state_q <= Ask;
        Ask:     if (cmd_valid_o && cmd_ready_i) state_q <= Program;
        Program: if (deal && last_q) state_q <= Finish;
        Finish:  if (finished) state_q <= Record;
        Record:  if (done_o) state_q <= Idle;
      endcase
      fetched_q <= fetched_q + 16'(done_o);
    end
  end

  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_vec_frontend: PortBits must be 64 or 128")
  `TMV_REQUIRE(word, WordBeats >= 4, "tmv_vec_frontend: a word of bytes must fill a beat")
  `TMV_COVER(FenceWaits, state_q == Program && item_valid_q && fenced)
  `TMV_COVER(TellWaits, state_q == Program && checked_q && instr.tell && !store_idle_q)
  `TMV_COVER(QueuesFull, state_q == Program && item_valid_q && !ready_q)
  `TMV_COVER(BadBehindGood, state_q == Program && checked_q && bad_instr && dealt_q != done_q)
endmodule
