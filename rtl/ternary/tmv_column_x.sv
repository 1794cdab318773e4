`include "tmv_macros.svh"

/// Activations of operators that read columns: two banks, a byte for each column, and a bit that says whether it is not
/// zero.
///
/// The front end writes whole beats. Reads deliver the activations of eight columns, a cycle after the request. Does not keep
/// writes from a bank that is being read: the front end writes to the other bank.
module tmv_column_x
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Activations of a word.
  parameter  int unsigned Lanes = 80,
  localparam int unsigned PortBytes = PortBits / 8,
  localparam int unsigned Blocks = (PortBits == 128) ? 2 : 1,
  localparam int unsigned BeatBits = $clog2(MaxColumns * 8 / PortBits) + 1
) (
  input  logic                        clk_i,
  /// Write port: bank and number of a beat. Its bytes are the last ones of a word, which is in bit planes.
  input  logic                        write_i,
  input  logic [BeatBits-1:0]         write_addr_i,
  input  logic [7:0][Lanes-1:0]       word_i,
  /// Read port: bank and number of eight columns.
  input  logic                        read_i,
  input  logic                        read_bank_i,
  input  mask_index_t                 read_index_i,
  output activation_t [RowBlock-1:0]  values_o,
  output logic [RowBlock-1:0]         nonzero_o
);
  typedef struct packed {
    logic [RowBlock-1:0]        nonzero;
    activation_t [RowBlock-1:0] values;
  } block_x_t;

  block_x_t [Blocks-1:0] mem[1 << BeatBits];
  block_x_t [Blocks-1:0] read_q;
  block_x_t chosen;
  logic half_q;

  assign chosen    = half_q ? read_q[Blocks-1] : read_q[0];
  assign values_o  = chosen.values;
  assign nonzero_o = chosen.nonzero;

  always_ff @(posedge clk_i) begin
    if (read_i) begin
      read_q <= mem[BeatBits'({read_bank_i, read_index_i} >> $clog2(Blocks))];
      half_q <= Blocks == 2 && read_index_i[0];
    end
    if (write_i) begin
      automatic block_x_t [Blocks-1:0] blocks;
      for (int unsigned i = 0; i < PortBytes; i++) begin
        automatic activation_t value;
        for (int unsigned b = 0; b < 8; b++) value[b] = word_i[b][Lanes-PortBytes+i];
        blocks[i/RowBlock].values[i%RowBlock]  = value;
        blocks[i/RowBlock].nonzero[i%RowBlock] = value != '0;
      end
      mem[write_addr_i] <= blocks;
    end
  end

  `TMV_REQUIRE(index, MaxColumns == MaxRecordedRows, "tmv_column_x: eight columns are counted as eight rows of a record")
  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_column_x: PortBits must be 64 or 128")
endmodule
