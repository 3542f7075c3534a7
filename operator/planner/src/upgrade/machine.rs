//! Which record follows from the present one?

use super::Wanted;
use crate::{
    path::{self, Graph, NoWay, StepFacts},
    whole_seconds,
};
use gotocloud_api::{
    campaign::{Gate, OnFailure},
    upgrade::{PointOfNoReturn, StepMigration, UpgradePhase, UpgradeStatus, UpgradeStep, UpgradeTerms},
};
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;

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
    /// What has to be true of it before it is done.
    pub gates: Vec<Gate>,
    /// Why it may not begin now, though it can be done: a freeze, another application that has to go first.
    pub hold: Option<String>,
    /// Why it cannot be done at all: a requirement that nothing will meet by itself.
    pub refusal: Option<String>,
    /// Is what its spec asks to be rehearsed the wish of a campaign that is over, aborted or gone? Then nobody asks for it.
    pub is_rehearsal_over: bool,
    /// Is its campaign being aborted? Then it is not watched, and a gate that stays unknown counts as false in the end.
    pub aborting: bool,
    /// Was its campaign deleted? Then nobody can mend its gates: one that stays unknown counts as false in the end.
    pub is_campaign_gone: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Rollback,
            soak: SignedDuration::ZERO,
            progress_deadline: SignedDuration::from_mins(15),
            backup_deadline: SignedDuration::from_hours(6),
            gates: Vec::new(),
            hold: None,
            refusal: None,
            is_rehearsal_over: false,
            aborting: false,
            is_campaign_gone: false,
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
    /// Why nobody may save or move the data yet: pods that still write. `None` if there is none.
    pub writers: Option<String>,
    /// What the release before had and this one lacks, while it is still there.
    pub left_over: Option<String>,
    /// The last change of the data that cannot be undone.
    pub point_of_no_return: Option<PointOfNoReturn>,
    /// The migration, by its Job, before which a person says that the data was restored.
    pub restored: Option<String>,
    /// The migration, by its Job, that a person has run again on the data as it is.
    pub go_on_with: Option<String>,
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

    /// The step from `before` to `release`, as a record keeps it.
    fn step(&self, before: &str, release: &str) -> UpgradeStep {
        let facts = self.facts(before, release);
        let migration = StepMigration {
            reversible: !facts.irreversible,
            digest: String::new(),
            deadline_seconds: path::MIGRATION_DEADLINE_SECONDS,
        };

        UpgradeStep { release: release.to_owned(), migration: facts.migrates.then_some(migration) }
    }

    /// Is the release older than `version`? Unknown counts as no.
    fn is_older(&self, _release: &str, _version: &str) -> bool {
        false
    }
}

impl Releases for Graph {
    fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay> {
        Graph::way(self, from, to)
    }

    fn facts(&self, before: &str, release: &str) -> StepFacts {
        Graph::facts(self, before, release)
    }

    fn step(&self, before: &str, release: &str) -> UpgradeStep {
        Graph::step(self, before, release)
    }

    fn is_older(&self, release: &str, version: &str) -> bool {
        Graph::is_older(self, release, version)
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
    let known = record.map(|record| carried_over(record, course.releases, Some(course.terms)));

    let after = match known.as_deref().filter(|record| !record.phase.is_terminal()) {
        Some(record) if is_withdrawn(record, wanted) => Some(withdrawn(record, course.now)),
        Some(record) => advance(record, wanted, course).map(|after| answering(after, wanted)),
        None => begin(known.as_deref(), wanted, current, course),
    };

    // A record of an older operator is written once in the form of this one.
    let carried = match known {
        Some(Cow::Owned(carried)) => Some(carried),
        Some(Cow::Borrowed(_)) | None => None,
    };
    after.or(carried)
}

/// The record as it ends: it answers all that was edited until then, so only a later edit by hand asks again.
fn answering(after: UpgradeStatus, wanted: Option<&Wanted>) -> UpgradeStatus {
    let is_by_hand = after.rollout.is_none() && after.phase.is_terminal();
    let generation = wanted.filter(|_| is_by_hand).and_then(|wanted| wanted.generation);

    UpgradeStatus { generation: generation.or(after.generation), ..after }
}

/// The record with what an older operator looked up each time: its steps and its terms.
pub(super) fn carried_over<'r>(
    record: &'r UpgradeStatus,
    releases: &dyn Releases,
    terms: Option<&Terms>,
) -> Cow<'r, UpgradeStatus> {
    if record.path.is_empty() {
        return Cow::Borrowed(record);
    }
    let mut carried = record.clone();
    let names = std::mem::take(&mut carried.path);

    let starts = std::iter::once(&record.from).chain(&names);
    carried.steps = starts.zip(&names).map(|(before, release)| releases.step(before, release)).collect();
    carried.terms = terms.map(kept);

    // Only what cannot be undone was backed up before, whatever its Release says by now.
    if record.backup.is_some()
        && let Some(step) = carried.steps.get_mut(record.step_index())
        && !step.is_irreversible()
    {
        let deadline_seconds = path::MIGRATION_DEADLINE_SECONDS;
        step.migration = Some(StepMigration { reversible: false, digest: String::new(), deadline_seconds });
    }
    // A migration that broke off was noted only if it was seen to run before.
    if record.phase == UpgradePhase::Failed && record.backup.is_some() && carried.step_end() != carried.active {
        carried.migration.get_or_insert_with(|| super::attempt_name(record));
    }

    Cow::Owned(carried)
}

/// The terms as a record keeps them.
fn kept(terms: &Terms) -> UpgradeTerms {
    UpgradeTerms {
        on_failure: terms.on_failure,
        soak_seconds: terms.soak.as_secs(),
        progress_deadline_seconds: terms.progress_deadline.as_secs(),
        backup_deadline_seconds: terms.backup_deadline.as_secs(),
        gates: terms.gates.clone(),
    }
}

/// The terms of a record; those of today if it has none.
pub(crate) fn terms_of<'r>(record: &'r UpgradeStatus, today: &Terms) -> Cow<'r, UpgradeTerms> {
    record.terms.as_ref().map_or_else(|| Cow::Owned(kept(today)), Cow::Borrowed)
}

/// Does the spec no longer ask for it, and has nothing been touched? What has been touched is finished first.
fn is_withdrawn(record: &UpgradeStatus, wanted: Option<&Wanted>) -> bool {
    record.phase.has_touched_nothing()
        && wanted.is_none_or(|wanted| wanted.release != record.to || wanted.rollout != record.rollout)
}

fn withdrawn(record: &UpgradeStatus, now: Timestamp) -> UpgradeStatus {
    let active = record.step_start().to_owned();

    UpgradeStatus { active, ..entered(record, UpgradePhase::Withdrawn, now, "what was asked for was taken back") }
}

/// Did a migration that cannot be undone begin, and not end well? Then neither release can run on the data.
pub(crate) fn is_half_way(record: &UpgradeStatus) -> bool {
    if record.phase != UpgradePhase::Failed {
        return false;
    }
    // In records of older operators only what cannot be undone was backed up before.
    if let Some(end) = record.path.get(record.step_index()) {
        return record.backup.is_some() && *end != record.active;
    }
    record.migration.is_some()
        && record.present_step().is_some_and(UpgradeStep::is_irreversible)
        && record.step_end() != record.active
}

/// The record of a way that begins; none where nothing new is asked for.
fn begin(
    ended: Option<&UpgradeStatus>,
    wanted: Option<&Wanted>,
    current: &str,
    course: Course<'_>,
) -> Option<UpgradeStatus> {
    if let Some(broken) = ended.filter(|ended| is_half_way(ended)) {
        return settled(broken, wanted, current, course);
    }
    let wanted = wanted?;

    if let Some(ended) = ended.filter(|ended| is_answered(ended, wanted)) {
        return asked_anew(ended, wanted, current, course);
    }
    // What it runs already is nothing new; a campaign is told so all the same.
    if wanted.release == current && wanted.rollout.is_none() {
        return ended.and_then(|ended| taken_back(ended, wanted, course.now));
    }

    Some(begun(ended, wanted, current, course))
}

/// What becomes of a migration that broke off: nothing before a person says that the data is restored, or that the
/// migration is to be run again on the data as it is. A further attempt of its campaign is no such word: it may have been
/// asked for before the migration broke off, and for others.
fn settled(
    broken: &UpgradeStatus,
    wanted: Option<&Wanted>,
    current: &str,
    course: Course<'_>,
) -> Option<UpgradeStatus> {
    let is_named = |word: &Option<String>| word.is_some() && *word == broken.migration;

    if is_named(&course.seen.restored) {
        let message = "a person says that its data is restored";
        return Some(entered(broken, UpgradePhase::RolledBack, course.now, message));
    }
    let wanted = wanted.filter(|wanted| wanted.release == broken.to)?;
    if !is_named(&course.seen.go_on_with) {
        return None;
    }

    // The backup is the only one of the data as it was: another try keeps it.
    let mut record = recorded(wanted, current, course.now);
    record.backup.clone_from(&broken.backup);
    Some(set_out(record, broken.steps.iter().skip(broken.step_index()).cloned().collect(), course))
}

/// Was just this asked for before, and answered? By hand, any further edit asks again; a campaign asks again by another
/// attempt. That a campaign's claim goes asks for nothing.
fn is_answered(ended: &UpgradeStatus, wanted: &Wanted) -> bool {
    if ended.to != wanted.release || ended.taken_back {
        return false;
    }
    match (&ended.rollout, &wanted.rollout) {
        (Some(before), Some(now)) => before == now,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => ended.generation == wanted.generation || ended.phase == UpgradePhase::Done,
    }
}

/// The record of what was refused to a person, once the refusal is another one or none: it holds for as long as its reason
/// does. A campaign asks again by another attempt.
fn asked_anew(ended: &UpgradeStatus, wanted: &Wanted, current: &str, course: Course<'_>) -> Option<UpgradeStatus> {
    if ended.phase != UpgradePhase::Refused || ended.rollout.is_some() {
        return None;
    }
    let again = begun(Some(ended), wanted, current, course);

    let is_same = again.phase == UpgradePhase::Refused && again.message == ended.message;
    (!is_same).then_some(again)
}

/// The record of what did not come about, once a person asks for what runs instead: the same may be asked for again.
fn taken_back(ended: &UpgradeStatus, wanted: &Wanted, now: Timestamp) -> Option<UpgradeStatus> {
    if ended.to == wanted.release || ended.taken_back {
        return None;
    }
    match ended.phase {
        UpgradePhase::Refused => Some(withdrawn(ended, now)),
        UpgradePhase::Failed | UpgradePhase::RolledBack => Some(UpgradeStatus { taken_back: true, ..ended.clone() }),
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::Soak
        | UpgradePhase::Done
        | UpgradePhase::Withdrawn
        | UpgradePhase::RollingBack => None,
    }
}

/// The record of a way that is asked for anew.
fn begun(ended: Option<&UpgradeStatus>, wanted: &Wanted, current: &str, course: Course<'_>) -> UpgradeStatus {
    let record = recorded(wanted, current, course.now);

    match steps(ended, wanted, current, course) {
        Ok(steps) => set_out(record, steps, course),
        Err(no_way) => entered(&record, UpgradePhase::Refused, course.now, &no_way.to_string()),
    }
}

fn recorded(wanted: &Wanted, current: &str, now: Timestamp) -> UpgradeStatus {
    let at = whole_seconds(now);

    UpgradeStatus {
        rollout: wanted.rollout.clone(),
        generation: wanted.generation,
        from: current.to_owned(),
        to: wanted.release.clone(),
        path: Vec::new(),
        steps: Vec::new(),
        step: 0,
        terms: None,
        active: current.to_owned(),
        phase: UpgradePhase::Preflight,
        since: at.clone(),
        started_at: at,
        finished_at: None,
        backup: None,
        migration: None,
        taken_back: false,
        message: String::new(),
        log_tail: String::new(),
    }
}

/// The record as it sets out: what touches nothing yet needs none of its own.
fn set_out(record: UpgradeStatus, steps: Vec<UpgradeStep>, course: Course<'_>) -> UpgradeStatus {
    let record = UpgradeStatus { steps, terms: Some(kept(course.terms)), ..record };

    preflight(&record, course).unwrap_or(record)
}

/// The steps that lead from `current` to what is wanted.
fn steps(
    ended: Option<&UpgradeStatus>,
    wanted: &Wanted,
    current: &str,
    course: Course<'_>,
) -> Result<Vec<UpgradeStep>, NoWay> {
    let back = || vec![UpgradeStep { release: wanted.release.clone(), migration: None }];
    let no_return = course.seen.point_of_no_return.as_ref();

    // The data was restored to before its last change for good, so its history no longer speaks against going back.
    if no_return.is_some_and(|point| course.seen.restored.as_ref() == Some(&point.migration)) {
        return Ok(back());
    }
    if no_return.is_some_and(|point| course.releases.is_older(&wanted.release, &point.version)) {
        return Err(NoWay::Irreversible { from: current.to_owned(), to: wanted.release.clone() });
    }
    // Back by the way it came: what the catalogue says of it by now does not matter.
    if ended.is_some_and(|ended| ended.step_end() == current && suits(ended).any(|name| name == wanted.release)) {
        return Ok(back());
    }

    let names = course.releases.way(current, &wanted.release)?;
    let starts = std::iter::once(current).chain(names.iter().map(String::as_str));
    Ok(starts.zip(&names).map(|(before, release)| course.releases.step(before, release)).collect())
}

/// The releases of a way that its data still suits, before the one that the present step ends at, the latest first: back
/// over every step, up to one that cannot be undone.
fn suits(record: &UpgradeStatus) -> impl Iterator<Item = &str> {
    let gone = record.steps.iter().take(record.step_index().saturating_add(1));
    let starts = std::iter::once(record.from.as_str()).chain(record.steps.iter().map(|step| step.release.as_str()));

    let mut crossed: Vec<(&str, &UpgradeStep)> = starts.zip(gone).collect();
    crossed.reverse();
    crossed.into_iter().take_while(|(_, step)| !step.is_irreversible()).map(|(start, _)| start)
}

fn advance(record: &UpgradeStatus, wanted: Option<&Wanted>, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let kept = terms_of(record, terms);
    let is_over = |seconds: i64| now.duration_since(record.since.0) >= SignedDuration::from_secs(seconds);
    let is_late = is_over(kept.progress_deadline_seconds);
    let fail = |why: &str, log: &str| Some(failed(record, course, why, log));

    if let Some(back) = called_back(record, wanted) {
        return Some(going_back(record, &back, now, "the release was set back"));
    }
    match record.phase {
        UpgradePhase::Preflight => preflight(record, course),
        UpgradePhase::Backup => match (&terms.refusal, &seen.writers, &seen.backup) {
            (Some(refusal), _, _) => Some(unstarted(record, refusal, now)),
            (None, _, Backup::Failed(why)) => Some(unstarted(record, &without_backup(why), now)),
            (None, None, Backup::Verified(backup)) => {
                let after = entered(record, UpgradePhase::Migrate, now, "the data is being moved");
                Some(UpgradeStatus { backup: Some(backup.clone()), ..after })
            }
            (None, _, _) if is_over(kept.backup_deadline_seconds) => {
                Some(unstarted(record, &without_backup("the backup was not done in time"), now))
            }
            (None, Some(writers), _) => said(record, writers),
            (None, None, Backup::Running(waits)) if waits.is_empty() => None,
            (None, None, Backup::Running(waits)) => said(record, waits),
        },
        UpgradePhase::Migrate => migrating(record, course),
        UpgradePhase::Rollout => match &seen.pods {
            None => Some(verified(&entered(record, UpgradePhase::Verify, now, ""), course)),
            Some(why) if is_late => fail(&format!("its pods are not ready in time: {why}"), ""),
            Some(_) => None,
        },
        UpgradePhase::Verify => match (amiss(seen), &seen.gates) {
            (None, Gates::True) => Some(verified(record, course)),
            (Some(why), _) | (None, Gates::False(why)) if is_late => {
                fail(&format!("it is not verified in time: {why}"), "")
            }
            // Unknown is not true, and not false either: it waits for whoever can tell, unless nobody waits any more.
            (None, Gates::Unknown(why)) if (terms.aborting || terms.is_campaign_gone) && is_late => {
                fail(&format!("it is not verified in time: {why}"), "")
            }
            (Some(why), _) | (None, Gates::False(why) | Gates::Unknown(why)) => said(record, why),
        },
        UpgradePhase::Soak => soaking(record, course),
        UpgradePhase::RollingBack => match seen.pods.as_ref().or(seen.left_over.as_ref()) {
            None => Some(entered(record, UpgradePhase::RolledBack, now, &record.message)),
            Some(why) if is_late => Some(entered(
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

/// Why the instance is not as it should be, gates apart; `None` if it is.
fn amiss(seen: &Seen) -> Option<&String> {
    seen.pods.as_ref().or(seen.rest.as_ref()).or(seen.left_over.as_ref())
}

/// The release to which a person, or its campaign, calls a way back whose pods are being replaced: one that its data still
/// suits. Nothing holds that up.
fn called_back(record: &UpgradeStatus, wanted: Option<&Wanted>) -> Option<String> {
    let may_go_back = match record.phase {
        UpgradePhase::Rollout | UpgradePhase::Verify | UpgradePhase::Soak => true,
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::RollingBack
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => false,
    };
    let wanted = wanted.filter(|wanted| may_go_back && wanted.release != record.to)?;

    suits(record).find(|name| *name == wanted.release).map(str::to_owned)
}

/// What becomes of a step whose data is being moved.
fn migrating(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let patience = SignedDuration::from_secs(terms_of(record, terms).progress_deadline_seconds);
    let deadline = record.present_step().and_then(|step| step.migration.as_ref()).map_or(0, |job| job.deadline_seconds);
    let waited = now.duration_since(record.since.0);

    match &seen.migration {
        Migration::Succeeded => Some(replacing_pods(record, now)),
        Migration::Failed(why, log) => {
            let seen = super::attempt_name(record);
            let record = UpgradeStatus { migration: Some(seen), ..record.clone() };
            Some(failed(&record, course, why, log))
        }
        // The Job has a deadline of its own, so this is for one that nobody runs.
        Migration::Running if record.migration.is_some() => {
            let is_over = waited >= patience.saturating_add(SignedDuration::from_secs(deadline));
            is_over.then(|| failed(record, course, "the migration did not end in time", ""))
        }
        Migration::Running => match (&terms.refusal, &seen.writers) {
            (Some(refusal), _) => Some(unstarted(record, refusal, now)),
            (None, writers) if waited >= patience => {
                let why = writers.as_deref().unwrap_or("its Job was not made");
                Some(unstarted(record, &format!("the migration could not begin in time: {why}"), now))
            }
            (None, Some(writers)) => said(record, writers),
            (None, None) => None,
        },
    }
}

/// What becomes of a way that is looked at before it touches anything.
fn preflight(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    match (&course.terms.refusal, &course.terms.hold) {
        (Some(refusal), _) => Some(entered(record, UpgradePhase::Refused, course.now, refusal)),
        (None, Some(hold)) => said(record, hold),
        (None, None) => Some(first_phase(record, course.now)),
    }
}

/// The first phase of the present step.
fn first_phase(record: &UpgradeStatus, now: Timestamp) -> UpgradeStatus {
    match record.present_step().and_then(|step| step.migration.as_ref()) {
        Some(migration) if !migration.reversible && record.backup.is_none() => {
            entered(record, UpgradePhase::Backup, now, "a backup is taken, since the migration cannot be undone")
        }
        Some(_) => entered(record, UpgradePhase::Migrate, now, "the data is being moved"),
        None => replacing_pods(record, now),
    }
}

fn replacing_pods(record: &UpgradeStatus, now: Timestamp) -> UpgradeStatus {
    let active = record.step_end().to_owned();

    UpgradeStatus { active, ..entered(record, UpgradePhase::Rollout, now, "its pods are being replaced") }
}

/// What follows once all is verified: the next step, the watch, or the end.
fn verified(record: &UpgradeStatus, course: Course<'_>) -> UpgradeStatus {
    let Course { terms, seen, now, .. } = course;
    if seen.rest.is_some() || seen.left_over.is_some() || seen.gates != Gates::True {
        return record.clone();
    }

    let next = record.step.saturating_add(1);
    if record.step_index().saturating_add(1) < record.steps.len() {
        let record = UpgradeStatus { step: next, backup: None, migration: None, ..record.clone() };
        return match &terms.refusal {
            None => first_phase(&record, now),
            Some(refusal) => unstarted(&record, refusal, now),
        };
    }
    if terms_of(record, terms).soak_seconds > 0 && !terms.aborting {
        return entered(record, UpgradePhase::Soak, now, "it is watched");
    }
    entered(record, UpgradePhase::Done, now, "")
}

fn soaking(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let kept = terms_of(record, terms);
    let why = match (amiss(seen), &seen.gates) {
        (Some(why), _) | (None, Gates::False(why)) => Some(why),
        (None, Gates::True | Gates::Unknown(_)) => None,
    };

    let Some(why) = why else {
        let is_watched = now.duration_since(record.since.0) >= SignedDuration::from_secs(kept.soak_seconds);
        return (is_watched || terms.aborting).then(|| entered(record, UpgradePhase::Done, now, ""));
    };

    // A pod that moves to another node is no reason to go back; one that stays away is.
    let patience = SignedDuration::from_secs(kept.progress_deadline_seconds);
    let is_long = seen.unready_since.is_some_and(|since| now.duration_since(since) >= patience);
    let is_false = matches!(seen.gates, Gates::False(_));
    (is_long || is_false).then(|| failed(record, course, &format!("while it was watched: {why}"), ""))
}

fn without_backup(why: &str) -> String {
    format!("there is no backup: {why}")
}

/// Nothing of the present step was touched, and it is not gone on with. What was done before it stays.
fn unstarted(record: &UpgradeStatus, why: &str, now: Timestamp) -> UpgradeStatus {
    entered(record, UpgradePhase::Failed, now, &format!("nothing was changed, since {why}"))
}

/// What becomes of a way that failed in its present step.
fn failed(record: &UpgradeStatus, course: Course<'_>, why: &str, log: &str) -> UpgradeStatus {
    let Course { terms, now, .. } = course;
    let with_log = |after: UpgradeStatus| UpgradeStatus { log_tail: log.to_owned(), ..after };

    if record.present_step().is_some_and(UpgradeStep::is_irreversible) {
        return with_log(entered(record, UpgradePhase::Failed, now, &changed_for_good(record, why)));
    }
    match terms_of(record, terms).on_failure {
        OnFailure::Pause | OnFailure::Continue => with_log(entered(record, UpgradePhase::Failed, now, why)),
        OnFailure::Rollback => {
            let back = suits(record).last().unwrap_or(&record.from);
            with_log(going_back(record, back, now, why))
        }
    }
}

/// Why a step failed that changed the data for good, and what a person is to do.
fn changed_for_good(record: &UpgradeStatus, why: &str) -> String {
    let backup = record.backup.as_deref().unwrap_or("the one taken before");
    let job = super::attempt_name(record);
    let restored = gotocloud_api::names::ANNOTATION_RESTORED;
    let restore = format!("restore the backup {backup}, then annotate the Instance with {restored}={job}");

    if record.step_end() == record.active {
        return format!(
            "{why}; its data was changed for good, so the way back is: {restore}, and set its release back"
        );
    }
    let go_on_with = gotocloud_api::names::ANNOTATION_GO_ON_WITH;
    format!(
        "{why}; its data is half moved, so nothing runs on it before a person decides: {restore}; or run the migration \
         again on the data as it is: {go_on_with}={job}"
    )
}

/// The record of a way that goes back to one of its releases.
fn going_back(record: &UpgradeStatus, back: &str, now: Timestamp, why: &str) -> UpgradeStatus {
    let phase = if back == record.active { UpgradePhase::RolledBack } else { UpgradePhase::RollingBack };

    UpgradeStatus { active: back.to_owned(), ..entered(record, phase, now, why) }
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
