//! From an Instance that is being deleted to the steps that take its workload away, and its data only where that is asked.

use super::{
    on_the_way,
    planning::{has_finalizer, nothing},
    steps::{find, is_as_applied, is_its_database},
};
use crate::{
    health::Health,
    inputs::name_of,
    objects::{Kind, Object, ObjectKey},
    plan::{DatabaseRequest, Plan, Refusal, Step, Verdict, Waiting},
    render,
    snapshot::{NamespaceHolder, Snapshot},
    upgrade,
};
use gotocloud_api::{
    Instance,
    conditions::Reason,
    instance::{DatabasePlace, DatabaseStatus, DeletionPolicy},
    names,
    upgrade::UpgradePhase,
};

pub(super) fn plan<'a>(snapshot: &Snapshot<'a>) -> Plan<'a> {
    if !has_finalizer(snapshot.instance) {
        return nothing(Verdict::Deleting);
    }
    if is_to_be_waited_for(snapshot) {
        return Plan { waiting: Some(Waiting::ForMigration), ..nothing(Verdict::Deleting) };
    }
    match steps(snapshot) {
        Ok((steps, database)) => Plan { steps, database, ..nothing(Verdict::Deleting) },
        Err(refusal) => nothing(Verdict::Refused(refusal)),
    }
}

/// Does a Job move data that is to be kept? Stopped half-way it would leave data that no release can use. It ends by itself, at
/// its deadline at the latest.
fn is_to_be_waited_for(snapshot: &Snapshot<'_>) -> bool {
    let is_kept = snapshot.instance.spec.deletion_policy == DeletionPolicy::Retain;
    let is_there = matches!(snapshot.namespace, NamespaceHolder::Itself { terminating: false });

    is_kept && is_there && matches!(migration(snapshot), Some(Health::Progressing(_) | Health::Unjudged))
}

/// How the Job stands that moves its data; `None` if none does.
fn migration<'s>(snapshot: &'s Snapshot<'_>) -> Option<&'s Health> {
    let record = snapshot.instance.status.as_ref()?.upgrade.as_ref()?;
    if record.phase != UpgradePhase::Migrate {
        return None;
    }
    on_the_way::health(snapshot, Kind::Job, record)
}

/// Which Release the data is of that is kept. A Job that ended well has moved it, though its record does not say so yet.
fn kept_data_is_of(snapshot: &Snapshot<'_>) -> Option<String> {
    let record = snapshot.instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    match (migration(snapshot), record) {
        (Some(Health::Ready), Some(record)) => Some(record.step_end().to_owned()),
        _ => upgrade::data_is_of(snapshot.instance),
    }
}

fn steps(snapshot: &Snapshot<'_>) -> Result<(Vec<Step>, Option<DatabaseRequest>), Refusal> {
    let instance = snapshot.instance;
    let request = request(snapshot);
    let is_there = match snapshot.namespace {
        // The namespace belongs to another Instance, or keeps data that this one never took up: leave it.
        NamespaceHolder::Another(_) | NamespaceHolder::Kept(_) => return Ok((vec![Step::Release], None)),
        NamespaceHolder::Itself { terminating: true } => return Ok((Vec::new(), None)),
        NamespaceHolder::Itself { terminating: false } => true,
        NamespaceHolder::Nobody => false,
    };

    let last = if is_there { Step::Remove(namespace(instance)) } else { Step::Release };
    let Some(located) = located(snapshot) else { return Ok((vec![last], None)) };
    let on_server = matches!(located.place(), DatabasePlace::Server(_));
    // Of what is on a server, nothing is left to see to once `provisioned` is empty.
    if !is_there && (!on_server || located.provisioned.is_empty()) {
        return Ok((vec![last], None));
    }

    match instance.spec.deletion_policy {
        DeletionPolicy::Delete if on_server => {
            let request = request.ok_or_else(|| {
                Refusal::new(
                    Reason::PlatformNotFound,
                    format!(
                        "its database {} on {} cannot be deleted, since its Platform no longer names that server: \
                         bring the Platform back, or set deletionPolicy: Retain",
                        located.name, located.server
                    ),
                )
            })?;
            // The pods go first, and do not wait for what the server says.
            let mut steps = emptying(snapshot, is_there, workload(snapshot).collect());
            steps.push(Step::DropDatabase(request.clone()));
            steps.push(last);
            Ok((steps, Some(request)))
        }
        DeletionPolicy::Delete => Ok((vec![last], None)),
        DeletionPolicy::Retain => {
            let since = instance.metadata.deletion_timestamp.as_ref();
            let since = since.map(|time| time.0.to_string()).unwrap_or_default();
            let data = kept(&located, request.is_some(), is_there);
            // With a namespace that goes what is not seen goes as well; in one that stays it would run on.
            let unseen = unseen(snapshot).filter(|_| is_there);
            let mut steps = emptying(snapshot, is_there, workload(snapshot).chain(unseen).collect());
            steps.extend(request.clone().map(Step::SealDatabase));
            // By its namespace the data is found again, so it is made anew where somebody deleted it.
            let release = kept_data_is_of(snapshot);
            let object = render::retained_namespace(instance, &since, &data, release.as_deref());
            steps.push(Step::Apply { object, known: is_there });
            steps.push(Step::Release);
            Ok((steps, request))
        }
    }
}

fn namespace(instance: &Instance) -> ObjectKey {
    ObjectKey::new(Kind::Namespace, "", &names::workload_namespace(name_of(instance)))
}

/// Where its data is: as its status says, or, where that is lost, as a Cluster that is there shows.
fn located(snapshot: &Snapshot<'_>) -> Option<DatabaseStatus> {
    let told = snapshot.instance.status.as_ref().and_then(|status| status.database.clone());
    told.or_else(|| {
        let cluster = snapshot.children.iter().find(|child| is_its_database(&child.key))?;
        let server = DatabasePlace::Cluster { namespace: &cluster.key.namespace, name: &cluster.key.name }.to_string();
        let name = render::database_identifier(name_of(snapshot.instance));
        let secret_name = render::DATABASE_SECRET.to_owned();
        Some(DatabaseStatus { server, role: name.clone(), name, secret_name, provisioned: String::new(), oid: None })
    })
}

/// What is kept and where, as a sentence.
fn kept(located: &DatabaseStatus, is_sealed: bool, has_secret: bool) -> String {
    let DatabaseStatus { name, role, secret_name, .. } = located;
    let server = match located.place() {
        place @ DatabasePlace::Cluster { .. } => return format!("CloudNativePG Cluster {place}"),
        DatabasePlace::Server(address) => address,
    };

    let login = if is_sealed { "locked" } else { "not locked, since its Platform no longer names that server" };
    let password =
        if has_secret { format!("in the Secret {secret_name}") } else { "lost with the namespace".to_owned() };
    format!("database {name} on {server}; its role {role} {login}; its password {password}")
}

/// The steps that take those objects away, the last applied first. The operator lets itself in before, where somebody took
/// its rights in the namespace.
fn emptying(snapshot: &Snapshot<'_>, is_there: bool, mut workload: Vec<ObjectKey>) -> Vec<Step> {
    workload.sort_by(|a, b| b.cmp(a));
    let is_as_it_was = |object: &Object| {
        let desired = crate::fingerprint::of(&object.manifest);
        find(snapshot, &object.key).is_some_and(|observed| is_as_applied(observed, &desired))
    };

    let mut steps = Vec::new();
    if is_there
        && !workload.is_empty()
        && let Some(object) = render::own_rights(snapshot.instance, snapshot.operator)
        && !is_as_it_was(&object)
    {
        let known = find(snapshot, &object.key).is_some();
        steps.push(Step::Apply { object, known });
    }
    steps.extend(workload.into_iter().map(Step::Remove));
    steps
}

/// The objects in its namespace that go while the data stays.
fn workload<'s>(snapshot: &'s Snapshot<'_>) -> impl Iterator<Item = ObjectKey> + 's {
    let standing = snapshot.children.iter().filter(|child| !child.terminating);
    standing.map(|child| child.key.clone()).filter(|key| goes(snapshot.instance, key))
}

/// Those that were applied and are not seen: somebody may have taken their labels off.
fn unseen<'s>(snapshot: &'s Snapshot<'_>) -> impl Iterator<Item = ObjectKey> + 's {
    let inventory = snapshot.instance.status.iter().filter_map(|status| status.inventory.as_ref());
    let told = inventory.flat_map(|inventory| &inventory.entries).filter_map(ObjectKey::from_entry);
    told.filter(|key| {
        goes(snapshot.instance, key) && key.was_applied(snapshot.instance) && find(snapshot, key).is_none()
    })
}

/// Is it in the instance's namespace, and nothing that the data needs to be kept and found again?
fn goes(instance: &Instance, key: &ObjectKey) -> bool {
    let stays = match key.kind {
        Kind::Cluster => is_its_database(key),
        Kind::Namespace | Kind::RoleBinding | Kind::NetworkPolicy | Kind::Secret | Kind::Backup => true,
        Kind::ServiceAccount
        | Kind::Job
        | Kind::ResourceQuota
        | Kind::LimitRange
        | Kind::ConfigMap
        | Kind::ControllerRevision
        | Kind::Deployment
        | Kind::Service
        | Kind::PodDisruptionBudget
        | Kind::HorizontalPodAutoscaler
        | Kind::Certificate
        | Kind::ListenerSet
        | Kind::HttpRoute
        | Kind::Ingress
        | Kind::ServiceMonitor => false,
    };
    *key.namespace == *names::workload_namespace(name_of(instance)) && !stays
}

/// The database on a server that is already there, where the Platform still names the one it is on.
fn request(snapshot: &Snapshot<'_>) -> Option<DatabaseRequest> {
    let located = snapshot.instance.status.as_ref()?.database.as_ref()?;
    let server = snapshot.platform?.spec.database.server.as_ref()?;
    (located.server == format!("{}:{}", server.host, server.port))
        .then(|| DatabaseRequest::on(server, snapshot.instance, snapshot.operator, &located.name, &located.secret_name))
}
