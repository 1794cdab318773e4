`include "tmv_macros.svh"

/// Requests the beats of a block: one range of an interleaved block, or the pieces of up to `RowBlock` single rows in the
/// order that `tmv_weight_queue` expects, panel by panel.
///
/// The address of the block, or the addresses of its rows one after the other, come on `addr_i`. A block with fewer rows
/// is filled up with its last row. Two cycles from an address to its first command; a command every second cycle. No
/// combinational path from an input to an output.
module tmv_row_reader
  import tmv_axi_pkg::*;
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter int unsigned PortBits = 128,
  /// Beats of the weight queue.
  parameter int unsigned FifoBeats = 512
) (
  input  logic   clk_i,
  input  logic   rst_ni,
  /// A block begins, of single rows or of interleaved ones; beats of a row, minus one. Not while `busy_o` is high.
  input  logic   start_i,
  input  logic   rows_i,
  input  word_t  last_word_i,
  /// Address of the interleaved block, in the cycle of `start_i`; of a single row, with `row_valid_i`. `end_i`: no more
  /// rows come.
  input  addr_t  addr_i,
  input  logic   row_valid_i,
  input  logic   end_i,
  /// Commands of the block are left.
  output logic   busy_o,
  /// Commands.
  output logic   cmd_valid_o,
  input  logic   cmd_ready_i,
  output addr_t  cmd_addr_o,
  output beats_t cmd_beats_o
);
  localparam int unsigned PanelBeats = panel_beats(FifoBeats);
  localparam int unsigned PanelBytes = PanelBeats * PortBits / 8;
  localparam int unsigned RowBits = $clog2(RowBlock);

  addr_t rows[RowBlock];
  logic [RowBits:0] received_q;
  logic [RowBits-1:0] row_q;
  logic rows_q, open_q, working_q;
  word_t last_word_q;
  logic [$bits(word_t)+$clog2(PortBits/8)-1:0] offset_q;

  assign busy_o = working_q || cmd_valid_o;

  // Statements stand in the order of use: readers before the writer of a register. The simulator then needs no copies,
  // and has nothing to do while the reader is idle.
  always_ff @(posedge clk_i) begin
    if (start_i || busy_o || !rst_ni) begin
      automatic logic known = (RowBits + 1)'(row_q) < received_q;
      automatic logic issue = working_q && (!cmd_valid_o || cmd_ready_i) && (known || !open_q);
      automatic logic last_panel = last_word_q < word_t'(PanelBeats);

      if (issue) begin
        cmd_addr_o  <= rows[known ? row_q : RowBits'(received_q - 1'b1)] + addr_t'(offset_q);
        cmd_beats_o <= !rows_q ? (beats_t'(last_word_q) + 1'b1) << RowBits
            : last_panel ? beats_t'(last_word_q) + 1'b1 : beats_t'(PanelBeats);
        if (row_q == '1) begin
          last_word_q <= last_word_q - word_t'(PanelBeats);
          offset_q    <= offset_q + $bits(offset_q)'(PanelBytes);
        end
        row_q <= row_q + 1'b1;
      end
      if (issue) cmd_valid_o <= 1'b1;
      else if (cmd_ready_i) cmd_valid_o <= 1'b0;
      if (issue && (!rows_q || (row_q == '1 && last_panel))) working_q <= 1'b0;
      if (row_valid_i || (start_i && !rows_i)) rows[start_i ? '0 : received_q[RowBits-1:0]] <= addr_i;
      if (row_valid_i) received_q <= received_q + 1'b1;
      if (end_i) open_q <= 1'b0;
      if (start_i) begin
        working_q   <= 1'b1;
        rows_q      <= rows_i;
        open_q      <= rows_i;
        last_word_q <= last_word_i;
        offset_q    <= '0;
        row_q       <= '0;
        received_q  <= rows_i ? '0 : (RowBits + 1)'(1);
      end
      if (!rst_ni) begin
        cmd_valid_o <= 1'b0;
        working_q   <= 1'b0;
        open_q      <= 1'b0;
      end
    end
  end

  `TMV_ASSERT_IF(StartIdle, start_i, !busy_o)
  `TMV_ASSERT_IF(RowsFit, row_valid_i, open_q && received_q < (RowBits + 1)'(RowBlock))
  `TMV_ASSERT_IF(NotEmpty, end_i, row_valid_i || received_q != '0)
  `TMV_COVER(FilledUp, working_q && !open_q && rows_q && (RowBits + 1)'(row_q) >= received_q)
  `TMV_COVER(RowsLate, working_q && open_q && (RowBits + 1)'(row_q) >= received_q)
endmodule
