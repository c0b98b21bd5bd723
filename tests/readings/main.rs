//! What was said: models that give a class, alone and beside a voice, from samples to a verdict.

#[path = "../cli_common/mod.rs"]
mod cli_common;

mod cli;
#[path = "../common/data.rs"]
mod shared;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use shared::data;
use voxcheck::audio::FrontEnd;
use voxcheck::audio::wav::{self, Wav};
use voxcheck::error::ModelError;
use voxcheck::gkr::trace::Trace;
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Network, Node, NodeRef, Op};
use voxcheck::model::{Tail, integers, samples_table};
use voxcheck::proof::{Expected, Proof, ProveError, ProveOptions, Reading, Reveal, Said};
use voxcheck::{Context, Model, ProvingKey, Verdict, VerifyingKey, setup};

/// Samples of a window of the small model.
const WINDOW: usize = 4_000;

fn demo(name: &str) -> Wav {
    wav::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name)).unwrap()
}

/// The first second and a half: everything that matters, in half the time.
fn short(name: &str) -> Wav {
    let mut wav = demo(name);
    wav.samples.truncate(24_000);
    wav
}

fn labels(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&label| label.to_owned()).collect()
}

/// A network that takes the mean of ten coefficients over a window, and a softmax of three of their differences.
fn network() -> Network {
    let node = |name: &str, op, input| Node { name: name.into(), op, inputs: vec![input] };
    let weight = FloatMatrix::from_fn(10, 3, |row, class| f64::from(i8::from(row == class + 1)));
    let dense = Op::Dense { weight, bias: vec![0.0; 3] };
    let nodes = vec![
        node("mean", Op::MeanPool, NodeRef::Input),
        node("logits", dense, NodeRef::Node(0)),
        node("probabilities", Op::Softmax, NodeRef::Node(1)),
    ];
    Network::new(10, nodes)
}

/// A model that reads one of three classes.
fn word() -> &'static Model {
    static WORD: OnceLock<Model> = OnceLock::new();
    WORD.get_or_init(|| {
        let builder = Model::from_network(network(), "word").front_end(FrontEnd::kws10()).window(WINDOW).bits(12);
        let clips = ["slt_1.wav", "awb_1.wav"].map(|name| demo(name).samples);
        builder.labels(labels(&["low", "middle", "high"])).calibrate(&clips).unwrap()
    })
}

fn keys() -> &'static (ProvingKey, VerifyingKey) {
    static KEYS: OnceLock<(ProvingKey, VerifyingKey)> = OnceLock::new();
    KEYS.get_or_init(|| setup(word()).unwrap())
}

/// Speaker and word in one model.
fn both() -> &'static (ProvingKey, VerifyingKey) {
    static BOTH: OnceLock<(ProvingKey, VerifyingKey)> = OnceLock::new();
    BOTH.get_or_init(|| setup(&Model::bundled().unwrap().join(word(), "both").unwrap()).unwrap())
}

fn said(label: &str) -> [Said; 1] {
    [Said::parse(label)]
}

#[test]
fn what_was_said_is_proved_without_a_template() {
    let (pk, vk) = keys();
    let (context, wav) = (Context::new(*b"nonce"), short("slt_3.wav"));
    let windows = [8_000];
    let options = ProveOptions { windows: &windows, ..ProveOptions::default() };
    let (proof, report) = pk.prove_readings(&wav, &context, &options).unwrap();
    let proof = Proof::from_bytes(&proof.to_bytes()).unwrap();
    let key = VerifyingKey::from_bytes(&vk.to_bytes()).unwrap();
    assert_eq!(key.verify(proof.statement(), &proof), Ok(Verdict::Accept));
    let statement = proof.statement();
    assert_eq!((statement.template(), statement.threshold(), statement.score()), (None, None, None));
    assert_eq!(statement.readings(), &report.readings[..]);
    assert_eq!(statement.readings()[0].start, 8_000);

    let reading = key.spec().readings().next().unwrap();
    let label = reading.label(statement.readings()[0].class).unwrap();
    let check = |says: &[Said]| {
        let expected = Expected { says, ..Expected::without_template(&context) };
        key.check_statement(statement, &expected).map_err(|mismatch| mismatch.field)
    };
    assert_eq!(check(&[]), Ok(()));
    assert_eq!(check(&said(label)), Ok(()));
    assert_eq!(check(&said(&format!("word={label}"))), Ok(()));
    for other in ["low", "middle", "high", "nothing"].into_iter().filter(|&other| other != label) {
        assert_eq!(check(&said(other)), Err("reading"));
    }
    assert_eq!(check(&said(&format!("another={label}"))), Err("reading"));
    // Whoever demands a voice is not content with a word.
    let (template, _) = both().0.enrol(&[short("slt_1.wav")], 0.5).unwrap();
    assert_eq!(
        key.check_statement(statement, &Expected::new(&template, &context)).map_err(|mismatch| mismatch.field),
        Err("template")
    );
}

#[test]
fn the_class_is_that_of_the_float_network_wherever_the_window_is() {
    let model = word();
    let mut found = [0; 3];
    for name in ["slt_1.wav", "awb_2.wav", "rms_3.wav", "kal16_4.wav"] {
        let wav = demo(name);
        for start in (0..wav.samples.len() - WINDOW).step_by(3_001) {
            let network = network().logits();
            assert_eq!(network.nodes.len(), 2, "the softmax is left out");
            let input = voxcheck::audio::float::network_input(model.front_end(), &wav.samples[start..start + WINDOW]);
            let input = input.unwrap();
            let float = network.execute(&input.features, input.sequence_length).unwrap().pop().unwrap().data;
            let class = model.read_windows(&wav.samples, &[start as u32]).unwrap()[0].class as usize;
            let largest = float.iter().copied().fold(f64::MIN, f64::max);
            let scale = float.iter().fold(0f64, |most, value| most.max(value.abs()));
            // The one of the float network, or one that is as large but for rounding.
            assert!(largest - float[class] <= 0.01 * scale, "{name} at {start}: {class} of {float:?}");
            found[class] += 1;
        }
    }
    assert!(found.iter().filter(|&&count| count > 0).count() >= 2, "{found:?}");
}

/// Rows of the recording are shorter where a window does not start at a multiple of the usual length, and nothing else is.
#[test]
fn logits_do_not_depend_on_how_the_recording_is_cut() {
    let model = word();
    let wav = short("slt_2.wav");
    for start in [0u32, 1, 2, 3, 4, 8, 16, 32, 64, 96, 4_001, 20_000] {
        for class in 0..3 {
            let tail = Tail { readings: vec![Reading { class, start }], ..Tail::default() };
            let lowered = model.spec().lower(wav.samples.len(), &tail).unwrap();
            let samples = Arc::new(samples_table(&lowered.program, &wav.samples));
            let trace = Trace::run(&lowered.program, &lowered.recipes, &[samples], model.constants());
            let expected = model.logits(0, &wav.samples, start as usize).unwrap();
            let most = expected.iter().max().unwrap();
            let is_class = expected.iter().position(|value| value == most) == Some(class as usize);
            assert_eq!(trace.is_ok(), is_class, "class {class} at {start}");
            if let Ok(trace) = trace {
                trace.check(&lowered.program).unwrap();
                assert_eq!(integers(trace.get(lowered.embedding)), expected, "{start}");
            }
        }
    }
}

#[test]
fn a_voice_and_a_word_of_one_recording_are_one_proof() {
    let (pk, vk) = both();
    let context = Context::new(*b"nonce");
    let template = pk.enrol(&[short("slt_1.wav"), short("slt_2.wav")], 0.66).unwrap();
    for (name, verdict, start) in [("slt_3.wav", Verdict::Accept, 6_401), ("rms_1.wav", Verdict::Reject, 0)] {
        let wav = short(name);
        let windows = [start];
        let options = ProveOptions { windows: &windows, reveal: Reveal::Score, ..ProveOptions::default() };
        let (proof, report) = pk.prove_with(&wav, &template.0, &template.1, &context, &options).unwrap();
        assert_eq!(vk.verify(proof.statement(), &proof), Ok(verdict), "{name}");
        // Both say what their models say alone.
        assert_eq!(report.embedding, Model::bundled().unwrap().embed(&wav.samples).unwrap());
        assert_eq!(report.readings, word().read_windows(&wav.samples, &windows).unwrap());
        assert_eq!(proof.statement().readings(), &report.readings[..]);
        let reading = vk.spec().readings().next().unwrap();
        let says = said(reading.label(report.readings[0].class).unwrap());
        let expected = Expected { says: &says, ..Expected::new(&template.0, &context) };
        assert_eq!(vk.check_statement(proof.statement(), &expected), Ok(()));
        // A template is needed, and one of the speaker's own model is another's.
        assert!(matches!(pk.prove_readings(&wav, &context, &options), Err(ProveError::Mismatch(_))));
        let (alone, _) = setup(&Model::bundled().unwrap()).unwrap();
        assert!(alone.prove(&wav, &template, &context).is_err());
    }
}

#[test]
fn an_enrolment_with_both_networks_is_proved() {
    use voxcheck::proof::EnrolOptions;
    let (pk, vk) = both();
    let wavs = [short("slt_1.wav"), short("slt_2.wav")];
    let options = EnrolOptions { name_recordings: true, ..EnrolOptions::default() };
    let (template, secret) = pk.enrol_with(&wavs, &options).unwrap();
    let enrolment = pk.prove_enrolment(&wavs, &template, &secret).unwrap();
    assert_eq!(vk.verify_enrolment(&template, &enrolment), Ok(()));
}

#[test]
fn files_of_such_models_are_read_back_and_private_keys_hide_both_networks() {
    for model in [word(), both().0.model()] {
        let copy = Model::from_bytes(&model.to_bytes()).unwrap();
        assert_eq!((copy.spec(), copy.id()), (model.spec(), model.id()));
    }
    let other = word().named("renamed");
    assert_ne!(other.id(), word().id());
    assert_eq!(Model::from_bytes(&other.to_bytes()).unwrap().id(), other.id());

    let (pk, vk, _) = voxcheck::proof::setup_private(both().0.model()).unwrap();
    let vk = VerifyingKey::from_bytes(&vk.to_bytes()).unwrap();
    let template = pk.enrol(&[short("slt_1.wav")], 0.5).unwrap();
    let (statement, proof) = pk.prove(&short("slt_3.wav"), &template, &Context::default()).unwrap();
    assert_eq!(vk.verify(&statement, &proof), Ok(statement.verdict()));
}

#[test]
fn windows_are_within_the_recording_and_one_for_each_reading() {
    let (pk, _) = keys();
    let wav = short("slt_3.wav");
    let last = (wav.samples.len() - WINDOW) as u32;
    let prove = |windows: &[u32]| {
        let options = ProveOptions { windows, ..ProveOptions::default() };
        pk.prove_readings(&wav, &Context::default(), &options).map(|(proof, _)| proof.statement().readings()[0].start)
    };
    assert_eq!(prove(&[last]).unwrap(), last);
    assert_eq!(prove(&[]).unwrap(), 0);
    for windows in [&[last + 1][..], &[u32::MAX], &[0, 0]] {
        let error = prove(windows).unwrap_err();
        assert!(matches!(error, ProveError::Model(ModelError::Window { .. })), "{error}");
    }
    let short = Wav { samples: wav.samples[..WINDOW - 1].to_vec(), ..wav.clone() };
    assert!(pk.prove_readings(&short, &Context::default(), &ProveOptions::default()).is_err());
    for reveal in [Reveal::Score, Reveal::Embedding] {
        let options = ProveOptions { reveal, ..ProveOptions::default() };
        assert!(matches!(pk.prove_readings(&wav, &Context::default(), &options), Err(ProveError::Mismatch(_))));
    }
}

#[test]
fn a_word_has_no_embedding_and_is_not_enrolled_with() {
    let (pk, _) = keys();
    let wav = short("slt_1.wav");
    let no_voice = |error: &ModelError| matches!(error, ModelError::NoVoice { readings } if readings == &["word"]);
    assert!(no_voice(&word().embed(&wav.samples).unwrap_err()));
    let Err(ProveError::Model(error)) = pk.enrol(&[wav], 0.5) else { panic!("nobody is enrolled") };
    assert!(no_voice(&error));
    assert!(error.to_string().contains("voxcheck model join"), "{error}");
}

#[test]
fn labels_name_every_class_once() {
    let clips = [demo("slt_1.wav").samples];
    let with = |names: &[&str]| {
        let builder = Model::from_network(network(), "word").front_end(FrontEnd::kws10()).bits(12);
        builder.labels(labels(names)).calibrate(&clips)
    };
    assert!(with(&["a", "b", "c"]).is_ok());
    let long = "x".repeat(65);
    for names in [&["a", "b"][..], &["a", "b", "c", "d"], &["a", "b", "a"], &["a", "", "c"], &["a", "b", &long], &[]] {
        let error = with(names).unwrap_err();
        assert!(matches!(error, ModelError::Labels { .. }), "{names:?}: {error}");
    }
    // The usual window is a second.
    assert_eq!(with(&["a", "b", "c"]).unwrap().min_samples(), 16_000);
}

#[test]
fn models_that_do_not_go_together_are_not_joined() {
    let bundled = Model::bundled().unwrap();
    let join = |first: &Model, other: &Model| first.join(other, "both").unwrap_err().to_string();
    assert!(join(word(), &bundled).contains("speaker model first"));
    assert!(join(&bundled, &bundled).contains("speaker model first"));
    assert!(join(word(), word()).contains("--name"));
    assert!(join(both().0.model(), word()).contains("--name"));
}

/// MLPerf Tiny keyword spotting: the class is that of the reference, and of the float network on other windows.
#[test]
fn keyword_spotting_says_what_its_reference_says() {
    let Some(data) = data() else { return };
    let names = ["1688-142285-0000", "1998-15444-0000", "1737-142396-0000", "1963-142393-0000", "2391-145015-0000"];
    let path = |name: &str| {
        let [speaker, impostor] = ["speakers", "impostors"].map(|kind| data.join(format!("wav/{kind}/{name}.wav")));
        if speaker.exists() { speaker } else { impostor }
    };
    let clips: Vec<Wav> = names.iter().map(|name| wav::read(path(name)).unwrap()).collect();
    let all = "down,go,left,no,off,on,right,stop,up,yes,silence,unknown";
    let builder = Model::from_onnx(data.join("models/kws_dscnn.onnx")).unwrap().front_end(FrontEnd::kws10());
    let samples: Vec<Vec<i16>> = clips.iter().map(|clip| clip.samples.clone()).collect();
    let model = builder.labels(all.split(',').map(str::to_owned).collect()).calibrate(&samples).unwrap();
    assert_eq!((model.min_samples(), model.has_voice()), (16_000, false));

    let bytes = std::fs::read(data.join("reference/kws/kws_reference.safetensors")).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, clip) in names.iter().zip(&clips) {
        // The reference is of the second second.
        let found = model.read_windows(&clip.samples, &[16_000]).unwrap()[0].class;
        let floats = reference.tensor(&format!("{name}.prob")).unwrap();
        let floats: Vec<f32> =
            floats.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let expected = (0..floats.len()).max_by(|&a, &b| floats[a].total_cmp(&floats[b]));
        assert_eq!(Some(found as usize), expected, "{name}");
        for start in (0..clip.samples.len() - 16_000).step_by(4_000) {
            let found = model.read_windows(&clip.samples, &[start as u32]).unwrap()[0].class as usize;
            let float = model.embed_float(&clip.samples[start..]).unwrap().unwrap();
            let largest = float.iter().copied().fold(f64::MIN, f64::max);
            assert!(largest - float[found] <= 0.02 * largest.abs().max(1.0), "{name} at {start}: {found} of {float:?}");
        }
    }

    let both = Model::bundled().unwrap().join(&model, "speaker and word").unwrap();
    let (pk, vk) = setup(&both).unwrap();
    let speech = |clip: &Wav| Wav { samples: clip.samples[..40_000].to_vec(), ..clip.clone() };
    let template = pk.enrol(&[speech(&clips[0])], 0.5).unwrap();
    let windows = [16_000];
    let options = ProveOptions { windows: &windows, ..ProveOptions::default() };
    let probe = speech(&clips[1]);
    let (proof, _) = pk.prove_with(&probe, &template.0, &template.1, &Context::default(), &options).unwrap();
    assert_eq!(vk.verify(proof.statement(), &proof), Ok(proof.statement().verdict()));
    let says = said("unknown");
    let context = Context::default();
    let expected = Expected { says: &says, ..Expected::new(&template.0, &context) };
    assert_eq!(vk.check_statement(proof.statement(), &expected), Ok(()));
}
