//! What leads on from every phase? The table of docs/campaigns.md, worked out by the machine itself.

use super::*;
use crate::{
    campaign,
    path::{NoWay, StepFacts},
};
use gotocloud_api::{
    CampaignSpec,
    campaign::{CampaignState, OnFailure},
    upgrade::{PointOfNoReturn, StepMigration, UpgradeTerms},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::fmt::Write as _;

/// What happens to an instance in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// All is well.
    Well,
    /// Nothing moves, and the deadline passes.
    Late,
    /// The plan is refused, and the deadline passes.
    Refused,
    /// What the phase waits for fails.
    Fails,
    /// A person sets the release back.
    SetBack,
    /// A person asks for a third release.
    Another,
    /// A person edits anything else of the spec.
    Edited,
    /// A person says that the data is restored.
    Restored,
    /// A person says that the migration is to be run again.
    GoOn,
}

const EVENTS: [(Event, &str); 9] = [
    (Event::Well, "all is well"),
    (Event::Late, "deadline"),
    (Event::Refused, "refused, deadline"),
    (Event::Fails, "it fails"),
    (Event::SetBack, "release set back"),
    (Event::Another, "another release"),
    (Event::Edited, "any other edit"),
    (Event::Restored, "`restored`"),
    (Event::GoOn, "`go-on-with`"),
];

/// Releases that are each reached from any other.
struct Reached;

impl Releases for Reached {
    fn way(&self, _: &str, to: &str) -> Result<Vec<String>, NoWay> {
        Ok(vec![to.to_owned()])
    }

    fn facts(&self, _: &str, _: &str) -> StepFacts {
        StepFacts::default()
    }

    fn is_older(&self, release: &str, _: &str) -> bool {
        release == "old"
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A record in that phase, of a way from `old` to `new` by a migration.
fn record(phase: UpgradePhase, reversible: bool) -> UpgradeStatus {
    let migration = StepMigration { reversible, digest: String::new(), deadline_seconds: 3600 };
    let is_new =
        matches!(phase, UpgradePhase::Rollout | UpgradePhase::Verify | UpgradePhase::Soak | UpgradePhase::Done);
    let is_moved = is_new || phase == UpgradePhase::Failed;

    UpgradeStatus {
        rollout: None,
        generation: Some(2),
        from: "old".into(),
        to: "new".into(),
        path: Vec::new(),
        steps: vec![UpgradeStep { release: "new".into(), migration: Some(migration) }],
        step: 0,
        terms: Some(UpgradeTerms {
            gates: Vec::new(),
            on_failure: OnFailure::Rollback,
            soak_seconds: 86_400,
            progress_deadline_seconds: 900,
            backup_deadline_seconds: 21_600,
        }),
        active: if is_new { "new" } else { "old" }.into(),
        phase,
        since: Time(at(0)),
        started_at: Time(at(0)),
        finished_at: phase.is_terminal().then(|| Time(at(0))),
        backup: (is_moved && !reversible).then(|| "b".into()),
        migration: (is_moved || phase == UpgradePhase::Migrate).then(|| "j".into()),
        taken_back: false,
        message: String::new(),
        log_tail: String::new(),
        revision: None,
    }
}

/// Every phase, with that of a migration whose Job was not seen yet.
fn rows(reversible: bool) -> Vec<(String, UpgradeStatus)> {
    let mut rows: Vec<_> =
        UpgradePhase::ALL.map(|phase| (format!("`{phase}`"), record(phase, reversible))).into_iter().collect();
    let unseen = UpgradeStatus { migration: None, ..record(UpgradePhase::Migrate, reversible) };
    rows.insert(2, ("`Migrate`, no Job yet".to_owned(), unseen));
    rows
}

/// What follows, as a cell of the table; `None` if nothing does.
fn follows(record: &UpgradeStatus, event: Event) -> Option<String> {
    let why = || Some("why".to_owned());
    let idle = Seen { pods: why(), unready_since: Some(at(0)), ..Seen::default() };
    let seen = match event {
        Event::Well => good(),
        Event::Late | Event::SetBack | Event::Another | Event::Edited => idle,
        Event::Refused => Seen { writers: why(), ..idle },
        Event::Fails => Seen {
            backup: Backup::Failed("why".into()),
            migration: Migration::Failed("why".into(), String::new()),
            pods: why(),
            unready_since: Some(at(0)),
            ..Seen::default()
        },
        Event::Restored => Seen { restored: Some("j".into()), ..idle },
        Event::GoOn => Seen { go_on_with: Some("j".into()), ..idle },
    };
    let passes = match event {
        Event::Late | Event::Refused | Event::Fails => SignedDuration::from_hours(24),
        Event::Well if record.phase == UpgradePhase::Soak => SignedDuration::from_hours(24),
        Event::Well | Event::SetBack | Event::Another | Event::Edited | Event::Restored | Event::GoOn => {
            SignedDuration::ZERO
        }
    };
    let release = match event {
        Event::SetBack => "old",
        Event::Another => "third",
        Event::Well | Event::Late | Event::Refused | Event::Fails | Event::Edited | Event::Restored | Event::GoOn => {
            "new"
        }
    };
    let generation = if event == Event::Edited { 3 } else { 2 };
    let terms = Terms { refusal: if event == Event::Refused { why() } else { None }, ..Terms::default() };
    let wanted = Wanted { release: release.into(), rollout: None, generation: Some(generation) };

    leads_to(record, &wanted, &terms, seen, passes)
}

/// All is well.
fn good() -> Seen {
    Seen { backup: Backup::Verified("b".into()), migration: Migration::Succeeded, ..Seen::default() }
}

/// The phase to which a record leads, of a way that the data has gone for good where its migration cannot be undone.
fn leads_to(
    record: &UpgradeStatus,
    wanted: &Wanted,
    terms: &Terms,
    seen: Seen,
    passes: SignedDuration,
) -> Option<String> {
    let is_passed = record.active == "new" && record.present_step().is_some_and(UpgradeStep::is_irreversible);
    let point = PointOfNoReturn {
        release: "new".into(),
        version: "2".into(),
        at: Time(at(0)),
        migration: "j".into(),
        backup: None,
    };
    let seen = Seen { point_of_no_return: is_passed.then_some(point), ..seen };

    let course = Course { releases: &Reached, terms, seen: &seen, now: at(0) + passes };
    let after = next(Some(record), Some(wanted), &record.active, course)?;
    if after.taken_back {
        return Some("taken back".to_owned());
    }
    (after.phase != record.phase || after.started_at != record.started_at).then(|| after.phase.to_string())
}

/// What becomes of the campaign that asked for the way; `None` if it is deleted.
const CAMPAIGNS: [(Option<CampaignState>, &str); 4] = [
    (Some(CampaignState::Running), "runs"),
    (Some(CampaignState::Paused), "is paused"),
    (Some(CampaignState::Aborted), "is aborted"),
    (None, "is deleted"),
];

/// What follows within an hour of a gate that cannot be told, all else being well.
fn follows_blind(record: &UpgradeStatus, campaign: Option<CampaignState>) -> Option<String> {
    let spec = campaign.map(|state| -> CampaignSpec {
        let waves = serde_json::json!([{"name": "w", "targets": {"selector": {}}, "soak": "24h"}]);
        let spec = serde_json::json!({"application": "app", "upgrade": {"release": "new"}, "waves": waves});
        CampaignSpec { state, ..serde_json::from_value(spec).unwrap() }
    });
    let claim = Rollout { campaign: "c".into(), uid: "u".into(), wave: "w".into(), attempt: 1, wants: "new".into() };
    let terms = campaign::terms::of_way(spec.as_ref(), Some(&claim));
    let record = UpgradeStatus { rollout: Some(claim.clone()), ..record.clone() };
    let wanted = Wanted { release: "new".into(), rollout: Some(claim), generation: Some(2) };
    let seen = Seen { gates: Gates::Unknown("why".into()), ..good() };

    leads_to(&record, &wanted, &terms, seen, SignedDuration::from_hours(1))
}

fn table(reversible: bool) -> String {
    let mut text = String::from("| phase |");
    for (_, name) in EVENTS {
        let _ = write!(text, " {name} |");
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(EVENTS.len()));

    for (name, record) in rows(reversible) {
        let _ = write!(text, "\n| {name} |");
        for (event, _) in EVENTS {
            let _ = write!(text, " {} |", follows(&record, event).as_deref().unwrap_or("stays"));
        }
    }
    text
}

/// The phases in which it matters what becomes of the campaign.
fn campaigns_table() -> String {
    let heads = CAMPAIGNS.map(|(_, name)| format!(" its campaign {name} |")).concat();
    let mut text = format!("| phase |{heads}\n| --- |{}", " --- |".repeat(CAMPAIGNS.len()));

    for reversible in [true, false] {
        for (name, record) in rows(reversible) {
            let cells = CAMPAIGNS.map(|(campaign, _)| follows_blind(&record, campaign));
            if cells.iter().all(|cell| *cell == cells[0]) {
                continue;
            }
            let which = if reversible { "" } else { ", not to be undone" };
            let _ = write!(text, "\n| {name}{which} |");
            for cell in cells {
                let _ = write!(text, " {} |", cell.as_deref().unwrap_or("stays"));
            }
        }
    }
    text
}

#[test]
fn the_tables_of_the_document_are_what_the_machine_does() {
    let document = include_str!("../../../../docs/campaigns.md");
    for reversible in [true, false] {
        let table = table(reversible);
        assert!(document.contains(&table), "docs/campaigns.md lacks this table:\n{table}");
    }
    let table = campaigns_table();
    assert!(document.contains(&table), "docs/campaigns.md lacks this table:\n{table}");
}

/// What gates said is lost with a process, and asked again: until then they cannot be told.
#[test]
fn a_restart_loses_nothing_of_a_record_and_no_pause_moves_one() {
    for reversible in [true, false] {
        for (name, record) in rows(reversible) {
            let stored = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<UpgradeStatus>(&stored).unwrap(), record, "{name}");
            let [runs, paused] =
                [CampaignState::Running, CampaignState::Paused].map(|one| follows_blind(&record, Some(one)));
            assert_eq!(runs, paused, "{name}");
        }
    }
}

#[test]
fn a_gate_that_cannot_be_told_holds_no_way_whose_campaign_is_aborted_or_deleted() {
    for reversible in [true, false] {
        let verified = record(UpgradePhase::Verify, reversible);
        assert_eq!(follows_blind(&verified, Some(CampaignState::Running)), None, "it waits for whoever can tell");
        for campaign in [Some(CampaignState::Aborted), None] {
            assert!(follows_blind(&verified, campaign).is_some());
        }
    }
}

#[test]
fn from_every_phase_time_or_a_person_leads_on() {
    for reversible in [true, false] {
        for (name, record) in rows(reversible) {
            let leads_on = |events: &[Event]| events.iter().any(|event| follows(&record, *event).is_some());
            let by_time = [Event::Late, Event::Refused];
            let by_a_person = [Event::SetBack, Event::Another, Event::Edited, Event::Restored, Event::GoOn];

            assert!(leads_on(&by_time) || leads_on(&by_a_person), "{name}, reversible: {reversible}");
            assert!(
                record.phase.is_terminal() || leads_on(&by_time),
                "{name} has no deadline, reversible: {reversible}"
            );
        }
    }
}
