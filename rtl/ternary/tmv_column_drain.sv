`include "tmv_macros.svh"

/// Results of an operator that reads columns: adds up the sums of all ports and delivers them in words of `RowBlock` rows.
///
/// Begins when the operator retires, all of its columns were given to ports, and the ports are idle. Reads an entry of all
/// ports at a time, adds a port a cycle, and lets the entry leave as words: `Ports + 2` cycles an entry. No combinational
/// path from an input to an output.
module tmv_column_drain
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Ports, at least 1.
  parameter  int unsigned Ports = 4,
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  localparam int unsigned SumLanes = PortBits / 8,
  localparam int unsigned WordBits = RowBlock * AccBits
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  /// Dispatcher: an operator that reads columns begins; it was given to ports. `busy_o`: the next one has to wait, until
  /// `done_i`.
  input  logic                begin_i,
  input  logic                dealt_i,
  output logic                busy_o,
  /// Retirement: such an operator of so many words begins; it is complete.
  input  logic                start_i,
  input  words_t              words_i,
  input  logic                done_i,
  /// Ports: all sums are complete; reads an entry of each port, a cycle before its sums.
  input  logic [Ports-1:0]    idle_i,
  output logic                read_o,
  output column_sum_index_t   read_index_o,
  input  logic [SumLanes-1:0][ColumnSumBits-1:0] sums_i[Ports],
  /// Words that are left; the oldest one.
  output words_t              words_o,
  output logic                word_valid_o,
  input  logic                word_ready_i,
  output logic [WordBits-1:0] word_o
);
  localparam int unsigned EntryWords = SumLanes / RowBlock;
  localparam int unsigned PortIndexBits = (Ports > 1) ? $clog2(Ports) : 1;

  /// Waits for the ports; reads an entry; adds its ports; hands it over.
  typedef enum logic [2:0] {
    Idle,
    Wait,
    Read,
    Add,
    Emit
  } state_e;

  state_e state_q;
  logic dealt_q, emit, take;
  logic [PortIndexBits-1:0] port_q;
  // Words that `word_o` and what is behind it hold.
  logic [$clog2(EntryWords+1)-1:0] held_q;
  logic [SumLanes-1:0][ColumnSumBits-1:0] total_q;
  // Words of the operator that retires: they count when the first entry is read.
  words_t words_q;
  logic [EntryWords-1:0][WordBits-1:0] out_q;

  assign word_valid_o = held_q != '0;
  assign word_o       = out_q[0];
  assign take         = word_valid_o && word_ready_i;
  assign read_o       = state_q == Read;
  assign emit         = state_q == Emit && !word_valid_o;

  always_ff @(posedge clk_i) begin
    if (start_i || state_q != Idle || !rst_ni) begin
      if (take) begin
        out_q   <= out_q >> WordBits;
        held_q  <= held_q - 1'b1;
        words_o <= words_o - 1'b1;
      end
      if (emit) begin
        automatic logic [SumLanes-1:0][AccBits-1:0] wide;
        for (int unsigned l = 0; l < SumLanes; l++) wide[l] = AccBits'(signed'(total_q[l]));
        out_q  <= wide;
        held_q <= ($bits(held_q))'(EntryWords);
      end
      // Zero before the first port: a reset of registers costs less than gates.
      if (state_q == Add) begin
        automatic logic [SumLanes-1:0][ColumnSumBits-1:0] total;
        for (int unsigned l = 0; l < SumLanes; l++) total[l] = total_q[l] + sums_i[port_q][l];
        total_q <= total;
      end
      if (state_q == Read) total_q <= '0;
      port_q <= (state_q == Add) ? port_q + 1'b1 : '0;
      if (state_q == Wait) read_index_o <= '0;
      else if (emit) read_index_o <= read_index_o + 1'b1;
      unique case (state_q)
        Idle:    if (start_i) state_q <= Wait;
        Wait:    if (dealt_q && &idle_i) begin
          state_q <= Read;
          words_o <= words_q;
        end
        Read:    state_q <= Add;
        Add:     if (port_q == PortIndexBits'(Ports - 1)) state_q <= Emit;
        default: if (emit) state_q <= Read;
      endcase
      // The last word may leave before the rest of its entry, and while a next entry is added up.
      if ((take && words_o == words_t'(1)) || !rst_ni) begin
        state_q <= Idle;
        held_q  <= '0;
        words_o <= '0;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) words_q <= words_i;
    if (!rst_ni) {busy_o, dealt_q} <= '0;
    else begin
      if (begin_i) busy_o <= 1'b1;
      else if (done_i) busy_o <= 1'b0;
      if (begin_i) dealt_q <= 1'b0;
      else if (dealt_i) dealt_q <= 1'b1;
    end
  end

  `TMV_REQUIRE(words, MaxColumnRows <= RowBlock * 1023, "tmv_column_drain: a number of words must fit 10 bits")
  `TMV_ASSERT_IF(OneAtATime, begin_i, !busy_o && state_q == Idle)
  `TMV_ASSERT_IF(StartAfterEnd, start_i, state_q == Idle)
  `TMV_COVER(WriterStalls, word_valid_o && !word_ready_i)
  `TMV_COVER(EngineIsLate, state_q == Wait && dealt_q && !(&idle_i))
endmodule
