//! Where the shared test data is.

use std::path::{Path, PathBuf};

/// The folder of shared test data; `None`, with a note, where it is absent.
pub fn data() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("VOXCHECK_DATA").map_or(default, PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    assert!(std::env::var_os("VOXCHECK_REQUIRE_DATA").is_none(), "no test data at {}", dir.display());
    eprintln!("skipped: no test data at {}; set VOXCHECK_DATA", dir.display());
    None
}
