//! Which wave begins, and who of it?

use super::{application, at, campaign_of, decided, establishment, fleet, release_object, runs};
use gotocloud_api::{Campaign, CampaignStatus, campaign::CampaignPhase};
use gotocloud_planner::{
    campaign::{
        Moves, View,
        report::{Detail, Facts, Untold, report},
        waves::{Wait, may_begin},
    },
    simulate,
};
use serde_json::{Value, json};

fn one_instance() -> simulate::World {
    fleet(&[
        application(),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({})),
        establishment("e", &json!({})),
        runs("i", "e", "app-2", &json!({}), &json!({})),
    ])
}

fn told(campaign: &Campaign, view: &View, moves: &Moves) -> CampaignStatus {
    report(campaign, &facts(view, moves), at("2026-06-01T00:00:00Z"))
}

fn facts<'f>(view: &'f View, moves: &'f Moves) -> Facts<'f> {
    static UNTOLD: std::sync::LazyLock<Untold> = std::sync::LazyLock::new(Untold::default);
    let untold = &*UNTOLD;
    Facts {
        board: &view.board,
        moves,
        untold,
        changes: &[],
        findings: &view.findings,
        is_valid: view.is_valid(),
        schedule: None,
        late_end: None,
        detail: &|_: &str| Detail::default(),
    }
}

/// A canary that nobody is in, with what `more` says, before the wave of all.
fn with_an_empty_canary(more: &Value) -> Campaign {
    let canary = super::merged(json!({"name": "canary", "targets": {"cohort": "Canary"}}), more);
    campaign_of("c", &json!({"waves": [canary, {"name": "rest", "targets": {"selector": {}}}]}))
}

#[test]
fn a_watched_canary_without_targets_lets_nobody_pass() {
    let gate = json!([{"name": "well", "healthCheck": "WorkloadReady"}]);
    for watched in [json!({"soak": "1h"}), json!({"gates": gate}), json!({"approval": "Manual"})] {
        let campaign = with_an_empty_canary(&watched);
        let (moves, view) = decided(&campaign, &[], &one_instance(), at("2026-06-01T00:00:00Z"));
        assert_eq!((moves.start, moves.begin.len()), (None, 0), "{watched}");

        let status = told(&campaign, &view, &moves);
        let waits = status.waves[0].waits_for.as_deref().unwrap();
        assert!(waits.contains("nobody is in wave canary") && waits.contains("mayBeEmpty"), "{waits}");
        assert!(!waits.contains("set approved"), "it asks nobody for approval");
    }
}

#[test]
fn a_wave_that_may_be_empty_is_passed_over_and_asks_nobody() {
    let campaign = with_an_empty_canary(&json!({"soak": "1h", "approval": "Manual", "mayBeEmpty": true}));
    let (moves, view) = decided(&campaign, &[], &one_instance(), at("2026-06-01T00:00:00Z"));
    assert_eq!(moves.start, Some(1));
    assert_eq!(told(&campaign, &view, &moves).waves[0].waits_for, None);
}

#[test]
fn an_empty_wave_that_watches_nobody_is_done_at_once() {
    let (moves, _) = decided(&with_an_empty_canary(&json!({})), &[], &one_instance(), at("2026-06-01T00:00:00Z"));
    assert_eq!(moves.start, Some(0));
}

#[test]
fn a_wave_tells_no_date_of_its_own_while_one_before_it_has_not_begun() {
    let done = json!({"name": "done", "targets": {"names": ["i"]}, "notBefore": "2026-07-01T00:00:00Z"});
    let rest = json!({"name": "rest", "targets": {"selector": {"matchLabels": {"nobody": "yet"}}},
                      "notBefore": "2026-06-15T00:00:00Z"});
    let campaign = campaign_of("c", &json!({"upgrade": {"release": "app-2"}, "waves": [done, rest]}));
    for now in ["2026-06-01T00:00:00Z", "2026-06-20T00:00:00Z"] {
        let (moves, view) = decided(&campaign, &[], &one_instance(), at(now));
        assert_eq!((moves.start, moves.look_again), (None, Some(at("2026-07-01T00:00:00Z"))));
        let status = report(&campaign, &facts(&view, &moves), at(now));
        assert_eq!(status.waves[0].waits_for.as_deref(), Some("it does not begin before 2026-07-01T00:00:00Z"));
        let waits = status.waves[1].waits_for.as_deref();
        assert_eq!(waits, Some("wave done, which is before it, has not begun"));
    }
}

/// A misspelt selector is no success.
#[test]
fn a_campaign_in_whose_waves_nobody_is_waits_and_says_so() {
    let waves = json!([{"name": "w", "targets": {"selector": {"matchLabels": {"cohort": "misspelt"}}}}]);
    let campaign = campaign_of("c", &json!({"waves": waves}));
    let (moves, view) = decided(&campaign, &[], &one_instance(), at("2026-06-01T00:00:00Z"));

    assert_eq!(
        may_begin(&campaign.spec, &view.board, 0, |_| false, true, at("2026-06-01T00:00:00Z")),
        Err(Wait::NoTargets)
    );
    let status = told(&campaign, &view, &moves);
    assert_eq!(status.phase, CampaignPhase::Running);
    let message = &status.conditions[0].message;
    assert!(message.contains("nobody is in any of its waves"), "{message}");
}

/// An Instance that serves so many establishments.
fn serves(name: &str, how_many: usize, status: &Value) -> Value {
    let members: Vec<String> = (0..how_many).map(|at| format!("m{at}")).collect();
    runs(name, "e", "app-2", &json!({}), &super::merged(json!({ "members": members }), status))
}

#[test]
fn a_heavy_target_keeps_its_turn_while_lighter_ones_wait_behind_it() {
    let wave = json!({"name": "w", "targets": {"selector": {}}, "maxConcurrent": 4});
    let campaign = campaign_of("c", &json!({"weight": "Establishments", "waves": [wave]}));
    let ours = super::by("c", "app-3");
    let light = |name: &str, is_running: bool| {
        let mut one = serves(name, 1, &json!({}));
        if is_running {
            one["spec"]["release"] = json!("app-3");
            one["spec"]["rollout"] = json!(ours);
        }
        one
    };
    let begins = |all: Vec<Value>| {
        let common = [
            application(),
            release_object("app-2", "2.0", &json!({})),
            release_object("app-3", "3.0", &json!({})),
            establishment("e", &json!({})),
        ];
        let world = fleet(&common.into_iter().chain(all).collect::<Vec<_>>());
        let (moves, _) = decided(&campaign, &["w"], &world, at("2026-06-01T00:00:00Z"));
        super::names(&moves.begin).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };

    let heavy = || serves("b", 4, &json!({}));
    let behind = begins(vec![light("a", true), heavy(), light("c", false)]);
    assert!(behind.is_empty(), "c would take the room that b waits for: {behind:?}");
    assert_eq!(begins(vec![heavy(), light("c", false)]), ["b"], "its turn has come");
    assert_eq!(begins(vec![light("a", true), light("c", false), serves("d", 4, &json!({}))]), ["c"], "c is before it");
}

#[test]
fn a_heavy_target_whose_deferral_is_over_keeps_its_turn_as_well() {
    let wave = json!({"name": "w", "targets": {"selector": {}}, "maxConcurrent": 4});
    let campaign = campaign_of("c", &json!({"weight": "Establishments", "maxDeferralDays": 30, "waves": [wave]}));
    let deferred = |establishment: &str| {
        let spec = json!({"establishment": establishment, "campaign": "c", "until": "2026-01-10T00:00:00Z",
            "reason": "exams"});
        let mut one = super::object("Deferral", establishment, &spec);
        one["metadata"]["namespace"] = json!(format!("{establishment}-people"));
        one
    };
    let of = |name: &str, mut one: Value| {
        one["spec"]["establishment"] = json!(name);
        [establishment(name, &json!({"namespace": format!("{name}-people")})), one]
    };
    let ours = super::by("c", "app-3");
    let mut running = serves("a", 1, &json!({}));
    running["spec"]["release"] = json!("app-3");
    running["spec"]["rollout"] = json!(ours);

    let mut all = vec![
        application(),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({})),
        establishment("e", &json!({})),
        running,
        deferred("f"),
        deferred("g"),
    ];
    all.extend(of("f", serves("b", 4, &json!({}))));
    all.extend(of("g", serves("c", 1, &json!({}))));
    let begins = |now: &str| {
        let (moves, view) = decided(&campaign, &["w"], &fleet(&all), at(now));
        assert_eq!(view.board.waves()[0].deferred.len(), 2);
        moves.begin.len()
    };
    assert_eq!(begins("2026-01-11T00:00:00Z"), 0, "c would take the room that b waits for");
}
