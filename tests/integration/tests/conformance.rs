//! Does the simulation's API server answer as a real one does? The same requests are sent to both, one after the other, and
//! the answers compared: the code of a refusal, or what is decided by of the object.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_integration::{Fleet, fleet_tests};
use gotocloud_simulation::api::{Apply, Ref, Server};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where the objects of the scripts are.
const NAMESPACE: &str = "conformance";

/// One request.
#[derive(Clone, Debug)]
enum Ask {
    Create(Value),
    /// A server-side apply: by whom, what, and by force?
    Apply(&'static str, Value, bool),
    ApplyStatus(&'static str, Value),
    /// A merge patch.
    Patch(&'static str, Value),
    PatchStatus(&'static str, Value),
    /// A deletion, of the object of that uid if one is named.
    Delete(Option<String>),
    Get,
}

/// What a script works on.
#[derive(Clone, Copy)]
struct Subject {
    kind: &'static str,
    resource: &'static str,
    namespace: &'static str,
    name: &'static str,
}

const SETTINGS: Subject = Subject { kind: "ConfigMap", resource: "api/v1", namespace: NAMESPACE, name: "settings" };
const CAMPAIGN: Subject =
    Subject { kind: "Campaign", resource: "apis/gotocloud.amue.fr/v1alpha1", namespace: "", name: "conformance" };

/// What comes of a request: what is decided by of an object, or the code of a refusal.
type Answer = Result<Value, u16>;

/// Both API servers, and what `PREVIOUS` stands for in each: the version or the uid that was answered before.
struct Both<'f> {
    fleet: &'f Fleet,
    model: Server,
    seen: [BTreeMap<&'static str, Vec<Value>>; 2],
    subject: Subject,
}

impl<'f> Both<'f> {
    fn new(fleet: &'f mut Fleet, subject: Subject) -> Self {
        // The operator would write what the scripts look at.
        if let Some(operator) = fleet.installation.operator.take() {
            operator.kill().unwrap();
        }
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        fleet.apply(&namespace).unwrap();
        let mut model = Server::new(Timestamp::now());
        model.create("test", &Ref::new("Namespace", "", NAMESPACE), &namespace).unwrap();
        let both = Self { fleet, model, seen: [BTreeMap::new(), BTreeMap::new()], subject };
        // A script that broke off may have left its object.
        let _ = both.real(&Ask::Patch("test", json!({"metadata": {"finalizers": null}})));
        let _ = both.real(&Ask::Delete(None));
        both
    }

    /// Asks both; gives what both answered.
    fn ask(&mut self, what: &str, ask: &Ask) -> Answer {
        let real = self.real(&self.filled(0, ask));
        let request = self.filled(1, ask);
        let model = self.model(&request);
        for (at, answer) in [&real, &model].into_iter().enumerate() {
            if let Ok(object) = answer {
                for field in ["resourceVersion", "uid"] {
                    self.seen[at].entry(field).or_default().push(object["metadata"][field].clone());
                }
            }
        }
        let (real, model) = (real.map(|one| essence(&one)), model.map(|one| essence(&one)));
        assert_eq!(model, real, "{what}: the model on the left, the API server on the right; {ask:?}");
        real
    }

    /// The request, in which `FIRST` and `LAST` stand for the first and the last version, and `UID` for the uid.
    fn filled(&self, at: usize, ask: &Ask) -> Ask {
        let fill = |value: &Value| {
            let mut value = value.clone();
            let versions = self.seen[at].get("resourceVersion");
            let version = match value["metadata"]["resourceVersion"].as_str() {
                Some("FIRST") => versions.and_then(|all| all.first()),
                Some("LAST") => versions.and_then(|all| all.last()),
                _ => None,
            };
            if let Some(version) = version {
                value["metadata"]["resourceVersion"] = version.clone();
            }
            let uid = self.seen[at].get("uid").and_then(|all| all.first());
            if let Some(uid) = uid.filter(|_| value["metadata"]["uid"] == "UID") {
                value["metadata"]["uid"] = uid.clone();
            }
            value
        };
        match ask {
            Ask::Create(object) => Ask::Create(fill(object)),
            Ask::Apply(by, object, force) => Ask::Apply(by, fill(object), *force),
            Ask::ApplyStatus(by, object) => Ask::ApplyStatus(by, fill(object)),
            Ask::Patch(by, change) => Ask::Patch(by, fill(change)),
            Ask::PatchStatus(by, change) => Ask::PatchStatus(by, fill(change)),
            Ask::Delete(uid) => {
                let known = self.seen[at].get("uid").and_then(|all| all.first()).and_then(Value::as_str);
                Ask::Delete(uid.as_deref().map(|uid| known.filter(|_| uid == "UID").unwrap_or(uid).to_owned()))
            }
            Ask::Get => Ask::Get,
        }
    }

    /// The object as it is written: with its kind and its name.
    fn whole(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let group = self.subject.resource.trim_start_matches("apis/").trim_start_matches("api/");
        object["apiVersion"] = group.into();
        object["kind"] = self.subject.kind.into();
        object["metadata"]["name"] = self.subject.name.into();
        if !self.subject.namespace.is_empty() {
            object["metadata"]["namespace"] = self.subject.namespace.into();
        }
        object
    }

    fn real(&self, ask: &Ask) -> Answer {
        let Subject { kind, resource, namespace, name } = self.subject;
        let within = if namespace.is_empty() { String::new() } else { format!("namespaces/{namespace}/") };
        let all = format!("/{resource}/{within}{}s", kind.to_lowercase());
        let one = format!("{all}/{name}");
        let (method, path, content, body) = match ask {
            Ask::Create(object) => (Method::POST, format!("{all}?fieldManager=test"), "json", self.whole(object)),
            Ask::Apply(by, object, force) => {
                let path = format!("{one}?fieldManager={by}&force={force}");
                (Method::PATCH, path, "apply-patch+yaml", self.whole(object))
            }
            Ask::ApplyStatus(by, object) => {
                let path = format!("{one}/status?fieldManager={by}&force=true");
                (Method::PATCH, path, "apply-patch+yaml", self.whole(object))
            }
            Ask::Patch(by, change) => {
                (Method::PATCH, format!("{one}?fieldManager={by}"), "merge-patch+json", change.clone())
            }
            Ask::PatchStatus(by, change) => {
                (Method::PATCH, format!("{one}/status?fieldManager={by}"), "merge-patch+json", change.clone())
            }
            Ask::Delete(uid) => {
                let body = uid.as_ref().map_or(Value::Null, |uid| json!({"preconditions": {"uid": uid}}));
                (Method::DELETE, one.clone(), "json", body)
            }
            Ask::Get => (Method::GET, one.clone(), "json", Value::Null),
        };
        let answer = self.fleet.request(method, &path, &format!("application/{content}"), &body);
        let answer = answer.map_err(|refused| refused.code)?;
        if matches!(ask, Ask::Delete(_)) { Ok(Value::Null) } else { Ok(answer) }
    }

    fn model(&mut self, ask: &Ask) -> Answer {
        let at = Ref::new(self.subject.kind, self.subject.namespace, self.subject.name);
        let object = |answer: std::rc::Rc<gotocloud_simulation::api::Stored>| answer.object.clone();
        let answer = match ask {
            Ask::Create(one) => self.model.create("test", &at, &self.whole(one)).map(object),
            Ask::Apply(by, one, force) => {
                let manifest = self.whole(one);
                self.model.apply(&at, Apply { by, manifest: &manifest, force: *force, status: false }).map(object)
            }
            Ask::ApplyStatus(by, one) => {
                let manifest = self.whole(one);
                self.model.apply(&at, Apply { by, manifest: &manifest, force: true, status: true }).map(object)
            }
            Ask::Patch(by, change) => self.model.patch(by, &at, change, false).map(object),
            Ask::PatchStatus(by, change) => self.model.patch(by, &at, change, true).map(object),
            Ask::Delete(uid) => self.model.delete("test", &at, uid.as_deref()).map(|()| Value::Null),
            Ask::Get => return self.model.get(&at).map(|stored| stored.object.clone()).ok_or(404),
        };
        answer.map_err(|refused| refused.code)
    }
}

/// What is decided by of an object: what was written, how often its spec was, and whether it is going.
fn essence(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "labels": metadata["labels"], "annotations": metadata["annotations"], "finalizers": metadata["finalizers"],
        "generation": metadata["generation"], "isGoing": !metadata["deletionTimestamp"].is_null(),
        "data": object["data"], "state": object["spec"]["state"], "rollBack": object["spec"]["rollBack"],
        "phase": object["status"]["phase"], "observed": object["status"]["observedGeneration"],
    })
}

fn data(fields: &Value) -> Value {
    json!({"metadata": {}, "data": fields})
}

fn versions_and_uids_are_preconditions(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, SETTINGS);
    assert_eq!(both.ask("nothing is there", &Ask::Get), Err(404));
    assert_eq!(both.ask("nothing can be edited", &Ask::Patch("test", data(&json!({"a": "1"})))), Err(404));
    assert_eq!(both.ask("nothing can be deleted", &Ask::Delete(None)), Err(404));
    both.ask("it is made", &Ask::Create(data(&json!({"a": "1"})))).unwrap();
    assert_eq!(both.ask("it is there already", &Ask::Create(data(&json!({"a": "1"})))), Err(409));
    let over = |version: &str, value: &str| json!({"metadata": {"resourceVersion": version}, "data": {"a": value}});
    both.ask("over what was seen", &Ask::Patch("test", over("LAST", "2"))).unwrap();
    assert_eq!(both.ask("over what was before", &Ask::Patch("test", over("FIRST", "3"))), Err(409));
    assert_eq!(both.ask("so is an apply", &Ask::Apply("test", over("FIRST", "3"), true)), Err(409));
    both.ask("an apply over what was seen", &Ask::Apply("test", over("LAST", "3"), true)).unwrap();
    let of_another = json!({"metadata": {"uid": "another"}, "data": {"a": "4"}});
    assert_eq!(both.ask("an apply to another", &Ask::Apply("test", of_another.clone(), true)), Err(422));
    assert_eq!(both.ask("another is deleted", &Ask::Delete(Some("another".into()))), Err(409));
    both.ask("it is deleted", &Ask::Delete(Some("UID".into()))).unwrap();
    assert_eq!(both.ask("it is gone", &Ask::Get), Err(404));
    assert_eq!(both.ask("one that was meant is not made anew", &Ask::Apply("test", of_another, true)), Err(409));
    both.ask("but one of which only the version is named is", &Ask::Apply("test", over("FIRST", "3"), true)).unwrap();
}

fn an_apply_owns_what_it_says_and_gives_up_what_it_no_longer_says(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, SETTINGS);
    let apply = |by: &'static str, fields: Value, force: bool| Ask::Apply(by, data(&fields), force);
    both.ask("an apply makes it", &apply("one", json!({"a": "1", "b": "1"}), false)).unwrap();
    both.ask("another says the same", &apply("two", json!({"b": "1", "c": "1"}), false)).unwrap();
    assert_eq!(both.ask("another says otherwise", &apply("two", json!({"b": "2"}), false)), Err(409));
    both.ask("what one gives up stays with the other", &apply("one", json!({"a": "1"}), false)).unwrap();
    both.ask("what both give up is gone", &apply("two", json!({"c": "2"}), false)).unwrap();
    assert_eq!(both.ask("a's is one's", &apply("two", json!({"a": "3", "c": "2"}), false)), Err(409));
    both.ask("by force it is two's", &apply("two", json!({"a": "3", "c": "2"}), true)).unwrap();
    assert_eq!(both.ask("and no longer one's", &apply("one", json!({"a": "1"}), false)), Err(409));
    both.ask("an edit takes what it sets", &Ask::Patch("person", data(&json!({"c": "9"})))).unwrap();
    assert_eq!(both.ask("from who applied it", &apply("two", json!({"a": "3", "c": "2"}), false)), Err(409));
    both.ask("an edit takes out", &Ask::Patch("person", data(&json!({"c": null})))).unwrap();
    both.ask("what is owned by nobody is set", &apply("two", json!({"a": "3", "c": "2"}), false)).unwrap();
    both.ask("what was applied is gone with the last who says it", &apply("two", json!({}), false)).unwrap();
    both.ask("it is deleted", &Ask::Delete(None)).unwrap();
}

fn a_finalizer_holds_what_is_deleted(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, SETTINGS);
    let held = json!({"metadata": {"finalizers": ["gotocloud.amue.fr/test"]}, "data": {"a": "1"}});
    both.ask("it is made", &Ask::Create(held)).unwrap();
    both.ask("it is deleted", &Ask::Delete(None)).unwrap();
    let going = both.ask("it is going", &Ask::Get).unwrap();
    assert_eq!(going["isGoing"], true);
    both.ask("it can be deleted again", &Ask::Delete(None)).unwrap();
    both.ask("and edited", &Ask::Patch("test", data(&json!({"a": "2"})))).unwrap();
    assert_eq!(both.ask("its name is taken", &Ask::Create(data(&json!({})))), Err(409));
    both.ask("it is let go", &Ask::Patch("test", json!({"metadata": {"finalizers": null}}))).unwrap();
    assert_eq!(both.ask("it is gone", &Ask::Get), Err(404));
}

/// A campaign of an application that is not there, so that nothing comes of it.
fn campaign(state: &str) -> Value {
    let waves = json!([{"name": "w", "targets": {"names": ["nobody"]}}]);
    json!({"metadata": {}, "spec": {
        "application": "none", "namespace": NAMESPACE, "state": state, "upgrade": {"release": "none"}, "waves": waves,
    }})
}

fn a_status_is_apart_and_a_generation_counts_edits_of_the_spec(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, CAMPAIGN);
    let made = both.ask("it is made", &Ask::Create(campaign("Draft"))).unwrap();
    assert_eq!((&made["generation"], &made["observed"]), (&json!(1), &json!(-1)), "nobody looked at it yet");
    let status = json!({"status": {"phase": "Halted", "observedGeneration": 7}});
    both.ask("an edit changes no status", &Ask::Patch("test", status.clone())).unwrap();
    both.ask("a status is written", &Ask::PatchStatus("test", status)).unwrap();
    let both_of_them = json!({"spec": {"state": "Running"}, "status": {"phase": "Running"}});
    both.ask("a write of the status changes no spec", &Ask::PatchStatus("test", both_of_them.clone())).unwrap();
    let edited = both.ask("an edit counts", &Ask::Patch("test", both_of_them)).unwrap();
    assert_eq!(edited["generation"], 2);
    let labelled = json!({"metadata": {"labels": {"a": "1"}}});
    both.ask("a label does not", &Ask::Patch("test", labelled)).unwrap();
    let told = json!({"metadata": {"resourceVersion": "FIRST"}, "status": {"phase": "Paused"}});
    assert_eq!(both.ask("a status over what was before", &Ask::ApplyStatus("two", told)), Err(409));
    let told = json!({"metadata": {"resourceVersion": "LAST"}, "status": {"phase": "Paused"}});
    both.ask("a status over what was seen", &Ask::ApplyStatus("two", told)).unwrap();
    let draft = json!({"spec": {"state": "Draft"}});
    assert_eq!(both.ask("it has run, and is no draft", &Ask::Patch("test", draft)), Err(422));
    let other = json!({"spec": {"upgrade": {"release": "other"}}});
    assert_eq!(both.ask("what it does cannot change", &Ask::Patch("test", other)), Err(422));
    both.ask("it is aborted", &Ask::Patch("test", json!({"spec": {"state": "Aborted"}}))).unwrap();
    assert_eq!(both.ask("for good", &Ask::Patch("test", json!({"spec": {"state": "Running"}}))), Err(422));
    both.ask("it is deleted", &Ask::Delete(None)).unwrap();
}

fleet_tests!(
    "conformance",
    |spec| spec,
    [
        versions_and_uids_are_preconditions,
        an_apply_owns_what_it_says_and_gives_up_what_it_no_longer_says,
        a_finalizer_holds_what_is_deleted,
        a_status_is_apart_and_a_generation_counts_edits_of_the_spec,
    ]
);
