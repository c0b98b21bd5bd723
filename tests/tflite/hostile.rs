//! Files that are damaged, or made to do harm.

use proptest::prelude::*;

use super::*;

/// Reads, and runs what could be read.
fn survive(bytes: &[u8]) {
    if let Ok(network) = read(bytes)
        && network.input_columns <= 64
    {
        for length in [1, 17, 20] {
            let _ = network.execute(&FloatMatrix::zeros(length, network.input_columns), length);
        }
    }
}

#[test]
fn files_that_end_early_never_panic() {
    for name in ["image_int8", "sequence_int8"] {
        let bytes = file(name);
        for end in (0..bytes.len()).step_by(7) {
            survive(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn damaged_files_never_panic(
        which in 0usize..3,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = file(["image_int8", "sequence_int8", "image_float"][which]);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes);
    }

    #[test]
    fn offsets_that_lead_anywhere_never_panic(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![
                0u32..64, Just(u32::MAX), Just(0x8000_0000), Just(0x7fff_ffff), 0u32..9000, any::<u32>(),
            ]),
            1..4,
        ),
    ) {
        // Offsets, lengths and numbers stand at multiples of four.
        let mut bytes = file("image_int8");
        for (at, value) in edits {
            let at = 4 * at.index(bytes.len() / 4);
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        survive(&bytes);
    }
}

/// Many tensors of one large buffer are more than the file justifies.
#[test]
fn constants_that_share_bytes_do_not_fill_memory() {
    let error = read(&refused::aliased()).unwrap_err().to_string();
    assert!(error.contains("larger than it is"), "{error}");
}
