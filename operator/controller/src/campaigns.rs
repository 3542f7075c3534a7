//! How are campaigns carried on? What the watches show becomes events of the planner's engine; what that wants done is
//! done, and the answers are given back. It knows no rule.

mod forecast;
mod objects;
mod targets;

use self::forecast::{Forecasts, Simulated};
use crate::{
    apply::explained,
    catalogue::{Catalogue, Change, reference},
    children::InstanceRef,
    decided::Pass,
    reconcile::Context,
};
use gotocloud_api::{
    Campaign, CampaignStatus,
    campaign::{Decision, DecisionVerb},
    names,
};
use gotocloud_planner::campaign::{
    Engine,
    engine::{Effect, Event, Seen},
};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet};

/// How long changes are gathered before they are acted on: the burst of watch events of one wave.
const GATHER: Duration = Duration::from_millis(50);
/// How often a campaign's counts are told while nothing of more weight happens.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often campaigns are looked at though nothing seems to happen: a clock may be moved.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// What carries campaigns on.
pub struct Runner {
    client: Client,
    known: Known,
    engine: Engine,
    /// When counts were last let be told.
    beat: Instant,
    forecasts: Forecasts,
    simulations: JoinSet<Simulated>,
}

/// The objects that campaigns are seen against.
struct Known {
    catalogue: Arc<Catalogue>,
    context: Arc<Context>,
}

impl Runner {
    /// What carries on the campaigns of a catalogue.
    pub fn new(client: Client, catalogue: Arc<Catalogue>, context: Arc<Context>) -> Self {
        Self {
            client,
            known: Known { catalogue, context },
            engine: Engine::default(),
            beat: Instant::now(),
            forecasts: Forecasts::default(),
            simulations: JoinSet::new(),
        }
    }

    /// Carries them on until `changes` has no more senders.
    pub async fn run(mut self, mut changes: UnboundedReceiver<Change>) {
        let mut events = vec![Event::Seen(Seen::Everything)];
        loop {
            self.look(std::mem::take(&mut events)).await;

            let patience = self.patience();
            tokio::select! {
                change = changes.recv() => match change {
                    None => return,
                    Some(change) => self.note(change, &mut events),
                },
                Some(simulated) = self.simulations.join_next() => events.extend(self.forecasts.take_in(simulated)),
                () = tokio::time::sleep(patience) => {}
            }

            let until = tokio::time::Instant::now() + GATHER;
            while let Ok(change) = tokio::time::timeout_at(until, changes.recv()).await {
                match change {
                    Some(change) => self.note(change, &mut events),
                    None => return,
                }
            }
        }
    }

    /// Turns what the watches show into what happens to campaigns.
    fn note(&self, change: Change, events: &mut Vec<Event>) {
        match change {
            Change::Instance(who) => events.push(seen(&who)),
            Change::Application(name) => events.push(Event::Seen(Seen::Application(name))),
            Change::Release(name) => events.push(Event::Seen(Seen::Release(name))),
            Change::Establishment(_) => events.push(Event::Seen(Seen::Establishment)),
            Change::Campaign(name) => events.push(Event::Seen(Seen::Campaign(name))),
            Change::Calendar => events.push(Event::Seen(Seen::Calendar)),
            Change::Neighbours(establishment) => {
                let all = self.known.catalogue.of_establishment(&establishment);
                events.extend(all.iter().map(|one| seen(&reference(one))));
            }
            Change::Place(_) | Change::Platform(_) => {}
        }
    }

    /// How long to wait for news.
    fn patience(&self) -> Duration {
        let now = self.known.context.clock.now();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
        let wake = self.engine.wake().map(until);
        let beat = self.engine.wants_a_beat().then(|| TELL_EVERY.saturating_sub(self.beat.elapsed()));
        wake.into_iter().chain(beat).min().unwrap_or(LOOK_AGAIN).clamp(Duration::from_millis(20), LOOK_AGAIN)
    }

    /// Gives the engine what happened, does what it wants, and gives it the answers, until it wants nothing more.
    async fn look(&mut self, mut events: Vec<Event>) {
        let pass = self.known.context.begins_pass();
        self.count();
        if self.beat.elapsed() >= TELL_EVERY {
            self.beat = Instant::now();
            events.push(Event::Beat);
        }
        loop {
            let now = self.known.context.clock.now();
            // A look at all targets takes as long as it takes: other tasks of this thread go on meanwhile.
            let effects = tokio::task::block_in_place(|| self.engine.handle(events, &self.known, now));
            if effects.is_empty() {
                break;
            }
            events = self.carry_out(effects).await;
        }
        self.forecasts.begin(&mut self.engine, &self.known, &mut self.simulations);

        let is_due = self.engine.wake().is_some_and(|at| at <= pass.at);
        let is_at_rest = !self.engine.wants_a_beat() && !is_due;
        self.known.context.decided.campaigns(Pass { is_at_rest, ..pass });
    }

    /// Does what the engine wants; gives the answers.
    async fn carry_out(&self, effects: Vec<Effect>) -> Vec<Event> {
        let mut writes = Vec::new();
        let mut answers = Vec::new();
        for effect in effects {
            match effect {
                Effect::Write(write) => writes.push(write),
                Effect::Tell { campaign, version, status, decisions } => {
                    let version = self.tell(&campaign, version.as_deref(), &status, &decisions).await;
                    answers.push(Event::Told { campaign, version });
                }
            }
        }
        answers.extend(self.write_all(writes).await);
        answers
    }

    /// Counts the targets of all campaigns, as their statuses tell.
    fn count(&self) {
        let metrics = &self.known.context.executor.cluster.metrics;
        metrics.campaign_targets.reset();
        metrics.campaign_phase.reset();
        let campaigns = self.known.catalogue.campaigns();
        for (name, status) in campaigns.iter().filter_map(|one| Some((one.name_any(), one.status.as_ref()?))) {
            metrics.campaign_phase.with_label_values(&[name.as_str(), &format!("{:?}", status.phase)]).set(1);
            for (standing, count) in status.counts.by_standing() {
                metrics.campaign_targets.with_label_values(&[name.as_str(), standing]).set(count.into());
            }
        }
    }

    /// Writes a campaign's status over the version that it was computed from, and tells of its decisions. Gives the version
    /// that came of it.
    async fn tell(
        &self,
        name: &str,
        version: Option<&str>,
        status: &CampaignStatus,
        decisions: &[Decision],
    ) -> Option<String> {
        for decision in decisions {
            tracing::info!(campaign = name, verb = ?decision.verb, subject = decision.subject, actor = decision.actor,
                reason = decision.reason, "decided");
        }

        let metadata = json!({"name": name, "resourceVersion": version});
        let manifest = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": metadata, "status": status});
        self.known.context.executor.cluster.metrics.writes.with_label_values(&["patch", "Campaign/status"]).inc();
        let parameters = PatchParams::apply(names::FIELD_MANAGER).force();
        let api = Api::<Campaign>::all(self.client.clone());
        let written = match api.patch_status(name, &parameters, &Patch::Apply(&manifest)).await {
            Ok(written) => written,
            Err(error) => {
                let error = explained(&error);
                tracing::warn!(campaign = name, error, "its status was not written; it is tried again");
                return None;
            }
        };

        if let Some(campaign) = self.known.catalogue.campaign(name) {
            self.announce(&campaign, decisions).await;
        }
        written.metadata.resource_version
    }

    /// Tells those who watch the campaign what was decided. That a single target begins is told by its Instance.
    async fn announce(&self, campaign: &Campaign, decisions: &[Decision]) {
        let context = &self.known.context;
        for decision in decisions.iter().filter(|one| one.verb != DecisionVerb::Start || !one.subject.contains('/')) {
            let is_warning = matches!(decision.verb, DecisionVerb::Fail | DecisionVerb::RollBack);
            let note = format!("{} by {}: {}", decision.subject, decision.actor, decision.reason);
            let reason = format!("{:?}", decision.verb);
            context.publish(&campaign.object_ref(&()), "CarryOn", is_warning, reason, &note).await;
        }
    }
}

fn seen(who: &InstanceRef) -> Event {
    Event::Seen(Seen::Instance(who.namespace.to_string(), who.name.to_string()))
}
