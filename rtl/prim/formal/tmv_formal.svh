// Assumptions and covers, in the style of `TMV_ASSERT`: immediate and clocked. For harnesses only.
`ifndef TMV_FORMAL_SVH
`define TMV_FORMAL_SVH

`include "tmv_macros.svh"

// What the harness assumes about the surroundings of the module under proof.
`define TMV_ASSUME(name, expr) \
  always @(posedge clk_i) begin : name \
    if (rst_ni) name : assume (expr); \
  end

// A situation that must be reachable. Otherwise the assumptions exclude everything, and the proof shows nothing.
`define TMV_COVER(name, expr) \
  always @(posedge clk_i) begin : name \
    if (rst_ni) name : cover (expr); \
  end

// Assertion and cover for modules without state: combinational, so they hold in any cycle.
`define TMV_ASSERT_COMB(name, expr) \
  always_comb begin : name \
    name : assert (expr); \
  end

`define TMV_COVER_COMB(name, expr) \
  always_comb begin : name \
    name : cover (expr); \
  end

// Reset is low in the first cycle and high from then on. Registers without reset start with any value.
`define TMV_FORMAL_RESET \
  logic rst_ni = 1'b0; \
  always_ff @(posedge clk_i) rst_ni <= 1'b1;

`endif
