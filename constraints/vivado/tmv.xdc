# Out of context only: in the whole design the processing system brings its own clock.
# One clock, and nothing else: the unit has no other, and its outputs are registers.
create_clock -name clk -period @PERIOD_NS@ [get_ports clk]
