//! Simple masters that measure the bandwidth of a memory: streams that only read, and one that writes their results.

use crate::channel::{Address, MAX_BURST};
use crate::config::MemoryConfig;
use crate::protocol::Violation;
use crate::slave::{ALL_BYTES, AxiMemory};
use crate::timing::Timing;

/// Number of outstanding bursts of a stream.
const OUTSTANDING: usize = 8;
/// Size of the memory in bytes. Streams use only its addresses and not its content.
const BYTES: usize = 1 << 27;
/// Address of the first result.
const RESULTS: u64 = BYTES as u64 / 2;

/// One stream of reads, in bursts of 16 beats.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// AXI port of the stream. Two streams cannot share a port.
    pub port: usize,
    /// Address of the first byte.
    pub begin: u64,
    /// Number of bytes to read, a multiple of the size of a burst.
    pub bytes: u64,
}

/// Results that are written on port 0 while streams read.
#[derive(Clone, Copy, Debug)]
pub struct Results {
    /// Bytes per write burst; at most 16 beats.
    pub bytes: usize,
    /// Number of bytes that all streams together read for each write burst.
    pub every: u64,
}

/// The measurements of a run of [`stream`].
#[derive(Clone, Debug)]
pub struct Streamed {
    /// Cycles until the last beat of all streams.
    pub cycles: u64,
    /// For each stream, the cycles until its last beat.
    pub ends: Vec<u64>,
    /// For each stream, the bytes that it had read when the first stream ended.
    pub together: Vec<u64>,
}

impl Streamed {
    /// Bandwidth of all streams together in bytes per cycle, while all of them read.
    pub fn bytes_per_cycle(&self) -> f64 {
        self.together.iter().sum::<u64>() as f64 / self.ends.iter().min().copied().unwrap_or(1) as f64
    }
}

/// Runs `streams` to their ends on a memory with `ports` ports that are `port_bytes` bytes wide.
///
/// # Errors
/// None, if the protocol check of the memory is correct: streams keep to the protocol.
///
/// # Panics
/// If the port of a stream does not exist.
pub fn stream(
    timing: &Timing,
    ports: usize,
    port_bytes: usize,
    streams: &[Stream],
    results: Option<Results>,
) -> Result<Streamed, Violation> {
    let config = MemoryConfig::plain(0, BYTES, timing.clone());
    let mut memory = AxiMemory::new(config, ports, port_bytes);
    let burst = (MAX_BURST * port_bytes) as u64;
    let (mut requested, mut read) = (vec![0u64; streams.len()], vec![0u64; streams.len()]);
    let mut of_port = vec![None; ports];
    streams.iter().enumerate().for_each(|(i, s)| of_port[s.port] = Some(i));
    let mut done = Streamed { cycles: 0, ends: vec![0; streams.len()], together: Vec::new() };
    let mut writer = results.map(|results| Writer { results, port_bytes, written: 0, announced: 0, beat: 0 });
    while done.ends.contains(&0) {
        done.cycles += 1;
        memory.tick();
        for i in 0..ports {
            let port = (memory.first_port() + i) % ports;
            let Some(at) = of_port[port] else { continue };
            let s = &streams[at];
            let wanted = requested[at] < s.bytes && requested[at] - read[at] < OUTSTANDING as u64 * burst;
            let addr = (s.begin + requested[at]) % RESULTS;
            let ar = if wanted { Address { valid: true, addr, len: 15, id: 0 } } else { Address::default() };
            if memory.read_address(port, ar)? && wanted {
                requested[at] += burst;
            }
            if memory.read_data(port, true)?.valid {
                read[at] += port_bytes as u64;
                if read[at] >= s.bytes {
                    done.ends[at] = done.cycles;
                    if done.together.is_empty() {
                        done.together.clone_from(&read);
                    }
                }
            }
        }
        if let Some(writer) = &mut writer {
            writer.cycle(&mut memory, read.iter().sum())?;
        }
    }
    Ok(done)
}

/// Bandwidth of a memory in bytes per cycle, with one stream on each of the ports `active`: the mean over several
/// placements of the streams.
///
/// # Errors
/// The errors of [`stream`].
pub fn bandwidth(timing: &Timing, ports: usize, port_bytes: usize, active: &[usize]) -> Result<f64, Violation> {
    let mean = PLACEMENTS.iter().map(|shifts| {
        let streams: Vec<Stream> = active
            .iter()
            .zip(shifts.iter().cycle())
            .map(|(port, shift)| Stream { port: *port, begin: (*port as u64) << 22 | shift << 12, bytes: 1 << 18 })
            .collect();
        stream(timing, ports, port_bytes, &streams, None).map(|streamed| streamed.bytes_per_cycle())
    });
    Ok(mean.sum::<Result<f64, _>>()? / PLACEMENTS.len() as f64)
}

/// Addresses at which four streams begin, in units of 4 KiB. Modulo 64 KiB, the rows cover streams that begin near to
/// each other and far from each other.
const PLACEMENTS: [[u64; 4]; 8] = [
    [0, 0, 0, 0],
    [0, 8, 0, 8],
    [0, 4, 8, 12],
    [0, 2, 4, 6],
    [3, 14, 9, 1],
    [5, 5, 10, 15],
    [7, 12, 12, 2],
    [11, 6, 1, 13],
];

/// A master that writes results on port 0.
struct Writer {
    results: Results,
    port_bytes: usize,
    written: u64,
    announced: u64,
    beat: usize,
}

impl Writer {
    fn cycle(&mut self, memory: &mut AxiMemory, read: u64) -> Result<(), Violation> {
        let due = read / self.results.every;
        let beats = self.results.bytes / self.port_bytes;
        let announce = self.announced < due;
        let addr = RESULTS + self.announced * self.results.bytes as u64 % RESULTS;
        let aw = Address { valid: announce, addr, len: (beats - 1) as u8, id: 0 };
        let aw = if announce { aw } else { Address::default() };
        if memory.write_address(0, aw)? && announce {
            self.announced += 1;
        }
        let valid = self.written < self.announced;
        let last = self.beat + 1 == beats;
        if memory.write_data(0, valid, &[0; 16][..self.port_bytes], ALL_BYTES, last)? && valid {
            self.beat = if last { 0 } else { self.beat + 1 };
            self.written += u64::from(last);
        }
        memory.write_response(0, true).map(|_| ())
    }
}
