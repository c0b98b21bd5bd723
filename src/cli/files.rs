//! Reading inputs and writing outputs. Nothing is overwritten without `--force`, and an output is
//! complete or absent: it is written to a temporary file beside it and renamed.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::Builder;
use voxcheck::audio::wav::{self, MAX_SAMPLES, Wav};
use voxcheck::proof::FileError;

use super::console::Console;
use super::error::{CliError, Result};

/// No input of ours is larger.
const MAX_BYTES: u64 = 1 << 31;

/// Whether a path stands for a stream.
pub fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// `path` with `.secret` appended.
pub fn secret_beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".secret");
    name.into()
}

/// All bytes of a file, or of stdin for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MAX_BYTES)
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
    let result = if is_stream(path) {
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

/// Writes an output; `-` is stdout.
pub fn write(console: &mut Console, path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    let failed = |error: io::Error| CliError::write(path, &error);
    if is_stream(path) {
        console.stdout_taken = true;
        let mut stdout = io::stdout().lock();
        return match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
            _ => Ok(()),
        };
    }
    if is_special(path) {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(failed);
    }
    // Through a symbolic link, so that the link survives.
    let target = if console.force { fs::canonicalize(path).unwrap_or_else(|_| path.into()) } else { path.into() };
    let mut file = temporary(&target, access).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let persisted = if console.force { file.persist(&target) } else { file.persist_noclobber(&target) };
    persisted.map(drop).map_err(|error| failed(error.error))
}

/// Whether `path` is a device, pipe or socket: such a thing is written to, never replaced.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// A temporary file in the folder of `path`.
fn temporary(path: &Path, access: Access) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if path.file_name().is_none() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut builder = Builder::new();
    builder.prefix(".voxcheck-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if access == Access::Secret { 0o600 } else { 0o666 };
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = access;
    builder.tempfile_in(folder)
}

/// Every WAV below a folder, in a fixed order.
pub fn wavs_below(folder: &Path) -> Result<Vec<PathBuf>> {
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
            } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
