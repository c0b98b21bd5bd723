//! What a recording says: the classes of its windows.

use super::{Classifier, Model, Spec};
use crate::error::ModelError;
use crate::layers::argmax;
use crate::statement::Reading;

impl Spec {
    /// The network that gives class number `reading`.
    pub(crate) fn reading(&self, reading: usize) -> Result<Classifier<'_>, ModelError> {
        self.readings().nth(reading).ok_or_else(|| ModelError::Window {
            reason: format!("the model reads {} things, and none of number {reading}", self.readings().count()),
        })
    }

    /// The starts of windows, one for each reading: those given, or all zero if none is.
    pub(crate) fn window_starts(&self, num_samples: usize, given: &[u32]) -> Result<Vec<u32>, ModelError> {
        let count = self.readings().count();
        let starts = if given.is_empty() { vec![0; count] } else { given.to_vec() };
        if starts.len() != count {
            let reason = format!("there are {} windows for {count} readings", starts.len());
            return Err(ModelError::Window { reason });
        }
        for (reading, &start) in self.readings().zip(&starts) {
            if !reading.fits(num_samples, start) {
                let (name, samples) = (&reading.branch.name, reading.samples);
                let reason = format!(
                    "{name:?} reads {samples} samples from sample {start} on, of a recording of {num_samples} samples"
                );
                return Err(ModelError::Window { reason });
            }
        }
        Ok(starts)
    }
}

impl<'a> Classifier<'a> {
    /// Whether a window that starts at sample `start` is within a recording.
    #[must_use]
    pub fn fits(&self, num_samples: usize, start: u32) -> bool {
        (start as usize).checked_add(self.samples).is_some_and(|end| end <= num_samples)
    }

    /// What class `class` is called.
    #[must_use]
    pub fn label(&self, class: u32) -> Option<&'a str> {
        self.labels.get(class as usize).map(String::as_str)
    }
}

impl Model {
    /// The exact integer logits of reading number `reading` for the window that starts at sample `start`.
    ///
    /// # Errors
    /// If the model has no such reading, or the recording no such window.
    pub fn logits(&self, reading: usize, samples: &[i16], start: usize) -> Result<Vec<i64>, ModelError> {
        let reading = self.spec.reading(reading)?;
        let window = start.checked_add(reading.samples).and_then(|end| samples.get(start..end));
        let window = window.ok_or_else(|| ModelError::Window {
            reason: format!("{} samples from sample {start} on, of {}", reading.samples, samples.len()),
        })?;
        self.branch_values(reading.branch, window)
    }

    /// The classes of all readings, for windows that start at these samples; at sample 0 if none is given.
    ///
    /// # Errors
    /// If there are other windows than readings, or the recording does not have them.
    pub fn read_windows(&self, samples: &[i16], starts: &[u32]) -> Result<Vec<Reading>, ModelError> {
        let starts = self.spec.window_starts(samples.len(), starts)?;
        let read = |(number, start): (usize, u32)| {
            let class = argmax::class_of(&self.logits(number, samples, start as usize)?).unwrap_or_default();
            Ok(Reading { class: class as u32, start })
        };
        starts.into_iter().enumerate().map(read).collect()
    }
}
