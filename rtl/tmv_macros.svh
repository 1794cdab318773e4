// Assertions that vanish in synthesis. Every module that uses them has `clk_i` and `rst_ni`. They are immediate and
// clocked: formal tools take them as they are, and a simulator pays one branch for each.
`ifndef TMV_MACROS_SVH
`define TMV_MACROS_SVH

`ifdef SYNTHESIS
`define TMV_ASSERT(name, expr)
`elsif FORMAL
`define TMV_ASSERT(name, expr) \
  always @(posedge clk_i) begin : name \
    if (rst_ni) assert (expr); \
  end
`else
`define TMV_ASSERT(name, expr) \
  always @(posedge clk_i) begin : name \
    if (rst_ni && !(expr)) $error("%m violated"); \
  end
`endif

// A parameter constraint, checked when the design is elaborated.
`define TMV_REQUIRE(name, expr, message) \
  if (!(expr)) begin : gen_``name \
    $error(message); \
  end

`endif
