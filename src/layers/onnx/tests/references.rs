//! Models with reference values.

use super::*;
use crate::audio::{FrontEnd, float, wav};
use crate::layers::network::Op;

const UTTERANCES: [&str; 8] = [
    "367-130732-0001",
    "367-130732-0002",
    "1688-142285-0000",
    "1688-142285-0001",
    "1998-15444-0000",
    "1998-15444-0001",
    "2414-128291-0001",
    "2414-128291-0002",
];

#[test]
fn the_bundled_model_has_its_layers() {
    let network = bundled();
    let pool = network.nodes.iter().position(|node| matches!(node.op, Op::StatsPool { .. }));
    assert_eq!((network.input_columns, network.nodes.len(), pool), (24, 14, Some(12)));
    let Op::StatsPool { min_variance } = network.nodes[12].op else { panic!() };
    assert_eq!(min_variance, f64::from(1e-5_f32));
    let shapes = network.shapes(298).unwrap();
    assert_eq!((shapes[11].length, shapes[13].columns), (284, 128));
}

#[test]
fn the_bundled_model_embeds_the_demo_voices() {
    let path = test_data::asset("models/xvector_small_demo_reference.safetensors");
    let reference = test_data::tensors(&path);
    let (network, front_end) = (bundled(), FrontEnd::logmel24());
    let (mut cosines, mut differences, mut features) = (Vec::new(), Vec::new(), 0.0_f64);
    for voice in ["awb", "kal16", "rms", "slt"] {
        for n in 1..=4 {
            let name = format!("{voice}_{n}");
            let wav = wav::read(test_data::asset(&format!("demo/{name}.wav"))).unwrap();
            wav::require_rate(&wav, front_end.sample_rate).unwrap();
            let input = float::network_input(&front_end, &wav.samples).unwrap();
            if let Some(reference) = reference.get(&format!("{name}.feats")) {
                features = features.max(max_difference(&input.features.data, &reference.values));
            }
            let embedding = last(&network, &input.features, input.sequence_length);
            let expected = &reference[&format!("{name}.emb")].values;
            cosines.push(cosine(&embedding.data, expected));
            differences.push(max_difference(&embedding.data, expected));
        }
    }
    println!("demo features: largest difference {features:.1e}");
    assert!(features < 1e-5);
    report("demo embeddings", &cosines, &differences);
    assert_eq!(cosines.len(), 16);
}

#[test]
fn xvectors_match_their_references() {
    let Some(dir) = test_data::dir() else { return };
    for (model, utterances) in [("xvector_small", 8), ("xvector", 2)] {
        let network = load(&dir.join(format!("models/{model}.onnx")));
        let path = dir.join(format!("reference/{model}/ref8_3s.safetensors"));
        let reference = test_data::tensors(&path);
        let pool = network.nodes.iter().position(|n| matches!(n.op, Op::StatsPool { .. })).unwrap();
        let (mut cosines, mut differences, mut stats) = (Vec::new(), Vec::new(), 0.0_f64);
        for name in &UTTERANCES[..utterances] {
            let feats = &reference[&format!("{name}.feats")];
            let input = FloatMatrix::new(feats.shape[0], feats.shape[1], feats.values.clone());
            let outputs = network.execute(&input, input.rows).unwrap();
            let expected = &reference[&format!("{name}.stats")].values;
            stats = stats.max(max_difference(&outputs[pool].data, expected));
            let (embedding, expected) = (&outputs.last().unwrap().data, &reference[&format!("{name}.emb")].values);
            cosines.push(cosine(embedding, expected));
            differences.push(max_difference(embedding, expected));
        }
        println!("{model} statistics: largest difference {stats:.1e}");
        assert!(stats < 1e-5);
        report(model, &cosines, &differences);
    }
}

#[test]
fn rawnet3_matches_its_references() {
    let Some(dir) = test_data::dir() else { return };
    let network = load(&dir.join("models/rawnet3_c128_mfa384_untrained.onnx"));
    assert_eq!(network.input_columns, 1);
    let reference = test_data::tensors(&dir.join("reference/rawnet3_untrained/ref8_3s_onnx_f32.safetensors"));
    let (mut cosines, mut differences) = (Vec::new(), Vec::new());
    for name in &UTTERANCES[..4] {
        let wav = wav::read(dir.join(format!("wav/speakers/{name}.wav"))).unwrap();
        let input = float::network_input(&FrontEnd::raw(), &wav.samples[..48_000]).unwrap();
        let embedding = last(&network, &input.features, input.sequence_length);
        let expected = &reference[&format!("{name}.emb")].values;
        cosines.push(cosine(&embedding.data, expected));
        differences.push(max_difference(&embedding.data, expected));
    }
    // The reference is in single precision, which logarithms of values that change their sign magnify.
    let worst = cosines.iter().copied().fold(1.0, f64::min);
    println!("rawnet3: 1 - min cosine {:.1e}, largest difference {:.1e}", 1.0 - worst, differences[0]);
    assert!(worst >= 0.99999, "{worst}");
}

#[test]
fn ecapa_networks_match_their_references() {
    let Some(dir) = test_data::dir() else { return };
    for (model, path, channels_first) in [
        ("ecapa_small", "ecapa_small/ref8_3s.safetensors", false),
        ("ecapa_small_t298", "ecapa_small/ref8_3s.safetensors", false),
        ("ecapa_tdnn_c128_untrained", "ecapa_untrained/ref8_3s_onnx_f32.safetensors", true),
    ] {
        let network = load(&dir.join(format!("models/{model}.onnx")));
        let reference = test_data::tensors(&dir.join("reference").join(path));
        let (mut cosines, mut differences) = (Vec::new(), Vec::new());
        for name in UTTERANCES {
            let feats = &reference[&format!("{name}.feats")];
            let feats = FloatMatrix::new(feats.shape[0], feats.shape[1], feats.values.clone());
            let input = match channels_first {
                true => FloatMatrix::from_fn(feats.cols, feats.rows, |t, c| feats.row(c)[t]),
                false => feats,
            };
            let embedding = last(&network, &input, input.rows);
            let expected = &reference[&format!("{name}.emb")].values;
            cosines.push(cosine(&embedding.data, expected));
            differences.push(max_difference(&embedding.data, expected));
        }
        report(model, &cosines, &differences);
    }
}

#[test]
fn resemblyzer_matches_its_reference() {
    let Some(dir) = test_data::dir() else { return };
    let network = load(&dir.join("models/resemblyzer_ge2e.onnx"));
    let path = dir.join("reference/resemblyzer/ref8_3s.safetensors");
    let reference = test_data::tensors(&path);
    let (mut partial, mut whole) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut hidden: f64 = 0.0;
    let front_end = FrontEnd::ge2e40();
    for name in UTTERANCES {
        let tensor = |quantity: &str| &reference[&format!("{name}.{quantity}")].values;
        let input = FloatMatrix::new(480, 40, tensor("mel").clone());
        let outputs = network.execute(&input, 160).unwrap();
        let last_hidden = outputs.iter().zip(&network.nodes).find(|(_, n)| n.op == Op::LastRow);
        // [partials, layers, 256]
        let h_last = tensor("h_last").chunks(256).skip(2).step_by(3).flatten().copied();
        let h_last: Vec<f64> = h_last.collect();
        hidden = hidden.max(max_difference(&last_hidden.unwrap().0.data, &h_last));
        let embeddings = outputs.last().unwrap();
        for (ours, expected) in embeddings.data.chunks(256).zip(tensor("partial_emb").chunks(256)) {
            partial.0.push(cosine(ours, expected));
            partial.1.push(max_difference(ours, expected));
        }
        // From the WAV.
        let wav = wav::read(dir.join(format!("wav/speakers/{name}.wav"))).unwrap();
        let input = float::network_input(&front_end, &wav.samples[..48000]).unwrap();
        let embeddings = last(&network, &input.features, input.sequence_length);
        let utterance = mean_direction(&embeddings);
        whole.0.push(cosine(&utterance, tensor("utt_emb")));
        whole.1.push(max_difference(&utterance, tensor("utt_emb")));
    }
    println!("final hidden state: largest difference {hidden:.1e}");
    assert!(hidden < 1e-5);
    report("ge2e partial embeddings", &partial.0, &partial.1);
    report("ge2e from WAV", &whole.0, &whole.1);
}

#[test]
fn whole_recordings_match_their_references() {
    let Some(dir) = test_data::dir() else { return };
    for (model, key, front_end) in [
        ("xvector_small", "xvector_small/emb_xvector_small_full", FrontEnd::logmel24()),
        ("resemblyzer_ge2e", "resemblyzer/emb_resemblyzer_full", FrontEnd::ge2e40()),
    ] {
        let network = load(&dir.join(format!("models/{model}.onnx")));
        let reference = test_data::tensors(&dir.join(format!("reference/{key}.safetensors")));
        let (mut cosines, mut differences) = (Vec::new(), Vec::new());
        for name in UTTERANCES {
            let wav = wav::read(dir.join(format!("wav/speakers/{name}.wav"))).unwrap();
            let input = float::network_input(&front_end, &wav.samples).unwrap();
            let mut embedding = last(&network, &input.features, input.sequence_length);
            if front_end.partials.is_some() {
                embedding.data = mean_direction(&embedding);
            }
            let expected = &reference[name].values;
            cosines.push(cosine(&embedding.data, expected));
            differences.push(max_difference(&embedding.data, expected));
        }
        report(&format!("{model}, whole recordings"), &cosines, &differences);
    }
}

#[test]
fn the_raw_export_is_the_same_network() {
    let Some(dir) = test_data::dir() else { return };
    assert_eq!(load(&dir.join("models/raw_export/xvector_small.onnx")), bundled());
    assert_eq!(load(&dir.join("models/xvector_small.onnx")), bundled());
}

#[test]
fn keyword_spotting_matches_its_reference() {
    let Some(dir) = test_data::dir() else { return };
    let reference = test_data::tensors(&dir.join("reference/kws/kws_reference.safetensors"));
    for model in ["kws_dscnn", "raw_export/kws_dscnn"] {
        let network = load(&dir.join(format!("models/{model}.onnx")));
        assert_eq!(network.input_columns, 10);
        let mut cosines = Vec::new();
        for (name, mfcc) in reference.iter().filter(|(name, _)| name.ends_with(".mfcc")) {
            let input = FloatMatrix::new(49, 10, mfcc.values.clone());
            let expected = &reference[&name.replace(".mfcc", ".prob")].values;
            cosines.push(cosine(&last(&network, &input, 49).data, expected));
        }
        report(model, &cosines, &[0.0]);
    }
}

#[test]
fn silero_matches_its_reference() {
    let Some(dir) = test_data::dir() else { return };
    let reference = test_data::tensors(&dir.join("reference/silero/ref8_3s.safetensors"));
    let fixed = load(&dir.join("models/silero_vad_16k_static_op16.onnx"));
    // The graph as it is exported computes its shapes, and decides by them and by the rate.
    let bytes = std::fs::read(dir.join("models/silero_vad_16k_op15.onnx")).unwrap();
    let found = interface(&bytes).unwrap();
    assert_eq!((found.input.as_str(), found.output.as_str()), ("input", "output"));
    assert_eq!(found.constants, [("state".to_owned(), 0.0), ("sr".to_owned(), 16_000.0)]);
    assert_eq!(found.unused, ["stateN"]);
    let settings = |rows| Settings { rows: Some(rows), ..Settings::default() };
    let open = read(&prepare(bytes.clone(), None, &settings(576)).unwrap()).unwrap();
    assert!(open.nodes.iter().any(|node| node.op == Op::Hypot));
    let mut differences = Vec::new();
    for name in UTTERANCES {
        let wav = wav::read(dir.join(format!("wav/speakers/{name}.wav"))).unwrap();
        // The first chunk follows 64 zeros, and its state is zero.
        let sample = |t: usize| t.checked_sub(64).map_or(0.0, |t| f64::from(wav.samples[t]) / 32768.0);
        let x = FloatMatrix::from_fn(576, 1, |t, _| sample(t));
        let expected = reference[&format!("{name}.prob")].values[0];
        for network in [&fixed, &open] {
            assert_eq!((network.input_columns, network.input_rows), (1, Some(576)));
            differences.push((last(network, &x, 576).data[0] - expected).abs());
        }
    }
    report("silero", &[1.0], &differences);
    assert!(differences.iter().all(|&difference| difference < 1e-5), "{differences:?}");
    // Other lengths and extents that are not open are refused, and so is a length of nothing.
    assert!(prepare(bytes, None, &settings(0)).is_err());
    let bytes = std::fs::read(dir.join("models/silero_vad_16k_static_op16.onnx")).unwrap();
    assert!(prepare(bytes.clone(), None, &settings(576)).is_ok());
    assert!(prepare(bytes.clone(), None, &settings(512)).unwrap_err().to_string().contains("576"));
    let output = |name: &str| {
        let settings = Settings { output: Some(name.to_owned()), ..Settings::default() };
        prepare(bytes.clone(), None, &settings).and_then(|bytes| interface(&bytes))
    };
    assert_eq!(output("stateN").unwrap().output, "stateN");
    assert!(output("nothing").unwrap_err().to_string().contains("stateN"));
}
