use super::*;
use crate::path::{NoWay, StepFacts};
use gotocloud_api::campaign::OnFailure;
use jiff::{SignedDuration, Timestamp};

const PLAIN: StepFacts = StepFacts { migrates: false, irreversible: false };
const REVERSIBLE: StepFacts = StepFacts { migrates: true, irreversible: false };
const IRREVERSIBLE: StepFacts = StepFacts { migrates: true, irreversible: true };

/// An instance on its way: releases `r0`, `r1`, `r2`…, each reached from the one before by a step of those facts.
#[derive(Clone)]
struct Way {
    steps: Vec<StepFacts>,
    terms: Terms,
    seen: Seen,
    wanted: Option<Wanted>,
    record: Option<UpgradeStatus>,
    current: String,
    now: Timestamp,
}

/// Releases `r0`, `r1`…, each reached from the one before.
struct Steps(Vec<StepFacts>);

fn number(name: &str) -> Option<usize> {
    name.strip_prefix('r').and_then(|number| number.parse().ok())
}

impl Releases for Steps {
    fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay> {
        match (number(from), number(to)) {
            (Some(from), Some(to)) if from < to => Ok((from + 1..=to).map(|at| format!("r{at}")).collect()),
            (Some(from), Some(to)) if from == to => Ok(vec![format!("r{to}")]),
            _ => Err(NoWay::Unknown(to.to_owned())),
        }
    }

    fn facts(&self, before: &str, release: &str) -> StepFacts {
        match (number(before), number(release)) {
            (Some(before), Some(release)) if before + 1 == release => self.0[before],
            _ => PLAIN,
        }
    }
}

#[allow(clippy::unnecessary_wraps)] // as it is given to the machine
fn to(release: &str) -> Option<Wanted> {
    Some(Wanted { release: release.to_owned(), rollout: None, generation: Some(2) })
}

#[allow(clippy::unnecessary_wraps)] // as it is given to the machine
fn by_campaign(release: &str, attempt: u32) -> Option<Wanted> {
    let rollout = Rollout { campaign: "c".into(), uid: "u".into(), wave: "w".into(), attempt, wants: release.into() };
    Some(Wanted { release: release.to_owned(), rollout: Some(rollout), generation: Some(2) })
}

impl Way {
    fn new(steps: &[StepFacts]) -> Self {
        Self {
            steps: steps.to_vec(),
            terms: Terms::default(),
            seen: Seen { pods: Some("not yet".into()), ..Seen::default() },
            wanted: by_campaign(&format!("r{}", steps.len()), 1),
            record: None,
            current: "r0".into(),
            now: Timestamp::from_second(1_700_000_000).unwrap(),
        }
    }

    fn next(&mut self) -> Option<UpgradePhase> {
        let steps = Steps(self.steps.clone());
        let course = Course { releases: &steps, terms: &self.terms, seen: &self.seen, now: self.now };
        let record = next(self.record.as_ref(), self.wanted.as_ref(), &self.current, course)?;
        self.current.clone_from(&record.active);
        self.record = Some(record);
        Some(self.phase())
    }

    fn until(&mut self, phase: UpgradePhase) {
        for _ in 0..10 {
            if self.record.as_ref().is_some_and(|record| record.phase == phase) {
                return;
            }
            if self.next().is_none() {
                self.see_all_well();
            }
        }
        panic!("never {phase}: {:?}", self.record);
    }

    fn see_all_well(&mut self) {
        self.seen = Seen { backup: Backup::Verified("b1".into()), migration: Migration::Succeeded, ..Seen::default() };
    }

    fn phase(&self) -> UpgradePhase {
        self.record.as_ref().unwrap().phase
    }

    fn wait(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
    }

    fn message(&self) -> &str {
        &self.record.as_ref().unwrap().message
    }

    fn wants(&self) -> Wants {
        wants(self.record.as_ref().unwrap())
    }
}

#[test]
fn a_step_without_migration_replaces_pods_and_is_done() {
    let mut way = Way::new(&[PLAIN]);
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
    assert_eq!(way.current, "r1");
    assert_eq!(way.next(), None);
    way.see_all_well();
    assert_eq!(way.next(), Some(UpgradePhase::Done));
    assert_eq!(way.next(), None);
}

#[test]
fn pods_run_the_old_release_until_the_data_was_moved() {
    let mut way = Way::new(&[REVERSIBLE]);
    assert_eq!(way.next(), Some(UpgradePhase::Migrate));
    assert_eq!((way.current.as_str(), way.wants()), ("r0", Wants { migration: true, ..Wants::default() }));
    way.seen.migration = Migration::Succeeded;
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
    assert_eq!(way.current, "r1");
}

#[test]
fn what_cannot_be_undone_waits_for_a_verified_backup_with_pods_stopped() {
    let mut way = Way::new(&[IRREVERSIBLE]);
    assert_eq!(way.next(), Some(UpgradePhase::Backup));
    assert_eq!(way.wants(), Wants { backup: true, migration: false, no_pods: true });
    assert_eq!(way.next(), None);
    way.seen.backup = Backup::Verified("b1".into());
    assert_eq!(way.next(), Some(UpgradePhase::Migrate));
    assert!(way.wants().no_pods && way.record.as_ref().unwrap().backup.as_deref() == Some("b1"));
}

#[test]
fn without_a_backup_nothing_is_changed() {
    let mut way = Way::new(&[IRREVERSIBLE]);
    way.until(UpgradePhase::Backup);
    way.seen.backup = Backup::Failed("the store is full".into());
    assert_eq!(way.next(), Some(UpgradePhase::Failed));
    assert!(way.message().contains("nothing was changed") && way.message().contains("the store is full"));
    assert_eq!((way.current.as_str(), way.wants()), ("r0", Wants::default()));
}

#[test]
fn no_step_of_the_way_is_left_out() {
    use UpgradePhase::{Backup, Done, Migrate, Rollout};
    let mut way = Way::new(&[PLAIN, IRREVERSIBLE, REVERSIBLE]);
    let mut seen = Vec::new();
    for _ in 0..30 {
        match way.next() {
            Some(phase) => seen.push((phase, way.record.as_ref().unwrap().step)),
            None => way.see_all_well(),
        }
    }
    assert_eq!(seen, [(Rollout, 0), (Backup, 1), (Migrate, 1), (Rollout, 1), (Migrate, 2), (Rollout, 2), (Done, 2)]);
}

#[test]
fn pods_that_do_not_come_up_in_time_take_it_back() {
    let mut way = Way::new(&[PLAIN]);
    way.until(UpgradePhase::Rollout);
    way.wait(14);
    assert_eq!(way.next(), None);
    way.wait(1);
    assert_eq!(way.next(), Some(UpgradePhase::RollingBack));
    assert_eq!(way.current, "r0");
    way.seen.pods = None;
    assert_eq!(way.next(), Some(UpgradePhase::RolledBack));
    assert!(way.message().contains("not ready in time: not yet"));
}

#[test]
fn it_goes_back_over_every_step_that_can_be_undone_and_over_no_other() {
    for (steps, back) in [([REVERSIBLE, PLAIN], "r0"), ([IRREVERSIBLE, PLAIN], "r1")] {
        let mut way = Way::new(&steps);
        while way.record.as_ref().is_none_or(|record| record.step == 0) {
            if way.next().is_none() {
                way.see_all_well();
            }
        }
        way.seen.pods = Some("crash loop".into());
        way.wait(15);
        assert_eq!(way.next(), Some(UpgradePhase::RollingBack));
        assert_eq!(way.current, back);
    }
}

#[test]
fn after_a_migration_that_cannot_be_undone_a_failure_names_the_backup_to_restore() {
    let mut way = Way::new(&[IRREVERSIBLE]);
    way.until(UpgradePhase::Migrate);
    way.seen.migration = Migration::Failed("exit code 3".into(), "no such column".into());
    assert_eq!(way.next(), Some(UpgradePhase::Failed));
    assert!(way.message().contains("restore the backup b1"), "{}", way.message());
    assert_eq!(way.record.as_ref().unwrap().log_tail, "no such column");
    assert!(way.wants().no_pods, "neither release can run on data half way");
}

#[test]
fn another_try_of_a_migration_that_failed_half_way_keeps_the_backup_of_the_data_as_it_was() {
    let mut way = Way::new(&[IRREVERSIBLE]);
    way.until(UpgradePhase::Migrate);
    way.seen.migration = Migration::Failed("exit code 3".into(), String::new());
    way.next();
    assert_eq!(way.next(), None);
    way.seen.go_on_with.clone_from(&way.record.as_ref().unwrap().migration);
    assert_eq!(way.next(), Some(UpgradePhase::Migrate));
    assert_eq!(way.record.as_ref().unwrap().backup.as_deref(), Some("b1"));
}

#[test]
fn a_further_attempt_of_a_campaign_runs_no_migration_again_that_broke_off() {
    let mut way = Way::new(&[IRREVERSIBLE]);
    way.until(UpgradePhase::Migrate);
    way.seen.migration = Migration::Failed("exit code 3".into(), String::new());
    way.next();
    way.wanted = by_campaign("r1", 2);
    assert_eq!(way.next(), None, "it may have been asked for before the migration broke off, for others");
}

#[test]
fn what_is_to_stay_as_it_is_stays() {
    for on_failure in [OnFailure::Pause, OnFailure::Continue] {
        let mut way = Way::new(&[PLAIN]);
        way.terms.on_failure = on_failure;
        way.until(UpgradePhase::Rollout);
        way.seen.pods = Some("crash loop".into());
        way.wait(15);
        assert_eq!(way.next(), Some(UpgradePhase::Failed));
        assert_eq!(way.current, "r1");
    }
}

#[test]
fn it_is_watched_for_as_long_as_its_wave_says() {
    let mut way = Way::new(&[PLAIN]);
    way.terms.soak = SignedDuration::from_hours(24);
    way.until(UpgradePhase::Soak);
    way.wait(24 * 60 - 1);
    assert_eq!(way.next(), None);
    way.seen.pods = Some("a node was drained".into());
    way.seen.unready_since = Some(way.now);
    way.wait(1);
    assert_eq!(way.next(), None, "a pod that moves is no failure");
    way.seen = Seen::default();
    assert_eq!(way.next(), Some(UpgradePhase::Done));
}

#[test]
fn pods_that_stay_away_while_it_is_watched_take_it_back() {
    let mut way = Way::new(&[PLAIN]);
    way.terms.soak = SignedDuration::from_hours(24);
    way.until(UpgradePhase::Soak);
    way.seen.pods = Some("crash loop".into());
    way.seen.unready_since = Some(way.now);
    way.wait(15);
    assert_eq!(way.next(), Some(UpgradePhase::RollingBack));
    assert!(way.message().contains("while it was watched: crash loop"));
}

#[test]
fn a_gate_that_cannot_be_told_is_not_taken_for_true_nor_for_false() {
    let mut way = Way::new(&[PLAIN]);
    way.until(UpgradePhase::Rollout);
    way.see_all_well();
    way.seen.gates = Gates::Unknown("Prometheus does not answer".into());
    assert_eq!(way.next(), Some(UpgradePhase::Verify));
    way.wait(10_000);
    assert_eq!(way.next(), Some(UpgradePhase::Verify));
    assert_eq!(way.message(), "Prometheus does not answer");
    assert_eq!(way.next(), None);
    for (aborting, is_campaign_gone) in [(true, false), (false, true)] {
        let mut left = way.clone();
        (left.terms.aborting, left.terms.is_campaign_gone) = (aborting, is_campaign_gone);
        assert_eq!(left.next(), Some(UpgradePhase::RollingBack), "nobody waits any more");
    }
}

#[test]
fn a_gate_that_is_false_takes_it_back_in_the_end() {
    let mut way = Way::new(&[PLAIN]);
    way.until(UpgradePhase::Rollout);
    way.see_all_well();
    way.seen.gates = Gates::False("errors".into());
    way.until(UpgradePhase::Verify);
    way.next();
    way.seen.gates = Gates::False("errors".into());
    way.wait(15);
    assert_eq!(way.next(), Some(UpgradePhase::RollingBack));
}

#[test]
fn what_was_asked_for_can_be_taken_back_until_something_is_touched() {
    let mut way = Way::new(&[IRREVERSIBLE]);
    way.until(UpgradePhase::Backup);
    way.wanted = None;
    assert_eq!(way.next(), Some(UpgradePhase::Withdrawn));
    assert_eq!(way.current, "r0");
    assert_eq!(way.next(), None);

    let mut way = Way::new(&[REVERSIBLE]);
    way.until(UpgradePhase::Migrate);
    way.wanted = None;
    assert_eq!(way.next(), None, "a step that began is finished");
    way.until(UpgradePhase::Done);
}

#[test]
fn what_was_answered_is_not_begun_again_but_by_another_attempt() {
    let mut way = Way::new(&[PLAIN]);
    way.until(UpgradePhase::Rollout);
    way.wait(15);
    way.next();
    way.see_all_well();
    way.until(UpgradePhase::RolledBack);
    assert_eq!(way.next(), None);
    way.wanted.as_mut().unwrap().generation = Some(7);
    assert_eq!(way.next(), None, "any other edit of the Instance asks for nothing new");
    way.wanted = by_campaign("r1", 2);
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
}

#[test]
fn by_hand_any_further_edit_asks_again() {
    let mut way = Way::new(&[PLAIN]);
    way.wanted = to("r1");
    way.until(UpgradePhase::Rollout);
    way.seen.pods = Some("crash loop".into());
    way.wait(15);
    way.until(UpgradePhase::RolledBack);
    assert_eq!(way.next(), None);
    way.wanted.as_mut().unwrap().generation = Some(3);
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
}

#[test]
fn a_release_that_is_not_reached_is_refused_with_the_reason() {
    let mut way = Way::new(&[PLAIN]);
    way.wanted = by_campaign("x9", 1);
    assert_eq!(way.next(), Some(UpgradePhase::Refused));
    assert!(way.message().contains("x9"));
    assert_eq!(way.current, "r0");
}

#[test]
fn what_holds_it_up_is_said_once_and_it_begins_when_that_has_passed() {
    let mut way = Way::new(&[PLAIN]);
    way.terms.hold = Some("the registrations".into());
    assert_eq!(way.next(), Some(UpgradePhase::Preflight));
    assert_eq!(way.message(), "the registrations");
    assert_eq!(way.next(), None);
    way.terms.hold = None;
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
}

#[test]
fn a_campaign_is_told_of_an_instance_that_is_there_already() {
    let mut way = Way::new(&[]);
    way.seen = Seen::default();
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
    assert_eq!(way.next(), Some(UpgradePhase::Done));
    let mut way = Way::new(&[]);
    way.wanted = to("r0");
    assert_eq!(way.next(), None);
}

#[test]
fn what_is_refused_to_a_person_begins_once_nothing_speaks_against_it() {
    let mut way = Way::new(&[PLAIN]);
    way.wanted = to("r1");
    way.terms.refusal = Some("it needs an endpoint that nobody has".into());
    assert_eq!(way.next(), Some(UpgradePhase::Refused));
    assert_eq!(way.next(), None, "at rest nothing is written");
    way.terms.refusal = Some("it needs a quota".into());
    assert_eq!(way.next(), Some(UpgradePhase::Refused));
    assert_eq!(way.message(), "it needs a quota");
    way.terms.refusal = None;
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
}

#[test]
fn what_is_refused_to_a_campaign_begins_by_another_attempt() {
    let mut way = Way::new(&[PLAIN]);
    way.terms.refusal = Some("it needs a quota".into());
    assert_eq!(way.next(), Some(UpgradePhase::Refused));
    way.terms.refusal = None;
    assert_eq!(way.next(), None);
    way.wanted = by_campaign("r1", 2);
    assert_eq!(way.next(), Some(UpgradePhase::Rollout));
}
