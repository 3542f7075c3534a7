//! Is the database of each instance still what it was, and are its credentials there?
//!
//! Nothing watches a database server, so each is looked at again and again: by one connection for all its databases, and
//! by a login of each role with the password that its pods have. Nor does anything watch the Secrets that `CloudNativePG`
//! keeps: each is read. Nothing is written. What is no longer as it was made sure of is made sure of again by the
//! instance's own pass, which puts it right or says what is amiss.

use crate::{catalogue::reference, children::InstanceRef, reconcile::Context};
use futures::{StreamExt as _, stream};
use gotocloud_api::conditions::Reason;
use gotocloud_planner::{
    database::{Assured, is_as_assured},
    instance::{Failure, kept_credentials},
    plan::DatabaseRequest,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc::UnboundedSender,
    task::{AbortHandle, JoinSet},
};

/// How often a server is looked at: with what a look takes, what is amiss is told within a minute.
const EVERY: Duration = Duration::from_secs(45);
/// How soon a server that did not answer is asked once more, before all its instances are told.
const SECOND_TRY: Duration = Duration::from_secs(11);
/// How many roles log in to one server at a time.
const LOGINS: usize = 2;
/// Time between two Secrets that are read: in a large fleet each is read less often, and the API server is not kept busy.
const BETWEEN_SECRETS: Duration = Duration::from_millis(500);

/// A database that was made sure of, and whose it is.
type Known = (InstanceRef, DatabaseRequest, Assured);

/// Looks at every server again and again; sends those whose database is no longer as it was to `doubted`.
pub async fn run(context: Arc<Context>, doubted: UnboundedSender<InstanceRef>) {
    let mut looks = JoinSet::new();
    let mut under_way: HashMap<(String, u16, String), AbortHandle> = HashMap::new();
    let mut reading: Option<AbortHandle> = None;
    loop {
        tokio::time::sleep(EVERY).await;
        while looks.try_join_next().is_some() {}

        let mut by_server: BTreeMap<_, Vec<Known>> = BTreeMap::new();
        for known in context.assured_databases() {
            let request = &known.1;
            let server = (request.host.clone(), request.port, request.admin_secret_name.clone());
            by_server.entry(server).or_default().push(known);
        }
        under_way.retain(|_, look| !look.is_finished());
        for (server, databases) in by_server {
            // One that hangs is not asked twice at a time, and keeps nobody from another.
            under_way
                .entry(server)
                .or_insert_with(|| looks.spawn(look(Arc::clone(&context), databases, doubted.clone())));
        }
        if reading.as_ref().is_none_or(AbortHandle::is_finished) {
            reading = Some(looks.spawn(look_at_credentials(Arc::clone(&context), doubted.clone())));
        }
    }
}

/// Looks at the databases of one server.
async fn look(context: Arc<Context>, databases: Vec<Known>, doubted: UnboundedSender<InstanceRef>) {
    let requests: Vec<&DatabaseRequest> = databases.iter().map(|(_, request, _)| request).collect();
    let mut seen = context.executor.look(&requests).await;
    if seen.is_err() {
        tokio::time::sleep(SECOND_TRY).await;
        seen = context.executor.look(&requests).await;
    }
    let is_amiss = |(_, request, assured): &Known| match &seen {
        Ok(facts) => !facts.get(&request.name).is_some_and(|facts| is_as_assured(request, facts, assured)),
        Err(failure) => is_of_the_server(failure),
    };

    let (amiss, as_assured): (Vec<Known>, Vec<Known>) = databases.iter().cloned().partition(is_amiss);
    for known in &amiss {
        doubt(&context, known, &doubted);
    }
    stream::iter(as_assured)
        .for_each_concurrent(LOGINS, async |known| {
            if context.executor.password_fits(&known.1).await == Some(false) {
                doubt(&context, &known, &doubted);
            }
        })
        .await;
}

/// Looks at the credentials that `CloudNativePG` keeps.
async fn look_at_credentials(context: Arc<Context>, doubted: UnboundedSender<InstanceRef>) {
    let instances = context.catalogue.instances.state().into_iter();
    let kept = instances.filter_map(|instance| Some((reference(&instance), kept_credentials(&instance)?)));
    // Of the Instances themselves nothing is held meanwhile.
    let kept: Vec<_> = kept.collect();

    for (who, secret) in kept {
        tokio::time::sleep(BETWEEN_SECRETS).await;
        // Where the API server does not answer, what was known holds.
        let Ok(Some(lost)) = context.executor.lost_credentials(&secret).await else { continue };
        tracing::info!(instance = %who, lost, "the credentials are looked at again");
        context.doubt_credentials(&who);
        // Nobody listens any more only while the process ends.
        let _ = doubted.send(who);
    }
}

/// Does the failure tell of the database server, not of the API server, nor of a turn that did not come?
fn is_of_the_server(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::DatabaseUnreachable | Reason::DatabaseRefused | Reason::DatabaseSecretInvalid)
}

fn doubt(context: &Context, (who, request, assured): &Known, doubted: &UnboundedSender<InstanceRef>) {
    tracing::info!(instance = %who, database = request.name, "the database is not as it was; it is made sure of again");
    context.doubt(who, assured);
    // Nobody listens any more only while the process ends.
    let _ = doubted.send(who.clone());
}
