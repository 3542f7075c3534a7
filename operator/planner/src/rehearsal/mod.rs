//! How does an instance's way to another release go on a copy of its data?
//!
//! ```text
//!  Backup ─▶ Restore ─▶ Migrate ─┐ ─▶ Done
//!     │         │       ▲   │    │
//!     │         │       └───┼────┘ for each step that moves the data
//!     ▼         ▼           ▼
//!                Failed                 a deadline, or what was done failed
//!                Withdrawn              nobody asks for it any more, or the instance itself is changed
//! ```
//!
//! A record of it stands in the Instance's status, written before it is acted upon, as that of a real way is. What is
//! there meanwhile follows from the record alone ([`wants`]): the copy goes as soon as a record has ended. The copy lives
//! in the instance's own namespace, so that no data leaves it, and what runs on it reaches nothing else.

#[cfg(test)]
mod tests;

use crate::{
    path,
    upgrade::{Backup, Migration, Releases},
    whole_seconds,
};
use gotocloud_api::{
    Instance, Release,
    rehearsal::{RehearsalPhase, RehearsalStatus},
};
use jiff::{SignedDuration, Timestamp};

/// Longest that a backup, and a restore, may take, each; and a migration beyond the deadline of its Release.
pub const DEADLINE: SignedDuration = SignedDuration::from_hours(6);
/// How often a migration is looked at whose Release allows it more than that.
const LONG: SignedDuration = SignedDuration::from_mins(10);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Name of the Release.
    pub release: &'a str,
    /// At most how old a rehearsal may be, where that Release says so.
    pub within: Option<SignedDuration>,
    /// The generation of the spec that asks for it.
    pub generation: Option<i64>,
}

/// What is seen, as far as it decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Why there can be no rehearsal; none where there can.
    pub impossible: Option<String>,
    /// The backup.
    pub backup: Backup,
    /// Is the copy there, with a server that runs on it?
    pub is_restored: bool,
    /// The migration job of the present step.
    pub migration: Migration,
}

/// The record that follows from `record`; none where it stays as it is. `current` is the release that runs, none while
/// the instance itself is on its way to another one.
pub fn next(
    record: Option<&RehearsalStatus>,
    wanted: Option<&Wanted<'_>>,
    current: Option<&str>,
    releases: &dyn Releases,
    seen: &Seen,
    now: Timestamp,
) -> Option<RehearsalStatus> {
    match record.filter(|record| !record.phase.is_terminal()) {
        Some(record) if wanted.is_none_or(|wanted| wanted.release != record.to) => {
            Some(entered(record, RehearsalPhase::Withdrawn, now, "nobody asks for it any more"))
        }
        Some(record) if current != Some(&*record.from) => {
            Some(entered(record, RehearsalPhase::Withdrawn, now, "the instance itself goes to another release"))
        }
        Some(record) => advance(record, releases, seen, now),
        None => begin(record, wanted?, current?, releases, seen, now),
    }
}

fn begin(
    ended: Option<&RehearsalStatus>,
    wanted: &Wanted<'_>,
    current: &str,
    releases: &dyn Releases,
    seen: &Seen,
    now: Timestamp,
) -> Option<RehearsalStatus> {
    // What failed is tried again by any further edit of the spec; what went well, once it is too old, or on another release.
    let is_answered = ended.is_some_and(|ended| {
        ended.to == wanted.release
            && match ended.phase {
                RehearsalPhase::Done => {
                    ended.from == current && wanted.within.is_none_or(|within| is_within(ended, within, now))
                }
                _ => ended.generation == wanted.generation,
            }
    });
    if is_answered || wanted.release == current {
        return None;
    }
    let at = whole_seconds(now);
    let record = RehearsalStatus {
        generation: wanted.generation,
        from: current.to_owned(),
        to: wanted.release.to_owned(),
        path: Vec::new(),
        step: 0,
        phase: RehearsalPhase::Backup,
        since: at.clone(),
        started_at: at,
        finished_at: None,
        backup: None,
        restored_at: None,
        backup_seconds: None,
        restore_seconds: None,
        migrate_seconds: 0,
        message: "a backup is taken".into(),
        log_tail: String::new(),
    };
    match (&seen.impossible, releases.way(current, wanted.release)) {
        (Some(why), _) => Some(entered(&record, RehearsalPhase::Failed, now, why)),
        (None, Err(no_way)) => Some(entered(&record, RehearsalPhase::Failed, now, &no_way.to_string())),
        (None, Ok(path)) => Some(RehearsalStatus { path, ..record }),
    }
}

fn advance(record: &RehearsalStatus, releases: &dyn Releases, seen: &Seen, now: Timestamp) -> Option<RehearsalStatus> {
    let took = took(record, now);
    let waited = now.duration_since(record.since.0);
    let is_over = waited >= DEADLINE;
    let fail = |why: &str| Some(entered(record, RehearsalPhase::Failed, now, why));
    if let Some(why) = &seen.impossible {
        return fail(why);
    }
    match record.phase {
        RehearsalPhase::Backup => match &seen.backup {
            Backup::Verified(backup) => {
                let mut after =
                    entered(record, RehearsalPhase::Restore, now, "the backup is restored beside the database");
                after.backup = Some(backup.clone());
                after.backup_seconds = Some(took);
                Some(after)
            }
            Backup::Failed(why) => fail(&format!("there is no backup to restore: {why}")),
            Backup::Running(_) if is_over => fail("the backup was not done in time"),
            Backup::Running(_) => None,
        },
        RehearsalPhase::Restore if seen.is_restored => {
            let restored = RehearsalStatus {
                restored_at: Some(whole_seconds(now)),
                restore_seconds: Some(took),
                ..record.clone()
            };
            Some(migrating_from(&restored, 0, releases, now))
        }
        RehearsalPhase::Restore if is_over => fail("the backup was not restored in time"),
        RehearsalPhase::Migrate => match &seen.migration {
            // The Job has a deadline of its own, so this is for one that nobody runs.
            Migration::Running | Migration::Unanswered if waited >= job_deadline(record, releases) + DEADLINE => {
                fail("the migration did not end in time")
            }
            Migration::Running | Migration::Unanswered => None,
            Migration::Succeeded => {
                let migrate_seconds = record.migrate_seconds.saturating_add(took);
                let after = RehearsalStatus { migrate_seconds, ..record.clone() };
                Some(migrating_from(&after, record.step.saturating_add(1), releases, now))
            }
            Migration::Failed(why, log) => {
                let mut after = entered(record, RehearsalPhase::Failed, now, why);
                log.clone_into(&mut after.log_tail);
                Some(after)
            }
        },
        RehearsalPhase::Restore | RehearsalPhase::Done | RehearsalPhase::Failed | RehearsalPhase::Withdrawn => None,
    }
}

/// The record at the first step from `from` on that moves the data; done where there is none left.
fn migrating_from(record: &RehearsalStatus, from: u32, releases: &dyn Releases, now: Timestamp) -> RehearsalStatus {
    let next = migrating_steps(record, releases).find(|step| *step >= from);
    match next {
        Some(step) => RehearsalStatus {
            step,
            ..entered(record, RehearsalPhase::Migrate, now, "the data of the copy is being moved")
        },
        None => entered(record, RehearsalPhase::Done, now, ""),
    }
}

/// The steps of a way that move the data, by their places.
fn migrating_steps(record: &RehearsalStatus, releases: &dyn Releases) -> impl Iterator<Item = u32> {
    let steps = u32::try_from(record.path.len()).unwrap_or(u32::MAX);
    (0..steps).filter(|step| {
        let from = path::came_from(&record.from, &record.path, *step);
        path::step_end(&record.path, *step).is_some_and(|end| releases.facts(from, end).migrates)
    })
}

/// How long the migration of the present step may take, by its Release as it is today.
fn job_deadline(record: &RehearsalStatus, releases: &dyn Releases) -> SignedDuration {
    let from = path::came_from(&record.from, &record.path, record.step);
    let job = target(record).and_then(|end| releases.step(from, end).migration);
    SignedDuration::from_secs(job.map_or(0, |job| job.deadline_seconds))
}

/// Name of the Release that the present step of a rehearsal ends at.
pub fn target(record: &RehearsalStatus) -> Option<&str> {
    path::step_end(&record.path, record.step)
}

/// Name of the Release that the present step of an Instance's rehearsal ends at; none where none is under way.
pub fn target_of(instance: &Instance) -> Option<&str> {
    let record = instance.status.as_ref()?.rehearsal.as_ref()?;
    (!record.phase.is_terminal()).then(|| target(record)).flatten()
}

/// What is there for a rehearsal, beside the instance itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The backup. One that was taken stays.
    pub backup: bool,
    /// The copy.
    pub copy: bool,
    /// The migration job of the present step.
    pub migration: bool,
}

/// What the present phase asks for.
pub fn wants(record: &RehearsalStatus) -> Wants {
    match record.phase {
        RehearsalPhase::Backup => Wants { backup: true, ..Wants::default() },
        RehearsalPhase::Restore => Wants { copy: true, ..Wants::default() },
        RehearsalPhase::Migrate => Wants { copy: true, migration: true, ..Wants::default() },
        RehearsalPhase::Done | RehearsalPhase::Failed | RehearsalPhase::Withdrawn => Wants::default(),
    }
}

/// Name of the Backup of a rehearsal: another for each.
pub fn backup_name(record: &RehearsalStatus) -> String {
    format!("rehearsal-{}", &crate::fingerprint::of(&(&record.to, &record.started_at))[..10])
}

/// Name of the Cluster with the copy: another for each, as what one leaves behind goes after it, in its own time.
pub fn copy_name(record: &RehearsalStatus) -> String {
    backup_name(record)
}

/// Name of the migration Job of the present step of a rehearsal.
pub fn job_name(record: &RehearsalStatus) -> String {
    format!("rehearsal-{}", &crate::fingerprint::of(&(&record.to, &record.started_at, record.step))[..10])
}

/// When a rehearsal has to be looked at again because time has passed: its deadline, and then from time to time.
pub fn look_again(record: &RehearsalStatus, now: Timestamp) -> Option<Timestamp> {
    match record.phase {
        RehearsalPhase::Backup | RehearsalPhase::Restore | RehearsalPhase::Migrate => {
            let deadline = record.since.0.checked_add(DEADLINE).ok()?;
            if deadline > now { Some(deadline) } else { now.checked_add(LONG).ok() }
        }
        RehearsalPhase::Done | RehearsalPhase::Failed | RehearsalPhase::Withdrawn => None,
    }
}

/// What an Instance's spec asks to be rehearsed, given that Release.
pub fn wanted<'i>(instance: &'i Instance, release: Option<&Release>) -> Option<Wanted<'i>> {
    let within = release.and_then(|release| release.spec.rehearsed_within_days).map(days);
    Some(Wanted { release: instance.spec.rehearse.as_deref()?, within, generation: instance.metadata.generation })
}

/// Why the way of an instance to `release` was not rehearsed as lately as that asks for, as a sentence; none where it was.
pub fn unrehearsed(release: &Release, instance: &Instance, now: Timestamp) -> Option<String> {
    let within = release.spec.rehearsed_within_days?;
    let status = instance.status.as_ref();
    let (name, version) = (release.metadata.name.as_deref().unwrap_or_default(), &release.spec.version);
    let running = status.and_then(|status| status.release.as_ref()).map(|running| running.name.as_str());
    let known = status.and_then(|status| status.rehearsal.as_ref()).filter(|known| known.to == name);
    let needs = format!("{version} needs a rehearsal of the last {within} days on a copy of its data");
    let ask = format!("set spec.rehearse: {name}");
    match known {
        None => Some(format!("{needs}, and there was none: {ask}")),
        Some(known) if !known.phase.is_terminal() => Some(format!("{needs}, which is under way ({})", known.phase)),
        Some(known) if known.phase != RehearsalPhase::Done => Some(format!(
            "{needs}, and the last ended {}: {}; {ask}, by another edit where it says so already",
            known.phase, known.message
        )),
        Some(known) if Some(&*known.from) != running => {
            Some(format!("{needs}, and the last was from {}, which runs no more: {ask}", known.from))
        }
        Some(known) if !is_within(known, days(within), now) => Some(format!("{needs}, and the last is older: {ask}")),
        Some(_) => None,
    }
}

/// Did the last rehearsal of an instance's way to that release end badly?
pub(crate) fn has_failed(instance: &Instance, release: &str) -> bool {
    let record = instance.status.as_ref().and_then(|status| status.rehearsal.as_ref());
    record.is_some_and(|record| {
        record.to == release && matches!(record.phase, RehearsalPhase::Failed | RehearsalPhase::Withdrawn)
    })
}

/// How long a backup and each migration of the way of an instance to `release` took when it was rehearsed, from the
/// release it runs now.
pub fn measured(instance: &Instance, release: &str, releases: &dyn Releases) -> Option<Measured> {
    let status = instance.status.as_ref()?;
    let record = status.rehearsal.as_ref()?;
    let is_it = record.phase == RehearsalPhase::Done
        && record.to == release
        && status.release.as_ref().is_some_and(|running| running.name == record.from);
    let migrations = u32::try_from(migrating_steps(record, releases).count()).unwrap_or(u32::MAX);
    let seconds = |seconds: u32| SignedDuration::from_secs(seconds.into());
    is_it.then(|| Measured {
        backup: seconds(record.backup_seconds.unwrap_or_default()),
        migrate: seconds(record.migrate_seconds.checked_div(migrations).unwrap_or_default()),
    })
}

/// What a rehearsal says of how long the real way takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The backup.
    pub backup: SignedDuration,
    /// One migration, on the average.
    pub migrate: SignedDuration,
}

/// Was the copy of a rehearsal restored so lately?
pub(crate) fn restored_within(instance: &Instance, within: SignedDuration, now: Timestamp) -> bool {
    let record = instance.status.as_ref().and_then(|status| status.rehearsal.as_ref());
    let at = record.and_then(|record| record.restored_at.as_ref());
    at.is_some_and(|at| (SignedDuration::ZERO..=within).contains(&now.duration_since(at.0)))
}

fn is_within(record: &RehearsalStatus, within: SignedDuration, now: Timestamp) -> bool {
    record.finished_at.as_ref().is_some_and(|at| now.duration_since(at.0) <= within)
}

/// So many days, of 24 hours each.
pub(crate) fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days))
}

/// How long its present phase has taken, in seconds.
fn took(record: &RehearsalStatus, now: Timestamp) -> u32 {
    u32::try_from(now.duration_since(record.since.0).as_secs().max(0)).unwrap_or(u32::MAX)
}

fn entered(record: &RehearsalStatus, phase: RehearsalPhase, now: Timestamp, message: &str) -> RehearsalStatus {
    let at = whole_seconds(now);
    RehearsalStatus {
        phase,
        since: at.clone(),
        finished_at: phase.is_terminal().then_some(at),
        message: message.to_owned(),
        ..record.clone()
    }
}
