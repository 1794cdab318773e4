//! When the memory answers: the timing half of the memory model.
//!
//! `ideal` judges the RTL: every beat is ready after a fixed latency. `ddr` judges a board: all ports share the
//! bandwidth of one DRAM, some of them share a controller port as well, writes cost turnarounds.

/// Timing of the memory behind the AXI ports. Times in unit clock cycles, rates in bytes a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Cycles from an accepted read address to its first beat, and from a last write beat to its response.
    pub latency: u64,
    /// Read commands a port queues; more wait with ARREADY low.
    pub queue: usize,
    /// Limits of bandwidth. Empty: every port moves a beat a cycle.
    pub limits: Vec<Limit>,
    /// Cycles of all bandwidth lost each time the DRAM turns from reads to writes and back.
    pub turnaround: f64,
}

/// A resource that several ports share.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What it is, for reports.
    pub name: &'static str,
    /// The ports, one bit each.
    pub ports: u32,
    /// Bytes a cycle it moves.
    pub bytes_per_cycle: f64,
}

impl Timing {
    /// Every beat ready, after `latency` cycles.
    pub fn ideal(latency: u64) -> Self {
        Self { latency, queue: 8, limits: Vec::new(), turnaround: 0.0 }
    }
}

/// Bandwidth spent and earned, cycle by cycle.
pub(super) struct Budget {
    /// Bytes each limit can still move; negative while paying for a turnaround.
    credit: Vec<f64>,
    limits: Vec<Limit>,
    turnaround: f64,
    writing: bool,
}

/// Cycles of bandwidth a limit can save up: about one burst.
const SAVED_CYCLES: f64 = 16.0;

impl Budget {
    pub(super) fn new(timing: &Timing) -> Self {
        Self {
            credit: vec![0.0; timing.limits.len()],
            limits: timing.limits.clone(),
            turnaround: timing.turnaround,
            writing: false,
        }
    }

    /// A new cycle.
    #[inline]
    pub(super) fn tick(&mut self) {
        for (credit, limit) in self.credit.iter_mut().zip(&self.limits) {
            *credit = (*credit + limit.bytes_per_cycle).min(limit.bytes_per_cycle * SAVED_CYCLES);
        }
    }

    /// Whether `port` may move `bytes` now; if so, they are spent.
    #[inline]
    pub(super) fn spend(&mut self, port: usize, bytes: usize, write: bool) -> bool {
        if self.limits.is_empty() {
            return true;
        }
        let bit = 1 << port;
        let short = |(credit, limit): (&f64, &Limit)| limit.ports & bit != 0 && *credit < bytes as f64;
        if self.credit.iter().zip(&self.limits).any(short) {
            return false;
        }
        let turn = if write == self.writing { 0.0 } else { self.turnaround };
        self.writing = write;
        for (credit, limit) in self.credit.iter_mut().zip(&self.limits) {
            if limit.ports & bit != 0 {
                *credit -= bytes as f64 + turn * limit.bytes_per_cycle;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept() {
        let mut timing = Timing::ideal(1);
        timing.limits.push(Limit { name: "half", ports: 0b11, bytes_per_cycle: 16.0 });
        let mut budget = Budget::new(&timing);
        let mut moved = 0;
        for _ in 0..1000 {
            budget.tick();
            moved += (0..2).filter(|p| budget.spend(*p, 16, false)).count();
        }
        assert!((999..=1016).contains(&moved), "{moved} beats of 1000");
    }
}
