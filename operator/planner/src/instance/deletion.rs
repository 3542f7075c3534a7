//! From an Instance that is being deleted to the steps that take its workload away, and its data only where that is asked.

use super::planning::{has_finalizer, nothing};
use crate::{
    inputs::name_of,
    objects::{Kind, ObjectKey},
    plan::{DatabaseRequest, Plan, Refusal, Step, Verdict},
    render,
    snapshot::{NamespaceHolder, Snapshot},
};
use gotocloud_api::{conditions::Reason, instance::DeletionPolicy, names};

pub(super) fn plan<'a>(snapshot: &Snapshot<'a>) -> Plan<'a> {
    if !has_finalizer(snapshot.instance) {
        return nothing(Verdict::Deleting);
    }
    match steps(snapshot) {
        Ok((steps, database)) => Plan { steps, database, ..nothing(Verdict::Deleting) },
        Err(refusal) => nothing(Verdict::Refused(refusal)),
    }
}

fn steps(snapshot: &Snapshot<'_>) -> Result<(Vec<Step>, Option<DatabaseRequest>), Refusal> {
    let instance = snapshot.instance;
    match snapshot.namespace {
        // What is not its own is not its to remove.
        NamespaceHolder::Nobody | NamespaceHolder::Another(_) => return Ok((vec![Step::Release], None)),
        NamespaceHolder::Itself { terminating: true } => return Ok((Vec::new(), None)),
        NamespaceHolder::Itself { terminating: false } => {}
    }
    let namespace = ObjectKey::new(Kind::Namespace, "", &names::workload_namespace(name_of(instance)));
    let located = instance.status.as_ref().and_then(|status| status.database.as_ref());
    let request = request(snapshot);
    let Some(located) = located else {
        return Ok((vec![Step::Remove(namespace)], None));
    };
    let on_server = !located.server.contains('/');
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
            Ok((vec![Step::DropDatabase(request.clone()), Step::Remove(namespace)], Some(request)))
        }
        DeletionPolicy::Delete => Ok((vec![Step::Remove(namespace)], None)),
        DeletionPolicy::Retain => {
            let mut steps: Vec<_> = workload(snapshot).map(Step::Remove).collect();
            steps.extend(request.clone().map(Step::SealDatabase));
            let since =
                instance.metadata.deletion_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
            let data = if on_server {
                format!(
                    "database {} on {}, its role locked; its password in the Secret {}",
                    located.name, located.server, located.secret_name
                )
            } else {
                format!("CloudNativePG Cluster {}", located.server)
            };
            let object = render::retained_namespace(instance, &since, &data);
            steps.push(Step::Apply { object, known: true });
            steps.push(Step::Release);
            Ok((steps, request))
        }
    }
}

/// The objects that go while the data stays: all but what the data needs to be kept and found again.
fn workload<'s>(snapshot: &'s Snapshot<'_>) -> impl Iterator<Item = ObjectKey> + 's {
    let stays = |kind: Kind| match kind {
        Kind::Namespace | Kind::RoleBinding | Kind::NetworkPolicy | Kind::Secret | Kind::Cluster => true,
        Kind::ServiceAccount
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
    let mut keys: Vec<_> =
        snapshot.children.iter().map(|child| child.key.clone()).filter(|key| !stays(key.kind)).collect();
    keys.sort_by(|a, b| b.cmp(a));
    keys.into_iter()
}

/// The database on a server that is already there, where the Platform still names the one it is on.
fn request(snapshot: &Snapshot<'_>) -> Option<DatabaseRequest> {
    let located = snapshot.instance.status.as_ref()?.database.as_ref()?;
    let server = snapshot.platform?.spec.database.server.as_ref()?;
    (located.server == format!("{}:{}", server.host, server.port)).then(|| DatabaseRequest {
        host: server.host.clone(),
        port: server.port,
        admin_secret_name: server.admin_secret_name.clone(),
        ca_certificate: server.ca_certificate.clone(),
        name: located.name.clone(),
        connection_limit: server.connection_limit,
        secret: (names::workload_namespace(name_of(snapshot.instance)), located.secret_name.clone()),
    })
}
