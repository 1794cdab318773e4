//! CPU time of a thread. Unlike wall time, it does not count the time in which other processes run.

use std::time::Instant;

/// Measures the CPU time of the thread that created it.
pub struct ThreadClock {
    wall: Instant,
    cpu: Option<f64>,
}

/// Seconds of CPU time below which wall time is used. The system updates CPU time at scheduler ticks, so shorter
/// times are inaccurate.
const TICKS: f64 = 0.02;

impl ThreadClock {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_seconds() }
    }

    /// Seconds since the start: CPU time if the system reports it and it is long enough, otherwise wall time.
    pub fn seconds(&self) -> f64 {
        let cpu = self.cpu.and_then(|start| cpu_seconds().map(|now| now - start));
        cpu.filter(|s| *s >= TICKS).unwrap_or_else(|| self.wall.elapsed().as_secs_f64())
    }
}

/// Cycles per second; 0 if `seconds` is 0.
pub fn cycles_per_second(cycles: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { cycles as f64 / seconds } else { 0.0 }
}

fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|ns| ns / 1e9)
}
