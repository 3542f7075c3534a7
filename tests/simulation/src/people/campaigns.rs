//! What people do about campaigns: they make, edit, pause, approve, retry, abort and delete them, and change the fleet that
//! those see.

use super::MANAGER;
use crate::{
    api::Ref,
    catalogue::{self, APPLICATION, HUB, LADDER},
    operator::typed,
    prometheus::EXPRESSION,
    world::{Timer, World},
};
use gotocloud_api::{
    Campaign, Instance,
    campaign::{Approval, CampaignPhase, CampaignState},
    names,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The cohorts that Instances and Establishments are of.
pub const COHORTS: [&str; 3] = ["a", "b", "c"];
/// How many campaigns go on at once.
const AT_ONCE: usize = 3;

fn name_of(campaign: &Campaign) -> String {
    campaign.metadata.name.clone().unwrap_or_default()
}

fn at(campaign: &Campaign) -> Ref {
    Ref::new("Campaign", "", &name_of(campaign))
}

fn phase(campaign: &Campaign) -> CampaignPhase {
    campaign.status.as_ref().map_or(CampaignPhase::Draft, |status| status.phase)
}

fn is_over(campaign: &Campaign) -> bool {
    matches!(phase(campaign), CampaignPhase::Completed | CampaignPhase::Aborted)
}

impl World {
    fn all_campaigns(&self) -> Vec<Campaign> {
        self.server.list("Campaign").filter_map(|(_, stored)| typed(&stored.object)).collect()
    }

    /// Somebody does something about campaigns.
    pub(crate) fn somebody_directs(&mut self) {
        let pause = self.between_seconds(600, 20 * 3600);
        self.after(pause, Timer::Campaigns);

        let going: Vec<Campaign> = self.all_campaigns().into_iter().filter(|one| !is_over(one)).collect();
        if going.len() < AT_ONCE && self.one_in(3) {
            return self.make_a_campaign();
        }
        match self.any(&[0, 0, 0, 1]) {
            Some(0) => {
                if let Some(campaign) = self.any(&going) {
                    self.edit_a_campaign(&campaign);
                }
            }
            _ => self.change_the_fleet(),
        }
    }

    fn make_a_campaign(&mut self) {
        self.people.campaigns += 1;
        let name = format!("c{}", self.people.campaigns);
        let mut spec = json!({
            "application": APPLICATION, "namespace": HUB,
            "state": self.any(&["Running", "Running", "Draft"]),
            "onFailure": self.any(&["Rollback", "Continue", "Pause"]),
            "lateJoiners": self.any(&["Include", "Exclude"]),
            "weight": self.any(&["Targets", "Establishments"]),
            "maxDeferralDays": self.any(&[0, 2]),
            "windows": self.windows(),
        });
        match self.any(&[0, 0, 0, 0, 1, 2]) {
            Some(0) => spec["upgrade"] = json!({"release": self.release_to_go_to()}),
            Some(1) => spec["promote"] = json!({"stage": self.any(&["PartialProduction", "FullProduction"])}),
            _ => {
                let release = catalogue::name_of(LADDER[self.any(&[0, 1, 4, 5]).unwrap_or(0)].version);
                spec["provision"] = json!({ "release": release });
            }
        }
        for limit in ["maxConcurrentPerPlatform", "maxConcurrentPerDatabaseServer"] {
            if self.one_in(3) {
                spec[limit] = 1.into();
            }
        }
        if self.one_in(4) {
            spec["progressDeadline"] = "10m".into();
        }
        if self.one_in(4) {
            let hours = self.any(&[-12, 2, 48, 24 * 20]).unwrap_or(48);
            spec["finishBy"] = json!(self.now() + SignedDuration::from_hours(hours));
        }
        let count = self.any(&[1, 2, 3]).unwrap_or(1);
        let is_provision = !spec["provision"].is_null();
        let waves: Vec<Value> =
            (0..count).map(|place| self.wave(&format!("w{place}"), place + 1 == count, is_provision)).collect();
        spec["waves"] = if self.settings.habits.overlap { json!(waves) } else { apart(waves) };

        let object = json!({"metadata": {"name": name}, "spec": spec});
        self.say(|| format!("person: makes the campaign {name}: {spec}"));
        catalogue::put(self, "Campaign", "", &object);
    }

    /// A release that is the next for somebody; now and then one that cannot be run.
    fn release_to_go_to(&mut self) -> String {
        let instances = self.instances();
        let some = self.any(&instances).and_then(|at| self.read(&at));
        let runs = some.as_ref().and_then(gotocloud_planner::upgrade::active).and_then(catalogue::place).unwrap_or(0);
        let last = if self.settings.habits.bad_releases { LADDER.len() } else { 5 };
        let to = (runs + self.any(&[1, 1, 2]).unwrap_or(1)).min(last - 1);
        catalogue::name_of(LADDER[to].version)
    }

    fn windows(&mut self) -> Value {
        match self.any(&[0, 0, 0, 1, 2, 3]) {
            Some(1) => json!([{"from": "18:00", "to": "23:00"}]),
            Some(2) => json!([{"from": "20:30", "to": "06:00"}]),
            Some(3) => json!([
                {"days": ["Monday", "Wednesday", "Friday"], "from": "08:00", "to": "12:00"},
                {"days": ["Tuesday", "Saturday"], "from": "14:00", "to": "14:30"},
            ]),
            _ => json!([]),
        }
    }

    fn wave(&mut self, name: &str, is_last: bool, is_provision: bool) -> Value {
        let cohort = self.any(&COHORTS).unwrap_or("a");
        let targets = match self.any(&[0, 1, 2]) {
            _ if is_last && is_provision => json!({"selector": {"matchLabels": {"new": "yes"}}}),
            _ if is_last => json!({"selector": {}}),
            _ if is_provision => json!({"names": [self.new_establishment()]}),
            Some(0) => json!({"cohort": cohort}),
            Some(1) => json!({"selector": {"matchLabels": {names::LABEL_COHORT: cohort}}}),
            _ => {
                let names: Vec<Ref> = self.instances();
                json!({"names": [self.any(&names).map(|at| at.name.to_string()).unwrap_or_default()]})
            }
        };
        let mut wave = json!({
            "name": name, "targets": targets,
            "maxConcurrent": self.any(&[json!(1), json!(2), json!("50%")]),
            "maxFailures": self.any(&[json!(0), json!(1), json!("50%")]),
            "mayBeEmpty": self.one_in(2),
        });
        if self.one_in(2) {
            wave["soak"] = json!(self.any(&["10m", "3h"]));
        }
        if self.settings.habits.gates && self.one_in(2) {
            wave["gates"] = self.gates();
        }
        if self.one_in(4) {
            wave["approval"] = "Manual".into();
        }
        if self.one_in(6) {
            let wait = self.between_seconds(600, 86_400);
            wave["notBefore"] = whole_seconds(self.now() + wait).into();
        }
        wave
    }

    fn gates(&mut self) -> Value {
        let asks = json!({"name": "up", "promql": EXPRESSION, "during": self.any(&["0s", "2m", "20m"])});
        let checks = json!({"name": "pods", "healthCheck": "WorkloadReady", "during": "1m"});
        match self.any(&[0, 0, 1, 2]) {
            Some(0) => json!([asks]),
            Some(1) => json!([checks, asks]),
            _ => json!([checks]),
        }
    }

    fn new_establishment(&mut self) -> String {
        format!("e{}", self.settings.fleet + u32::from(self.one_in(2)))
    }

    fn edit_a_campaign(&mut self, campaign: &Campaign) {
        let at = at(campaign);
        let spec = &campaign.spec;
        let mut waves = json!(spec.waves);
        let place = self.between_seconds(0, i64::try_from(spec.waves.len()).unwrap_or(1)).as_secs();
        let place = usize::try_from(place).unwrap_or(0).min(spec.waves.len() - 1);
        let name = spec.waves[place].name.clone();
        let target = self.a_target(campaign);
        let change = match self.any(&[0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12]) {
            Some(0) => json!({"state": if spec.state == CampaignState::Running { "Paused" } else { "Running" }}),
            Some(1) => json!({"skip": [target]}),
            Some(2) => json!({"retry": {&target: spec.retry.get(&target).copied().unwrap_or(0) + 1}}),
            Some(3) => json!({"retryFailed": spec.retry_failed + 1}),
            Some(4) => json!({"state": "Aborted"}),
            Some(5) => return self.delete(&at),
            Some(6) if spec.roll_back.is_empty() => json!({"rollBack": [name], "state": "Running"}),
            Some(6) => json!({"rollBack": [], "retryFailed": spec.retry_failed + 1}),
            Some(7) => {
                self.people.waves += 1;
                let wave = self.wave(&format!("n{}", self.people.waves), false, spec.provision.is_some());
                let mut all = waves.as_array().cloned().unwrap_or_default();
                all.insert(place, wave);
                json!({"waves": if self.settings.habits.overlap { json!(all) } else { apart(all) }})
            }
            Some(8) => {
                self.people.waves += 1;
                waves[place]["name"] = format!("r{}", self.people.waves).into();
                json!({ "waves": waves })
            }
            Some(9) if spec.waves.len() > 1 => {
                waves.as_array_mut().map(|all| all.remove(place));
                json!({ "waves": waves })
            }
            Some(10) => {
                waves[place]["maxConcurrent"] = json!(self.any(&[1, 3]));
                json!({"waves": waves, "maxConcurrentPerPlatform": self.any(&[Some(1), Some(2), None])})
            }
            Some(11) => json!({"windows": self.windows()}),
            _ => return self.approve(campaign, &name),
        };
        self.edit(&at, &json!({ "spec": change }));
    }

    fn a_target(&mut self, campaign: &Campaign) -> String {
        if campaign.spec.provision.is_some() {
            return self.new_establishment();
        }
        let instances = self.instances();
        self.any(&instances).map(|at| at.name.to_string()).unwrap_or_default()
    }

    fn approve(&mut self, campaign: &Campaign, wave: &str) {
        self.people.approvals += 1;
        let name = format!("word-{}", self.people.approvals);
        let spec = json!({
            "campaign": name_of(campaign), "campaignUid": campaign.metadata.uid, "wave": wave, "by": MANAGER,
        });
        self.say(|| format!("person: approves wave {wave} of {}", name_of(campaign)));
        catalogue::put(self, "Approval", "", &json!({"metadata": {"name": name}, "spec": spec}));
    }

    /// Labels, windows, time zones, freezes and deferrals change.
    fn change_the_fleet(&mut self) {
        let number = self.between_seconds(0, i64::from(self.settings.fleet) + 1).as_secs();
        let establishment = Ref::new("Establishment", "", &format!("e{number}"));
        match self.any(&[0, 1, 2, 3, 4, 5]) {
            Some(5) => self.change_a_grouping(),
            Some(0) => {
                let labels = json!({"metadata": {"labels": {names::LABEL_COHORT: self.any(&COHORTS)}}});
                let instances = self.instances();
                let at = self.any(&instances).filter(|_| self.one_in(2)).unwrap_or(establishment);
                self.edit(&at, &labels);
            }
            Some(1) => {
                let windows = self.windows();
                self.edit(&establishment, &json!({"spec": {"windows": windows}}));
            }
            Some(2) => {
                self.edit(&establishment, &json!({"spec": {"timeZone": "Europe/Pariis"}}));
                let later = self.between_seconds(600, 100_000);
                let zone = self.any(&["Europe/Paris", "Pacific/Tahiti", "America/Cayenne"]);
                self.after(later, Timer::Mend(establishment, json!({"spec": {"timeZone": zone}})));
            }
            Some(3) => {
                self.people.freezes += 1;
                let day = |at: Timestamp| at.to_string()[..10].to_owned();
                let days = self.between_seconds(0, 2 * 86_400);
                let dates = json!({"from": day(self.now()), "until": day(self.now() + days)});
                let whom = if self.one_in(2) { json!([&*establishment.name]) } else { json!([]) };
                let spec = json!({"reason": "an audit", "period": {"dates": dates}, "establishments": whom});
                let name = format!("f{}", self.people.freezes);
                self.say(|| format!("person: freezes: {spec}"));
                catalogue::put(self, "ChangeFreeze", "", &json!({"metadata": {"name": name}, "spec": spec}));
            }
            _ => {
                self.people.freezes += 1;
                let going = self.all_campaigns();
                let Some(campaign) = self.any(&going) else { return };
                let wait = self.between_seconds(3600, 200_000);
                let spec = json!({
                    "establishment": &*establishment.name, "campaign": name_of(&campaign), "reason": "examinations",
                    "until": whole_seconds(self.now() + wait),
                });
                let metadata =
                    json!({"name": format!("d{}", self.people.freezes), "namespace": catalogue::OWN_NAMESPACE});
                self.say(|| format!("person: defers: {spec}"));
                catalogue::put(
                    self,
                    "Deferral",
                    catalogue::OWN_NAMESPACE,
                    &json!({"metadata": metadata, "spec": spec}),
                );
            }
        }
    }

    /// Members join the grouping that shares an instance, or leave it; at times each is to have an instance of its own.
    fn change_a_grouping(&mut self) {
        let fleet = self.settings.fleet;
        let Some(number) = (0..fleet).find(|number| catalogue::is_grouping(*number, fleet)) else { return };
        if !self.settings.habits.groupings {
            return;
        }
        let new = format!("e{fleet}");
        let [first, second] = catalogue::MEMBERS;
        let members = self.any(&[vec![first], vec![first, second], vec![first, second, &new]]).unwrap_or_default();
        let instances = self.any(&["Shared", "Shared", "Shared", "PerMember"]).unwrap_or("Shared");
        let at = Ref::new("Establishment", "", &format!("e{number}"));
        self.edit(&at, &json!({"spec": {"grouping": catalogue::grouping(instances, &members)}}));
    }

    /// Somebody looks after campaigns that wait for a person.
    pub(super) fn look_after_campaigns(&mut self) {
        self.clear_approvals();
        for campaign in self.all_campaigns() {
            let at = at(&campaign);
            let change = match phase(&campaign) {
                CampaignPhase::Draft | CampaignPhase::Paused => json!({"state": "Running"}),
                CampaignPhase::Halted => self.answer_a_halt(&campaign),
                CampaignPhase::Invalid => json!({"state": "Aborted"}),
                CampaignPhase::Completed | CampaignPhase::Aborted => {
                    if self.one_in(3) {
                        self.delete(&at);
                    }
                    continue;
                }
                CampaignPhase::Running | CampaignPhase::Aborting => {
                    self.approve_what_waits(&campaign);
                    continue;
                }
            };
            if self.one_in(2) {
                self.edit(&at, &json!({ "spec": change }));
            }
        }
    }

    /// Words that were given for campaigns that are gone are cleared away.
    fn clear_approvals(&mut self) {
        let uids: Vec<Option<String>> = self.all_campaigns().into_iter().map(|one| one.metadata.uid).collect();
        let is_left = |object: &Value| !uids.iter().any(|uid| object["spec"]["campaignUid"] == json!(uid));
        let left = self.server.list("Approval").filter(|(_, one)| is_left(&one.object));
        let left: Vec<Ref> = left.map(|(at, _)| at.clone()).collect();
        for at in &left {
            self.delete(at);
        }
    }

    fn answer_a_halt(&mut self, campaign: &Campaign) -> Value {
        let failed = campaign.status.as_ref().map(|status| status.failed.clone()).unwrap_or_default();
        match self.any(&[0, 1, 2]) {
            Some(0) => json!({"skip": failed.iter().map(|one| one.name.clone()).collect::<Vec<_>>()}),
            Some(1) => json!({"retryFailed": campaign.spec.retry_failed + 1}),
            _ => json!({"state": "Aborted"}),
        }
    }

    /// Accepts that a campaign is done late, if it waits for that.
    fn accept_a_late_end(&mut self, campaign: &Campaign) {
        let waves = campaign.status.as_ref().map_or(&[][..], |status| &status.waves);
        let waits = waves.iter().any(|wave| wave.waits_for.as_ref().is_some_and(|says| says.contains("not done by")));
        if !waits || self.is_late_end_accepted(campaign) || !self.one_in(2) {
            return;
        }
        self.people.approvals += 1;
        let name = format!("late-{}", self.people.approvals);
        let until = self.now() + SignedDuration::from_hours(24 * 365);
        let spec = json!({
            "campaign": name_of(campaign), "campaignUid": campaign.metadata.uid, "finishBy": until, "by": MANAGER,
        });
        self.say(|| format!("person: accepts that {} is done late", name_of(campaign)));
        catalogue::put(self, "Approval", "", &json!({"metadata": {"name": name}, "spec": spec}));
    }

    fn approve_what_waits(&mut self, campaign: &Campaign) {
        self.accept_a_late_end(campaign);
        let waiting: Vec<String> = campaign
            .spec
            .waves
            .iter()
            .filter(|wave| wave.approval == Approval::Manual)
            .map(|wave| wave.name.clone())
            .collect();
        let given = |wave: &String| {
            let said = |object: &Value| {
                object["spec"]["wave"] == **wave && object["spec"]["campaignUid"] == json!(campaign.metadata.uid)
            };
            self.server.list("Approval").any(|(_, one)| said(&one.object))
        };
        let next = waiting.iter().find(|wave| !given(wave)).cloned();
        if let Some(wave) = next.filter(|_| self.one_in(2)) {
            self.approve(campaign, &wave);
        }
    }

    /// An Instance that runs what its manifest says is left to campaigns: the manifest says no release any more.
    pub(super) fn leave_to_campaigns(&mut self, at: &Ref, instance: &Instance) {
        let status = instance.status.as_ref();
        let runs = status.and_then(|status| status.release.as_ref()).map(|release| &release.name);
        let is_at_rest =
            status.and_then(|status| status.upgrade.as_ref()).is_none_or(|record| record.phase.is_terminal());
        let is_pinned = self.server.get(at).is_some_and(|stored| {
            stored.owners.iter().any(|one| one.manager == MANAGER && one.fields.contains("/f:spec/f:release"))
        });
        let is_as_asked = runs.is_some() && runs == instance.spec.release.as_ref();
        if is_pinned && is_as_asked && is_at_rest && !self.one_in(4) {
            self.edit(at, &json!({"spec": {"release": null}}));
        }
    }
}

/// The waves, each without those that are in one before it.
fn apart(mut waves: Vec<Value>) -> Value {
    let (mut named, mut cohorts) = (Vec::new(), Vec::new());
    for wave in &mut waves {
        let cohort = json!({"key": names::LABEL_COHORT, "operator": "In", "values": cohorts});
        let mut exclude = json!({ "names": named });
        if !cohorts.is_empty() {
            exclude["selector"] = json!({"matchExpressions": [cohort]});
        }
        wave["exclude"] = exclude;

        let targets = &wave["targets"];
        named.extend(targets["names"].as_array().into_iter().flatten().cloned());
        let label = &targets["selector"]["matchLabels"][names::LABEL_COHORT];
        cohorts.extend([&targets["cohort"], label].into_iter().filter(|one| one.is_string()).cloned());
    }
    json!(waves)
}

/// A moment as the API writes it.
fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
