// The files of a whole system that neither its units nor its sequencer have, in order of use, relative to rtl/. They come after
// those of `ternary/tmv_files.f`, `vector/tmv_vec_files.f` and `system/tmv_seq_files.f`.
system/tmv_sys_switch.sv
system/tmv_system.sv
