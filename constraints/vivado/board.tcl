# The design and the board of this folder. All other scripts are the same for every board with this processing system.
namespace eval tmv {
    variable board @BOARD@
    variable top @TOP@
    # What writes this folder for another clock.
    variable command {@COMMAND@}
    variable part @PART@
    # Without its version: the newest that is installed is taken, unless TMV_BOARD_PART names one.
    variable board_part {@BOARD_PART@}
    variable board_connections {@BOARD_CONNECTIONS@}
    variable clock_mhz @CLOCK_MHZ@
    # AXI ports of the wrapper, M_AXI_0 and so on, by the ports of the processing system that they go to, and their bits:
    # fixed in its text.
    variable memory {@MEMORY_PORTS@}
    variable port_bits @PORT_BITS@
    # Parameters of the wrapper.
    variable parameters {@PARAMETERS@}
    variable vlnv tmv:user:tmv_wrapper:@IP_VERSION@
    # Interrupts of the wrapper, from the lowest line of the processing system on.
    variable interrupts {@INTERRUPTS@}
    # Where the processor sees the registers.
    variable control_base @CONTROL_BASE@
    variable control_range @CONTROL_KIB@K
    # The releases these scripts are written for. They were not run in any.
    variable vivado {2022.1 2024.2}
}
