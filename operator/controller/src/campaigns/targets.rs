//! How is what was decided about targets written? Never by force, and only over what was seen.

use super::Runner;
use crate::{apply::explained, catalogue::reference};
use futures::{FutureExt as _, StreamExt as _, stream};
use gotocloud_api::Instance;
use gotocloud_planner::campaign::{
    FIELD_MANAGER,
    engine::{Event, Outcome, Write},
    ownership,
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use std::sync::Arc;

/// Writes at once.
const CONCURRENCY: usize = 16;

impl Runner {
    /// Writes targets; gives the answers.
    pub(super) async fn write_all(&self, writes: Vec<Write>) -> Vec<Event> {
        let writes: Vec<_> = writes.into_iter().map(|write| self.write(write).boxed()).collect();
        stream::iter(writes).buffer_unordered(CONCURRENCY).collect().await
    }

    async fn write(&self, write: Write) -> Event {
        self.known.context.executor.cluster.metrics.writes.with_label_values(&["patch", "Instance"]).inc();
        let api: Api<Instance> = Api::namespaced(self.client.clone(), &write.namespace);
        // Never by force: what somebody else set is theirs.
        let answer = api.patch(&write.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(&write.body)).await;
        let outcome = match answer {
            Ok(mut written) => {
                ownership::keep_what_decides(written.managed_fields_mut());
                let written = Arc::new(written);
                self.known.context.written(&reference(&written), written);
                Outcome::Accepted
            }
            Err(error) => {
                let outcome = match &error {
                    kube::Error::Api(status) => Outcome::refused(status.code, &status.message),
                    _ => Outcome::Lost,
                };
                if outcome == Outcome::Lost {
                    let campaign = &write.campaign;
                    let target = &write.name;
                    let error = explained(&error);
                    tracing::warn!(campaign, target, error, "nobody knows whether a target was written");
                }
                outcome
            }
        };

        Event::Answered { id: write.id, outcome }
    }
}
