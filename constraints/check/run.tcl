# Runs a hand-off script against the stubs: tclsh check/run.tcl SCRIPT [ARGUMENT...], in a hand-off folder.
# Prints every Vivado command that was called. Exit code 0: nothing was found wrong.
set check [file dirname [file normalize [info script]]]
source [file join $check stubs.tcl]
set argv [lassign $argv script]
# A script that ends by `exit` ends here too, with its own code, after the calls are told.
rename exit stub::leave
proc exit {{code 0}} {
    foreach call $stub::log { puts [string map {\n " "} $call] }
    stub::leave $code
}
if {[catch {source $script} message]} {
    puts stderr "ERROR: $message"
    exit 1
}
exit 0
