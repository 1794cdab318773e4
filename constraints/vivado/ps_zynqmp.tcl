# The processing system of Zynq UltraScale+: board preset, PL clock 0, M_AXI_HPM0_FPD, a port for each AXI port of the
# wrapper, interrupts PL_PS_IRQ0.

namespace eval tmv {
    variable bootgen_arch zynqmp
}

proc tmv::create_ps {} {
    variable clock_mhz
    variable memory
    variable port_bits
    set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e ps]
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} $ps
    # 128 bits is how the FPD master port is set up when the processor has booted without this design.
    set config [list \
        CONFIG.PSU__FPGA_PL0_ENABLE 1 \
        CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz \
        CONFIG.PSU__USE__M_AXI_GP0 1 \
        CONFIG.PSU__USE__M_AXI_GP1 0 \
        CONFIG.PSU__USE__M_AXI_GP2 0 \
        CONFIG.PSU__MAXIGP0__DATA_WIDTH 128 \
        CONFIG.PSU__USE__IRQ0 1]
    foreach port $memory {
        set gp [lindex [tmv::ps_port $port] 0]
        lappend config CONFIG.PSU__USE__S_AXI_GP$gp 1 CONFIG.PSU__SAXIGP${gp}__DATA_WIDTH $port_bits
    }
    set_property -dict $config $ps
    return $ps
}

# A port of memory: the number of the slave port, its interface, its clock.
proc tmv::ps_port {name} {
    switch -regexp -matchvar found $name {
        {^hp([0-3])$}  {
            set p [lindex $found 1]
            return [list [expr {$p + 2}] S_AXI_HP${p}_FPD saxihp${p}_fpd_aclk]
        }
        {^hpc([01])$}  {
            set p [lindex $found 1]
            return [list $p S_AXI_HPC${p}_FPD saxihpc${p}_fpd_aclk]
        }
        {^lpd$}        { return {6 S_AXI_LPD saxi_lpd_aclk} }
        default        { error "the processing system has no port $name" }
    }
}

# A port of this width is AXI4 like the wrapper (UG1085, PL-PS Interface Specifics): connected without a converter,
# which would only add latency. Inside the processing system the port splits AXI4 into bursts of 16 beats, and the unit
# has none that are longer.
proc tmv::memory_is_axi4 {} {
    return 1
}

# Its pins, by what the block design needs them for; and its address segments for a port.
proc tmv::ps_pin {what {port hp0}} {
    switch $what {
        clock         { return ps/pl_clk0 }
        reset         { return ps/pl_resetn0 }
        control       { return ps/M_AXI_HPM0_FPD }
        control_clock { return ps/maxihpm0_fpd_aclk }
        memory        { return ps/[lindex [tmv::ps_port $port] 1] }
        memory_clock  { return ps/[lindex [tmv::ps_port $port] 2] }
        segments      { return ps/SAXIGP[lindex [tmv::ps_port $port] 0] }
        interrupt     { return ps/pl_ps_irq0 }
        actual_mhz    { return CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ }
        divisor0      { return CONFIG.PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0 }
        divisor1      { return CONFIG.PSU__CRL_APB__PL0_REF_CTRL__DIVISOR1 }
        default       { error "no pin of the processing system is for $what" }
    }
}
