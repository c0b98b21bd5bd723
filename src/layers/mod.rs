//! Networks: their float form, how they are read, and the layers they consist of.

pub mod matrix;
pub mod network;
pub mod onnx;
