// Checkers that every simulated model of the unit binds. Relative to rtl/; read after ternary/tmv_files.f.
tb/tmv_axi_checker.sv
