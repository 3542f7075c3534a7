//! How is what was decided about targets written? Never by force, and only over what was seen.

use super::{News, Runner};
use crate::{apply::explained, catalogue::reference, children::InstanceRef};
use futures::{FutureExt as _, StreamExt as _, stream};
use gotocloud_api::{Campaign, Instance};
use gotocloud_planner::campaign::{Admission, FIELD_MANAGER, Moves, Objects as _, bodies, ownership};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use std::sync::Arc;

/// Writes at once.
const CONCURRENCY: usize = 16;

impl Runner {
    /// Writes what was decided about targets.
    pub(super) async fn carry_out(&mut self, campaign: &Arc<Campaign>, moves: &Moves) {
        let begin = moves.begin.iter().cloned().map(Write::Begin);
        let rehearse = moves.rehearse.iter().cloned().map(Write::Rehearse);
        let writes = begin.chain(moves.withdraw.iter().cloned().map(Write::Withdraw)).chain(rehearse);
        let writes: Vec<_> = writes.map(|write| self.write(campaign, write).boxed()).collect();
        let written: Vec<Option<Arc<Instance>>> = stream::iter(writes).buffer_unordered(CONCURRENCY).collect().await;
        let mut news = News::default();
        for instance in written.into_iter().flatten() {
            let who = reference(&instance);
            self.known.context.written(&who, instance);
            news.instances.insert(who);
        }
        self.update(campaign, &news);
    }

    async fn write(&self, campaign: &Campaign, write: Write) -> Option<Arc<Instance>> {
        let spec = &campaign.spec;
        let target = match &write {
            Write::Begin(admission) => &*admission.name,
            Write::Withdraw(name) | Write::Rehearse(name) => &**name,
        };
        let who = InstanceRef::new(&spec.namespace, &bodies::instance_of(&campaign.spec, target));
        let watched = self.known.instance(&who.namespace, &who.name);
        let body = match (&write, &watched) {
            (Write::Begin(admission), Some(instance)) => bodies::begun(campaign, admission, instance)?,
            (Write::Begin(admission), None) => {
                let establishment = self.known.establishment(&admission.name)?;
                bodies::made(campaign, admission, &establishment)?
            }
            (Write::Withdraw(_), Some(instance)) => bodies::withdrawn(instance)?,
            (Write::Rehearse(_), Some(instance)) => bodies::to_rehearse(campaign, instance)?,
            (Write::Withdraw(_) | Write::Rehearse(_), None) => return None,
        };
        self.known.context.executor.cluster.metrics.writes.with_label_values(&["patch", "Instance"]).inc();
        let api: Api<Instance> = Api::namespaced(self.client.clone(), &spec.namespace);
        // Never by force: what somebody else set is theirs.
        match api.patch(&who.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(&body)).await {
            Ok(mut written) => {
                ownership::keep_what_decides(written.managed_fields_mut());
                Some(Arc::new(written))
            }
            // It changed since it was seen, or somebody owns the field: the watch shows which.
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => None,
            Err(error) => {
                tracing::warn!(campaign = campaign.name_any(), target = %who, error = explained(&error), "a target was not written; it is tried again");
                None
            }
        }
    }
}

/// One write to a target.
enum Write {
    Begin(Admission),
    Withdraw(Arc<str>),
    Rehearse(Arc<str>),
}
