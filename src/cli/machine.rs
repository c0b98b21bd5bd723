//! What the machine is and what this process uses of it. Everything is optional: other systems than
//! Linux answer nothing.

use std::fs;

use serde_json::{Value, json};

/// Largest resident memory so far (or since [`reset_peak`]), in bytes.
pub fn peak_rss_bytes() -> Option<u64> {
    kib_field("/proc/self/status", "VmHWM:")
}

/// Physical memory, in bytes.
pub fn memory_bytes() -> Option<u64> {
    kib_field("/proc/meminfo", "MemTotal:")
}

/// Starts the peak anew from what is resident now, where the system can.
pub fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// A field of the form `Name:  123 kB`.
pub fn kib_field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The machine as `bench` reports it.
pub fn describe() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
    // Those that arithmetic kernels could use; the whole list is long.
    let of_interest =
        |flag: &&str| ["adx", "bmi2", "avx2", "fma", "asimd", "sve"].contains(flag) || flag.starts_with("avx512");
    json!({
        "cpu": field("model name").or_else(|| field("CPU implementer")),
        "cores": std::thread::available_parallelism().map(std::num::NonZero::get).ok(),
        "features": flags.split_whitespace().filter(of_interest).collect::<Vec<_>>(),
        "memory_bytes": memory_bytes(),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
    })
}
