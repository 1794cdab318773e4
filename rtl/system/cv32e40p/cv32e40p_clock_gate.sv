/// A clock gate that never closes, in place of the one with a latch that CV32E40P has for simulation: under Verilator, a
/// core with FPU hangs behind that one. It also spares an FPGA a gated clock. The name is the one that CV32E40P wants.
module cv32e40p_clock_gate (
  input  logic clk_i,
  input  logic en_i,
  input  logic scan_cg_en_i,
  output logic clk_o
);
  assign clk_o = clk_i;
endmodule
