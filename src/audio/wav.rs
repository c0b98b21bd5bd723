//! WAV bytes → 16-bit mono PCM. The only audio parsing.
//!
//! Exactly one thing passes: RIFF/WAVE, one channel, 16-bit integer PCM (`WAVE_FORMAT_PCM`, or
//! `WAVE_FORMAT_EXTENSIBLE` with the PCM subtype), with one data chunk that is as long as it says.
//! Everything else is refused with the command that converts it: a proof is about the samples in
//! the file, so none may be changed here. Two numbers are not looked at, as no reader uses them: the
//! length of the RIFF chunk, which a recorder that was cut off leaves wrong, and the bytes per second.
//! Format: Multimedia Programming Interface and Data
//! Specifications 1.0 (IBM, Microsoft 1991), and the `WAVEFORMATEX` and `WAVEFORMATEXTENSIBLE`
//! structures of `mmreg.h`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::AudioError;

/// Largest number of samples accepted: ten minutes at 16 kHz.
pub const MAX_SAMPLES: u64 = 9_600_000;

/// Most chunks looked at: a file of nothing but chunks takes no longer than another.
const MAX_CHUNKS: usize = 1000;

/// `KSDATAFORMAT_SUBTYPE_PCM` as it lies in a file.
const SUBTYPE_PCM: [u8; 16] = [1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
const TAG_PCM: u16 = 1;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// A mono recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wav {
    /// Samples per second, as the file declares it; [`require_rate`] checks it.
    pub sample_rate: u32,
    /// The samples, −32768 to 32767, between 1 and [`MAX_SAMPLES`] of them.
    pub samples: Vec<i16>,
}

impl Wav {
    /// Whether all samples are equal: digital silence, or a microphone that is stuck.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.samples.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// What the `fmt ` chunk says.
#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    sample_rate: u32,
    block_align: u16,
    bits: u16,
    /// Valid bits and subtype of `WAVE_FORMAT_EXTENSIBLE`.
    extension: Option<(u16, [u8; 16])>,
}

/// Reads a WAV file.
///
/// # Errors
/// Any [`AudioError`] but `TooShort`: how many samples are needed is known to the front end, not here.
pub fn read(path: impl AsRef<Path>) -> Result<Wav, AudioError> {
    let path = path.as_ref();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => AudioError::NotFound { path: path.into(), source },
        _ => AudioError::Io { path: path.into(), source },
    };
    let file = File::open(path).map_err(failed)?;
    read_from(BufReader::new(file)).map_err(|error| match error {
        AudioError::Io { source, .. } => AudioError::Io { path: path.into(), source },
        other => other,
    })
}

/// Reads a WAV from anything seekable, from its first byte. Memory is bounded by the bytes that are
/// really there.
///
/// # Errors
/// As [`read`]; an I/O error carries the path `-`.
pub fn read_from(mut reader: impl Read + Seek) -> Result<Wav, AudioError> {
    let failed = |source| AudioError::Io { path: "-".into(), source };
    let length = reader.seek(SeekFrom::End(0)).map_err(failed)?;
    reader.seek(SeekFrom::Start(0)).map_err(failed)?;
    parse(&mut reader, length).map_err(|error| match error {
        ParseError::Audio(error) => error,
        ParseError::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            AudioError::Malformed { reason: "the file ends inside its header".into() }
        }
        ParseError::Io(source) => failed(source),
    })
}

/// Refuses a recording of another rate than `expected` Hz.
///
/// # Errors
/// [`AudioError::UnsupportedFormat`] with the command that resamples.
pub fn require_rate(wav: &Wav, expected: u32) -> Result<(), AudioError> {
    if wav.sample_rate == expected {
        return Ok(());
    }
    Err(unsupported(wav.sample_rate, 1, 16, "PCM".into(), expected))
}

enum ParseError {
    Audio(AudioError),
    Io(io::Error),
}

impl From<AudioError> for ParseError {
    fn from(error: AudioError) -> Self {
        Self::Audio(error)
    }
}

impl From<io::Error> for ParseError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn malformed(reason: impl Into<String>) -> ParseError {
    ParseError::Audio(AudioError::Malformed { reason: reason.into() })
}

/// Walks the chunks.
fn parse<R: Read + Seek>(reader: &mut R, length: u64) -> Result<Wav, ParseError> {
    if length < 12 {
        let reason = format!("the file has {length} bytes, a RIFF/WAVE header has 12");
        return Err(AudioError::NotWav { reason }.into());
    }
    let magic: [u8; 12] = read_array(reader)?;
    check_magic(&magic)?;
    let mut format = None;
    for _ in 0..MAX_CHUNKS {
        let position = reader.stream_position()?;
        if position + 8 > length {
            return Err(malformed("the file ends before a data chunk"));
        }
        let (id, size) = read_chunk_header(reader)?;
        match &id {
            b"fmt " => {
                if format.is_some() {
                    return Err(malformed("it has two fmt chunks"));
                }
                format = Some(read_format(reader, size)?);
            }
            b"data" => {
                let format = format.ok_or_else(|| malformed("the data chunk comes before the fmt chunk"))?;
                let wav = read_samples(reader, format, size, length - position - 8)?;
                check_rest(reader, length)?;
                return Ok(wav);
            }
            _ => {}
        }
        reader.seek(SeekFrom::Start(after_chunk(position, size)))?;
    }
    Err(malformed(format!("it has more than {MAX_CHUNKS} chunks before a data chunk")))
}

fn check_magic(magic: &[u8; 12]) -> Result<(), AudioError> {
    let reason = match (&magic[..4], &magic[8..]) {
        (b"RIFF", b"WAVE") => return Ok(()),
        (b"RF64" | b"BW64", b"WAVE") => "it is of the 64-bit kind (RF64, BW64), not RIFF",
        (b"RIFX", b"WAVE") => "its numbers are big-endian (RIFX), not little-endian (RIFF)",
        _ => "it does not start with RIFF....WAVE",
    };
    Err(AudioError::NotWav { reason: reason.into() })
}

fn read_chunk_header(reader: &mut impl Read) -> io::Result<([u8; 4], u64)> {
    Ok((read_array(reader)?, u32::from_le_bytes(read_array(reader)?).into()))
}

/// Where the next chunk begins: one of odd length is followed by a byte of padding.
fn after_chunk(position: u64, size: u64) -> u64 {
    position + 8 + size + (size & 1)
}

/// Looks for more samples after the data chunk: which of two data chunks is the recording, nobody can say.
/// Whatever else follows, even if it is no chunk, carries no samples.
fn check_rest<R: Read + Seek>(reader: &mut R, length: u64) -> Result<(), ParseError> {
    for _ in 0..MAX_CHUNKS {
        let position = reader.stream_position()?;
        if position + 8 > length {
            return Ok(());
        }
        let (id, size) = read_chunk_header(reader)?;
        if &id == b"data" {
            return Err(malformed("it has two data chunks"));
        }
        reader.seek(SeekFrom::Start(after_chunk(position, size)))?;
    }
    Ok(())
}

fn read_array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_format(reader: &mut impl Read, size: u64) -> Result<Format, ParseError> {
    if size < 16 {
        return Err(malformed(format!("its fmt chunk has {size} bytes, at least 16 are needed")));
    }
    let mut u16_field = || read_array(reader).map(u16::from_le_bytes);
    let (tag, channels) = (u16_field()?, u16_field()?);
    let rate = [u16_field()?, u16_field()?];
    let _bytes_per_second = [u16_field()?, u16_field()?];
    let (block_align, bits) = (u16_field()?, u16_field()?);
    let extension = if tag == TAG_EXTENSIBLE {
        if size < 40 {
            return Err(malformed(format!("its extensible fmt chunk has {size} bytes, 40 are needed")));
        }
        let _extension_size = u16_field()?;
        let valid_bits = u16_field()?;
        let _speakers: [u8; 4] = read_array(reader)?;
        Some((valid_bits, read_array(reader)?))
    } else {
        None
    };
    let sample_rate = u32::from(rate[0]) | u32::from(rate[1]) << 16;
    Ok(Format { tag, channels, sample_rate, block_align, bits, extension })
}

/// Checks format and length, then reads `size` bytes of samples; `available` bytes follow in the
/// file.
fn read_samples(reader: &mut impl Read, format: Format, size: u64, available: u64) -> Result<Wav, ParseError> {
    check_format(format)?;
    if size > available {
        return Err(AudioError::Truncated { declared: size, available }.into());
    }
    if size % 2 == 1 {
        return Err(malformed(format!("its data chunk has {size} bytes, an odd number for 16-bit samples")));
    }
    let count = size / 2;
    if count == 0 {
        return Err(AudioError::Empty.into());
    }
    if count > MAX_SAMPLES {
        return Err(AudioError::TooLong { samples: count, max: MAX_SAMPLES }.into());
    }
    // `take` and `read_to_end` grow with what is really read, so even a wrong length of the stream
    // cannot reserve more.
    let mut bytes = Vec::new();
    reader.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(AudioError::Truncated { declared: size, available: bytes.len() as u64 }.into());
    }
    let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    Ok(Wav { sample_rate: format.sample_rate, samples })
}

fn check_format(format: Format) -> Result<(), ParseError> {
    let pcm = match format.extension {
        None => format.tag == TAG_PCM,
        // Zero valid bits is what some writers put for "all of them".
        Some((valid_bits, subtype)) => subtype == SUBTYPE_PCM && (valid_bits == 16 || valid_bits == 0),
    };
    let Format { sample_rate, channels, bits, .. } = format;
    if channels == 0 {
        return Err(malformed("it declares zero channels"));
    }
    if sample_rate == 0 {
        return Err(malformed("it declares a sample rate of zero"));
    }
    if !pcm || channels != 1 || bits != 16 {
        return Err(unsupported(sample_rate, channels, bits, kind(format), 16000).into());
    }
    if format.block_align != 2 {
        return Err(malformed(format!("it declares {} bytes per 16-bit sample", format.block_align)));
    }
    Ok(())
}

fn unsupported(sample_rate: u32, channels: u16, bits: u16, kind: String, expected: u32) -> AudioError {
    AudioError::UnsupportedFormat {
        sample_rate,
        channels,
        bits,
        kind,
        expected: format!("{expected} Hz, 1 channel, 16 bits, PCM"),
        command: format!("ffmpeg -i IN.wav -ac 1 -ar {expected} -c:a pcm_s16le OUT.wav"),
    }
}

fn kind(format: Format) -> String {
    let tag = match format.extension {
        // The first two bytes of a standard subtype are the plain format tag.
        Some((_, subtype)) if subtype[2..] == SUBTYPE_PCM[2..] => u16::from_le_bytes([subtype[0], subtype[1]]),
        _ => format.tag,
    };
    match tag {
        TAG_PCM => "PCM".into(),
        2 | 0x11 => "ADPCM".into(),
        3 => "IEEE float".into(),
        6 => "A-law".into(),
        7 => "mu-law".into(),
        0x55 => "MP3".into(),
        other => format!("format tag {other:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn with_hound(rate: u32, samples: &[i16]) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        samples.iter().for_each(|&s| writer.write_sample(s).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn outcome(result: Result<Wav, AudioError>) -> String {
        match result {
            Ok(wav) => format!("ok {} {}", wav.sample_rate, wav.samples.len()),
            Err(AudioError::NotWav { .. }) => "not a wav".into(),
            Err(AudioError::Malformed { .. }) => "malformed".into(),
            Err(AudioError::Truncated { declared, available }) => format!("truncated {declared} {available}"),
            Err(AudioError::Empty) => "empty".into(),
            Err(AudioError::UnsupportedFormat { sample_rate, channels, bits, kind, .. }) => {
                format!("{sample_rate} {channels} {bits} {kind}")
            }
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn every_odd_file_has_its_outcome() {
        let Some(dir) = test_data::dir() else { return };
        let expected = [
            ("clipped_3s", "ok 16000 37840"),
            ("data_size_ffffffff", "truncated 4294967295 75680"),
            ("dc_offset_3s", "ok 16000 37840"),
            ("empty_data", "empty"),
            ("float32_16k", "16000 1 32 IEEE float"),
            ("fsdd8k_0_george_10", "ok 8000 5958"),
            ("fsdd8k_5_theo_20", "ok 8000 2425"),
            ("fsdd8k_7_jackson_3", "ok 8000 3472"),
            ("fullscale_min_3s", "ok 16000 48000"),
            ("fullscale_square_1k", "ok 16000 48000"),
            ("list_chunk_before_data", "ok 16000 37840"),
            ("noisy_0dB_3s", "ok 16000 37840"),
            ("not_a_wav", "not a wav"),
            ("odd_byte_data", "malformed"),
            ("one_frame_400", "ok 16000 400"),
            ("pcm16_44k1", "ok 44100 104297"),
            ("pcm16_48k_stereo", "48000 2 16 PCM"),
            ("pcm24_16k", "16000 1 24 PCM"),
            ("pcm8_16k", "16000 1 8 PCM"),
            ("short_0.2s", "ok 16000 3200"),
            ("silence_3s", "ok 16000 48000"),
            ("stereo_16k", "16000 2 16 PCM"),
            ("too_short_399", "ok 16000 399"),
            ("truncated_data", "truncated 75680 40000"),
            ("truncated_header_20B", "malformed"),
            ("ulaw_8k", "8000 1 8 mu-law"),
            ("wavex_16k", "ok 16000 37840"),
            ("white_noise_3s", "ok 16000 48000"),
            ("zero_channels", "malformed"),
        ];
        for (name, want) in expected {
            assert_eq!(outcome(read(dir.join(format!("wav/odd/{name}.wav")))), want, "{name}");
        }
        let files = std::fs::read_dir(dir.join("wav/odd")).unwrap().count();
        assert_eq!(files, expected.len(), "every file is listed");
    }

    #[test]
    fn a_missing_file_is_told_apart() {
        let error = read(test_data::asset("no such file.wav")).unwrap_err();
        assert!(matches!(error, AudioError::NotFound { .. }), "{error}");
        let error = read(test_data::asset("demo")).unwrap_err();
        assert!(matches!(error, AudioError::Io { .. } | AudioError::Malformed { .. }), "{error}");
    }

    #[test]
    fn another_rate_is_refused_with_the_command() {
        let wav = Wav { sample_rate: 8000, samples: vec![0] };
        assert!(require_rate(&wav, 8000).is_ok());
        let message = require_rate(&wav, 16000).unwrap_err().to_string();
        assert!(message.contains("8000 Hz") && message.contains("-ar 16000 -c:a pcm_s16le"), "{message}");
    }

    #[test]
    fn an_odd_unknown_chunk_is_followed_by_padding() {
        let plain = with_hound(16000, &[1, -2, 3]);
        let mut bytes = plain[..12].to_vec();
        bytes.extend_from_slice(b"abcd\x03\0\0\0xyz\0");
        bytes.extend_from_slice(&plain[12..]);
        assert_eq!(read_from(Cursor::new(bytes)).unwrap().samples, [1, -2, 3]);
    }

    #[test]
    fn too_long_is_refused() {
        let samples = vec![0; MAX_SAMPLES as usize + 1];
        let error = read_from(Cursor::new(with_hound(16000, &samples))).unwrap_err();
        assert!(matches!(error, AudioError::TooLong { samples, .. } if samples == MAX_SAMPLES + 1), "{error}");
    }

    /// A file of chunks; each says its length itself.
    fn riff(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        for (id, size, content) in chunks {
            bytes.extend_from_slice(*id);
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(content);
        }
        bytes
    }

    /// A `fmt ` chunk of 16 bytes.
    fn fmt(tag: u16, channels: u16, rate: u32, bytes_per_second: u32, block_align: u16, bits: u16) -> Vec<u8> {
        let mut bytes = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        bytes.extend_from_slice(&[rate.to_le_bytes(), bytes_per_second.to_le_bytes()].concat());
        bytes.extend_from_slice(&[block_align.to_le_bytes(), bits.to_le_bytes()].concat());
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> String {
        outcome(read_from(Cursor::new(bytes)))
    }

    #[test]
    fn chunks_that_lie_are_refused_or_have_one_meaning() {
        let plain = fmt(1, 1, 16_000, 32_000, 2, 16);
        let f: (&[u8; 4], u32, &[u8]) = (b"fmt ", 16, &plain);
        let three: (&[u8; 4], u32, &[u8]) = (b"data", 6, b"aabbcc");
        let cases: [(&str, Vec<u8>, &str); 17] = [
            ("as it should be", riff(&[f, three]), "ok 16000 3"),
            ("no data chunk", riff(&[f]), "malformed"),
            ("data before fmt", riff(&[three, f]), "malformed"),
            ("two fmt chunks", riff(&[f, f, three]), "malformed"),
            ("two data chunks", riff(&[f, three, three]), "malformed"),
            ("two data chunks apart", riff(&[f, three, (b"LIST", 3, b"abc\0"), three]), "malformed"),
            ("a chunk after the data", riff(&[f, three, (b"LIST", 4, b"abcd")]), "ok 16000 3"),
            ("no chunk after the data", riff(&[f, three, (b"\0\0\0\0", u32::MAX, b"x")]), "ok 16000 3"),
            ("data of the largest length", riff(&[f, (b"data", u32::MAX, b"aabbcc")]), "truncated 4294967295 6"),
            ("data of odd length", riff(&[f, (b"data", 5, b"aabbc\0")]), "malformed"),
            ("data of no length", riff(&[f, (b"data", 0, b"")]), "empty"),
            ("data shorter than the file", riff(&[f, (b"data", 4, b"aabbcc")]), "ok 16000 2"),
            ("fmt longer than it is", riff(&[(b"fmt ", 18, &plain), three]), "malformed"),
            ("fmt of the largest length", riff(&[(b"fmt ", u32::MAX, &plain), three]), "malformed"),
            ("fmt too short", riff(&[(b"fmt ", 14, &plain[..14]), three]), "malformed"),
            ("an unknown chunk beyond the end", riff(&[f, (b"LIST", u32::MAX, b"ab"), three]), "malformed"),
            ("odd chunk without its padding", riff(&[f, (b"LIST", 3, b"abc"), three]), "malformed"),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(read_bytes(&bytes), want, "{name}");
        }
        let unused = riff(&[(b"fmt ", 16, &fmt(1, 1, 16_000, 1, 2, 16)), three]);
        assert_eq!(read_bytes(&unused), "ok 16000 3", "bytes per second are not looked at");
        for size in [0u32, 1, u32::MAX] {
            let mut bytes = riff(&[f, three]);
            bytes[4..8].copy_from_slice(&size.to_le_bytes());
            assert_eq!(read_bytes(&bytes), "ok 16000 3", "nor is a RIFF length of {size}");
        }
    }

    #[test]
    fn formats_are_refused_by_name() {
        let cases = [
            (fmt(1, 1, 0, 0, 2, 16), "malformed"),
            (fmt(1, 1, u32::MAX, 0, 2, 16), "ok 4294967295 3"),
            (fmt(1, 0, 16_000, 0, 2, 16), "malformed"),
            (fmt(1, u16::MAX, 16_000, 0, 2, 16), "16000 65535 16 PCM"),
            (fmt(1, 1, 16_000, 0, 2, 0), "16000 1 0 PCM"),
            (fmt(1, 1, 16_000, 0, 2, 64), "16000 1 64 PCM"),
            (fmt(1, 1, 16_000, 0, 1, 16), "malformed"),
            (fmt(1, 1, 16_000, 0, 4, 16), "malformed"),
            (fmt(2, 1, 8_000, 0, 256, 4), "8000 1 4 ADPCM"),
            (fmt(0x11, 1, 8_000, 0, 256, 4), "8000 1 4 ADPCM"),
            (fmt(3, 1, 16_000, 0, 4, 32), "16000 1 32 IEEE float"),
            (fmt(6, 1, 8_000, 0, 1, 8), "8000 1 8 A-law"),
            (fmt(7, 1, 8_000, 0, 1, 8), "8000 1 8 mu-law"),
            (fmt(0x55, 2, 44_100, 0, 1, 0), "44100 2 0 MP3"),
            (fmt(0xabcd, 1, 16_000, 0, 2, 16), "16000 1 16 format tag 0xabcd"),
            (fmt(TAG_EXTENSIBLE, 1, 16_000, 0, 2, 16), "malformed"),
        ];
        for (format, want) in cases {
            let bytes = riff(&[(b"fmt ", 16, &format), (b"data", 6, b"aabbcc")]);
            assert_eq!(read_bytes(&bytes), want);
        }
        let fast = Wav { sample_rate: u32::MAX, samples: vec![0] };
        let message = require_rate(&fast, 16_000).unwrap_err().to_string();
        assert!(message.contains("4294967295 Hz"), "{message}");
    }

    #[test]
    fn extensible_formats_are_read_by_their_subtype() {
        let read = |valid_bits: u16, subtype: &[u8; 16]| {
            let mut format = fmt(TAG_EXTENSIBLE, 1, 16_000, 0, 2, 16);
            format.extend_from_slice(&22u16.to_le_bytes());
            format.extend_from_slice(&valid_bits.to_le_bytes());
            format.extend_from_slice(&[0; 4]);
            format.extend_from_slice(subtype);
            read_bytes(&riff(&[(b"fmt ", 40, &format), (b"data", 6, b"aabbcc")]))
        };
        assert_eq!(read(16, &SUBTYPE_PCM), "ok 16000 3");
        assert_eq!(read(0, &SUBTYPE_PCM), "ok 16000 3");
        assert_eq!(read(12, &SUBTYPE_PCM), "16000 1 16 PCM");
        let mut float = SUBTYPE_PCM;
        float[0] = 3;
        assert_eq!(read(16, &float), "16000 1 16 IEEE float");
        let mut unknown = SUBTYPE_PCM;
        unknown[15] ^= 1;
        assert_eq!(read(16, &unknown), "16000 1 16 format tag 0xfffe");
    }

    #[test]
    fn other_containers_are_named() {
        for (magic, word) in [(b"RF64", "RF64"), (b"BW64", "BW64"), (b"RIFX", "RIFX"), (b"FORM", "RIFF....WAVE")] {
            let mut bytes = with_hound(16_000, &[1, 2, 3]);
            bytes[..4].copy_from_slice(magic);
            let error = read_from(Cursor::new(bytes)).unwrap_err();
            assert!(matches!(&error, AudioError::NotWav { reason } if reason.contains(word)), "{error}");
        }
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = with_hound(16_000, &[1, 2, 3]);
        assert_eq!(whole.len(), 50);
        for length in 0..whole.len() {
            let wanted = match length {
                0..12 => "not a wav".to_owned(),
                12..44 => "malformed".to_owned(),
                _ => format!("truncated 6 {}", length - 44),
            };
            assert_eq!(read_bytes(&whole[..length]), wanted, "{length} bytes");
        }
    }

    #[test]
    fn a_file_of_nothing_but_chunks_is_given_up() {
        let chunks = vec![(b"junk", 0u32, &b""[..]); 100_000];
        let error = read_from(Cursor::new(riff(&chunks))).unwrap_err();
        assert!(error.to_string().contains("1000 chunks"), "{error}");
    }

    proptest! {
        #[test]
        fn reads_what_hound_writes(rate in 1u32..200_000, samples in prop::collection::vec(any::<i16>(), 1..300)) {
            let wav = read_from(Cursor::new(with_hound(rate, &samples))).unwrap();
            prop_assert_eq!(wav, Wav { sample_rate: rate, samples });
        }

        #[test]
        fn damaged_bytes_never_panic(
            cut in 0usize..200,
            flips in prop::collection::vec((0usize..60, any::<u8>()), 0..6),
        ) {
            let mut bytes = with_hound(16000, &[7; 70]);
            flips.iter().for_each(|&(at, value)| bytes[at] = value);
            bytes.truncate(bytes.len().saturating_sub(cut));
            if let Ok(wav) = read_from(Cursor::new(&bytes)) {
                prop_assert!(wav.samples.len() * 2 <= bytes.len());
            }
        }
    }
}
