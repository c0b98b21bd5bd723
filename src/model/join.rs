//! Two models as one: what both say about the same recording.

use std::sync::Arc;

use super::spec::weight_width_vars;
use super::{Branch, MAX_READINGS, Model, Spec};
use crate::error::ModelError;
use crate::sumcheck::int::IntTable;

impl Model {
    /// The model under another name, which its id binds.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        let spec = Spec { name: name.to_owned(), ..(*self.spec).clone() };
        Self { spec: Arc::new(spec), ..self.clone() }
    }

    /// One model of two: the networks of this one, and those of `other` after them, which are all to read something. Of one
    /// recording, both are shown in one proof.
    ///
    /// Nothing in either is changed, so the joined model says what they say. The constants are those of this model and after
    /// them those of the other; of the float originals, that of this model is kept.
    ///
    /// # Errors
    /// [`ModelError::Join`] if the other model gives no classes, their rates differ, names of readings are equal, or no recording has a
    /// length that suits both.
    pub fn join(&self, other: &Self, name: &str) -> Result<Self, ModelError> {
        let refuse = |reason: String, help: &'static str| Err(ModelError::Join { reason, help });
        if other.makes_values() {
            let reason = format!("{:?} gives no classes, and only the first model may be such", other.name());
            return refuse(reason, "give the speaker model first, then models that were imported with --labels");
        }
        let [rate, other_rate] = [self, other].map(|model| model.spec.sample_rate());
        if rate != other_rate {
            let reason = format!("one takes recordings of {rate} Hz, the other of {other_rate} Hz");
            return refuse(reason, "import one of them with a front end of the other's rate");
        }
        let names = |model: &Self| -> Vec<String> { model.spec.readings().map(|r| r.branch.name.clone()).collect() };
        let own = names(self);
        if let Some(twice) = names(other).into_iter().find(|name| own.contains(name)) {
            return refuse(format!("both have a network {twice:?}"), "import one of them with another --name");
        }
        if self.spec.branches().count() + other.spec.branches().count() > MAX_READINGS {
            let reason = format!("together they have more than {MAX_READINGS} networks");
            return refuse(reason, "make two models of them");
        }
        let [spec, others] = [&*self.spec, &*other.spec];
        let min_samples = spec.min_samples.max(others.min_samples);
        let max_samples = spec.max_samples.min(others.max_samples);
        if min_samples > max_samples {
            let reason = format!("no recording has at least {min_samples} and at most {max_samples} samples");
            return refuse(reason, "import one of them for recordings of other lengths");
        }
        let first_constant = self.constants.len() as u32;
        let moved = |branch: &Branch| Branch {
            first_constant: branch.first_constant.saturating_add(first_constant),
            ..branch.clone()
        };
        let constants: Vec<Arc<IntTable>> = self.constants.iter().chain(&*other.constants).cloned().collect();
        let spec = Spec {
            name: name.to_owned(),
            first: spec.first.clone(),
            others: spec.others.iter().cloned().chain(others.branches().map(moved)).collect(),
            min_samples,
            max_samples,
            weight_width_vars: weight_width_vars(&constants),
        };
        spec.check_limits()?;
        spec.lower(min_samples as usize, &spec.whole_tail(Some(1)))?;
        Ok(Self { spec: Arc::new(spec), constants: Arc::new(constants), onnx: self.onnx.clone() })
    }
}
