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

/// Bandwidth spent and earned, cycle by cycle. In fixed point, 2^16 to the byte: exact, and cheap.
pub(super) struct Budget {
    accounts: Vec<Account>,
    /// The accounts each port draws on.
    of_port: Vec<Vec<usize>>,
    turnaround: f64,
    writing: bool,
}

/// What a limit can still move.
struct Account {
    /// Negative while paying for a turnaround.
    credit: i64,
    rate: i64,
    cap: i64,
}

/// One byte.
const BYTE: f64 = 65536.0;
/// Cycles of bandwidth a limit can save up: about one burst.
const SAVED_CYCLES: i64 = 16;

impl Budget {
    pub(super) fn new(timing: &Timing) -> Self {
        let account = |limit: &Limit| {
            let rate = (limit.bytes_per_cycle * BYTE).round() as i64;
            Account { credit: 0, rate, cap: rate * SAVED_CYCLES }
        };
        let drawn = |port: usize| {
            let limits = timing.limits.iter().enumerate();
            limits.filter(|(_, limit)| limit.ports >> port & 1 != 0).map(|(index, _)| index).collect()
        };
        Self {
            accounts: timing.limits.iter().map(account).collect(),
            of_port: (0..u32::BITS as usize).map(drawn).collect(),
            turnaround: timing.turnaround,
            writing: false,
        }
    }

    /// A new cycle.
    #[inline]
    pub(super) fn tick(&mut self) {
        for account in &mut self.accounts {
            account.credit = (account.credit + account.rate).min(account.cap);
        }
    }

    /// Whether `port` may move `bytes` now; if so, they are spent.
    #[inline]
    pub(super) fn spend(&mut self, port: usize, bytes: usize, write: bool) -> bool {
        if self.accounts.is_empty() {
            return true;
        }
        let cost = (bytes as i64) << 16;
        let drawn = &self.of_port[port];
        if drawn.iter().any(|index| self.accounts[*index].credit < cost) {
            return false;
        }
        let turned = write != self.writing;
        self.writing = write;
        for index in drawn {
            let account = &mut self.accounts[*index];
            account.credit -= cost;
            if turned {
                account.credit -= (self.turnaround * account.rate as f64) as i64;
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
