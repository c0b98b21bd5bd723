//! Why a recording or a model was refused, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::files::FileError;
use crate::gkr::program::ProgramError;
use crate::gkr::trace::TraceError;

/// A recording that cannot be used. Nothing is ever resampled, mixed down or shortened silently.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The bytes are not a RIFF/WAVE file.
    #[error("not a WAV file: {reason}; convert it with: {CONVERT}")]
    NotWav {
        /// What was found where the RIFF/WAVE header should be.
        reason: String,
    },
    /// A WAV file whose structure contradicts itself.
    #[error("damaged WAV file: {reason}; rewrite it with: {CONVERT}")]
    Malformed {
        /// The first contradiction found.
        reason: String,
    },
    /// A WAV file that holds something other than 16-bit mono PCM at the expected rate.
    #[error(
        "unsupported WAV format: {sample_rate} Hz, {channels} channel(s), {bits} bits, {kind}; \
         needed: {expected}; convert it with: {command}"
    )]
    UnsupportedFormat {
        /// Sample rate in Hz, as the file declares it.
        sample_rate: u32,
        /// Number of channels, as the file declares it.
        channels: u16,
        /// Bits per sample, as the file declares them.
        bits: u16,
        /// Kind of sample, for example `PCM`, `IEEE float` or `mu-law`.
        kind: String,
        /// What is accepted.
        expected: String,
        /// A command line that produces an acceptable file.
        command: String,
    },
    /// The data chunk promises more bytes than the file has.
    #[error(
        "truncated WAV file: the data chunk declares {declared} bytes, the file holds {available}; \
         record or copy it again, or, if it was streamed with an unknown length, rewrite it with: \
         {CONVERT}"
    )]
    Truncated {
        /// Bytes of samples the data chunk declares.
        declared: u64,
        /// Bytes of samples the file holds.
        available: u64,
    },
    /// A tensor that is not what the network takes, or no tensor.
    #[error("the input tensor cannot be used: {reason}")]
    Tensor {
        /// What is wrong with it.
        reason: String,
    },
    /// A recording without any sound.
    #[error("every sample is the same, so there is no voice in it; check the microphone and record again")]
    Silent,
    /// A WAV file without a single sample.
    #[error("the WAV file holds no samples; record it again")]
    Empty,
    /// Fewer samples than one frame or window needs.
    #[error("the recording is too short: {samples} samples, at least {min} are needed; record longer")]
    TooShort {
        /// Samples found.
        samples: u64,
        /// Samples needed.
        min: u64,
    },
    /// More samples than are accepted.
    #[error(
        "the recording is too long: {samples} samples, at most {max} are accepted; cut it with: \
             ffmpeg -i IN.wav -af atrim=end_sample={max} -c:a pcm_s16le OUT.wav"
    )]
    TooLong {
        /// Samples found.
        samples: u64,
        /// Largest number of samples accepted.
        max: u64,
    },
    /// The file does not exist.
    #[error("{} does not exist; check the path", path.display())]
    NotFound {
        /// The path asked for.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The file exists and cannot be read.
    #[error("cannot read {}: {source}; check its permissions", path.display())]
    Io {
        /// The path asked for; `-` for a stream.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
}

/// Shown wherever any conversion to the accepted format helps.
const CONVERT: &str = "ffmpeg -i IN -ac 1 -ar 16000 -c:a pcm_s16le OUT.wav";

/// A model that cannot be used, or an input that does not fit it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The model uses an operator that cannot be proved here.
    #[error("node {node:?}: operator {operator} (opset {opset}) is not supported here; {help}")]
    UnsupportedOperator {
        /// Name of the node in the model file, or of its first output if it has none.
        node: String,
        /// The operator, with its domain unless it is the default one.
        operator: String,
        /// Operator-set version the model declares.
        opset: i64,
        /// What to do instead.
        help: String,
    },
    /// A TensorFlow Lite graph uses an operator that cannot be proved here.
    #[error("operator {index} of the TFLite graph: {operator} (number {code}) is not supported here; {help}")]
    UnsupportedTflite {
        /// Place of the operator in the graph.
        index: usize,
        /// What the operator is called.
        operator: String,
        /// Its number in the format.
        code: i32,
        /// What to do instead.
        help: String,
    },
    /// A supported operator with a setting that is not.
    #[error("node {node:?}: {operator} with {attribute} = {value} is not supported; {help}")]
    UnsupportedAttribute {
        /// Name of the node in the model file, or of its first output if it has none.
        node: String,
        /// The operator.
        operator: String,
        /// The attribute or optional input.
        attribute: String,
        /// Its value in the file.
        value: String,
        /// What to do instead.
        help: String,
    },
    /// The operator set is older or newer than the ones known.
    #[error(
        "opset {opset} is not supported; export the model again with an opset from {oldest} to {newest} \
         (torch.onnx.export(..., opset_version=17))"
    )]
    UnsupportedOpset {
        /// Operator-set version the model declares.
        opset: i64,
        /// Oldest version accepted.
        oldest: i64,
        /// Newest version accepted.
        newest: i64,
    },
    /// A layer that can be computed in floating point, but has no integer form where it stands.
    #[error("node {node:?}: {operation} {how} has no integer form yet; {help}")]
    NoIntegerForm {
        /// Name of the node in the model file.
        node: String,
        /// What the node computes.
        operation: &'static str,
        /// What about it is the obstacle.
        how: &'static str,
        /// What to do instead.
        help: &'static str,
    },
    /// Bytes or a graph that contradict themselves.
    #[error("malformed model: {reason}; export or download it again")]
    Malformed {
        /// The first contradiction found, with the name of the node or tensor.
        reason: String,
    },
    /// Two shapes that must agree and do not.
    #[error("layer {layer:?}: expected {expected}, found {found}")]
    Shape {
        /// Name of the layer.
        layer: String,
        /// What the layer needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A tensor may need more bits than a proof can hold.
    #[error(
        "tensor {tensor:?} may need {bits} bits, the limit is {limit}; import the model with fewer \
         bits (--bits) or calibrate it with recordings like those it will see"
    )]
    Range {
        /// Name of the tensor.
        tensor: String,
        /// Bits its bound requires.
        bits: u32,
        /// Bits available.
        limit: u32,
    },
    /// A recording drives a layer beyond the range it was calibrated for.
    #[error(
        "layer {layer:?}: a value needs {value_bits} bits, calibrated are {range_bits} (off by a \
         factor of {factor:.2}); calibrate the model with recordings like this one, or check the \
         recording level"
    )]
    OutOfRange {
        /// Name of the layer.
        layer: String,
        /// Bits the largest value needs.
        value_bits: u32,
        /// Bits the calibrated range has.
        range_bits: u32,
        /// Largest value divided by the calibrated bound, above 1.
        factor: f64,
    },
    /// The names of classes, or of networks, are not what they have to be.
    #[error("{reason}; give every class a label of its own of at most 64 bytes: --labels A,B,C")]
    Labels {
        /// What is wrong with them.
        reason: String,
    },
    /// The network does not say which chunks of a recording are active.
    #[error("{reason}; --activity is for a network that makes one value of every chunk")]
    Activity {
        /// What is wrong.
        reason: String,
    },
    /// A model that says what was said has nothing to say about who said it.
    #[error(
        "the model has no network for voices, {}",
        if readings.is_empty() {
            "it makes values of chunks, which are no embedding: see them with embed; use a speaker model".to_owned()
        } else {
            format!("it reads {readings:?}; use a speaker model, or join both with: voxcheck model join SPEAKER.vxm WORD.vxm -o BOTH.vxm")
        }
    )]
    NoVoice {
        /// What its networks are called.
        readings: Vec<String>,
    },
    /// Two models that cannot be one.
    #[error("the models cannot be joined: {reason}; {help}")]
    Join {
        /// What keeps them apart.
        reason: String,
        /// What to do about it.
        help: &'static str,
    },
    /// A window that the recording does not have, or another number of windows than the model reads.
    #[error("{reason}; give a start within the recording for every reading of the model: --window SECONDS")]
    Window {
        /// What is wrong.
        reason: String,
    },
    /// A recording is unusable.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// A model file is unusable.
    #[error(transparent)]
    File(#[from] FileError),
    /// The layers do not make a program that can be proved.
    #[error("the model cannot be proved: {0}")]
    Program(#[from] ProgramError),
    /// The model cannot be run on a recording.
    #[error(
        "the model cannot be run on this recording: {0}; if the recording is sound, calibrate the model \
         with recordings like it"
    )]
    Trace(#[source] Box<TraceError>),
    /// The model file cannot be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Io {
        /// The path asked for.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
}

impl From<TraceError> for ModelError {
    fn from(error: TraceError) -> Self {
        Self::Trace(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_to_do() {
        let error = AudioError::TooShort { samples: 399, min: 400 };
        assert_eq!(
            error.to_string(),
            "the recording is too short: 399 samples, at least 400 are needed; record longer"
        );
        let error = ModelError::UnsupportedOperator {
            node: "/softmax".into(),
            operator: "Softmax".into(),
            opset: 17,
            help: "remove it before exporting".into(),
        };
        assert!(error.to_string().contains("Softmax (opset 17)"));
        let error = AudioError::NotWav { reason: "x".into() };
        assert!(error.to_string().contains("pcm_s16le"));
    }

    #[test]
    fn errors_cross_threads() {
        fn check<T: std::error::Error + Send + Sync + 'static>() {}
        check::<AudioError>();
        check::<ModelError>();
    }
}
