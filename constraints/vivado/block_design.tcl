# The block design tmv_design, in a project that is open: processing system, wrapper, SmartConnect for the registers and,
# on Zynq-7000, for each memory port, reset, interrupts, addresses. No module of the RTL may have the name tmv_design.
# As a script of its own it makes a project to look at: vivado -source block_design.tcl
source [file join [file dirname [file normalize [info script]]] common.tcl]

# A SmartConnect from one interface to another, in one clock domain.
proc tmv::connect_through {name from to} {
    set cell [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect $name]
    set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1 CONFIG.NUM_CLKS 1} $cell
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $name/S00_AXI]
    connect_bd_intf_net [get_bd_intf_pins $name/M00_AXI] [get_bd_intf_pins $to]
}

proc tmv::create_design {} {
    variable vlnv
    variable memory
    variable interrupts
    variable parameters
    variable control_base
    variable control_range
    create_bd_design tmv_design
    tmv::create_ps
    set unit [create_bd_cell -type ip -vlnv $vlnv tmv_0]
    set config {}
    foreach {name value} $parameters {
        lappend config CONFIG.$name $value
    }
    set_property -dict $config $unit
    create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset_0

    # SmartConnect: AXI4 to the registers' AXI4-Lite, and AXI4 to the AXI3 of the HP ports of Zynq-7000. A port that
    # only reads leaves the write channels of an HP port open. IP Integrator ties them to 0, as it does for the read
    # channels where published designs connect a DMA that only writes.
    tmv::connect_through control_0 [tmv::ps_pin control] tmv_0/S_AXIL
    set clocked {tmv_0/clk reset_0/slowest_sync_clk control_0/aclk}
    set reset {tmv_0/rst_n control_0/aresetn}
    lappend clocked [tmv::ps_pin control_clock]
    set p -1
    foreach port $memory {
        incr p
        lappend clocked [tmv::ps_pin memory_clock $port]
        if {[tmv::memory_is_axi4]} {
            connect_bd_intf_net [get_bd_intf_pins tmv_0/M_AXI_$p] [get_bd_intf_pins [tmv::ps_pin memory $port]]
        } else {
            tmv::connect_through memory_$p tmv_0/M_AXI_$p [tmv::ps_pin memory $port]
            lappend clocked memory_$p/aclk
            lappend reset memory_$p/aresetn
        }
    }

    # One clock, one reset, both from the processing system.
    set clock [get_bd_pins [tmv::ps_pin clock]]
    foreach pin $clocked {
        connect_bd_net $clock [get_bd_pins $pin]
    }
    connect_bd_net [get_bd_pins [tmv::ps_pin reset]] [get_bd_pins reset_0/ext_reset_in]
    foreach pin $reset {
        connect_bd_net [get_bd_pins reset_0/peripheral_aresetn] [get_bd_pins $pin]
    }
    # The processing system has one pin for all interrupts.
    if {[llength $interrupts] == 1} {
        connect_bd_net [get_bd_pins tmv_0/$interrupts] [get_bd_pins [tmv::ps_pin interrupt]]
    } else {
        set concat [create_bd_cell -type ip -vlnv xilinx.com:ip:xlconcat interrupts_0]
        set_property -dict [list CONFIG.NUM_PORTS [llength $interrupts]] $concat
        set line 0
        foreach interrupt $interrupts {
            connect_bd_net [get_bd_pins tmv_0/$interrupt] [get_bd_pins interrupts_0/In$line]
            incr line
        }
        connect_bd_net [get_bd_pins interrupts_0/dout] [get_bd_pins [tmv::ps_pin interrupt]]
    }

    # Addresses: the registers for the processor; all of the DRAM, and nothing else, for the wrapper.
    assign_bd_address -offset $control_base -range $control_range \
        -target_address_space [get_bd_addr_spaces ps/Data] [get_bd_addr_segs tmv_0/S_AXIL/*]
    set p -1
    foreach port $memory {
        incr p
        set space [get_bd_addr_spaces tmv_0/M_AXI_$p]
        foreach segment [get_bd_addr_segs [tmv::ps_pin segments $port]/*] {
            if {[string match *DDR* $segment]} {
                assign_bd_address -target_address_space $space $segment
            } else {
                exclude_bd_addr_seg -target_address_space $space $segment
            }
        }
    }
    validate_bd_design
    save_bd_design
    # The clock that comes out, and what the PLL is divided by for it.
    variable clock_mhz
    variable actual_mhz
    variable divisor
    set ps [get_bd_cells ps]
    set actual_mhz [get_property [tmv::ps_pin actual_mhz] $ps]
    set divisor [expr {[get_property [tmv::ps_pin divisor0] $ps] * [get_property [tmv::ps_pin divisor1] $ps]}]
    puts "TMV: clock asked for $clock_mhz MHz, the processing system gives $actual_mhz MHz"
}

# A project for it, on disk or in memory, with the IP packaged.
proc tmv::create_system {folder kind} {
    variable build
    variable part
    set ip [file join $build ip]
    tmv::package_ip $ip
    file mkdir $folder
    if {$kind eq "memory"} {
        create_project -in_memory -part $part
    } else {
        create_project -force tmv_design [file join $folder project] -part $part
    }
    tmv::set_board
    set_property target_language Verilog [current_project]
    set_property ip_repo_paths [list $ip] [current_project]
    update_ip_catalog
    tmv::create_design
}

if {![info exists tmv::sourced]} {
    set tmv::sourced 1
    source [file join $tmv::here package_ip.tcl]
    tmv::check_vivado
    tmv::create_system [file join $tmv::build design] disk
}
