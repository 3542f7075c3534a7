//! Going back is the emergency exit: only limits and a person hold it.

use super::{
    application, at, by, campaign_of, decided, establishment, fleet, names, object, release_object, runs, upgraded,
};
use gotocloud_api::{
    Instance,
    upgrade::{Rollout, UpgradePhase},
};
use gotocloud_planner::{
    campaign::preflight,
    simulate,
    upgrade::{self, Course, Seen, Wanted},
};
use serde_json::{Value, json};

/// One that is done, and one that is still to begin.
fn half_done(more: &[Value]) -> simulate::World {
    half_done_in("w", more)
}

/// The same, of a wave called so.
fn half_done_in(wave: &str, more: &[Value]) -> simulate::World {
    let claim = Rollout { wave: wave.into(), ..by("c", "app-3") };
    let mut objects = vec![
        application(),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({})),
        establishment("e", &json!({})),
        establishment("f", &json!({})),
        runs(
            "a",
            "e",
            "app-3",
            &json!({"release": "app-3", "rollout": claim}),
            &json!({"upgrade": upgraded(Some(&claim), "app-2", "app-3", "app-3", "Done")}),
        ),
        runs("b", "f", "app-2", &json!({}), &json!({})),
    ];
    objects.extend(more.iter().cloned());
    fleet(&objects)
}

#[test]
fn a_freeze_without_an_end_keeps_nobody_from_going_back() {
    let period = json!({"dates": {"from": "2026-01-01", "until": "2099-12-31"}});
    let freeze = object("ChangeFreeze", "stop", &json!({"reason": "an incident", "period": period}));
    let campaign = campaign_of("c", &json!({"rollBack": ["w"]}));

    let (moves, view) = decided(&campaign, &["w"], &half_done(&[freeze]), at("2026-06-01T00:00:00Z"));
    assert!(!view.is_valid(), "nobody else begins");
    assert_eq!(names(&moves.begin), ["a"]);
    assert!(moves.begin[0].back_to.is_some());
}

#[test]
fn a_selector_that_cannot_be_read_keeps_nobody_from_going_back_nor_from_being_finished() {
    let near = json!({"matchExpressions": [{"key": "a", "operator": "Near"}]});
    let waves = json!([{"name": "w", "targets": {"selector": near}}]);
    let campaign = campaign_of("c", &json!({"rollBack": ["w"], "waves": waves}));

    let (moves, view) = decided(&campaign, &["w"], &half_done(&[]), at("2026-06-01T00:00:00Z"));
    assert!(!view.is_valid(), "nobody else begins");
    assert_eq!(names(&moves.begin), ["a"]);
    assert_eq!(view.board.counts().targets, 1, "who was not begun is in no wave");
}

#[test]
fn a_finding_keeps_nobody_from_going_back() {
    let campaign = campaign_of("c", &json!({"rollBack": ["w", "no-such-wave"]}));
    let (moves, view) = decided(&campaign, &["w"], &half_done(&[]), at("2026-06-01T00:00:00Z"));
    assert!(!view.is_valid());
    assert_eq!(names(&moves.begin), ["a"]);
}

#[test]
fn a_wave_put_in_between_closes_none_that_has_begun() {
    let world = half_done_in("rest", &[]);
    let waves = json!([{"name": "new", "targets": {"names": ["b"]}, "approval": "Manual"},
        {"name": "rest", "targets": {"names": ["a"]}}]);
    let campaign = campaign_of("c", &json!({"waves": waves, "rollBack": ["rest"]}));

    let (moves, _) = decided(&campaign, &["rest"], &world, at("2026-06-01T00:00:00Z"));
    assert_eq!((names(&moves.begin), moves.start), (vec!["a"], None));
}

#[test]
fn what_is_still_watched_goes_back_at_once() {
    let claim = by("c", "app-3");
    let watched = |claim: &Value| {
        let spec = json!({"release": claim["wants"], "rollout": claim});
        let record = upgraded(Some(&by("c", "app-3")), "app-2", "app-3", "app-3", "Soak");
        let releases = [release_object("app-2", "2.0", &json!({})), release_object("app-3", "3.0", &json!({}))];
        let mut objects = vec![application(), establishment("e", &json!({}))];
        objects.extend(releases);
        objects.push(runs("a", "e", "app-3", &spec, &json!({"upgrade": record})));
        fleet(&objects)
    };
    let campaign = campaign_of("c", &json!({"rollBack": ["w"]}));

    let (moves, _) = decided(&campaign, &["w"], &watched(&json!(claim)), at("2026-01-01T01:00:00Z"));
    assert_eq!(names(&moves.begin), ["a"]);
    assert_eq!(moves.begin[0].back_to.as_deref(), Some("app-2"));

    // It was asked to; an abort does not take that back half-way.
    let aborted = campaign_of("c", &json!({"rollBack": ["w"], "state": "Aborted"}));
    let (moves, _) = decided(&aborted, &["w"], &watched(&json!(by("c", "app-2"))), at("2026-01-01T01:00:00Z"));
    assert!(moves.withdraw.is_empty());
}

/// Half of ten at once, of which five have gone back already.
#[test]
fn going_back_does_not_shrink_its_own_share() {
    let mut objects = vec![
        application(),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({})),
        establishment("e", &json!({})),
    ];
    for n in 0..10 {
        let is_back = n < 5;
        let (from, to) = if is_back { ("app-3", "app-2") } else { ("app-2", "app-3") };
        let claim = by("c", to);
        objects.push(runs(
            &format!("i{n}"),
            "e",
            to,
            &json!({"release": to, "rollout": claim}),
            &json!({"upgrade": upgraded(Some(&claim), from, to, to, "Done")}),
        ));
    }
    let waves = json!([{"name": "w", "targets": {"selector": {}}, "maxConcurrent": "50%"}]);
    let campaign = campaign_of("c", &json!({"waves": waves, "rollBack": ["w"]}));

    let (moves, _) = decided(&campaign, &["w"], &fleet(&objects), at("2026-06-01T00:00:00Z"));
    assert_eq!(moves.begin.len(), 5);
}

#[test]
fn a_way_back_waits_for_no_rehearsal_that_the_old_release_wants() {
    let freeze = object(
        "ChangeFreeze",
        "stop",
        &json!({"reason": "an incident",
        "period": {"dates": {"from": "2026-01-01", "until": "2099-12-31"}}}),
    );
    let world = fleet(&[
        application(),
        release_object("app-2", "2.0", &json!({"rehearsedWithinDays": 14, "restoreDrillWithinDays": 14})),
        release_object("app-3", "3.0", &json!({})),
        establishment("e", &json!({})),
        freeze,
    ]);
    let releases = super::graph(&[("app-2", "2.0"), ("app-3", "3.0")]);
    let goes = |from: &str, spec: &Value| {
        let one: Instance = serde_json::from_value(runs("a", "e", from, spec, &json!({}))).unwrap();
        let now = at("2026-01-02T00:00:00Z");
        let terms = preflight::terms(&one, None, &world, now);
        let seen = Seen::default();
        let course = Course { releases: &releases, terms: &terms, seen: &seen, now };
        let wanted = Wanted { generation: Some(3), ..upgrade::wanted(&one).unwrap() };
        upgrade::next(None, Some(&wanted), from, course).unwrap()
    };

    let back = goes("app-3", &json!({"release": "app-2", "rollout": by("c", "app-2")}));
    assert_ne!(back.phase, UpgradePhase::Preflight, "{}", back.message);
    let by_hand = goes("app-3", &json!({"release": "app-2"}));
    assert_ne!(by_hand.phase, UpgradePhase::Preflight, "{}", by_hand.message);
}
