//! The command line as a user or a script meets it: exit statuses, JSON and files.

mod cli_common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cli_common::*;
use serde_json::Value;

mod usage {
    use super::*;

    #[test]
    fn wrong_arguments_exit_with_2() {
        assert_error(&[], 2, "E-USAGE");
        assert_error(&["frobnicate"], 2, "E-USAGE");
        assert_error(&["verify", "p.vxp"], 2, "E-USAGE");
        assert_error(&["prove", "--enrolled", "t.vxe", "a.wav", "-o", "p.vxp", "--context", "xyz"], 2, "E-USAGE");
        assert_error(&["prove", "--enrolled", "t.vxe", "a.wav", "-o", "p.vxp", "--reveal", "all"], 2, "E-USAGE");
        assert_error(&["enrol", "a.wav", "-o", "t.vxe", "--threshold", "1.5"], 2, "E-USAGE");
        assert_error(&["enrol", "a.wav", "-o", "-"], 2, "E-USAGE");
        assert_error(&["enrol", "-o", "t.vxe"], 2, "E-USAGE");
        assert_error(&["bench", "nothing"], 2, "E-USAGE");
        assert_error(&["model", "ops", "--threads", "0"], 2, "E-USAGE");
        assert_error(&["model", "estimate", "--seconds", "-1"], 2, "E-USAGE");
        assert_error(&["model", "import", "n.onnx", "--frontend", "nothing", "-o", "m.vxm"], 2, "E-USAGE");
        assert_error(&["model", "import", "n.onnx", "--frontend", "none", "-o", "m.vxm"], 2, "E-USAGE");
        assert_error(&["wav", "resample", "a.wav", "-o", "b.wav", "--rate", "1"], 2, "E-USAGE");
        assert_error(&["verify", "--model", "m", "--key", "k", "--enrolled", "t", "p"], 2, "E-USAGE");
        let context = "00".repeat(257);
        assert_error(&["verify", "--enrolled", "t", "--context", &context, "p"], 2, "E-USAGE");
    }

    #[test]
    fn a_proof_hides_or_does_not() {
        assert_error(&["prove", "--enrolled", "t.vxe", "a.wav", "-o", "p.vxp", "--zk", "--clear"], 2, "E-USAGE");
    }

    #[test]
    fn help_and_version_are_results() {
        assert_eq!(status(&["--help"]), 0);
        assert_eq!(status(&["prove", "--help"]), 0);
        let output = run(&["--version"]);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), concat!("voxcheck ", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn threads_can_come_from_the_environment() {
        let output = voxcheck().env("VOXCHECK_THREADS", "zero").args(["model", "ops"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let output = voxcheck().env("VOXCHECK_THREADS", "1").args(["model", "ops"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
    }

    #[test]
    fn colour_is_only_used_when_asked_for() {
        let output = run(&["--help"]);
        assert!(!output.stdout.contains(&0x1b));
    }

    #[cfg(unix)]
    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        use std::process::{Command as Process, Stdio};
        let program = assert_cmd::cargo::cargo_bin("voxcheck");
        let mut child = Process::new(program)
            .args(["completions", "bash"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

mod small_verbs {
    use super::*;

    #[test]
    fn operators_are_listed() {
        let (exit, value) = json(&["model", "ops"]);
        assert_eq!(exit, 0);
        assert_result(&value, "model-ops");
        let operators = value["operators"].as_array().unwrap();
        let conv = operators.iter().find(|operator| operator["operator"] == "Conv").unwrap();
        assert!(conv["accepted"].as_str().unwrap().contains("1-D"));
        let tflite = value["tflite_operators"].as_array().unwrap();
        assert!(tflite.iter().any(|operator| operator["operator"] == "CONV_2D"));
        let text = String::from_utf8(run(&["model", "ops"]).stdout).unwrap();
        // A line for each, and two between the formats.
        assert_eq!(text.lines().count(), operators.len() + 2 + tflite.len());
    }

    #[test]
    fn built_in_models_are_listed() {
        let (exit, value) = json(&["model", "list"]);
        let names: Vec<&Value> = value["models"].as_array().unwrap().iter().map(|model| &model["name"]).collect();
        assert_eq!((exit, names), (0, vec![&Value::from("xvector-small"), &Value::from("ecapa-small")]));
        assert_result(&value, "model-list");
    }

    #[test]
    fn workloads_are_listed() {
        let (exit, value) = json(&["bench", "--list"]);
        assert_eq!(exit, 0);
        let names: Vec<&str> =
            value["workloads"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
        for name in [
            "sumcheck-prod2-20",
            "commit-20",
            "xvector-small-3s",
            "ge2e-160",
            "xvector-3s",
            "ecapa-small-3s",
            "ecapa512-3s",
        ] {
            assert!(names.contains(&name), "{name}");
        }
    }

    #[test]
    fn bench_reports_the_machine_and_the_figures() {
        let (exit, value) = json(&["bench", "commit-20", "--repeat", "1"]);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "bench");
        assert_has(&value, &["machine", "commit", "results"]);
        assert_has(&value["machine"], &["cpu", "cores", "features", "memory_bytes"]);
        let result = &value["results"][0];
        let names = [
            "workload",
            "threads",
            "repeat",
            "prove_ms",
            "verify_ms",
            "execute_ms",
            "proof_bytes",
            "peak_rss_bytes",
            "lookups",
            "committed_values",
            "macs",
            "ns_per_lookup",
            "ns_per_committed_byte",
        ];
        assert_has(result, &names);
        assert_eq!(result["committed_values"], 1 << 20);
        assert!(result["prove_ms"]["median"].as_f64().unwrap() > 0.0);
        assert!(result["ns_per_committed_byte"].is_number());
    }

    #[test]
    fn completions_are_scripts() {
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let output = run(&["completions", shell]);
            assert_eq!(output.status.code(), Some(0), "{shell}");
            assert!(String::from_utf8(output.stdout).unwrap().contains("voxcheck"), "{shell}");
        }
        let (_, value) = json(&["completions", "bash"]);
        assert_result(&value, "completions");
        assert!(value["script"].is_string());
    }

    #[test]
    fn manual_pages_are_written_once() {
        let folder = Folder::new();
        let pages = folder.path("pages");
        assert_eq!(status(&["man", &pages]), 0);
        let page = fs::read_to_string(Path::new(&pages).join("voxcheck-prove.1")).unwrap();
        assert!(page.contains("enrolled"));
        assert!(Path::new(&pages).join("voxcheck-model-import.1").exists());
        assert_error(&["man", &pages], 73, "E-EXISTS");
        assert_eq!(status(&["man", &pages, "--force"]), 0);
    }

    #[test]
    fn a_profile_is_a_chrome_trace() {
        let folder = Folder::new();
        let profile = folder.path("trace.json");
        assert_eq!(status(&["bench", "commit-20", "--repeat", "1", "--profile", &profile]), 0);
        let trace: Value = serde_json::from_str(&fs::read_to_string(&profile).unwrap()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        assert!(events.iter().any(|event| event["name"] == "commit-20" && event["ph"] == "X"));
        assert_error(&["model", "ops", "--profile", &profile], 73, "E-EXISTS");
    }
}

mod recordings {
    use super::*;

    #[test]
    fn bad_wavs_are_refused_by_name() {
        let folder = Folder::new();
        let output = folder.path("t.vxe");
        let second = vec![0; 32_000];
        let mut truncated = wav(1, 1, 16_000, 16, &second);
        truncated.truncate(1000);
        let cases: [(&str, Vec<u8>, &str); 9] = [
            ("stereo.wav", wav(1, 2, 16_000, 16, &second), "E-WAV-FORMAT"),
            ("bits24.wav", wav(1, 1, 16_000, 24, &second[..30_000]), "E-WAV-FORMAT"),
            ("bits8.wav", wav(1, 1, 16_000, 8, &second), "E-WAV-FORMAT"),
            ("float.wav", wav(3, 1, 16_000, 32, &second), "E-WAV-FORMAT"),
            ("mulaw.wav", wav(7, 1, 8_000, 8, &second), "E-WAV-FORMAT"),
            ("empty.wav", wav(1, 1, 16_000, 16, &[]), "E-WAV-EMPTY"),
            ("truncated.wav", truncated, "E-WAV-TRUNCATED"),
            ("zero_channels.wav", wav(1, 0, 16_000, 16, &second), "E-WAV"),
            ("text.wav", b"this is not a recording".to_vec(), "E-WAV"),
        ];
        for (name, bytes, code) in cases {
            let path = folder.write(name, &bytes);
            let message = assert_error(&["enrol", &path, "-o", &output], 65, code);
            assert!(message.contains(name), "{message}");
        }
        assert_error(&["enrol", &folder.path("absent.wav"), "-o", &output], 66, "E-NO-INPUT");
        assert_error(&["enrol", &folder.path(""), "-o", &output], 74, "E-READ");
        assert!(!Path::new(&output).exists());
    }

    #[test]
    fn a_format_error_says_what_converts() {
        let folder = Folder::new();
        let path = folder.write("a.wav", &wav(1, 2, 44_100, 16, &[0; 400]));
        let (_, value) = json(&["enrol", &path, "-o", &folder.path("t.vxe")]);
        let help = value["help"].as_str().unwrap();
        assert!(help.contains("ffmpeg -i") && help.contains(&path), "{help}");
        assert!(help.contains("voxcheck wav resample"), "{help}");
    }

    #[test]
    fn resampling_converts_every_format() {
        let folder = Folder::new();
        let output = folder.path("out.wav");
        let cases = [
            ("stereo.wav", wav(1, 2, 48_000, 16, &[1; 19_200]), 1600),
            ("bits24.wav", wav(1, 1, 16_000, 24, &[1; 3000]), 1000),
            ("bits8.wav", wav(1, 1, 8_000, 8, &[130; 800]), 1600),
            ("float.wav", wav(3, 1, 16_000, 32, &[0; 4000]), 1000),
        ];
        for (name, bytes, samples) in cases {
            let input = folder.write(name, &bytes);
            let (exit, value) = json(&["wav", "resample", &input, "-o", &output, "--force"]);
            assert_eq!(exit, 0, "{value}");
            assert_result(&value, "wav-resample");
            assert_eq!(value["samples"], samples, "{name}");
            let wav = voxcheck::audio::wav::read(&output).unwrap();
            assert_eq!((wav.sample_rate, wav.samples.len()), (16_000, samples), "{name}");
        }
    }

    #[test]
    fn resampling_copies_what_needs_no_conversion() {
        let folder = Folder::new();
        let (input, output) = (demo_wav("slt_1.wav"), folder.path("out.wav"));
        assert_eq!(status(&["wav", "resample", &input, "-o", &output]), 0);
        let read = |path: &String| voxcheck::audio::wav::read(path).unwrap();
        assert_eq!(read(&input), read(&output));
        // Through streams, too.
        let bytes = fs::read(&input).unwrap();
        let streamed = voxcheck().args(["wav", "resample", "-", "-o", "-"]).write_stdin(bytes).output().unwrap();
        assert_eq!(streamed.status.code(), Some(0));
        assert_eq!(streamed.stdout, fs::read(&output).unwrap());
    }

    #[test]
    fn resampling_refuses_what_it_cannot_read() {
        let folder = Folder::new();
        let output = folder.path("out.wav");
        let cases: [(&str, Vec<u8>); 5] = [
            ("mulaw.wav", wav(7, 1, 8_000, 8, &[0; 800])),
            ("empty.wav", wav(1, 1, 16_000, 16, &[])),
            ("text.wav", b"RIFFthis is not a recording".to_vec()),
            ("rate.wav", wav(1, 1, 1, 16, &[0; 800])),
            ("nan.wav", wav(3, 1, 16_000, 32, &f32::NAN.to_le_bytes())),
        ];
        for (name, bytes) in cases {
            let input = folder.write(name, &bytes);
            assert_error(&["wav", "resample", &input, "-o", &output], 65, "E-WAV");
        }
        assert_error(&["wav", "resample", &folder.path("absent.wav"), "-o", &output], 66, "E-NO-INPUT");
        assert!(!Path::new(&output).exists());
    }
}

mod files {
    use super::*;

    #[test]
    fn outputs_are_never_overwritten_unasked() {
        let folder = Folder::new();
        let input = demo_wav("slt_1.wav");
        let output = folder.write("out.wav", b"mine");
        assert_error(&["wav", "resample", &input, "-o", &output], 73, "E-EXISTS");
        assert_eq!(fs::read(&output).unwrap(), b"mine");
        assert_eq!(status(&["wav", "resample", &input, "-o", &output, "--force"]), 0);
        assert_ne!(fs::read(&output).unwrap(), b"mine");
        assert_eq!(folder.names(), ["out.wav"], "nothing is left behind");
    }

    #[test]
    fn outputs_that_cannot_be_written_exit_with_73() {
        let folder = Folder::new();
        let input = demo_wav("slt_1.wav");
        assert_error(&["wav", "resample", &input, "-o", &folder.path("no/such/folder.wav")], 73, "E-WRITE");
        let file = folder.write("file", b"");
        assert_error(&["wav", "resample", &input, "-o", &format!("{file}/out.wav")], 73, "E-WRITE");
        assert_error(&["wav", "resample", &input, "-o", &folder.path(""), "--force"], 73, "E-WRITE");
        assert_error(&["enrol", &input, "-o", &folder.path("no/t.vxe")], 73, "E-WRITE");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_written_to_and_not_replaced() {
        let input = demo_wav("slt_1.wav");
        assert_eq!(status(&["wav", "resample", &input, "-o", "/dev/null", "--force"]), 0);
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn missing_inputs_exit_with_66() {
        let folder = Folder::new();
        let absent = folder.path("absent");
        let (input, output) = (demo_wav("slt_1.wav"), folder.path("out"));
        assert_error(&["verify", "--enrolled", &absent, &absent], 66, "E-NO-INPUT");
        assert_error(&["prove", "--enrolled", &absent, &input, "-o", &output], 66, "E-NO-INPUT");
        assert_error(&["eval", "--trials", &absent, "--wav-dir", &absent], 66, "E-NO-INPUT");
        assert_error(&["inspect", &absent], 66, "E-NO-INPUT");
        assert_error(&["model", "check", "xvector-small", "--against", &absent, "--wav", &input], 66, "E-NO-INPUT");
    }

    #[test]
    fn lists_of_trials_are_checked() {
        let folder = Folder::new();
        let list = folder.write("trials.csv", b"enrol,test\na,b\n");
        let message = assert_error(&["eval", "--trials", &list, "--wav-dir", &folder.path("")], 65, "E-TRIALS");
        assert!(message.contains("label"), "{message}");
    }
}

/// One enrolment, and proofs that several tests look at.
struct Enrolled {
    folder: Folder,
}

/// The nonce that the proofs are made for.
const CONTEXT: &str = "c0ffee";

impl Enrolled {
    fn new() -> Self {
        let folder = Folder::new();
        let (a, b, c) = (demo_wav("slt_1.wav"), demo_wav("slt_2.wav"), demo_wav("slt_3.wav"));
        let (template, key) = (folder.path("t.vxe"), folder.path("k.vxk"));
        assert_eq!(status(&["enrol", &a, &b, "-o", &template, "--threshold", "0.66"]), 0);
        assert_eq!(status(&["setup", "xvector-small", "-o", &key]), 0);
        for (wav, proof) in [(c, "accept.vxp"), (demo_wav("awb_1.wav"), "reject.vxp")] {
            let proof = folder.path(proof);
            assert_eq!(status(&["prove", "--enrolled", &template, "--context", CONTEXT, &wav, "-o", &proof]), 0);
        }
        Self { folder }
    }

    /// Verifies a proof of the folder with the key; `more` overrides.
    fn verify(&self, proof: &str, more: &[&str]) -> (i32, Value) {
        let (key, template) = (self.folder.path("k.vxk"), self.folder.path("t.vxe"));
        let mut arguments = vec!["verify", proof];
        for (option, value) in [("--key", key.as_str()), ("--enrolled", &template), ("--context", CONTEXT)] {
            if !more.contains(&option) {
                arguments.extend([option, value]);
            }
        }
        arguments.extend(more);
        json(&arguments)
    }
}

static ENROLLED: LazyLock<Enrolled> = LazyLock::new(Enrolled::new);

mod round_trip {
    use super::*;

    #[test]
    fn the_same_voice_is_accepted_and_another_rejected() {
        let enrolled = &*ENROLLED;
        for (name, exit, decision) in [("accept.vxp", 0, "accept"), ("reject.vxp", 1, "reject")] {
            let (found, value) = enrolled.verify(&enrolled.folder.path(name), &[]);
            assert_eq!((found, &value["decision"]), (exit, &Value::from(decision)), "{value}");
            assert_result(&value, "verify");
            assert!(value["failed_at"].is_null());
            assert_has(&value, &["verify_ms", "model_id", "audio_id", "template_id", "context", "threshold"]);
            assert_eq!(value["context"], CONTEXT);
            assert!(value["score"].is_null(), "it was not to be revealed");
            assert!(value["model_id"].as_str().unwrap().starts_with("vxm1:"));
            assert!(value["audio_id"].as_str().unwrap().starts_with("vxa1:"));
            assert!(value["template_id"].as_str().unwrap().starts_with("vxe1:"));
        }
    }

    #[test]
    fn proving_reports_what_it_did() {
        let enrolled = &*ENROLLED;
        let (template, proof) = (enrolled.folder.path("t.vxe"), Folder::new());
        let output = proof.path("p.vxp");
        let wav = demo_wav("slt_3.wav");
        let arguments = ["prove", "--enrolled", &template, &wav, "-o", &output, "--reveal", "score", "--clear"];
        let (exit, value) = json(&arguments);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "prove");
        let names = [
            "decision",
            "score",
            "threshold",
            "model_id",
            "audio_id",
            "template_id",
            "context",
            "mode",
            "audio_seconds",
            "frames",
            "threads",
            "prove_ms",
            "real_time_factor",
            "stages_ms",
            "proof_bytes",
            "peak_rss_bytes",
            "macs",
            "lookups",
            "committed_values",
            "embedding_cosine_vs_float",
        ];
        assert_has(&value, &names);
        assert_has(&value["stages_ms"], &["load", "execute", "commit", "lookup", "waves", "open", "zk"]);
        assert_eq!((&value["mode"], &value["decision"]), (&Value::from("clear"), &Value::from("accept")));
        assert_eq!((&value["audio_seconds"], &value["frames"]), (&Value::from(3.0), &Value::from(298)));
        assert!(value["score"].as_f64().unwrap() > 0.66);
        assert_eq!(value["proof_bytes"], fs::metadata(&output).unwrap().len());
        // The model instead of the key, and no context on either side.
        let (exit, value) = json(&["verify", "--enrolled", &template, &output]);
        assert_eq!(exit, 0, "{value}");
        assert!(value["score"].as_f64().unwrap() > 0.66);
    }

    #[test]
    fn another_statement_exits_with_4() {
        let enrolled = &*ENROLLED;
        let proof = enrolled.folder.path("accept.vxp");
        let other = Folder::new();
        let template = other.path("other.vxe");
        assert_eq!(status(&["enrol", &demo_wav("awb_1.wav"), "-o", &template]), 0);
        let cases: [(&[&str], &str); 4] = [
            (&["--context", "c0ffef"], "context"),
            (&["--context", ""], "context"),
            (&["--enrolled", &template], "template"),
            (&["--min-threshold", "0.9"], "threshold"),
        ];
        for (more, field) in cases {
            let (exit, value) = enrolled.verify(&proof, more);
            assert_eq!(exit, 4, "{more:?}: {value}");
            assert_eq!((&value["decision"], &value["failed_at"]), (&"invalid".into(), &"statement".into()));
            assert_eq!(value["mismatch"]["field"], field);
        }
        assert_eq!(enrolled.verify(&proof, &["--min-threshold", "0.5"]).0, 0);
    }

    #[test]
    fn damaged_proofs_exit_with_3() {
        let enrolled = &*ENROLLED;
        let folder = Folder::new();
        let good = fs::read(enrolled.folder.path("accept.vxp")).unwrap();
        let mut cases = vec![
            (Vec::new(), "empty".to_owned()),
            (b"garbage".to_vec(), "garbage".into()),
            (vec![0xff; good.len()], "ones".into()),
            (good[..good.len() - 1].to_vec(), "one byte short".into()),
            (good[..good.len() / 2].to_vec(), "half".into()),
            ([good.as_slice(), &[0]].concat(), "one byte long".into()),
        ];
        for place in [good.len() / 2, good.len() * 3 / 4, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            cases.push((bytes, format!("byte {place}")));
        }
        for (bytes, name) in cases {
            let (exit, value) = enrolled.verify(&folder.write("p.vxp", &bytes), &[]);
            assert_eq!((exit, &value["decision"]), (3, &Value::from("invalid")), "{name}: {value}");
            assert_result(&value, "verify");
            assert!(value["failed_at"].is_string(), "{name}");
        }
    }

    #[test]
    fn damaged_inputs_that_are_not_the_proof_exit_with_65() {
        let enrolled = &*ENROLLED;
        let folder = Folder::new();
        let garbage = folder.write("garbage", b"garbage");
        let (template, wav) = (enrolled.folder.path("t.vxe"), demo_wav("slt_3.wav"));
        let (proof, output) = (enrolled.folder.path("accept.vxp"), folder.path("p.vxp"));
        assert_error(&["verify", "--enrolled", &garbage, &proof], 65, "E-TEMPLATE");
        assert_error(&["verify", "--enrolled", &template, "--key", &garbage, &proof], 65, "E-KEY");
        assert_error(&["verify", "--enrolled", &template, "--model", &garbage, &proof], 65, "E-MODEL");
        assert_error(&["prove", "--enrolled", &template, "--secret", &garbage, &wav, "-o", &output], 65, "E-SECRET");
        let absent = folder.path("absent");
        assert_error(&["verify", "--enrolled", &absent, &proof], 66, "E-NO-INPUT");
        assert_error(&["prove", "--enrolled", &template, "--secret", &absent, &wav, "-o", &output], 66, "E-NO-INPUT");
        let proof = fs::read(proof).unwrap();
        let (exit, value) = enrolled.verify(&folder.write("exists.vxp", &proof), &[]);
        assert_eq!(exit, 0, "{value}");
        let exists = folder.path("exists.vxp");
        assert_error(&["prove", "--enrolled", &template, &wav, "-o", &exists], 73, "E-EXISTS");
    }

    #[test]
    fn short_recordings_and_small_budgets_are_refused() {
        let enrolled = &*ENROLLED;
        let folder = Folder::new();
        let template = enrolled.folder.path("t.vxe");
        let output = folder.path("p.vxp");
        let short = folder.write("short.wav", &wav(1, 1, 16_000, 16, &[0; 798]));
        assert_error(&["prove", "--enrolled", &template, &short, "-o", &output], 65, "E-WAV-TOO-SHORT");
        let slow = folder.write("slow.wav", &wav(1, 1, 8_000, 16, &[0; 64_000]));
        assert_error(&["prove", "--enrolled", &template, &slow, "-o", &output], 65, "E-WAV-FORMAT");
        let wav = demo_wav("slt_3.wav");
        let arguments = ["prove", "--enrolled", &template, &wav, "-o", &output, "--max-memory", "1"];
        assert_error(&arguments, 75, "E-MEMORY");
        assert!(!Path::new(&output).exists());
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let path: PathBuf = ENROLLED.folder.path("t.vxe.secret").into();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_committed_recording_is_demanded() {
        let enrolled = &*ENROLLED;
        let folder = Folder::new();
        let (template, wav) = (enrolled.folder.path("t.vxe"), demo_wav("slt_3.wav"));
        let (audio, other, proof) = (folder.path("a.vxa"), folder.path("b.vxa"), folder.path("p.vxp"));
        let (exit, value) = json(&["commit", &wav, "-o", &audio]);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "commit");
        assert_eq!(status(&["commit", &demo_wav("slt_4.wav"), "-o", &other]), 0);
        let arguments = ["prove", "--enrolled", &template, "--context", CONTEXT, "--audio", &audio, &wav, "-o", &proof];
        let (exit, made) = json(&arguments);
        assert_eq!((exit, &made["audio_id"]), (0, &value["audio_id"]), "{made}");
        assert_eq!(enrolled.verify(&proof, &["--audio", &audio]).0, 0);
        let (exit, value) = enrolled.verify(&proof, &["--audio", &other]);
        assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("audio")), "{value}");
    }

    #[test]
    fn everything_can_be_inspected() {
        let enrolled = &*ENROLLED;
        let kinds = [("accept.vxp", "proof"), ("t.vxe", "template"), ("k.vxk", "verifying key")];
        for (name, kind) in kinds {
            let (exit, value) = json(&["inspect", &enrolled.folder.path(name)]);
            assert_eq!((exit, &value["kind"]), (0, &Value::from(kind)), "{value}");
            assert_result(&value, "inspect");
        }
        let (_, value) = json(&["inspect", &enrolled.folder.path("accept.vxp")]);
        let sections = value["sections"].as_array().unwrap();
        let end = |s: &Value| s["offset"].as_u64().unwrap() + s["bytes"].as_u64().unwrap();
        assert_eq!(sections[0]["offset"], 0);
        assert!(sections.windows(2).all(|pair| pair[1]["offset"].as_u64() == Some(end(&pair[0]))));
        assert_eq!(sections.last().map(end), value["bytes"].as_u64());
        let (exit, value) = json(&["inspect", "xvector-small"]);
        assert_eq!((exit, &value["kind"]), (0, &Value::from("model")));
        assert!(!value["layers"].as_array().unwrap().is_empty());
        let tree = String::from_utf8(run(&["inspect", "xvector-small", "--tree"]).stdout).unwrap();
        assert!(tree.contains("└─") && tree.contains('%'), "{tree}");
        assert_eq!(status(&["inspect", &demo_wav("slt_1.wav")]), 65);
    }
}

mod parties {
    use super::*;

    /// Weights that only their owner has: enrol and prove with a private key, verify with its public half.
    #[test]
    fn a_private_model_is_used_through_its_key() {
        let folder = Folder::new();
        let (key, template, proof) = (folder.path("k.vxk"), folder.path("t.vxe"), folder.path("p.vxp"));
        let (exit, value) = json(&["setup", "xvector-small", "--private", "-o", &key]);
        assert_eq!((exit, &value["private"]), (0, &Value::from(true)), "{value}");
        assert_result(&value, "setup");
        let (exit, inspected) = json(&["inspect", &key]);
        assert_eq!((exit, &inspected["private"]), (0, &Value::from(true)), "{inspected}");
        assert_eq!(inspected["model_id"], value["model_id"]);
        let secret = folder.path("k.vxk.secret");
        assert_eq!(json(&["inspect", &secret]).1["kind"], "key secret");
        let (a, b, c) = (demo_wav("slt_1.wav"), demo_wav("slt_2.wav"), demo_wav("slt_3.wav"));
        let enrol = ["enrol", "--key", &key, &a, &b, "-o", &template, "--threshold", "0.66"];
        assert_eq!(json(&enrol).1["model_id"], value["model_id"]);
        assert_eq!(status(&["prove", "--key", &key, "--enrolled", &template, &c, "-o", &proof]), 0);
        assert_eq!(status(&["verify", "--key", &key, "--enrolled", &template, &proof]), 0);
        // The public model is another one, and so is a second key.
        assert_eq!(status(&["verify", "--enrolled", &template, &proof]), 4);
        let (other, output) = (folder.path("other.vxk"), folder.path("q.vxp"));
        assert_eq!(status(&["setup", "xvector-small", "--private", "-o", &other]), 0);
        assert_eq!(status(&["verify", "--key", &other, "--enrolled", &template, &proof]), 4);
        assert_error(&["prove", "--enrolled", &template, &c, "-o", &output], 65, "E-MISMATCH");
        let stranger = ["prove", "--key", &other, "--key-secret", &secret, "--enrolled", &template, &c, "-o", &output];
        assert_error(&stranger, 65, "E-MISMATCH");
        let clear = ["prove", "--clear", "--key", &key, "--enrolled", &template, &c, "-o", &output];
        assert_error(&clear, 65, "E-MISMATCH");
        let public = ENROLLED.folder.path("k.vxk");
        assert_error(&["prove", "--key", &public, "--enrolled", &template, &c, "-o", &output], 2, "E-USAGE");
        // A key whose proof is damaged is no key.
        let mut bytes = fs::read(&key).unwrap();
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
        let damaged = folder.write("damaged.vxk", &bytes);
        assert_error(&["verify", "--key", &damaged, "--enrolled", &template, &proof], 65, "E-KEY");
    }

    #[test]
    fn enrolments_are_proved_and_replays_refused() {
        let folder = Folder::new();
        let (template, enrolment, proof) = (folder.path("t.vxe"), folder.path("e.vxp"), folder.path("p.vxp"));
        let (a, b, c) = (demo_wav("slt_1.wav"), demo_wav("slt_2.wav"), demo_wav("slt_3.wav"));
        let arguments = [
            "enrol",
            &a,
            &b,
            "-o",
            &template,
            "--proof",
            &enrolment,
            "--label",
            "Alice",
            "--refuse-replays",
            "--threshold",
            "0.66",
        ];
        let (exit, value) = json(&arguments);
        assert_eq!((exit, &value["label"]), (0, &Value::from("Alice")), "{value}");
        assert_eq!(value["proof_bytes"], fs::metadata(&enrolment).unwrap().len());
        let (_, inspected) = json(&["inspect", &template]);
        assert_eq!(inspected["recordings"].as_array().unwrap().len(), 2);
        assert_eq!(json(&["inspect", &enrolment]).1["template_id"], value["template_id"]);
        let message = assert_error(&["prove", "--enrolled", &template, &a, "-o", &proof], 65, "E-MISMATCH");
        assert!(message.contains("enrolled"), "{message}");
        assert_eq!(status(&["prove", "--enrolled", &template, &c, "-o", &proof]), 0);
        let verify = |more: &[&str]| {
            let given = ["verify", "--enrolled", &template, "--no-replays", &proof];
            json(&[&given[..], more].concat())
        };
        let (exit, value) = verify(&["--enrolment", &enrolment, "--min-recordings", "2"]);
        assert_eq!((exit, &value["label"]), (0, &Value::from("Alice")), "{value}");
        let (exit, value) = verify(&["--enrolment", &enrolment, "--min-recordings", "3"]);
        assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("enrolment")), "{value}");
        let mut bytes = fs::read(&enrolment).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let (exit, value) = verify(&["--enrolment", &folder.write("damaged.vxp", &bytes)]);
        assert_eq!(exit, 3, "{value}");
        assert!(value["failed_at"].as_str().unwrap().starts_with("enrolment"), "{value}");
        assert_error(&["verify", "--enrolled", &template, "--enrolment", &proof, &proof], 65, "E-ENROLMENT");
        // A template that refuses nothing is not enough for those who ask for one that does.
        let plain = [ENROLLED.folder.path("t.vxe"), ENROLLED.folder.path("accept.vxp")];
        let given = ["verify", "--context", CONTEXT, "--enrolled", &plain[0], &plain[1]];
        let (exit, value) = json(&[&given[..], &["--no-replays"]].concat());
        assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("replays")), "{value}");
    }

    #[test]
    fn revoked_templates_are_refused() {
        let enrolled = &*ENROLLED;
        let folder = Folder::new();
        let proof = enrolled.folder.path("accept.vxp");
        let id = enrolled.verify(&proof, &[]).1["template_id"].as_str().unwrap().to_owned();
        let list = folder.write("revoked", format!("# lost\n{id}\n").as_bytes());
        let (exit, value) = enrolled.verify(&proof, &["--revoked", &list]);
        assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("revocation")), "{value}");
        let list = folder.write("others", b"# none\n");
        assert_eq!(enrolled.verify(&proof, &["--revoked", &list]).0, 0);
        let template = enrolled.folder.path("t.vxe");
        let list = folder.write("broken", b"vxe1:12\n");
        assert_error(&["verify", "--enrolled", &template, "--revoked", &list, &proof], 65, "E-REVOCATION-LIST");
    }

    #[cfg(feature = "attest")]
    #[test]
    fn devices_attest_recordings() {
        let enrolled = &*ENROLLED;
        let folder = Folder::new();
        let (template, wav) = (enrolled.folder.path("t.vxe"), demo_wav("slt_3.wav"));
        let [key, other, audio, signed, proof] =
            ["dev.key", "other.key", "a.vxa", "a.sig", "p.vxp"].map(|name| folder.path(name));
        assert_eq!(status(&["attest", "keygen", "-o", &key]), 0);
        assert_eq!(status(&["attest", "keygen", "-o", &other]), 0);
        let (public, stranger) = (folder.path("dev.key.pub"), folder.path("other.key.pub"));
        assert_eq!(status(&["commit", &wav, "-o", &audio]), 0);
        let (exit, value) = json(&["attest", "sign", "--key", &key, "--context", CONTEXT, &audio, "-o", &signed]);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "attest-sign");
        let prove = ["prove", "--enrolled", &template, "--context", CONTEXT, "--audio", &audio, &wav];
        assert_eq!(status(&[&prove[..], &["--attestation", &signed, "-o", &proof]].concat()), 0);
        let (exit, value) = enrolled.verify(&proof, &["--attested-by", &stranger, "--attested-by", &public]);
        assert_eq!((exit, value["attested"]["time"].is_u64()), (0, true), "{value}");
        assert_eq!(enrolled.verify(&proof, &["--attested-by", &public, "--max-age", "3600"]).0, 0);
        let (exit, value) = enrolled.verify(&proof, &["--attested-by", &stranger]);
        assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("attestation")), "{value}");
        assert_eq!(enrolled.verify(&enrolled.folder.path("accept.vxp"), &["--attested-by", &public]).0, 4);
        let (old, late) = (folder.path("old.sig"), folder.path("late.vxp"));
        let sign = ["attest", "sign", "--key", &key, "--context", CONTEXT, "--time", "1000000000", &audio, "-o", &old];
        assert_eq!(status(&sign), 0);
        assert_eq!(status(&[&prove[..], &["--attestation", &old, "-o", &late]].concat()), 0);
        let (exit, value) = enrolled.verify(&late, &["--attested-by", &public, "--max-age", "3600"]);
        assert_eq!((exit, &value["mismatch"]["field"]), (4, &Value::from("attestation")), "{value}");
        assert_error(&["attest", "sign", "--key", &public, &audio, "-o", &folder.path("x")], 65, "E-DEVICE-KEY");
        assert_error(&["attest", "keygen", "-o", &key], 73, "E-EXISTS");
    }
}

mod models {
    use super::*;

    #[test]
    fn the_demo_tells_its_story() {
        let folder = Folder::new();
        let out = folder.path("demo");
        let (exit, value) = json(&["demo", "--out", &out]);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "demo");
        let decisions: Vec<&str> =
            value["steps"].as_array().unwrap().iter().map(|step| step["decision"].as_str().unwrap()).collect();
        assert_eq!(decisions, ["accept", "reject", "invalid"]);
        let at = |name: &str| path_text(&Path::new(&out).join(name));
        let (key, template, context) = (at("model.vxk"), at("voice.vxe"), hex::encode("voxcheck demo"));
        for (proof, exit) in [("accept.vxp", 0), ("reject.vxp", 1), ("changed.vxp", 3)] {
            let arguments = ["verify", "--key", &key, "--enrolled", &template, "--context", &context, &at(proof)];
            assert_eq!(status(&arguments), exit, "{proof}");
        }
        assert_error(&["demo", "--out", &out], 73, "E-EXISTS");
    }

    #[test]
    fn embeddings_are_exact_and_close_to_float() {
        let folder = Folder::new();
        let (wav, output) = (demo_wav("slt_1.wav"), folder.path("e.npy"));
        let (exit, value) = json(&["embed", &wav, "-o", &output]);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "embed");
        assert_eq!(value["embedding"].as_array().unwrap().len(), 128);
        assert_eq!(value["float_embedding"].as_array().unwrap().len(), 128);
        assert!(value["cosine"].as_f64().unwrap() > 0.999);
        let bytes = fs::read(&output).unwrap();
        assert_eq!(&bytes[..6], b"\x93NUMPY");
        assert_eq!(bytes.len(), 128 + 128 * 8);
    }

    #[test]
    fn similar_recordings_are_similar() {
        let (a, b, c) = (demo_wav("slt_1.wav"), demo_wav("slt_2.wav"), demo_wav("awb_1.wav"));
        let (exit, same) = json(&["similarity", &a, &b]);
        assert_eq!(exit, 0, "{same}");
        assert_result(&same, "similarity");
        let (_, other) = json(&["similarity", &a, &c]);
        let cosine = |value: &Value, name: &str| value[name].as_f64().unwrap();
        assert!(cosine(&same, "cosine") > 0.66 && cosine(&other, "cosine") < 0.5);
        assert!((cosine(&same, "cosine") - cosine(&same, "float_cosine")).abs() < 0.01);
    }

    #[test]
    fn trials_are_evaluated_and_failures_counted() {
        let folder = Folder::new();
        let list = folder.write(
            "trials.csv",
            b"enrol,test,label,other\nslt_1,slt_2,1,x\nslt_1,slt_3,1,x\nslt_1,awb_1,0,x\nslt_2,awb_1,0,x\n",
        );
        let wavs = path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"));
        let (exit, value) = json(&["eval", "--trials", &list, "--wav-dir", &wavs, "--seconds", "3"]);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "eval");
        assert_has(&value, &["trials", "threshold", "float_min_dcf", "max_score_difference"]);
        assert_eq!((&value["eer"], &value["float_eer"], &value["min_dcf"]), (&0.0.into(), &0.0.into(), &0.0.into()));
        let list = folder.write("more.csv", b"enrol,test,label\nslt_1,slt_2,1\nslt_1,absent,1\nslt_1,awb_1,0\n");
        let (_, value) = json(&["eval", "--trials", &list, "--wav-dir", &wavs]);
        assert!(value["eer"].as_f64().unwrap() > 0.0);
        assert!(value["warnings"][0].as_str().unwrap().contains("absent"));
    }

    #[test]
    fn a_threshold_is_chosen_from_trials() {
        let folder = Folder::new();
        let trials = b"enrol,test,label\nslt_1,slt_2,1\nslt_1,slt_3,1\nslt_1,awb_1,0\nslt_2,awb_1,0\n";
        let list = folder.write("trials.csv", trials);
        let wavs = path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"));
        let arguments = ["threshold", "--trials", &list, "--wav-dir", &wavs, "--seconds", "3", "--step", "0.25"];
        let (exit, value) = json(&arguments);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "threshold");
        assert_eq!((&value["false_accepts"], &value["false_rejects"]), (&0.0.into(), &0.0.into()), "{value}");
        let table = value["table"].as_array().unwrap();
        assert_eq!(table.len(), 4);
        assert_eq!(table[3]["false_rejects"], 1.0);
        let rates: Vec<f64> = table.iter().map(|row| row["false_accepts"].as_f64().unwrap()).collect();
        assert!(rates.is_sorted_by(|a, b| a >= b), "{rates:?}");
        let text = String::from_utf8(run(&arguments).stdout).unwrap();
        assert!(text.contains("false rejects"), "{text}");
        assert_eq!(status(&["threshold", "--trials", &list, "--wav-dir", &wavs, "--false-accepts", "2"]), 2);
        let list = folder.write("targets.csv", b"enrol,test,label\nslt_1,slt_2,1\n");
        assert_error(&["threshold", "--trials", &list, "--wav-dir", &wavs], 65, "E-TRIALS");
    }

    #[test]
    fn a_network_is_imported_checked_and_estimated() {
        let folder = Folder::new();
        let network = path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/xvector_small.onnx"));
        let model = folder.path("m.vxm");
        let arguments = ["model", "import", &network, "--frontend", "logmel24", "-o", &model];
        let (exit, value) = json(&arguments);
        assert_eq!(exit, 0, "{value}");
        assert_result(&value, "model-import");
        assert!(value["warnings"][0].as_str().unwrap().contains("--calibrate"));
        let (exit, value) = json(&["model", "check", &model, "--against", &network, "--wav", &demo_wav("slt_1.wav")]);
        assert_eq!(exit, 0, "{value}");
        assert!(value["cosine"].as_f64().unwrap() > 0.999);
        let (exit, value) = json(&["model", "estimate", &model, "--seconds", "3"]);
        assert_eq!(exit, 0, "{value}");
        assert_has(&value, &["frames", "lookups", "proof_bytes", "memory_bytes", "layers"]);
        assert_error(&["enrol", "--model", &network, &demo_wav("slt_1.wav"), "-o", &folder.path("t")], 65, "E-MODEL");
        let fixed = folder.path("fixed.vxm");
        let arguments = ["model", "import", &network, "--frontend", "logmel24", "--length", "16000", "-o", &fixed];
        let (exit, value) = json(&arguments);
        assert_eq!(
            (exit, &value["min_samples"], &value["max_samples"]),
            (0, &15_920.into(), &16_079.into()),
            "{value}"
        );
        let warnings = value["warnings"].as_array().unwrap();
        assert!(warnings.iter().any(|text| text.as_str().unwrap().contains("one length")), "{value}");
        assert_error(&["embed", "--model", &fixed, &demo_wav("slt_1.wav")], 65, "E-WAV-TOO-LONG");
        let (exit, value) = json(&["model", "estimate", &fixed]);
        assert_eq!((exit, &value["samples"]), (0, &16_079.into()), "{value}");
        let short = ["model", "import", &network, "--frontend", "logmel24", "--length", "100", "-o", &fixed, "--force"];
        assert_error(&short, 2, "E-USAGE");
        let output = ["--graph-output", "nothing", "-o", &fixed, "--force"];
        assert_error(&[&short[..5], &output[..]].concat(), 65, "E-MODEL-ATTRIBUTE");
        // States need chunks to be carried over, and outputs that give them back.
        let output = folder.path("g.vxm");
        let import = |frontend: &str, state: &str| -> Vec<String> {
            let words = ["model", "import", &network, "--frontend", frontend, "--state", state, "-o", &output];
            words.map(str::to_owned).to_vec()
        };
        for (frontend, state, exit, code) in [
            ("raw", "state=stateN", 2, "E-USAGE"),
            ("raw:chunk=512", "state", 2, "E-USAGE"),
            ("raw:chunk=512,context=513", "state=stateN", 2, "E-USAGE"),
            ("raw:chunk=512", "state=stateN", 65, "E-MODEL-ATTRIBUTE"),
        ] {
            let words = import(frontend, state);
            assert_error(&words.iter().map(String::as_str).collect::<Vec<_>>(), exit, code);
        }
        let garbage = folder.write("garbage.onnx", b"garbage");
        assert_error(&["model", "import", &garbage, "--frontend", "logmel24", "-o", &output], 65, "E-MODEL");
    }
}
