# What all scripts share.
namespace eval tmv {
    variable here [file dirname [file normalize [info script]]]
    variable build [file join $here build]
}
source [file join $tmv::here board.tcl]
source [file join $tmv::here ps.tcl]

# Stops in a release that is older than those these scripts are written for; TMV_IGNORE_VIVADO_VERSION=1 goes on. A
# newer release gets a warning.
proc tmv::check_vivado {} {
    variable vivado
    lassign $vivado first last
    set found [version -short]
    if {![regexp {^\d+\.\d+} $found release]} {
        error "Vivado says its version is \"$found\": expected something like $last"
    }
    if {[package vcompare $release $first] >= 0} {
        if {[package vcompare $release $last] > 0} {
            puts "WARNING: Vivado $found is newer than $last, the last release these scripts are written for"
        }
        return
    }
    if {[info exists ::env(TMV_IGNORE_VIVADO_VERSION)] && $::env(TMV_IGNORE_VIVADO_VERSION) eq "1"} {
        puts "WARNING: Vivado $found, and these scripts are written for $first to $last"
        return
    }
    error "Vivado $found: these scripts are written for $first to $last; set TMV_IGNORE_VIVADO_VERSION=1 to go on anyway"
}

# Files of the design in SystemVerilog, in order.
proc tmv::unit_files {} {
    return [tmv::listed_files .sv]
}

# Files in plain Verilog: those of the list, and the wrapper.
proc tmv::verilog_files {} {
    variable here
    return [concat [tmv::listed_files .v] [list [file join $here rtl tmv_wrapper.v]]]
}

# Files of the list that end in `ending`, in order.
proc tmv::listed_files {ending} {
    variable here
    set list [file join $here rtl tmv_files.f]
    set channel [open $list]
    set lines [split [read $channel] \n]
    close $channel
    set files {}
    foreach line $lines {
        set line [string trim $line]
        if {$line eq "" || [string match //* $line] || [file extension $line] ne $ending} {
            continue
        }
        set file [file join $here rtl $line]
        if {![file exists $file]} {
            error "$file is missing; $list names it"
        }
        lappend files $file
    }
    return $files
}

# The headers that files of the design include. Vivado takes a file with the ending .svh for a source of its own unless
# its type says that it is a header.
proc tmv::header_files {} {
    variable here
    return [lsort [glob -directory [file join $here rtl] -types f *.svh]]
}

# Says of the headers, which must be in the open project, that they are headers.
proc tmv::mark_headers {} {
    foreach file [tmv::header_files] {
        set_property file_type {Verilog Header} [get_files [file tail $file]]
    }
}

# What a command returned as the name of a file, as a list of one name. Commands that read files take lists, and a name
# with a space would be two names to them.
proc tmv::as_list {file} {
    if {[file exists $file]} {
        return [list $file]
    }
    return $file
}

# Names of the AXI interfaces of the wrapper that go to memory.
proc tmv::memory_interfaces {} {
    variable memory
    set names {}
    for {set p 0} {$p < [llength $memory]} {incr p} {
        lappend names M_AXI_$p
    }
    return $names
}

# Gives the open project its board, for the preset of the processing system.
proc tmv::set_board {} {
    variable board
    variable board_part
    variable board_connections
    if {[info exists ::env(TMV_BOARD_PART)]} {
        set found $::env(TMV_BOARD_PART)
    } else {
        set found [lindex [get_board_parts -quiet -latest_file_version "${board_part}:*"] 0]
    }
    if {$found eq ""} {
        error "no board files for $board ($board_part): install them (Tools, Vivado Store, Boards),\
            or name a board part in TMV_BOARD_PART"
    }
    puts "TMV: board part $found"
    set_property board_part $found [current_project]
    set connections $board_connections
    if {[info exists ::env(TMV_BOARD_CONNECTIONS)]} {
        set connections $::env(TMV_BOARD_CONNECTIONS)
    }
    if {$connections ne ""} {
        set_property board_connections $connections [current_project]
    }
}
