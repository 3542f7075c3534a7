//! What stands under `examples/`, read as strictly as an API server reads it: a field that no kind knows is an error.

use gotocloud_api::{
    Application, Approval, Campaign, ChangeFreeze, Deferral, Establishment, GROUP, Instance, Platform, Release, VERSION,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Every object of the examples, by name.
#[derive(Default)]
pub struct Examples {
    pub applications: BTreeMap<String, Application>,
    pub releases: BTreeMap<String, Release>,
    pub platforms: BTreeMap<String, Platform>,
    pub establishments: BTreeMap<String, Establishment>,
    pub instances: BTreeMap<String, Instance>,
    pub campaigns: BTreeMap<String, Campaign>,
    pub freezes: BTreeMap<String, ChangeFreeze>,
    pub approvals: BTreeMap<String, Approval>,
    pub deferrals: BTreeMap<String, Deferral>,
    pub namespaces: Vec<String>,
}

impl Examples {
    /// Reads all files, or panics with the file and what is wrong in it.
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut examples = Self::default();
        for file in yaml_files(&root) {
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let documents: Vec<Value> =
                serde_yaml::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(!documents.is_empty(), "{}: no object", file.display());
            for document in &documents {
                examples.add(document, &file);
            }
        }
        examples
    }

    fn add(&mut self, document: &Value, file: &Path) {
        match document["kind"].as_str() {
            Some("Application") => add(&mut self.applications, document, file),
            Some("Release") => add(&mut self.releases, document, file),
            Some("Platform") => add(&mut self.platforms, document, file),
            Some("Establishment") => add(&mut self.establishments, document, file),
            Some("Instance") => add(&mut self.instances, document, file),
            Some("Campaign") => add(&mut self.campaigns, document, file),
            Some("ChangeFreeze") => add(&mut self.freezes, document, file),
            Some("Approval") => add(&mut self.approvals, document, file),
            Some("Deferral") => add(&mut self.deferrals, document, file),
            Some("Namespace") => {
                self.namespaces.push(document["metadata"]["name"].as_str().unwrap_or_default().to_owned());
            }
            kind => panic!("{}: an object of kind {kind:?}", file.display()),
        }
    }
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            // A world of its own, which the replay plays: it repeats what of the catalogue it needs.
            if !path.ends_with("deployment-plan") {
                files.extend(yaml_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn add<K: Serialize + DeserializeOwned>(objects: &mut BTreeMap<String, K>, document: &Value, file: &Path) {
    let place = format!("{}: {}", file.display(), document["metadata"]["name"]);
    assert_eq!(document["apiVersion"], format!("{GROUP}/{VERSION}"), "{place}");
    let object: K = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
    // Fields that the type does not know are lost on the way through it.
    let known = serde_json::to_value(&object).unwrap_or_else(|error| panic!("{place}: {error}"));
    if let Some(field) = lost(document, &known) {
        panic!("{place}: unknown field {field}");
    }
    let name = document["metadata"]["name"].as_str().unwrap_or_else(|| panic!("{place}: no name"));
    assert!(objects.insert(name.to_owned(), object).is_none(), "{place}: a second one of that name");
}

/// The first part of `written` that is not in `known`, as a path.
fn lost(written: &Value, known: &Value) -> Option<String> {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            written.iter().find_map(|(key, value)| match known.get(key) {
                None => Some(key.clone()),
                Some(found) => lost(value, found).map(|rest| format!("{key}.{rest}")),
            })
        }
        (Value::Array(written), Value::Array(known)) if written.len() == known.len() => written
            .iter()
            .zip(known)
            .enumerate()
            .find_map(|(at, (value, found))| lost(value, found).map(|rest| format!("{at}.{rest}"))),
        (written, known) => (written != known).then(|| format!("{written}, read as {known}")),
    }
}

#[test]
fn a_field_that_no_kind_knows_is_found_wherever_it_is() {
    let written = serde_json::json!({"spec": {"members": [{"name": "a"}, {"name": "b", "nmae": "c"}]}});
    let known = serde_json::json!({"spec": {"members": [{"name": "a"}, {"name": "b"}], "timeZone": "Europe/Paris"}});
    assert_eq!(lost(&written, &known).as_deref(), Some("spec.members.1.nmae"));
    assert_eq!(lost(&known, &known), None);
}
