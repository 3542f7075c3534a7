//! How are campaigns carried on? Their targets are folded into boards, a decision is made whenever one of them moves or
//! time has come, and what was decided is written: first the campaign's own status where a wave begins, then the targets.

mod forecast;
mod objects;
mod targets;

use self::forecast::{Forecast, Simulated};
use crate::{
    apply::explained,
    catalogue::{Catalogue, Change, reference},
    children::InstanceRef,
    reconcile::Context,
};
use gotocloud_api::{
    Application, Campaign, CampaignStatus, ChangeFreezeSpec, Deferral, Establishment, Instance, Release,
    campaign::{Decision, DecisionVerb},
    names,
    upgrade::Rollout,
};
use gotocloud_planner::{
    campaign::{
        Moves, Objects, Places, View, bodies,
        claims::{Claims, is_over},
        report::{self, Detail, Facts, Untold},
        standing,
    },
    inputs,
    path::Graph,
};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet};

/// How long changes are gathered before they are acted on.
const GATHER: Duration = Duration::from_millis(50);
/// How often a campaign's counts are told while nothing of more weight happens.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often campaigns are looked at though nothing seems to happen: a clock may be moved.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// What carries campaigns on.
pub struct Runner {
    client: Client,
    known: Known,
    live: HashMap<String, Live>,
    /// What is being changed by hand: on which platform, and with its data on which server.
    by_hand: HashMap<InstanceRef, (Option<String>, Option<String>)>,
    simulations: JoinSet<Simulated>,
}

/// The objects that campaigns are seen against.
struct Known {
    catalogue: Arc<Catalogue>,
    context: Arc<Context>,
}

/// What is known of a campaign that goes on.
struct Live {
    uid: String,
    generation: Option<i64>,
    view: View,
    /// What it did and has not told yet.
    untold: Untold,
    /// Its status as last written, until the watch shows it.
    status: Option<CampaignStatus>,
    told: Option<Instant>,
    /// Does its status say less than is known?
    is_untold: bool,
    look_again: Option<Timestamp>,
    forecast: Forecast,
}

/// What happened since the last look.
#[derive(Default)]
struct News {
    instances: BTreeSet<InstanceRef>,
    everything: bool,
}

impl News {
    fn note(&mut self, change: Change, catalogue: &Catalogue) {
        match change {
            Change::Instance(instance) => drop(self.instances.insert(instance)),
            Change::Application(_)
            | Change::Release(_)
            | Change::Establishment(_)
            | Change::Campaign(_)
            | Change::Calendar => self.everything = true,
            Change::Neighbours(establishment) => {
                self.instances.extend(catalogue.of_establishment(&establishment).iter().map(|one| reference(one)));
            }
            Change::Place(_) | Change::Platform(_) => {}
        }
    }
}

impl Runner {
    /// What carries on the campaigns of a catalogue.
    pub fn new(client: Client, catalogue: Arc<Catalogue>, context: Arc<Context>) -> Self {
        Self {
            client,
            known: Known { catalogue, context },
            live: HashMap::new(),
            by_hand: HashMap::new(),
            simulations: JoinSet::new(),
        }
    }

    /// Carries them on until `changes` has no more senders.
    pub async fn run(mut self, mut changes: UnboundedReceiver<Change>) {
        let mut news = News { everything: true, ..News::default() };
        loop {
            self.look(std::mem::take(&mut news)).await;
            let patience = self.patience();
            tokio::select! {
                change = changes.recv() => match change {
                    None => return,
                    Some(change) => news.note(change, &self.known.catalogue),
                },
                Some(simulated) = self.simulations.join_next() => self.take_in(simulated),
                () = tokio::time::sleep(patience) => {}
            }
            let until = tokio::time::Instant::now() + GATHER;
            while let Ok(change) = tokio::time::timeout_at(until, changes.recv()).await {
                match change {
                    Some(change) => news.note(change, &self.known.catalogue),
                    None => return,
                }
            }
        }
    }

    /// How long to wait for news.
    fn patience(&self) -> Duration {
        let now = self.known.context.clock.now();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
        let waits = self.live.values().flat_map(|live| {
            let tell = (live.is_untold || !live.view.changes.is_empty()).then_some(TELL_EVERY);
            live.look_again.map(until).into_iter().chain(tell)
        });
        waits.min().unwrap_or(LOOK_AGAIN).clamp(Duration::from_millis(20), LOOK_AGAIN)
    }

    /// Looks at every campaign that goes on, or that changed.
    async fn look(&mut self, news: News) {
        let campaigns = self.known.catalogue.campaigns.state();
        self.live.retain(|name, live| {
            campaigns.iter().any(|one| one.name_any() == *name && one.metadata.uid.as_ref() == Some(&live.uid))
        });
        self.count(&campaigns);
        self.note_what_is_changed_by_hand(&news);
        for campaign in campaigns {
            // What has ended takes nobody more, whatever becomes of its targets; an edit of its spec opens it again.
            if is_over(&campaign) {
                self.live.remove(&campaign.name_any());
                continue;
            }
            self.carry_on(&campaign, &news).await;
        }
    }

    /// Keeps up what people change where, beside campaigns.
    fn note_what_is_changed_by_hand(&mut self, news: &News) {
        let instances = if news.everything {
            self.by_hand.clear();
            self.known.instances().iter().map(|one| reference(one)).collect()
        } else {
            news.instances.clone()
        };
        let claims = Claims::of(&Objects::campaigns(&self.known));
        let goes_on = |rollout: &Rollout| claims.goes_on(rollout);
        for who in instances {
            let instance = self.known.instance(&who.namespace, &who.name);
            let Some(instance) = instance.filter(|one| standing::is_changed_by_hand(one, goes_on)) else {
                self.by_hand.remove(&who);
                continue;
            };
            let establishment = self.known.establishment(&instance.spec.establishment);
            let platform = inputs::platform_name(&instance, establishment.as_deref()).map(str::to_owned);
            let database = instance.status.as_ref().and_then(|status| status.database.as_ref());
            self.by_hand.insert(who, (platform, database.map(|database| database.server.clone())));
        }
    }

    /// Counts the targets of all campaigns, as their statuses tell.
    fn count(&self, campaigns: &[Arc<Campaign>]) {
        let metrics = &self.known.context.executor.cluster.metrics;
        metrics.campaign_targets.reset();
        metrics.campaign_phase.reset();
        for (name, status) in campaigns.iter().filter_map(|one| Some((one.name_any(), one.status.as_ref()?))) {
            metrics.campaign_phase.with_label_values(&[name.as_str(), &format!("{:?}", status.phase)]).set(1);
            for (standing, count) in status.counts.by_standing() {
                metrics.campaign_targets.with_label_values(&[name.as_str(), standing]).set(count.into());
            }
        }
    }

    async fn carry_on(&mut self, campaign: &Arc<Campaign>, news: &News) {
        let name = campaign.name_any();
        // What is wrong with it may have been mended by a change of its targets.
        let is_known = self.live.get(&name).is_some_and(|live| {
            live.view.is_valid()
                && live.generation == campaign.metadata.generation
                && Some(&live.uid) == campaign.metadata.uid.as_ref()
        });
        if is_known && !news.everything {
            self.update(campaign, news);
        } else {
            self.begin(campaign);
        }
        // A wave that begins is recorded before its targets begin: so twice at most.
        if self.step(campaign).await == Some(true) {
            // From its start on its deferrals count, and who comes too late.
            self.begin(campaign);
            self.step(campaign).await;
        }
        self.simulate(campaign);
    }

    /// Makes all that is known of a campaign anew.
    fn begin(&mut self, campaign: &Arc<Campaign>) {
        let name = campaign.name_any();
        let before = self.live.remove(&name);
        let status = before.as_ref().and_then(|before| before.status.clone());
        let (untold, told, view, mut forecast) = before.map_or_else(Default::default, |before| {
            let is_same = before.generation == campaign.metadata.generation;
            let schedule = before.forecast.schedule.filter(|_| is_same);
            (before.untold, before.told, Some(before.view), Forecast { schedule, ..before.forecast })
        });
        forecast.is_stale = true;
        let now = self.known.context.clock.now();
        let known = status.as_ref().or(campaign.status.as_ref());
        let Some(mut view) = View::new(campaign, known, &self.known, view, now) else { return };
        if forecast.schedule.is_some() {
            view.find(campaign, &self.known, forecast.schedule.as_ref(), now);
        }
        let live = Live {
            uid: campaign.metadata.uid.clone().unwrap_or_default(),
            generation: campaign.metadata.generation,
            view,
            untold,
            status,
            told,
            is_untold: false,
            look_again: None,
            forecast,
        };
        self.live.insert(name, live);
    }

    /// Puts what changed where it now stands.
    fn update(&mut self, campaign: &Arc<Campaign>, news: &News) {
        let now = self.known.context.clock.now();
        let Some(live) = self.live.get_mut(&campaign.name_any()) else { return };
        let status = live.status.as_ref().or(campaign.status.as_ref());
        for who in news.instances.iter().filter(|who| *who.namespace == *campaign.spec.namespace) {
            live.view.update(campaign, status, &self.known, &who.name, now);
        }
    }

    /// Decides and carries out once. Gives whether a wave began; none where the status could not be written.
    async fn step(&mut self, campaign: &Arc<Campaign>) -> Option<bool> {
        let now = self.known.context.clock.now();
        let name = campaign.name_any();
        let mut elsewhere = Places::default();
        self.live.iter().filter(|(other, _)| **other != name).for_each(|(_, live)| elsewhere.add(&live.view.board));
        self.by_hand.values().for_each(|(platform, server)| elsewhere.add_one(platform.as_deref(), server.as_deref()));
        let live = self.live.get_mut(&name)?;
        live.view.board.set_elsewhere(elsewhere);
        // What was written and the watch does not show yet counts.
        let stored = live.status.clone().or_else(|| campaign.status.clone());
        let moves = live.view.decide(campaign, stored.as_ref(), now);
        live.look_again = moves.look_again;
        if moves.start.is_none() {
            live.untold.note(&moves);
            self.carry_out(campaign, &moves).await;
        }
        self.tell(campaign, stored, &moves, now).await?;
        Some(moves.start.is_some())
    }

    /// Writes the campaign's status where it changed and that presses, or has not been told for a while.
    async fn tell(
        &mut self,
        campaign: &Arc<Campaign>,
        stored: Option<CampaignStatus>,
        moves: &Moves,
        now: Timestamp,
    ) -> Option<()> {
        let name = campaign.name_any();
        let live = self.live.get_mut(&name)?;
        let status = {
            let detail = |target: &str| {
                self.known
                    .context
                    .detail(&InstanceRef::new(&campaign.spec.namespace, &bodies::instance_of(&campaign.spec, target)))
            };
            let facts = Facts {
                board: &live.view.board,
                moves,
                untold: &live.untold,
                changes: &live.view.changes,
                findings: &live.view.findings,
                is_valid: live.view.is_valid(),
                schedule: live.forecast.schedule.as_ref(),
                detail: &detail,
            };
            let known = Campaign { status: stored.clone(), ..(**campaign).clone() };
            report::report(&known, &facts, now)
        };
        let presses = moves.start.is_some()
            || stored.as_ref().is_none_or(|stored| {
                stored.phase != status.phase || stored.observed_generation != status.observed_generation
            })
            || stored.as_ref().is_some_and(|stored| finished(stored) != finished(&status));
        let is_due = live.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        live.is_untold = stored.as_ref() != Some(&status);
        if !live.is_untold || !(presses || is_due) {
            return Some(());
        }
        let is_news = |one: &&Decision| stored.as_ref().is_none_or(|old| !old.decisions.contains(one));
        let news: Vec<Decision> = status.decisions.iter().filter(is_news).cloned().collect();
        for decision in &news {
            tracing::info!(campaign = name, verb = ?decision.verb, subject = decision.subject, actor = decision.actor,
                reason = decision.reason, "decided");
        }
        let manifest = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name}, "status": status});
        self.known.context.executor.cluster.metrics.writes.with_label_values(&["patch", "Campaign/status"]).inc();
        let parameters = PatchParams::apply(names::FIELD_MANAGER).force();
        match Api::<Campaign>::all(self.client.clone()).patch_status(&name, &parameters, &Patch::Apply(&manifest)).await
        {
            Ok(_) => {
                live.status = Some(status);
                live.view.changes.clear();
                live.untold = Untold::default();
                live.told = Some(Instant::now());
                live.is_untold = false;
                self.announce(campaign, &news).await;
                Some(())
            }
            Err(error) => {
                tracing::warn!(
                    campaign = name,
                    error = explained(&error),
                    "its status was not written; it is tried again"
                );
                live.look_again = now.checked_add(SignedDuration::from_secs(2)).ok();
                None
            }
        }
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

fn finished(status: &CampaignStatus) -> Vec<bool> {
    status.waves.iter().map(|wave| wave.finished_at.is_some()).collect()
}

impl Context {
    /// What is told of a target that is under way.
    fn detail(&self, who: &InstanceRef) -> Detail {
        let instance = self.catalogue.instance(who);
        let upgrade = instance.as_ref().and_then(|one| one.status.as_ref()).and_then(|status| status.upgrade.as_ref());
        match upgrade {
            Some(upgrade) => Detail { phase: upgrade.phase.to_string(), message: upgrade.message.clone() },
            None => Detail { phase: "Asked".into(), message: String::new() },
        }
    }
}
