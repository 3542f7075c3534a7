//! What are the bytes of an OCI image with one file? Decided by its inputs alone: no clock, no user, no machine.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

const USER: &str = "65532:65532";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// What the image says of itself.
pub struct Description {
    /// Name and tag it is loaded under.
    pub name: String,
    /// Architecture, in Go's words, e.g. `amd64`.
    pub architecture: String,
    /// Version of the operator.
    pub version: String,
    /// Commit it was built from.
    pub revision: Option<String>,
}

/// An OCI image layout.
pub struct Layout {
    /// Name and tag it is loaded under.
    pub name: String,
    /// Digest of the manifest: what to pin the image by.
    pub digest: String,
    /// Every file, by its path.
    files: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// The image whose only file is `binary`.
    pub fn new(binary: &[u8], description: &Description) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        let layer = add(&mut files, LAYER, tar([("gotocloud-operator", 0o755, binary)].into_iter())?);
        let labels = labels(description);
        let config = json!({
            "architecture": description.architecture,
            "os": "linux",
            "created": EPOCH,
            "config": {
                "User": USER,
                "Entrypoint": ["/gotocloud-operator"],
                "Cmd": ["run"],
                "WorkingDir": "/",
                "ExposedPorts": { "8080/tcp": {} },
                "Labels": labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
            "history": [{ "created": EPOCH, "created_by": "cargo xtask image" }],
        });
        let config = add(&mut files, CONFIG, serde_json::to_vec(&config)?);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
            "annotations": labels,
        });
        let mut manifest = add(&mut files, MANIFEST, serde_json::to_vec(&manifest)?);
        let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
        manifest["platform"] = json!({ "architecture": description.architecture, "os": "linux" });
        // The whole name, once as podman reads it and once as containerd and Docker do.
        manifest["annotations"] = json!({
            "org.opencontainers.image.ref.name": description.name,
            "io.containerd.image.name": description.name,
        });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
        files.insert("index.json".into(), serde_json::to_vec(&index)?);
        files.insert("oci-layout".into(), serde_json::to_vec(&json!({ "imageLayoutVersion": "1.0.0" }))?);
        Ok(Self { name: description.name.clone(), digest, files })
    }

    /// The layout as a tar.
    pub fn to_tar(&self) -> anyhow::Result<Vec<u8>> {
        tar(self.files.iter().map(|(path, content)| (path.as_str(), 0o644, content.as_slice())))
    }
}

fn labels(description: &Description) -> Value {
    let mut labels = json!({
        "org.opencontainers.image.title": "gotocloud-operator",
        "org.opencontainers.image.description": "The operator of Go-to-Cloud: one instance of each pooled application for each establishment.",
        "org.opencontainers.image.vendor": "Amue",
        "org.opencontainers.image.licenses": "EUPL-1.2",
        "org.opencontainers.image.version": description.version,
    });
    if let Some(revision) = &description.revision {
        labels["org.opencontainers.image.revision"] = revision.as_str().into();
    }
    labels
}

/// Adds a blob; its descriptor.
fn add(files: &mut BTreeMap<String, Vec<u8>>, media_type: &str, content: Vec<u8>) -> Value {
    let hash = sha256(&content);
    let descriptor = json!({ "mediaType": media_type, "digest": format!("sha256:{hash}"), "size": content.len() });
    files.insert(format!("blobs/sha256/{hash}"), content);
    descriptor
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"))
}

/// A tar of files, each with its path and mode, all of root and of 1970.
fn tar<'a>(files: impl Iterator<Item = (&'a str, u32, &'a [u8])>) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content)?;
    }
    Ok(archive.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::{Description, Layout, sha256};
    use serde_json::Value;
    use std::{collections::BTreeMap, io::Read as _};

    const BINARY: &[u8] = b"not much of a binary";

    fn description() -> Description {
        Description {
            name: "localhost/gotocloud-operator:1.2.3".into(),
            architecture: "amd64".into(),
            version: "1.2.3".into(),
            revision: Some("0123abc".into()),
        }
    }

    /// The files of a tar, with their modes.
    fn read(tar: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(tar).entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(path, (entry.header().mode().unwrap(), content));
        }
        files
    }

    fn image() -> BTreeMap<String, (u32, Vec<u8>)> {
        read(&Layout::new(BINARY, &description()).unwrap().to_tar().unwrap())
    }

    /// The blob a descriptor points to, whose size and digest are as it says.
    fn blob<'a>(files: &'a BTreeMap<String, (u32, Vec<u8>)>, descriptor: &Value) -> &'a [u8] {
        let hash = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let (_, content) = &files[&format!("blobs/sha256/{hash}")];
        assert_eq!(descriptor["size"], content.len());
        assert_eq!(hash, sha256(content));
        content
    }

    fn json(content: &[u8]) -> Value {
        serde_json::from_slice(content).unwrap()
    }

    #[test]
    fn every_digest_and_size_is_right_from_the_index_to_the_binary() {
        let files = image();
        assert_eq!(json(&files["oci-layout"].1)["imageLayoutVersion"], "1.0.0");
        let index = json(&files["index.json"].1);
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], description().name);
        let manifest = json(blob(&files, &index["manifests"][0]));
        let config = json(blob(&files, &manifest["config"]));
        let layer = blob(&files, &manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([manifest["layers"][0]["digest"]]));
        assert_eq!(read(layer), BTreeMap::from([("gotocloud-operator".to_owned(), (0o755, BINARY.to_vec()))]));
        assert_eq!(files.len(), 5, "{:?}", files.keys());
    }

    #[test]
    fn it_runs_the_operator_as_nobody_in_particular() {
        let files = image();
        let index = json(&files["index.json"].1);
        let manifest = json(blob(&files, &index["manifests"][0]));
        let config = json(blob(&files, &manifest["config"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/gotocloud-operator"]));
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], "0123abc");
        assert_eq!((config["architecture"].as_str(), config["os"].as_str()), (Some("amd64"), Some("linux")));
    }

    #[test]
    fn the_same_binary_gives_the_same_bytes() {
        let layout = || Layout::new(BINARY, &description()).unwrap();
        assert_eq!(layout().to_tar().unwrap(), layout().to_tar().unwrap());
        assert_ne!(layout().digest, Layout::new(b"another", &description()).unwrap().digest);
    }
}
