//! All fields of proofs and statements.

use voxcheck::sumcheck::transcript::Label;

/// Labels under which a prover of the engine sends something.
pub const SENT: &[Label] = &[
    Label::Commitment,
    Label::FractionRoot,
    Label::Inverse,
    Label::FractionChildren,
    Label::LeafValues,
    Label::OutputValues,
    Label::Round,
    Label::WaveValues,
    Label::PointValues,
    Label::FoldedValues,
    Label::InnerProductCross,
    Label::InnerProductEnd,
];
