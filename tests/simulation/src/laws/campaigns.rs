//! What must hold of campaigns: by what the API server has, and by what the process that decided was shown.

use super::{Law, Laws, calendars};
use crate::{
    api::{Change, Ref, Stored},
    catalogue::HUB,
    operator::{Known, instance_of, typed},
    world::{Caller, World},
};
use gotocloud_api::{
    Campaign, Instance,
    campaign::{CampaignPhase, CampaignState},
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::campaign::{
    Objects,
    engine::{Effect, Write},
    members::Members,
    standing::{Goal, goal},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;
use std::collections::BTreeMap;

/// How long what is free to go back may take to begin.
const PATIENCE: SignedDuration = SignedDuration::from_mins(80);
/// How long what is made or promoted is surely taken for under way.
const SURELY_MADE: SignedDuration = SignedDuration::from_mins(5);

/// An Instance that is being changed.
struct InHand {
    name: String,
    /// The campaign and the wave, if one began it that goes on.
    claim: Option<(String, String)>,
    place: Place,
}

/// Where an Instance is.
#[derive(Clone, Default)]
struct Place {
    platform: Option<String>,
    server: Option<String>,
}

/// A target that begins, by what is written.
struct Beginning {
    campaign: Campaign,
    instance: String,
    rollout: Rollout,
    is_back: bool,
    place: Place,
}

fn record(instance: &Instance) -> Option<&UpgradeStatus> {
    instance.status.as_ref()?.upgrade.as_ref()
}

fn is_over(campaign: &Campaign) -> bool {
    campaign.status.as_ref().is_some_and(|status| {
        status.observed_generation == campaign.metadata.generation
            && matches!(status.phase, CampaignPhase::Completed | CampaignPhase::Aborted)
    })
}

fn is_of(campaign: &Campaign, rollout: &Rollout) -> bool {
    campaign.metadata.uid.as_ref() == Some(&rollout.uid)
}

/// Is a way being gone? Soaking is not.
fn is_moving(phase: UpgradePhase) -> bool {
    !phase.is_terminal() && phase != UpgradePhase::Soak
}

impl World {
    pub(super) fn campaigns(&self) -> Vec<Campaign> {
        self.server.list("Campaign").filter_map(|(_, stored)| typed(&stored.object)).collect()
    }

    pub(super) fn all_instances(&self) -> Vec<Instance> {
        self.server.list("Instance").filter_map(|(_, stored)| typed(&stored.object)).collect()
    }

    fn place_of(&self, instance: &Instance) -> Place {
        let status = instance.status.as_ref();
        let home = self.server.get(&Ref::new("Establishment", "", &instance.spec.establishment));
        let home = home.and_then(|stored| stored.object["spec"]["homePlatform"].as_str().map(str::to_owned));
        Place {
            platform: status.and_then(|status| status.platform.clone()).or(home),
            server: status.and_then(|status| status.database.as_ref()).map(|database| database.server.clone()),
        }
    }

    /// What campaigns that go on are changing, and, of what `shown` shows as well, what people are.
    fn in_hand(&self, shown: Option<&Known<'_>>) -> Vec<InHand> {
        let campaigns = self.campaigns();
        let mut found = Vec::new();
        for instance in self.all_instances() {
            let name = instance.metadata.name.clone().unwrap_or_default();
            let claim = instance.spec.rollout.as_ref().filter(|rollout| {
                campaigns.iter().any(|one| is_of(one, rollout) && !is_over(one))
                    && self.is_under_way(&instance, rollout)
            });
            let by_hand = |one: &Instance| {
                let goes_on = |by: &Rollout| campaigns.iter().any(|campaign| is_of(campaign, by));
                record(one).is_some_and(|record| {
                    let is_of_nobody = !record.rollout.as_ref().is_some_and(goes_on);
                    is_of_nobody && is_moving(record.phase) && record.phase != UpgradePhase::Preflight
                })
            };
            let is_shown = || shown.and_then(|known| known.instance(HUB, &name)).is_some_and(|one| by_hand(&one));
            if claim.is_some() || (by_hand(&instance) && is_shown()) {
                let claim = claim.map(|rollout| (rollout.uid.clone(), rollout.wave.clone()));
                found.push(InHand { name, claim, place: self.place_of(&instance) });
            }
        }
        found
    }

    /// Is what a claim asks for surely still under way?
    fn is_under_way(&self, instance: &Instance, rollout: &Rollout) -> bool {
        let name = instance.metadata.name.as_deref().unwrap_or_default();
        if let Some(record) = record(instance).filter(|record| record.rollout.as_ref() == Some(rollout)) {
            // What failed while it was watched goes back in addition to what is changed.
            let is_from_soak = self.laws.soaked.contains(&(name.to_owned(), record.started_at.0));
            return is_moving(record.phase) && !is_from_soak;
        }
        let asks_for_it = instance.spec.release.as_ref() == Some(&rollout.wants);
        let claimed = self.laws.claimed.get(name);
        let is_new = claimed.is_some_and(|(known, at)| known == rollout && self.now() < *at + SURELY_MADE);
        let status = instance.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let is_true = |kind: &str| conditions.iter().any(|one| one.type_ == kind && one.status == "True");
        let has_answered = status.is_some_and(|status| status.stage_rollout.as_ref() == Some(rollout));
        // What was not ready for long before has failed at once.
        let was_ready = conditions
            .iter()
            .find(|one| one.type_ == "Ready")
            .is_none_or(|one| one.last_transition_time.0 + SURELY_MADE > self.now());
        let is_at_it = is_new && !has_answered && was_ready && !is_true("Stalled") && !is_true("Ready");
        is_at_it && (asks_for_it || is_stage(rollout))
    }

    /// Judges what a process decided to do, by what it was shown and by what there is.
    pub(crate) fn judge_decision(&mut self, caller: Caller, effects: &[Effect]) {
        let writes: Vec<&Write> = effects
            .iter()
            .filter_map(|effect| if let Effect::Write(write) = effect { Some(write) } else { None })
            .collect();
        if writes.is_empty() || self.broken.is_some() {
            return;
        }
        let (now, broken) = (self.now(), {
            let known = Known::of(&self.processes[caller.place]);
            let begun: Vec<Beginning> = writes.iter().filter_map(|write| self.beginning(&known, write)).collect();
            self.wrong_with(&known, &begun)
        });
        if let Some((law, what)) = broken {
            self.breaks(law, format!("{what}, decided at {now}"));
        }
    }

    /// Does a write take a target back?
    pub(crate) fn goes_back(&self, caller: Caller, write: &Write) -> bool {
        self.beginning(&Known::of(&self.processes[caller.place]), write).is_some_and(|one| one.is_back)
    }

    fn beginning(&self, known: &Known<'_>, write: &Write) -> Option<Beginning> {
        let campaign = Campaign::clone(&*known.campaign(&write.campaign)?);
        let rollout: Rollout = typed(&write.body["spec"]["rollout"])?;
        let seen = known.instance(&write.namespace, &write.name);
        // What is said again begins nothing.
        if seen.as_ref().is_some_and(|one| one.spec.rollout.as_ref() == Some(&rollout)) {
            return None;
        }
        let is_back = matches!(goal(&campaign.spec), Some(Goal::Release(release)) if release != rollout.wants);
        let place = match &seen {
            Some(instance) => self.place_of(instance),
            None => Place::default(),
        };
        Some(Beginning { campaign, instance: write.name.clone(), rollout, is_back, place })
    }

    fn wrong_with(&self, known: &Known<'_>, begun: &[Beginning]) -> Option<(Law, String)> {
        let mut in_hand = self.in_hand(Some(known));
        for one in begun {
            let Beginning { campaign, instance, rollout, is_back, place } = one;
            let name = campaign.metadata.name.clone().unwrap_or_default();
            let what = format!("{name} begins {instance} of wave {}", rollout.wave);
            let spec = &campaign.spec;
            if spec.state != CampaignState::Running {
                return Some((Law::Held, format!("{what}, which is {:?}", spec.state)));
            }
            let stored = self.server.get(&Ref::new("Campaign", "", &name));
            let stored: Option<Campaign> = stored.and_then(|stored| typed(&stored.object));
            let Some(stored) = stored.filter(|stored| stored.metadata.uid == campaign.metadata.uid) else { continue };
            let waves = stored.status.as_ref().map_or(&[][..], |status| &status.waves);
            let started = waves.iter().find(|wave| wave.name == rollout.wave).and_then(|wave| wave.started_at.clone());
            let Some(started) = started else { return Some((Law::Order, format!("{what}, which is not recorded"))) };

            let seen = known.instance(HUB, instance);
            // A process knows of what it wrote before a watch shows it: an end that stands on the server is one.
            let goes_on = |name: &String| {
                self.campaigns().iter().any(|one| one.metadata.name.as_ref() == Some(name) && !is_over(one))
            };
            if let Some(other) = seen.as_deref().and_then(|one| held_by(known, campaign, one)).filter(goes_on) {
                return Some((Law::Holder, format!("{what}, which {other} holds")));
            }
            if !is_back && let Some(why) = calendars::closed(known, campaign, instance, started.0, self.now()) {
                return Some((Law::Windows, format!("{what}: {why}")));
            }
            in_hand.retain(|other| other.name != *instance);
            in_hand.push(InHand {
                name: instance.clone(),
                claim: Some((rollout.uid.clone(), rollout.wave.clone())),
                place: place.clone(),
            });
            if let Some(why) = over_limits(known, campaign, rollout, place, &in_hand) {
                return Some((Law::Limits, format!("{what}: {why}")));
            }
        }
        None
    }

    /// Judges what a campaign wrote into an Instance.
    pub(super) fn judge_target(&mut self, change: &Change, before: Option<&Stored>, after: &Stored) {
        let Some(new) = instance_of(after) else { return };
        let old = before.and_then(instance_of);
        let name = change.at.name.to_string();
        if let Some(before) = before {
            if !change.is_named {
                self.breaks(Law::Named, format!("{} is written by a campaign without a precondition", change.at));
            }
            let lost = |path: &str| {
                let owned = |stored: &Stored| {
                    stored.owners.iter().any(|one| one.manager == "kubectl" && one.fields.contains(path))
                };
                owned(before) && !owned(after)
            };
            if let Some(path) = ["/f:spec/f:release", "/f:spec/f:stage"].into_iter().find(|path| lost(path)) {
                self.breaks(Law::Pinned, format!("{path} of {} is taken by a campaign", change.at));
            }
        }
        let Some(rollout) = new.spec.rollout.clone() else { return };
        let was = old.as_ref().and_then(|old| old.spec.rollout.clone());
        if was.as_ref() == Some(&rollout) {
            return;
        }

        let now = self.now();
        self.laws.claimed.insert(name.clone(), (rollout.clone(), now));
        let uid = new.metadata.uid.clone().unwrap_or_default();
        let is_anothers = was.is_some_and(|was| was.uid != rollout.uid);
        let is_asked_for = old.is_none_or(|old| old.spec.release.is_some());
        let is_again = !self.laws.begun.insert((uid, rollout.clone()));
        if is_again && !is_anothers && is_asked_for {
            self.breaks(
                Law::Begun,
                format!("{name} is begun again by {} in attempt {}", rollout.campaign, rollout.attempt),
            );
        }
    }

    /// Judges what is written of a campaign's status.
    pub(super) fn judge_campaign_status(&mut self, change: &Change, before: &Stored, after: &Stored) {
        if !change.is_named {
            self.breaks(Law::Named, format!("the status of {} is written without a precondition", change.at));
        }
        let (Some(old), Some(new)) = (typed::<Campaign>(&before.object), typed::<Campaign>(&after.object)) else {
            return;
        };
        let started = |campaign: &Campaign, name: &str| {
            let waves = campaign.status.as_ref().map_or(&[][..], |status| &status.waves);
            waves.iter().find(|wave| wave.name == name).and_then(|wave| wave.started_at.clone())
        };
        let listed = new.status.as_ref().map(|status| status.waves.clone()).unwrap_or_default();
        for (place, wave) in listed.iter().enumerate() {
            let (was, is) = (started(&old, &wave.name), wave.started_at.clone());
            if was.is_some() && was != is {
                self.breaks(Law::Order, format!("the start of wave {} of {} is another", wave.name, change.at));
            }
            if was.is_some() || is.is_none() {
                continue;
            }
            self.say(|| format!("wave {} of {} begins", wave.name, change.at));
            let is_before = |other: &&gotocloud_api::campaign::WaveStatus| {
                let left = other.counts.pending + other.counts.running + other.counts.soaking;
                (other.started_at.is_none() && other.counts.targets > 0) || left > 0
            };
            if let Some(other) = listed[..place].iter().find(is_before) {
                let what = format!("wave {} of {} begins before {} is over", wave.name, change.at, other.name);
                self.breaks(Law::Order, what);
            }
            let is_first = new.spec.waves.iter().all(|one| started(&old, &one.name).is_none());
            let is_late = new.spec.finish_by.as_ref().is_some_and(|by| by.0 + PATIENCE < self.now());
            if is_first && is_late && wave.counts.pending > 0 && !self.is_late_end_accepted(&new) {
                self.breaks(Law::Late, format!("{} begins after its day", change.at));
            }
        }
    }

    /// Has a person accepted that a campaign is done late?
    pub(crate) fn is_late_end_accepted(&self, campaign: &Campaign) -> bool {
        let uid = json!(campaign.metadata.uid);
        self.server
            .list("Approval")
            .any(|(_, one)| one.object["spec"]["campaignUid"] == uid && one.object["spec"]["finishBy"].is_string())
    }

    /// Notes what an Instance's record was in before.
    pub(super) fn note_record(&mut self, at: &Ref, after: Option<&UpgradeStatus>) {
        if let Some(record) = after.filter(|record| record.phase == UpgradePhase::Soak) {
            self.laws.soaked.insert((at.name.to_string(), record.started_at.0));
        }
    }

    /// Judges what has lasted for long.
    pub(crate) fn judge_what_lasts(&mut self) {
        self.judge_back();
        let now = self.now();
        for campaign in self.campaigns() {
            let waves = campaign.status.as_ref().map_or(&[][..], |status| &status.waves);
            let is_seen =
                campaign.status.as_ref().and_then(|status| status.observed_generation) == campaign.metadata.generation;
            let late = waves.iter().filter_map(|wave| wave.waits_for.as_deref()).find(|says| is_long_past(says, now));
            if let Some(says) = late.filter(|_| is_seen && !self.is_out) {
                let what = format!("{:?} waits for what is long past: {says}", campaign.metadata.name);
                self.breaks(Law::Wedge, what);
            }
        }
    }

    /// Judges what a person asked to go back, and has not begun.
    fn judge_back(&mut self) {
        let now = self.now();
        let mut waiting: BTreeMap<(String, String), Timestamp> = BTreeMap::new();
        let in_hand = self.in_hand(None);
        let is_by_hand = |instance: &Instance| record(instance).is_some_and(|record| is_moving(record.phase));
        let is_busy = self.all_instances().iter().any(is_by_hand);
        if in_hand.is_empty() && !is_busy && !self.is_out && self.server.refused.is_none() {
            for campaign in self.campaigns() {
                for name in self.to_go_back(&campaign) {
                    let key = (campaign.metadata.uid.clone().unwrap_or_default(), name);
                    let since = self.laws.to_go_back.get(&key).copied().unwrap_or(now);
                    waiting.insert(key, since);
                }
            }
        }
        let late = waiting.iter().find(|(_, since)| **since + PATIENCE < now);
        if let Some(((_, name), since)) = late {
            let what = format!("{name} is to go back, and nothing holds it since {since}");
            self.breaks(Law::Back, what);
        }
        self.laws.to_go_back = waiting;
    }

    /// The Instances that a campaign brought to its release and that a person wants back.
    fn to_go_back(&self, campaign: &Campaign) -> Vec<String> {
        let spec = &campaign.spec;
        let (Some(Goal::Release(release)), Ok(members)) = (goal(spec), Members::new(spec)) else { return Vec::new() };
        if spec.state != CampaignState::Running || is_over(campaign) {
            return Vec::new();
        }
        let started = |name: &str| {
            let waves = campaign.status.as_ref().map_or(&[][..], |status| &status.waves);
            waves.iter().any(|wave| wave.name == name && wave.started_at.is_some())
        };
        let is_to_go_back = |instance: &&Instance| {
            let name = instance.metadata.name.as_deref().unwrap_or_default();
            let wave = members.wave_of(name, instance.metadata.labels.as_ref()).map(|at| &spec.waves[at].name);
            let Some(rollout) = instance.spec.rollout.as_ref().filter(|rollout| is_of(campaign, rollout)) else {
                return false;
            };
            let is_done = record(instance).is_some_and(|record| {
                record.rollout.as_ref() == Some(rollout)
                    && record.phase == UpgradePhase::Done
                    && record.to == release
                    && record.from != release
            });
            instance.metadata.deletion_timestamp.is_none()
                && instance.spec.release.as_ref() == Some(&release)
                && wave.is_some_and(|wave| spec.roll_back.contains(wave) && started(wave))
                && is_done
        };
        let all = self.all_instances();
        all.iter().filter(is_to_go_back).filter_map(|one| one.metadata.name.clone()).collect()
    }
}

/// Does a sentence end with a moment that is long past?
fn is_long_past(says: &str, now: Timestamp) -> bool {
    let until = says.rsplit(' ').next().and_then(|word| word.parse::<Timestamp>().ok());
    until.is_some_and(|until| until + PATIENCE < now)
}

/// Does a claim ask for a stage?
fn is_stage(rollout: &Rollout) -> bool {
    matches!(rollout.wants.as_str(), "Provisioned" | "PartialProduction" | "FullProduction")
}

/// The other campaign that holds an Instance, by what a process was shown.
fn held_by(known: &Known<'_>, campaign: &Campaign, instance: &Instance) -> Option<String> {
    let rollout = instance.spec.rollout.as_ref().filter(|rollout| !is_of(campaign, rollout))?;
    let goes_on = known.campaigns().iter().any(|one| is_of(one, rollout) && !is_over(one));
    let is_asked_for =
        instance.spec.release.as_ref() == Some(&rollout.wants) || instance.spec.stage.to_string() == rollout.wants;
    let has_answered = instance.status.as_ref().is_some_and(|status| status.stage_rollout.as_ref() == Some(rollout));
    let has_ended =
        record(instance).is_some_and(|record| record.rollout.as_ref() == Some(rollout) && record.phase.is_terminal());
    (goes_on && is_asked_for && !has_answered && !has_ended).then(|| rollout.campaign.clone())
}

/// Which limit of a campaign is exceeded, with what is in hand; `None` if none is.
fn over_limits(
    known: &Known<'_>,
    campaign: &Campaign,
    rollout: &Rollout,
    place: &Place,
    in_hand: &[InHand],
) -> Option<String> {
    let spec = &campaign.spec;
    let members = Members::new(spec).ok()?;
    let wave_of = |name: &str| {
        let labels = known.instance(HUB, name).and_then(|one| one.metadata.labels.clone());
        members.wave_of(name, labels.as_ref()).map(|at| spec.waves[at].name.as_str())
    };
    let wave = spec.waves.iter().find(|wave| wave.name == rollout.wave)?;
    let is_of_wave = |one: &&InHand| {
        one.claim.as_ref().is_some_and(|(uid, wave)| *uid == rollout.uid && *wave == rollout.wave)
            && (wave_of(&one.name) == Some(&rollout.wave) || spec.provision.is_some())
    };
    let count = in_hand.iter().filter(is_of_wave).count();
    let most = match &wave.max_concurrent {
        IntOrString::Int(most) => usize::try_from(*most).unwrap_or(0),
        IntOrString::String(share) => {
            let percent: usize = share.trim_end_matches('%').parse().unwrap_or(100);
            (known.instances().len() * percent).div_ceil(100).max(1)
        }
    };
    let names = || in_hand.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    if count > most {
        return Some(format!("{count} of the wave at once, and {most} may; under way are {}", names()));
    }

    let at_same = |is_same: &dyn Fn(&Place) -> bool| in_hand.iter().filter(|one| is_same(&one.place)).count();
    let on_platform = at_same(&|other| other.platform.is_some() && other.platform == place.platform);
    let on_server = at_same(&|other| other.server.is_some() && other.server == place.server);
    let is_over = |count: usize, most: Option<u32>| most.is_some_and(|most| count > most as usize);
    if is_over(on_platform, spec.max_concurrent_per_platform) {
        return Some(format!("{on_platform} at once on {:?}; under way are {}", place.platform, names()));
    }
    is_over(on_server, spec.max_concurrent_per_database_server)
        .then(|| format!("{on_server} at once on {:?}; under way are {}", place.server, names()))
}

impl Laws {
    /// Notes that a process looked at all campaigns.
    pub(crate) fn note_look(&mut self, now: Timestamp) {
        let day = now.as_second() / 86_400;
        if self.looks.0 != day {
            self.looks = (day, 0);
        }
        self.looks.1 += 1;
    }
}
