//! Where is the source of a pinned Go module, and how do a few of its files get here?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::cache::{self, Lock};
use crate::prerequisites;

/// Files of a pinned module that are read, not built.
pub(crate) struct ModuleFiles<'a> {
    /// The folder of `tests/tools` that pins it.
    pub group: &'a str,
    /// The module's path.
    pub module: &'a str,
    /// The files' paths inside the module; their names must differ.
    pub files: &'a [String],
    /// What the cache calls them.
    pub name: &'a str,
}

impl ModuleFiles<'_> {
    /// Where the files are: taken from the module once, which Go downloads if need be, then from the cache.
    pub fn ensure(&self) -> anyhow::Result<Vec<PathBuf>> {
        let pins = cache::pins().join(self.group);
        let read = |name: &str| {
            let path = pins.join(name);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let fingerprint = cache::fingerprint(&[&read("go.mod")?, &read("go.sum")?, self.files.join("\n").as_bytes()]);
        let folder = cache::root()?.join("module-files").join(format!("{}-{fingerprint}", self.name));
        if !folder.is_dir() {
            let _lock = Lock::acquire("module-files")?;
            if !folder.is_dir() {
                self.copy(&pins, &folder)?;
            }
        }
        Ok(self.files.iter().map(|file| folder.join(file_name(file))).collect())
    }

    fn copy(&self, pins: &Path, folder: &Path) -> anyhow::Result<()> {
        let source = self.source(pins)?;
        let scratch = cache::scratch_beside(folder)?;
        fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
        for file in self.files {
            // By content: files of the module cache are read-only, and a copied file would be as well.
            let content = fs::read(source.join(file)).with_context(|| format!("{} holds no {file}", self.module))?;
            let copy = scratch.join(file_name(file));
            fs::write(&copy, content).with_context(|| format!("cannot write {}", copy.display()))?;
        }
        fs::rename(&scratch, folder).with_context(|| format!("cannot write {}", folder.display()))
    }

    fn source(&self, pins: &Path) -> anyhow::Result<PathBuf> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Download {
            #[serde(default)]
            dir: PathBuf,
            #[serde(default)]
            error: String,
        }
        if prerequisites::go_version().is_none() {
            prerequisites::check()?;
        }
        let output = Command::new("go")
            .args(["mod", "download", "-json", self.module])
            .current_dir(pins)
            .env("GOWORK", "off")
            .output()
            .context("cannot run go")?;
        let download: Download = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("go mod download {}: {}", self.module, String::from_utf8_lossy(&output.stderr).trim_end())
        })?;
        anyhow::ensure!(download.error.is_empty(), "go mod download {}: {}", self.module, download.error);
        Ok(download.dir)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
