# The processing system of Zynq-7000: board preset, FCLK_CLK0, M_AXI_GP0, a port for each AXI port of the wrapper,
# interrupts IRQ_F2P.

namespace eval tmv {
    variable bootgen_arch zynq
}

proc tmv::create_ps {} {
    variable clock_mhz
    variable memory
    variable port_bits
    set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7 ps]
    apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
        -config {make_external "FIXED_IO, DDR" apply_board_preset "1" Master "Disable" Slave "Disable"} $ps
    # The clock is a PLL divided by whole numbers, so what comes out may be less: build.tcl reports it.
    set config [list \
        CONFIG.PCW_EN_CLK0_PORT 1 \
        CONFIG.PCW_EN_RST0_PORT 1 \
        CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz \
        CONFIG.PCW_USE_M_AXI_GP0 1 \
        CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
        CONFIG.PCW_IRQ_F2P_INTR 1]
    foreach port $memory {
        set interface [tmv::ps_port $port]
        lappend config CONFIG.PCW_USE_$interface 1
        # The others have one width.
        if {[string match hp* $port]} {
            lappend config CONFIG.PCW_${interface}_DATA_WIDTH $port_bits
        }
    }
    set_property -dict $config $ps
    return $ps
}

# The interface of a port of memory.
proc tmv::ps_port {name} {
    if {$name ni {hp0 hp1 hp2 hp3 acp gp0 gp1}} {
        error "the processing system has no port $name"
    }
    return S_AXI_[string toupper $name]
}

# These ports are AXI3 (UG585, High-Performance Ports), and the wrapper is AXI4: a converter is needed. That of gp0, which
# has 32 bits, converts the width too.
proc tmv::memory_is_axi4 {} {
    return 0
}

# Its pins, by what the block design needs them for; and its address segments for a port.
proc tmv::ps_pin {what {port hp0}} {
    switch $what {
        clock         { return ps/FCLK_CLK0 }
        reset         { return ps/FCLK_RESET0_N }
        control       { return ps/M_AXI_GP0 }
        control_clock { return ps/M_AXI_GP0_ACLK }
        memory        { return ps/[tmv::ps_port $port] }
        memory_clock  { return ps/[tmv::ps_port $port]_ACLK }
        segments      { return ps/[tmv::ps_port $port] }
        interrupt     { return ps/IRQ_F2P }
        actual_mhz    { return CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ }
        divisor0      { return CONFIG.PCW_FCLK0_PERIPHERAL_DIVISOR0 }
        divisor1      { return CONFIG.PCW_FCLK0_PERIPHERAL_DIVISOR1 }
        default       { error "no pin of the processing system is for $what" }
    }
}
