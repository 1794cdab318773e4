/// Types and constants that the modules of the unit share.
///
/// Terms:
///   beat       one transfer of a read port
///   lane       one weight of a beat
///   row block  `RowBlock` rows whose beats are interleaved in memory: the work that a port is given at a time
///   vector     the activations of one token
///   word       the activations of all vectors that meet one beat of weights
///   group      `Vectors` tokens; a unit with several groups shows each beat to the words of all groups
///   context    an operator in flight
///   slot       the place of a row block in the window of unwritten results
package tmv_pkg;
  import tmv_axi_pkg::*;
  import tmv_reg_pkg::*;

  /// Bits of an accumulator, with its sign: |K x 128| <= 65,535 x 128 < 2^23.
  localparam int unsigned AccBits = 24;
  /// Most row blocks between the oldest unwritten result and the youngest dispatched block.
  localparam int unsigned Window = 128;
  /// Blocks of a port between their grant and their last beat, a power of two: as many as a full queue has, and more.
  localparam int unsigned PortBlocks = 32;

  /// Index of a word of activations, or of a beat within its row.
  typedef logic [10:0] word_t;
  /// Number of a context.
  typedef logic [$clog2(Contexts)-1:0] context_id_t;
  /// Number of a slot.
  typedef logic [$clog2(Window)-1:0] slot_t;
  /// Number of result words that are ready: `RowBlock` results of a token each.
  typedef logic [$clog2(Window * MaxTokens):0] words_t;
  /// Accumulator.
  typedef logic signed [AccBits-1:0] acc_t;

  /// Number of a row block of an operator that records or skips rows; of eight columns of one that reads columns.
  typedef logic [$clog2(MaxRecordedRows/RowBlock)-1:0] mask_index_t;
  /// Activation.
  typedef logic [7:0] activation_t;

  /// Sums of a column operator that a port keeps lie `PortBits / 8` to an entry.
  localparam int unsigned ColumnSumEntries = 512;
  typedef logic [$clog2(ColumnSumEntries)-1:0] column_sum_index_t;
  /// Bits of the products of eight columns in a lane, with their sign: -128 times -1 in each is the largest.
  localparam int unsigned ColumnFieldBits = $clog2(RowBlock * 128) + 2;
  /// Bits of such a sum, with its sign: -128 times -1 in every column is the largest.
  localparam int unsigned ColumnSumBits = $clog2(MaxColumns * 128) + 2;

  /// Fields of a descriptor that the dispatcher needs.
  typedef struct packed {
    context_id_t id;
    logic        bank;
    /// Flags, see `docs/registers.md`.
    logic        rows;
    logic        skip;
    logic        older;
    logic        record;
    logic        columns;
    logic [3:0]  tokens;
    /// Of a column, if the operator reads columns. Then `blocks` are blocks of eight columns.
    beats_t      row_beats;
    logic [16:0] blocks;
    addr_t       w_addr;
    logic [31:0] w_stride;
  } dispatch_t;

  /// Fields of a descriptor that the result writer needs.
  typedef struct packed {
    logic        irq;
    logic        tell;
    logic        skip;
    logic        older;
    logic        record;
    logic        columns;
    logic [3:0]  tokens;
    logic [16:0] blocks;
    logic [20:0] words;
    addr_t       y_addr;
    addr_t       record_addr;
    logic [31:0] start_cycle;
    logic [15:0] tag;
  } retire_t;

  /// A row block on its way through a port: the place of its activations, and the place for its results.
  typedef struct packed {
    context_id_t id;
    logic        bank;
    slot_t       slot;
    /// The beats are those of single rows, or of single columns.
    logic        rows;
    logic        columns;
    /// A bit for each token.
    logic [MaxTokens-1:0] tokens_mask;
    logic [3:0]  tokens;
    /// Beats of a row, minus one.
    word_t       last_word;
  } block_t;

  /// value * factor by shifts and additions, because synthesis would take a DSP block for a product.
  function automatic logic [31:0] scaled(logic [31:0] value, logic [7:0] factor);
    scaled = '0;
    for (int unsigned b = 0; b < 8; b++) if (factor[b]) scaled += value << b;
  endfunction

  /// Beats of a row that a port requests at a time, of a block of single rows: its queue holds four panels of
  /// `RowBlock` times as many.
  function automatic int unsigned panel_beats(int unsigned fifo_beats);
    return (fifo_beats / (4 * RowBlock) < BurstBeats) ? fifo_beats / (4 * RowBlock) : BurstBeats;
  endfunction

  /// Bits of the number of a group of vectors.
  function automatic int unsigned group_bits(int unsigned groups);
    return (groups > 1) ? $clog2(groups) : 1;
  endfunction

  /// Bits of an address of the activation memory: bank, group, word.
  function automatic int unsigned x_addr_bits(int unsigned bank_words, int unsigned groups);
    return $clog2(bank_words) + $clog2(groups) + 1;
  endfunction

  /// Planes of the five weights of a byte in base 3: `neg`, then `nz`.
  typedef logic [9:0] trits_t;
  typedef trits_t base3_t[256];

  /// Planes of a byte. Those of the illegal bytes 243 and above are don't-care.
  function automatic trits_t trits_of(int unsigned code);
    for (int unsigned j = 0; j < 5; j++) begin
      trits_of[j]   = code % 3 != 1;
      trits_of[5+j] = code % 3 == 0;
      code          = code / 3;
    end
  endfunction

  /// Planes of all bytes.
  function automatic base3_t base3_table();
    for (int unsigned code = 0; code < 256; code++) base3_table[code] = trits_of(code);
  endfunction

  localparam base3_t Base3 = base3_table();

  /// Planes of a byte with 20 bits each, for simulation: shift and OR join those of four bytes.
  typedef logic [39:0] wide_trits_t;
  typedef wide_trits_t wide_base3_t[256];

  /// Wide planes of all bytes.
  function automatic wide_base3_t wide_base3_table();
    for (int unsigned code = 0; code < 256; code++) begin
      trits_t trits;
      trits = trits_of(code);
      wide_base3_table[code] = {15'b0, trits[9:5], 15'b0, trits[4:0]};
    end
  endfunction

  localparam wide_base3_t WideBase3 = wide_base3_table();

  /// Lanes of a beat of `port_bits` bits.
  function automatic int unsigned lanes_of(int unsigned codec, int unsigned port_bits);
    return (codec == CodecWeightsBase3) ? port_bits / 8 * 5 : port_bits / 2;
  endfunction

  /// Slices of the planes of a beat. A slice has up to 64 lanes, a machine word of the simulator.
  function automatic int unsigned slices_of(int unsigned lanes);
    return (lanes + 63) / 64;
  endfunction
endpackage
