// Every file of the sequencer in order of use, relative to rtl/, except for the core: `vexriscv/tmv_core.sv` here, and the
// Verilog that PyPI has. Simulators, lint and synthesis read this list.
axi/tmv_axi_pkg.sv
system/tmv_sys_reg_pkg.sv
system/tmv_sys_pkg.sv
axi/tmv_axil_slave.sv
system/tmv_core_ram.sv
system/tmv_core_inst.sv
system/tmv_core_window.sv
system/tmv_core_axil.sv
system/tmv_core_demux.sv
system/tmv_sys_regs.sv
system/vexriscv/tmv_core.sv
system/tmv_sequencer.sv
