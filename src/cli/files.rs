//! Reading inputs and writing outputs. Nothing is overwritten without `--force`, and an output is
//! complete or absent: it is written to a temporary file beside it and renamed. Outputs that belong
//! together are all written before the first is renamed.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile};
use voxcheck::audio::wav::{self, MAX_SAMPLES, Wav};
use voxcheck::proof::FileError;

use super::console::Console;
use super::error::{CliError, Result};

/// No input of ours is larger.
const MAX_BYTES: u64 = 1 << 31;

/// No text of ours is longer.
const MAX_TEXT_BYTES: u64 = 1 << 26;

/// Whether a path stands for a stream.
pub fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// `path` with `.secret` appended.
pub fn secret_beside(path: &Path) -> PathBuf {
    beside(path, ".secret")
}

/// `path` with `ending` appended.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// All bytes of a file, or of stdin for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MAX_BYTES)
}

/// A small file of text.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_at_most(path, MAX_TEXT_BYTES)?).map_err(|_| {
        CliError::data("E-FILE", format!("{}: this is not text", path.display()), "check that this is the right file")
    })
}

fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let result = if is_stream(path) {
        io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
    };
    result.map_err(|error| CliError::read(path, &error))?;
    if bytes.len() as u64 > limit {
        let message = format!("{}: more than {limit} bytes", path.display());
        return Err(CliError::data("E-FILE", message, "check that this is the right file"));
    }
    Ok(bytes)
}

/// Reads and decodes one of our own files.
pub fn decode<T>(path: &Path, decode: impl FnOnce(&[u8]) -> std::result::Result<T, FileError>) -> Result<T> {
    decode(&read(path)?).map_err(|error| CliError::file(path, &error))
}

/// Reads a recording; `-` is stdin.
pub fn read_wav(path: &Path) -> Result<Wav> {
    // A pipe cannot be searched for chunks, so it is read first.
    let result = if is_stream(path) || is_special(path) {
        // Twice the largest recording: a header cannot be that long.
        wav::read_from(Cursor::new(read_at_most(path, 4 * MAX_SAMPLES)?))
    } else {
        wav::read(path)
    };
    result.map_err(|error| CliError::audio(path, &error))
}

/// Reads a recording at a given rate.
pub fn read_wav_at(path: &Path, rate: u32) -> Result<Wav> {
    let wav = read_wav(path)?;
    wav::require_rate(&wav, rate).map_err(|error| CliError::audio(path, &error))?;
    Ok(wav)
}

/// Who may read an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As usual.
    Public,
    /// Its owner (mode 0600).
    Secret,
}

/// Fails early if `path` could not be written later.
pub fn check_output(console: &Console, path: &Path) -> Result<()> {
    if is_stream(path) || is_special(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(CliError::write(path, &io::ErrorKind::IsADirectory.into()));
    }
    if fs::symlink_metadata(path).is_ok() && !console.force {
        return Err(CliError::write(path, &io::ErrorKind::AlreadyExists.into()));
    }
    temporary(path, Access::Public).map(drop).map_err(|error| CliError::write(path, &error))
}

/// An output: where it goes, what it holds, who may read it.
pub type Output<'a> = (&'a Path, &'a [u8], Access);

/// Writes an output; `-` is stdout.
pub fn write(console: &mut Console, path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    write_all(console, &[(path, bytes, access)])
}

/// Writes outputs that belong together. If one cannot be written, none is there.
pub fn write_all(console: &mut Console, outputs: &[Output<'_>]) -> Result<()> {
    let (direct, files): (Vec<_>, Vec<_>) = outputs.iter().partition(|(path, ..)| is_stream(path) || is_special(path));
    let staged = files.into_iter().map(|output| stage(console, output)).collect::<Result<Vec<_>>>()?;
    for output in direct {
        write_directly(console, output)?;
    }
    let before = console.written.len();
    for (path, target, file) in staged {
        // Even --force does not mean that one output of a run may replace another.
        let place = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let replace = console.force && !console.written.contains(&place(&target));
        let result = if replace { file.persist(&target) } else { file.persist_noclobber(&target) };
        if let Err(error) = result {
            if !console.force {
                // They were not there before: take them back.
                console.written.drain(before..).for_each(|path| drop(fs::remove_file(path)));
            }
            return Err(CliError::write(path, &error.error));
        }
        console.written.push(place(&target));
    }
    Ok(())
}

/// Writes an output beside its place: the path as it was given, where it leads, and the file.
fn stage<'a>(console: &Console, &(path, bytes, access): &Output<'a>) -> Result<(&'a Path, PathBuf, NamedTempFile)> {
    // Through a symbolic link, so that the link survives.
    let target = if console.force { fs::canonicalize(path).unwrap_or_else(|_| path.into()) } else { path.into() };
    let written = temporary(&target, access).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    });
    let file = written.map_err(|error| CliError::write(path, &error))?;
    Ok((path, target, file))
}

/// Writes to stdout, or to what is not a file. Unlike a report, an output that nobody read is an error.
fn write_directly(console: &mut Console, &(path, bytes, _): &Output<'_>) -> Result<()> {
    let written = if is_stream(path) {
        console.stdout_taken = true;
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    } else {
        fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(bytes))
    };
    written.map_err(|error| CliError::write(path, &error))
}

/// Whether `path` is a device, pipe or socket: such a thing is written to, never replaced.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// What the names of temporary files begin with.
pub const TEMPORARY: &str = ".voxcheck-";

/// Every temporary file that was made, so that an interrupt can remove those that are left.
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A temporary file in the folder of `path`.
fn temporary(path: &Path, access: Access) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if path.file_name().is_none() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut builder = Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if access == Access::Secret { 0o600 } else { 0o666 };
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = access;
    // Locked until it is known, or an interrupt would miss it.
    let mut known = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
    let file = builder.tempfile_in(folder)?;
    known.push(file.path().to_owned());
    Ok(file)
}

/// Removes all temporary files. None is made until the result is dropped.
#[cfg_attr(not(unix), expect(dead_code))]
pub fn remove_temporaries() -> MutexGuard<'static, Vec<PathBuf>> {
    let known = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that were renamed have another name now, and stay.
    known.iter().for_each(|path| drop(fs::remove_file(path)));
    known
}

/// Every WAV below a folder, in a fixed order.
pub fn wavs_below(folder: &Path) -> Result<Vec<PathBuf>> {
    files_below(folder, "wav")
}

/// Every file below a folder whose name ends in `.ending`, in a fixed order.
pub fn files_below(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| CliError::read(&folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| CliError::read(&folder, &error))?;
            let kind = entry.file_type().map_err(|error| CliError::read(&entry.path(), &error))?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
