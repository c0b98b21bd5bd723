//! What was said, through the command line.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli_common::{Folder, assert_error, assert_has, assert_result, demo_wav, json, path_text, run, status, wav};
use crate::{data, word};

/// A folder with the small model that reads a word, and the one that is joined of it and the bundled one.
struct Models(Folder);

impl Models {
    fn new() -> Self {
        let folder = Folder::new();
        let path = folder.write("word.vxm", &word().to_bytes());
        let both = folder.path("both.vxm");
        let (exit, value) = json(&["model", "join", "xvector-small", &path, "-o", &both]);
        assert_eq!((exit, &value["name"]), (0, &Value::from("xvector-small+word")), "{value}");
        assert_result(&value, "model-join");
        assert_eq!(value["readings"][0]["labels"], serde_json::json!(["low", "middle", "high"]));
        assert_eq!(value["embedding_len"], 128);
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name)
    }
}

/// The label that a proof's JSON has, and another one.
fn labels_of(value: &Value) -> [String; 2] {
    let label = value["readings"][0]["label"].as_str().expect("a label").to_owned();
    let other = ["low", "middle", "high"].into_iter().find(|&other| other != label).expect("there are three");
    [label, other.to_owned()]
}

#[test]
fn a_word_is_proved_and_demanded() {
    let models = Models::new();
    let (model, proof, key) = (models.path("word.vxm"), models.path("p.vxp"), models.path("k.vxk"));
    let wav = demo_wav("slt_3.wav");
    let (exit, value) = json(&["prove", "--model", &model, &wav, "-o", &proof, "--window", "0.5", "--context", "c0de"]);
    assert_eq!((exit, &value["decision"]), (0, &Value::from("accept")), "{value}");
    let reading = &value["readings"][0];
    assert_has(reading, &["name", "label", "class", "start", "start_seconds"]);
    assert_eq!((&reading["name"], reading["start"].as_u64()), (&Value::from("word"), Some(8_000)));
    assert_eq!(reading["start_seconds"], 0.5);
    for name in ["score", "threshold", "template_id", "label", "embedding_cosine_vs_float"] {
        assert!(value[name].is_null(), "{name}: {value}");
    }
    let [label, other] = labels_of(&value);

    assert_eq!(status(&["setup", &model, "-o", &key]), 0);
    let verify = |more: &[&str]| json(&[&["verify", "--context", "c0de", &proof][..], more].concat());
    for by in [["--model", &model], ["--key", &key]] {
        let (exit, verified) = verify(&[&by[..], &["--says", &label]].concat());
        assert_eq!((exit, &verified["decision"]), (0, &Value::from("accept")), "{verified}");
        assert_eq!(verified["readings"], value["readings"]);
    }
    let (exit, refused) = verify(&["--model", &model, "--says", &other]);
    assert_eq!((exit, &refused["failed_at"]), (4, &Value::from("statement")), "{refused}");
    assert_eq!(refused["mismatch"]["field"], "reading");
    let text = run(&["verify", "--model", &model, "--context", "c0de", &proof]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains(&format!("says       {label} (from 0.500 s on, by word)")), "{text}");

    // Labels that there are not, and templates where there is no voice, are mistakes in the command.
    let wrong = |more: &[&str]| {
        let command = [&["verify", "--context", "c0de", "--model", &model, &proof][..], more].concat();
        assert_error(&command, 2, "E-USAGE")
    };
    assert!(wrong(&["--says", "nothing"]).contains("nothing"));
    assert!(wrong(&["--says", &format!("voice={label}")]).contains("voice"));
    let template = models.path("t.vxe");
    assert_eq!(status(&["enrol", &wav, "-o", &template]), 0);
    wrong(&["--enrolled", &template]);
    assert_error(&["prove", "--model", &model, "--enrolled", &template, &wav, "-o", &models.path("q")], 2, "E-USAGE");
    // A proof of a word is none of a voice, and a model of voices needs a template.
    assert_error(&["verify", "--context", "c0de", &proof], 2, "E-USAGE");
    let (exit, value) = json(&["verify", "--enrolled", &template, "--context", "c0de", &proof]);
    assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("model")), "{value}");
}

#[test]
fn a_window_is_part_of_the_statement() {
    let models = Models::new();
    let (model, proof) = (models.path("word.vxm"), models.path("p.vxp"));
    let wav = demo_wav("awb_1.wav");
    assert_eq!(status(&["prove", "--model", &model, &wav, "-o", &proof, "--window", "0.25"]), 0);
    let (_, value) = json(&["inspect", "--model", &model, &proof]);
    assert_eq!(value["readings"][0]["start"], 4_000);
    let sections = value["sections"].as_array().expect("a list");
    let section = sections.iter().find(|section| section["name"] == "statement: readings").expect("it is one");
    let field = |name: &str| section[name].as_u64().expect("a number") as usize;
    // A count, a class, and a start of two bytes.
    assert_eq!(field("bytes"), 4);
    let bytes = fs::read(&proof).unwrap();
    for (at, bit) in [(field("offset") + 2, 1), (field("offset") + 3, 1), (field("offset") + 1, 1)] {
        let mut changed = bytes.clone();
        changed[at] ^= bit;
        let changed = models.0.write("changed.vxp", &changed);
        let (exit, value) = json(&["verify", "--model", &model, &changed]);
        assert_eq!((exit, &value["decision"]), (3, &Value::from("invalid")), "{value}");
    }
    // Where the recording ends, there is no window.
    let late = models.path("late.vxp");
    for seconds in ["100", "86400", "4.9"] {
        let command = ["prove", "--model", &model, &wav, "-o", &late, "--window", seconds];
        assert!(assert_error(&command, 65, "E-MODEL-WINDOW").contains("reads 4000 samples"));
    }
    for seconds in ["-1", "nan", "x"] {
        assert_error(&["prove", "--model", &model, &wav, "-o", &late, "--window", seconds], 2, "E-USAGE");
    }
}

#[test]
fn a_speaker_and_a_word_are_one_proof() {
    let models = Models::new();
    let (both, template, proof) = (models.path("both.vxm"), models.path("t.vxe"), models.path("p.vxp"));
    let wavs = [demo_wav("slt_1.wav"), demo_wav("slt_2.wav")];
    let enrol = ["enrol", "--model", &both, &wavs[0], &wavs[1], "-o", &template];
    assert_eq!(status(&enrol), 0);
    for (wav, exit, decision) in [("slt_3.wav", 0, "accept"), ("rms_1.wav", 1, "reject")] {
        let wav = demo_wav(wav);
        let command = ["prove", "--model", &both, "--enrolled", &template, &wav, "-o", &proof, "--force"];
        let (status, value) = json(&[&command[..], &["--window", "0.3"]].concat());
        assert_eq!((status, &value["decision"]), (0, &Value::from(decision)), "{value}");
        let [label, other] = labels_of(&value);
        let verify =
            |label: &str| json(&["verify", "--model", &both, "--enrolled", &template, "--says", label, &proof]);
        let (status, value) = verify(&label);
        assert_eq!((status, &value["decision"]), (exit, &Value::from(decision)), "{value}");
        let (status, value) = verify(&format!("word={other}"));
        assert_eq!((status, &value["mismatch"]["field"]), (4, &Value::from("reading")), "{value}");
    }
    // Without its template, the word is not enough.
    assert_error(&["verify", "--model", &both, &proof], 2, "E-USAGE");
    assert_error(&["prove", "--model", &both, &wavs[0], "-o", &models.path("q.vxp")], 2, "E-USAGE");
    let (exit, value) = json(&["inspect", &both]);
    assert_eq!((exit, &value["readings"][0]["name"]), (0, &Value::from("word")), "{value}");
    assert_eq!(value["embedding_len"], 128);
}

#[test]
fn what_cannot_be_imported_joined_or_enrolled_says_why() {
    let models = Models::new();
    let (word, output) = (models.path("word.vxm"), models.path("out"));
    let message =
        assert_error(&["enrol", "--model", &word, &demo_wav("slt_1.wav"), "-o", &output], 65, "E-MODEL-VOICE");
    assert!(message.contains("word"), "{message}");
    assert_error(&["embed", "--model", &word, &demo_wav("slt_1.wav")], 65, "E-MODEL-VOICE");
    assert_error(&["model", "join", &word, "xvector-small", "-o", &output], 65, "E-MODEL-JOIN");
    assert_error(&["model", "join", &word, "-o", &output], 2, "E-USAGE");
    let network = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/xvector_small.onnx");
    let import = ["model", "import", network, "--frontend", "logmel24", "--bits", "8", "-o", &output];
    fn both<'a>(import: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        [import, more].concat()
    }
    let with = |more| both(&import, more);
    assert_error(&with(&["--labels", "yes,no"]), 65, "E-MODEL-LABELS");
    assert_error(&with(&["--labels", "yes,no", "--window", "100"]), 65, "E-MODEL-SHAPE");
    assert_error(&with(&["--window", "1"]), 2, "E-USAGE");
    assert_error(&with(&["--labels", "yes,no", "--threshold", "0.5"]), 2, "E-USAGE");
    assert_error(&with(&["--labels-from", &models.path("none")]), 66, "E-NO-INPUT");
    let (exit, value) = json(&["inspect", &word]);
    assert_eq!((exit, value["readings"][0]["samples"].as_u64()), (0, Some(4_000)), "{value}");
    assert!(value["embedding_len"].is_null() && value["default_threshold"].is_null());
    assert_eq!(json(&["model", "estimate", &word]).0, 0);
}

/// The real network, as the documentation imports it.
#[test]
fn keyword_spotting_is_imported_with_its_labels() {
    let Some(data) = data() else { return };
    let folder = Folder::new();
    let (model, proof) = (folder.path("kws.vxm"), folder.path("p.vxp"));
    let labels = folder.write("labels.txt", b"down\ngo\nleft\nno\noff\non\nright\nstop\nup\nyes\nsilence\nunknown\n");
    let wav = data.join("wav/speakers/1688-142285-0000.wav");
    let (network, wav) = (data.join("models/kws_dscnn.onnx"), wav.to_str().expect("UTF-8"));
    let network = network.to_str().expect("UTF-8");
    let import = ["model", "import", network, "--frontend", "kws10", "--labels-from", &labels, "--bits", "12"];
    let (exit, value) = json(&[&import[..], &["--calibrate", wav, "-o", &model]].concat());
    assert_eq!((exit, value["readings"][0]["samples"].as_u64()), (0, Some(16_000)), "{value}");
    assert_eq!(status(&["prove", "--model", &model, wav, "-o", &proof, "--window", "1"]), 0);
    let (exit, value) = json(&["verify", "--model", &model, "--says", "unknown", &proof]);
    assert_eq!((exit, &value["readings"][0]["class"]), (0, &Value::from(11)), "{value}");
    assert_eq!(json(&["verify", "--model", &model, "--says", "yes", &proof]).0, 4);
}

/// The same network in 8 bits, with the scales and zero points of its file.
#[test]
fn keyword_spotting_of_integers_is_imported_with_its_labels() {
    let Some(data) = data() else { return };
    let folder = Folder::new();
    let (model, proof) = (folder.path("kws8.vxm"), folder.path("p.vxp"));
    let path = |name: &str| path_text(&data.join(name));
    let (network, wav) = (path("models/kws_dscnn_int8.tflite"), path("wav/speakers/1688-142285-0000.wav"));
    let labels = "down,go,left,no,off,on,right,stop,up,yes,silence,unknown";
    let import = ["model", "import", &network, "--frontend", "kws10", "--labels", labels, "--calibrate", &wav];
    let (exit, value) = json(&[&import[..], &["-o", &model]].concat());
    assert_eq!((exit, value["readings"][0]["samples"].as_u64()), (0, Some(16_000)), "{value}");
    assert_result(&value, "model-import");
    assert_eq!(status(&["prove", "--model", &model, &wav, "-o", &proof, "--window", "1"]), 0);
    let (exit, value) = json(&["verify", "--model", &model, "--says", "unknown", &proof]);
    assert_eq!((exit, &value["readings"][0]["class"]), (0, &Value::from(11)), "{value}");
    let (exit, value) = json(&["verify", "--model", &model, "--says", "yes", &proof]);
    assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("reading")), "{value}");

    // Layers that multiply are compared in what their integers stand for.
    let (exit, value) = json(&["model", "check", &model, "--against", &network, "--wav", &wav]);
    assert_eq!(exit, 0, "{value}");
    let layers = value["layers"].as_array().expect("a list");
    let number = |layer: &Value, name: &str| layer[name].as_f64().expect("a number");
    assert!(layers.iter().any(|layer| layer["layer"] == "CONV_2D #8"), "{value}");
    let multiplies = |layer: &Value| {
        let name = layer["layer"].as_str().expect("a name");
        ["CONV", "DEPTHWISE", "FULLY"].iter().any(|kind| name.starts_with(kind))
    };
    assert!(layers.iter().filter(|layer| multiplies(layer)).count() >= 9, "{value}");
    for layer in layers.iter().filter(|layer| multiplies(layer)) {
        assert!(number(layer, "cosine") > 0.99, "{layer}");
        assert!(number(layer, "max_difference") < 0.1 * number(layer, "max_value"), "{layer}");
    }
    // What is damaged, and what is another format's, says so.
    let mut bytes = fs::read(&network).unwrap();
    bytes.truncate(bytes.len() / 2);
    let cut = folder.write("cut.tflite", &bytes);
    let import = |network: &str| {
        let output = folder.path("none.vxm");
        assert_error(&["model", "import", network, "--frontend", "kws10", "-o", &output], 65, "E-MODEL")
    };
    assert!(import(&cut).contains("beyond its end"));
    assert!(import(&folder.write("text.tflite", b"no network")).contains("ONNX"));
}

/// The file beside the tests of TFLite, which needs no data: an image of 17 rows of 10 columns, six classes.
#[test]
fn a_small_network_of_integers_is_proved() {
    let folder = Folder::new();
    let (model, proof) = (folder.path("small.vxm"), folder.path("p.vxp"));
    let (network, wav) = (repository("tests/tflite/image_int8.tflite"), demo_wav("slt_1.wav"));
    let import = ["model", "import", &network, "--frontend", "kws10", "--labels", "a,b,c,d,e,f", "--calibrate", &wav];
    assert_eq!(status(&[&import[..], &["-o", &model]].concat()), 0);
    let (exit, value) = json(&["prove", "--model", &model, &wav, "-o", &proof]);
    assert_eq!((exit, value["readings"][0]["label"].is_string()), (0, true), "{value}");
    let label = value["readings"][0]["label"].as_str().expect("a label");
    assert_eq!(json(&["verify", "--model", &model, "--says", label, &proof]).0, 0);
    let other = if label == "a" { "b" } else { "a" };
    assert_eq!(json(&["verify", "--model", &model, "--says", other, &proof]).0, 4);
}

/// ONNX networks that are quantized already, as readings: both ways of writing them.
#[test]
fn quantized_networks_are_imported_and_proved() {
    let folder = Folder::new();
    let (proof, wav) = (folder.path("p.vxp"), demo_wav("slt_1.wav"));
    let labels: Vec<String> = (0..20).map(|class| format!("class {class}")).collect();
    let labels = labels.join(",");
    for name in ["quantized_qdq", "quantized_qoperator"] {
        let (network, model) = (repository(&format!("tests/onnx/{name}.onnx")), folder.path(&format!("{name}.vxm")));
        let import = ["model", "import", &network, "--frontend", "mfcc6", "--labels", &labels, "--calibrate", &wav];
        let (exit, value) = json(&[&import[..], &["-o", &model]].concat());
        // The longest recording of ten frames, which is all that the network takes.
        assert_eq!((exit, value["readings"][0]["samples"].as_u64()), (0, Some(1_999)), "{value}");
        let prove = ["prove", "--model", &model, &wav, "-o", &proof, "--window", "0.5", "--force"];
        let (exit, value) = json(&prove);
        assert_eq!((exit, &value["decision"]), (0, &Value::from("accept")), "{value}");
        let class = value["readings"][0]["class"].as_u64().expect("a class");
        let says = |class: u64| json(&["verify", "--model", &model, "--says", &format!("class {class}"), &proof]);
        let (exit, verified) = says(class);
        assert_eq!((exit, &verified["readings"]), (0, &value["readings"]), "{verified}");
        let (exit, refused) = says((class + 1) % 20);
        assert_eq!((exit, &refused["mismatch"]["field"]), (4, &Value::from("reading")), "{refused}");
    }
}

/// The same as the network of a voice: enrolled, accepted, and rejected.
#[test]
fn a_quantized_network_makes_embeddings() {
    let folder = Folder::new();
    let path = |name: &str| folder.path(name);
    let (model, template, proof) = (path("voice.vxm"), path("t.vxe"), path("p.vxp"));
    // Ten frames of a recording, from a place on.
    let cut = |name: &str, from: usize| {
        let bytes = fs::read(demo_wav(name)).unwrap();
        let samples = &bytes[44 + 2 * from..44 + 2 * (from + 1_840)];
        folder.write(&format!("{from}.wav"), &wav(1, 1, 16_000, 16, samples))
    };
    let (network, same, other) =
        (repository("tests/onnx/quantized_qdq.onnx"), cut("slt_1.wav", 8_000), cut("rms_1.wav", 20_000));
    let import = ["model", "import", &network, "--frontend", "mfcc6", "--calibrate", &demo_wav("slt_1.wav")];
    let (exit, value) = json(&[&import[..], &["-o", &model]].concat());
    assert_eq!((exit, value["embedding_len"].as_u64()), (0, Some(20)), "{value}");
    assert_eq!(status(&["enrol", "--model", &model, "--threshold", "0.99", &same, "-o", &template]), 0);
    for (wav, exit, decision) in [(&same, 0, "accept"), (&other, 1, "reject")] {
        let prove = ["prove", "--model", &model, "--enrolled", &template, wav, "-o", &proof, "--force"];
        let (proved, value) = json(&prove);
        assert_eq!((proved, &value["decision"]), (0, &Value::from(decision)), "{value}");
        assert_eq!(status(&["verify", "--model", &model, "--enrolled", &template, &proof]), exit);
    }
}

fn repository(name: &str) -> String {
    path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
}
