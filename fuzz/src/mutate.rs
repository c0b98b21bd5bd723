//! Mutations: what a file looks like after a bad disk, a bad implementation or a bad intention.

/// A small generator: the same seed gives the same run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sixty-four bits (SplitMix64).
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }
}

/// Numbers that break things.
const EXTREMES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 1 << 31, u32::MAX as u64, 1 << 32, i64::MAX as u64, u64::MAX];

/// An input made of one seed, and sometimes of a part of another.
#[must_use]
pub fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
    let other = seeds.get(random.below(seeds.len())).map_or(&[][..], Vec::as_slice);
    for _ in 0..1 + random.below(3) {
        mutate_once(&mut bytes, other, random);
    }
    bytes
}

fn mutate_once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    // Headers and lengths are at the beginning: half of all changes are there.
    let reach = if random.below(2) == 0 { bytes.len().min(256) } else { bytes.len() };
    let at = random.below(reach);
    match random.below(12) {
        0 | 1 => change(bytes, at, |byte, random| byte ^ (1 << random.below(8)), random),
        2 => change(bytes, at, |_, random| random.word() as u8, random),
        3 => change(bytes, at, |byte, _| byte.wrapping_add(1), random),
        4 => change(bytes, at, |byte, _| byte.wrapping_sub(1), random),
        5 => bytes.truncate(at),
        6 => {
            let more = random.below(40);
            bytes.extend((0..more).map(|_| random.word() as u8));
        }
        7 => {
            let len = random.below(40).min(bytes.len() - at.min(bytes.len()));
            bytes.drain(at.min(bytes.len())..at.min(bytes.len()) + len);
        }
        8 => {
            // A length as a file of ours writes it.
            let number = varint(EXTREMES[random.below(EXTREMES.len())].wrapping_add(random.below(3) as u64));
            let end = (at + number.len() * random.below(2) + 1).min(bytes.len());
            bytes.splice(at.min(end)..end, number);
        }
        9 => {
            // A length as others write it.
            let number = EXTREMES[random.below(EXTREMES.len())].wrapping_add(random.below(3) as u64).to_le_bytes();
            let width = [1, 2, 4, 8][random.below(4)];
            bytes.iter_mut().skip(at).zip(&number[..width]).for_each(|(byte, &new)| *byte = new);
        }
        10 => {
            let (from, len) = (random.below(other.len()), random.below(200));
            let part: Vec<u8> = other.iter().skip(from).take(len).copied().collect();
            let end = (at + part.len() * random.below(2)).min(bytes.len());
            bytes.splice(at.min(end)..end, part);
        }
        _ => {
            let part: Vec<u8> = bytes.iter().skip(at).take(1 + random.below(64)).copied().collect();
            let repeated = part.repeat(1 + random.below(20));
            bytes.splice(at..at, repeated);
        }
    }
}

fn change(bytes: &mut [u8], at: usize, f: impl Fn(u8, &mut Random) -> u8, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = f(*byte, random);
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
