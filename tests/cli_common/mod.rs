//! Running the built program and looking at what it printed and wrote.
#![allow(dead_code)] // each test file uses its part

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The program, with nothing of the caller's environment that could change what it prints.
pub fn voxcheck() -> Command {
    let mut command = Command::cargo_bin("voxcheck").expect("the program is built");
    for name in ["VOXCHECK_LOG", "VOXCHECK_THREADS", "RAYON_NUM_THREADS", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

pub fn run(arguments: &[&str]) -> Output {
    voxcheck().args(arguments).output().expect("the program starts")
}

pub fn status(arguments: &[&str]) -> i32 {
    let output = run(arguments);
    output.status.code().unwrap_or_else(|| panic!("{arguments:?}: ended by a signal"))
}

/// Runs with `--json`: the exit status and the one object on stdout.
pub fn json(arguments: &[&str]) -> (i32, Value) {
    let output = voxcheck().args(arguments).arg("--json").output().expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text:?}"));
    assert_eq!(text.lines().count(), 1, "{arguments:?}: one object on one line");
    (output.status.code().expect("an exit status"), value)
}

/// Checks an error object; returns its message.
#[track_caller]
pub fn assert_error(arguments: &[&str], exit: i32, code: &str) -> String {
    let (found, value) = json(arguments);
    assert_eq!((found, value["code"].as_str()), (exit, Some(code)), "{arguments:?}: {value}");
    assert_eq!(value["schema"], "voxcheck.error/1");
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert!(value["warnings"].is_array());
    assert!(value["help"].as_str().is_some_and(|help| !help.is_empty()), "{value}");
    // The same as text: nothing on stdout, one code on stderr.
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(code) || exit == 2, "{arguments:?}: {stderr}");
    value["message"].as_str().expect("a message").to_owned()
}

/// Checks the fields that every result has.
#[track_caller]
pub fn assert_result(value: &Value, verb: &str) {
    assert_eq!(value["schema"], format!("voxcheck.{verb}/1"), "{value}");
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert!(value["warnings"].is_array(), "{value}");
}

pub fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[track_caller]
pub fn assert_has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "{name} is missing in {:?}", keys(value));
    }
}

pub fn demo_wav(name: &str) -> String {
    path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name))
}

pub fn path_text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// A folder and the paths of files in it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> String {
        path_text(&self.0.path().join(name))
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file in the temporary folder");
        path
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }
}

/// A WAV by hand: what the `fmt ` chunk says and the bytes of the data chunk.
pub fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * (bits / 8);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0");
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}
