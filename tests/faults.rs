//! What the program leaves behind when something else fails: the disk, the machine, another process, the user.
//!
//! An output is complete or absent, whatever happens. Nothing here depends on how long anything takes: a signal
//! may arrive before, during or after the work, and every outcome that is allowed is allowed at any moment.
#![cfg(unix)]

mod cli_common;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use cli_common::*;
use serde_json::Value;
use voxcheck::Model;
use voxcheck::proof::{AudioCommitment, AudioSecret, Proof, Template, TemplateSecret, VerifyingKey};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// A template, a key and a proof.
static GIVEN: LazyLock<Folder> = LazyLock::new(|| {
    let folder = Folder::new();
    let template = folder.path("t.vxe");
    assert_eq!(status(&["enrol", &demo_wav("slt_1.wav"), "-o", &template]), 0);
    assert_eq!(status(&["setup", "xvector-small", "-o", &folder.path("k.vxk")]), 0);
    assert_eq!(status(&["prove", "--enrolled", &template, &short(&folder), "-o", &folder.path("p.vxp")]), 0);
    folder
});

/// A second of a bundled recording.
fn short(folder: &Folder) -> String {
    let samples = voxcheck::audio::wav::read(demo_wav("slt_3.wav")).unwrap().samples;
    let bytes: Vec<u8> = samples[..16_000].iter().flat_map(|s| s.to_le_bytes()).collect();
    folder.write("short.wav", &wav(1, 1, 16_000, 16, &bytes))
}

/// Whether a file is one that the program could have written in full.
type Whole = fn(&[u8]) -> bool;

/// A command that writes files: its arguments, and what each of them is.
struct Job {
    arguments: Vec<String>,
    outputs: Vec<(&'static str, Whole)>,
}

fn jobs(folder: &Folder) -> Vec<Job> {
    let given = &*GIVEN;
    let job = |arguments: &[&str], outputs: &[(&'static str, Whole)]| Job {
        arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
        outputs: outputs.to_vec(),
    };
    let network = path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/xvector_small.onnx"));
    let (wav, template, short) = (demo_wav("slt_1.wav"), given.path("t.vxe"), given.path("short.wav"));
    vec![
        job(
            &["prove", "--enrolled", &template, &short, "-o", &folder.path("p.vxp")],
            &[("p.vxp", |b| Proof::from_bytes(b).is_ok())],
        ),
        job(
            &["enrol", &wav, "-o", &folder.path("t.vxe")],
            &[
                ("t.vxe.secret", |b| TemplateSecret::from_bytes(b).is_ok()),
                ("t.vxe", |b| Template::from_bytes(b).is_ok()),
            ],
        ),
        job(
            &["commit", &wav, "-o", &folder.path("a.vxa")],
            &[
                ("a.vxa.secret", |b| AudioSecret::from_bytes(b).is_ok()),
                ("a.vxa", |b| AudioCommitment::from_bytes(b).is_ok()),
            ],
        ),
        job(
            &["setup", "xvector-small", "-o", &folder.path("k.vxk")],
            &[("k.vxk", |b| VerifyingKey::from_bytes(b).is_ok())],
        ),
        job(
            &["model", "import", &network, "--frontend", "logmel24", "--calibrate", &wav, "-o", &folder.path("m.vxm")],
            &[("m.vxm", |b| Model::from_bytes(b).is_ok())],
        ),
    ]
}

fn program() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("voxcheck"));
    for name in ["VOXCHECK_LOG", "VOXCHECK_THREADS", "RAYON_NUM_THREADS", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn spawn(arguments: &[impl AsRef<OsStr>]) -> Child {
    program().args(arguments).spawn().expect("the program starts")
}

fn send(child: &Child, signal: i32) {
    // It may have ended by itself; what it left is looked at in any case.
    let arguments = [format!("-{signal}"), child.id().to_string()];
    Command::new("kill").args(arguments).stderr(Stdio::null()).status().expect("the command `kill`");
}

/// Runs the program under limits of the shell, such as `ulimit -v 1000`.
fn limited(limit: &str, arguments: &[&str]) -> Output {
    let script = format!("{limit} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(assert_cmd::cargo::cargo_bin("voxcheck")).args(arguments);
    command.stdin(Stdio::null()).output().expect("a shell")
}

/// Names in the folder that are not temporary files.
fn final_names(folder: &Folder) -> Vec<String> {
    folder.names().into_iter().filter(|name| !name.starts_with(".voxcheck-")).collect()
}

/// Numbers between 0 and 1 that spread evenly, the same in every run.
fn fractions(n: usize) -> impl Iterator<Item = f64> {
    (1..=n).map(|i| (i as f64 * 0.618_033_988_75).fract())
}

mod signals {
    use super::*;

    /// Sends `signal` at many moments of a run, with and without something in the way, and looks at what is left.
    fn interrupt(index: usize, signal: i32, times: usize) {
        let folder = Folder::new();
        let Job { mut arguments, outputs } = jobs(&folder).swap_remove(index);
        let start = Instant::now();
        assert!(spawn(&arguments).wait().unwrap().success(), "{arguments:?}");
        let whole_run = start.elapsed();
        let names: Vec<&str> = outputs.iter().map(|(name, _)| *name).collect();
        let old: Vec<Vec<u8>> = names.iter().map(|name| fs::read(folder.path(name)).unwrap()).collect();
        for (bytes, (name, whole)) in old.iter().zip(&outputs) {
            assert!(whole(bytes), "{name}");
        }
        for (i, fraction) in fractions(times).enumerate() {
            let replace = i % 2 == 1;
            names.iter().for_each(|name| fs::remove_file(folder.path(name)).unwrap_or_default());
            arguments.retain(|argument| argument != "--force");
            if replace {
                names.iter().zip(&old).for_each(|(name, bytes)| fs::write(folder.path(name), bytes).unwrap());
                arguments.push("--force".into());
            }
            let mut child = spawn(&arguments);
            thread::sleep(whole_run.mul_f64(fraction));
            send(&child, signal);
            let status = child.wait().unwrap();
            assert!(status.success() || status.signal() == Some(signal), "{arguments:?}: {status}");
            for (name, whole) in &outputs {
                match fs::read(folder.path(name)) {
                    Ok(bytes) => assert!(whole(&bytes), "{name} after {status}"),
                    Err(_) => assert!(!replace && !status.success(), "{name} is gone after {status}"),
                }
            }
            assert!(final_names(&folder).iter().all(|name| names.contains(&name.as_str())), "{:?}", folder.names());
            if signal != SIGKILL {
                assert_eq!(folder.names().len(), final_names(&folder).len(), "{:?}", folder.names());
            }
        }
    }

    #[test]
    fn a_killed_prover_leaves_a_whole_proof_or_none() {
        interrupt(0, SIGKILL, 12);
    }

    #[test]
    fn a_killed_enrolment_leaves_whole_files_or_none() {
        interrupt(1, SIGKILL, 12);
    }

    #[test]
    fn a_killed_commitment_leaves_whole_files_or_none() {
        interrupt(2, SIGKILL, 8);
    }

    #[test]
    fn a_killed_setup_leaves_a_whole_key_or_none() {
        interrupt(3, SIGKILL, 8);
    }

    #[test]
    fn a_killed_import_leaves_a_whole_model_or_none() {
        interrupt(4, SIGKILL, 8);
    }

    #[test]
    fn an_interrupted_prover_leaves_nothing_half_written() {
        interrupt(0, SIGINT, 6);
        interrupt(0, SIGTERM, 6);
    }

    /// Runs an enrolment whose secret is written, and whose template waits for a reader that never comes; sends the
    /// signal there.
    fn interrupt_while_writing(signal: i32) -> Folder {
        let folder = Folder::new();
        let (fifo, secret) = (folder.path("fifo"), folder.path("t.secret"));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let mut child = spawn(&["enrol", &demo_wav("slt_1.wav"), "-o", &fifo, "--secret", &secret]);
        let temporary = |name: &String| name.starts_with(".voxcheck-");
        let size = |name: &String| fs::metadata(folder.path(name)).map_or(0, |file| file.len());
        while !folder.names().iter().any(|name| temporary(name) && size(name) > 0) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it wrote");
            thread::sleep(Duration::from_millis(1));
        }
        send(&child, signal);
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
        folder
    }

    /// Whether this process ignores the signal, and whatever it starts.
    fn is_ignored(signal: i32) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
        u64::from_str_radix(mask.trim(), 16).unwrap_or(0) >> (signal - 1) & 1 == 1
    }

    #[test]
    fn an_interrupt_removes_temporary_files() {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if is_ignored(signal) {
                // In the background of a script, or under nohup: the program inherits that, and respects it.
                eprintln!("SKIPPED: signal {signal} is ignored here");
                continue;
            }
            assert_eq!(interrupt_while_writing(signal).names(), ["fifo"], "signal {signal}");
        }
    }

    #[test]
    fn what_a_kill_leaves_has_a_recognisable_name() {
        let folder = interrupt_while_writing(SIGKILL);
        assert_eq!(final_names(&folder), ["fifo"]);
        let left = folder.names().into_iter().find(|name| name.starts_with(".voxcheck-")).expect("the secret");
        let mode = fs::metadata(folder.path(&left)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a secret is one under any name");
    }

    #[test]
    fn an_ignored_interrupt_stays_ignored() {
        let folder = Folder::new();
        let output = folder.path("k.vxk");
        let mut child = Command::new("sh")
            .args(["-c", "trap '' INT; echo ready; exec \"$0\" \"$@\""])
            .arg(assert_cmd::cargo::cargo_bin("voxcheck"))
            .args(["setup", "xvector-small", "-o", &output])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut ready = [0; 6];
        stdout.read_exact(&mut ready).unwrap();
        for _ in 0..50 {
            send(&child, SIGINT);
            thread::sleep(Duration::from_millis(5));
        }
        assert!(child.wait().unwrap().success());
        assert!(VerifyingKey::from_bytes(&fs::read(output).unwrap()).is_ok());
    }
}

mod disks {
    use super::*;

    fn message(output: &Output) -> String {
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    #[test]
    fn a_full_stdout_exits_with_73() {
        let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let given = &*GIVEN;
        let (template, short, proof) = (given.path("t.vxe"), given.path("short.wav"), given.path("p.vxp"));
        let cases: [&[&str]; 7] = [
            &["setup", "xvector-small", "-o", "-"],
            &["prove", "--enrolled", &template, &short, "-o", "-"],
            &["verify", "--enrolled", &template, &proof, "--json"],
            &["model", "ops", "--json"],
            &["model", "ops"],
            &["--help"],
            &["--version"],
        ];
        for arguments in cases {
            let output = program().args(arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
            assert_eq!(output.status.code(), Some(73), "{arguments:?}: {}", message(&output));
            assert!(message(&output).contains("E-WRITE"), "{arguments:?}: {}", message(&output));
        }
    }

    #[test]
    fn a_size_limit_leaves_nothing() {
        let folder = Folder::new();
        // In blocks of 512 or 1024 bytes: less than every output here but the commitment and the template.
        for (job, limit) in jobs(&folder).iter().zip([4, 0, 0, 4, 4]) {
            let arguments: Vec<&str> = job.arguments.iter().map(String::as_str).collect();
            let output = limited(&format!("ulimit -f {limit}"), &arguments);
            assert_eq!(output.status.code(), Some(73), "{arguments:?}: {:?} {}", output.status, message(&output));
            assert!(message(&output).contains("E-WRITE"), "{}", message(&output));
            assert_eq!(folder.names(), [""; 0], "{arguments:?}");
        }
    }

    #[test]
    fn a_size_limit_leaves_the_old_file_under_force() {
        let folder = Folder::new();
        let output = folder.write("k.vxk", b"old");
        let failed = limited("ulimit -f 4", &["setup", "xvector-small", "-o", &output, "--force"]);
        assert_eq!(failed.status.code(), Some(73), "{}", message(&failed));
        assert_eq!(fs::read(&output).unwrap(), b"old");
        assert_eq!(folder.names(), ["k.vxk"]);
    }

    #[test]
    fn a_full_disk_leaves_nothing() {
        let folder = Folder::new();
        let mount = folder.path("disk");
        fs::create_dir(&mount).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "tmpfs", &mount]).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting is not allowed; the size limit and /dev/full are tested instead");
            return;
        }
        let outcome = json(&["setup", "xvector-small", "-o", &format!("{mount}/k.vxk")]);
        let left = fs::read_dir(&mount).unwrap().count();
        assert!(Command::new("umount").arg(&mount).status().unwrap().success());
        assert_eq!((outcome.0, outcome.1["code"].as_str(), left), (73, Some("E-WRITE"), 0), "{}", outcome.1);
    }

    #[test]
    fn one_of_two_files_is_none() {
        let folder = Folder::new();
        // The secret has room, the template's folder vanishes in between: both are staged before one is renamed.
        let wav = demo_wav("slt_1.wav");
        let (output, secret) = ("/dev/full".to_owned(), folder.path("t.secret"));
        let message = assert_error(&["enrol", &wav, "-o", &output, "--secret", &secret], 73, "E-WRITE");
        assert!(message.contains("/dev/full"), "{message}");
        assert_eq!(folder.names(), [""; 0], "a secret without its template is left");
    }
}

mod paths {
    use super::*;

    fn is_root() -> bool {
        fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0
    }

    #[test]
    fn places_that_cannot_be_written_exit_with_73() {
        let folder = Folder::new();
        let mut outputs = vec![folder.path("absent/k.vxk"), folder.path("")];
        let closed = folder.path("closed");
        fs::create_dir(&closed).unwrap();
        if is_root() {
            // Permissions do not bind root, but the kernel's own file systems do.
            outputs.push("/proc/k.vxk".into());
            outputs.push("/sys/k.vxk".into());
        } else {
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
            outputs.push(format!("{closed}/k.vxk"));
        }
        for output in outputs {
            for force in [&[][..], &["--force"]] {
                let arguments = [&["setup", "xvector-small", "-o", &output][..], force].concat();
                assert_error(&arguments, 73, "E-WRITE");
            }
        }
        assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
    }

    #[test]
    fn inputs_that_cannot_be_read_exit_with_66_or_74() {
        let folder = Folder::new();
        let (output, absent, directory) = (folder.path("out"), folder.path("absent"), folder.path(""));
        let wav = demo_wav("slt_1.wav");
        let unreadable = if is_root() {
            // Its first page is mapped nowhere: opening succeeds, reading fails.
            "/proc/self/mem".to_owned()
        } else {
            let path = folder.write("closed", b"x");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
            path
        };
        for (path, exit, code) in [(&absent, 66, "E-NO-INPUT"), (&directory, 74, "E-READ"), (&unreadable, 74, "E-READ")]
        {
            assert_error(&["enrol", path, "-o", &output], exit, code);
            assert_error(&["setup", path, "-o", &output], exit, code);
            assert_error(&["inspect", path], exit, code);
            assert_error(&["verify", "--enrolled", path, &wav], exit, code);
            assert_error(&["prove", "--enrolled", path, &wav, "-o", &output], exit, code);
            assert_error(&["wav", "resample", path, "-o", &output], exit, code);
            assert_error(&["model", "import", path, "--frontend", "logmel24", "-o", &output], exit, code);
        }
        assert!(!Path::new(&output).exists());
    }

    #[test]
    fn one_output_does_not_replace_another() {
        let folder = Folder::new();
        let (wav, template) = (demo_wav("slt_1.wav"), folder.path("t.vxe"));
        fs::create_dir(folder.path("sub")).unwrap();
        let same = folder.path("sub/../t.vxe");
        assert_error(&["enrol", &wav, "-o", &template, "--secret", &same], 73, "E-EXISTS");
        assert_eq!(folder.names(), ["sub"]);
        let key = folder.path("k.vxk");
        assert_eq!(status(&["setup", "xvector-small", "-o", &key, "--profile", &key, "--force"]), 73);
        assert!(VerifyingKey::from_bytes(&fs::read(&key).unwrap()).is_ok(), "a trace replaced the key");
    }

    #[test]
    fn recordings_can_come_through_pipes() {
        let folder = Folder::new();
        let (fifo, wav) = (folder.path("fifo"), demo_wav("slt_1.wav"));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let (writer_fifo, bytes) = (fifo.clone(), fs::read(&wav).unwrap());
        let writer = thread::spawn(move || fs::write(writer_fifo, bytes));
        let (exit, piped) = json(&["embed", &fifo]);
        assert_eq!(exit, 0, "{piped}");
        writer.join().unwrap().unwrap();
        let (_, plain) = json(&["embed", &wav]);
        assert_eq!(piped["embedding"], plain["embedding"]);
        let streamed = voxcheck().args(["embed", "-", "--json"]).write_stdin(fs::read(&wav).unwrap()).output().unwrap();
        let streamed: Value = serde_json::from_slice(&streamed.stdout).unwrap();
        assert_eq!(streamed["embedding"], plain["embedding"]);
    }

    #[test]
    fn endless_inputs_are_cut_off() {
        let folder = Folder::new();
        assert_error(&["enrol", "/dev/zero", "-o", &folder.path("t.vxe")], 65, "E-FILE");
    }
}

mod others {
    use super::*;

    #[test]
    fn of_two_writers_one_wins() {
        let folder = Folder::new();
        for Job { mut arguments, outputs } in jobs(&folder) {
            let both = |arguments: &[String]| -> Vec<ExitStatus> {
                let children = [spawn(arguments), spawn(arguments)];
                children.into_iter().map(|mut child| child.wait().unwrap()).collect()
            };
            let codes: Vec<_> = both(&arguments).iter().map(ExitStatus::code).collect();
            assert!(codes.iter().filter(|code| **code == Some(0)).count() == 1, "{arguments:?}: {codes:?}");
            assert!(codes.contains(&Some(73)), "{arguments:?}: {codes:?}");
            arguments.push("--force".into());
            assert!(both(&arguments).iter().all(ExitStatus::success), "{arguments:?}");
            for (name, whole) in outputs {
                assert!(whole(&fs::read(folder.path(name)).unwrap()), "{name}");
            }
            assert_eq!(folder.names(), final_names(&folder));
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_nothing_in_a_panic() {
        let given = &*GIVEN;
        let (template, short, proof) = (given.path("t.vxe"), given.path("short.wav"), given.path("p.vxp"));
        // A report that nobody reads is no error; an output that nobody gets is one.
        let verify = status(&["verify", "--enrolled", &template, &proof]);
        let cases: [(&[&str], i32); 4] = [
            (&["verify", "--enrolled", &template, &proof], verify),
            (&["inspect", "xvector-small", "--json"], 0),
            (&["--help"], 0),
            (&["prove", "--enrolled", &template, &short, "-o", "-"], 73),
        ];
        for (arguments, exit) in cases {
            let mut child =
                program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
            drop(child.stdout.take());
            let mut text = String::new();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(exit), "{arguments:?}: {text}");
            assert!(!text.contains("panic"), "{text}");
        }
    }
}

mod memory {
    use super::*;

    #[test]
    fn half_a_gibibyte_is_enough_to_verify() {
        let given = &*GIVEN;
        let (template, key, proof) = (given.path("t.vxe"), given.path("k.vxk"), given.path("p.vxp"));
        let unlimited = status(&["verify", "--key", &key, "--enrolled", &template, &proof]);
        assert!([0, 1].contains(&unlimited));
        for key in [&["--key", &key][..], &[]] {
            let arguments = [&["verify", "--enrolled", &template, &proof], key].concat();
            let output = limited("ulimit -v 524288", &arguments);
            assert_eq!(output.status.code(), Some(unlimited), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[test]
    fn the_prediction_is_near_the_peak() {
        let folder = Folder::new();
        let (template, wav) = (GIVEN.path("t.vxe"), demo_wav("slt_1.wav"));
        let (exit, value) = json(&["prove", "--enrolled", &template, &wav, "-o", &folder.path("p.vxp")]);
        assert_eq!(exit, 0, "{value}");
        let Some(peak) = value["peak_rss_bytes"].as_f64() else { return };
        let seconds = value["audio_seconds"].to_string();
        let (_, estimate) = json(&["model", "estimate", "xvector-small", "--seconds", &seconds]);
        let predicted = estimate["memory_bytes"].as_f64().unwrap();
        assert!((0.8 * peak..1.2 * peak).contains(&predicted), "{predicted} for {peak}");
        assert_eq!(estimate["proof_bytes"], value["proof_bytes"]);
        assert_eq!(estimate["lookups"], value["lookups"]);
        assert_eq!(estimate["committed_values"], value["committed_values"]);
        let (exit, clear) = json(&["prove", "--clear", "--enrolled", &template, &wav, "-o", &folder.path("c.vxp")]);
        assert_eq!((exit, &clear["proof_bytes"]), (0, &estimate["clear_proof_bytes"]));
        assert!(estimate["prove_ms"].as_f64().unwrap() > 1.0);
    }

    #[test]
    fn a_prover_that_would_not_fit_does_not_start() {
        let folder = Folder::new();
        let (template, wav, output) = (GIVEN.path("t.vxe"), demo_wav("slt_1.wav"), folder.path("p.vxp"));
        let prove = ["prove", "--enrolled", &template, &wav, "-o", &output];
        for (option, size) in [("--max-memory", "64"), ("--memory-limit", "64MiB"), ("--max-memory", "1 KiB")] {
            let arguments = [&prove[..], &[option, size]].concat();
            let message = assert_error(&arguments, 75, "E-MEMORY");
            assert!(message.contains("MiB") && message.contains("--max-memory"), "{message}");
        }
        assert_eq!(status(&[&prove[..], &["--max-memory", "64TiB"]].concat()), 2);
        for (limit, named) in [("ulimit -v 150000", "ulimit -v"), ("ulimit -d 80000", "ulimit -d")] {
            let failed = limited(limit, &prove);
            let text = String::from_utf8_lossy(&failed.stderr);
            assert_eq!(failed.status.code(), Some(75), "{limit}: {text}");
            assert!(text.contains("E-MEMORY") && text.contains(named), "{text}");
        }
        assert_eq!(folder.names(), [""; 0]);
        assert_eq!(status(&[&prove[..], &["--max-memory", "8GiB"]].concat()), 0);
    }
}
