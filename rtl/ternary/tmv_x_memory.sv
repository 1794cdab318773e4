`include "tmv_macros.svh"

/// Activation memory: two banks of words in bit planes, one memory a vector, shared by all engines.
///
/// A bank has `Groups * BankWords` words: tokens beyond `Vectors` are in further groups of the same memories. One read
/// a cycle, requests in turn; the answer comes two cycles after the grant. An engine needs a word every `RowBlock`
/// cycles, so up to `RowBlock` engines are served at full rate. Writes never wait. Combinational: `req_i` to `grant_o`.
/// Does not keep writes from a bank that is being read: the front end writes to the other bank.
module tmv_x_memory
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Engines, 1 to `RowBlock`.
  parameter  int unsigned Ports = 4,
  /// Activation vectors, 1 to 8.
  parameter  int unsigned Vectors = 4,
  /// Activations of a word.
  parameter  int unsigned Lanes = 64,
  /// Words of a bank and group, a power of two, at least 2.
  parameter  int unsigned BankWords = DefaultBankWords,
  /// Groups of vectors, a power of two.
  parameter  int unsigned Groups = 1,
  /// 1: UltraRAM (some UltraScale+ devices) instead of block RAM.
  parameter  int unsigned UltraRam = 0,
  localparam int unsigned WordAddrBits = x_addr_bits(BankWords, Groups)
) (
  input  logic                                                clk_i,
  input  logic                                                rst_ni,
  /// Write port: one vector's planes of a word.
  input  logic                                                write_i,
  input  logic [         3:0]                                 write_vector_i,
  input  logic [WordAddrBits-1:0]                             write_addr_i,
  input  logic [         7:0][Lanes-1:0]                      write_data_i,
  /// Read requests.
  input  logic [   Ports-1:0]                                 req_i,
  output logic [   Ports-1:0]                                 grant_o,
  input  logic [WordAddrBits-1:0]                             addr_i [Ports],
  /// Answers: the engine that the word is for, and the word.
  output logic [   Ports-1:0]                                 valid_o,
  output logic [ Vectors-1:0][7:0][Lanes-1:0]                 data_o
);
  logic [WordAddrBits-1:0] read_addr;

  tmv_round_robin #(
    .Clients(Ports)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .enable_i(1'b1),
    .req_i,
    .grant_o
  );

  always_comb begin
    read_addr = '0;
    for (int unsigned p = 0; p < Ports; p++) if (grant_o[p]) read_addr |= addr_i[p];
  end

  // Block RAM or UltraRAM, with its output register.
  localparam Style = (UltraRam != 0) ? "ultra" : "block";

  logic read_q;
  logic [Ports-1:0] grant_q;
  logic [Vectors-1:0][7:0][Lanes-1:0] data_q;

  for (genvar v = 0; v < int'(Vectors); v++) begin : gen_vector
    (* ram_style = Style *) logic [8*Lanes-1:0] mem[1 << WordAddrBits];

    always_ff @(posedge clk_i) begin
      if (write_i && write_vector_i == 4'(v)) mem[write_addr_i] <= write_data_i;
      if (|req_i) data_q[v] <= mem[read_addr];
    end
  end

  always_ff @(posedge clk_i) begin
    read_q <= |req_i;
    if (read_q) data_o <= data_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      grant_q <= '0;
      valid_o <= '0;
    end else begin
      grant_q <= grant_o;
      valid_o <= grant_q;
    end
  end

  `TMV_REQUIRE(banks, BankWords >= 2 && (1 << $clog2(BankWords)) == BankWords,
               "tmv_x_memory: BankWords must be a power of two, at least 2")
  `TMV_REQUIRE(vectors, Vectors >= 1 && Vectors <= MaxTokens, "tmv_x_memory: Vectors must be 1 to 8")
  `TMV_REQUIRE(ports, Ports <= RowBlock, "tmv_x_memory: more engines than reads in a row block")
  `TMV_COVER(EnginesCompete, $countones(req_i) > 1)
  `TMV_COVER(ReadWhileLoading, write_i && grant_o != '0)
endmodule
