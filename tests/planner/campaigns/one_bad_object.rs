//! One bad object is that object's trouble.

use super::{application, at, campaign_of, decided, establishment, fleet, names, object, release_object, runs};
use gotocloud_api::campaign::{Rule, Severity};
use gotocloud_planner::{campaign::Standing, simulate};
use serde_json::{Value, json};

fn with_a_bad(zone: &Value) -> simulate::World {
    fleet(&[
        application(),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({})),
        establishment("alpha", &json!({})),
        establishment("beta", zone),
        runs("of-alpha", "alpha", "app-2", &json!({}), &json!({})),
        runs("of-beta", "beta", "app-2", &json!({}), &json!({})),
    ])
}

#[test]
fn a_misspelt_time_zone_holds_up_its_own_establishment_and_no_other() {
    let window = json!([{"from": "25:00", "to": "26:00"}]);
    for bad in [json!({"timeZone": "Europe/Pari"}), json!({"windows": window})] {
        let campaign = campaign_of("c", &json!({}));
        let (moves, view) = decided(&campaign, &["w"], &with_a_bad(&bad), at("2026-06-01T00:00:00Z"));

        assert!(view.is_valid(), "{:?}", view.findings);
        assert_eq!(names(&moves.begin), ["of-alpha"]);
        let Standing::Blocked(why) = &view.board.target("of-beta").unwrap().standing else { panic!() };
        assert!(why.contains("Establishment beta"), "{why}");
        let told = view.findings.iter().find(|one| one.rule == Rule::CalendarInvalid).unwrap();
        assert_eq!(told.severity, Severity::Warning);
        assert!(told.message.contains("of-beta") && told.message.contains("Establishment beta"), "{}", told.message);
    }
}

#[test]
fn what_is_skipped_needs_no_calendar() {
    let campaign = campaign_of("c", &json!({"skip": ["of-beta"]}));
    let world = with_a_bad(&json!({"timeZone": "Europe/Pari"}));
    let (_, view) = decided(&campaign, &["w"], &world, at("2026-06-01T00:00:00Z"));
    assert!(view.is_valid());
    assert!(view.findings.iter().all(|one| one.rule != Rule::CalendarInvalid), "{:?}", view.findings);
}

#[test]
fn a_freeze_that_cannot_be_read_holds_up_those_whom_it_names() {
    let freeze = json!({"reason": "an incident", "period": {}, "establishments": ["beta"]});
    let mut objects = vec![object("ChangeFreeze", "stop", &freeze)];
    objects.extend([
        application(),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({})),
        establishment("alpha", &json!({})),
        establishment("beta", &json!({})),
        runs("of-alpha", "alpha", "app-2", &json!({}), &json!({})),
        runs("of-beta", "beta", "app-2", &json!({}), &json!({})),
    ]);
    let (moves, view) = decided(&campaign_of("c", &json!({})), &["w"], &fleet(&objects), at("2026-06-01T00:00:00Z"));
    assert_eq!(names(&moves.begin), ["of-alpha"]);
    let standing = &view.board.target("of-beta").unwrap().standing;
    assert!(matches!(standing, Standing::Blocked(why) if why.contains("ChangeFreeze stop")), "{standing:?}");
}

#[test]
fn what_is_wrong_with_the_campaigns_own_windows_holds_up_all() {
    let campaign = campaign_of("c", &json!({"windows": [{"from": "25:00", "to": "26:00"}]}));
    let (moves, view) = decided(&campaign, &["w"], &with_a_bad(&json!({})), at("2026-06-01T00:00:00Z"));
    assert!(!view.is_valid());
    assert_eq!(moves.begin.len(), 0);
}
