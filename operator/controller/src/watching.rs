//! What is seen of the objects that instances are made of?

use crate::{
    apply::explained,
    children::{Children, InstanceRef, Seen, owner},
    health::{WatchState, Watches},
};
use futures::{StreamExt as _, TryStream, TryStreamExt as _};
use gotocloud_api::names;
use gotocloud_planner::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use std::{collections::HashSet, pin::pin, sync::Arc};
use tokio::sync::mpsc::UnboundedSender;

/// The resource of a kind, for clients that know its type only as JSON.
pub fn resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: kind.group().to_owned(),
        version: kind.version().to_owned(),
        api_version: kind.api_version(),
        kind: kind.name().to_owned(),
        plural: kind.plural().to_owned(),
    }
}

/// Follows all objects of `kind` that the operator made, until dropped. Each Instance whose objects changed is sent to
/// `changed`.
pub async fn follow(
    client: Client,
    kind: Kind,
    children: Arc<Children>,
    watches: Watches,
    changed: UnboundedSender<InstanceRef>,
) {
    let config = watcher::Config::default().labels(&format!("{}={}", names::LABEL_MANAGED_BY, names::FIELD_MANAGER));
    let resource = resource(kind);
    if kind.has_health() {
        let stream = watcher::watcher(Api::<DynamicObject>::all_with(client, &resource), config);
        let seen = stream.map_ok(|event| map(event, |object| Seen::whole(kind, object)));
        fold(kind, seen.default_backoff(), &children, &watches, &changed).await;
    } else {
        let stream = watcher::watcher(Api::<PartialObjectMeta<DynamicObject>>::all_with(client, &resource), config);
        let seen = stream.map_ok(|event| {
            map(event, |object: PartialObjectMeta<DynamicObject>| Seen { kind, metadata: object.metadata, whole: None })
        });
        fold(kind, seen.default_backoff(), &children, &watches, &changed).await;
    }
}

fn map<A, B>(event: Event<A>, f: impl Fn(A) -> B) -> Event<B> {
    match event {
        Event::Apply(object) => Event::Apply(f(object)),
        Event::Delete(object) => Event::Delete(f(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(f(object)),
        Event::InitDone => Event::InitDone,
    }
}

async fn fold(
    kind: Kind,
    events: impl TryStream<Ok = Event<Seen>, Error = watcher::Error>,
    children: &Children,
    watches: &Watches,
    changed: &UnboundedSender<InstanceRef>,
) {
    let mut listed = HashSet::new();
    let mut synced = false;
    let mut events = pin!(events.into_stream());
    let tell = |instance: Option<InstanceRef>| {
        if let Some(instance) = instance {
            // Nobody listens any more only while the process ends.
            let _ = changed.send(instance);
        }
    };

    while let Some(event) = events.next().await {
        let state = if synced { WatchState::Following } else { WatchState::Starting };
        match event {
            Err(error) => {
                tracing::warn!(%kind, error = explained(&error), "watch failed; it is tried again");
                watches.set(kind.name(), if synced { WatchState::Failing } else { WatchState::Starting });
                continue;
            }
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(seen)) => {
                if let (Some(owner), Some(name)) = (owner(&seen.metadata), seen.metadata.name.as_deref()) {
                    listed.insert((owner, name.into()));
                }
                tell(children.observe(&seen));
            }
            Ok(Event::InitDone) => {
                synced = true;
                children.keep_only(kind, &listed).into_iter().for_each(|instance| tell(Some(instance)));
                listed = HashSet::new();
                watches.set(kind.name(), WatchState::Following);
                continue;
            }
            Ok(Event::Apply(seen)) => tell(children.observe(&seen)),
            Ok(Event::Delete(seen)) => {
                tell(children.forget(kind, &seen.metadata));
                if kind == Kind::Namespace {
                    freed(&seen.metadata, changed);
                }
            }
        }
        watches.set(kind.name(), state);
    }
}

/// A namespace that is gone may have been waited for by an Instance of the same name elsewhere in the hub.
fn freed(metadata: &ObjectMeta, changed: &UnboundedSender<InstanceRef>) {
    if let Some(name) = metadata.name.as_deref().and_then(|name| name.strip_prefix(names::WORKLOAD_NAMESPACE_PREFIX)) {
        let _ = changed.send(InstanceRef::new("", name));
    }
}
