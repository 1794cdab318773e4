//! This machine and this process, as far as the system tells (Linux): memory in use, name and frequencies of the CPU.
//!
//! Read from `/proc` and `/sys` directly. Crates for this know no base frequency, or no peak memory, or Linux alone
//! as well; what is wanted here are a few lines of text files, and elsewhere nothing is known.

use std::fs;

/// Most bytes that were resident at a time, mapped files included.
pub fn peak_resident_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// Bytes that are resident now, mapped files included.
pub fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// Bytes that are resident now and belong to no file.
pub fn anonymous_bytes() -> Option<u64> {
    status("RssAnon:")
}

/// Lets [`peak_resident_bytes`] start again from what is resident now. False where the system does not allow it.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// CPU time since the system started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    all: u64,
    busy: u64,
    own: u64,
}

impl CpuTime {
    /// As it is now.
    pub fn now() -> Option<Self> {
        let numbers = |text: &str| text.split_whitespace().filter_map(|x| x.parse().ok()).collect::<Vec<u64>>();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
        let cores = numbers(fs::read_to_string("/proc/stat").ok()?.lines().next()?);
        let cores = cores.get(..8)?;
        // Behind the name, which may have spaces in it, utime is the 12th field and stime the 13th.
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
        let own = [11, 12].iter().map(|i| fields.get(*i)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
        let all = cores.iter().sum();
        Some(Self { all, busy: all - cores[3] - cores[4], own })
    }

    /// Share of all CPUs that other processes have taken since, in percent. Times measured while that is much mean
    /// little.
    pub fn others_percent(&self) -> Option<f64> {
        let now = Self::now()?;
        let (all, busy, own) = (now.all - self.all, now.busy - self.busy, now.own - self.own);
        (all > 0).then(|| 100.0 * busy.saturating_sub(own) as f64 / all as f64)
    }
}

/// The CPU's name for itself.
pub fn cpu_brand() -> Option<String> {
    cpuinfo(&fs::read_to_string("/proc/cpuinfo").ok()?, "model name").next().map(Into::into)
}

/// What the fastest core runs at now, in MHz. Virtual machines often report a constant.
pub fn current_mhz() -> Option<f64> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    cpuinfo(&text, "cpu MHz").filter_map(|mhz| mhz.parse::<f64>().ok()).max_by(f64::total_cmp)
}

/// The frequency the CPU is sold with, in MHz: from the driver (Intel), from firmware (AMD, Arm), or at the end of its
/// name.
pub fn base_mhz() -> Option<f64> {
    let cpu = |file: &str| {
        fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/{file}")).ok()?.trim().parse::<f64>().ok()
    };
    let known = cpu("cpufreq/base_frequency").map(|khz| khz / 1e3).or_else(|| cpu("acpi_cppc/nominal_freq"));
    known.filter(|mhz| *mhz > 0.0).or_else(|| named_mhz(&cpu_brand()?))
}

/// 3000 for `... CPU @ 3.00GHz`.
fn named_mhz(brand: &str) -> Option<f64> {
    brand.rsplit_once('@')?.1.trim().strip_suffix("GHz")?.parse::<f64>().ok().map(|ghz| ghz * 1e3)
}

/// The values of a key of `/proc/cpuinfo`, one a core.
fn cpuinfo<'a>(text: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.filter(move |(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_and_names_are_read() {
        let text =
            "processor\t: 0\nmodel name\t: A CPU @ 2.40GHz\ncpu MHz\t\t: 2393.9\n\nmodel name : B\ncpu MHz : 3100.0\n";
        assert_eq!(cpuinfo(text, "model name").collect::<Vec<_>>(), ["A CPU @ 2.40GHz", "B"]);
        assert_eq!(cpuinfo(text, "cpu MHz").collect::<Vec<_>>(), ["2393.9", "3100.0"]);
        assert_eq!(named_mhz("A CPU @ 2.40GHz"), Some(2400.0));
        assert_eq!((named_mhz("AMD Ryzen 7 9700X"), named_mhz("A @ home")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_of_this_process() {
        // One after the other, while other tests take and free memory.
        let [anonymous, now, peak] =
            [anonymous_bytes(), resident_bytes(), peak_resident_bytes()].map(Option::unwrap_or_default);
        assert!(0 < anonymous && anonymous < now && now < peak + (16 << 20), "{anonymous}, {now}, {peak}");
        let others = CpuTime { all: 0, busy: 0, own: 0 }.others_percent();
        assert!(others.is_some_and(|percent| (0.0..=100.0).contains(&percent)), "{others:?}");
    }
}
