# Vivado's commands as far as the hand-off scripts use them, for `tclsh`. They do nothing but look: every file that is
# named must exist, every parameter set on the unit must be one of the wrapper's, every pin and interface that is
# connected must exist and fit, every address space must be mapped. An option or a command that is not here is an error.
# Verilog is read by its layout, which is ours. Of Vivado they know what its manuals and published scripts say; that
# Vivado does the same has not been tried.

namespace eval stub {
    variable log {}
    variable files {}
    variable cells
    array set cells {}
    variable intf_nets {}
    variable driver
    array set driver {}
    variable assigned
    array set assigned {}
    variable excluded {}
    variable external {}
    variable project ""
    variable core ""
    variable design ""
    variable synthesised ""
    variable routed 0
    variable clocks {}
    variable setting
    array set setting {
        version 2023.2  setup 0.123  hold 0.045  boards 1  timing "All user specified timing constraints are met."
        headers 1
    }
    # File types, checkpoint mode of the block design, include folders; and whether a run has written a bitstream.
    variable types
    array set types {}
    variable checkpoint_mode Hierarchical
    variable include_dirs {}
    variable run_bit 0
    variable board ""
    foreach {name variable} {
        version TMV_STUB_VERSION  setup TMV_STUB_SETUP  hold TMV_STUB_HOLD  boards TMV_STUB_BOARDS  timing TMV_STUB_TIMING
        headers TMV_STUB_HEADERS
    } {
        if {[info exists ::env($variable)]} { set setting($name) $::env($variable) }
    }
}

proc stub::note {args} {
    variable log
    lappend log $args
}

# Reads `args` of `command`: options with a value, options without, at least and at most so many other arguments.
proc stub::options {command arguments valued flags least most} {
    array set found {}
    set rest {}
    while {[llength $arguments] > 0} {
        set arguments [lassign $arguments word]
        # A negative number is a value.
        if {[string match {-[a-z]*} $word]} {
            set name [string range $word 1 end]
            if {$name in $flags} {
                set found($name) 1
            } elseif {$name in $valued} {
                if {[llength $arguments] == 0} { error "$command: option -$name has no value" }
                set arguments [lassign $arguments found($name)]
            } else {
                error "$command: no option -$name is known"
            }
        } else {
            lappend rest $word
        }
    }
    if {[llength $rest] < $least || [llength $rest] > $most} {
        error "$command: [llength $rest] arguments ($rest), expected $least to $most"
    }
    note $command {*}[lsort -stride 2 [array get found]] {*}$rest
    set found() $rest
    return [array get found]
}

proc stub::read {path} {
    if {![file isfile $path]} { error "no such file: $path" }
    set channel [open $path]
    set text [::read $channel]
    close $channel
    return $text
}

proc stub::write {path} {
    if {![file isdirectory [file dirname $path]]} { error "no such folder: [file dirname $path]" }
    set channel [open $path w]
    puts $channel "written by a stub"
    close $channel
}

# ---------------------------------------------------------------------------------------------------------------------
# The wrapper and the unit, read from the text that Vivado would read.

# Text without comments.
proc stub::bare {text} {
    regsub -all {/\*.*?\*/} $text "" text
    regsub -all -line {//.*$} $text "" text
    return $text
}

# Parameter list and port list of a module. By the layout of our sources: a regular expression takes a second.
proc stub::split_module {path text name} {
    set from 0
    foreach {mark what} [list "\nmodule $name" start "#(\n" header "\n) (\n" middle "\n);" end] {
        set $what [string first $mark $text $from]
        if {[set $what] < 0} { error "$path: no module $name with parameters and ports" }
        set from [expr {[set $what] + [string length $mark] - 1}]
    }
    return [list [string range $text $header $middle] [string range $text $middle+4 $end]]
}

# The wrapper: ports, parameters, interfaces.
proc stub::parse_wrapper {path} {
    variable ports
    variable parameters
    variable interfaces
    variable busif
    variable busif_parameters
    foreach name {ports parameters interfaces busif busif_parameters} { array unset $name; array set $name {} }
    set text [bare [read $path]]
    lassign [split_module $path $text tmv_wrapper] header list
    foreach {- name value} [regexp -all -inline {parameter\s+integer\s+(\w+)\s*=\s*(\d+)} $header] {
        set parameters($name) $value
    }
    set info ""
    set words {\(\*\s*(X_INTERFACE_\w+)\s*=\s*"([^"]*)"\s*\*\)|(input|output)\s+wire\s*(?:\[(\d+):0\])?\s*(\w+)}
    foreach {- kind value dir high name} [regexp -all -inline $words $list] {
        if {$kind eq "X_INTERFACE_INFO"} {
            set info $value
        } elseif {$kind eq "X_INTERFACE_PARAMETER"} {
            foreach item [split $value ,] {
                lassign [string trim $item] key word
                if {$key eq "XIL_INTERFACENAME"} { set owner $word }
                lappend pending $key $word
            }
            foreach {key word} $pending { set busif_parameters($owner,$key) $word }
            unset pending
        } else {
            if {[info exists ports($name)]} { error "$path: port $name twice" }
            set ports($name) [list $dir [expr {$high eq "" ? 1 : $high + 1}]]
            if {[llength $info] != 3} { error "$path: port $name belongs to no interface" }
            lassign $info type interface signal
            set busif($interface) $type
            if {[info exists interfaces($interface,$signal)]} { error "$path: $interface has two ports for $signal" }
            set interfaces($interface,$signal) $name
            set info ""
        }
    }
    check_instance $path $text
    check_interfaces $path
}

# The instance of the top: ports and parameters are the top's, and none is left out.
proc stub::check_instance {path text} {
    variable files
    if {![regexp {\n\s*(\w+)\s*#\((.*?)\n\s*\)\s*u_top\s*\((.*)\);} $text -> top values connections]} {
        error "$path: no instance u_top"
    }
    set unit ""
    foreach file $files {
        if {[file tail $file] eq "$top.sv"} { set unit $file }
    }
    if {$unit eq ""} { error "rtl/$top.sv was not read" }
    lassign [split_module $unit [bare [read $unit]] $top] header list
    set there {}
    foreach {- dir name} [regexp -all -inline -line {^\s*(input|output)\s+logic\s+.*?(\w+)\s*,?\s*$} $list] {
        lappend there $name
    }
    foreach {- name} [regexp -all -inline {\.(\w+)\s*\(} $values] {
        if {![regexp "parameter\\s+int unsigned\\s+$name\\s*=" $header]} {
            error "$path: $top has no parameter $name"
        }
    }
    set connected {}
    foreach {- name} [regexp -all -inline {\.(\w+)\s*\(} $connections] {
        if {$name ni $there} { error "$path: $top has no port $name" }
        lappend connected $name
    }
    foreach name $there {
        if {$name ni $connected} { error "$path: port $name of $top is not connected" }
    }
}

# Every AXI interface has the signals it cannot do without, in the right direction and width.
proc stub::check_interfaces {path} {
    variable ports
    variable interfaces
    variable busif
    variable busif_parameters
    set read {ARADDR o ARLEN o ARSIZE o ARBURST o ARCACHE o ARPROT o ARVALID o ARREADY i
        RDATA i RRESP i RLAST i RVALID i RREADY o}
    set write {AWADDR o AWLEN o AWSIZE o AWBURST o AWCACHE o AWPROT o AWVALID o AWREADY i
        WDATA o WSTRB o WLAST o WVALID o WREADY i BRESP i BVALID i BREADY o}
    set lite {AWADDR i AWVALID i AWREADY o WDATA i WSTRB i WVALID i WREADY o BRESP o BVALID o BREADY i
        ARADDR i ARVALID i ARREADY o RDATA o RRESP o RVALID o RREADY i}
    foreach interface [array names busif] {
        switch -glob $busif($interface) {
            xilinx.com:interface:aximm:1.0 {
                # Vivado takes defaults for those that are missing: for example 2 bursts in flight, 256 beats long.
                set keys {PROTOCOL DATA_WIDTH ADDR_WIDTH ID_WIDTH READ_WRITE_MODE MAX_BURST_LENGTH SUPPORTS_NARROW_BURST
                    HAS_BURST HAS_LOCK HAS_PROT HAS_CACHE HAS_QOS HAS_REGION HAS_WSTRB HAS_BRESP HAS_RRESP
                    NUM_READ_OUTSTANDING NUM_READ_THREADS}
                if {$busif_parameters($interface,READ_WRITE_MODE) ne "READ_ONLY"} {
                    lappend keys NUM_WRITE_OUTSTANDING NUM_WRITE_THREADS
                }
                foreach key $keys {
                    if {![info exists busif_parameters($interface,$key)]} { error "$path: $interface has no $key" }
                }
                foreach {key signals} {BURST {ARBURST AWBURST} LOCK {ARLOCK AWLOCK} PROT {ARPROT AWPROT}
                    CACHE {ARCACHE AWCACHE} QOS {ARQOS AWQOS} REGION {ARREGION AWREGION}
                    WSTRB WSTRB BRESP BRESP RRESP RRESP} {
                    set there [expr {[llength [lmap signal $signals {
                        if {![info exists interfaces($interface,$signal)]} { continue }
                        set signal
                    }]] > 0}]
                    if {$busif_parameters($interface,HAS_$key) != $there} {
                        error "$path: $interface has HAS_$key $busif_parameters($interface,HAS_$key)"
                    }
                }
                set data $busif_parameters($interface,DATA_WIDTH)
                foreach signal {ARID RID AWID BID} {
                    if {![info exists interfaces($interface,$signal)]} { continue }
                    lassign $ports($interfaces($interface,$signal)) - width
                    if {$width != $busif_parameters($interface,ID_WIDTH)} {
                        error "$path: $interface $signal has $width bits, expected\
                            $busif_parameters($interface,ID_WIDTH)"
                    }
                }
                if {$busif_parameters($interface,PROTOCOL) eq "AXI4LITE"} {
                    set needed $lite
                } elseif {$busif_parameters($interface,READ_WRITE_MODE) eq "READ_ONLY"} {
                    set needed $read
                } else {
                    set needed [concat $read $write]
                }
                foreach {signal dir} $needed {
                    if {![info exists interfaces($interface,$signal)]} { error "$path: $interface has no $signal" }
                    lassign $ports($interfaces($interface,$signal)) found width
                    if {[string index $found 0] ne $dir} { error "$path: $interface $signal is an $found" }
                    set expected 0
                    switch -glob $signal {
                        ?DATA  { set expected $data }
                        WSTRB  { set expected [expr {$data / 8}] }
                        A?ADDR { set expected $busif_parameters($interface,ADDR_WIDTH) }
                        A?LEN  { set expected 8 }
                        A?SIZE - A?PROT { set expected 3 }
                        A?BURST - ?RESP { set expected 2 }
                        A?CACHE { set expected 4 }
                        default { set expected 1 }
                    }
                    if {$width != $expected} {
                        error "$path: $interface $signal has $width bits, expected $expected"
                    }
                }
            }
            xilinx.com:signal:clock:1.0 {
                set listed [split $busif_parameters($interface,ASSOCIATED_BUSIF) :]
                foreach name [array names busif] {
                    if {[string match *aximm* $busif($name)] != ($name in $listed)} {
                        error "$path: $interface is associated with $listed, and there is $name"
                    }
                }
                set reset $busif_parameters($interface,ASSOCIATED_RESET)
                if {![info exists ports($reset)]} { error "$path: $interface names a reset $reset" }
            }
            xilinx.com:signal:reset:1.0 - xilinx.com:signal:interrupt:1.0 {}
            default { error "$path: interface $interface is of unknown type $busif($interface)" }
        }
    }
}

# Looks at everything that synthesis would look at.
proc stub::elaborate {} {
    variable files
    variable types
    variable include_dirs
    set wrapper ""
    foreach file $files {
        if {[file tail $file] eq "tmv_wrapper.v"} { set wrapper $file }
        set expected [switch [file extension $file] { .sv {set - SystemVerilog} .svh {set - "Verilog Header"}
            default {set - Verilog} }]
        if {$types($file) ne $expected} { error "$file is read as $types($file), expected $expected" }
        # A file can be gone since it was named; and an included one must be there.
        foreach {- name} [regexp -all -inline -line {^\s*`include "([^"]+)"} [read $file]] {
            if {$name ni [lmap other $files {file tail $other}]} { error "$file includes $name, which was not read" }
            if {![llength [lmap folder $include_dirs {
                if {![file exists [file join $folder $name]]} { continue }
                set folder
            }]]} {
                error "$file includes $name, which is missing in the include folders ($include_dirs)"
            }
        }
    }
    if {$wrapper eq ""} { error "rtl/tmv_wrapper.v was not read" }
    parse_wrapper $wrapper
    check_modules
}

# Every module that a file has an instance of is in a file that was read: Vivado would make it a black box.
proc stub::check_modules {} {
    variable files
    set modules {}
    set instances {}
    foreach file $files {
        set text [bare [read $file]]
        foreach {- name} [regexp -all -inline -line {^(?:`\w+ )?module (\w+)} $text] { lappend modules $name }
        foreach {- name} [regexp -all -inline -line {^\s+(tmv_\w+|VexRiscv|InstructionCache|DataCache) (?:#\(|\w+ \()} $text] {
            dict set instances $name $file
        }
    }
    dict for {name file} $instances {
        if {$name ni $modules} { error "$file has an instance of $name, and no file that was read has this module" }
    }
}

# ---------------------------------------------------------------------------------------------------------------------
# Cells of the block design: what pins they have, given their configuration.

# Values that Vivado gives a parameter nobody sets, where they are not 0. A preset changes other parameters than these.
array set stub::default {
    PSU__FPGA_PL0_ENABLE 1  PSU__USE__IRQ0 1  PSU__USE__M_AXI_GP0 1  PSU__USE__M_AXI_GP1 1
    PSU__MAXIGP0__DATA_WIDTH 128  PSU__MAXIGP1__DATA_WIDTH 128
    PSU__SAXIGP2__DATA_WIDTH 128  PSU__SAXIGP3__DATA_WIDTH 128  PSU__SAXIGP4__DATA_WIDTH 128
    PSU__SAXIGP5__DATA_WIDTH 128  PSU__SAXIGP0__DATA_WIDTH 128  PSU__SAXIGP1__DATA_WIDTH 128  PSU__SAXIGP6__DATA_WIDTH 128
    PCW_EN_CLK0_PORT 1  PCW_EN_RST0_PORT 1  PCW_USE_M_AXI_GP0 1
    PCW_S_AXI_HP0_DATA_WIDTH 64  PCW_S_AXI_HP1_DATA_WIDTH 64  PCW_S_AXI_HP2_DATA_WIDTH 64  PCW_S_AXI_HP3_DATA_WIDTH 64
    NUM_SI 2  NUM_MI 1  NUM_CLKS 1
}
# Slave ports of Zynq UltraScale+: number, interface, clock.
set stub::slaves {
    0 S_AXI_HPC0_FPD saxihpc0_fpd_aclk  1 S_AXI_HPC1_FPD saxihpc1_fpd_aclk  2 S_AXI_HP0_FPD saxihp0_fpd_aclk
    3 S_AXI_HP1_FPD saxihp1_fpd_aclk  4 S_AXI_HP2_FPD saxihp2_fpd_aclk  5 S_AXI_HP3_FPD saxihp3_fpd_aclk
    6 S_AXI_LPD saxi_lpd_aclk
}
proc stub::config {cell name} {
    variable configured
    variable default
    if {[info exists configured($cell,$name)]} { return $configured($cell,$name) }
    return [expr {[info exists default($name)] ? $default($name) : 0}]
}

# Pins of a cell: name, direction. Clocks and resets that must be driven are marked.
proc stub::pins {cell} {
    variable cells
    variable interfaces
    variable busif
    variable ports
    switch -glob $cells($cell) {
        xilinx.com:ip:zynq_ultra_ps_e {
            set pins {pl_resetn0 o}
            if {[config $cell PSU__FPGA_PL0_ENABLE]} { lappend pins pl_clk0 o }
            if {[config $cell PSU__USE__IRQ0]} { lappend pins pl_ps_irq0 i }
            foreach p {0 1} {
                if {[config $cell PSU__USE__M_AXI_GP$p]} { lappend pins maxihpm${p}_fpd_aclk clock }
            }
            if {[config $cell PSU__USE__M_AXI_GP2]} { lappend pins maxihpm0_lpd_aclk clock }
            foreach {gp port clock} $stub::slaves {
                if {[config $cell PSU__USE__S_AXI_GP$gp]} { lappend pins $clock clock }
            }
        }
        xilinx.com:ip:processing_system7 {
            set pins {}
            if {[config $cell PCW_EN_CLK0_PORT]} { lappend pins FCLK_CLK0 o }
            if {[config $cell PCW_EN_RST0_PORT]} { lappend pins FCLK_RESET0_N o }
            if {[config $cell PCW_USE_FABRIC_INTERRUPT] && [config $cell PCW_IRQ_F2P_INTR]} { lappend pins IRQ_F2P i }
            if {[config $cell PCW_USE_M_AXI_GP0]} { lappend pins M_AXI_GP0_ACLK clock }
            foreach port {HP0 HP1 HP2 HP3 ACP GP0 GP1} {
                if {[config $cell PCW_USE_S_AXI_$port]} { lappend pins S_AXI_${port}_ACLK clock }
            }
        }
        xilinx.com:ip:proc_sys_reset {
            set pins {slowest_sync_clk clock ext_reset_in reset aux_reset_in i mb_debug_sys_rst i dcm_locked i
                mb_reset o bus_struct_reset o peripheral_reset o interconnect_aresetn o peripheral_aresetn o}
        }
        xilinx.com:ip:smartconnect { set pins {aclk clock aresetn reset} }
        xilinx.com:ip:xlconcat {
            set pins {dout o}
            for {set p 0} {$p < [config $cell NUM_PORTS]} {incr p} { lappend pins In$p line }
        }
        tmv:user:tmv_wrapper:* {
            set pins {}
            foreach interface [array names busif] {
                switch $busif($interface) {
                    xilinx.com:signal:clock:1.0 { lappend pins $interfaces($interface,CLK) clock }
                    xilinx.com:signal:reset:1.0 { lappend pins $interfaces($interface,RST) reset }
                    xilinx.com:signal:interrupt:1.0 { lappend pins $interfaces($interface,INTERRUPT) o }
                }
            }
        }
        default { error "no stub for the IP $cells($cell)" }
    }
    return $pins
}

# Interfaces of a cell: name, then mode, protocol, data width, ID width.
proc stub::interfaces {cell} {
    variable cells
    variable busif
    variable busif_parameters
    set found {}
    switch -glob $cells($cell) {
        xilinx.com:ip:zynq_ultra_ps_e {
            foreach p {0 1} {
                if {[config $cell PSU__USE__M_AXI_GP$p]} {
                    lappend found M_AXI_HPM${p}_FPD [list Master AXI4 [config $cell PSU__MAXIGP${p}__DATA_WIDTH] 16]
                }
            }
            if {[config $cell PSU__USE__M_AXI_GP2]} { lappend found M_AXI_HPM0_LPD {Master AXI4 32 16} }
            foreach {gp port clock} $stub::slaves {
                if {[config $cell PSU__USE__S_AXI_GP$gp]} {
                    lappend found $port [list Slave AXI4 [config $cell PSU__SAXIGP${gp}__DATA_WIDTH] 6]
                }
            }
        }
        xilinx.com:ip:processing_system7 {
            if {[config $cell PCW_USE_M_AXI_GP0]} { lappend found M_AXI_GP0 {Master AXI3 32 12} }
            foreach {port bits ids} {HP0 "" 6 HP1 "" 6 HP2 "" 6 HP3 "" 6 ACP 64 3 GP0 32 6 GP1 32 6} {
                if {[config $cell PCW_USE_S_AXI_$port]} {
                    if {$bits eq ""} { set bits [config $cell PCW_S_AXI_${port}_DATA_WIDTH] }
                    lappend found S_AXI_$port [list Slave AXI3 $bits $ids]
                }
            }
        }
        xilinx.com:ip:smartconnect {
            foreach {letter mode} {S Slave M Master} {
                for {set p 0} {$p < [config $cell NUM_${letter}I]} {incr p} {
                    lappend found [format %s%02d_AXI $letter $p] [list $mode any any any]
                }
            }
        }
        xilinx.com:ip:proc_sys_reset - xilinx.com:ip:xlconcat {}
        tmv:user:tmv_wrapper:* {
            foreach interface [array names busif] {
                if {[string match *aximm* $busif($interface)]} {
                    set mode [expr {[string match S_* $interface] ? "Slave" : "Master"}]
                    lappend found $interface [list $mode $busif_parameters($interface,PROTOCOL) \
                        $busif_parameters($interface,DATA_WIDTH) $busif_parameters($interface,ID_WIDTH)]
                }
            }
        }
        default { error "no stub for the IP $cells($cell)" }
    }
    return $found
}

# Parameters that may be set on an IP of Xilinx: as patterns. The unit's are the wrapper's.
set stub::known(xilinx.com:ip:zynq_ultra_ps_e) {
    PSU__FPGA_PL0_ENABLE PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ {PSU__USE__M_AXI_GP[0-2]} PSU__MAXIGP0__DATA_WIDTH
    PSU__USE__IRQ0 {PSU__USE__S_AXI_GP[0-6]} {PSU__SAXIGP[0-6]__DATA_WIDTH}
}
set stub::known(xilinx.com:ip:processing_system7) {
    PCW_EN_CLK0_PORT PCW_EN_RST0_PORT PCW_FPGA0_PERIPHERAL_FREQMHZ PCW_USE_M_AXI_GP0 PCW_USE_FABRIC_INTERRUPT
    PCW_IRQ_F2P_INTR {PCW_USE_S_AXI_HP[0-3]} {PCW_S_AXI_HP[0-3]_DATA_WIDTH} PCW_USE_S_AXI_ACP {PCW_USE_S_AXI_GP[01]}
}
set stub::known(xilinx.com:ip:proc_sys_reset) {}
set stub::known(xilinx.com:ip:smartconnect) {NUM_SI NUM_MI NUM_CLKS}
set stub::known(xilinx.com:ip:xlconcat) {NUM_PORTS}

proc stub::set_config {cell name value} {
    variable cells
    variable known
    variable parameters
    variable configured
    if {![string match CONFIG.* $name]} { error "$cell: property $name is not known" }
    set name [string range $name 7 end]
    if {[string match tmv:user:* $cells($cell)]} {
        if {![info exists parameters($name)]} { error "rtl/tmv_wrapper.v has no parameter $name" }
    } else {
        set found 0
        foreach pattern $known($cells($cell)) { if {[string match $pattern $name]} { set found 1 } }
        if {!$found} { error "$cells($cell): parameter $name is not known" }
    }
    set configured($cell,$name) $value
}

# ---------------------------------------------------------------------------------------------------------------------
# Vivado's commands.

proc version {args} { stub::options version $args {} short 0 0; return $stub::setting(version) }

proc create_project {args} {
    array set o [stub::options create_project $args part {force in_memory} 0 2]
    if {$stub::project ne ""} { error "create_project: project $stub::project is still open" }
    if {![info exists o(part)]} { error "create_project: no part" }
    set stub::project [expr {[info exists o(in_memory)] ? "memory" : [lindex $o() 0]}]
    set stub::folder [expr {[info exists o(in_memory)] ? [pwd] : [lindex $o() 1]}]
    file mkdir $stub::folder
    set stub::files {}
    set stub::board ""
    return $stub::project
}
proc close_project {args} { stub::options close_project $args {} {} 0 0; set stub::project "" }
proc current_project {args} { stub::options current_project $args {} {} 0 0; return project }
proc current_fileset {args} { stub::options current_fileset $args {} {} 0 0; return fileset }

# `paths` is a list, as for every command of Vivado that reads files: a name with a space that is no list is two names.
# add_files takes the type of a file from its ending; for read_verilog it is SystemVerilog with -sv and only then
# (UG835).
proc stub::take {paths {type ""}} {
    variable files
    variable types
    variable project
    if {$project eq ""} { error "no project is open" }
    foreach path $paths {
        read $path
        if {$path in $files} { error "$path is read twice" }
        lappend files $path
        set ending [expr {[file extension $path] in {.sv .svh} ? "SystemVerilog" : "Verilog"}]
        set types($path) [expr {$type eq "" ? $ending : $type}]
    }
}
proc add_files {args} { array set o [stub::options add_files $args fileset norecurse 1 1]; stub::take [lindex $o() 0] }
proc read_verilog {args} {
    array set o [stub::options read_verilog $args {} sv 1 1]
    stub::take [lindex $o() 0] [expr {[info exists o(sv)] ? "SystemVerilog" : "Verilog"}]
}
proc read_xdc {args} {
    array set o [stub::options read_xdc $args mode {} 1 1]
    if {[info exists o(mode)] && $o(mode) ne "out_of_context"} { error "read_xdc: mode $o(mode)" }
    foreach stub::xdc [lindex $o() 0] { stub::read $stub::xdc }
}
proc update_compile_order {args} { stub::options update_compile_order $args fileset {} 0 0 }
proc update_ip_catalog {args} {
    stub::options update_ip_catalog $args {} rebuild 0 0
    if {[llength $stub::repositories] == 0} { error "update_ip_catalog: no repository" }
    foreach folder $stub::repositories {
        if {![file exists [file join $folder component.xml]]} { error "no IP in $folder" }
    }
}

proc get_board_parts {args} {
    array set o [stub::options get_board_parts $args {} {quiet latest_file_version} 1 1]
    if {!$stub::setting(boards)} { return {} }
    return [list [string map {* 9.9} [lindex $o() 0]]]
}

proc set_property {args} {
    if {[lindex $args 0] eq "-dict"} {
        stub::note set_property {*}$args
        lassign $args - pairs object
        if {[llength $args] != 3 || [llength $pairs] % 2} { error "set_property -dict: $args" }
    } else {
        if {[llength $args] != 3} { error "set_property: expected a name, a value and an object: $args" }
        stub::note set_property {*}$args
        lassign $args name value object
        set pairs [list $name $value]
    }
    foreach {name value} $pairs {
        if {[info exists stub::cells($object)]} { stub::set_config $object $name $value; continue }
        switch $object,$name {
            project,target_language - project,board_connections {}
            project,board_part { set stub::board $value }
            project,ip_repo_paths { set stub::repositories $value }
            fileset,include_dirs { stub::include $value }
            fileset,top { set stub::top $value }
            core,name - core,version - core,display_name - core,description - core,supported_families - core,ipi_drc {}
            design,synth_checkpoint_mode {
                if {$value ni {None Singular Hierarchical}} { error "mode $value" }
                set stub::checkpoint_mode $value
            }
            default {
                # A file of the project.
                if {$name ne "file_type" || $object ni $stub::files} {
                    error "set_property: $object has no property $name"
                }
                if {$value ni {Verilog SystemVerilog {Verilog Header}}} { error "file_type $value" }
                set stub::types($object) $value
                continue
            }
        }
    }
}

proc stub::include {folders} {
    variable include_dirs
    foreach folder $folders { if {![file isdirectory $folder]} { error "no such folder: $folder" } }
    set include_dirs $folders
}

proc get_property {args} {
    array set o [stub::options get_property $args {} {} 2 2]
    lassign $o() name object
    switch -glob $object,$name {
        path:setup,SLACK { return $stub::setting(setup) }
        path:hold,SLACK { return $stub::setting(hold) }
        run,PROGRESS { return 100% }
        run,STATUS { return "write_bitstream Complete!" }
        run,DIRECTORY { return [file join $stub::folder tmv_design.runs impl_1] }
        ps,CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ {
            if {$stub::cells(ps) eq "xilinx.com:ip:zynq_ultra_ps_e"} { return [stub::clock 1499.985 0] }
        }
        ps,CONFIG.PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0 { return [stub::clock 1499.985 1] }
        ps,CONFIG.PCW_FCLK0_PERIPHERAL_DIVISOR0 { return [stub::clock 1000.0 1] }
        ps,CONFIG.PSU__CRL_APB__PL0_REF_CTRL__DIVISOR1 - ps,CONFIG.PCW_FCLK0_PERIPHERAL_DIVISOR1 { return 1 }
        ps,CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ {
            if {$stub::cells(ps) eq "xilinx.com:ip:processing_system7"} { return [stub::clock 1000.0 0] }
        }
    }
    error "get_property: $object has no property $name"
}

# The clock that the processing system gives, from a PLL at `pll` MHz: no more than is asked for. Or what it divides by.
proc stub::clock {pll divisor} {
    set asked [expr {max([config ps PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ], [config ps PCW_FPGA0_PERIPHERAL_FREQMHZ])}]
    set by [expr {int(ceil($pll / $asked))}]
    return [expr {$divisor ? $by : [format %.6f [expr {$pll / $by}]]}]
}

# The packager.
namespace eval ipx {}
proc ipx::package_project {args} {
    array set o [stub::options ipx::package_project $args {root_dir vendor library taxonomy} {import_files force} 0 0]
    if {$stub::top ne "tmv_wrapper"} { error "ipx::package_project: the top is $stub::top" }
    stub::elaborate
    set stub::core $o(root_dir)
}
proc ipx::current_core {args} {
    stub::options ipx::current_core $args {} {} 0 0
    if {$stub::core eq ""} { error "no core is open" }
    return core
}
proc ipx::get_bus_interfaces {args} {
    array set o [stub::options ipx::get_bus_interfaces $args of_objects quiet 1 1]
    return [expr {[info exists stub::busif([lindex $o() 0])] ? [lindex $o() 0] : ""}]
}
foreach command {create_xgui_files update_checksums check_integrity} {
    proc ipx::$command {args} "stub::options ipx::$command \$args {} {} 1 1"
}
proc ipx::save_core {args} {
    stub::options ipx::save_core $args {} {} 1 1
    # The names of the files. Without headers when a packager is played that leaves them out.
    set channel [open [file join $stub::core component.xml] w]
    foreach file $stub::files {
        if {$stub::setting(headers) || [file extension $file] ne ".svh"} { puts $channel [file tail $file] }
    }
    close $channel
}

# The block design.
proc create_bd_design {args} {
    array set o [stub::options create_bd_design $args {} {} 1 1]
    set stub::design [lindex $o() 0]
}
proc create_bd_cell {args} {
    array set o [stub::options create_bd_cell $args {type vlnv} {} 1 1]
    set name [lindex $o() 0]
    if {$stub::design eq ""} { error "create_bd_cell: no design is open" }
    if {$o(type) ne "ip"} { error "create_bd_cell: type $o(type)" }
    if {[info exists stub::cells($name)]} { error "create_bd_cell: cell $name is there already" }
    set stub::cells($name) $o(vlnv)
    if {![info exists stub::known($o(vlnv))] && $o(vlnv) ne $tmv::vlnv} { error "no stub for the IP $o(vlnv)" }
    stub::pins $name
    return $name
}
proc get_bd_cells {args} {
    array set o [stub::options get_bd_cells $args {} {} 1 1]
    if {![info exists stub::cells([lindex $o() 0])]} { error "no cell [lindex $o() 0]" }
    return [lindex $o() 0]
}
proc apply_bd_automation {args} {
    array set o [stub::options apply_bd_automation $args {rule config} {} 1 1]
    array set config $o(config)
    set ip [string map {bd_rule ip} $o(rule)]
    if {$stub::cells([lindex $o() 0]) ne $ip} { error "apply_bd_automation: $o(rule) is not for [lindex $o() 0]" }
    if {$config(apply_board_preset) ne "1"} { error "apply_bd_automation: no preset" }
    if {$stub::board eq ""} { error "apply_bd_automation: no preset: the project has no board" }
    if {$ip eq "xilinx.com:ip:processing_system7" && $config(make_external) ne "FIXED_IO, DDR"} {
        error "apply_bd_automation: FIXED_IO and DDR must be external"
    }
}
proc stub::split_pin {path} {
    variable cells
    lassign [split $path /] cell pin rest
    if {$pin eq "" || $rest ne ""} { error "no such pin: $path" }
    if {![info exists cells($cell)]} { error "no cell $cell, for $path" }
    return [list $cell $pin]
}
proc get_bd_pins {args} {
    array set o [stub::options get_bd_pins $args {} {} 1 1]
    lassign [stub::split_pin [lindex $o() 0]] cell pin
    if {![dict exists [stub::pins $cell] $pin]} { error "$stub::cells($cell) has no pin $pin as it is configured" }
    return [lindex $o() 0]
}
proc get_bd_intf_pins {args} {
    array set o [stub::options get_bd_intf_pins $args {} {} 1 1]
    lassign [stub::split_pin [lindex $o() 0]] cell pin
    if {![dict exists [stub::interfaces $cell] $pin]} {
        error "$stub::cells($cell) has no interface $pin as it is configured"
    }
    return [lindex $o() 0]
}
proc connect_bd_net {args} {
    array set o [stub::options connect_bd_net $args {} {} 2 2]
    lassign $o() from to
    lassign [stub::split_pin $from] cell pin
    if {[dict get [stub::pins $cell] $pin] ne "o"} { error "connect_bd_net: $from drives nothing" }
    lassign [stub::split_pin $to] cell pin
    if {[dict get [stub::pins $cell] $pin] eq "o"} { error "connect_bd_net: $to is an output" }
    if {[info exists stub::driver($to)]} { error "connect_bd_net: $to is driven by $stub::driver($to) already" }
    set stub::driver($to) $from
}
proc connect_bd_intf_net {args} {
    array set o [stub::options connect_bd_intf_net $args {} {} 2 2]
    lassign $o() from to
    foreach {end mode} [list $from Master $to Slave] {
        lassign [stub::split_pin $end] cell pin
        lassign [dict get [stub::interfaces $cell] $pin] found protocol($mode) width($mode) ids($mode)
        if {$found ne $mode} { error "connect_bd_intf_net: $end is a $found" }
        if {$end in $stub::intf_nets} { error "connect_bd_intf_net: $end is connected already" }
        lappend stub::intf_nets $end
    }
    foreach what {protocol width ids} {
        set values [lsort -unique [list [set ${what}(Master)] [set ${what}(Slave)]]]
        if {"any" ni $values && [llength $values] > 1} {
            error "connect_bd_intf_net: $from to $to: $what [join $values { and }]"
        }
    }
    set stub::through($from) $to
}
proc get_bd_addr_spaces {args} {
    array set o [stub::options get_bd_addr_spaces $args {} {} 1 1]
    lassign [stub::split_pin [lindex $o() 0]] cell space
    if {[string match *:tmv_wrapper:* $stub::cells($cell)]} {
        if {[lindex [dict get [stub::interfaces $cell] $space] 0] ne "Master"} { error "$cell/$space is no master" }
    } elseif {$cell ne "ps" || $space ne "Data"} {
        error "no address space [lindex $o() 0]"
    }
    return [lindex $o() 0]
}
# What the names of address segments of a slave port begin with.
proc stub::short {interface} {
    return [string map {S_AXI_ "" _FPD ""} $interface]
}
proc get_bd_addr_segs {args} {
    array set o [stub::options get_bd_addr_segs $args {} {} 1 1]
    lassign [split [lindex $o() 0] /] cell interface pattern
    if {![info exists stub::cells($cell)] || $pattern ne "*"} { error "no address segments [lindex $o() 0]" }
    switch -regexp $stub::cells($cell),$interface {
        ^tmv:.*,S_AXIL$ { set names reg0 }
        ^xilinx.com:ip:zynq_ultra_ps_e,SAXIGP[0-6]$ {
            set gp [string index $interface end]
            if {![stub::config $cell PSU__USE__S_AXI_GP$gp]} { error "$interface is off" }
            set port [stub::short [lindex $stub::slaves [expr {3 * $gp + 1}]]]
            set names [list ${port}_DDR_LOW ${port}_DDR_HIGH ${port}_LPS_OCM ${port}_QSPI]
        }
        {^xilinx.com:ip:processing_system7,S_AXI_(HP[0-3]|ACP|GP[01])$} {
            if {![stub::config $cell PCW_USE_$interface]} { error "$interface is off" }
            set port [stub::short $interface]
            set names ${port}_DDR_LOWOCM
            if {![string match HP* $port]} { lappend names ${port}_IOP ${port}_M_AXI_GP0 }
        }
        default { error "no address segments [lindex $o() 0]" }
    }
    return [lmap name $names { string cat / $cell / $interface / $name }]
}
proc assign_bd_address {args} {
    array set o [stub::options assign_bd_address $args {offset range target_address_space} force 1 1]
    set segment [lindex $o() 0]
    if {[llength $segment] != 1} { error "assign_bd_address: [llength $segment] segments" }
    if {[info exists o(offset)] && $o(offset) % 4096} { error "assign_bd_address: offset $o(offset)" }
    lappend stub::assigned($o(target_address_space)) $segment
    if {[info exists o(offset)]} { array set stub::control [list offset $o(offset) range $o(range)] }
}
proc exclude_bd_addr_seg {args} {
    array set o [stub::options exclude_bd_addr_seg $args target_address_space {} 1 1]
    if {[string match *DDR* [lindex $o() 0]]} { error "exclude_bd_addr_seg: that is the memory" }
}
proc validate_bd_design {args} {
    stub::options validate_bd_design $args {} {} 0 0
    foreach cell [array names stub::cells] {
        foreach {pin kind} [stub::pins $cell] {
            if {$kind in {clock reset line} && ![info exists stub::driver($cell/$pin)]} { error "$cell/$pin is not driven" }
        }
        foreach {interface -} [stub::interfaces $cell] {
            if {"$cell/$interface" ni $stub::intf_nets} { error "$cell/$interface is not connected" }
        }
    }
    # All clocks are one; resets come from the reset block; every interrupt reaches the processing system.
    set clocks {}
    foreach {pin from} [array get stub::driver] {
        lassign [stub::split_pin $pin] cell name
        set kind [dict get [stub::pins $cell] $name]
        if {$kind eq "clock"} { lappend clocks $from }
        if {$kind eq "reset" && $cell ne "reset_0" && $from ne "reset_0/peripheral_aresetn"} {
            error "$pin is reset by $from"
        }
    }
    if {[llength [lsort -unique $clocks]] != 1} { error "more than one clock: [lsort -unique $clocks]" }
    foreach {pin kind} [stub::pins tmv_0] {
        if {$kind ne "o"} { continue }
        set ends [lmap {to from} [array get stub::driver] { if {$from ne "tmv_0/$pin"} { continue }; set to }]
        if {[string match interrupts_0/* $ends]} {
            set ends [lmap {to from} [array get stub::driver] { if {$from ne "interrupts_0/dout"} { continue }; set to }]
        }
        if {![string match ps/* $ends]} { error "tmv_0/$pin goes nowhere" }
    }
    # Each port of the unit reaches a port of its own, of its width, and all of that port's memory.
    foreach {interface description} [stub::interfaces tmv_0] {
        lassign $description mode protocol width
        if {$mode eq "Slave"} { continue }
        set end $stub::through(tmv_0/$interface)
        lassign [stub::split_pin $end] cell pin
        if {[string match *smartconnect* $stub::cells($cell)]} {
            set end $stub::through($cell/M00_AXI)
            lassign [stub::split_pin $end] cell pin
        }
        if {$cell ne "ps"} { error "tmv_0/$interface ends at $end" }
        # A general-purpose port of Zynq-7000 has 32 bits; its converter converts the width too.
        set found [lindex [dict get [stub::interfaces ps] $pin] 2]
        if {$found ne $width && ![string match S_AXI_GP? $pin]} { error "tmv_0/$interface to $end: width $width and $found" }
        if {![info exists stub::assigned(tmv_0/$interface)]} { error "tmv_0/$interface has no addresses" }
        foreach segment $stub::assigned(tmv_0/$interface) {
            if {![string match */[stub::short $pin]_DDR* $segment]} { error "tmv_0/$interface is given $segment" }
        }
    }
    if {![info exists stub::assigned(ps/Data)]} { error "the registers have no address" }
    # As many bytes as the bus has addresses, at an address that the processing system leads to its master port.
    set bytes [expr {1 << $stub::busif_parameters(S_AXIL,ADDR_WIDTH)}]
    if {$stub::control(range) ne "[expr {$bytes >> 10}]K"} { error "the registers have $bytes bytes, not $stub::control(range)" }
    foreach {ps first last} {
        xilinx.com:ip:zynq_ultra_ps_e 0xa0000000 0xafffffff  xilinx.com:ip:processing_system7 0x40000000 0x7fffffff
    } {
        if {$ps ne $stub::cells(ps)} { continue }
        if {$stub::control(offset) < $first || $stub::control(offset) + $bytes - 1 > $last} {
            error "the master port does not lead to $stub::control(offset)"
        }
    }
    # The overlay counts interrupts in this order.
    if {[info exists stub::cells(interrupts_0)]} {
        set line 0
        foreach interrupt $tmv::interrupts {
            if {$stub::driver(interrupts_0/In$line) ne "tmv_0/$interrupt"} { error "interrupts_0/In$line is not $interrupt" }
            incr line
        }
    }
}
proc save_bd_design {args} {
    stub::options save_bd_design $args {} {} 0 0
    set stub::bd [file join $stub::folder $stub::design.bd]
    stub::write $stub::bd
}
proc get_files {args} {
    array set o [stub::options get_files $args {} {} 1 1]
    if {$stub::design ne "" && [lindex $o() 0] eq "$stub::design.bd"} { return design }
    foreach file $stub::files { if {[file tail $file] eq [lindex $o() 0]} { return $file } }
    error "no file [lindex $o() 0] in the project"
}
proc generate_target {args} {
    stub::options generate_target $args {} {} 2 2
    set folder [file join [stub::generated] hw_handoff]
    file mkdir $folder
    stub::write [file join $folder $stub::design.hwh]
}
# Where generated files are. Of a project in memory, which has no name, in a folder that `glob *` does not see.
proc stub::generated {} {
    variable folder
    variable project
    return [file join $folder [expr {$project eq "memory" ? ".gen" : "tmv_design.gen"}]]
}
proc make_wrapper {args} {
    stub::options make_wrapper $args files top 0 0
    set path [file join [stub::generated] ${stub::design}_wrapper.v]
    stub::write $path
    return $path
}

# Synthesis, implementation, reports.
proc synth_design {args} {
    array set o [stub::options synth_design $args {top part mode include_dirs} {} 0 0]
    if {[info exists o(mode)] && $o(mode) ne "out_of_context"} { error "synth_design: mode $o(mode)" }
    if {$o(top) eq "tmv_wrapper"} {
        stub::include $o(include_dirs)
        stub::elaborate
        stub::constrain
    } elseif {$o(top) ne "${stub::design}_wrapper" || ![file exists [file join [stub::generated] $o(top).v]]} {
        error "synth_design: no module $o(top)"
    } elseif {$stub::checkpoint_mode ne "None"} {
        error "synth_design: IPs are black boxes: nobody ran their synthesis (synth_checkpoint_mode)"
    }
    set stub::synthesised $o(top)
}
foreach command {opt_design place_design phys_opt_design} {
    proc $command {args} "
        stub::options $command \$args {} {} 0 0
        if {\$stub::synthesised eq {}} { error {$command: nothing is synthesised} }
    "
}
proc route_design {args} {
    stub::options route_design $args {} {} 0 0
    if {$stub::synthesised eq ""} { error "route_design: nothing is synthesised" }
    set stub::routed 1
}
proc write_checkpoint {args} {
    array set o [stub::options write_checkpoint $args {} force 1 1]
    stub::write [lindex $o() 0]
}
proc stub::report {command arguments valued flags} {
    array set o [options $command $arguments [concat file $valued] $flags 0 0]
    variable routed
    variable setting
    if {!$routed} { error "$command: the design is not routed" }
    if {[info exists o(file)]} { write $o(file) }
    if {[info exists o(return_string)]} { return $setting(timing) }
}
proc report_utilization {args} { stub::report report_utilization $args {} hierarchical }
proc report_timing_summary {args} {
    stub::report report_timing_summary $args {delay_type max_paths} {return_string no_header no_detailed_paths}
}
proc report_cdc {args} { stub::report report_cdc $args {} details }
proc report_drc {args} { stub::report report_drc $args {} {} }
proc report_methodology {args} { stub::report report_methodology $args {} {} }
proc report_route_status {args} { stub::report report_route_status $args {} {} }
proc get_timing_paths {args} {
    array set o [stub::options get_timing_paths $args {max_paths nworst} {setup hold} 0 0]
    if {$stub::synthesised eq "tmv_wrapper" && $stub::clocks eq ""} { return {} }
    set kind [expr {[info exists o(hold)] ? "hold" : "setup"}]
    return [expr {$stub::setting($kind) eq "none" ? {} : "path:$kind"}]
}
proc write_bitstream {args} {
    array set o [stub::options write_bitstream $args {} force 1 1]
    if {!$stub::routed} { error "write_bitstream: the design is not routed" }
    if {$stub::synthesised eq "tmv_wrapper"} { error "write_bitstream: the unit alone has no bitstream" }
    stub::write [lindex $o() 0]
}
proc write_hw_platform {args} {
    array set o [stub::options write_hw_platform $args {} {fixed include_bit force} 1 1]
    if {$stub::design eq ""} { error "write_hw_platform: no block design" }
    if {$stub::synthesised eq ""} {
        error "write_hw_platform is only supported for synthesized, implemented, or checkpoint designs"
    }
    if {[info exists o(include_bit)] && ($stub::run_bit eq "0" || ![file exists $stub::run_bit])} {
        error "Unable to get BIT file from implementation run."
    }
    stub::write [lindex $o() 0]
}

# Runs.
proc launch_runs {args} {
    stub::options launch_runs $args {to_step jobs} {} 1 1
    if {$stub::top ne "${stub::design}_wrapper"} { error "launch_runs: the top is $stub::top" }
    set folder [file join $stub::folder tmv_design.runs impl_1]
    file mkdir $folder
    set stub::run_bit [file join $folder $stub::top.bit]
    stub::write $stub::run_bit
}
proc wait_on_run {args} { stub::options wait_on_run $args {} {} 1 1 }
proc get_runs {args} { stub::options get_runs $args {} {} 1 1; return run }
proc open_run {args} { stub::options open_run $args {} {} 1 1; set stub::synthesised $stub::top; set stub::routed 1 }

# Constraints: what tmv.xdc says.
proc create_clock {args} {
    array set o [stub::options create_clock $args {name period} add 1 1]
    if {![string is double -strict $o(period)] || $o(period) <= 0} { error "create_clock: period $o(period)" }
    lappend stub::clocks $o(name) [lindex $o() 0]
}
proc get_ports {args} {
    array set o [stub::options get_ports $args {} {} 1 1]
    if {![info exists stub::ports([lindex $o() 0])]} {
        error "[file tail $stub::xdc]: rtl/tmv_wrapper.v has no port [lindex $o() 0]"
    }
    return [lindex $o() 0]
}
proc stub::constrain {} {
    variable xdc
    variable interfaces
    variable clocks
    source $xdc
    foreach {name port} $clocks {
        if {$port ne $interfaces(clk,CLK)} { error "$xdc: clock $name is on $port" }
    }
    if {[llength $clocks] != 2} { error "$xdc: [expr {[llength $clocks] / 2}] clocks" }
}

# Whatever else is called is no command of Tcl, and none that these stubs know.
proc unknown {name args} { error "no stub for the command $name" }
