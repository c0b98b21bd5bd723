//! The soundness ledger as text and as JSON.

use serde_json::{Value, json};
use voxcheck::gkr::ledger::{GROUP_BITS, GROUP_SOURCE, Ledger, Term};
use voxcheck::gkr::pcs::hyrax::default_rounds;
use voxcheck::layers::score::THRESHOLD_ONE;
use voxcheck::model::{Spec, Tail};
use voxcheck::proof::Mode;

/// The tail of a proof that shows no more than the decision, and what a recording says.
pub fn decision(spec: &Spec) -> Tail {
    spec.whole_tail(Some(THRESHOLD_ONE))
}

/// The ledger of a specification for a number of samples; none if it takes no such recording.
pub fn of_spec(spec: &Spec, samples: usize, tail: &Tail, mode: Mode) -> Option<Ledger> {
    let lowered = spec.lower(samples, tail).ok()?;
    let rounds = default_rounds(lowered.program.max_width_vars());
    let ledger = match mode {
        Mode::Clear => Ledger::new(&lowered.program, rounds),
        Mode::Zk => Ledger::hiding(&lowered.program, rounds),
    };
    ledger.ok()
}

/// As a JSON value.
pub fn to_json(ledger: &Ledger, samples: usize) -> Value {
    let term = |term: &Term| {
        json!({
            "name": term.name,
            "formula": term.formula,
            "values": term.values,
            "count": term.count,
            "log2": term.log2(),
        })
    };
    let log2: serde_json::Map<String, Value> =
        ledger.terms().iter().map(|term| (term.name.clone(), json!(term.log2()))).collect();
    json!({
        "samples": samples,
        "statistical_log2": ledger.log2(),
        "terms_log2": log2,
        "terms": ledger.terms().iter().map(term).collect::<Vec<_>>(),
        "challenges": ledger.challenges(),
        "group_bits": GROUP_BITS,
        "group_source": GROUP_SOURCE,
    })
}

/// As lines of text.
pub fn to_text(ledger: &Ledger, samples: usize) -> String {
    let bound = ledger.log2().ceil();
    let mut text = format!(
        "  soundness  statistical error below 2^{bound:.0} an attempt, for {samples} samples: the sum, divided by |F|, of"
    );
    let width = ledger.terms().iter().map(|term| term.name.chars().count()).max().unwrap_or(0);
    for term in ledger.terms() {
        let (name, log2) = (&term.name, term.log2());
        text += &format!("\n             2^{log2:<7.1} {name:<width$}  {}, {}", term.formula, term.values);
    }
    format!("{text}\n{}", group_text())
}

/// What is said where a ledger cannot be computed.
pub fn unknown(help: &str) -> String {
    format!("  soundness  statistical error: {help}\n{}", group_text())
}

fn group_text() -> String {
    format!("             group: about {GROUP_BITS} bits ({GROUP_SOURCE})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxcheck::Model;

    #[test]
    fn the_bundled_model_is_far_below_what_the_group_gives() {
        let model = Model::bundled().unwrap();
        let of = |samples| of_spec(model.spec(), samples, &decision(model.spec()), Mode::Zk).unwrap();
        let (short, longest) = (of(48_000), of(model.max_samples()));
        assert!(short.log2() < longest.log2() && longest.log2() < -200.0, "{}", longest.log2());
        // Not a loose bound either: with 2^17 to 2^25 leaves it cannot be less.
        assert!((-240.0..-230.0).contains(&short.log2()), "{}", short.log2());
        assert!(of_spec(model.spec(), model.max_samples() + 1, &decision(model.spec()), Mode::Zk).is_none());
    }

    #[test]
    fn every_term_is_printed_with_its_formula() {
        let model = Model::bundled().unwrap();
        let ledger = of_spec(model.spec(), model.min_samples(), &decision(model.spec()), Mode::Zk).unwrap();
        let (text, value) = (to_text(&ledger, 7), to_json(&ledger, 7));
        assert_eq!(value["terms"].as_array().unwrap().len(), ledger.terms().len());
        for term in ledger.terms() {
            assert!(text.contains(&format!("{}, {}", term.formula, term.values)), "{}", term.name);
        }
        assert!(text.contains("about 100 bits") && value["group_bits"] == 100);
        assert!(value["statistical_log2"].as_f64().unwrap() < -200.0);
    }
}
