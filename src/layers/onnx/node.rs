//! One node of the graph, with attributes that are read strictly.

use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::error::ModelError;

/// A node and what error messages say about it.
pub(super) struct NodeView<'a> {
    proto: &'a NodeProto,
    /// Its name, or that of its first output.
    pub(super) name: String,
    /// Operator-set version of the model.
    pub(super) opset: i64,
}

impl<'a> NodeView<'a> {
    pub(super) fn new(proto: &'a NodeProto, index: usize, opset: i64) -> Self {
        let name = proto.name.iter().chain(&proto.output).find(|name| !name.is_empty());
        Self { proto, name: name.cloned().unwrap_or_else(|| format!("#{index}")), opset }
    }

    /// The operator, with its domain unless that is the default one.
    pub(super) fn operator(&self) -> String {
        let operator = self.proto.op_type.as_deref().unwrap_or_default();
        match self.proto.domain.as_deref().unwrap_or_default() {
            "" | "ai.onnx" => operator.into(),
            domain => format!("{domain}.{operator}"),
        }
    }

    /// Its name, operator and operator set, for messages.
    pub(super) fn described(&self) -> String {
        format!("{}, {} (opset {})", self.name, self.operator(), self.opset)
    }

    /// Name of input `index`; `None` if it is left out.
    pub(super) fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Name of an input that must be there.
    pub(super) fn required_input(&self, index: usize) -> Result<&'a str, ModelError> {
        self.input(index).ok_or_else(|| self.malformed(format!("has no input {index}")))
    }

    /// Number of inputs, left-out ones before the last included.
    pub(super) fn num_inputs(&self) -> usize {
        self.proto.input.len()
    }

    /// Refuses more than `max` inputs.
    pub(super) fn at_most_inputs(&self, max: usize) -> Result<(), ModelError> {
        match self.num_inputs() {
            count if count > max => Err(self.malformed(format!("has {count} inputs, not {max}"))),
            _ => Ok(()),
        }
    }

    /// Names of the outputs; empty ones are not wanted.
    pub(super) fn outputs(&self) -> &'a [String] {
        &self.proto.output
    }

    /// Refuses attributes that are not in `known`, and attributes given twice.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ModelError> {
        for (index, attribute) in self.proto.attribute.iter().enumerate() {
            let name = attribute.name.as_deref().unwrap_or_default();
            if !known.contains(&name) {
                let help = "export the model without it";
                return Err(self.refuse(name, "a value", help));
            }
            if self.proto.attribute[..index].iter().any(|other| other.name == attribute.name) {
                return Err(self.malformed(format!("has attribute {name} twice")));
            }
        }
        Ok(())
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    /// Whether the attribute is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer attribute.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, ModelError> {
        let Some(attribute) = self.attribute(name) else {
            return Ok(default);
        };
        attribute.i.ok_or_else(|| self.wrong_type(name))
    }

    /// Refuses an integer attribute that is not `only`, which is also its default.
    pub(super) fn int_only(&self, name: &str, only: i64, help: &str) -> Result<(), ModelError> {
        match self.int(name, only)? {
            value if value == only => Ok(()),
            value => Err(self.refuse(name, value, help)),
        }
    }

    /// A list of integers.
    pub(super) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    /// A finite number.
    pub(super) fn float(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        let Some(attribute) = self.attribute(name) else {
            return Ok(default);
        };
        let value = attribute.f.filter(|value| value.is_finite());
        value.map(f64::from).ok_or_else(|| self.wrong_type(name))
    }

    /// Finite numbers; `None` if the attribute is left out.
    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f64>>, ModelError> {
        let Some(attribute) = self.attribute(name) else {
            return Ok(None);
        };
        if attribute.floats.iter().all(|value| value.is_finite()) {
            return Ok(Some(attribute.floats.iter().copied().map(f64::from).collect()));
        }
        Err(self.wrong_type(name))
    }

    /// A string.
    pub(super) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, ModelError> {
        let Some(attribute) = self.attribute(name) else {
            return Ok(default);
        };
        let bytes = attribute.s.as_deref().ok_or_else(|| self.wrong_type(name))?;
        std::str::from_utf8(bytes).map_err(|_| self.wrong_type(name))
    }

    /// A list of strings; unreadable ones are empty.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<&'a str>> {
        let strings = &self.attribute(name)?.strings;
        Some(strings.iter().map(|bytes| std::str::from_utf8(bytes).unwrap_or_default()).collect())
    }

    /// A tensor.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, ModelError> {
        let Some(attribute) = self.attribute(name) else {
            return Ok(None);
        };
        attribute.t.as_ref().map(Some).ok_or_else(|| self.wrong_type(name))
    }

    /// A branch.
    pub(super) fn graph(&self, name: &str) -> Result<&'a GraphProto, ModelError> {
        let graph = self.attribute(name).and_then(|attribute| attribute.g.as_ref());
        graph.ok_or_else(|| self.malformed(format!("has no {name}")))
    }

    /// The operator is not supported, at least not here.
    pub(super) fn unsupported(&self, help: impl Into<String>) -> ModelError {
        ModelError::UnsupportedOperator {
            node: self.name.clone(),
            operator: self.operator(),
            opset: self.opset,
            help: help.into(),
        }
    }

    /// The operator is supported, this setting is not.
    pub(super) fn refuse(&self, attribute: &str, value: impl ToString, help: &str) -> ModelError {
        ModelError::UnsupportedAttribute {
            node: self.name.clone(),
            operator: format!("{} (opset {})", self.operator(), self.opset),
            attribute: attribute.into(),
            value: value.to_string(),
            help: help.into(),
        }
    }

    /// The node contradicts the format.
    pub(super) fn malformed(&self, reason: impl AsRef<str>) -> ModelError {
        let reason = format!("{} node {:?} {}", self.operator(), self.name, reason.as_ref());
        ModelError::Malformed { reason }
    }

    fn wrong_type(&self, name: &str) -> ModelError {
        self.malformed(format!("has attribute {name} of another type, or not finite"))
    }
}
