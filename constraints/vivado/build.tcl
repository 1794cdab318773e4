# Builds: vivado -mode batch -source build.tcl -tclargs MODE
#   ooc      the unit alone, out of context, non-project: area and timing in minutes, no board files needed
#   system   the whole design, non-project: build/system/tmv.bit, tmv.xsa (without the bitstream), tmv.hwh
#   project  the same through a project with runs, to be opened in the GUI afterwards: build/project; with tmv.bit in
#            tmv.xsa
# Beside tmv.bit are the files that Linux needs to load it. Reports are in build/MODE/reports. Exit code 1: an error, or
# timing that is not met. If only the clock is too fast, build/MODE/at_N_mhz has a bitstream for a slower one.
namespace eval tmv { variable sourced 1 }
source [file join [file dirname [file normalize [info script]]] common.tcl]
source [file join $tmv::here package_ip.tcl]
source [file join $tmv::here block_design.tcl]
source [file join $tmv::here firmware.tcl]

# Reports on the routed design that is open. Returns the worst setup slack in ns; where it is negative, a slower clock
# is enough. An error if anything else is not met.
proc tmv::report {folder} {
    set reports [file join $folder reports]
    file mkdir $reports
    report_utilization -file [file join $reports utilization.rpt]
    report_utilization -hierarchical -file [file join $reports utilization_hierarchical.rpt]
    report_timing_summary -delay_type min_max -max_paths 10 -file [file join $reports timing_summary.rpt]
    report_cdc -details -file [file join $reports cdc.rpt]
    report_drc -file [file join $reports drc.rpt]
    report_methodology -file [file join $reports methodology.rpt]
    report_route_status -file [file join $reports route_status.rpt]

    set summary "board $tmv::board, part $tmv::part, clock asked for $tmv::clock_mhz MHz, Vivado [version -short]\n"
    foreach {what option} {setup -setup hold -hold} {
        set path [get_timing_paths $option -max_paths 1 -nworst 1]
        if {[llength $path] == 0} {
            error "no $what path is constrained: no clock reached the unit; see $reports/timing_summary.rpt"
        }
        set slack [get_property SLACK $path]
        append summary "worst $what slack: $slack ns\n"
        # Nothing but a number is a slack: paths without constraints have none, or an infinite one.
        if {![regexp {^-?[0-9.]+$} $slack]} {
            error "the worst $what path has no slack (\"$slack\"); see $reports/timing_summary.rpt"
        }
        set worst($what) $slack
    }
    set channel [open [file join $reports summary.txt] w]
    puts $channel $summary
    close $channel
    puts "TMV: $summary"
    if {$worst(hold) < 0} {
        error "timing is not met: hold $worst(hold) ns; a slower clock does not help"
    }
    # The summary also knows of pulse widths.
    set text [report_timing_summary -no_header -no_detailed_paths -return_string]
    if {[string first "Timing constraints are not met" $text] >= 0 && $worst(setup) >= 0} {
        error "timing is not met: see $reports/timing_summary.rpt"
    }
    return $worst(setup)
}

# The highest clock in MHz that a design meets which has this setup slack at `mhz`. It has one clock, so every path has
# the same period.
proc tmv::reached_mhz {mhz slack} {
    return [expr {1000.0 / (1000.0 / $mhz - $slack)}]
}

# The bitstream and what belongs to it, in the folder of the build. `bitstream` is a command that lacks only the name of
# the file to write. If the clock is missed, the bitstream goes to a folder that is named after the highest clock which
# the processing system can give and the design meets; and then it is an error.
proc tmv::deliver {folder slack bitstream} {
    variable actual_mhz
    variable divisor
    if {$slack >= 0} {
        {*}$bitstream [file join $folder tmv.bit]
        tmv::firmware $folder $actual_mhz
        return
    }
    set reached [tmv::reached_mhz $actual_mhz $slack]
    set missed "timing is not met at $actual_mhz MHz: setup $slack ns; the design reaches [format %.2f $reached] MHz"
    # A clock is the PLL divided by two numbers of 6 bits (UG1085, UG585). Of products, those up to 63 are all there.
    set slower $divisor
    while {1.0 * $actual_mhz * $divisor / $slower > $reached} {
        incr slower
    }
    if {$slower > 63} {
        error "$missed, and the processing system has no such clock"
    }
    set mhz [expr {1.0 * $actual_mhz * $divisor / $slower}]
    # Rounded up: Vivado takes the next clock that is not above the one asked for.
    set ask [format %.2f [expr {ceil($mhz * 100) / 100}]]
    set place [file join $folder at_[expr {int($mhz)}]_mhz]
    file mkdir $place
    {*}$bitstream [file join $place tmv.bit]
    tmv::firmware $place $mhz
    error "$missed. $place has a bitstream for [format %.3f $mhz] MHz and the overlay that sets this clock. There is no\
        tmv.xsa, which would set the faster one. For a whole build: $tmv::command --clock-mhz $ask"
}

# Optimises, places and routes the synthesised design that is open.
proc tmv::implement {folder} {
    opt_design
    place_design
    phys_opt_design
    route_design
    write_checkpoint -force [file join $folder tmv_routed.dcp]
}

proc tmv::build_ooc {folder} {
    variable here
    variable part
    set rtl [file join $here rtl]
    create_project -in_memory -part $part
    read_verilog -sv [tmv::unit_files]
    read_verilog [concat [tmv::header_files] [tmv::verilog_files]]
    tmv::mark_headers
    read_xdc -mode out_of_context [list [file join $here tmv.xdc]]
    synth_design -top tmv_wrapper -part $part -mode out_of_context -include_dirs [list $rtl]
    write_checkpoint -force [file join $folder tmv_synthesised.dcp]
    tmv::implement $folder
    set slack [tmv::report $folder]
    if {$slack < 0} {
        variable clock_mhz
        error "timing is not met at $clock_mhz MHz: setup $slack ns; the unit alone reaches\
            [format %.2f [tmv::reached_mhz $clock_mhz $slack]] MHz"
    }
}

# The first file called `name` in or below `folder`. A design in memory has its files in .gen and .srcs.
proc tmv::find_file {folder name} {
    foreach file [glob -nocomplain -directory $folder -types f $name] {
        return $file
    }
    foreach below [glob -nocomplain -directory $folder -types d * {.[A-Za-z]*}] {
        set found [tmv::find_file $below $name]
        if {$found ne ""} {
            return $found
        }
    }
    return ""
}

# What the software side needs, beside the bitstream. `options` are further ones for tmv.xsa.
proc tmv::export_hardware {folder options} {
    set hwh [tmv::find_file $folder tmv_design.hwh]
    if {$hwh eq ""} {
        error "no tmv_design.hwh in or below $folder"
    }
    file copy -force $hwh [file join $folder tmv.hwh]
    write_hw_platform -fixed -force {*}$options [file join $folder tmv.xsa]
}

proc tmv::build_system {folder} {
    variable part
    # A design in memory has its files below the working folder.
    set before [pwd]
    file mkdir $folder
    cd $folder
    tmv::create_system $folder memory
    set design [get_files tmv_design.bd]
    # One synthesis of everything: without this each IP would need a run of its own.
    set_property synth_checkpoint_mode None $design
    generate_target all $design
    read_verilog [tmv::as_list [make_wrapper -files $design -top]]
    synth_design -top tmv_design_wrapper -part $part
    write_checkpoint -force [file join $folder tmv_synthesised.dcp]
    tmv::implement $folder
    tmv::deliver $folder [tmv::report $folder] {write_bitstream -force}
    # Without -include_bit: this option takes the bitstream from an implementation run, and there is none here. Vivado
    # then ends with "Unable to get BIT file from implementation run".
    tmv::export_hardware $folder {}
    cd $before
}

proc tmv::build_project {folder} {
    tmv::create_system $folder disk
    set design [get_files tmv_design.bd]
    generate_target all $design
    add_files -norecurse [tmv::as_list [make_wrapper -files $design -top]]
    set_property top tmv_design_wrapper [current_fileset]
    update_compile_order -fileset sources_1
    launch_runs impl_1 -to_step write_bitstream -jobs 4
    wait_on_run impl_1
    set run [get_runs impl_1]
    if {[get_property PROGRESS $run] ne "100%"} {
        error "implementation ended at [get_property PROGRESS $run]: [get_property STATUS $run]"
    }
    set bit [tmv::find_file [get_property DIRECTORY $run] tmv_design_wrapper.bit]
    if {$bit eq ""} {
        error "no tmv_design_wrapper.bit in [get_property DIRECTORY $run]"
    }
    open_run impl_1
    # The run has written its bitstream before anybody asked for the slack. So it must not stay where it is if that is
    # negative.
    if {[catch {tmv::report $folder} slack]} {
        file delete $bit
        error $slack
    }
    tmv::deliver $folder $slack [list file [expr {$slack < 0 ? "rename" : "copy"}] -force $bit]
    tmv::export_hardware $folder -include_bit
}

proc tmv::main {arguments} {
    if {[llength $arguments] != 1 || [lindex $arguments 0] ni {ooc system project}} {
        error "usage: vivado -mode batch -source build.tcl -tclargs ooc|system|project"
    }
    set mode [lindex $arguments 0]
    tmv::check_vivado
    set folder [file join $tmv::build $mode]
    # What an earlier build left must not pass for this one's.
    file delete -force $folder
    file mkdir $folder
    tmv::build_$mode $folder
}

if {[catch {tmv::main $argv} message]} {
    puts stderr "ERROR: $message"
    exit 1
}
puts "TMV: done"
exit 0
