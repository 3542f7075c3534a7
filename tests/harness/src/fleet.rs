//! Which objects is a fleet made of, and how do they come to speak of an installation's own database server?

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use crate::installation::{ADMIN_SECRET, Installation};
use crate::operator::checkout;

/// The example catalogue and the fleet of 2022, as [`read`] gives them.
pub fn of_2022(installation: &Installation) -> anyhow::Result<Vec<Value>> {
    let examples = checkout().join("examples");
    let mut objects = read(&examples.join("catalogue"), installation)?;
    objects.extend(read(&examples.join("fleet-2022"), installation)?);
    Ok(objects)
}

/// All objects in the YAML files below a folder, namespaces first and Instances last. A Platform whose database server
/// is administered through the installation's Secret gets the installation's own server.
pub fn read(folder: &Path, installation: &Installation) -> anyhow::Result<Vec<Value>> {
    let mut objects = files(folder)?;
    let postgres = &installation.postgres;
    for object in &mut objects {
        let server = object.pointer_mut("/spec/database/server");
        if let Some(server) = server.filter(|server| server["adminSecretName"] == ADMIN_SECRET) {
            server["host"] = json!(postgres.host);
            server["port"] = json!(postgres.port);
            server["caCertificate"] = json!(postgres.ca_pem);
        }
    }
    objects.sort_by_key(|object| (object["kind"] != "Namespace", object["kind"] == "Instance"));
    Ok(objects)
}

/// All objects in the YAML files below a folder, as they are written there.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<Value>> {
    let mut objects = Vec::new();
    read_below(folder, &mut objects)?;
    anyhow::ensure!(!objects.is_empty(), "there is no YAML in {}", folder.display());
    Ok(objects)
}

/// Objects as one that `kubectl apply` takes.
#[must_use]
pub fn list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

fn read_below(folder: &Path, objects: &mut Vec<Value>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_below(&path, objects)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let documents: Vec<Value> =
                serde_yaml::from_multiple(&text).with_context(|| format!("{} is not YAML", path.display()))?;
            objects.extend(documents.into_iter().filter(Value::is_object));
        }
    }
    Ok(())
}
