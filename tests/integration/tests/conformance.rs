//! Does the simulation's API server answer as a real one does? The same requests are sent to both, one after the other, and
//! the answers compared: the code of a refusal, or what is decided by of the object.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_integration::{Fleet, PATIENCE, eventually, fleet_tests, objects, objects::with};
use gotocloud_planner::retry::{ErrorClass, class_of_status};
use gotocloud_simulation::api::{Apply, Change, Ref, Selector, Server, Told};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who asks, by the API server.
const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
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

impl Subject {
    /// All objects of its kind, in any namespace.
    fn all(&self) -> String {
        format!("{}/{}s", self.resource, self.kind.to_lowercase())
    }
}

const SETTINGS: Subject = Subject { kind: "ConfigMap", resource: "api/v1", namespace: NAMESPACE, name: "settings" };
const CAMPAIGN: Subject =
    Subject { kind: "Campaign", resource: "apis/gotocloud.amue.fr/v1alpha1", namespace: "", name: "conformance" };

const INSTANCE: Subject = Subject { kind: "Instance", namespace: NAMESPACE, ..CAMPAIGN };

/// What comes of a request: what is decided by of an object, or the code of a refusal and how the operator meets it.
type Answer = Result<Value, (u16, ErrorClass)>;

/// What a watch told: that an object is so or gone, which of the versions that were answered it has, and what it shows.
type Event = (&'static str, Option<usize>, Value);

/// What was listed, and is watched since.
struct Watched {
    selector: Selector,
    /// The version of the list, of the real API server.
    version: String,
    /// How much had changed before, in the model.
    since: usize,
}

/// Both API servers, and what `PREVIOUS` stands for in each: the version or the uid that was answered before.
struct Both<'f> {
    fleet: &'f Fleet,
    model: Server,
    seen: [BTreeMap<&'static str, Vec<Value>>; 2],
    subject: Subject,
    /// What changed in the model.
    changes: Vec<Change>,
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
        let both = Self { fleet, model, seen: [BTreeMap::new(), BTreeMap::new()], subject, changes: Vec::new() };
        // A script that broke off may have left its object.
        let _ = both.real(&Ask::Patch("test", json!({"metadata": {"finalizers": null}})));
        let _ = both.real(&Ask::Delete(None));
        both
    }

    /// Asks both; gives what both answered.
    fn ask(&mut self, what: &str, ask: &Ask) -> Result<Value, u16> {
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
        let real = real.map(|one| essence(&one));
        let model = model.map(|one| essence(&one));
        assert_eq!(model, real, "{what}: the model on the left, the API server on the right; {ask:?}");
        real.map_err(|(code, _)| code)
    }

    /// Has both list the objects of the kind; what changes from then on is watched.
    fn list(&mut self, what: &str, selector: Selector) -> (Vec<Value>, Watched) {
        let (kind, resource) = (self.subject.kind, self.subject.all());
        self.changes.extend(self.model.changes());
        let Told::All(model) = self.model.listed(kind, selector) else { panic!("{what}: a list is told as one") };
        let model: Vec<_> = model.iter().map(|(_, stored)| essence(&stored.object)).collect();

        let path = format!("/{resource}?labelSelector={}", written(selector).replace('=', "%3D"));
        let real = self.fleet.request(Method::GET, &path, "", &Value::Null).unwrap();
        let items: Vec<_> = real["items"].as_array().unwrap().iter().map(essence).collect();
        assert_eq!(model, items, "{what}: the model on the left, the API server on the right");

        let version = real["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        (items, Watched { selector, version, since: self.changes.len() })
    }

    /// What the watches of both told since the list. No version is told twice, and none before an older one.
    fn told(&mut self, what: &str, watched: &Watched) -> Vec<Event> {
        self.changes.extend(self.model.changes());
        let told = self.changes[watched.since..].iter().filter_map(|change| change.told(watched.selector));
        let model: Vec<_> = told
            .map(|told| match told {
                Told::Is(_, stored) => ("is", stored.object.clone()),
                Told::Gone(_, stored) => ("gone", stored.object.clone()),
                Told::All(_) => panic!("{what}: a change is told as a list"),
            })
            .collect();

        let resource = self.subject.all();
        let resource = resource.trim_start_matches("apis/").trim_start_matches("api/");
        let real = eventually(PATIENCE, what, || {
            let told = self.fleet.watch(resource, &written(watched.selector), &watched.version);
            if told.len() < model.len() { Err(format!("{told:?}")) } else { Ok(told) }
        });
        let real: Vec<_> = real
            .into_iter()
            .map(|event| match event["type"].as_str().unwrap() {
                "ADDED" | "MODIFIED" => ("is", event["object"].clone()),
                "DELETED" => ("gone", event["object"].clone()),
                other => panic!("{what}: {other} is told: {event}"),
            })
            .collect();

        let [real, model] = [(0, real), (1, model)].map(|(at, told)| {
            let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
            let versions: Vec<u64> = told.iter().map(|(_, object)| version(object)).collect();
            assert!(versions.is_sorted_by(|one, next| one < next), "{what}: {versions:?}");
            let answered = self.seen[at].get("resourceVersion").map_or(&[][..], Vec::as_slice);
            let which = |object: &Value| answered.iter().position(|one| *one == object["metadata"]["resourceVersion"]);
            told.iter().map(|(word, object)| (*word, which(object), essence(object))).collect::<Vec<_>>()
        });
        assert_eq!(model, real, "{what}: the model on the left, the API server on the right");
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
        let answer = answer.map_err(|refused| (refused.code, class_of_status(refused.code, &refused.reason)))?;
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
            Ask::Get => {
                return self.model.get(&at).map(|stored| stored.object.clone()).ok_or((404, ErrorClass::Refused));
            }
        };
        answer.map_err(|refused| (refused.code, class_of_status(refused.code, refused.reason)))
    }
}

/// A selector as a request names it.
fn written(selector: Selector) -> String {
    match selector {
        Selector::All => String::new(),
        Selector::Label(name, value) => format!("{name}={value}"),
    }
}

/// What is decided by of an object: what was written, how often its spec was, and whether it is going.
fn essence(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut labels = metadata["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        // A namespace's name as a label, by which nothing is decided.
        labels.remove("kubernetes.io/metadata.name");
    }

    let fields = |of: &str, names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), object[of][*name].clone())).collect()
    };
    json!({
        "labels": labels.as_object().filter(|labels| !labels.is_empty()),
        "annotations": metadata["annotations"], "finalizers": metadata["finalizers"],
        "generation": metadata["generation"], "isGoing": !metadata["deletionTimestamp"].is_null(),
        "data": object["data"],
        "spec": fields("spec", &["state", "rollBack", "stage", "environment", "deletionPolicy", "wave"]),
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

fn a_watch_tells_each_change_after_its_list_once_and_in_order(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, CAMPAIGN);
    let (listed, watched) = both.list("nothing is there", Selector::All);
    assert_eq!(listed, Vec::<Value>::new());
    both.ask("it is made", &Ask::Create(campaign("Draft"))).unwrap();
    both.ask("it is edited", &Ask::Patch("test", json!({"spec": {"state": "Paused"}}))).unwrap();
    both.ask("nothing of it is changed", &Ask::Patch("test", json!({"spec": {"state": "Paused"}}))).unwrap();
    both.ask("nothing is changed that is there", &Ask::Apply("test", campaign("Paused"), true)).unwrap();
    let (listed, watched_later) = both.list("it is there", Selector::All);
    assert_eq!(listed.len(), 1);
    both.ask("its status is written", &Ask::PatchStatus("test", json!({"status": {"phase": "Paused"}}))).unwrap();
    let held = json!({"metadata": {"finalizers": ["gotocloud.amue.fr/test"]}});
    both.ask("it is held", &Ask::Patch("test", held)).unwrap();
    both.ask("it is deleted", &Ask::Delete(None)).unwrap();
    both.ask("and again", &Ask::Delete(None)).unwrap();
    both.ask("it is let go", &Ask::Patch("test", json!({"metadata": {"finalizers": null}}))).unwrap();

    let told = both.told("all of its life", &watched);
    assert_eq!(told.last().unwrap().0, "gone");
    let later = both.told("what came after the second list", &watched_later);
    assert!(later.len() < told.len() && told.ends_with(&later), "{later:?}");

    let real = both.fleet.watch("gotocloud.amue.fr/v1alpha1/campaigns", "", "1");
    let codes: Vec<_> = real.iter().map(|event| (&event["type"], &event["object"]["code"])).collect();
    assert_eq!(codes, [(&json!("ERROR"), &json!(410))], "who was away too long is told so, and lists anew");
    let (listed, _) = both.list("it is gone", Selector::All);
    assert_eq!(listed, Vec::<Value>::new());
}

fn to_a_watch_by_label_an_object_without_it_is_gone_as_it_last_was(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, SETTINGS);
    let labelled = Selector::Label("gotocloud-test", "watched");
    let one = |label: Value, a: &str| json!({"metadata": {"labels": {"gotocloud-test": label}}, "data": {"a": a}});
    both.ask("it is made without", &Ask::Create(data(&json!({"a": "1"})))).unwrap();
    let (listed, watched) = both.list("it has no label", labelled);
    assert_eq!(listed, Vec::<Value>::new());
    both.ask("nobody is told", &Ask::Patch("test", data(&json!({"a": "2"})))).unwrap();
    both.ask("it gets the label", &Ask::Patch("test", one(json!("watched"), "2"))).unwrap();
    both.ask("it is edited", &Ask::Patch("test", data(&json!({"a": "3"})))).unwrap();
    both.ask("it loses the label, and is edited", &Ask::Patch("test", one(Value::Null, "4"))).unwrap();
    both.ask("nobody is told", &Ask::Patch("test", data(&json!({"a": "5"})))).unwrap();
    both.ask("it gets another value", &Ask::Patch("test", one(json!("other"), "6"))).unwrap();
    both.ask("it gets the label", &Ask::Patch("test", one(json!("watched"), "7"))).unwrap();
    both.ask("the value is another", &Ask::Patch("test", one(json!("other"), "8"))).unwrap();
    both.ask("it gets the label", &Ask::Patch("test", one(json!("watched"), "9"))).unwrap();
    let (listed, _) = both.list("it has the label", labelled);
    assert_eq!(listed.len(), 1);
    both.ask("it is deleted", &Ask::Delete(None)).unwrap();

    let told = both.told("while it bore the label", &watched);
    let words: Vec<_> = told.iter().map(|(word, _, object)| (*word, object["data"]["a"].as_str().unwrap())).collect();
    let expected = [("is", "2"), ("is", "3"), ("gone", "3"), ("is", "7"), ("gone", "7"), ("is", "9"), ("gone", "9")];
    assert_eq!(words, expected);
}

fn nothing_is_made_in_a_namespace_that_is_not_there_or_goes(fleet: &mut Fleet) {
    let away = Subject { namespace: "conformance-away", ..SETTINGS };
    let namespace = Subject { kind: "Namespace", resource: "api/v1", namespace: "", name: "conformance-away" };
    let held = json!({"metadata": {"finalizers": ["gotocloud.amue.fr/test"]}, "data": {"a": "1"}});
    let mut both = Both::new(fleet, away);
    assert_eq!(both.ask("its namespace is not there", &Ask::Create(data(&json!({"a": "1"})))), Err(404));
    assert_eq!(both.ask("nor to apply to", &Ask::Apply("test", data(&json!({"a": "1"})), true)), Err(404));
    both.subject = namespace;
    both.ask("the namespace is made", &Ask::Create(json!({"metadata": {}}))).unwrap();
    both.subject = away;
    both.ask("it is made", &Ask::Create(held)).unwrap();
    both.subject = namespace;
    both.ask("the namespace is deleted", &Ask::Delete(None)).unwrap();
    let going = both.ask("it goes once it is empty", &Ask::Get).unwrap();
    assert_eq!(going["isGoing"], true);
    both.subject = Subject { name: "late", ..away };
    assert_eq!(both.ask("nothing more is made in it", &Ask::Create(data(&json!({"a": "1"})))), Err(403));
    assert_eq!(both.ask("nor by an apply", &Ask::Apply("test", data(&json!({"a": "1"})), true)), Err(403));
    both.subject = away;
    both.ask("what is in it can be edited", &Ask::Patch("test", data(&json!({"a": "2"})))).unwrap();
    both.ask("it is let go", &Ask::Patch("test", json!({"metadata": {"finalizers": null}}))).unwrap();
}

fn an_instance_keeps_whose_it_is_goes_forward_and_stays_while_it_is_protected(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, INSTANCE);
    let instance = |changes: Value| with(objects::instance(INSTANCE.name, "none", "nobody"), changes);
    let spec = |changes: Value| Ask::Patch("test", json!({"spec": changes}));
    let nobodys = instance(json!({"spec": {"establishment": null}}));
    assert_eq!(both.ask("it is somebody's", &Ask::Create(nobodys)), Err(422));
    both.ask("it is made", &Ask::Create(instance(json!({})))).unwrap();
    for field in ["application", "establishment"] {
        assert_eq!(both.ask("whose it is cannot change", &spec(json!({field: "other"}))), Err(422));
    }
    assert_eq!(both.ask("nor what for", &spec(json!({"environment": "Test"}))), Err(422));
    both.ask("it goes forward", &spec(json!({"stage": "PartialProduction"}))).unwrap();
    assert_eq!(both.ask("and not back", &spec(json!({"stage": "Provisioned"}))), Err(422));
    assert_eq!(both.ask("it is protected by its stage", &Ask::Delete(None)), Err(403));
    let back = json!({"stage": "Provisioned", "allowStageRegression": true, "deletionProtection": true});
    both.ask("it goes back where that is meant", &spec(back)).unwrap();
    assert_eq!(both.ask("it is protected because somebody says so", &Ask::Delete(None)), Err(403));
    both.ask("the protection is lifted", &spec(json!({"deletionProtection": false}))).unwrap();
    both.ask("it is deleted", &Ask::Delete(None)).unwrap();
    assert_eq!(both.ask("it is gone", &Ask::Get), Err(404));
}

fn a_release_and_an_approval_stay_as_they_were_made(fleet: &mut Fleet) {
    let mut both = Both::new(fleet, Subject { kind: "Release", name: "none-1.0", ..CAMPAIGN });
    both.ask("it is made", &Ask::Create(objects::release("none", "1.0"))).unwrap();
    let fixed = [
        json!({"version": "1.1"}),
        json!({"application": "other"}),
        json!({"generatedSecrets": null}),
        json!({"migration": {"component": "web", "command": ["/migrate"]}}),
        json!({"components": [{"name": "web", "image": objects::image("web", "1.1")}]}),
    ];
    for change in fixed {
        assert_eq!(both.ask("it cannot change", &Ask::Patch("test", json!({"spec": change}))), Err(422));
    }
    let support = json!({"spec": {"support": {"until": "2030-01-01"}, "reachableFrom": ["none-0.9"]}});
    both.ask("but for how long it is helped with, and from where it is reached", &Ask::Patch("test", support)).unwrap();
    both.ask("it is deleted", &Ask::Delete(None)).unwrap();

    let mut both = Both::new(fleet, Subject { kind: "Approval", ..CAMPAIGN });
    let user = both.fleet.request(Method::POST, WHOAMI, "application/json", &json!({})).unwrap();
    let by = &user["status"]["userInfo"]["username"];
    let approval = json!({"metadata": {}, "spec": {"campaign": "none", "by": by, "wave": "w"}});
    both.ask("it is made", &Ask::Create(approval)).unwrap();
    assert_eq!(both.ask("it cannot change", &Ask::Patch("test", json!({"spec": {"wave": "v"}}))), Err(422));
    both.ask("a label is none of it", &Ask::Patch("test", json!({"metadata": {"labels": {"a": "1"}}}))).unwrap();
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
        a_watch_tells_each_change_after_its_list_once_and_in_order,
        to_a_watch_by_label_an_object_without_it_is_gone_as_it_last_was,
        nothing_is_made_in_a_namespace_that_is_not_there_or_goes,
        an_instance_keeps_whose_it_is_goes_forward_and_stays_while_it_is_protected,
        a_release_and_an_approval_stay_as_they_were_made,
    ]
);
