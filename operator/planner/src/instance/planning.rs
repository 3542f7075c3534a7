//! From what is observed of an Instance to the steps that bring it where it should be.

use super::{
    deletion,
    pinning::{self, Pin},
    rehearsing,
    steps::{
        applying, is_of_rehearsal, seek_a_lost_database_last, unwanted, withhold_pods_until_the_database_is_ready,
    },
    upgrading::{self, Replacing},
};
use crate::{
    database,
    grouping::Membership,
    inputs::{self, Inputs, full_name},
    objects::ObjectKey,
    plan::{DatabaseRequest, InstanceMetadata, Plan, Refusal, Step, Verdict, Waiting},
    render::{self, Rendered, Surroundings},
    snapshot::{NamespaceHolder, NamespaceOf, Snapshot},
};
use gotocloud_api::{
    Instance, InstanceSpec,
    conditions::Reason,
    instance::{DatabasePlace, DatabaseStatus, RevisionStatus},
    names,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done about the Instance of `snapshot`.
pub fn plan<'a>(snapshot: &Snapshot<'a>) -> Plan<'a> {
    if snapshot.instance.metadata.deletion_timestamp.is_some() {
        return deletion::plan(snapshot);
    }
    if inputs::is_external(snapshot) {
        return nothing(Verdict::Tracked);
    }

    let plan = match inputs::resolve(snapshot) {
        Err(refusal) => nothing(Verdict::Refused(refusal)),
        Ok(inputs) => proceed(snapshot, inputs),
    };
    Plan { blocked: upgrading::preview(snapshot).err(), ..plan }
}

pub(super) fn nothing<'a>(verdict: Verdict) -> Plan<'a> {
    Plan {
        verdict,
        metadata: None,
        steps: Vec::new(),
        aside: Vec::new(),
        blocked: None,
        replaced: Vec::new(),
        writers: None,
        unrehearsable: None,
        inventory: Vec::new(),
        inputs: None,
        revision: None,
        database: None,
        waiting: None,
    }
}

fn proceed<'a>(snapshot: &Snapshot<'a>, inputs: Inputs<'a>) -> Plan<'a> {
    if snapshot.namespace == (NamespaceHolder::Itself { terminating: true }) {
        let waiting = Some(Waiting::ForNamespace);
        return Plan { inputs: Some(inputs), waiting, ..nothing(Verdict::Proceed) };
    }

    let surroundings = Surroundings { neighbours: &snapshot.neighbours, operator: snapshot.operator };
    let settled = render::render(&inputs, &surroundings).and_then(|mut rendered| {
        if inputs.has_database() {
            database::may_be_called(&render::database_identifier(inputs.name()))?;
        }
        database_stays(&inputs, &rendered)?;
        let pin = pinning::pin(snapshot, &inputs, &mut rendered)?;
        Ok((rendered, pin))
    });

    let settled = settled.and_then(|(mut rendered, pin)| {
        let writers = upgrading::add(snapshot, &inputs, &surroundings, &mut rendered)?;
        let unrehearsable = rehearsing::add(snapshot, &inputs, &surroundings, &mut rendered).err();
        Ok((rendered, pin, (writers, unrehearsable)))
    });

    match settled {
        // What it refers to is told all the same: others may wait to know where it will be reached.
        Err(refusal) => Plan { inputs: Some(inputs), ..nothing(Verdict::Refused(refusal)) },
        Ok((_, Pin::Needs(revision), _)) => nothing(Verdict::NeedsPinned(revision)),
        Ok((rendered, Pin::Settled { revision, kept }, (writers, unrehearsable))) => {
            Plan { writers, unrehearsable, ..carry_out(snapshot, inputs, rendered, revision, kept) }
        }
    }
}

fn carry_out<'a>(
    snapshot: &Snapshot<'a>,
    inputs: Inputs<'a>,
    rendered: Rendered,
    revision: RevisionStatus,
    kept: Vec<ObjectKey>,
) -> Plan<'a> {
    let record = upgrading::record(snapshot);
    let mut wanted: BTreeSet<ObjectKey> = rendered.objects.iter().map(|object| object.key.clone()).collect();
    wanted.extend(rendered.secrets.iter().map(|secret| secret.key().clone()));
    wanted.extend(kept);
    wanted.extend(upgrading::of_the_phase(snapshot, record.as_deref()));
    wanted.extend(upgrading::revision_before(snapshot, record.as_deref()));

    let mut steps = applying(snapshot, &rendered);
    let waiting = withhold_pods_until_the_database_is_ready(snapshot, &rendered, &mut steps);
    seek_a_lost_database_last(snapshot, &mut steps);

    let unwanted: Vec<_> = unwanted(snapshot, &inputs.namespace, &wanted).collect();
    let mut replaced = Vec::new();
    for key in unwanted {
        let replacing = upgrading::replacing(record.as_deref(), &key);
        replaced.extend(replacing.is_some().then(|| key.clone()));
        match replacing {
            None => steps.push(Step::Remove(key)),
            Some(Replacing::Now) => steps.push(Step::RemoveReplaced(key)),
            Some(Replacing::Later) => drop(wanted.insert(key)),
        }
    }

    let (aside, steps) = steps.into_iter().partition(is_of_rehearsal);
    Plan {
        verdict: Verdict::Proceed,
        metadata: metadata(&inputs),
        steps,
        aside,
        blocked: None,
        replaced,
        writers: None,
        unrehearsable: None,
        inventory: wanted.into_iter().collect(),
        inputs: Some(inputs),
        revision: Some(revision),
        database: rendered.database,
        waiting,
    }
}

/// A database is not left behind by an edit of the Platform: what runs would start on an empty one.
fn database_stays(inputs: &Inputs<'_>, rendered: &Rendered) -> Result<(), Refusal> {
    let Some(before) = inputs.instance.status.as_ref().and_then(|status| status.database.as_ref()) else {
        return Ok(());
    };
    // On a server that was never asked there is nothing to leave behind.
    if matches!(before.place(), DatabasePlace::Server(_)) && before.provisioned.is_empty() {
        return Ok(());
    }

    let now = location(inputs, rendered.database.as_ref());
    let annotations = inputs.instance.metadata.annotations.as_ref();
    let moved_to = annotations.and_then(|all| all.get(names::ANNOTATION_DATABASE_MOVED_TO));

    match now {
        Some(now) if now.server == before.server || moved_to == Some(&now.server) => Ok(()),
        now => {
            let now = now.map_or_else(
                || "its Application now has none: undo the edit of the Application".to_owned(),
                |now| {
                    let (target, annotation) = (now.server, names::ANNOTATION_DATABASE_MOVED_TO);
                    format!(
                        "would be looked for on {target}: undo the edit of the Platform, or move the data and then \
                         annotate the Instance with {annotation}={target}"
                    )
                },
            );
            Err(Refusal::new(Reason::DatabaseMoved, format!("its data is on {}, but {now}", before.server)))
        }
    }
}

/// Where the instance's data is; none where it has no database.
pub(super) fn location(inputs: &Inputs<'_>, request: Option<&DatabaseRequest>) -> Option<DatabaseStatus> {
    if !inputs.has_database() {
        return None;
    }
    let name = render::database_identifier(inputs.name());
    let server = match request {
        Some(request) => format!("{}:{}", request.host, request.port),
        None => DatabasePlace::Cluster { namespace: &inputs.namespace, name: render::DATABASE_CLUSTER }.to_string(),
    };
    let secret_name = render::DATABASE_SECRET.to_owned();
    Some(DatabaseStatus { server, role: name.clone(), name, secret_name, provisioned: String::new(), oid: None })
}

/// The labels and the finalizer the Instance itself is to have; none where it has them.
fn metadata(inputs: &Inputs<'_>) -> Option<InstanceMetadata> {
    let labels = own_labels(&inputs.instance.spec, &inputs.membership);
    let has = inputs.instance.metadata.labels.as_ref();
    let has_labels = labels.iter().all(|(key, value)| has.and_then(|has| has.get(key)) == Some(value))
        && has.is_none_or(|has| has.keys().all(|key| labels.contains_key(key) || !is_ours(key)));
    if has_labels && has_finalizer(inputs.instance) {
        return None;
    }
    Some(InstanceMetadata { labels, finalizer: true })
}

/// The labels of an Instance by which people and campaigns select it.
pub(crate) fn own_labels(spec: &InstanceSpec, membership: &Membership) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (names::LABEL_APPLICATION.to_owned(), spec.application.clone()),
        (names::LABEL_ESTABLISHMENT.to_owned(), spec.establishment.clone()),
    ]);
    if let Some(grouping) = &membership.grouping {
        labels.insert(names::LABEL_GROUPING.to_owned(), grouping.clone());
    }
    for member in &membership.members {
        labels.insert(format!("{}{member}", names::LABEL_MEMBER_PREFIX), "true".to_owned());
    }
    labels
}

fn is_ours(label: &str) -> bool {
    label == names::LABEL_GROUPING || label.starts_with(names::LABEL_MEMBER_PREFIX)
}

pub(super) fn has_finalizer(instance: &Instance) -> bool {
    instance.metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == names::FINALIZER))
}

/// Who holds the namespace that `instance` needs, given the Instance that its labels name and what they say of it. A namespace
/// that keeps the data of an Instance of the same name, but of another establishment or application, is another's: what it
/// keeps is not for this one to read. One that the Instance's own status speaks of is its own, whatever somebody wrote on it
/// since.
pub fn namespace_holder(
    instance: &Instance,
    holder: Option<(&str, &str, &NamespaceOf)>,
    terminating: bool,
) -> NamespaceHolder {
    let Some((namespace, name, of)) = holder else { return NamespaceHolder::Nobody };
    let holder = format!("{namespace}/{name}");
    let establishment = of.establishment.as_deref().unwrap_or(&instance.spec.establishment);
    let application = of.application.as_deref().unwrap_or(&instance.spec.application);
    let is_for_it = (establishment, application) == (&*instance.spec.establishment, &*instance.spec.application);
    let is_lived_in = instance.status.as_ref().is_some_and(|status| status.namespace.is_some());

    if holder != full_name(instance) {
        return NamespaceHolder::Another(holder);
    }
    if !is_lived_in && !is_for_it {
        return NamespaceHolder::Another(format!("{holder} of {establishment}, whose {application} it keeps"));
    }
    match of.release.as_deref().filter(|_| !is_lived_in && !terminating) {
        Some(release) => NamespaceHolder::Kept(release.to_owned()),
        None => NamespaceHolder::Itself { terminating },
    }
}
