//! Which record follows from the present one?

use super::Wanted;
use crate::{
    path::{self, Graph, NoWay, StepFacts},
    whole_seconds,
};
use gotocloud_api::{
    campaign::OnFailure,
    upgrade::{UpgradePhase, UpgradeStatus},
};
use jiff::{SignedDuration, Timestamp};

/// How carefully a way is gone: what its campaign says, or what holds for an edit by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What to do if it fails.
    pub on_failure: OnFailure,
    /// How long it is watched before it is done.
    pub soak: SignedDuration,
    /// Longest that pods may take, and a verification, each.
    pub progress_deadline: SignedDuration,
    /// Longest that a backup may take.
    pub backup_deadline: SignedDuration,
    /// Why it may not begin now, though it can be done: a freeze, another application that has to go first.
    pub hold: Option<String>,
    /// Why it cannot be done at all: a requirement that nothing will meet by itself.
    pub refusal: Option<String>,
    /// Is its campaign being aborted? Then it is not watched, and a gate that stays unknown counts as false in the end.
    pub aborting: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Rollback,
            soak: SignedDuration::ZERO,
            progress_deadline: SignedDuration::from_mins(15),
            backup_deadline: SignedDuration::from_hours(6),
            hold: None,
            refusal: None,
            aborting: false,
        }
    }
}

/// What is seen of an instance that is on its way, as far as it decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The backup of this step.
    pub backup: Backup,
    /// The migration job of this step.
    pub migration: Migration,
    /// Why the pods of the active release are not as they should be; none if they are.
    pub pods: Option<String>,
    /// Why the rest (database, route) is not as it should be; none if it is.
    pub rest: Option<String>,
    /// What the gates say.
    pub gates: Gates,
    /// Since when the whole has not been ready; none while it is.
    pub unready_since: Option<Timestamp>,
}

/// The backup of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backup {
    /// It has not ended; what it waits for.
    Running(String),
    /// It was taken and verified; its name.
    Verified(String),
    /// There will be none; why.
    Failed(String),
}

impl Default for Backup {
    fn default() -> Self {
        Self::Running(String::new())
    }
}

/// The migration job of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Migration {
    /// It has not ended.
    #[default]
    Running,
    /// It did what it should.
    Succeeded,
    /// It did not; why, and the end of its log.
    Failed(String, String),
}

/// What the gates of a target say, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gates {
    /// All were true for as long as they must be; or there is none.
    #[default]
    True,
    /// One has not been true for long enough yet, or cannot be told; which, and why. Never taken for true.
    Unknown(String),
    /// One is false; which.
    False(String),
}

/// What decides how a way goes on.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// Which ways there are, and what each step does to the data.
    pub releases: &'a dyn Releases,
    /// How carefully it is gone.
    pub terms: &'a Terms,
    /// What is seen of the instance.
    pub seen: &'a Seen,
    /// What time it is.
    pub now: Timestamp,
}

/// The releases of an application, as far as a way depends on them.
pub trait Releases {
    /// The names of the releases after `from` on the shortest allowed way to `to`.
    ///
    /// # Errors
    /// [`NoWay`], which says what is missing.
    fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay>;

    /// What the step from `before` to `release` does to the data.
    fn facts(&self, before: &str, release: &str) -> StepFacts;
}

impl Releases for Graph {
    fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay> {
        Graph::way(self, from, to)
    }

    fn facts(&self, before: &str, release: &str) -> StepFacts {
        Graph::facts(self, before, release)
    }
}

/// The record that follows from `record`; none where it stays as it is. `wanted` is what the spec asks for, `current` the
/// release whose pods are asked for.
pub fn next(
    record: Option<&UpgradeStatus>,
    wanted: Option<&Wanted>,
    current: &str,
    course: Course<'_>,
) -> Option<UpgradeStatus> {
    match record.filter(|record| !record.phase.is_terminal()) {
        Some(record) if is_withdrawn(record, wanted) => {
            let mut after = entered(record, UpgradePhase::Withdrawn, course.now, "what was asked for was taken back");
            came_from(record).clone_into(&mut after.active);
            Some(after)
        }
        Some(record) => advance(record, course),
        None => begin(record, wanted?, current, course),
    }
}

/// Does the spec no longer ask for it, and has nothing been touched? What has been touched is finished first.
fn is_withdrawn(record: &UpgradeStatus, wanted: Option<&Wanted>) -> bool {
    record.phase.has_touched_nothing()
        && wanted.is_none_or(|wanted| wanted.release != record.to || wanted.rollout != record.rollout)
}

/// Did a migration that cannot be undone begin, and not end well? Then neither release can run on the data.
pub(crate) fn is_half_way(record: &UpgradeStatus) -> bool {
    record.phase == UpgradePhase::Failed && record.backup.is_some() && super::step_end(record) != Some(&record.active)
}

/// The record of a way that begins; none where nothing new is asked for.
fn begin(ended: Option<&UpgradeStatus>, wanted: &Wanted, current: &str, course: Course<'_>) -> Option<UpgradeStatus> {
    let now = course.now;
    // A migration that failed half way, and a person who sets the release back: they have restored the data.
    if let Some(ended) =
        ended.filter(|ended| is_half_way(ended) && wanted.release == ended.active && wanted.rollout.is_none())
    {
        return Some(entered(
            ended,
            UpgradePhase::RolledBack,
            now,
            "a person set the release back: its data is taken for restored",
        ));
    }
    // By hand, any further edit asks again; a campaign asks again by another attempt.
    let is_answered = ended.is_some_and(|ended| {
        ended.to == wanted.release
            && ended.rollout == wanted.rollout
            && (ended.rollout.is_some() || ended.generation == wanted.generation || ended.phase == UpgradePhase::Done)
    });
    // Where it is already there nothing is to be done; a campaign is told so all the same.
    if is_answered || (wanted.release == current && wanted.rollout.is_none()) {
        return None;
    }
    // The backup of a migration that failed half way is the only one of the data as it was: another try keeps it.
    let kept = ended.filter(|ended| is_half_way(ended) && ended.to == wanted.release && ended.active == current);
    let at = whole_seconds(now);
    let mut record = UpgradeStatus {
        rollout: wanted.rollout.clone(),
        generation: wanted.generation,
        from: current.to_owned(),
        to: wanted.release.clone(),
        path: Vec::new(),
        step: 0,
        active: current.to_owned(),
        phase: UpgradePhase::Preflight,
        since: at.clone(),
        started_at: at,
        finished_at: None,
        backup: kept.and_then(|ended| ended.backup.clone()),
        migration: None,
        message: String::new(),
        log_tail: String::new(),
    };
    match course.releases.way(current, &wanted.release) {
        Ok(path) => record.path = path,
        Err(no_way) => return Some(entered(&record, UpgradePhase::Refused, now, &no_way.to_string())),
    }
    // What touches nothing yet needs no record of its own.
    Some(preflight(&record, course).unwrap_or(record))
}

fn advance(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let is_over = |deadline: SignedDuration| now.duration_since(record.since.0) >= deadline;
    let fail = |why: &str, log: &str| Some(failed(record, course, why, log));
    match record.phase {
        UpgradePhase::Preflight => preflight(record, course),
        UpgradePhase::Backup => match &seen.backup {
            Backup::Verified(backup) => {
                let mut after = entered(record, UpgradePhase::Migrate, now, "the data is being moved");
                after.backup = Some(backup.clone());
                Some(after)
            }
            Backup::Failed(why) => Some(unstarted(record, why, now)),
            Backup::Running(_) if is_over(terms.backup_deadline) => {
                Some(unstarted(record, "the backup was not done in time", now))
            }
            Backup::Running(waits) if waits.is_empty() => None,
            Backup::Running(waits) => said(record, waits),
        },
        UpgradePhase::Migrate => match &seen.migration {
            Migration::Running => None,
            Migration::Succeeded => Some(replacing_pods(record, now)),
            Migration::Failed(why, log) => fail(why, log),
        },
        UpgradePhase::Rollout => match &seen.pods {
            None => Some(verified(&entered(record, UpgradePhase::Verify, now, ""), course)),
            Some(why) if is_over(terms.progress_deadline) => {
                fail(&format!("its pods are not ready in time: {why}"), "")
            }
            Some(_) => None,
        },
        UpgradePhase::Verify => match (&seen.pods, &seen.rest, &seen.gates) {
            (None, None, Gates::True) => Some(verified(record, course)),
            (Some(why), _, _) | (None, Some(why), _) | (None, None, Gates::False(why))
                if is_over(terms.progress_deadline) =>
            {
                fail(&format!("it is not verified in time: {why}"), "")
            }
            // Unknown is not true, and not false either: it waits for whoever can tell, unless nobody waits any more.
            (None, None, Gates::Unknown(why)) if terms.aborting && is_over(terms.progress_deadline) => {
                fail(&format!("it is not verified in time: {why}"), "")
            }
            (Some(why), _, _) | (None, Some(why), _) | (None, None, Gates::False(why) | Gates::Unknown(why)) => {
                said(record, why)
            }
        },
        UpgradePhase::Soak => soaking(record, course),
        UpgradePhase::RollingBack => match &seen.pods {
            None => Some(entered(record, UpgradePhase::RolledBack, now, &record.message)),
            Some(why) if is_over(terms.progress_deadline) => Some(entered(
                record,
                UpgradePhase::Failed,
                now,
                &format!("{}; on the way back its pods are not ready in time: {why}", record.message),
            )),
            Some(_) => None,
        },
        UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => None,
    }
}

/// What becomes of a way that is looked at before it touches anything.
fn preflight(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    match (&course.terms.refusal, &course.terms.hold) {
        (Some(refusal), _) => Some(entered(record, UpgradePhase::Refused, course.now, refusal)),
        (None, Some(hold)) => said(record, hold),
        (None, None) => Some(first_phase(record, course)),
    }
}

/// The first phase of the present step.
fn first_phase(record: &UpgradeStatus, course: Course<'_>) -> UpgradeStatus {
    let now = course.now;
    let end = super::step_end(record).unwrap_or(&record.to);
    let step = course.releases.facts(came_from(record), end);
    if step.irreversible && record.backup.is_none() {
        entered(record, UpgradePhase::Backup, now, "a backup is taken, since the migration cannot be undone")
    } else if step.migrates {
        entered(record, UpgradePhase::Migrate, now, "the data is being moved")
    } else {
        replacing_pods(record, now)
    }
}

fn replacing_pods(record: &UpgradeStatus, now: Timestamp) -> UpgradeStatus {
    let mut after = entered(record, UpgradePhase::Rollout, now, "its pods are being replaced");
    super::step_end(record).unwrap_or(&record.to).clone_into(&mut after.active);
    after
}

/// What follows once all is verified: the next step, the watch, or the end.
fn verified(record: &UpgradeStatus, course: Course<'_>) -> UpgradeStatus {
    let Course { terms, seen, now, .. } = course;
    if seen.rest.is_some() || seen.gates != Gates::True {
        return record.clone();
    }
    if let Some(next) =
        record.step.checked_add(1).filter(|next| usize::try_from(*next).is_ok_and(|at| at < record.path.len()))
    {
        return first_phase(&UpgradeStatus { step: next, backup: None, migration: None, ..record.clone() }, course);
    }
    if terms.soak > SignedDuration::ZERO && !terms.aborting {
        return entered(record, UpgradePhase::Soak, now, "it is watched");
    }
    entered(record, UpgradePhase::Done, now, "")
}

fn soaking(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let why = match (&seen.pods, &seen.rest, &seen.gates) {
        (Some(why), _, _) | (None, Some(why), _) | (None, None, Gates::False(why)) => Some(why),
        (None, None, Gates::True | Gates::Unknown(_)) => None,
    };
    let Some(why) = why else {
        let is_watched = now.duration_since(record.since.0) >= terms.soak;
        return (is_watched || terms.aborting).then(|| entered(record, UpgradePhase::Done, now, ""));
    };
    // A pod that moves to another node is no reason to go back; one that stays away is.
    let is_long = seen.unready_since.is_some_and(|since| now.duration_since(since) >= terms.progress_deadline);
    let is_false = matches!(seen.gates, Gates::False(_));
    (is_long || is_false).then(|| failed(record, course, &format!("while it was watched: {why}"), ""))
}

/// The release that the present step started from.
pub(super) fn came_from(record: &UpgradeStatus) -> &str {
    path::came_from(&record.from, &record.path, record.step)
}

/// Nothing of the present step was touched, and it is not gone on with. What was done before it stays.
fn unstarted(record: &UpgradeStatus, why: &str, now: Timestamp) -> UpgradeStatus {
    entered(record, UpgradePhase::Failed, now, &format!("nothing was changed, since there is no backup: {why}"))
}

/// What becomes of a way that failed in its present step.
fn failed(record: &UpgradeStatus, course: Course<'_>, why: &str, log: &str) -> UpgradeStatus {
    let Course { releases, terms, now, .. } = course;
    let end = super::step_end(record).unwrap_or(&record.to).to_owned();
    let with_log = |mut after: UpgradeStatus| {
        log.clone_into(&mut after.log_tail);
        after
    };
    if releases.facts(came_from(record), &end).irreversible {
        let backup = record.backup.as_deref().unwrap_or("the one taken before");
        let message =
            format!("{why}; its data was changed for good, so the way back is to restore the backup {backup}");
        return with_log(entered(record, UpgradePhase::Failed, now, &message));
    }
    match terms.on_failure {
        OnFailure::Pause | OnFailure::Continue => with_log(entered(record, UpgradePhase::Failed, now, why)),
        OnFailure::Rollback => {
            let back = way_back(record, releases);
            let phase = if back == record.active { UpgradePhase::RolledBack } else { UpgradePhase::RollingBack };
            let mut after = entered(record, phase, now, why);
            back.clone_into(&mut after.active);
            with_log(after)
        }
    }
}

/// The earliest release of the way that its data still suits: back over every step, up to one that cannot be undone.
fn way_back<'r>(record: &'r UpgradeStatus, releases: &dyn Releases) -> &'r str {
    let steps = usize::try_from(record.step).unwrap_or(usize::MAX).min(record.path.len());
    let mut back = came_from(record);
    for at in (0..steps).rev() {
        let before = at.checked_sub(1).map_or(record.from.as_str(), |at| &record.path[at]);
        if releases.facts(before, &record.path[at]).irreversible {
            break;
        }
        back = before;
    }
    back
}

/// The record in another phase.
fn entered(record: &UpgradeStatus, phase: UpgradePhase, now: Timestamp, message: &str) -> UpgradeStatus {
    let at = whole_seconds(now);
    UpgradeStatus {
        phase,
        since: at.clone(),
        finished_at: phase.is_terminal().then_some(at),
        message: message.to_owned(),
        ..record.clone()
    }
}

/// The record with another message, where it is another.
fn said(record: &UpgradeStatus, message: &str) -> Option<UpgradeStatus> {
    (record.message != message).then(|| UpgradeStatus { message: message.to_owned(), ..record.clone() })
}
