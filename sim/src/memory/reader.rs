//! Plain masters: what the memory gives to streams that do nothing but read, and perhaps write their results.

use super::{Address, AxiMemory, Faults, MAX_BURST, MemoryConfig, Timing, Violation};

/// Bursts a stream has in flight.
const OUTSTANDING: usize = 8;
/// Bytes of the memory, of which streams see the addresses only.
const BYTES: usize = 1 << 27;
/// Where results go.
const RESULTS: u64 = BYTES as u64 / 2;

/// One stream of reads, in bursts of 16 beats.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Its AXI port; two streams cannot share one.
    pub port: usize,
    /// Where it begins.
    pub begin: u64,
    /// Bytes to read, whole bursts.
    pub bytes: u64,
}

/// Results that are written on port 0 as reads go on.
#[derive(Clone, Copy, Debug)]
pub struct Results {
    /// Bytes of a write burst, 16 beats at most.
    pub bytes: usize,
    /// Bytes read, by all streams, for each.
    pub every: u64,
}

/// What streams took.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// Cycles until the last beat.
    pub cycles: u64,
    /// For each stream, cycles until its own.
    pub ends: Vec<u64>,
    /// For each stream, the bytes it had when the first one ended.
    pub together: Vec<u64>,
}

impl Streamed {
    /// Bytes a cycle of all streams, while all of them were there.
    pub fn bytes_per_cycle(&self) -> f64 {
        self.together.iter().sum::<u64>() as f64 / self.ends.iter().min().copied().unwrap_or(1) as f64
    }
}

/// Lets `streams` read to their ends on a memory with `ports` ports of `port_bytes`.
///
/// # Errors
/// None: streams keep to the protocol, unless the memory's check of it is wrong.
///
/// # Panics
/// If a stream has no port.
pub fn stream(
    timing: &Timing,
    ports: usize,
    port_bytes: usize,
    streams: &[Stream],
    results: Option<Results>,
) -> Result<Streamed, Violation> {
    let config = MemoryConfig {
        base: 0,
        bytes: BYTES,
        timing: timing.clone(),
        stall: 0,
        interleave: false,
        shy: false,
        seed: 1,
        faults: Faults::default(),
    };
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

/// What a memory gives to `ports` streams that read side by side: bytes a cycle, the mean over placements.
///
/// # Errors
/// As [`stream`].
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

/// Where four streams begin, in 4 KiB: modulo 64 KiB all ways of being near and far.
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

/// Writes results.
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
        if memory.write_address(aw)? && announce {
            self.announced += 1;
        }
        let valid = self.written < self.announced;
        let last = self.beat + 1 == beats;
        if memory.write_data(valid, &[0; 16][..self.port_bytes], last)? && valid {
            self.beat = if last { 0 } else { self.beat + 1 };
            self.written += u64::from(last);
        }
        memory.write_response(true).map(|_| ())
    }
}
