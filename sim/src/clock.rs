//! Time that a busy machine does not falsify.

use std::time::Instant;

/// Measures the CPU time of the thread it was made on.
pub struct ThreadClock {
    wall: Instant,
    cpu: Option<f64>,
}

/// Below this the system's figure, updated at scheduler ticks, is not worth having.
const TICKS: f64 = 0.02;

impl ThreadClock {
    /// Starts.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_seconds() }
    }

    /// Seconds since the start: of CPU time where the system tells it, else of wall time.
    pub fn seconds(&self) -> f64 {
        let cpu = self.cpu.and_then(|start| cpu_seconds().map(|now| now - start));
        cpu.filter(|s| *s >= TICKS).unwrap_or_else(|| self.wall.elapsed().as_secs_f64())
    }
}

/// Cycles a second; 0 if there was no time.
pub fn cycles_per_second(cycles: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { cycles as f64 / seconds } else { 0.0 }
}

fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|ns| ns / 1e9)
}
