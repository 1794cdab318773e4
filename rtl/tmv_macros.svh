// Assertions that vanish in synthesis. Every module that uses them has `clk_i` and `rst_ni`.
`ifndef TMV_MACROS_SVH
`define TMV_MACROS_SVH

`ifdef SYNTHESIS
`define TMV_ASSERT(name, expr)
`else
`define TMV_ASSERT(name, expr) \
  name : assert property (@(posedge clk_i) disable iff (!rst_ni) (expr)) \
  else $error("%m: name violated");
`endif

// A parameter constraint, checked when the design is elaborated.
`define TMV_REQUIRE(name, expr, message) \
  if (!(expr)) begin : gen_``name \
    $error(message); \
  end

`endif
