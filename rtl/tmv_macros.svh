// Assertions and cover points that vanish in synthesis. Every module that uses them has `clk_i` and `rst_ni`. They are
// immediate and clocked: formal tools take them as they are, and a simulator pays one branch for each.
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

// Something that has to be seen to happen: counted in builds that measure coverage, and nothing anywhere else.
`ifdef TMV_COVERAGE
`define TMV_COVER(name, expr) \
  always @(posedge clk_i) begin : name \
    if (rst_ni) cover (expr); \
  end
`else
`define TMV_COVER(name, expr)
`endif

// A parameter constraint, checked when the design is elaborated.
`define TMV_REQUIRE(name, expr, message) \
  if (!(expr)) begin : gen_``name \
    $error(message); \
  end

`endif
