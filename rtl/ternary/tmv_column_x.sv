`include "tmv_macros.svh"

/// Activations of operators that read columns: two banks, a byte for each column.
///
/// The front end writes whole beats. Reads deliver the activations of eight columns, a cycle after the request, and which
/// of them are not zero. Does not keep writes from a bank that is being read: the front end writes to the other bank.
module tmv_column_x
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  localparam int unsigned Blocks = (PortBits == 128) ? 2 : 1,
  localparam int unsigned BeatBits = $clog2(MaxColumns * 8 / PortBits) + 1
) (
  input  logic                        clk_i,
  /// Write port: bank and number of a beat, and its bytes.
  input  logic                        write_i,
  input  logic [BeatBits-1:0]         write_addr_i,
  input  logic [PortBits-1:0]         write_data_i,
  /// Read port: bank and number of eight columns.
  input  logic                        read_i,
  input  logic                        read_bank_i,
  input  mask_index_t                 read_index_i,
  output activation_t [RowBlock-1:0]  values_o,
  output logic [RowBlock-1:0]         nonzero_o
);
  localparam int unsigned BlockBits = $clog2(Blocks);

  logic [BeatBits-1:0] read_addr;

  assign read_addr = BeatBits'({read_bank_i, read_index_i} >> BlockBits);

  for (genvar b = 0; b < int'(Blocks); b++) begin : gen_block
    activation_t [RowBlock-1:0] mem[1 << BeatBits];
    activation_t [RowBlock-1:0] read_q;

    always_ff @(posedge clk_i) begin
      if (write_i) mem[write_addr_i] <= write_data_i[8*RowBlock*b+:8*RowBlock];
      if (read_i) read_q <= mem[read_addr];
    end
  end

  if (Blocks != 2) begin : gen_one
    assign values_o = gen_block[0].read_q;
  end else begin : gen_choice
    logic block_q;

    always_ff @(posedge clk_i) if (read_i) block_q <= read_index_i[0];

    assign values_o = block_q ? gen_block[1].read_q : gen_block[0].read_q;
  end

  always_comb begin
    for (int unsigned c = 0; c < RowBlock; c++) nonzero_o[c] = values_o[c] != '0;
  end

  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_column_x: PortBits must be 64 or 128")
endmodule
