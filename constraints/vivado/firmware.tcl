# What Linux needs beside a bitstream to load it.

# A clock as the overlay sets it, in Hz: rounded up to 10 kHz. Linux divides the PLL by whole numbers. It takes no more
# than the requested clock (Zynq-7000) or the nearest (UltraScale+); just below a clock that exists it would take the
# next.
proc tmv::overlay_hz {mhz} {
    return [expr {int(ceil($mhz * 100)) * 10000}]
}

# Writes the files beside tmv.bit in `folder`: the overlay with the clock `mhz`, and tmv.bit.bin, which is tmv.bit
# without its header, by bootgen.
proc tmv::firmware {folder mhz} {
    variable here
    variable bootgen_arch
    set channel [open [file join $here tmv.dtso]]
    set overlay [read $channel]
    close $channel
    set rate "assigned-clock-rates = <[tmv::overlay_hz $mhz]>;"
    if {[regsub {assigned-clock-rates = <\d+>;} $overlay $rate overlay] != 1} {
        error "$here/tmv.dtso does not set one clock"
    }
    set channel [open [file join $folder tmv.dtso] w]
    puts -nonewline $channel $overlay
    close $channel
    foreach name {tmv.bif shell.json} {
        file copy -force [file join $here $name] $folder
    }
    set bootgen [auto_execok bootgen]
    if {$bootgen eq ""} {
        puts "WARNING: there is no bootgen in PATH: make tmv.bit.bin in $folder as README.md says"
        return
    }
    # tmv.bif names tmv.bit without a folder, and bootgen writes beside it.
    set before [pwd]
    cd $folder
    set failed [catch {
        exec -ignorestderr {*}$bootgen -arch $bootgen_arch -image tmv.bif -process_bitstream bin -w
    } message]
    cd $before
    if {$failed || ![file exists [file join $folder tmv.bit.bin]]} {
        puts "WARNING: bootgen made no tmv.bit.bin in $folder: $message"
    }
}
