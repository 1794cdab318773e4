# Packages rtl/ as an IP: vivado -mode batch -source package_ip.tcl
# The IP is written to build/ip. block_design.tcl and build.tcl do this by themselves.
source [file join [file dirname [file normalize [info script]]] common.tcl]

# The IP, into `root`.
proc tmv::package_ip {root} {
    variable here
    variable build
    variable part
    variable vlnv
    set rtl [file join $here rtl]
    file delete -force $root
    file mkdir $root
    create_project -force tmv_ip [file join $build ip_project] -part $part
    set_property target_language Verilog [current_project]
    add_files -norecurse [concat [tmv::unit_files] [tmv::header_files] [tmv::verilog_files]]
    tmv::mark_headers
    set_property include_dirs [list $rtl] [current_fileset]
    set_property top tmv_wrapper [current_fileset]
    update_compile_order -fileset sources_1

    lassign [split $vlnv :] vendor library name version
    ipx::package_project -root_dir $root -vendor $vendor -library $library -taxonomy /UserIP -import_files -force
    set core [ipx::current_core]
    set_property name $name $core
    set_property version $version $core
    set_property display_name "TMV: $tmv::top" $core
    set_property description "BitNet: ternary weights streamed from memory" $core
    set_property supported_families {zynq Production zynquplus Production} $core
    # The clock's true frequency comes from the processing system: 249.9975 MHz is not an error.
    set_property ipi_drc {ignore_freq_hz true} $core

    # The attributes of the wrapper name the interfaces; a tool that overlooks one would make hundreds of loose pins.
    foreach interface [concat S_AXIL [tmv::memory_interfaces]] {
        if {[ipx::get_bus_interfaces -quiet $interface -of_objects $core] eq ""} {
            error "the packager found no interface $interface in rtl/tmv_wrapper.v"
        }
    }
    ipx::create_xgui_files $core
    ipx::update_checksums $core
    ipx::check_integrity $core
    ipx::save_core $core
    close_project

    # Without its headers the IP is packaged without an error, and fails when a design with it is synthesised.
    set channel [open [file join $root component.xml]]
    set description [read $channel]
    close $channel
    foreach file [tmv::header_files] {
        if {[string first [file tail $file] $description] < 0} {
            error "the packager left [file tail $file] out of $root/component.xml"
        }
    }
}

# As a script of its own, not when another one sources it.
if {![info exists tmv::sourced]} {
    tmv::check_vivado
    tmv::package_ip [file join $tmv::build ip]
    puts "TMV: packaged as $tmv::vlnv in [file join $tmv::build ip]"
}
