`include "tmv_macros.svh"

/// Front end: fetches descriptors from the ring, checks them, loads activations, and hands operators to dispatcher and
/// writer.
///
/// One read stream serves descriptors and activations. The front end publishes an operator as soon as its descriptor is
/// checked, so its weights flow while its activations load; `x_loaded_o` holds the engines back until then. Activations
/// go to the other bank, as soon as no operator in flight uses that bank. At most `Contexts` operators are in flight.
/// The last `ring_late_i` descriptors of the ring are late: their activations are loaded when they are late no more. Those of
/// a descriptor with AFTER are late until the other unit tells.
/// Takes one beat of activations a cycle. Descriptor layout: `docs/registers.md`.
///
///   Idle -> Fetch -> Receive -> Check -> Publish -> WaitBank -> Load -> Idle
///                                           |   KEEP_X
///                                           +-----------------> Idle
///
/// A bad descriptor stays in Publish: its error ends in a reset of the datapath. Combinational: `halt_i` to
/// `cmd_valid_o`.
module tmv_frontend
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Activation vectors.
  parameter  int unsigned Vectors = 4,
  /// Lanes of a beat: activations of a vector in a word.
  parameter  int unsigned Lanes = 64,
  /// Words of an activation bank, a power of two, at least 2.
  parameter  int unsigned BankWords = DefaultBankWords,
  /// Groups of vectors, a power of two.
  parameter  int unsigned Groups = 1,
  /// 1: operators may read columns.
  parameter  int unsigned Columns = 1,
  localparam int unsigned WordAddrBits = x_addr_bits(BankWords, Groups),
  localparam int unsigned BeatBits = $clog2(MaxColumns * 8 / PortBits) + 1
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,
  /// No new command starts while this is high.
  input  logic                            halt_i,
  /// Ring: base address, log2 of its number of descriptors, number of descriptors ever queued, how many of them, the last
  /// ones, are late.
  input  addr_t                           ring_base_i,
  input  logic    [         3:0]          ring_log2_i,
  input  logic    [        15:0]          ring_tail_i,
  input  logic    [        15:0]          ring_late_i,
  /// The other unit tells, for a cycle.
  input  logic                            told_i,
  /// The activations that are to be loaded next are late.
  output logic                            late_o,
  /// Cycle counter.
  input  logic    [        31:0]          cycle_i,
  /// Read stream: commands, and their beats.
  output logic                            cmd_valid_o,
  input  logic                            cmd_ready_i,
  output addr_t                           cmd_addr_o,
  output beats_t                          cmd_beats_o,
  input  logic                            beat_valid_i,
  output logic                            beat_ready_o,
  input  logic    [PortBits-1:0]          beat_i,
  /// Activation memory: planes of a word of one vector. `x_loaded_o`: contexts whose activations are complete.
  output logic                            x_write_o,
  output logic    [         3:0]          x_vector_o,
  output logic    [WordAddrBits-1:0]      x_addr_o,
  output logic    [         7:0][Lanes-1:0] x_data_o,
  output logic    [Contexts-1:0]          x_loaded_o,
  /// Activations for operators that read columns: bank and number of a beat. Its bytes are the last ones in `x_data_o`.
  output logic                            column_x_write_o,
  output logic    [BeatBits-1:0]          column_x_addr_o,
  /// Operators. Both consumers have room for `Contexts` of them, so there is no ready.
  output logic                            op_valid_o,
  output dispatch_t                       dispatch_o,
  output retire_t                         retire_o,
  /// The oldest operator is complete.
  input  logic                            done_i,
  /// An error of a descriptor, with its address; stays until reset.
  output fault_t                          fault_o
);
  localparam int unsigned PortBytes = PortBits / 8;
  localparam int unsigned ByteBits = $clog2(PortBytes);
  localparam int unsigned DescBeats = DescBytes / PortBytes;
  localparam int unsigned WordBeats = Lanes / PortBytes;

  typedef enum logic [2:0] {
    Idle,
    Fetch,
    Receive,
    Check,
    Publish,
    WaitBank,
    Load
  } state_e;

  state_e state_q;

  // Ring bookkeeping.
  logic [15:0] fetched_q;
  logic [$clog2(Contexts):0] inflight_q;
  addr_t desc_addr_q;
  logic [31:0] start_cycle_q;
  logic [15:0] ring_index, index_q, left_q, ring_late_q;
  logic late_q;
  logic fetch_start, publish;

  assign ring_index = fetched_q & ((16'd1 << ring_log2_i) - 16'd1);
  assign fetch_start = state_q == Idle && fetched_q != ring_tail_i && inflight_q != ($clog2(Contexts) + 1)'(Contexts);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fetched_q  <= '0;
      inflight_q <= '0;
    end else begin
      fetched_q  <= fetched_q + 16'(publish);
      inflight_q <= inflight_q + ($clog2(Contexts) + 1)'(publish) - ($clog2(Contexts) + 1)'(done_i);
    end
  end

  // The descriptor waits for the other unit, and the other unit has told.
  logic after, told;

  always_ff @(posedge clk_i) begin
    if (fetch_start) begin
      desc_addr_q   <= {ring_base_i[AddrBits-1:$clog2(DescBytes)], $clog2(DescBytes)'(0)}
          + (addr_t'(ring_index) << $clog2(DescBytes));
      start_cycle_q <= cycle_i;
      index_q       <= fetched_q;
    end
    // Descriptors from this one on. Known long before its activations are to be loaded.
    left_q      <= ring_tail_i - index_q;
    ring_late_q <= ring_late_i;
    late_q      <= left_q <= ring_late_q || (after && !told);
  end

  // Descriptor, shifted in beat by beat. Its first beat ends in the low bits.
  logic [DescBytes*8-1:0] desc_q;
  logic [$clog2(DescBeats)-1:0] desc_beat_q;

  /// 32-bit word `index` of the descriptor.
  function automatic logic [31:0] field(logic [DescBytes*8-1:0] desc, int unsigned index);
    return desc[32*index+:32];
  endfunction

  // The fetch drops the low bits of the ring's address. If they are not zero, memory there is not the ring, so the
  // address is refused and the descriptor is not looked at.
  logic ring_aligned;

  assign ring_aligned = ring_base_i[$clog2(DescBytes)-1:0] == '0;

  // Every field has one right range. `row_beats` follows from `in_features`: a driver that assumes another layout of
  // the image gives another number, and is refused.
  logic [7:0] flags;
  logic keep_x, rows, skip, older, record, columns, tell;
  beats_t row_beats, row_beats_q;
  logic [15:0] in_features, in_features_q;
  logic [$clog2(BankWords)-1:0] last_word_q;
  logic [3:0] tokens, tokens_q;
  logic x_valid_q, bad_field_q, bad_row_q, bad_flag_q, bad_column_q, bad, misaligned_q;
  logic [16:0] blocks_q;

  /// Whether a field of the descriptor is out of range.
  function automatic logic has_bad_field(logic [DescBytes*8-1:0] desc);
    logic [7:0] opcode;
    logic [3:0] count;
    logic [31:0] n;
    opcode = desc[32*DescControlWord+24+:8];
    count  = desc[32*DescControlWord+8+:4];
    n      = field(desc, DescOutFeaturesWord);
    return opcode != 8'(Opcode) || count == '0 || count > 4'(Vectors * Groups) || n == '0 || n > MaxOutFeatures
        || (desc & DescReservedBits) != '0;
  endfunction

  /// Whether a row has no beats, too many or not those of its length, or is longer than its stride.
  function automatic logic has_bad_row(logic [DescBytes*8-1:0] desc);
    logic [16:0] padding;
    logic [31:0] beats;
    beats = 32'(desc[32*DescInFeaturesWord+16+:16]);
    // Lanes of a row without a weight: fewer than a beat has. A row that is longer than its beats makes this negative,
    // which is a large number. It may overflow only with more beats than `BankWords`, which are refused anyway.
    padding = 17'(scaled(beats, 8'(Lanes))) - 17'(desc[32*DescInFeaturesWord+:16]);
    return beats == '0 || beats > BankWords || padding >= 17'(Lanes)
        || field(desc, DescWStrideWord) < ((desc[32*DescControlWord+:8] & 8'(FlagColumns)) != '0
            ? 32'(desc[32*DescColumnBeatsWord+:16]) * PortBytes
            : (desc[32*DescControlWord+:8] & 8'(FlagRows)) != '0 ? beats * PortBytes : beats * RowBlock * PortBytes);
  endfunction

  /// Whether an operator that reads columns has more than one token, too many columns or rows, or a column with other beats
  /// than those of its length; or another operator has beats of a column.
  function automatic logic has_bad_column(logic [DescBytes*8-1:0] desc);
    logic [15:0] beats;
    logic [16:0] spare;
    beats   = desc[32*DescColumnBeatsWord+:16];
    // As for rows. It may overflow only with more than 255 beats, which are refused anyway.
    spare = 17'(scaled(32'(beats[7:0]), 8'(Lanes))) - 17'(desc[32*DescOutFeaturesWord+:16]);
    if ((desc[32*DescControlWord+:8] & 8'(FlagColumns)) == '0) return beats != '0;
    return Columns == 0 || desc[32*DescControlWord+8+:4] != 4'd1 || 32'(desc[32*DescInFeaturesWord+:16]) > MaxColumns
        || field(desc, DescOutFeaturesWord) > MaxColumnRows || beats[15:8] != '0 || spare >= 17'(Lanes);
  endfunction

  /// Whether an address or a stride is no multiple of `DescBytes`.
  function automatic logic is_misaligned(logic [DescBytes*8-1:0] desc);
    return (field(desc, DescXAddrWord) | field(desc, DescWAddrWord) | field(desc, DescYAddrWord)
        | field(desc, DescXStrideWord) | field(desc, DescWStrideWord)) % DescBytes != '0;
  endfunction

  assign flags     = desc_q[32*DescControlWord+:8];
  assign keep_x    = (flags & 8'(FlagKeepX)) != '0;
  assign rows      = (flags & 8'(FlagRows)) != '0;
  assign skip      = (flags & 8'(FlagSkip)) != '0;
  assign older     = (flags & 8'(FlagOlder)) != '0;
  assign record    = (flags & 8'(FlagRecord)) != '0;
  assign columns   = Columns != 0 && (flags & 8'(FlagColumns)) != '0;
  assign tell      = (desc_q[32*DescControlWord+:16] & 16'(FlagTell)) != '0;
  assign after     = (desc_q[32*DescControlWord+:16] & 16'(FlagAfter)) != '0;
  assign tokens    = desc_q[32*DescControlWord+8+:4];
  assign row_beats = desc_q[32*DescInFeaturesWord+16+:16];
  assign in_features = desc_q[32*DescInFeaturesWord+:16];

  // The last two operators that recorded rows, the last one first: whether there was one, and its rows.
  localparam int unsigned RecordBits = $clog2(MaxRecordedRows) + 1;
  logic [1:0] recorded_q;
  logic [1:0][RecordBits-1:0] recorded_rows_q;

  always_ff @(posedge clk_i) begin
    if (state_q == Check) begin
      // Several registers, because one for all would end the longest path of the unit.
      bad_field_q  <= ring_aligned && (has_bad_field(desc_q)
          || (keep_x && (!x_valid_q || in_features != in_features_q || tokens != tokens_q)));
      bad_row_q    <= ring_aligned && has_bad_row(desc_q);
      // One token and rows that can be recorded; single rows to skip, and a record of as many rows; no record of rows that
      // are skipped, and none to go back from without a skip. Columns exclude all of that. Nothing to wait for, if the
      // activations are there.
      bad_flag_q   <= ring_aligned && (
          ((record || skip) && (tokens != 4'd1 || field(desc_q, DescOutFeaturesWord) > MaxRecordedRows))
          || (skip && (record || !rows || !recorded_q[older]
              || recorded_rows_q[older] != desc_q[32*DescOutFeaturesWord+:RecordBits]))
          || (older && !skip) || (columns && (rows || record)) || (keep_x && after));
      bad_column_q <= ring_aligned && has_bad_column(desc_q);
      misaligned_q <= !ring_aligned || is_misaligned(desc_q);
      blocks_q     <= 17'((field(desc_q, DescOutFeaturesWord) + RowBlock - 1) / RowBlock);
    end
  end

  assign bad = bad_field_q || bad_row_q || bad_flag_q || bad_column_q;

  always_ff @(posedge clk_i) begin
    if (publish && record) recorded_rows_q <= {recorded_rows_q[0], desc_q[32*DescOutFeaturesWord+:RecordBits]};
    if (!rst_ni) recorded_q <= '0;
    else if (publish && record) recorded_q <= {recorded_q[0], 1'b1};
  end

  // The operators before this one are good, so the error waits until they are complete.
  assign fault_o = '{
    valid: state_q == Publish && (bad || misaligned_q) && inflight_q == '0,
    code: bad ? ErrBadDescriptor : ErrMisaligned,
    addr: desc_addr_q
  };

  logic bank_free;

  tmv_credits u_credits (
    .clk_i,
    .rst_ni,
    .told_i,
    .any_o (told),
    .take_i(bank_free && after)
  );

  // Banks: the bank that each operator in flight reads.
  logic bank_q, bank;
  context_id_t publish_id_q, done_id_q;
  logic [Contexts-1:0] bank_of_q, pending_q;

  assign bank = keep_x ? bank_q : !bank_q;
  assign publish = state_q == Publish && !bad && !misaligned_q && !halt_i;

  always_comb begin
    {bank_free, late_o} = '0;
    if (state_q == WaitBank) begin
      bank_free = !late_q;
      late_o    = late_q;
      for (int unsigned c = 0; c < Contexts; c++) begin
        if (pending_q[c] && bank_of_q[c] == bank_q && context_id_t'(c) != publish_id_q - 1'b1) bank_free = 1'b0;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      publish_id_q <= '0;
      done_id_q    <= '0;
      pending_q    <= '0;
      x_valid_q    <= 1'b0;
    end else begin
      if (publish) begin
        bank_q                  <= bank;
        bank_of_q[publish_id_q] <= bank;
        pending_q[publish_id_q] <= 1'b1;
        publish_id_q            <= publish_id_q + 1'b1;
        x_valid_q               <= 1'b1;
      end
      if (done_i) begin
        pending_q[done_id_q] <= 1'b0;
        done_id_q            <= done_id_q + 1'b1;
      end
    end
  end

  // Operators for dispatcher and writer.
  always_ff @(posedge clk_i) begin
    if (publish) begin
      row_beats_q   <= row_beats;
      last_word_q   <= ($clog2(BankWords))'(row_beats - 1'b1);
      in_features_q <= in_features;
      tokens_q      <= tokens;
      dispatch_o <= '{
        id: publish_id_q,
        bank: bank,
        rows: rows || columns,
        skip: skip,
        older: older,
        record: record,
        columns: columns,
        tokens: tokens,
        row_beats: columns ? beats_t'(desc_q[32*DescColumnBeatsWord+:16]) : row_beats,
        blocks: columns ? (17'(in_features) + 17'(RowBlock - 1)) >> $clog2(RowBlock) : blocks_q,
        w_addr: desc_q[32*DescWAddrWord+:AddrBits],
        w_stride: field(desc_q, DescWStrideWord)
      };
      retire_o <= '{
        irq: (flags & 8'(FlagIrq)) != '0,
        tell: tell,
        skip: skip,
        older: older,
        record: record,
        columns: columns,
        tokens: tokens,
        blocks: blocks_q,
        words: 21'(scaled(32'(blocks_q), 8'(tokens))),
        y_addr: desc_q[32*DescYAddrWord+:AddrBits],
        record_addr: desc_addr_q + addr_t'(4 * DescStatusWord),
        start_cycle: start_cycle_q,
        tag: fetched_q
      };
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) op_valid_o <= 1'b0;
    else op_valid_o <= publish;
  end

  // Activations: a command for each token. Beats become words, bytes become planes. Bytes beyond the row are padding:
  // they become zero, so weights in the padding have no effect, whatever is in memory there.
  logic [3:0] request_token_q, token_q, vector_q;
  logic requesting_q, word_last, word_full, load_done_q;
  addr_t row_addr_q;
  logic [$clog2(BankWords)-1:0] word_q;
  logic [$clog2(WordBeats+1)-1:0] word_beat_q;

  /// Bit `plane` of every byte of a beat.
  function automatic logic [PortBytes-1:0] transpose(logic [PortBits-1:0] beat, int unsigned plane);
    for (int unsigned i = 0; i < PortBytes; i++) transpose[i] = beat[8*i+plane];
  endfunction

  // Tokens fill the vectors of a group, then the vectors of the next group.
  logic vector_last;
  logic [WordAddrBits-1:0] x_addr;

  assign vector_last = vector_q == 4'(Vectors - 1);

  if (Groups == 1) begin : gen_one_group
    assign x_addr = {bank_q, word_q};
  end else begin : gen_groups
    logic [$clog2(Groups)-1:0] group_q;

    always_ff @(posedge clk_i) begin
      if (state_q == WaitBank) group_q <= '0;
      else if (word_full && word_last && vector_last) group_q <= group_q + 1'b1;
    end

    assign x_addr = {bank_q, group_q, word_q};
  end

  // Beats for operators that read columns, which have one token: as many as such an operator may have.
  localparam int unsigned RowBeatBits = $clog2(MaxTokens * BankWords * WordBeats + 1);

  logic [RowBeatBits-1:0] x_beat_q;

  always_ff @(posedge clk_i) begin
    column_x_addr_o <= {bank_q, (BeatBits - 1)'(x_beat_q)};
    if (state_q == WaitBank) x_beat_q <= '0;
    else if (beat_valid_i) x_beat_q <= x_beat_q + 1'b1;
    if (!rst_ni) column_x_write_o <= 1'b0;
    else begin
      column_x_write_o <= Columns != 0 && beat_valid_i && state_q == Load && 32'(x_beat_q) < MaxColumns / PortBytes;
    end
  end

  // `word_beat_q` counts in Load only, so no beat of a descriptor is the last of a word.
  assign word_full    = beat_valid_i && word_beat_q == ($clog2(WordBeats + 1))'(WordBeats - 1);
  assign word_last    = word_q == last_word_q;
  assign beat_ready_o = state_q == Receive || state_q == Load;

  always_ff @(posedge clk_i) begin
    if (beat_valid_i && state_q == Receive) desc_q <= {beat_i, desc_q[DescBytes*8-1:PortBits]};
    x_vector_o <= vector_q;
    x_addr_o   <= x_addr;
  end

  // Activations that are left of the row: whole beats of them, and the rest.
  logic [15-ByteBits:0] x_beats_q;
  logic [ByteBits-1:0] x_rest_q;
  logic whole_q;

  /// The bytes of a beat before byte `rest`. A table, because synthesis would make a carry chain of a comparison.
  function automatic logic [PortBytes-1:0] bytes_before(logic [ByteBits-1:0] rest);
    bytes_before = '0;
    for (int unsigned i = 0; i < PortBytes; i++) if (rest == ByteBits'(i)) bytes_before = PortBytes'((1 << i) - 1);
  endfunction

  always_ff @(posedge clk_i) begin
    if (state_q == WaitBank || (word_full && word_last)) begin
      {x_beats_q, x_rest_q} <= in_features_q;
      whole_q               <= in_features_q[15:ByteBits] != '0;
    end else if (beat_valid_i && state_q == Load) begin
      if (whole_q) begin
        x_beats_q <= x_beats_q - 1'b1;
        whole_q   <= x_beats_q != (16 - ByteBits)'(1);
      end else x_rest_q <= '0;
    end
  end

  // The zeros come second: so they become resets of registers, which cost less than gates. One assignment, because a
  // simulator would copy a register that has two.
  always_ff @(posedge clk_i) begin
    if (beat_valid_i) begin
      automatic logic [PortBytes-1:0] is_x = whole_q ? '1 : bytes_before(x_rest_q);
      automatic logic [7:0][Lanes-1:0] next = '0;
      for (int unsigned b = 0; b < 8; b++) begin
        next[b] = {transpose(beat_i, b), x_data_o[b][Lanes-1:PortBytes]};
        for (int unsigned i = 0; i < PortBytes; i++) if (!is_x[i]) next[b][Lanes-PortBytes+i] = 1'b0;
      end
      x_data_o <= next;
    end
  end

  always_ff @(posedge clk_i) begin
    x_write_o   <= word_full;
    load_done_q <= word_full && word_last && token_q == tokens_q - 1'b1;
    if (publish) x_loaded_o[publish_id_q] <= keep_x;
    else if (load_done_q) x_loaded_o[publish_id_q-1'b1] <= 1'b1;
    if (state_q == WaitBank) {token_q, vector_q} <= '0;
    else if (word_full && word_last) begin
      token_q  <= token_q + 1'b1;
      vector_q <= vector_last ? '0 : vector_q + 1'b1;
    end
    if (!rst_ni) begin
      word_q      <= '0;
      word_beat_q <= '0;
    end else begin
      if (beat_valid_i && state_q == Load) word_beat_q <= word_full ? '0 : word_beat_q + 1'b1;
      if (word_full) word_q <= word_last ? '0 : word_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) requesting_q <= 1'b0;
    else if (bank_free) requesting_q <= 1'b1;
    else if (cmd_ready_i && request_token_q == 4'd1) requesting_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (state_q == Check) begin
      request_token_q <= tokens;
      row_addr_q      <= desc_q[32*DescXAddrWord+:AddrBits];
    end else if (requesting_q && cmd_ready_i) begin
      request_token_q <= request_token_q - 1'b1;
      row_addr_q      <= row_addr_q + addr_t'(field(desc_q, DescXStrideWord));
    end
  end

  assign cmd_valid_o = (state_q == Fetch || requesting_q) && !halt_i;
  assign cmd_addr_o  = requesting_q ? row_addr_q : desc_addr_q;
  assign cmd_beats_o = requesting_q ? beats_t'(scaled(32'(row_beats_q), 8'(WordBeats))) : beats_t'(DescBeats);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q     <= Idle;
      desc_beat_q <= '0;
    end else begin
      unique case (state_q)
        Idle:     if (fetch_start) state_q <= Fetch;
        Fetch:    if (cmd_valid_o && cmd_ready_i) state_q <= Receive;
        Receive:  if (beat_valid_i && desc_beat_q == '1) state_q <= Check;
        Check:    state_q <= Publish;
        Publish:  if (publish) state_q <= keep_x ? Idle : WaitBank;
        WaitBank: if (bank_free) state_q <= Load;
        Load:     if (load_done_q) state_q <= Idle;
        default:  state_q <= Idle;
      endcase
      if (beat_valid_i && state_q == Receive) desc_beat_q <= desc_beat_q + 1'b1;
    end
  end

  `TMV_REQUIRE(word, Lanes % PortBytes == 0 && Lanes > PortBytes,
               "tmv_frontend: a word of activations must be whole beats, more than one")
  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_frontend: PortBits must be 64 or 128")
  `TMV_REQUIRE(vectors, Vectors >= 1 && Groups >= 1 && Vectors * Groups <= MaxTokens,
               "tmv_frontend: Vectors * Groups must be 1 to 8")
  `TMV_REQUIRE(row, BankWords >= 2 && Lanes < 256 && BankWords * Lanes < (1 << 17),
               "tmv_frontend: BankWords must be at least 2, Lanes fit 8 bits, and a row's lanes 17 bits")
  `TMV_COVER(ContextsFull,
             state_q == Idle && fetched_q != ring_tail_i && inflight_q == ($clog2(Contexts) + 1)'(Contexts))
  `TMV_COVER(BankBusy, state_q == WaitBank && !bank_free && !late_q)
  `TMV_COVER(ActivationsLate, late_o && !after)
  `TMV_COVER(ActivationsAfterAnother, late_o && after)
  `TMV_COVER(KeepActivations, publish && keep_x)
  `TMV_COVER(RingWraps, fetch_start && ring_index == '0 && fetched_q != '0)
  `TMV_COVER(BadAndMisaligned, state_q == Publish && bad && misaligned_q)
  `TMV_COVER(BadBehindGood, state_q == Publish && (bad || misaligned_q) && inflight_q != '0)
  `TMV_COVER(HaltedBeforePublish, state_q == Publish && halt_i && !bad && !misaligned_q)
endmodule
