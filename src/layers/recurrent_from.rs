//! Recurrent layers that start from states of the model instead of zeros; see [`recurrent`](super::recurrent).

use serde::{Deserialize, Serialize};

use super::lowering::{Constant, Layer, Value};
use super::recurrent::{Gru, Lstm};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;

/// A quantized LSTM that starts from states of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LstmFrom {
    /// What follows from the states.
    pub lstm: Lstm,
    /// Hidden state before the first row, in units of the hidden state; one row.
    pub hidden: Constant,
    /// Cell state before the first row, in units of the cell state; one row.
    pub cell: Constant,
}

impl Layer for LstmFrom {
    fn name(&self) -> &str {
        self.lstm.name()
    }

    fn fraction_bits(&self) -> i32 {
        self.lstm.fraction_bits()
    }

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        self.lstm.lower_from(p, inputs, [Some(&self.hidden), Some(&self.cell)])
    }
}

/// A quantized GRU that starts from a state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GruFrom {
    /// What follows from the state.
    pub gru: Gru,
    /// State before the first row, in units of the state; one row.
    pub hidden: Constant,
}

impl Layer for GruFrom {
    fn name(&self) -> &str {
        self.gru.name()
    }

    fn fraction_bits(&self) -> i32 {
        self.gru.fraction_bits()
    }

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        self.gru.lower_from(p, inputs, Some(&self.hidden))
    }
}
