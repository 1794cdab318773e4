// Assertions and cover points that vanish in synthesis. Every module that uses them has `clk_i` and `rst_ni`. They are
// immediate and clocked: formal tools take them as they are, and a simulator pays one branch for each. They say their
// name, not their path: with it, the code of two instances of a module would not be the same (docs/adr/0018).
`ifndef TMV_MACROS_SVH
`define TMV_MACROS_SVH

// Three modules have two bodies with the same function: one that simulates fast, and one that maps well to LUTs.
// `TMV_LUT_BODIES` selects the second in simulation too; the regression runs both.
`ifdef SYNTHESIS
`define TMV_LUT_BODIES
`endif

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
    if (!(expr)) begin \
      if (rst_ni) begin \
        $display("%%Error: %s violated", `"name`"); \
        $stop; \
      end \
    end \
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
