use super::*;
use crate::path::Graph;
use proptest::prelude::*;
use serde_json::json;

fn release(version: &str, from: &[&str], migrates: bool) -> Release {
    let mut spec = json!({
        "application": "app", "versionScheme": "Dotted", "version": format!("{version}.0"),
        "reachableFrom": from.iter().map(|from| format!("{from}.0")).collect::<Vec<_>>(), "components": [],
        "rehearsedWithinDays": 7,
    });
    if migrates {
        spec["migration"] = json!({"image": "i", "reversible": false});
    }
    serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Release",
        "metadata": {"name": format!("app-{version}")}, "spec": spec}))
    .unwrap()
}

/// From 1 to 4, of whose steps the first and the last move the data.
fn releases() -> Graph {
    Graph::new(&[
        release("1", &["0"], false),
        release("2", &["1"], true),
        release("3", &["2"], false),
        release("4", &["3"], true),
    ])
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn to_4() -> Wanted<'static> {
    Wanted { release: "app-4", within: Some(days(7)), generation: Some(1) }
}

fn step(
    record: Option<&RehearsalStatus>,
    wanted: Option<&Wanted<'_>>,
    seen: &Seen,
    second: i64,
) -> Option<RehearsalStatus> {
    next(record, wanted, Some("app-1"), &releases(), seen, at(second))
}

fn good() -> Seen {
    Seen { impossible: None, backup: Backup::Verified("b".into()), is_restored: true, migration: Migration::Succeeded }
}

/// The records of a rehearsal in which each phase takes ten seconds.
fn all(seen: &Seen) -> Vec<RehearsalStatus> {
    let mut records = vec![step(None, Some(&to_4()), seen, 0).unwrap()];
    while let Some(after) = step(records.last(), Some(&to_4()), seen, 10 * i64::try_from(records.len()).unwrap()) {
        records.push(after);
    }
    records
}

#[test]
fn the_copy_goes_by_every_step_that_moves_the_data_and_each_is_measured() {
    let records = all(&good());
    let told: Vec<_> = records.iter().map(|one| (one.phase, target(one).unwrap())).collect();
    assert_eq!(
        told,
        [
            (RehearsalPhase::Backup, "app-2"),
            (RehearsalPhase::Restore, "app-2"),
            (RehearsalPhase::Migrate, "app-2"),
            (RehearsalPhase::Migrate, "app-4"),
            (RehearsalPhase::Done, "app-4"),
        ]
    );
    let last = records.last().unwrap();
    assert_eq!((last.backup_seconds, last.restore_seconds, last.migrate_seconds), (Some(10), Some(10), 20));
    assert_ne!(job_name(&records[2]), job_name(&records[3]), "another job for each");
}

#[test]
fn nothing_is_there_before_it_is_asked_for_nor_after_it_has_ended() {
    assert_eq!(step(None, None, &good(), 0), None);
    let there: Vec<_> = all(&good()).iter().map(wants).map(|one| (one.backup, one.copy, one.migration)).collect();
    let (backup, copy, job) = ((true, false, false), (false, true, false), (false, true, true));
    assert_eq!(there, [backup, copy, job, job, (false, false, false)]);
}

#[test]
fn a_failure_ends_it_and_any_further_edit_tries_again() {
    for (seen, why) in [
        (Seen { backup: Backup::Failed("no place".into()), ..good() }, "there is no backup to restore: no place"),
        (Seen { migration: Migration::Failed("exit 3".into(), "the end".into()), ..good() }, "exit 3"),
        (Seen { impossible: Some("no database".into()), ..good() }, "no database"),
    ] {
        let last = all(&seen).pop().unwrap();
        assert_eq!((last.phase, &*last.message), (RehearsalPhase::Failed, why));
        assert_eq!(step(Some(&last), Some(&to_4()), &seen, 99), None, "not by itself");
        let edited = Wanted { generation: Some(2), ..to_4() };
        assert_eq!(step(Some(&last), Some(&edited), &good(), 99).unwrap().phase, RehearsalPhase::Backup);
    }
    let failed =
        all(&Seen { migration: Migration::Failed("exit 3".into(), "the end".into()), ..good() }).pop().unwrap();
    assert_eq!(failed.log_tail, "the end");
}

#[test]
fn what_does_not_end_is_given_up() {
    let waits = Seen { backup: Backup::Running(String::new()), is_restored: false, ..good() };
    let begun = step(None, Some(&to_4()), &waits, 0).unwrap();
    let deadline = DEADLINE.as_secs();
    assert_eq!(step(Some(&begun), Some(&to_4()), &waits, deadline - 1), None);
    assert_eq!(look_again(&begun, at(1)), Some(at(deadline)));
    assert_eq!(step(Some(&begun), Some(&to_4()), &waits, deadline).unwrap().phase, RehearsalPhase::Failed);
    let restoring = step(Some(&begun), Some(&to_4()), &Seen { is_restored: false, ..good() }, 5).unwrap();
    assert_eq!(
        step(Some(&restoring), Some(&to_4()), &waits, 5 + deadline).unwrap().message,
        "the backup was not restored in time"
    );
}

/// What leads on from every phase, as a table: nothing moves and time passes, a person takes it back, asks for another
/// release, edits anything, and the instance itself goes on.
#[test]
fn from_every_phase_time_or_a_person_leads_on() {
    let table = |record: &RehearsalStatus| {
        let (idle, edited) = (Seen::default(), Wanted { generation: Some(2), ..to_4() });
        let other = Wanted { release: "app-2", ..to_4() };
        let follows = |wanted: Option<&Wanted<'_>>, current: &str, days: i64| {
            let now = record.since.0 + SignedDuration::from_hours(24 * days);
            next(Some(record), wanted, Some(current), &releases(), &idle, now).map(|after| after.phase)
        };
        [
            follows(Some(&to_4()), "app-1", 1),
            follows(None, "app-1", 0),
            follows(Some(&other), "app-1", 0),
            follows(Some(&edited), "app-1", 0),
            follows(Some(&to_4()), "app-2", 0),
        ]
    };

    let of_phase = |phase: RehearsalPhase| {
        let ended = all(&good()).into_iter().find(|one| one.phase == phase);
        ended.unwrap_or_else(|| entered(&all(&good())[0], phase, at(0), "why"))
    };
    let (anew, failed, withdrawn) =
        (Some(RehearsalPhase::Backup), Some(RehearsalPhase::Failed), Some(RehearsalPhase::Withdrawn));
    for phase in [RehearsalPhase::Backup, RehearsalPhase::Restore, RehearsalPhase::Migrate] {
        assert_eq!(table(&of_phase(phase)), [failed, withdrawn, withdrawn, None, withdrawn], "{phase}");
    }
    for phase in [RehearsalPhase::Failed, RehearsalPhase::Withdrawn] {
        assert_eq!(table(&of_phase(phase)), [None, None, anew, anew, None], "{phase}");
    }
    assert_eq!(table(&of_phase(RehearsalPhase::Done)), [None, None, anew, None, anew], "Done, for a week");
}

/// Its Job is there, and no controller says that it began or ended.
#[test]
fn a_migration_that_nobody_runs_is_given_up() {
    let idle = Seen { migration: Migration::Running, ..good() };
    let migrating = all(&idle).pop().unwrap();
    assert_eq!(migrating.phase, RehearsalPhase::Migrate);

    let begun = migrating.since.0;
    let hour = SignedDuration::from_hours(1);
    let follows = |now| next(Some(&migrating), Some(&to_4()), Some("app-1"), &releases(), &idle, now);
    assert_eq!(look_again(&migrating, begun), Some(begun + DEADLINE));
    assert_eq!(follows(begun + DEADLINE), None, "a Release allows an hour where it says nothing");
    assert_eq!(look_again(&migrating, begun + DEADLINE), Some(begun + DEADLINE + LONG));
    let after = follows(begun + DEADLINE + hour).unwrap();
    assert_eq!((after.phase, &*after.message), (RehearsalPhase::Failed, "the migration did not end in time"));
}

#[test]
fn it_is_withdrawn_where_nobody_asks_for_it_or_the_instance_itself_goes_on() {
    for record in all(&good()).iter().filter(|one| !one.phase.is_terminal()) {
        let other = Wanted { release: "app-2", ..to_4() };
        for wanted in [None, Some(&other)] {
            assert_eq!(step(Some(record), wanted, &good(), 50).unwrap().phase, RehearsalPhase::Withdrawn);
        }
        for current in [None, Some("app-2")] {
            let after = next(Some(record), Some(&to_4()), current, &releases(), &good(), at(50)).unwrap();
            assert_eq!(after.phase, RehearsalPhase::Withdrawn);
        }
    }
}

#[test]
fn a_good_one_is_not_repeated_before_it_is_too_old_or_of_another_release() {
    let done = all(&good()).pop().unwrap();
    let edited = Wanted { generation: Some(2), ..to_4() };
    let week = 7 * 24 * 3600;
    assert_eq!(step(Some(&done), Some(&edited), &good(), 99), None);
    assert_eq!(step(Some(&done), Some(&to_4()), &good(), week), None);
    assert!(step(Some(&done), Some(&to_4()), &good(), week + 99).is_some());
    let of_2 = |done| next(Some(done), Some(&to_4()), Some("app-2"), &releases(), &good(), at(99));
    assert_eq!(of_2(&done).unwrap().from, "app-2");
    assert_eq!(next(Some(&done), Some(&to_4()), Some("app-4"), &releases(), &good(), at(99)), None, "it is there");
}

#[test]
fn a_way_that_nothing_leads_along_is_told() {
    let nowhere = Wanted { release: "app-9", ..to_4() };
    let refused = step(None, Some(&nowhere), &good(), 0).unwrap();
    assert_eq!(refused.phase, RehearsalPhase::Failed);
    assert!(refused.message.contains("app-9"), "{}", refused.message);
}

fn instance(running: &str, rehearsal: Option<&RehearsalStatus>) -> Instance {
    serde_json::from_value(json!({
        "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance", "metadata": {"name": "a", "namespace": "hub"},
        "spec": {"application": "app", "establishment": "e"},
        "status": {"release": {"name": running, "version": "1"}, "rehearsal": rehearsal},
    }))
    .unwrap()
}

#[test]
fn only_a_good_one_lately_from_what_runs_will_do() {
    let (records, release) = (all(&good()), release("4", &["3"], true));
    let done = records.last().unwrap();
    let why = |running: &str, record: Option<&RehearsalStatus>, second: i64| {
        unrehearsed(&release, &instance(running, record), at(second)).unwrap_or_default()
    };
    assert_eq!(why("app-1", Some(done), 99), "");
    assert!(why("app-1", None, 99).contains("there was none: set spec.rehearse: app-4"));
    assert!(why("app-1", Some(&records[2]), 99).contains("is under way (Migrate)"));
    assert!(why("app-2", Some(done), 99).contains("was from app-1"));
    assert!(why("app-1", Some(done), 8 * 24 * 3600).contains("is older"));
    let failed = all(&Seen { impossible: Some("no database".into()), ..good() }).pop().unwrap();
    assert!(why("app-1", Some(&failed), 99).contains("ended Failed: no database"));
}

#[test]
fn what_it_took_is_what_the_way_is_taken_to_take() {
    let done = all(&good()).pop().unwrap();
    let ten = SignedDuration::from_secs(10);
    let measured = |running: &str| measured(&instance(running, Some(&done)), "app-4", &releases());
    assert_eq!(measured("app-1"), Some(Measured { backup: ten, migrate: ten }));
    assert_eq!(measured("app-2"), None, "of another way");
    assert!(restored_within(&instance("app-1", Some(&done)), days(1), at(99)));
    assert!(!restored_within(&instance("app-1", Some(&done)), days(1), at(99 + 24 * 3600)));
}

proptest! {
    /// Whatever is seen and asked, in whatever order: it ends once, and is never past its way's end.
    #[test]
    fn it_goes_forward_and_ends_once(
        looks in proptest::collection::vec((0u8..4, 0u8..3, any::<bool>(), 0u8..3, 0u8..8, 0i64..30_000), 1..40),
    ) {
        let (mut record, mut second): (Option<RehearsalStatus>, i64) = (None, 0);
        for (asked, backup, is_restored, migration, rare, wait) in looks {
            second += wait;
            let wanted = [None, Some("app-2"), Some("app-4"), Some("app-4")][usize::from(asked)];
            let wanted = wanted.map(|release| Wanted { release, ..to_4() });
            let seen = Seen {
                impossible: (rare == 0).then(|| "no".to_owned()),
                backup: [Backup::Running(String::new()), Backup::Verified("b".into()), Backup::Failed("f".into())][usize::from(backup)].clone(),
                is_restored,
                migration: [Migration::Running, Migration::Succeeded, Migration::Failed("f".into(), String::new())][usize::from(migration)].clone(),
            };
            let current = if rare == 1 { None } else { Some("app-1") };
            let Some(after) = next(record.as_ref(), wanted.as_ref(), current, &releases(), &seen, at(second)) else { continue };
            prop_assert!(record.as_ref() != Some(&after), "a record that changes nothing");
            prop_assert_eq!(after.phase.is_terminal(), after.finished_at.is_some());
            prop_assert_eq!(after.phase == RehearsalPhase::Migrate, wants(&after).migration);
            if after.phase == RehearsalPhase::Migrate {
                prop_assert!(after.backup.is_some() && after.restored_at.is_some() && target(&after).is_some());
            }
            if let Some(before) = record.filter(|before| !before.phase.is_terminal()) {
                prop_assert!((before.phase, before.step) < (after.phase, after.step) || after.phase.is_terminal());
                prop_assert_eq!(&before.started_at, &after.started_at);
            }
            record = Some(after);
        }
    }
}
