//! Where tests find recordings, models and reference values that are not part of the repository.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A tensor of a reference file, widened to f64.
pub(crate) struct Reference {
    /// Extent of every axis, outermost first.
    pub(crate) shape: Vec<usize>,
    /// Values, row-major.
    pub(crate) values: Vec<f64>,
}

/// The test data folder: `VOXCHECK_DATA`, or `../shared/data` beside the repository.
///
/// Without it a test prints a note and returns; with `VOXCHECK_REQUIRE_DATA=1` it panics, so that a
/// missing folder cannot pass for a successful run.
pub(crate) fn dir() -> Option<PathBuf> {
    let dir = match std::env::var_os("VOXCHECK_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    if dir.join("reference").is_dir() {
        return Some(dir);
    }
    let required = std::env::var_os("VOXCHECK_REQUIRE_DATA").is_some_and(|value| value == "1");
    assert!(!required, "test data required and not found in {}", dir.display());
    eprintln!("SKIPPED: no test data in {}; set VOXCHECK_DATA", dir.display());
    None
}

/// A file below `assets/` of the repository.
pub(crate) fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// All float32 tensors of a safetensors file.
pub(crate) fn tensors(path: &Path) -> HashMap<String, Reference> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    file.tensors()
        .into_iter()
        .filter(|(_, view)| view.dtype() == safetensors::Dtype::F32)
        .map(|(name, view)| {
            let floats = view.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            (name, Reference { shape: view.shape().to_vec(), values: floats.collect() })
        })
        .collect()
}

/// Cosine of the angle between two vectors.
pub(crate) fn cosine(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Largest absolute difference of two equally long slices.
pub(crate) fn max_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
