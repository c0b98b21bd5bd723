//! The bytes of a `.vxm` file. Whatever a file says is checked before it becomes a model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Model, Spec};
use crate::error::ModelError;
use crate::files::{self, FileError};
use crate::sumcheck::int::{IntTable, IntVec};

/// The weights as they are stored.
#[derive(Serialize, Deserialize)]
struct StoredTable {
    rows: u32,
    cols: u32,
    values: Vec<i64>,
}

/// The body of a `.vxm` file.
#[derive(Serialize, Deserialize)]
struct Stored {
    spec: Spec,
    #[serde(deserialize_with = "files::short_list")]
    constants: Vec<StoredTable>,
    onnx: Option<Vec<u8>>,
}

impl Model {
    /// Reads the bytes of a `.vxm` file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let kind = files::MODEL;
        let (digest, body) = kind.unwrap(bytes)?;
        let Stored { spec, constants, onnx } = kind.decode(body)?;
        let mut tables = Vec::with_capacity(constants.len());
        for StoredTable { rows, cols, values } in constants {
            let misfit = || kind.error("a matrix of weights has another size than it says");
            let (rows, cols) = (rows as usize, cols as usize);
            if rows.checked_mul(cols) != Some(values.len()) || values.is_empty() {
                return Err(misfit());
            }
            let (low, high) = values.iter().fold((0, 0), |(l, h): (i64, i64), &v| (l.min(v), h.max(v)));
            let packed =
                IntVec::pack(values.into_iter().map(i128::from), low.into(), high.into()).ok_or_else(misfit)?;
            tables.push(Arc::new(IntTable::new(rows, cols, packed)));
        }
        let model = Self { spec: Arc::new(spec), constants: Arc::new(tables), onnx: onnx.map(Arc::new) };
        if model.content_digest() != digest {
            return Err(kind.error("its content does not have the digest in its header"));
        }
        model.check().map_err(|error| kind.error(error.to_string()))?;
        Ok(model)
    }

    /// Whatever a file says must make a program, and every weight must lie within its declared width:
    /// bounds are derived from widths alone.
    fn check(&self) -> Result<(), ModelError> {
        self.spec.check_limits()?;
        let program = self.spec.lower(self.min_samples(), &self.spec.whole_tail(None))?.program;
        for (id, number) in program.constants() {
            let tensor = program.tensor(id);
            let fits = self.constants.get(number as usize).is_some_and(|table| {
                let within = |v: i128| tensor.low <= v.into() && tensor.high >= v.into();
                (table.rows(), table.cols()) == (tensor.rows, tensor.cols) && table.values().iter().all(within)
            });
            if !fits {
                return Err(ModelError::Malformed { reason: format!("the weights of `{}` do not fit", tensor.name) });
            }
        }
        Ok(())
    }

    /// The bytes of a `.vxm` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored {
            spec: (*self.spec).clone(),
            constants: self.stored_constants(),
            onnx: self.onnx.as_ref().map(|bytes| bytes.to_vec()),
        };
        files::MODEL.wrap(&self.content_digest(), &files::encode(&stored))
    }

    fn stored_constants(&self) -> Vec<StoredTable> {
        let store = |table: &Arc<IntTable>| StoredTable {
            rows: table.rows() as u32,
            cols: table.cols() as u32,
            values: table.values().iter().map(|v| i64::try_from(v).unwrap_or(i64::MAX)).collect(),
        };
        self.constants.iter().map(store).collect()
    }

    /// SHA-256 of specification and weights.
    fn content_digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new_with_prefix(files::encode(&*self.spec));
        hash.update(files::encode(&self.stored_constants()));
        hash.finalize().into()
    }
}
