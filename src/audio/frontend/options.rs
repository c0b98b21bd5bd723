//! `NAME:OPTION=VALUE,OPTION=VALUE`: how presets are spelled.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Why a text names no front end.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrontEndError {
    /// There is no such preset.
    #[error("no preset `{name}`; known are {known}")]
    UnknownPreset {
        /// The name.
        name: String,
        /// Those that exist.
        known: &'static str,
    },
    /// What follows the name is no option.
    #[error("`{text}` in `{name}` is no option: write NAME:OPTION=VALUE,OPTION=VALUE")]
    NoOption {
        /// The preset with its options.
        name: String,
        /// The part that is none.
        text: String,
    },
    /// The preset has no such option, or it is given twice.
    #[error("preset `{preset}` takes no {again}option `{option}`; its options are {known}")]
    UnknownOption {
        /// The preset.
        preset: String,
        /// `second ` if the option exists.
        again: &'static str,
        /// The option.
        option: String,
        /// Those that exist.
        known: String,
    },
    /// The option has no such value.
    #[error("option `{option}` of `{preset}` cannot be `{value}`; it can be {known}")]
    UnknownValue {
        /// The preset.
        preset: String,
        /// The option.
        option: String,
        /// The value.
        value: String,
        /// Those that it can have.
        known: String,
    },
}

/// A preset with its options.
pub(super) fn spell(preset: &str, options: &[String]) -> String {
    if options.is_empty() { preset.to_owned() } else { format!("{preset}:{}", options.join(",")) }
}

/// The options of a preset, which are taken one by one.
pub(super) struct Options<'a> {
    preset: &'a str,
    given: Vec<(&'a str, &'a str)>,
    /// Options that were asked for.
    known: Vec<&'static str>,
}

impl<'a> Options<'a> {
    pub(super) fn parse(name: &'a str) -> Result<Self, FrontEndError> {
        let Some((preset, options)) = name.split_once(':') else {
            return Ok(Self { preset: name, given: Vec::new(), known: Vec::new() });
        };
        let pair = |text: &'a str| {
            let pair = text.split_once('=').filter(|(option, value)| !option.is_empty() && !value.is_empty());
            pair.ok_or_else(|| FrontEndError::NoOption { name: name.to_owned(), text: text.to_owned() })
        };
        Ok(Self { preset, given: options.split(',').map(pair).collect::<Result<_, _>>()?, known: Vec::new() })
    }

    /// The name before the options.
    pub(super) fn preset(&self) -> &'a str {
        self.preset
    }

    /// Takes the value of an option.
    pub(super) fn text(&mut self, option: &'static str) -> Option<&'a str> {
        self.known.push(option);
        let at = self.given.iter().position(|(given, _)| *given == option)?;
        Some(self.given.remove(at).1)
    }

    /// Whether an option is the second of two values; without it, it is the first.
    pub(super) fn choice(&mut self, option: &'static str, values: [&str; 2]) -> Result<bool, FrontEndError> {
        match self.text(option) {
            None => Ok(false),
            Some(value) if value == values[0] => Ok(false),
            Some(value) if value == values[1] => Ok(true),
            Some(value) => Err(self.refused(option, value, format!("{} or {}", values[0], values[1]))),
        }
    }

    /// An option that is a number, in the one way to write it.
    pub(super) fn number(
        &mut self,
        option: &'static str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, FrontEndError> {
        let Some(value) = self.text(option) else { return Ok(default) };
        let number = value.parse().ok().filter(|number: &usize| range.contains(number) && number.to_string() == value);
        number.ok_or_else(|| self.refused(option, value, format!("{} to {}", range.start(), range.end())))
    }

    /// The error for a value that an option cannot have.
    pub(super) fn refused(&self, option: &str, value: &str, known: String) -> FrontEndError {
        let (preset, option, value) = (self.preset.to_owned(), option.to_owned(), value.to_owned());
        FrontEndError::UnknownValue { preset, option, value, known }
    }

    /// Another preset with all options that were not taken.
    pub(super) fn rest_for(&mut self, preset: &str) -> String {
        let options: Vec<String> = self.given.drain(..).map(|(option, value)| format!("{option}={value}")).collect();
        spell(preset, &options)
    }

    /// Refuses options that were not taken.
    pub(super) fn finish(self) -> Result<(), FrontEndError> {
        let Some((option, _)) = self.given.first() else { return Ok(()) };
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        let again = if self.known.contains(option) { "second " } else { "" };
        Err(FrontEndError::UnknownOption { preset: self.preset.to_owned(), again, option: (*option).to_owned(), known })
    }
}
