//! Networks: their float form, how they are read, and the layers they consist of.

pub mod affine;
pub mod at_most;
pub mod attention;
pub mod average_pool;
mod cell;
pub mod centre;
mod division;
pub mod fixed;
pub mod gate;
pub mod gelu;
pub mod grid;
pub mod layer_norm;
mod linear_form;
pub mod log_magnitude;
pub mod logarithm;
pub mod lowering;
pub mod matrix;
pub mod max_pool;
pub mod moves;
pub mod multi_head;
pub mod network;
pub mod norm;
pub mod onnx;
pub mod peak;
pub mod pooling;
pub mod quantize;
mod quantize_affine;
mod quantize_attention;
mod quantize_function;
mod quantize_nodes;
mod quantize_pooling;
mod quantize_ranges;
mod quantize_recurrent;
mod quantize_rows;
mod quantize_waveform;
mod quantize_weights;
pub mod recurrent;
pub mod replay;
pub mod row_softmax;
pub mod score;
pub mod softmax;
pub mod time_pool;
mod values;
pub mod waveform;

#[cfg(test)]
mod tests;
