// Simulation only, in every model of the unit: the checkers bound to it. Read after ternary/tmv_files.f. Relative to rtl/.
tb/tmv_axi_checker.sv
