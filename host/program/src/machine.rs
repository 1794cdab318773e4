//! Facts about this machine and this process, as far as Linux reports them: memory in use, name and frequencies of
//! the CPU.
//!
//! The functions read `/proc` and `/sys` directly. Crates for this purpose lack the base frequency or the peak
//! memory, or they also support only Linux. Only a few lines of text files are needed here. On other systems, nothing
//! is reported.

use std::fs;

/// Largest resident memory of this process so far, in bytes. Mapped files are included.
pub fn peak_resident_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// Resident memory of this process, in bytes. Mapped files are included.
pub fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// Resident memory of this process that belongs to no file, in bytes.
pub fn anonymous_bytes() -> Option<u64> {
    status("RssAnon:")
}

/// Resets the value of [`peak_resident_bytes`] to the current resident memory. Returns false if the system does not
/// allow it.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Whether the program that started this one wants it to ignore a signal, as `nohup` does with SIGHUP, and shells with
/// the SIGINT of programs in the background.
pub(crate) fn ignores(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    signal > 0 && mask >> (signal - 1) & 1 != 0
}

fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// CPU time since the system started, in ticks: of all CPUs in total, in use, and of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    all: u64,
    busy: u64,
    own: u64,
}

impl CpuTime {
    /// Reads the current values.
    pub fn now() -> Option<Self> {
        let numbers = |text: &str| text.split_whitespace().filter_map(|x| x.parse().ok()).collect::<Vec<u64>>();
        // The fields are user, nice, system, idle, iowait, irq, softirq and steal. Guest time is part of user.
        let cores = numbers(fs::read_to_string("/proc/stat").ok()?.lines().next()?);
        let cores = cores.get(..8)?;
        // After the name, which may contain spaces, utime is the 12th field and stime the 13th.
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
        let own = [11, 12].iter().map(|i| fields.get(*i)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
        let all = cores.iter().sum();
        Some(Self { all, busy: all - cores[3] - cores[4], own })
    }

    /// Share of all CPUs that other processes have used since, in percent. If the share is large, times measured
    /// meanwhile are unreliable.
    pub fn others_percent(&self) -> Option<f64> {
        let now = Self::now()?;
        // Linux lets the time that it counts as idle decrease now and then.
        let since = |now: u64, then: u64| now.saturating_sub(then);
        let (all, busy, own) = (since(now.all, self.all), since(now.busy, self.busy), since(now.own, self.own));
        (all > 0).then(|| 100.0 * busy.saturating_sub(own) as f64 / all as f64)
    }
}

/// The model name that the CPU reports.
pub fn cpu_brand() -> Option<String> {
    cpuinfo(&fs::read_to_string("/proc/cpuinfo").ok()?, "model name").next().map(Into::into)
}

/// Current frequency of the fastest core, in MHz. Virtual machines often report a constant.
pub fn current_mhz() -> Option<f64> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    cpuinfo(&text, "cpu MHz").filter_map(|mhz| mhz.parse::<f64>().ok()).max_by(f64::total_cmp)
}

/// Base frequency of the CPU, in MHz. The source is the driver (Intel), the firmware (AMD, Arm) or the end of the
/// model name.
pub fn base_mhz() -> Option<f64> {
    let cpu = |file: &str| {
        fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/{file}")).ok()?.trim().parse::<f64>().ok()
    };
    let known = cpu("cpufreq/base_frequency").map(|khz| khz / 1e3).or_else(|| cpu("acpi_cppc/nominal_freq"));
    known.filter(|mhz| *mhz > 0.0).or_else(|| named_mhz(&cpu_brand()?))
}

/// Returns 3000 for `... CPU @ 3.00GHz`.
fn named_mhz(brand: &str) -> Option<f64> {
    brand.rsplit_once('@')?.1.trim().strip_suffix("GHz")?.parse::<f64>().ok().map(|ghz| ghz * 1e3)
}

/// The values of a key in `/proc/cpuinfo`, one per core.
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
        // The three values are read one after the other, while other tests allocate and free memory.
        let [anonymous, now, peak] =
            [anonymous_bytes(), resident_bytes(), peak_resident_bytes()].map(Option::unwrap_or_default);
        assert!(0 < anonymous && anonymous < now && now < peak + (16 << 20), "{anonymous}, {now}, {peak}");
        let others = CpuTime { all: 0, busy: 0, own: 0 }.others_percent();
        assert!(others.is_some_and(|percent| (0.0..=100.0).contains(&percent)), "{others:?}");
    }
}
