//! From the samples of a WAV to a verdict, on the bundled model and voices.

#[path = "common/data.rs"]
mod shared;

use std::path::Path;
use std::sync::OnceLock;

use shared::data;
use voxcheck::audio::wav::{self, Wav};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Conv1d, Network, Node, NodeRef, Op};
use voxcheck::proof::{Expected, Mode, Proof, ProveOptions, Reveal, Template, TemplateSecret};
use voxcheck::{Context, Model, ProvingKey, Verdict, VerifyingKey, setup};

fn demo(name: &str) -> Wav {
    wav::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name)).unwrap()
}

fn keys() -> &'static (ProvingKey, VerifyingKey) {
    static KEYS: OnceLock<(ProvingKey, VerifyingKey)> = OnceLock::new();
    KEYS.get_or_init(|| setup(&Model::bundled().unwrap()).unwrap())
}

fn enrolled() -> &'static (Template, TemplateSecret) {
    static TEMPLATE: OnceLock<(Template, TemplateSecret)> = OnceLock::new();
    TEMPLATE.get_or_init(|| keys().0.enrol(&[demo("slt_1.wav"), demo("slt_2.wav")], 0.66).unwrap())
}

fn prove(wav: &Wav, reveal: Reveal) -> Proof {
    let (template, secret) = enrolled();
    let options = ProveOptions { reveal, ..ProveOptions::default() };
    keys().0.prove_with(wav, template, secret, &Context::new(*b"nonce"), &options).unwrap().0
}

#[test]
fn keys_are_prepared_for_lengths_that_there_are_and_prove_the_same() {
    let (template, secret) = enrolled();
    let (fresh, _) = setup(&Model::bundled().unwrap()).unwrap();
    let wav = short("slt_3.wav");
    assert!(fresh.prepare(10).is_err());
    fresh.prepare(wav.samples.len()).unwrap();
    let options = ProveOptions { mode: Mode::Clear, ..ProveOptions::default() };
    let prove = |key: &ProvingKey| key.prove_with(&wav, template, secret, &Context::default(), &options).unwrap().0;
    assert_eq!(prove(&fresh).to_bytes(), prove(&keys().0).to_bytes());
}

/// The first second and a half: everything that matters, in half the time.
fn short(name: &str) -> Wav {
    let mut wav = demo(name);
    wav.samples.truncate(24_000);
    wav
}

#[test]
fn the_same_voice_is_accepted_and_another_rejected() {
    let (pk, vk) = keys();
    for (name, verdict) in [("slt_3.wav", Verdict::Accept), ("rms_1.wav", Verdict::Reject)] {
        let (statement, proof) = pk.prove(&demo(name), enrolled(), &Context::new(*b"nonce")).unwrap();
        assert_eq!(statement.verdict(), verdict, "{name}");
        assert_eq!(vk.verify(&statement, &proof), Ok(verdict), "{name}");
        // What is read back from bytes is the same, and so is its verdict with a key without weights.
        let proof = Proof::from_bytes(&proof.to_bytes()).unwrap();
        let key = VerifyingKey::from_bytes(&vk.to_bytes()).unwrap();
        assert_eq!(key.model_id(), vk.model_id());
        assert_eq!(key.verify(proof.statement(), &proof), Ok(verdict));
    }
}

#[test]
fn the_revealed_embedding_is_the_executed_one_and_the_score_is_exact() {
    let (pk, vk) = keys();
    let wav = short("slt_3.wav");
    let proof = prove(&wav, Reveal::Embedding);
    assert!(vk.verify(proof.statement(), &proof).is_ok());
    let executed = pk.model().embed(&wav.samples).unwrap();
    assert_eq!(proof.statement().embedding(), Some(&executed[..]));

    let (template, secret) = enrolled();
    let options = ProveOptions { reveal: Reveal::Score, ..ProveOptions::default() };
    let (proof, report) = pk.prove_with(&wav, template, secret, &Context::default(), &options).unwrap();
    assert!(vk.verify(proof.statement(), &proof).is_ok());
    let score = proof.statement().score().unwrap();
    let found = report.score.unwrap();
    assert!(score <= found + 1e-9 && found < score + 1.0 / 32768.0 + 1e-9);
}

#[test]
fn proofs_do_not_depend_on_the_number_of_threads() {
    let wav = short("slt_4.wav");
    let (template, secret) = enrolled();
    // What hides is random.
    let options = ProveOptions { mode: Mode::Clear, ..ProveOptions::default() };
    let clear = || keys().0.prove_with(&wav, template, secret, &Context::default(), &options).unwrap().0;
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| clear().to_bytes())
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn changed_bytes_are_refused() {
    let (_, vk) = keys();
    let bytes = prove(&short("slt_3.wav"), Reveal::Decision).to_bytes();
    let refused = |bytes: &[u8]| match Proof::from_bytes(bytes) {
        Err(_) => true,
        Ok(proof) => vk.verify(proof.statement(), &proof).is_err(),
    };
    assert!(!refused(&bytes));
    for i in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut changed = bytes.clone();
        changed[i] ^= 1 << (i % 8);
        assert!(refused(&changed), "byte {i} of {}", bytes.len());
    }
    for len in [0, 1, 73, 74, 200, bytes.len() / 2, bytes.len() - 1] {
        assert!(refused(&bytes[..len]), "{len} bytes");
    }
    assert!(refused(&[&bytes[..], &[0]].concat()));
}

#[test]
fn statements_are_compared_with_what_is_demanded() {
    let (pk, vk) = keys();
    let wav = short("slt_3.wav");
    let proof = prove(&wav, Reveal::Decision);
    let (template, _) = enrolled();
    let context = Context::new(*b"nonce");
    let expected = Expected::new(template, &context);
    let check = |expected: &Expected<'_>| vk.check_statement(proof.statement(), expected).map_err(|e| e.field);
    assert_eq!(check(&expected), Ok(()));
    let other = Context::new(*b"other");
    assert_eq!(check(&Expected { context: &other, ..expected.clone() }), Err("context"));
    let (stricter, _) = pk.enrol(&[demo("slt_1.wav"), demo("slt_2.wav")], 0.67).unwrap();
    assert_eq!(check(&Expected { template: Some(&stricter), ..expected.clone() }), Err("template"));
    assert_eq!(check(&Expected { min_threshold: Some(0.7), ..expected.clone() }), Err("threshold"));
    // Another commitment, be it to the same recording, is not the one that the proof names.
    let (audio, secret) = pk.commit_audio(&wav).unwrap();
    assert_eq!(check(&Expected { audio: Some(&audio), ..expected.clone() }), Err("audio"));
    let options = ProveOptions { audio: Some((&audio, &secret)), ..ProveOptions::default() };
    let (template, template_secret) = enrolled();
    let proof = pk.prove_with(&wav, template, template_secret, &context, &options).unwrap().0;
    assert_eq!(vk.check_statement(proof.statement(), &Expected { audio: Some(&audio), ..expected }), Ok(()));
    assert!(vk.verify(proof.statement(), &proof).is_ok());
    assert!(pk.prove_with(&demo("slt_4.wav"), template, template_secret, &context, &options).is_err());
}

#[test]
fn recordings_of_many_lengths_verify_and_too_short_ones_are_named() {
    let (pk, vk) = keys();
    let wav = demo("slt_3.wav");
    let shortest = pk.model().min_samples();
    for samples in [shortest, shortest + 1, 8_191, 16_000, 16_383] {
        let wav = Wav { samples: wav.samples[..samples].to_vec(), ..wav.clone() };
        let proof = prove(&wav, Reveal::Decision);
        assert!(vk.verify(proof.statement(), &proof).is_ok(), "{samples} samples");
    }
    let wav = Wav { samples: wav.samples[..shortest - 1].to_vec(), ..wav };
    let error = pk.prove(&wav, enrolled(), &Context::default()).unwrap_err();
    assert!(error.to_string().contains("too short"), "{error}");
}

#[test]
fn silence_and_full_scale_have_a_verdict_or_a_reason() {
    let (pk, vk) = keys();
    let square = |i: usize| if (i / 8).is_multiple_of(2) { i16::MAX } else { i16::MIN };
    for (name, samples) in [
        ("silence", vec![0; 16_000]),
        ("lowest", vec![i16::MIN; 16_000]),
        ("square", (0..16_000).map(square).collect::<Vec<_>>()),
    ] {
        let wav = Wav { sample_rate: 16_000, samples };
        match pk.prove(&wav, enrolled(), &Context::default()) {
            Ok((statement, proof)) => assert_eq!(vk.verify(&statement, &proof), Ok(Verdict::Reject), "{name}"),
            Err(error) => assert!(error.to_string().contains("calibrat"), "{name}: {error}"),
        }
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn reference(path: &Path) -> Vec<(String, Vec<f64>)> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| {
        data.chunks_exact(4).map(|c| f64::from(f32::from_le_bytes([c[0], c[1], c[2], c[3]]))).collect::<Vec<f64>>()
    };
    tensors.tensors().into_iter().map(|(name, view)| (name, floats(view.data()))).collect()
}

/// The eight references of three seconds: smallest cosine of the integer embedding to the float one.
fn worst_cosine(model: &Model, data: &Path, folder: &str, quantity: &str) -> f64 {
    let references = reference(&data.join(format!("reference/{folder}/ref8_3s.safetensors")));
    let suffix = format!(".{quantity}");
    let mut worst = 1f64;
    let mut found = 0;
    for (name, float) in references.iter().filter_map(|(n, v)| Some((n.strip_suffix(&suffix)?, v))) {
        let wav = wav::read(data.join(format!("wav/speakers/{name}.wav"))).unwrap();
        let integer = model.embed(&wav.samples[..48_000]).unwrap();
        worst = worst.min(cosine(&integer.iter().map(|&v| v as f64).collect::<Vec<_>>(), float));
        found += 1;
    }
    assert_eq!(found, 8);
    worst
}

#[test]
fn the_bundled_model_is_close_to_its_float_references() {
    let Some(data) = data() else { return };
    let worst = worst_cosine(keys().0.model(), &data, "xvector_small", "emb");
    assert!(worst >= 0.9999, "{worst}");
}

#[test]
fn the_built_in_ecapa_network_is_close_to_its_float_references_and_is_proved() {
    let model = Model::built_in("ecapa-small").unwrap().unwrap();
    let (pk, vk) = setup(&model).unwrap();
    let template = pk.enrol(&[demo("slt_1.wav"), demo("slt_2.wav")], model.default_threshold()).unwrap();
    for (name, verdict) in [("slt_3.wav", Verdict::Accept), ("rms_1.wav", Verdict::Reject)] {
        let (statement, proof) = pk.prove(&demo(name), &template, &Context::default()).unwrap();
        assert_eq!(statement.verdict(), verdict, "{name}");
        assert_eq!(vk.verify(&statement, &proof), Ok(verdict), "{name}");
    }
    // An odd number of frames, and a byte that is another one.
    let (statement, proof) = pk.prove(&short("slt_4.wav"), &template, &Context::default()).unwrap();
    assert_eq!(vk.verify(&statement, &proof), Ok(statement.verdict()));
    let mut other = proof.to_bytes();
    let last = other.len() - 100;
    other[last] ^= 1;
    assert!(Proof::from_bytes(&other).is_ok_and(|other| vk.verify(other.statement(), &other).is_err()));
    let Some(data) = data() else { return };
    let worst = worst_cosine(&model, &data, "ecapa_small", "emb");
    assert!(worst >= 0.9999, "{worst}");
}

/// Loud recordings with quiet bands, quiet ones, all of them: the first three seconds of every reference.
#[test]
fn built_in_models_are_close_to_their_float_references_on_all_recordings() {
    let Some(data) = data() else { return };
    for (model, folder) in [("xvector-small", "xvector_small"), ("ecapa-small", "ecapa_small")] {
        let model = Model::built_in(model).unwrap().unwrap();
        let references = reference(&data.join(format!("reference/{folder}/emb_{folder}_3s.safetensors")));
        assert!(references.len() >= 40, "{}", references.len());
        for (name, float) in &references {
            let name = name.strip_suffix(".emb").unwrap_or(name);
            let paths = ["speakers", "impostors"].map(|of| data.join(format!("wav/{of}/{name}.wav")));
            let wav = wav::read(paths.iter().find(|path| path.exists()).unwrap()).unwrap();
            let integer = model.embed(&wav.samples[..wav.samples.len().min(48_000)]).unwrap();
            let cosine = cosine(&integer.iter().map(|&v| v as f64).collect::<Vec<_>>(), float);
            assert!(cosine >= 0.9999, "{folder} {name}: {cosine}");
        }
    }
}

/// Weights of about unit gain.
fn wave(count: usize, inputs: usize, seed: f64) -> Vec<f64> {
    (0..count).map(|i| ((i as f64 + seed) * 1.7).sin() * (2.0 / inputs as f64).sqrt()).collect()
}

/// A network on samples as RawNet3 begins, with one dense layer, maxima over time and their statistics.
fn network_on_samples() -> Network {
    let (bands, kernel, columns) = (8, 101, 12);
    let filters = |kernel: usize, stride: usize, out_channels: usize, weight: Vec<f64>| {
        Op::Conv1d(Conv1d {
            weight,
            kernel,
            in_channels: 1,
            out_channels,
            bias: vec![0.0; out_channels],
            stride,
            dilation: 1,
            pad_left: 0,
            pad_right: 0,
        })
    };
    let dense = |rows: usize, cols: usize| Op::Dense {
        weight: FloatMatrix::new(rows, cols, wave(rows * cols, rows, 5.0)),
        bias: wave(cols, 8, 9.0),
    };
    let ops = vec![
        Op::MirrorPad,
        filters(2, 1, 1, vec![-0.97, 1.0]),
        Op::InstanceNorm { epsilon: 1e-4 },
        filters(kernel, 40, bands, wave(kernel * bands, kernel, 1.0)),
        Op::Abs,
        Op::Affine { scale: vec![1.0; bands], shift: vec![1e-6; bands] },
        Op::Log,
        Op::SubtractMean,
        dense(bands, columns),
        Op::MaxPool1d { kernel: 5, stride: 5 },
        Op::StatsPool { min_variance: 1e-4 },
        Op::AtMost { limit: 100.0 },
        dense(2 * columns, 16),
    ];
    let node = |(i, op): (usize, Op)| {
        let inputs = vec![if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) }];
        Node { name: format!("n{i}"), op, inputs }
    };
    Network::new(1, ops.into_iter().enumerate().map(node).collect())
}

#[test]
fn a_network_on_samples_is_close_to_float_and_is_proved() {
    let (network, front_end) = (network_on_samples(), voxcheck::audio::FrontEnd::raw());
    let clips: Vec<Vec<i16>> = ["slt_1.wav", "rms_1.wav", "awb_1.wav"].map(|name| demo(name).samples).to_vec();
    let model = Model::from_network(network.clone(), "samples").front_end(front_end.clone()).calibrate(&clips).unwrap();
    for name in ["slt_2.wav", "kal16_1.wav", "rms_2.wav"] {
        let samples = demo(name).samples;
        let input = voxcheck::audio::float::network_input(&front_end, &samples).unwrap();
        let float = network.execute(&input.features, input.sequence_length).unwrap().pop().unwrap().data;
        let integer: Vec<f64> = model.embed(&samples).unwrap().iter().map(|&v| v as f64).collect();
        let cosine = cosine(&integer, &float);
        println!("{name}: cosine {cosine}");
        assert!(cosine >= 0.9999, "{name}: {cosine}");
    }
    let copy = Model::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(copy.spec(), model.spec());
    let (pk, vk) = setup(&model).unwrap();
    let template = pk.enrol(&[demo("slt_1.wav")], 0.7).unwrap();
    // A length that fills no block and no frame.
    let mut probe = demo("slt_2.wav");
    probe.samples.truncate(47_999);
    let (statement, proof) = pk.prove(&probe, &template, &Context::default()).unwrap();
    assert_eq!(vk.verify(&statement, &proof), Ok(statement.verdict()));
    let mut other = proof.to_bytes();
    let last = other.len() - 100;
    other[last] ^= 1;
    assert!(Proof::from_bytes(&other).is_ok_and(|other| vk.verify(other.statement(), &other).is_err()));
}

#[test]
fn the_lstm_encoder_is_close_to_its_float_references_and_is_proved() {
    let Some(data) = data() else { return };
    let clip = |name: &str| wav::read(data.join(format!("wav/speakers/{name}.wav"))).unwrap();
    let calibration = ["367-130732-0001", "1688-142285-0000", "1998-15444-0000", "2414-128291-0001"];
    let clips: Vec<Vec<i16>> = calibration.iter().map(|name| clip(name).samples).collect();
    let model = Model::from_onnx(data.join("models/resemblyzer_ge2e.onnx"))
        .unwrap()
        .front_end(voxcheck::audio::FrontEnd::ge2e40())
        .calibrate(&clips)
        .unwrap();
    let worst = worst_cosine(&model, &data, "resemblyzer", "utt_emb");
    assert!(worst >= 0.9995, "{worst}");
    let (pk, vk) = setup(&model).unwrap();
    let template = pk.enrol(&[clip("1688-142285-0000")], 0.7).unwrap();
    let mut probe = clip("1688-142285-0001");
    probe.samples.truncate(25_440);
    let (statement, proof) = pk.prove(&probe, &template, &Context::default()).unwrap();
    assert_eq!(vk.verify(&statement, &proof), Ok(statement.verdict()));
    let mut other = proof.to_bytes();
    let last = other.len() - 100;
    other[last] ^= 1;
    let other = Proof::from_bytes(&other).unwrap();
    assert!(vk.verify(other.statement(), &other).is_err());
}

#[test]
fn depth_does_not_add_waves_and_a_layer_adds_little_to_the_proof() {
    let cost = keys().0.model().cost(48_000).unwrap();
    assert!(cost.waves <= 6, "{} waves", cost.waves);
    let bytes = prove(&demo("slt_3.wav"), Reveal::Decision).to_bytes().len();
    assert!(bytes < 100_000, "{bytes} bytes");
}

/// The full tier: every shared recording is proved and verified, whole and cut to three seconds.
#[test]
#[ignore = "takes minutes"]
fn every_shared_recording_is_proved() {
    let Some(data) = data() else { return };
    let (pk, vk) = keys();
    let template = pk.enrol(&[demo("slt_1.wav")], 0.5).unwrap();
    let mut count = 0;
    for folder in ["speakers", "impostors"] {
        for entry in std::fs::read_dir(data.join("wav").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let wav = wav::read(&path).unwrap();
            let cut = Wav { samples: wav.samples[..48_000.min(wav.samples.len())].to_vec(), ..wav.clone() };
            for wav in [wav, cut] {
                let (statement, proof) = pk.prove(&wav, &template, &Context::default()).unwrap();
                assert_eq!(vk.verify(&statement, &proof), Ok(statement.verdict()), "{}", path.display());
                count += 1;
            }
        }
    }
    assert_eq!(count, 96);
}

#[test]
fn refreshed_templates_are_of_the_same_voice_and_share_nothing() {
    let (pk, vk) = keys();
    let (template, secret) = enrolled();
    let (other, other_secret) = pk.refresh(template, secret, None).unwrap();
    assert_ne!(other.id(), template.id());
    assert_eq!(other.threshold(), template.threshold());
    let wav = short("slt_3.wav");
    let context = Context::default();
    let own = (other.clone(), other_secret.clone());
    let (statement, proof) = pk.prove(&wav, &own, &context).unwrap();
    assert_eq!(vk.verify(&statement, &proof), Ok(Verdict::Accept));
    // Neither secret opens the other template.
    assert!(pk.prove(&wav, &(template.clone(), other_secret), &context).is_err());
    assert!(pk.prove(&wav, &(other, secret.clone()), &context).is_err());
}

#[test]
fn accepted_and_rejected_proofs_of_one_length_have_one_length() {
    let (pk, _) = keys();
    let lens: Vec<usize> = ["slt_3.wav", "rms_1.wav"]
        .map(|name| {
            let mut wav = demo(name);
            wav.samples.truncate(16_000);
            let (_, proof) = pk.prove(&wav, enrolled(), &Context::default()).unwrap();
            proof.to_bytes().len()
        })
        .into();
    assert_eq!(lens[0], lens[1]);
}

/// Speech of four speakers.
fn speech(data: &std::path::Path) -> Vec<Vec<i16>> {
    let names = ["367-130732-0001", "1688-142285-0000", "1998-15444-0000", "2414-128291-0001"];
    names.map(|name| wav::read(data.join(format!("wav/speakers/{name}.wav"))).unwrap().samples).to_vec()
}

/// Enrols and proves; whatever is decided is verified.
fn is_proved(model: &Model, enrolled: &[i16], probe: &[i16]) {
    let (pk, vk) = setup(model).unwrap();
    let wav = |samples: &[i16]| wav::Wav { sample_rate: 16_000, samples: samples.to_vec() };
    let template = pk.enrol(&[wav(enrolled)], 0.7).unwrap();
    let (statement, proof) = pk.prove(&wav(probe), &template, &Context::default()).unwrap();
    assert_eq!(vk.verify(&statement, &proof), Ok(statement.verdict()));
    let mut other = proof.to_bytes();
    let last = other.len() - 100;
    other[last] ^= 1;
    assert!(Proof::from_bytes(&other).is_ok_and(|other| vk.verify(other.statement(), &other).is_err()));
}

#[test]
fn a_network_of_one_second_takes_recordings_of_one_second_only() {
    use voxcheck::error::{AudioError, ModelError};
    let Some(data) = data() else { return };
    let clips = speech(&data);
    for file in ["kws_dscnn", "raw_export/kws_dscnn"] {
        let network = Model::from_onnx(data.join(format!("models/{file}.onnx"))).unwrap();
        let model = network.front_end(voxcheck::audio::FrontEnd::kws10()).calibrate(&clips).unwrap();
        assert_eq!((model.min_samples(), model.max_samples()), (15_840, 16_159));
        let second = |clip: &[i16]| clip[16_000..32_000].to_vec();
        for clip in &clips {
            let float = model.embed_float(&second(clip)).unwrap().unwrap();
            let integer: Vec<f64> = model.embed(&second(clip)).unwrap().iter().map(|&v| v as f64).collect();
            assert!(cosine(&integer, &float) >= 0.999);
        }
        let error = model.embed(&clips[0]).unwrap_err();
        assert!(matches!(error, ModelError::Audio(AudioError::TooLong { max: 16_159, .. })), "{error}");
        let error = model.embed(&clips[0][..15_839]).unwrap_err();
        assert!(matches!(error, ModelError::Audio(AudioError::TooShort { min: 15_840, .. })), "{error}");
        if file == "kws_dscnn" {
            is_proved(&model, &second(&clips[0]), &second(&clips[1]));
        }
    }
}

#[test]
fn voice_activity_of_a_chunk_of_samples_is_proved() {
    let Some(data) = data() else { return };
    let clips = speech(&data);
    for (file, rows) in [("silero_vad_16k_static_op16", None), ("silero_vad_16k_op15", Some(576))] {
        let bytes = std::fs::read(data.join(format!("models/{file}.onnx"))).unwrap();
        let settings = voxcheck::layers::onnx::Settings { rows, ..Default::default() };
        let bytes = voxcheck::layers::onnx::prepare(bytes, None, &settings).unwrap();
        let network = Model::from_onnx_bytes(bytes, file).unwrap();
        let model = network.front_end(voxcheck::audio::FrontEnd::raw()).calibrate(&clips).unwrap();
        assert_eq!((model.min_samples(), model.max_samples(), model.embedding_len()), (576, 576, 1));
        let unit = f64::from(-model.spec().embedding_fraction_bits()).exp2();
        let mut worst = 0f64;
        for chunk in clips.iter().flat_map(|clip| clip.chunks_exact(576).step_by(23)) {
            let (integer, float) = (model.embed(chunk).unwrap()[0], model.embed_float(chunk).unwrap().unwrap()[0]);
            worst = worst.max((integer as f64 * unit - float).abs());
        }
        println!("{file}: largest difference of probabilities {worst:.1e}");
        assert!(worst <= 0.01, "{worst}");
        if rows.is_none() {
            is_proved(&model, &clips[0][20_000..20_576], &clips[0][30_000..30_576]);
        }
    }
}
