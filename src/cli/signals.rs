//! Signals: an interrupt leaves no temporary file, and a file size limit is an error like any other.

/// From here on, SIGINT, SIGTERM and SIGHUP remove the temporary files before they end the process as they
/// always do, and a write beyond `ulimit -f` fails instead of killing the process.
///
/// Best effort: without handlers everything works, but a signal may leave a `.voxcheck-…` file.
#[cfg(unix)]
pub fn install() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    // Nobody reads the flag: with any handler, the write that is too long returns an error.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    // A background job of a shell, or one under nohup, has some of them ignored, and means it.
    let ignored = ignored();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(move |signal| ignored >> (signal - 1) & 1 == 0);
    let watch = move || {
        let Ok(mut signals) = Signals::new(wanted) else { return };
        if let Some(signal) = signals.forever().next() {
            let _none_are_made_any_more = super::files::remove_temporaries();
            let _ = low_level::emulate_default_handler(signal);
        }
    };
    // The handlers are installed by the thread: without it, the signals keep their effect.
    let _ = thread::Builder::new().name("signals".into()).stack_size(1 << 17).spawn(watch);
}

/// On other systems signals keep their effect.
#[cfg(not(unix))]
pub fn install() {}

/// The signals that this process ignores: bit `n − 1` is signal `n`.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
