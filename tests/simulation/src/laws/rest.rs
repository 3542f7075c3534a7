//! What must hold when nobody has done anything for a while.

use super::Law;
use crate::{
    api::Ref,
    catalogue::{self, LADDER},
    controllers::PodState,
    world::World,
};
use gotocloud_api::{
    Campaign, CampaignStatus, Instance,
    campaign::{CampaignPhase, CampaignState},
    names,
    upgrade::UpgradePhase,
};
use gotocloud_planner::ObjectKey;
use jiff::Timestamp;

/// How often campaigns may be looked at on a day on which nothing happens.
const LOOKS_A_DAY: u32 = 500;

impl World {
    /// Judges the world when nobody has done anything for a while. `since` is when the last thing should have been done.
    pub(crate) fn judge_rest(&mut self, since: Timestamp) {
        if let Some(written) = self.laws.written.filter(|written| *written > since) {
            let what = format!("{} was written at {written}, though nothing happened since {since}", self.laws.wrote);
            self.breaks(Law::Silent, what);
        }
        let (_, looks) = self.laws.looks;
        if looks > LOOKS_A_DAY {
            self.breaks(Law::Silent, format!("campaigns were looked at {looks} times on the last day"));
        }
        for instance in self.all_instances() {
            self.judge_rest_of(&instance);
        }
        for campaign in self.campaigns() {
            self.judge_rest_of_campaign(&campaign);
        }
    }

    fn judge_rest_of(&mut self, instance: &Instance) {
        let name = instance.metadata.name.clone().unwrap_or_default();
        let namespace = names::workload_namespace(&name);
        if instance.metadata.deletion_timestamp.is_some() {
            return self.breaks(Law::Gone, format!("{name} is still being deleted"));
        }
        let status = instance.status.clone().unwrap_or_default();
        let condition = |kind: &str| status.conditions.iter().find(|one| one.type_ == kind);
        let is = |kind: &str| condition(kind).is_some_and(|one| one.status == "True");
        let says = condition("Ready").map(|one| one.message.clone()).unwrap_or_default();

        if let Some(record) = status.upgrade.as_ref().filter(|record| !record.phase.is_terminal()) {
            // A backup that a person has to attest, and what is held, is said in the record.
            let waits = matches!(record.phase, UpgradePhase::Backup | UpgradePhase::Preflight);
            if !waits || record.message.is_empty() {
                let what = format!("{name} is in {} since {}: {}", record.phase, record.since.0, record.message);
                return self.breaks(Law::Exit, what);
            }
        }
        if !is("Ready") && (says.is_empty() || !(is("Stalled") || is("Reconciling"))) {
            return self.breaks(Law::Said, format!("{name} is not ready, and says {says:?}"));
        }
        let asked = instance.spec.release.as_deref();
        let runs = status.release.as_ref().map(|release| release.name.as_str());
        let answered = status.upgrade.as_ref().is_some_and(|record| Some(record.to.as_str()) == asked);
        if is("Ready") && asked.is_some() && asked != runs && !answered {
            return self
                .breaks(Law::Said, format!("{name} runs {runs:?}, is asked for {asked:?}, and says nothing of it"));
        }

        let place = runs.and_then(catalogue::place);
        if is("Ready") {
            let entries = status.inventory.as_ref().map_or(&[][..], |inventory| &inventory.entries[..]);
            let missing = entries.iter().filter_map(ObjectKey::from_entry).find(|key| {
                let stored = self.server.get(&Ref::new(key.kind.name(), &key.namespace, &key.name));
                stored.is_none_or(|one| one.label(names::LABEL_MANAGED_BY) != Some(names::FIELD_MANAGER))
            });
            if let Some(key) = missing {
                let what = format!("{name} is said to be ready, and {key} is not there, or somebody else's");
                return self.breaks(Law::True, what);
            }
            let ready = self.nodes.within(&namespace).filter(|pod| pod.state == PodState::Ready).count();
            if ready == 0 {
                return self.breaks(Law::True, format!("{name} is said to be ready, and has no pod that is"));
            }
            let other = self.nodes.within(&namespace).find(|pod| Some(pod.runs) != place).map(|pod| pod.of.clone());
            if let Some(of) = other {
                return self.breaks(
                    Law::Left,
                    format!("a pod of {of} is of another release than {runs:?}, which {name} runs"),
                );
            }
        }
        let unfinished = self.server.within(&namespace).find(|(at, stored)| {
            matches!(at.kind, "Deployment" | "Job")
                && stored.label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER)
                && is("Ready")
                && is_of_no_release(at, place)
        });
        if let Some((at, _)) = unfinished {
            let what = format!("{at} is left, which {runs:?} does not ask for");
            self.breaks(Law::Left, what);
        }
    }

    fn judge_rest_of_campaign(&mut self, campaign: &Campaign) {
        let name = campaign.metadata.name.clone().unwrap_or_default();
        if let Err(why) = self.is_at_rest(campaign) {
            self.breaks(Law::Wedge, format!("{name}: {why}"));
        }
    }

    /// Has a campaign ended, or does it wait for what it says?
    fn is_at_rest(&self, campaign: &Campaign) -> Result<(), String> {
        let status = campaign.status.clone().unwrap_or_default();
        if status.observed_generation != campaign.metadata.generation {
            return Err(format!("it was last looked at in generation {:?}", status.observed_generation));
        }
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
        let message = ready.map(|one| one.message.clone()).unwrap_or_default();
        let is_as_asked = match (status.phase, campaign.spec.state) {
            (CampaignPhase::Completed, CampaignState::Running) => return self.is_complete(campaign),
            (CampaignPhase::Aborted, CampaignState::Aborted) => return Ok(()),
            // The campaign itself asks for a person.
            (CampaignPhase::Halted, CampaignState::Running)
            | (CampaignPhase::Paused, CampaignState::Paused)
            | (CampaignPhase::Draft, CampaignState::Draft) => !message.is_empty(),
            (CampaignPhase::Invalid, CampaignState::Running | CampaignState::Draft) => !status.findings.is_empty(),
            (CampaignPhase::Running, CampaignState::Running) => return self.waits(&status, &message),
            _ => false,
        };
        if is_as_asked { Ok(()) } else { Err(format!("it is {:?}, and says {message:?}", status.phase)) }
    }

    /// Is everybody of a campaign that is complete where it should be, or left out?
    fn is_complete(&self, campaign: &Campaign) -> Result<(), String> {
        let uid = campaign.metadata.uid.as_ref();
        let is_under_way = |one: &Instance| {
            let record = one.status.as_ref().and_then(|status| status.upgrade.as_ref());
            let of_it = record.filter(|record| record.rollout.as_ref().map(|by| &by.uid) == uid);
            of_it.is_some_and(|record| !record.phase.is_terminal())
        };
        match self.all_instances().iter().find(|one| is_under_way(one)) {
            Some(one) => Err(format!("it is complete, and {:?} is on its way by it", one.metadata.name)),
            None => Ok(()),
        }
    }

    /// Does a campaign that goes on say what it waits for, and is that so?
    fn waits(&self, status: &CampaignStatus, message: &str) -> Result<(), String> {
        if status.running.is_empty() && !status.waves.iter().any(|wave| wave.waits_for.is_some()) {
            return Err(format!("it goes on, and waits for nothing: {message:?}"));
        }
        for target in &status.running {
            let instance = self.all_instances().into_iter().find(|one| {
                let name = one.metadata.name.as_deref().unwrap_or_default();
                name == target.name || name.strip_prefix("app-") == Some(&target.name)
            });
            let record = instance.and_then(|one| one.status?.upgrade);
            let is_asking = record.is_some_and(|record| {
                matches!(record.phase, UpgradePhase::Preflight | UpgradePhase::Backup) && !record.message.is_empty()
            });
            if !is_asking {
                return Err(format!("{} is under way since ever: {} {:?}", target.name, target.phase, target.message));
            }
        }
        for wave in &status.waves {
            let says = wave.waits_for.clone().unwrap_or_default();
            let Some(holder) = between(&says, "the campaign ", " holds it") else { continue };
            let holds = self.campaigns().into_iter().find(|one| one.metadata.name.as_deref() == Some(holder));
            let phase = holds.and_then(|one| one.status).map(|status| status.phase);
            if matches!(phase, None | Some(CampaignPhase::Completed | CampaignPhase::Aborted)) {
                return Err(format!("wave {} waits for {holder}, which is {phase:?}: {says}", wave.name));
            }
        }
        Ok(())
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

fn is_of_no_release(at: &Ref, place: Option<usize>) -> bool {
    let Some(place) = place else { return false };
    at.kind == "Job" || !["web", LADDER[place].second].contains(&&*at.name)
}
