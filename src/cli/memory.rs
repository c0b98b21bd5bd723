//! What the prover may use: the limits that a process can read about itself. Everything is optional: other
//! systems than Linux answer nothing, and then nothing is refused.

use std::fs;
use std::path::Path;

use voxcheck::Model;
use voxcheck::cost::MARGIN;
use voxcheck::proof::Recompute;

use super::error::{CliError, Result};
use super::machine::kib_field;

/// How much to compute again for a proof to fit into memory: as little as that takes. Refuses to start what would not
/// fit in any case. A recording that the model cannot take is left to the prover, which says why.
pub fn plan(model: &Model, samples: usize, max: Option<u64>) -> Result<Recompute> {
    let limit = match max {
        Some(bytes) => Some((bytes, "--max-memory")),
        None => smallest(&limits()),
    };
    let Some((bytes, name)) = limit else { return Ok(Recompute::LEAST) };
    let mut needed = 0;
    for recompute in Recompute::all() {
        let Ok(predicted) = model.memory_bytes(samples, recompute) else { return Ok(Recompute::LEAST) };
        needed = predicted + predicted / MARGIN;
        if needed <= bytes {
            if recompute > Recompute::LEAST {
                tracing::info!(limit = name, bytes, steps = recompute.steps(), "layers are computed again to fit");
            }
            return Ok(recompute);
        }
    }
    Err(CliError::memory(needed, bytes, name))
}

/// For clap: a number of bytes with a unit; MiB without one.
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 0,
        "kib" | "k" => 10,
        "" | "mib" | "m" => 20,
        "gib" | "g" => 30,
        _ => return Err("neither a number of MiB nor one with B, KiB, MiB or GiB".into()),
    };
    let number: u64 = number.parse().map_err(|_| "not a whole number".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than there are".into())
}

/// Address space that a thread takes and hardly uses: its stack, and what the allocator of the C library sets aside.
/// When, depends on the thread, so it is not what is mapped at present that counts. Measured with two threads, a small
/// and a large x-vector, and limits that were raised until the proof was made: they need 10 to 30 MiB less than this
/// asks for.
const ARENA_BYTES: u64 = 66 << 20;
/// Address space of the program itself that is not resident.
const PROGRAM_BYTES: u64 = 16 << 20;

/// Bytes that this process may have resident in all, and what says so.
type Limit = (u64, &'static str);

fn smallest(limits: &[Limit]) -> Option<Limit> {
    limits.iter().copied().min_by_key(|(bytes, _)| *bytes)
}

fn limits() -> Vec<Limit> {
    let resident = kib_field("/proc/self/status", "VmRSS:").unwrap_or(0);
    let mut limits = Vec::new();
    if let Some(free) = kib_field("/proc/meminfo", "MemAvailable:") {
        limits.push((free.saturating_add(resident), "the free memory of this machine"));
    }
    let process = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(bytes) = soft_limit(&process, "Max address space") {
        let threads = rayon::current_num_threads() as u64 + 1;
        let unused = PROGRAM_BYTES + ARENA_BYTES * threads;
        limits.push((bytes.saturating_sub(unused), "the limit of the address space (ulimit -v)"));
    }
    if let Some(bytes) = soft_limit(&process, "Max data size") {
        // What is not resident, such as the stacks of threads, counts, too, and stays.
        let unused = kib_field("/proc/self/status", "VmData:").unwrap_or(0).saturating_sub(resident);
        limits.push((bytes.saturating_sub(unused), "the limit of the data segment (ulimit -d)"));
    }
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if let Some(bytes) = cgroup_limit(Path::new("/sys/fs/cgroup"), &groups) {
        limits.push((bytes, "the control group"));
    }
    limits
}

/// The soft limit of a line of `/proc/self/limits`; `None` if there is none.
fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The smallest limit of the process's control groups and all above them. Version 2 has one hierarchy, version 1
/// one named `memory`, in a folder of that name.
fn cgroup_limit(root: &Path, groups: &str) -> Option<u64> {
    let mut smallest: Option<u64> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            names if names.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        // In a container the path may be that of the host, and only the root is there: it is tried in any case.
        for folder in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = fs::read_to_string(root.join(folder).join(file)).ok();
            let limit = limit.and_then(|text| text.trim().parse().ok());
            smallest = [smallest, limit].into_iter().flatten().min();
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mib_unless_they_say_otherwise() {
        for (text, bytes) in [("1", 1 << 20), ("1b", 1), ("3 KiB", 3 << 10), ("2MiB", 2 << 20), ("1g", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "GiB", "-1", "1.5GiB", "1 TB", "99999999999999999999", "18446744073709551615"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max data size             unlimited            unlimited            bytes     \n\
                    Max address space         536870912            unlimited            bytes     \n";
        assert_eq!(soft_limit(text, "Max address space"), Some(536_870_912));
        assert_eq!(soft_limit(text, "Max data size"), None);
        assert_eq!(soft_limit("", "Max data size"), None);
    }

    #[test]
    fn the_smallest_control_group_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000\n");
        write("a/b/memory.max", "max\n");
        write("memory/c/memory.limit_in_bytes", "300\n");
        assert_eq!(cgroup_limit(folder.path(), "0::/a/b\n"), Some(1000));
        assert_eq!(cgroup_limit(folder.path(), "5:cpu,memory:/c\n0::/a\n"), Some(300));
        assert_eq!(cgroup_limit(folder.path(), "0::/absent\n3:cpu:/\nnonsense"), None);
    }

    #[test]
    fn the_smallest_limit_is_named() {
        assert_eq!(smallest(&[(5, "a"), (3, "b"), (9, "c")]), Some((3, "b")));
        assert_eq!(smallest(&[]), None);
    }
}
