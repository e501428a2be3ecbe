//! Where things are: the checkout, the target directory, the cache of downloaded jars and this user's lock files.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The root of the checkout this tool was built from.
#[must_use]
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, or `target` under the root.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

/// Where jars are kept between runs: `OTTLA_CACHE`, or `xtask/cache` under the target directory.
#[must_use]
pub fn cache() -> PathBuf {
    match env::var_os("OTTLA_CACHE") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => target().join("xtask").join("cache"),
    }
}

/// A folder for locks that all checkouts of this user share, made when missing.
///
/// # Errors
/// When the folder cannot be made.
pub fn locks() -> io::Result<PathBuf> {
    let dir = env::temp_dir().join(format!("ottla-locks-{}", user_id()));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Opens (making it when missing) a file to lock; the lock ends with the handle, and so with the process.
///
/// # Errors
/// When the file cannot be opened.
pub fn lock_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

/// The numeric id of the user this process runs as; zero is root.
#[must_use]
pub fn user_id() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").map_or(u32::MAX, |process| process.uid())
}
