//! Bytes as a source of decisions: an input becomes a program, a shape or a list of operations.

/// Reads decisions from bytes; zeros follow the last.
pub struct Source<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Source<'a> {
    /// Decisions that these bytes make.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// Whether there are bytes left.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == 0
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    /// The next eight bytes.
    pub fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    /// A number of `range`, which holds at most 256.
    pub fn within(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        range.start() + usize::from(self.byte()) % (range.end() - range.start() + 1)
    }

    /// A value of `[low, high]`, mostly close to a bound, to zero or to a power of two.
    pub fn value(&mut self, low: i128, high: i128) -> i128 {
        let step = i128::from(self.byte() % 5) - 2;
        let value = match self.byte() % 5 {
            0 => low + step,
            1 => high + step,
            2 => step,
            3 => {
                let power = 1i128 << (self.byte() % 100);
                if self.byte().is_multiple_of(2) { power + step } else { step - power }
            }
            _ => low + i128::from(self.word()).rem_euclid(high - low + 1),
        };
        value.clamp(low, high)
    }
}

/// Seeds of targets for which any bytes will do.
pub fn any_bytes() -> Vec<Vec<u8>> {
    let noise = |seed: u64| {
        let mix = move |i: u64| ((i + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
        (0..160).map(mix).collect()
    };
    (1..24).map(noise).collect()
}
