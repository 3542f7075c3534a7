//! Where does a target stand, by its own word?

use super::{
    board::Progress,
    claims::{self, Claims},
    ownership, terms,
};
use crate::{fleet::is_ready, inputs, upgrade};
use gotocloud_api::{
    CampaignSpec, Instance, Stage,
    conditions::{Condition, ConditionType, Reason},
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};
use jiff::Timestamp;

/// Where a target of a campaign stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It has not begun, and may once it is its turn.
    Pending,
    /// It has not begun, and cannot yet; why.
    Blocked(Box<str>),
    /// It was begun and has not ended.
    Running {
        /// Has nothing been touched yet? Then it can be withdrawn.
        untouched: bool,
    },
    /// It is changed, and watched.
    Soaking,
    /// It is done: its own status says so, of this campaign, this attempt and this goal.
    Done,
    /// It is where it should be, by no doing of this campaign.
    Unneeded,
    /// It failed, was refused or went back; why.
    Failed(Box<str>),
    /// It is left out.
    Skipped,
    /// Somebody else set the field that the campaign would write; who.
    Pinned(Box<str>),
    /// It is done, and a person wants it back on this release.
    ToGoBack(Box<str>),
    /// It is on its way back.
    GoingBack,
    /// It is back, as a person wanted.
    WentBack,
}

impl Standing {
    /// Is it being changed? Then it counts against what may be changed at once.
    pub fn is_in_hand(&self) -> bool {
        match self {
            Self::Running { .. } | Self::GoingBack => true,
            Self::Pending
            | Self::Blocked(_)
            | Self::Soaking
            | Self::Done
            | Self::Unneeded
            | Self::Failed(_)
            | Self::Skipped
            | Self::Pinned(_)
            | Self::ToGoBack(_)
            | Self::WentBack => false,
        }
    }

    /// Has the campaign nothing more to do with it, as things are?
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Done | Self::Unneeded | Self::Failed(_) | Self::Skipped | Self::Pinned(_) | Self::WentBack => true,
            Self::Pending
            | Self::Blocked(_)
            | Self::Running { .. }
            | Self::Soaking
            | Self::ToGoBack(_)
            | Self::GoingBack => false,
        }
    }
}

/// What a campaign wants of each target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// That it runs this Release.
    Release(String),
    /// That it is in this stage, or beyond.
    Stage(Stage),
    /// That it is there at all.
    Existence,
}

/// What that campaign wants; none where its spec asks for nothing, which its schema refuses.
pub fn goal(spec: &CampaignSpec) -> Option<Goal> {
    match (&spec.upgrade, &spec.promote, &spec.provision) {
        (Some(upgrade), _, _) => Some(Goal::Release(upgrade.release.clone())),
        (_, Some(promote), _) => Some(Goal::Stage(promote.stage)),
        (_, _, Some(_)) => Some(Goal::Existence),
        (None, None, None) => None,
    }
}

/// Which try a target is due for, by how often it was to be tried again.
pub fn attempt(spec: &CampaignSpec, name: &str) -> u32 {
    spec.retry_failed.saturating_add(spec.retry.get(name).copied().unwrap_or(0)).saturating_add(1)
}

/// Who asks, as far as a target's standing depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The campaign's spec.
    pub spec: &'a CampaignSpec,
    /// Its uid.
    pub uid: &'a str,
    /// What it wants.
    pub goal: &'a Goal,
    /// The campaigns that go on.
    pub claims: &'a Claims,
    /// What time it is.
    pub now: Timestamp,
}

/// Where `instance` stands, called `name` by the campaign and in its wave called `wave`. `owner` is the field manager that
/// set the field the campaign would write.
pub fn of(asker: Asker<'_>, name: &str, wave: &str, instance: Option<&Instance>, owner: Option<&str>) -> Standing {
    let standing = match (asker.goal, instance) {
        (Goal::Existence, None) => Standing::Pending,
        (_, None) => Standing::Blocked("it is not there".into()),
        (Goal::Existence, Some(instance)) => made(asker, name, instance),
        (Goal::Stage(stage), Some(instance)) => promoted(asker, name, instance, *stage, owner),
        (Goal::Release(release), Some(instance)) => upgraded(asker, name, wave, instance, release, owner),
    };
    let is_skipped = asker.spec.skip.iter().any(|skipped| skipped == name);
    match standing {
        // What has begun is finished, and what is done stays done.
        Standing::Pending | Standing::Blocked(_) | Standing::Failed(_) | Standing::Pinned(_) if is_skipped => {
            Standing::Skipped
        }
        standing => standing,
    }
}

/// The instance's rollout, where it is of this campaign.
fn ours<'i>(asker: Asker<'_>, instance: &'i Instance) -> Option<&'i Rollout> {
    instance.spec.rollout.as_ref().filter(|rollout| rollout.uid == asker.uid)
}

fn record(instance: &Instance) -> Option<&UpgradeStatus> {
    instance.status.as_ref()?.upgrade.as_ref()
}

fn upgraded(
    asker: Asker<'_>,
    name: &str,
    wave: &str,
    instance: &Instance,
    goal: &str,
    owner: Option<&str>,
) -> Standing {
    let pinned_by = owner.filter(|owner| *owner != super::FIELD_MANAGER && instance.spec.release.is_some());
    if let Some(rollout) = ours(asker, instance) {
        let record = record(instance).filter(|record| record.rollout.as_ref() == Some(rollout));
        let is_to_go_back = asker.spec.roll_back.iter().any(|back| back == wave);
        let is_edited = instance.spec.release.as_ref().is_some_and(|release| *release != rollout.wants);
        return match record {
            // Somebody set it to something else since. What had begun is finished first.
            Some(record) if is_edited && !record.phase.is_terminal() => tried(record, false),
            Some(record) if record.phase == UpgradePhase::Done && record.to == goal && !is_to_go_back => Standing::Done,
            _ if is_edited => Standing::Pinned(pinned_by.unwrap_or("somebody").into()),
            // Somebody took it out again before it was answered: it is asked for anew.
            None if instance.spec.release.is_none() => Standing::Pending,
            // What is still watched of an earlier claim goes back by its own record.
            None => Standing::Running { untouched: self::record(instance).is_none_or(|one| one.phase.is_terminal()) },
            Some(record) if record.to != goal => {
                went_back(record, !is_to_go_back && rollout.attempt < attempt(asker.spec, name))
            }
            // What is watched need not be watched to the end first.
            Some(record)
                if matches!(record.phase, UpgradePhase::Done | UpgradePhase::Soak)
                    && is_to_go_back
                    && record.from != goal =>
            {
                Standing::ToGoBack(record.from.as_str().into())
            }
            // What broke off half way is settled by a person; until then another attempt is no use.
            Some(record) => tried(record, rollout.attempt < attempt(asker.spec, name) && !upgrade::is_half_way(record)),
        };
    }
    if let Some(other) = held_by(asker, instance) {
        return Standing::Blocked(format!("the campaign {other} holds it").into());
    }
    let runs_it =
        instance.status.as_ref().and_then(|status| status.release.as_ref()).is_some_and(|one| one.name == goal);
    let is_at_rest = record(instance).is_none_or(|record| record.phase.is_terminal());
    if let Some(why) = half_way(instance).filter(|_| pinned_by.is_none()) {
        return Standing::Blocked(why.into());
    }

    match pinned_by {
        _ if runs_it && is_at_rest && upgrade::active(instance) == Some(goal) => Standing::Unneeded,
        Some(by) => Standing::Pinned(by.into()),
        None if !is_at_rest => Standing::Blocked("it is on its way to another release".into()),
        None if instance.status.as_ref().and_then(|status| status.release.as_ref()).is_none() => {
            Standing::Blocked("it runs no release yet".into())
        }
        None => Standing::Pending,
    }
}

/// Where a way to the goal has led, under the present attempt, or an earlier one.
pub(crate) fn tried(record: &UpgradeStatus, is_due_again: bool) -> Standing {
    match record.phase {
        UpgradePhase::Done => Standing::Done,
        UpgradePhase::Soak => Standing::Soaking,
        UpgradePhase::Preflight | UpgradePhase::Backup => Standing::Running { untouched: true },
        UpgradePhase::Migrate | UpgradePhase::Rollout | UpgradePhase::Verify | UpgradePhase::RollingBack => {
            Standing::Running { untouched: false }
        }
        UpgradePhase::Refused | UpgradePhase::Failed | UpgradePhase::RolledBack | UpgradePhase::Withdrawn
            if is_due_again =>
        {
            Standing::Pending
        }
        UpgradePhase::Refused | UpgradePhase::Failed | UpgradePhase::RolledBack | UpgradePhase::Withdrawn => {
            Standing::Failed(record.message.as_str().into())
        }
    }
}

/// Where a way back, as a person wanted it, has led. Once that is over, and no longer wanted, another try may begin.
fn went_back(record: &UpgradeStatus, is_due_again: bool) -> Standing {
    match record.phase {
        _ if record.phase.is_terminal() && is_due_again => Standing::Pending,
        UpgradePhase::Done => Standing::WentBack,
        UpgradePhase::Soak => Standing::Soaking,
        UpgradePhase::Refused | UpgradePhase::Failed | UpgradePhase::RolledBack | UpgradePhase::Withdrawn => {
            Standing::Failed(record.message.as_str().into())
        }
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::RollingBack => Standing::GoingBack,
    }
}

/// Why nobody begins an instance whose migration broke off, as a sentence; `None` if none did.
fn half_way(instance: &Instance) -> Option<String> {
    let record = record(instance).filter(|record| upgrade::is_half_way(record))?;
    Some(format!(
        "its migration to {} broke off, and its data may be half moved: say which it is, as its status.upgrade.message has it",
        record.to
    ))
}

/// The other campaign that has begun it, goes on, and still wants what the spec says. What failed stays its own until it
/// leaves it out: of two that go on, each would take it from the other for ever.
fn held_by<'i>(asker: Asker<'_>, instance: &'i Instance) -> Option<&'i str> {
    let rollout = instance.spec.rollout.as_ref()?;
    if !asker.claims.goes_on(rollout) || !claims::is_asked_for(instance, rollout) {
        return None;
    }

    let status = instance.status.as_ref();
    let by_upgrade = record(instance).filter(|record| record.rollout.as_ref() == Some(rollout));
    let is_left_out = asker.claims.leaves_out(rollout, inputs::name_of(instance));
    let has_ended = by_upgrade.is_some_and(|record| record.phase.is_terminal() && (is_left_out || !has_failed(record)))
        || status.is_some_and(|status| status.stage_rollout.as_ref() == Some(rollout));
    (!has_ended).then_some(rollout.campaign.as_str())
}

/// Did a way fail, so that its campaign counts it and tries it again if a person says so?
fn has_failed(record: &UpgradeStatus) -> bool {
    match record.phase {
        UpgradePhase::Failed | UpgradePhase::RolledBack | UpgradePhase::Refused => true,
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::RollingBack
        | UpgradePhase::Soak
        | UpgradePhase::Done
        | UpgradePhase::Withdrawn => false,
    }
}

/// Is an Instance being changed on behalf of no campaign that goes on: by a person, or by one that is gone? What is only
/// looked at is not changed yet.
pub fn is_changed_by_hand(instance: &Instance, goes_on: impl Fn(&Rollout) -> bool) -> bool {
    record(instance).is_some_and(|record| match record.phase {
        UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::RollingBack => !record.rollout.as_ref().is_some_and(goes_on),
        UpgradePhase::Preflight
        | UpgradePhase::Soak
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => false,
    })
}

fn promoted(asker: Asker<'_>, name: &str, instance: &Instance, stage: Stage, owner: Option<&str>) -> Standing {
    let is_there = instance.status.as_ref().is_some_and(|status| status.stage >= Some(stage));
    if let Some(rollout) = ours(asker, instance) {
        let has_answered =
            instance.status.as_ref().is_some_and(|status| status.stage_rollout.as_ref() == Some(rollout));
        let editor = owner.filter(|owner| *owner != super::FIELD_MANAGER).unwrap_or("somebody");
        return match stall(instance).or_else(|| overdue(asker, instance)) {
            _ if has_answered && is_there => Standing::Done,
            // Somebody set it to something else since, and nobody answers the claim any more.
            _ if instance.spec.stage > stage => Standing::Unneeded,
            _ if instance.spec.stage < stage => Standing::Pinned(editor.into()),
            Some(_) if rollout.attempt < attempt(asker.spec, name) => Standing::Pending,
            Some(why) => Standing::Failed(why.into()),
            None => Standing::Running { untouched: false },
        };
    }
    match (held_by(asker, instance), owner) {
        (Some(other), _) => Standing::Blocked(format!("the campaign {other} holds it").into()),
        _ if instance.spec.stage >= stage => Standing::Unneeded,
        (None, Some(by)) if by != super::FIELD_MANAGER => Standing::Pinned(by.into()),
        (None, _) => match half_way(instance) {
            Some(why) => Standing::Blocked(why.into()),
            None => Standing::Pending,
        },
    }
}

fn made(asker: Asker<'_>, name: &str, instance: &Instance) -> Standing {
    match ours(asker, instance) {
        None => Standing::Unneeded,
        Some(_) if is_ready(instance) => Standing::Done,
        Some(rollout) => match stall(instance).or_else(|| overdue(asker, instance)) {
            Some(_) if rollout.attempt < attempt(asker.spec, name) => Standing::Pending,
            Some(why) => Standing::Failed(why.into()),
            None => Standing::Running { untouched: false },
        },
    }
}

/// Why an Instance cannot go on before somebody acts, by a condition that speaks of its present generation.
fn stall(instance: &Instance) -> Option<String> {
    let status = instance.status.as_ref()?;
    let stalled =
        status.conditions.iter().find(|one| one.type_ == ConditionType::Stalled.to_string() && one.status == "True")?;
    let is_present = status.observed_generation == instance.metadata.generation;
    is_present.then(|| stalled.message.clone())
}

/// Why an Instance that was made, or brought to a stage, has failed for taking longer than the campaign's
/// `progressDeadline`; `None` if it has not.
fn overdue(asker: Asker<'_>, instance: &Instance) -> Option<String> {
    if asker.now < deadline(asker.spec, instance)? {
        return None;
    }
    let patience = terms::terms(asker.spec, "").progress_deadline;
    let why = unready(instance).map(|ready| ready.message.as_str()).unwrap_or_default();
    Some(format!("it was not ready within {patience:#}: {why}"))
}

/// By when an Instance that is not ready has to be, for a campaign that makes it or brings it to a stage: its time runs
/// from when it was not ready, and was asked. A platform that does not answer is no failure.
pub(super) fn deadline(spec: &CampaignSpec, instance: &Instance) -> Option<Timestamp> {
    let since = unready(instance).filter(|_| !is_unreachable(instance))?.last_transition_time.0;
    let asked = ownership::written_at(instance.metadata.managed_fields.as_deref());
    since.max(asked.unwrap_or(since)).checked_add(terms::terms(spec, "").progress_deadline).ok()
}

/// The condition by which an Instance is not ready; `None` if it is, or nobody has looked.
fn unready(instance: &Instance) -> Option<&Condition> {
    let mut conditions = instance.status.iter().flat_map(|status| &status.conditions);
    conditions.find(|one| one.type_ == ConditionType::Ready.to_string() && one.status != "True")
}

/// How far an instance has come on a way of this campaign.
pub fn progress(asker: Asker<'_>, wave: &str, instance: &Instance) -> Option<Progress> {
    let rollout = ours(asker, instance)?;
    let record = record(instance).filter(|record| record.rollout.as_ref() == Some(rollout))?;
    let length = record.since.0.duration_since(record.started_at.0).as_secs();
    let watched = || terms::terms(asker.spec, wave).soak.as_secs();
    let took = match record.phase {
        UpgradePhase::Soak => Some(length),
        UpgradePhase::Done => Some(length - watched()),
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RollingBack
        | UpgradePhase::RolledBack => None,
    };
    let since = if record.phase == UpgradePhase::Soak { record.since.0 } else { record.started_at.0 };
    Some(Progress { since: Some(since), took: took.map(|seconds| u32::try_from(seconds).unwrap_or(0)) })
}

/// Does the platform of an Instance not answer? Then it neither runs nor fails.
pub fn is_unreachable(instance: &Instance) -> bool {
    let unavailable = Reason::ApiUnavailable.to_string();
    instance
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .any(|one| one.type_ == ConditionType::Ready.to_string() && one.status != "True" && one.reason == unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_changed_by_a_person_or_for_a_campaign_that_is_gone_is_changed_by_hand() {
        let instance = |phase: &str, campaign: Option<&str>| -> Instance {
            let rollout =
                campaign.map(|name| json!({"campaign": name, "uid": "u", "wave": "w", "attempt": 1, "wants": "b"}));
            let record = json!({"rollout": rollout, "from": "a", "to": "b", "active": "b", "phase": phase,
                "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z"});
            serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
                "metadata": {"name": "i"}, "spec": {"application": "app", "establishment": "e"}, "status": {"upgrade": record}}))
            .unwrap()
        };
        let is = |phase: &str, campaign: Option<&str>| {
            is_changed_by_hand(&instance(phase, campaign), |rollout| rollout.campaign == "goes-on")
        };
        assert!(is("Rollout", None) && is("Backup", None) && is("Rollout", Some("gone")));
        assert!(!is("Rollout", Some("goes-on")), "that counts it itself");
        assert!(!is("Preflight", None) && !is("Soak", None) && !is("Done", None));
    }
}
