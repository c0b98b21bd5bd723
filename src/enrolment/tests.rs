//! Cheating enrolments, and recordings that are none.

use super::*;
use crate::model::Model;
use crate::proof::setup;

fn wav(seed: i32) -> Wav {
    Wav { sample_rate: 16_000, samples: (0..9_000).map(|i| ((i * i % 97 + seed) * 150 - 7_000) as i16).collect() }
}

/// Proves a template, whatever it is of, of recordings, whatever they are.
fn prove(pk: &ProvingKey, recordings: &[Wav], values: Vec<i16>) -> (Template, Enrolment) {
    let (audio, secrets): (Vec<_>, Vec<_>) = recordings.iter().map(|wav| pk.commit_audio(wav).unwrap()).unzip();
    let (mut template, mut secret) = pk.template_of(values, 1 << 14, Blinds::random(1).unwrap());
    (template.recordings, secret.recordings) = (audio, secrets);
    let samples: Vec<&[i16]> = recordings.iter().map(|wav| &*wav.samples).collect();
    let (lowered, inputs) = pk.enrolment_inputs(&samples, &template, &secret).unwrap();
    let constants = pk.model().constants();
    let run = Trace::run_tampered(&lowered.program, &lowered.recipes, &inputs, constants, &mut |_, _| ());
    let enrolment = pk.argue_enrolment(&template, &secret, &lowered.program, &run.unwrap()).unwrap();
    (template, enrolment)
}

#[test]
fn a_template_of_something_else_is_refused() {
    let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
    let recordings = [wav(0), wav(3)];
    let values = pk.average(&recordings).unwrap();
    let refused = |recordings: &[Wav], values: Vec<i16>| {
        let (template, enrolment) = prove(&pk, recordings, values);
        vk.verify_enrolment(&template, &enrolment).is_err()
    };
    // The dishonest prover is believed when nothing is wrong.
    assert!(!refused(&recordings, values.clone()));
    for (place, change) in [(0, 1), (values.len() - 1, -1), (7, 300)] {
        let mut others = values.clone();
        others[place] += change;
        assert!(refused(&recordings, others), "{place}, {change}");
    }
    assert!(refused(&recordings, pk.average(&recordings[..1]).unwrap()));
    assert!(refused(&recordings, values.iter().map(|v| -v).collect()));
    assert!(refused(&recordings, vec![0; values.len()]));
}

#[test]
fn one_recording_given_twice_is_refused() {
    let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
    let (template, enrolment) = prove(&pk, &[wav(3)], pk.average(&[wav(3)]).unwrap());
    assert_eq!(vk.verify_enrolment(&template, &enrolment), Ok(()));
    // Its average with itself is itself, up to rounding: what it is, is found first.
    let twice = [wav(3), wav(3)];
    assert!(pk.enrol(&twice, 0.5).is_err());
    let lowered = pk.model().spec().lower_enrolment(&[9_000, 9_000], false).unwrap();
    let inputs = samples_tables(&lowered.program, &[&twice[0].samples, &twice[1].samples]);
    let (program, constants) = (&lowered.program, pk.model().constants());
    let trace = Trace::run_tampered(program, &lowered.recipes, &inputs, constants, &mut |_, _| ()).unwrap();
    let values = integers(trace.get(lowered.embedding)).into_iter().map(|v| v as i16).collect();
    let (template, enrolment) = prove(&pk, &twice, values);
    assert!(vk.verify_enrolment(&template, &enrolment).is_err());
    // One sample makes the difference.
    let mut other = wav(3);
    other.samples[8_999] ^= 1;
    let two = [wav(3), other];
    let (template, enrolment) = prove(&pk, &two, pk.average(&two).unwrap());
    assert_eq!(vk.verify_enrolment(&template, &enrolment), Ok(()));
}

#[test]
fn silence_is_refused() {
    let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
    let silent = Wav { sample_rate: 16_000, samples: vec![0; 9_000] };
    assert!(pk.enrol(std::slice::from_ref(&silent), 0.5).is_err());
    let values = pk.average(std::slice::from_ref(&silent)).unwrap();
    let (template, enrolment) = prove(&pk, &[silent], values);
    assert!(vk.verify_enrolment(&template, &enrolment).is_err());
}

/// Whoever demands that replays are refused is not content with a policy about no recording.
#[test]
fn a_policy_about_no_recording_refuses_nothing() {
    let (pk, _) = setup(&Model::bundled().unwrap()).unwrap();
    let (mut template, _) = pk.template_of(vec![1; 128], 1 << 14, Blinds::random(1).unwrap());
    template.refuse_replays = true;
    assert!(!template.refuses_replays());
    template.recordings.push(pk.commit_audio(&wav(0)).unwrap().0);
    assert!(template.refuses_replays());
}

#[test]
fn a_proof_is_of_one_template() {
    let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
    let values = pk.average(&[wav(1)]).unwrap();
    let (template, enrolment) = prove(&pk, &[wav(1)], values);
    assert_eq!(vk.verify_enrolment(&template, &enrolment), Ok(()));
    type Change = fn(&mut Template);
    let changes: [(&str, Change); 10] = [
        ("model", |t| t.model[0] ^= 1),
        ("threshold", |t| t.threshold += 1),
        ("no threshold", |t| t.threshold = 0),
        ("label", |t| t.label = "Eve".into()),
        ("policy", |t| t.refuse_replays = true),
        ("no recording", |t| t.recordings.clear()),
        ("a recording more", |t| t.recordings.push(t.recordings[0].clone())),
        ("recording", |t| t.recordings[0].rows.swap(0, 1)),
        ("length", |t| t.recordings[0].num_samples -= 1),
        ("rate", |t| t.recordings[0].sample_rate *= 2),
    ];
    for (name, change) in changes {
        let mut other = template.clone();
        change(&mut other);
        assert!(vk.verify_enrolment(&other, &enrolment).is_err(), "{name}");
        // And where the proof says that it is about the other one.
        let moved = Enrolment { template: other.id().digest, ..enrolment.clone() };
        assert!(vk.verify_enrolment(&other, &moved).is_err(), "{name}, moved");
    }
    for place in (0..enrolment.argument.len()).step_by(997) {
        let mut changed = enrolment.clone();
        changed.argument[place] ^= 1;
        assert!(vk.verify_enrolment(&template, &changed).is_err(), "byte {place}");
    }
}
