// Every file of the vector unit in order of use, relative to rtl/. Simulators, lint and synthesis read this list.
float/tmv_fp_pkg.sv
float/tmv_fp_zeros.sv
float/tmv_fp_add.sv
float/tmv_fp_mul.sv
float/tmv_fp_unpack.sv
float/tmv_fp_pack.sv
float/tmv_fp_div.sv
float/tmv_fp_root.sv
float/tmv_fp_from_int.sv
