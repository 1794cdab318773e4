// Simulation only, in every model of the unit: the checkers bound to it. Read after tmv_files.f.
tb/tmv_axi_checker.sv
