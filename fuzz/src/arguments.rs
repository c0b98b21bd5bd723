//! The command line, as a process: whatever its arguments, it ends with a status of its own.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command takes no longer than this on arguments without files.
const LIMIT: Duration = Duration::from_secs(20);
/// Commands that compute, and what could reach files of others.
const REFUSED: [&str; 4] = ["demo", "bench", "eval", "--force"];

/// The program under test, from `VOXCHECK_BIN`.
#[must_use]
pub fn binary() -> Option<PathBuf> {
    std::env::var_os("VOXCHECK_BIN").map(PathBuf::from).filter(|path| path.is_file())
}

/// The arguments that lines of bytes make.
fn arguments(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|&byte| byte == b'\n').take(12);
    let text = lines.map(|line| String::from_utf8_lossy(line).replace(['\0', '/', '\\'], "_"));
    text.filter(|argument| !REFUSED.iter().any(|refused| argument.contains(refused))).collect()
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if start.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// Arguments, one a line, in an empty folder.
pub fn run(bytes: &[u8]) {
    let Some(binary) = binary() else { return };
    let folder = std::env::temp_dir().join(format!("voxcheck-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let mut command = Command::new(binary);
    command.args(arguments(bytes)).current_dir(&folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program can be started");
    let status = wait(&mut child);
    let _ = std::fs::remove_dir_all(&folder);
    let code = status.expect("it ends in time").code();
    // 70 is what a defect of the program gives, 101 a panic, none a signal.
    let known = [0, 1, 2, 3, 4, 65, 66, 73, 74, 75];
    assert!(code.is_some_and(|code| known.contains(&code)), "exit status {code:?}");
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "verify --key k.vxk --enrolled t.vxe --context c0ffee p.vxp",
        "prove --enrolled t.vxe --context 00 a.wav -o p.vxp --reveal score --json",
        "enrol a.wav b.wav -o t.vxe --threshold 0.5",
        "inspect xvector-small --tree --seconds 1.5",
        "inspect --model m.vxm p.vxp",
        "setup xvector-small -o k.vxk --quiet",
        "model list",
        "model import n.onnx --frontend logmel24 -o m.vxm",
        "model estimate xvector-small --seconds 3",
        "wav prepare a.wav -o b.wav",
        "commit a.wav -o a.vxa",
        "embed a.wav --model xvector-small --json",
        "similarity a.wav b.wav",
        "completions bash",
        "--threads 2 --color never -vv help verify",
    ]
    .map(|line| line.replace(' ', "\n").into_bytes())
    .into()
}
