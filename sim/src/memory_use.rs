//! How much memory this process has in use, where the system tells (Linux).

/// Most bytes that were resident at a time, mapped files included.
pub fn peak_resident_bytes() -> Option<u64> {
    field("VmHWM:")
}

/// Bytes that are resident now and belong to no file.
pub fn anonymous_bytes() -> Option<u64> {
    field("RssAnon:")
}

fn field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
