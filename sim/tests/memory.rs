//! The memory profiles against what was measured on boards: a plain reader on the ports, without the unit.
//!
//! Sources of the measurements: `sim boards`.
#![allow(clippy::unwrap_used)]

use sim::board::{Board, MemoryMode};
use sim::memory::{Address, AxiMemory, Faults, MemoryConfig};

/// Bursts a reader has in flight on a port, of 16 beats each.
const OUTSTANDING: usize = 8;
/// Cycles of a measurement.
const CYCLES: u64 = 100_000;

/// GB/s that readers get who stream on the ports `active` of a board at the same time.
fn streaming(board: &str, active: &[usize]) -> f64 {
    let board = Board::find(board).unwrap();
    let (ports, port_bytes, bytes) = (board.ports.value, board.port_bits / 8, 1 << 20);
    let config = MemoryConfig {
        base: 0,
        bytes,
        timing: board.timing(MemoryMode::Ddr, ports),
        stall: 0,
        interleave: false,
        seed: 1,
        faults: Faults::default(),
    };
    let mut memory = AxiMemory::new(config, ports, port_bytes);
    let (mut addr, mut flying, mut beats) = (vec![0; ports], vec![0; ports], 0u64);
    for _ in 0..CYCLES {
        memory.tick();
        for i in 0..ports {
            let port = (memory.first_port() + i) % ports;
            let valid = active.contains(&port) && flying[port] < OUTSTANDING;
            let ar = if valid { Address { valid, addr: addr[port], len: 15, id: 0 } } else { Address::default() };
            if memory.read_address(port, ar).unwrap() && valid {
                addr[port] = (addr[port] + 16 * port_bytes as u64) % bytes as u64;
                flying[port] += 1;
            }
            let beat = memory.read_data(port, true).unwrap();
            beats += u64::from(beat.valid);
            flying[port] -= usize::from(beat.valid && beat.last);
        }
    }
    (beats * port_bytes as u64) as f64 / CYCLES as f64 * board.clock_mhz.value / 1e3
}

#[track_caller]
fn within(what: &str, found: f64, measured: f64, tolerance: f64) {
    let off = found / measured - 1.0;
    println!("{what}: {found:.2}, measured {measured:.2}, {:+.1}%", off * 100.0);
    assert!(off.abs() <= tolerance, "{what}: {found:.2}, measured {measured:.2}, {:+.1}%", off * 100.0);
}

/// Which three ports were used is not told; the profile has HP1 and HP2 share a controller port, so it can only have been
/// with one of them.
#[test]
fn a_kv260_reads_as_fast_as_measured() {
    for (ports, measured) in [(&[0][..], 3.96), (&[0, 3], 7.89), (&[0, 1, 3], 11.63), (&[0, 1, 2, 3], 13.33)] {
        within(&format!("{} ports, GB/s", ports.len()), streaming("kv260", ports), measured, 0.03);
    }
}

/// Sequential reads on four ports: 97% of DDR3-1050 of 32 bits, 4.2 GB/s.
#[test]
fn a_7_series_reads_as_fast_as_measured() {
    within("pynq-z2, GB/s", streaming("pynq-z2", &[0, 1, 2, 3]), 0.97 * 4.2, 0.03);
}
