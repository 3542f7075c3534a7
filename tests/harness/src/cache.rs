//! Where is what was built once kept, and how is it built only once?

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// The folder that holds built tools, copied CRDs and running clusters: `$GOTOCLOUD_CACHE`, else
/// `$XDG_CACHE_HOME/gotocloud`, else `~/.cache/gotocloud`. Never inside the checkout.
pub fn root() -> anyhow::Result<PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = named("GOTOCLOUD_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("gotocloud")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/gotocloud")))
        .context("no place for the cache: set GOTOCLOUD_CACHE to a folder that may hold 1 GB")?;
    std::path::absolute(&root).with_context(|| format!("{} is no path", root.display()))
}

/// The folder of `tests/tools` in this checkout, which pins the version of everything third-party.
#[must_use]
pub fn pins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools")
}

/// A short name for everything that decides what a build yields: two different inputs never share a folder.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).fold(String::new(), |mut name, byte| {
        use std::fmt::Write;
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Held while one process builds or starts something no other may build or start at the same time. Released on drop,
/// and by the system when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until this process alone holds the lock called `name`.
    pub fn acquire(name: &str) -> anyhow::Result<Self> {
        let (file, path) = Self::file(name)?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { _file: file })
    }

    /// The lock called `name`; `None` if another process holds it.
    pub fn try_acquire(name: &str) -> anyhow::Result<Option<Self>> {
        let (file, path) = Self::file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    fn file(name: &str) -> anyhow::Result<(File, PathBuf)> {
        let folder = root()?.join("locks");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok((file, path))
    }
}

/// A scratch folder beside `destination`, on the same file system, so that what is finished can be moved there at once.
pub(crate) fn scratch_beside(destination: &Path) -> anyhow::Result<PathBuf> {
    let mut name = destination.file_name().context("a destination without a name")?.to_os_string();
    name.push(format!(".{}.partial", std::process::id()));
    let scratch = destination.with_file_name(name);
    let parent = destination.parent().context("a destination without a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    if scratch.is_dir() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    Ok(scratch)
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_boundary_that_moves_changes_the_fingerprint() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
        assert_eq!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"ab", b"c"]));
    }
}
