//! From what is observed of an Instance to the steps that bring it where it should be.

use super::{deletion, rehearsing};
use crate::{
    autoscaling, database,
    grouping::Membership,
    health::Health,
    inputs::{self, Inputs, full_name},
    objects::{Kind, Object, ObjectKey},
    plan::{DatabaseRequest, InstanceMetadata, Plan, Refusal, Step, Verdict, Waiting},
    render::{self, Rendered, Surroundings},
    revision::{self, Choice},
    snapshot::{NamespaceHolder, NamespaceOf, Observed, Pinned, Snapshot},
    upgrade,
};
use gotocloud_api::{
    Instance, InstanceSpec,
    conditions::Reason,
    instance::{DatabaseStatus, RevisionStatus},
    names,
    release::Migration,
    upgrade::{UpgradePhase, UpgradeStatus, UpgradeStep},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// How many pending changes a status lists.
const PENDING_CHANGES: usize = 10;

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
    Plan { blocked: preview(snapshot).err(), ..plan }
}

/// Plans every release that the Instance still has to be made from, so that one that cannot be made is told before
/// anything moves.
fn preview(snapshot: &Snapshot<'_>) -> Result<(), Refusal> {
    let record = record(snapshot);

    for (name, release) in &snapshot.way.ahead {
        let release =
            release.ok_or_else(|| inputs::not_found(Reason::ReleaseNotFound, "Release", name, "spec.release"))?;
        let ahead = Snapshot { release: Some(release), ..snapshot.clone() };
        let inputs = inputs::resolve(&ahead)?;
        let surroundings = Surroundings { neighbours: &ahead.neighbours, operator: ahead.operator };
        render::render(&inputs, &surroundings)?;

        let Some(migration) = &release.spec.migration else { continue };
        is_as_decided(record.as_deref(), name, migration)?;
        render::migration::job(&inputs, &surroundings, release, migration, render::MIGRATION)?;
    }
    Ok(())
}

/// Is the migration the one that was decided upon?
fn is_as_decided(record: Option<&UpgradeStatus>, release: &str, migration: &Migration) -> Result<(), Refusal> {
    let is_it = |step: &&UpgradeStep| step.release == release;
    let step = record.filter(|record| !record.phase.is_terminal()).and_then(|record| record.steps.iter().find(is_it));
    let decided = step.and_then(|step| step.migration.as_ref()).filter(|decided| !decided.digest.is_empty());

    match decided {
        Some(decided) if decided.digest != crate::fingerprint::of(migration) => Err(Refusal::new(
            Reason::ObjectRefused,
            format!(
                "the migration of the Release {release} is no longer the one that was decided upon: publish it as a Release of its own"
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// The record of the Instance's way, in today's form.
pub(super) fn record<'s>(snapshot: &'s Snapshot<'_>) -> Option<Cow<'s, UpgradeStatus>> {
    upgrade::record(snapshot.instance, snapshot.way.releases, Some(&snapshot.way.terms))
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
        let pin = pin(snapshot, &inputs, &mut rendered)?;
        Ok((rendered, pin))
    });

    let settled = settled.and_then(|(mut rendered, pin)| {
        let writers = on_the_way(snapshot, &inputs, &surroundings, &mut rendered)?;
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
    let record = record(snapshot);
    let mut wanted: BTreeSet<ObjectKey> = rendered.objects.iter().map(|object| object.key.clone()).collect();
    wanted.extend(rendered.secrets.iter().map(|secret| secret.key().clone()));
    wanted.extend(kept);
    wanted.extend(of_the_phase(snapshot, record.as_deref()));

    let mut steps = applying(snapshot, &rendered);
    let waiting = withhold_pods_until_the_database_is_ready(snapshot, &rendered, &mut steps);
    seek_a_lost_database_last(snapshot, &mut steps);

    let unwanted: Vec<_> = unwanted(snapshot, &inputs.namespace, &wanted).collect();
    let mut replaced = Vec::new();
    for key in unwanted {
        let replacing = replacing(record.as_deref(), &key);
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

/// The objects that belong to the present phase of an upgrade: once seen, they stay until the phase ends, whatever is
/// rendered meanwhile.
fn of_the_phase(snapshot: &Snapshot<'_>, record: Option<&UpgradeStatus>) -> Vec<ObjectKey> {
    let Some(record) = record.filter(|record| upgrade::wants(record).migration) else { return Vec::new() };
    let namespace = names::workload_namespace(inputs::name_of(snapshot.instance));
    let job = ObjectKey::new(Kind::Job, &namespace, &upgrade::attempt_name(record));
    let flows = ObjectKey::new(Kind::NetworkPolicy, &namespace, render::MIGRATION);

    [job, flows].into_iter().filter(|key| find(snapshot, key).is_some()).collect()
}

/// When an upgrade removes what the release before had.
enum Replacing {
    /// Once the new pods are there.
    Later,
    /// Now.
    Now,
}

/// When the upgrade of `record` removes an object that is no longer wanted; `None` if it goes for another reason.
fn replacing(record: Option<&UpgradeStatus>, key: &ObjectKey) -> Option<Replacing> {
    let record = record.filter(|_| !key.is_passing() && !render::rehearsal::holds(key))?;

    match record.phase {
        UpgradePhase::Rollout => Some(Replacing::Later),
        UpgradePhase::Verify | UpgradePhase::Soak | UpgradePhase::RollingBack => Some(Replacing::Now),
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => None,
    }
}

fn is_of_rehearsal(step: &Step) -> bool {
    match step {
        Step::Apply { object, .. } => render::rehearsal::holds(&object.key),
        Step::Remove(key) | Step::RemoveReplaced(key) => render::rehearsal::holds(key),
        Step::HandOver { .. }
        | Step::EnsureSecret(_)
        | Step::EnsureDatabase(_)
        | Step::SealDatabase(_)
        | Step::DropDatabase(_)
        | Step::Release => false,
    }
}

/// Adds what the present phase of an upgrade asks for, and stops the pods where the data changes under them. Gives why the
/// data may still be written to.
fn on_the_way(
    snapshot: &Snapshot<'_>,
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    rendered: &mut Rendered,
) -> Result<Option<String>, Refusal> {
    let Some(record) = record(snapshot) else { return Ok(None) };
    let wants = upgrade::wants(&record);
    let name = upgrade::attempt_name(&record);

    if wants.no_pods {
        for object in rendered.objects.iter_mut().filter(|object| object.key.kind == Kind::Deployment) {
            object.manifest["spec"]["replicas"] = 0.into();
        }
        // What is saved or moved must not be written to any more. A migration that began goes on all the same.
        if wants.asks_for_quiet()
            && let Some(writers) = writers(snapshot, rendered)
        {
            if let Some(flows) = flows_of_a_running_migration(inputs, &record) {
                rendered.push(flows);
            }
            return Ok(Some(writers));
        }
    }
    if wants.backup && inputs.platform.spec.database.cloud_native_pg.is_some() {
        rendered.push(render::migration::backup(inputs, &name));
    }
    if wants.migration {
        migrate(snapshot, inputs, surroundings, &record, rendered)?;
    }
    Ok(None)
}

/// The flows of a migration whose Job was seen.
fn flows_of_a_running_migration(inputs: &Inputs<'_>, record: &UpgradeStatus) -> Option<Object> {
    let is_running = upgrade::wants(record).migration && record.migration.is_some();

    is_running.then(|| render::migration::flows(inputs))
}

/// Adds the Job that moves the data. One that was seen is not made a second time, and stays as it is.
fn migrate(
    snapshot: &Snapshot<'_>,
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    record: &UpgradeStatus,
    rendered: &mut Rendered,
) -> Result<(), Refusal> {
    let name = upgrade::attempt_name(record);
    let key = ObjectKey::new(Kind::Job, &inputs.namespace, &name);
    let target =
        snapshot.way.ahead.iter().find(|(name, _)| *name == record.step_end()).and_then(|(_, release)| *release);

    if find(snapshot, &key).is_some() || record.migration.is_some() {
        rendered.push(render::migration::flows(inputs));
        return Ok(());
    }
    let Some(target) = target else { return Ok(()) };
    let Some(migration) = &target.spec.migration else { return Ok(()) };
    if is_as_decided(Some(record), record.step_end(), migration).is_err() {
        return Ok(());
    }

    for object in render::migration::job(inputs, surroundings, target, migration, &name)? {
        rendered.push(object);
    }
    Ok(())
}

/// Why the data may still be written to, as a sentence; none if no pod is left that could.
fn writers(snapshot: &Snapshot<'_>, rendered: &Rendered) -> Option<String> {
    let is_stopped = |key: &ObjectKey, manifest: &serde_json::Value| {
        find(snapshot, key).is_some_and(|observed| {
            observed.health == Health::Ready && is_as_applied(observed, &crate::fingerprint::of(manifest))
        })
    };
    let deployments = rendered.objects.iter().filter(|object| object.key.kind == Kind::Deployment);

    for object in deployments {
        if !is_stopped(&object.key, &object.manifest) {
            return Some(format!("{} is being stopped", object.key));
        }
    }
    pods_left(snapshot)
}

/// Which pods can still write to the data, as a sentence; none if none can.
pub(super) fn pods_left(snapshot: &Snapshot<'_>) -> Option<String> {
    match snapshot.writers.as_deref() {
        None => Some("whether its pods have ended is not known yet".to_owned()),
        Some([]) => None,
        Some([one]) => Some(format!("the pod {one} has not ended")),
        Some([first, others @ ..]) => Some(format!("{} pods have not ended, {first} among them", others.len() + 1)),
    }
}

/// What pods are made from.
enum Pin {
    /// It is settled: by this revision. The one before is `kept` until there is another: it may be gone back to.
    Settled { revision: RevisionStatus, kept: Vec<ObjectKey> },
    /// It cannot be told before this `ControllerRevision` is read.
    Needs(ObjectKey),
}

/// Settles what pods are made from, and puts it into `rendered` with the object that pins it.
fn pin(snapshot: &Snapshot<'_>, inputs: &Inputs<'_>, rendered: &mut Rendered) -> Result<Pin, Refusal> {
    let spec = &snapshot.instance.spec;
    let running = snapshot.instance.status.as_ref().and_then(|status| status.revision.as_ref());
    let release = inputs.release.metadata.name.clone().unwrap_or_default();
    let asked = revision::asked(spec, &release);
    let today = revision::hash(&rendered.objects);
    let choice = revision::choose(running, &asked, &today, spec.accepted_revision.as_deref());
    let (Choice::Pinned, Some(running)) = (choice, running) else {
        rendered.push(render::revision_object(inputs, &today, &rendered.objects)?);
        let before = running.filter(|running| running.running != today);
        let kept = match before {
            Some(before) => vec![revision::key(&inputs.namespace, &before.running)],
            None => other_revisions(snapshot, &revision::key(&inputs.namespace, &today)),
        };
        return Ok(Pin::Settled {
            revision: RevisionStatus { running: today, asked, release, ..RevisionStatus::default() },
            kept: kept.into_iter().filter(|kept| find(snapshot, kept).is_some()).collect(),
        });
    };

    let key = revision::key(&inputs.namespace, &running.running);
    let pinned = match &snapshot.pinned {
        None => return Ok(Pin::Needs(key)),
        // What it holds is what its name says, or it was tampered with.
        Some(Pinned::Found(pinned)) if revision::hash(pinned) == running.running => pinned,
        Some(Pinned::Found(_) | Pinned::Lost) => {
            return Err(Refusal::new(
                Reason::RevisionLost,
                format!(
                    "{key}, which pins its pods, is gone or changed: its pods run on, but nothing repairs them; consent \
                     to what would be made today with spec.acceptedRevision: {today}"
                ),
            ));
        }
    };

    let pending_changes = revision::changes(pinned, &rendered.objects, PENDING_CHANGES);
    rendered.objects.retain(|object| !object.key.kind.moves_pods());
    for object in pinned {
        rendered.push(object.clone());
    }
    rendered.push(render::revision_object(inputs, &running.running, pinned)?);
    let revision = RevisionStatus {
        running: running.running.clone(),
        asked: running.asked.clone(),
        release: running.release.clone(),
        pending: Some(today),
        pending_changes,
    };

    Ok(Pin::Settled { revision, kept: other_revisions(snapshot, &key) })
}

/// The revisions that are there beside `running`: the one before, which stays until there is another.
fn other_revisions(snapshot: &Snapshot<'_>, running: &ObjectKey) -> Vec<ObjectKey> {
    let all = snapshot.children.iter().filter(|child| child.key.kind == Kind::ControllerRevision && !child.terminating);
    all.filter(|child| child.key.namespace == running.namespace && child.key != *running)
        .map(|child| child.key.clone())
        .collect()
}

/// A database is not left behind by an edit of the Platform: what runs would start on an empty one.
fn database_stays(inputs: &Inputs<'_>, rendered: &Rendered) -> Result<(), Refusal> {
    let Some(before) = inputs.instance.status.as_ref().and_then(|status| status.database.as_ref()) else {
        return Ok(());
    };
    // On a server that was never asked there is nothing to leave behind.
    if !before.server.contains('/') && before.provisioned.is_empty() {
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
        None => format!("{}/{}", inputs.namespace, render::DATABASE_CLUSTER),
    };
    let secret_name = render::DATABASE_SECRET.to_owned();
    Some(DatabaseStatus { server, role: name.clone(), name, secret_name, provisioned: String::new(), oid: None })
}

fn find<'s>(snapshot: &'s Snapshot<'_>, key: &ObjectKey) -> Option<&'s Observed> {
    snapshot.children.iter().find(|child| child.key == *key)
}

/// Is the object as it was last applied, and was that this?
fn is_as_applied(observed: &Observed, desired: &str) -> bool {
    observed.applied.split_once('.') == Some((desired, &*observed.fields))
}

/// The steps that make objects, Secrets and the database as they should be; none for what is so already.
fn applying(snapshot: &Snapshot<'_>, rendered: &Rendered) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut secrets = rendered.secrets.iter().peekable();
    for object in &rendered.objects {
        while let Some(secret) = secrets.next_if(|secret| *secret.key() < object.key) {
            push_secret(snapshot, secret, &mut steps);
        }
        let observed = find(snapshot, &object.key);
        let desired = crate::fingerprint::of(&object.manifest);
        let is_done = observed.is_some_and(|observed| is_as_applied(observed, &desired));
        match autoscaling::handing_over(object, &rendered.objects, observed, snapshot.instance, is_done) {
            Some(handing_over) => steps.extend(handing_over),
            None if is_done => {}
            // What holds data is looked at each time: were it gone meanwhile, it would be made anew, empty.
            None => {
                let known = observed.is_some() && !holds_data(&object.key);
                steps.push(Step::Apply { object: object.clone(), known });
            }
        }
    }
    for secret in secrets {
        push_secret(snapshot, secret, &mut steps);
    }
    steps
}

fn push_secret(snapshot: &Snapshot<'_>, secret: &crate::secrets::SecretRequest, steps: &mut Vec<Step>) {
    let observed = find(snapshot, secret.key());
    if !observed.is_some_and(|observed| is_as_applied(observed, &secret.fingerprint())) {
        steps.push(Step::EnsureSecret(secret.clone()));
    }
}

/// Did it ever run?
fn ran(snapshot: &Snapshot<'_>) -> bool {
    snapshot.instance.status.as_ref().is_some_and(|status| status.release.is_some())
}

/// A Cluster that is not seen though the instance ran may be gone with its data, and the plan then ends at it: what else
/// is amiss is put right before.
fn seek_a_lost_database_last(snapshot: &Snapshot<'_>, steps: &mut Vec<Step>) {
    let is_sought = |step: &Step| {
        matches!(step, Step::Apply { object, .. }
            if is_its_database(&object.key) && ran(snapshot) && find(snapshot, &object.key).is_none())
    };
    let (sought, others): (Vec<_>, Vec<_>) = steps.drain(..).partition(is_sought);
    steps.extend(others);
    steps.extend(sought);
}

/// Pods of an instance that never ran wait for their database; those of one that did are kept as they should be all the
/// same, since a database that is down for a while is no reason to leave them unrepaired.
fn withhold_pods_until_the_database_is_ready(
    snapshot: &Snapshot<'_>,
    rendered: &Rendered,
    steps: &mut Vec<Step>,
) -> Option<Waiting> {
    let new_pods = |step: &Step| {
        !ran(snapshot)
            && matches!(step, Step::Apply { object, known: false } | Step::HandOver { object, known: false }
                if matches!(object.key.kind, Kind::Deployment | Kind::HorizontalPodAutoscaler))
    };
    if let Some(database) = &rendered.database {
        if !snapshot.has_assured(database) {
            let (pods, others): (Vec<_>, Vec<_>) = steps.drain(..).partition(new_pods);
            steps.extend(others);
            steps.push(Step::EnsureDatabase(database.clone()));
            steps.extend(pods);
        }
        return None;
    }
    let cluster = rendered.objects.iter().find(|object| is_its_database(&object.key))?;
    if find(snapshot, &cluster.key).is_some_and(|cluster| cluster.health == Health::Ready) {
        return None;
    }
    let before = steps.len();
    steps.retain(|step| !new_pods(step));
    (steps.len() < before).then_some(Waiting::ForDatabase)
}

/// What the Instance has and is not to have: seen with its labels, or told by its inventory where nothing watches it.
/// What holds data is never among them, nor what is outside its namespace: labels can be copied.
fn unwanted<'s>(
    snapshot: &'s Snapshot<'_>,
    namespace: &'s str,
    wanted: &'s BTreeSet<ObjectKey>,
) -> impl Iterator<Item = ObjectKey> + 's {
    let seen = snapshot.children.iter().filter(|child| !child.terminating).map(|child| child.key.clone());
    let inventory = snapshot.instance.status.as_ref().and_then(|status| status.inventory.as_ref());
    let told = inventory.into_iter().flat_map(|inventory| &inventory.entries).filter_map(ObjectKey::from_entry);
    let told = told.filter(|key| !key.kind.is_watched() && find(snapshot, key).is_none());
    let removable = |key: &ObjectKey| &*key.namespace == namespace && !wanted.contains(key) && !holds_data(key);
    let mut keys: Vec<_> = seen.chain(told).filter(removable).collect();
    keys.sort_by(|a, b| b.cmp(a));
    keys.dedup();
    keys.into_iter()
}

/// Is it the `CloudNativePG` Cluster with the instance's data?
pub(super) fn is_its_database(key: &ObjectKey) -> bool {
    key.kind == Kind::Cluster && &*key.name == render::DATABASE_CLUSTER
}

fn holds_data(key: &ObjectKey) -> bool {
    is_its_database(key)
        || key.kind == Kind::Backup
        || (key.kind == Kind::Secret && &*key.name == render::DATABASE_SECRET)
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
