//! How is the operator's container image made, without a container engine?
//!
//! The operator is built as a static binary, which is the image's only file. The same commit gives the same bytes.

mod elf;
mod layout;

use anyhow::Context as _;
use clap::Args;
use gotocloud_harness::{Progress, Terminal};
use layout::{Description, Layout};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Package, binary and image have one name.
const NAME: &str = "gotocloud-operator";

/// Options of `cargo xtask image`.
#[derive(Args)]
pub struct ImageArgs {
    /// Where the image goes: an OCI image layout in a tar, as `ctr images import`, `podman load` and `skopeo` read it.
    #[arg(long, value_name = "FILE", default_value = "target/gotocloud-operator.oci.tar")]
    output: PathBuf,
    /// Print what was made as JSON.
    #[arg(long)]
    json: bool,
}

/// Builds the image and writes it to a file.
pub fn run(arguments: &ImageArgs) -> anyhow::Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let host = host()?;
    let step = Terminal.begin("building the operator as a static binary");
    let binary = build(&checkout, &host)?;
    step.finish();
    let bytes = fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))?;
    if let Some(interpreter) = elf::interpreter(&bytes)? {
        anyhow::bail!("{} is not static: it asks for {interpreter}, which the image does not have", binary.display());
    }
    let layout = Layout::new(&bytes, &describe(&checkout, &host)?)?;
    if let Some(folder) = arguments.output.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let tar = layout.to_tar()?;
    fs::write(&arguments.output, &tar).with_context(|| format!("cannot write {}", arguments.output.display()))?;
    report(arguments, &layout, bytes.len(), tar.len())
}

#[allow(clippy::cast_precision_loss)] // sizes for people
fn report(arguments: &ImageArgs, layout: &Layout, binary: usize, image: usize) -> anyhow::Result<()> {
    if arguments.json {
        let summary = serde_json::json!({
            "file": arguments.output,
            "name": layout.name,
            "digest": layout.digest,
            "binaryBytes": binary,
            "imageBytes": image,
        });
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        println!("{}  {}", layout.name, layout.digest);
        println!("{}  {:.1} MB, binary {:.1} MB", arguments.output.display(), megabytes(image), megabytes(binary));
    }
    Ok(())
}

/// Builds the static binary; its path.
fn build(checkout: &Path, host: &str) -> anyhow::Result<PathBuf> {
    let target = checkout.join("target/image");
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    // A target named explicitly keeps build scripts and procedural macros dynamic, which they have to be. Paths of this
    // machine are kept out of the binary: they would make it differ from one machine to the next.
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned(), remap(checkout, "/src")];
    flags.extend(cargo_home.map(|home| remap(&home, "/cargo")));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(checkout)
        .args(["build", "--quiet", "--release", "--locked", "--package", NAME, "--bin", NAME, "--target", host])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .status()
        .context("cannot run cargo")?;
    anyhow::ensure!(status.success(), "the operator does not build as a static binary for {host}");
    Ok(target.join(host).join("release").join(NAME))
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// What Rust calls this machine: its standard library is the only one sure to be installed.
fn host() -> anyhow::Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("cannot run rustc")?;
    let said = String::from_utf8(output.stdout).context("rustc prints no text")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}

fn describe(checkout: &Path, host: &str) -> anyhow::Result<Description> {
    let architecture = match host.split('-').next() {
        Some("x86_64") => "amd64",
        Some("aarch64") => "arm64",
        other => anyhow::bail!("no image is made for {}", other.unwrap_or(host)),
    };
    anyhow::ensure!(host.contains("-linux-"), "an image holds a Linux binary; build it on Linux, not {host}");
    let version = env!("CARGO_PKG_VERSION");
    Ok(Description {
        name: format!("localhost/{NAME}:{version}"),
        architecture: architecture.to_owned(),
        version: version.to_owned(),
        revision: revision(checkout),
    })
}

/// The commit, where nothing was changed since and Git can tell.
fn revision(checkout: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(checkout).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    git(&["status", "--porcelain"]).filter(String::is_empty)?;
    git(&["rev-parse", "HEAD"])
}
