// Assertions, cover points and checks of parameters. Assertions and cover points vanish in synthesis; they need `clk_i`
// and `rst_ni`. They are immediate and clocked: formal tools take them as they are, and a simulator pays one branch for
// each. A message has the name of the assertion and not the path of the instance, because a path would make the code of
// two instances of a module different, and the simulator could not share it (docs/adr/0018).
`ifndef TMV_MACROS_SVH
`define TMV_MACROS_SVH

// Some modules have two bodies with the same function: one simulates fast, the other maps well to LUTs. Synthesis
// takes the second. `TMV_LUT_BODIES` selects the second in simulation too, and the regression runs both.
`ifdef SYNTHESIS
`define TMV_LUT_BODIES
`endif

// A module that ABC, the optimiser of Yosys, makes worse when it can look inside. Other tools may look.
`ifdef TMV_OPEN_SYNTHESIS
`define TMV_WHOLE (* keep_hierarchy = "yes" *)
`else
`define TMV_WHOLE
`endif

// `TMV_ASSERT_IF` asserts `expr` in the cycles in which `when` is high: in the others, a simulator does not look at `expr`.
`ifdef SYNTHESIS
`define TMV_ASSERT(name, expr)
`define TMV_ASSERT_IF(name, when, expr)
`elsif FORMAL
`define TMV_ASSERT(name, expr) \
  always @(posedge clk_i) begin : name \
    if (rst_ni) assert (expr); \
  end
`define TMV_ASSERT_IF(name, when, expr) `TMV_ASSERT(name, !(when) || (expr))
`else
`define TMV_ASSERT(name, expr) `TMV_ASSERT_IF(name, !(expr), 1'b0)
`define TMV_ASSERT_IF(name, when, expr) \
  always @(posedge clk_i) begin : name \
    if (when) begin \
      if (!(expr)) begin \
        if (rst_ni) begin \
          $display("%%Error: %s violated", `"name`"); \
          $stop; \
        end \
      end \
    end \
  end
`endif

// A situation that tests have to reach. Builds that measure coverage count it; in other builds it is nothing.
`ifdef TMV_COVERAGE
`define TMV_COVER(name, expr) \
  always @(posedge clk_i) begin : name \
    if (rst_ni) cover (expr); \
  end
`else
`define TMV_COVER(name, expr)
`endif

// A constraint on parameters, checked when the design is elaborated.
`define TMV_REQUIRE(name, expr, message) \
  if (!(expr)) begin : gen_``name \
    $error(message); \
  end

`endif
