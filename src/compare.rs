//! Integer against float: how far every layer of a model is from the network it was made of.

use crate::audio::float;
use crate::calibration;
use crate::error::ModelError;
use crate::gkr::program::TensorId;
use crate::layers::affine::{Affine, Finish};
use crate::layers::lowering::{AnyLayer, LayerRef, Placed};
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::{Network, Op};
use crate::layers::saturate::Clamped;
use crate::model::Model;
use crate::sumcheck::int::IntTable;

impl Model {
    /// Integer against float, layer by layer, on one recording.
    pub fn compare(&self, network: &Network, samples: &[i16]) -> Result<Vec<LayerDifference>, ModelError> {
        let (lowered, trace) = self.run(samples)?;
        let samples = self.first_window(samples);
        let input = float::network_input(self.front_end(), samples)?;
        let outputs = network.execute(&input.features, input.sequence_length)?;
        let mut differences = Vec::new();
        let mut compare = |layer: &str, tensor: &str, unit: f64, float: &FloatMatrix| {
            let found = lowered.program.tensors().iter().position(|t| t.name == tensor);
            if let Some(i) = found {
                let table = trace.get(TensorId(i as u32));
                let difference = LayerDifference::new(layer, table, unit, float);
                let of = &lowered.program.tensors()[i];
                // A sign takes a bit, and reaches one further down than up.
                let (below, signed) = ((-&of.low - 1i32).bits(), u64::from(of.low < 0.into()));
                let width = (if signed == 0 { of.high.bits() } else { below.max(of.high.bits()) } + signed) as u32;
                differences.extend(difference.map(|difference| LayerDifference { width, ..difference }));
            }
        };
        let features = &self.spec().first.features;
        for tensor in ["features/windows", "features/output", "features/energies"] {
            compare("features", tensor, unit(features.fraction_bits), &input.features);
        }
        let mut steps: Vec<bool> = Vec::with_capacity(self.spec().first.layers.len());
        for placed in &self.spec().first.layers {
            let are_steps = are_steps(placed, &steps);
            steps.push(are_steps);
            if !stands_for_a_value(&placed.layer) {
                continue;
            }
            let layer = placed.layer.as_layer();
            let name = layer.name();
            let node = network.nodes.iter().rposition(|node| node.name.trim_matches('/').replace('/', ".") == name);
            let Some(node) = node else { continue };
            if let Op::Quantize(levels) = &network.nodes[node].op {
                compare(name, &format!("{name}/output"), levels.scale * unit(layer.fraction_bits()), &outputs[node]);
                continue;
            }
            if are_steps {
                continue;
            }
            for (suffix, after) in [("output", 0), ("output", 1), ("output", 2), ("hidden state", 0)] {
                if let Some(float) = outputs.get(node + after) {
                    compare(name, &format!("{name}/{suffix}"), unit(layer.fraction_bits()), float);
                }
            }
        }
        if let (Some(Placed { layer: AnyLayer::Average(layer), .. }), Some(last)) =
            (self.spec().first.layers.last(), outputs.last())
        {
            let mean = calibration::mean_of_rows(last);
            let (name, mean) = (&layer.name, FloatMatrix::new(1, last.cols, mean));
            compare(name, &format!("{name}/output"), unit(layer.fraction_bits), &mean);
        }
        best_per_layer(&mut differences);
        let costs = self.layer_costs(samples.len().max(self.min_samples()))?;
        for difference in &mut differences {
            let own = costs.iter().find(|cost| cost.name == difference.layer);
            difference.share = own.map_or(0.0, |cost| cost.share);
        }
        Ok(differences)
    }
}

/// What one is of an integer with fraction bits.
fn unit(fraction_bits: i32) -> f64 {
    f64::from(-fraction_bits).exp2()
}

/// Whether a layer's output counts steps of a scale that the model prescribes: levels, and the largest of them. `before` says
/// the same of the layers before it.
fn are_steps(placed: &Placed, before: &[bool]) -> bool {
    match &placed.layer {
        AnyLayer::Affine(affine) => matches!(affine.finish, Finish::Saturate { then: Clamped::Levels { .. }, .. }),
        AnyLayer::MaxPool(_) | AnyLayer::PaddedMaxPool(_) | AnyLayer::TimeMaxPool(_) | AnyLayer::Row(_) => {
            let of_steps = |input: &LayerRef| match *input {
                LayerRef::Input => false,
                LayerRef::Layer(index) => before.get(index as usize).copied().unwrap_or(false),
            };
            placed.inputs.iter().any(of_steps)
        }
        _ => false,
    }
}

/// Whether a layer's output is what the network computes, not a step that scales and shifts still follow.
fn stands_for_a_value(layer: &AnyLayer) -> bool {
    match layer {
        AnyLayer::Mean(_)
        | AnyLayer::Deviation(_)
        | AnyLayer::WeightedStats(_)
        | AnyLayer::Gate(_)
        | AnyLayer::LayerNorm(_)
        | AnyLayer::MultiHeadAttention(_)
        | AnyLayer::Framing(_)
        | AnyLayer::LogMagnitude(_)
        | AnyLayer::Centre(_)
        | AnyLayer::Offset(_)
        | AnyLayer::GridMean(_)
        | AnyLayer::GridDeviation(_)
        | AnyLayer::SegmentMean(_)
        | AnyLayer::AveragePool(_)
        | AnyLayer::Power(_)
        | AnyLayer::LogEnergy(_)
        | AnyLayer::TimeMax(_)
        | AnyLayer::RowLogSoftmax(_)
        | AnyLayer::Rows(_)
        | AnyLayer::Unfold(_)
        | AnyLayer::Join(_)
        | AnyLayer::Sequences(_)
        | AnyLayer::TimeSoftmax(_) => false,
        AnyLayer::Affine(Affine { finish: Finish::Exact, .. }) => false,
        AnyLayer::Affine(Affine {
            finish: Finish::Activate { function, .. } | Finish::Saturate { then: Clamped::Function(function), .. },
            ..
        }) => !function.name.starts_with("exp"),
        AnyLayer::Affine(_)
        | AnyLayer::Lstm(_)
        | AnyLayer::Gru(_)
        | AnyLayer::LstmFrom(_)
        | AnyLayer::GruFrom(_)
        | AnyLayer::MaxPool(_)
        | AnyLayer::Row(_)
        | AnyLayer::Normalize(_)
        | AnyLayer::Average(_)
        | AnyLayer::ReluMaxPool(_)
        | AnyLayer::Emphasis(_)
        | AnyLayer::InstanceNorm(_)
        | AnyLayer::TimeMaxPool(_)
        | AnyLayer::RoundedTimeMaxPool(_)
        | AnyLayer::AtMost(_)
        | AnyLayer::AddRows(_)
        | AnyLayer::RowSoftmax(_)
        | AnyLayer::Hypot(_)
        | AnyLayer::NormalizeSigned(_)
        | AnyLayer::PaddedMaxPool(_) => true,
    }
}

/// Keeps, of several candidates for one layer, the closest: an activation that was fused with its
/// layer is compared with the activation's output.
fn best_per_layer(differences: &mut Vec<LayerDifference>) {
    let all = std::mem::take(differences);
    for difference in all {
        match differences.last_mut() {
            Some(last) if last.layer == difference.layer => {
                if difference.cosine > last.cosine {
                    *last = difference;
                }
            }
            _ => differences.push(difference),
        }
    }
}

/// One line of [`Model::compare`].
#[derive(Clone, Debug)]
pub struct LayerDifference {
    /// Name of the layer.
    pub layer: String,
    /// Rows of its output.
    pub rows: usize,
    /// Columns of its output.
    pub columns: usize,
    /// Largest absolute difference between integer (rescaled) and float output.
    pub max_difference: f64,
    /// Largest absolute float value.
    pub max_value: f64,
    /// Cosine of the two outputs, read as one vector each.
    pub cosine: f64,
    /// Bits that the integers may have, a sign included.
    pub width: u32,
    /// The layer's share of the predicted proving time, 0 to 1.
    pub share: f64,
}

impl LayerDifference {
    fn new(layer: &str, table: &IntTable, unit: f64, float: &FloatMatrix) -> Option<Self> {
        if (table.rows(), table.cols()) != (float.rows, float.cols) {
            return None;
        }
        let integer: Vec<f64> = table.values().iter().map(|v| v as f64 * unit).collect();
        let pairs = || integer.iter().zip(&float.data);
        Some(Self {
            layer: layer.to_owned(),
            rows: float.rows,
            columns: float.cols,
            max_difference: pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max),
            max_value: float.max_abs(),
            cosine: calibration::cosine(&integer, &float.data),
            width: 0,
            share: 0.0,
        })
    }
}
