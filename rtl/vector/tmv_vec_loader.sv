`include "tmv_macros.svh"

/// Reads ranges of memory as words of singles: a queue of `RingWords` words, in which the consumer may read a block in any
/// order before it takes the block.
///
/// Ranges are read ahead, as far as there is room. With two ports, four words come from each in turn: four words of
/// bfloat16 are a burst, and a memory port takes few bursts ahead. A range must be whole words, as many as its pass takes.
module tmv_vec_loader
  import tmv_axi_pkg::*;
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  parameter  int unsigned Lanes = 32,
  parameter  int unsigned PortBits = 128,
  /// Read ports, 1 or 2.
  parameter  int unsigned Ports = 1,
  /// Words of the queue, a power of two.
  parameter  int unsigned RingWords = 32,
  parameter  int unsigned Outstanding = 8,
  localparam int unsigned RingBits = $clog2(RingWords),
  localparam int unsigned PortNumBits = (Ports > 1) ? $clog2(Ports) : 1,
  localparam int unsigned TableBits = $clog2(Outstanding)
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,
  input  logic                            halt_i,
  output logic [Ports-1:0][TableBits:0]   inflight_o,
  output logic                            quiet_o,
  /// Ranges.
  input  logic                            range_valid_i,
  output logic                            range_ready_o,
  input  range_t                          range_i,
  /// Read channels of each port, see `tmv_read_stream`.
  output logic [Ports-1:0]                ar_valid_o,
  input  logic [Ports-1:0]                ar_ready_i,
  input  logic [Ports-1:0]                ar_held_i,
  output ar_t  [Ports-1:0]                ar_o,
  input  logic [Ports-1:0]                r_valid_i,
  input  logic [Ports-1:0][PortBits-1:0]  r_data_i,
  input  r_t   [Ports-1:0]                r_i,
  output logic [Ports-1:0]                r_taken_o,
  /// Words that are here.
  output logic [RingBits:0]               count_o,
  /// Reads the word that is `offset_i` behind the oldest; two cycles later it is word `bank_o` of those of all ports.
  input  logic                            read_i,
  input  logic [RingBits-1:0]             offset_i,
  output f32_t [Ports-1:0][Lanes-1:0]     words_o,
  output logic [PortNumBits-1:0]          bank_o,
  /// Takes the oldest `take_words_i` words.
  input  logic                            take_i,
  input  logic [RingBits:0]               take_words_i,
  /// The bus failed, at each port.
  output bus_fault_t [Ports-1:0]          fault_o
);
  localparam int unsigned WordBits = $clog2(32 * Lanes / PortBits);
  localparam int unsigned BankWords = RingWords / Ports;
  localparam int unsigned BankBits = $clog2(BankWords);
  localparam int unsigned ByteBits = $clog2(PortBits / 8);

  /// Number of a word since reset, modulo a multiple of the ring.
  typedef logic [RingBits+1:0] number_t;

  logic queue_valid, queue_take;
  range_t queue;

  tmv_fifo #(
    .Width($bits(range_t)),
    .Depth(4)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .wvalid_i(range_valid_i),
    .wready_o(range_ready_o),
    .wdata_i (range_i),
    .rvalid_o(queue_valid),
    .rready_i(queue_take),
    .rdata_o (queue)
  );

  // Segments: rows, cut at the end of every fourth word if there are two ports, so that a burst of bfloat16 is a whole one.
  // `stripe_q`: beats that are left of these four words; `turn_q`: words of them that ranges before have read.
  logic ask_q, sized_q, known_q, segment_ready, row_end_q, range_end_q, stripe_end_q, is_bf16;
  logic [1:0] turn_q;
  count_t rows_left_q, row_left_q, segment, segment_q, stripe_q, stripe_left;
  addr_t row_addr_q, addr_q;
  logic [PortNumBits-1:0] port_q;
  logic [Ports-1:0] fetch_valid, fetch_ready, quiet;

  assign is_bf16     = queue.from == FromBf16;
  assign stripe_left = stripe_q - segment_q;

  /// Beats of some words of the range.
  function automatic count_t beats_of(logic [2:0] words, logic halves);
    return halves ? count_t'(words) << (WordBits - 1) : count_t'(words) << WordBits;
  endfunction

  if (Ports == 1) begin : gen_rows
    assign segment = row_left_q;
  end else begin : gen_words
    assign segment = (row_left_q < stripe_q) ? row_left_q : stripe_q;
  end

  assign segment_ready = known_q && fetch_ready[port_q];
  assign queue_take    = segment_ready && range_end_q;

  // A segment is worked out in two cycles and asked for in the next one.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ask_q    <= 1'b0;
      sized_q  <= 1'b0;
      known_q  <= 1'b0;
      port_q   <= '0;
      turn_q   <= '0;
    end else begin
      if (queue_take) ask_q <= 1'b0;
      else if (queue_valid) ask_q <= 1'b1;
      if (segment_ready) {sized_q, known_q} <= '0;
      else begin
        if (ask_q) sized_q <= 1'b1;
        if (sized_q) known_q <= 1'b1;
      end
      if (Ports > 1 && segment_ready) begin
        if (stripe_end_q) port_q <= port_q + 1'b1;
        // At the end of a range, what is left of the stripe is whole words too.
        turn_q <= 2'(3'd4 - 3'(is_bf16 ? stripe_left >> (WordBits - 1) : stripe_left >> WordBits));
      end
    end
    if (!known_q) begin
      segment_q    <= segment;
      row_end_q    <= segment == row_left_q;
      range_end_q  <= segment == row_left_q && rows_left_q == count_t'(1);
      stripe_end_q <= segment == stripe_q;
    end
    if (!ask_q) begin
      rows_left_q <= queue.rows;
      row_left_q  <= queue.row_beats;
      stripe_q    <= beats_of(3'd4 - 3'(turn_q), is_bf16);
      row_addr_q  <= queue.addr;
      addr_q      <= queue.addr;
    end else if (segment_ready) begin
      stripe_q    <= stripe_end_q ? beats_of(3'd4, is_bf16) : stripe_left;
      row_left_q  <= row_end_q ? queue.row_beats : row_left_q - segment_q;
      addr_q      <= row_end_q ? row_addr_q + addr_t'({queue.row_stride, 4'b0}) : addr_q + (addr_t'(segment_q) << ByteBits);
      if (row_end_q) begin
        rows_left_q <= rows_left_q - 1'b1;
        row_addr_q  <= row_addr_q + addr_t'({queue.row_stride, 4'b0});
      end
    end
  end

  // Word n has place n mod `RingWords`; with two ports, it comes from port (n / 4) mod 2. `begun`, `come`: words of each
  // port that have a place, and that are here.
  number_t [Ports-1:0] begun_q, come_q;
  number_t taken_q, here, here_q, left;
  logic [Ports-1:0] begins, comes;
  logic [RingBits-1:0] read_at_q;
  logic read_q;

  /// Number of word `index` of a port.
  function automatic number_t number_of(number_t index, logic port);
    return (Ports == 1) ? index : {index[RingBits:2], port, index[1:0]};
  endfunction

  /// Where the word of a place is in the bank of its port.
  function automatic logic [BankBits-1:0] place_of(logic [RingBits-1:0] place);
    return (Ports == 1) ? BankBits'(place) : BankBits'({place[RingBits-1:3], place[1:0]});
  endfunction

  for (genvar p = 0; p < int'(Ports); p++) begin : gen_port
    f32_t [Lanes-1:0] word;
    f32_t [Lanes-1:0] bank[BankWords];
    number_t number;

    // The number of the port's next word: it has a place if it is less than a ring ahead of those that were taken.
    assign number = number_of(begun_q[p], 1'(p));

    tmv_vec_fetch #(
      .Lanes(Lanes),
      .PortBits(PortBits),
      .Outstanding(Outstanding)
    ) u_fetch (
      .clk_i,
      .rst_ni,
      .halt_i,
      .inflight_o  (inflight_o[p]),
      .quiet_o     (quiet[p]),
      .valid_i     (fetch_valid[p]),
      .ready_o     (fetch_ready[p]),
      .addr_i      (addr_q),
      .beats_i     (segment_q),
      .from_i      (queue.from),
      .ar_valid_o  (ar_valid_o[p]),
      .ar_ready_i  (ar_ready_i[p]),
      .ar_held_i   (ar_held_i[p]),
      .ar_o        (ar_o[p]),
      .r_valid_i   (r_valid_i[p]),
      .r_data_i    (r_data_i[p]),
      .r_i         (r_i[p]),
      .r_taken_o   (r_taken_o[p]),
      .room_i      (number - taken_q < number_t'(RingWords)),
      .begin_o     (begins[p]),
      .word_valid_o(comes[p]),
      .word_o      (word),
      .fault_o     (fault_o[p])
    );

    assign fetch_valid[p] = known_q && port_q == PortNumBits'(p);

    always_ff @(posedge clk_i) begin
      if (comes[p]) bank[come_q[p][BankBits-1:0]] <= word;
      if (read_q) words_o[p] <= bank[place_of(read_at_q)];
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        begun_q[p] <= '0;
        come_q[p]  <= '0;
      end else begin
        begun_q[p] <= begun_q[p] + number_t'(begins[p]);
        come_q[p]  <= come_q[p] + number_t'(comes[p]);
      end
    end
  end

  if (Ports == 1) begin : gen_one
    assign here   = come_q[0];
    assign bank_o = '0;
  end else begin : gen_two
    // Words without a gap: up to the port that has fewer fours. The ports are less than a ring apart.
    logic [RingBits-1:0] fours_apart;

    logic ahead;

    assign fours_apart = come_q[0][RingBits+1:2] - come_q[1][RingBits+1:2];
    assign ahead       = fours_apart != '0 && !fours_apart[RingBits-1];
    assign here        = ahead ? number_of(come_q[1], 1'b1) : number_of(come_q[0], 1'b0);
    always_ff @(posedge clk_i) if (read_q) bank_o <= read_at_q[2];
  end

  assign quiet_o = &quiet;
  assign left    = here_q - taken_q;

  always_ff @(posedge clk_i) begin
    read_q <= read_i;
    if (read_i) read_at_q <= RingBits'(taken_q) + offset_i;
    if (!rst_ni) begin
      here_q  <= '0;
      taken_q <= '0;
      count_o <= '0;
    end else begin
      here_q  <= here;
      count_o <= (RingBits + 1)'(take_i ? left - number_t'(take_words_i) : left);
      if (take_i) taken_q <= taken_q + number_t'(take_words_i);
    end
  end

  `TMV_REQUIRE(ports, Ports == 1 || Ports == 2, "tmv_vec_loader: Ports must be 1 or 2")
  `TMV_REQUIRE(ring, RingWords >= 4 && (1 << RingBits) == RingWords, "tmv_vec_loader: RingWords must be a power of two")
  `TMV_ASSERT_IF(TakesWhatIsHere, take_i, take_words_i <= count_o)
  `TMV_ASSERT(RingHolds, count_o <= (RingBits + 1)'(RingWords))
endmodule
