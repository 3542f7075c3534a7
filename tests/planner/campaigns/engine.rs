//! All campaigns together: the engine that carries them on, before a small API server.

use super::{
    application, at, campaign_of, establishment, graph,
    hub::{Hub, catalogue, fleet_of},
    merged, object, release_object, runs,
};
use gotocloud_api::{
    campaign::{DecisionVerb, Rule, Severity},
    rehearsal::{RehearsalPhase, RehearsalStatus},
};
use gotocloud_planner::{
    campaign::{
        Engine, Standing,
        engine::{Effect, Event, Outcome, Seen},
    },
    rehearsal,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

#[test]
fn two_campaigns_that_decide_at_the_same_moment_do_not_both_take_an_instance() {
    let window = json!([{"from": "21:00", "to": "23:00"}]);
    let a = campaign_of("a", &json!({"upgrade": {"release": "app-2"}, "windows": window}));
    let b = campaign_of("b", &json!({"windows": window}));
    let objects = fleet_of(vec![runs("i", "e", "app-1", &json!({}), &json!({}))]);
    let mut hub = Hub::new(objects, vec![a, b], "2026-01-01T12:00:00Z");
    hub.starts();
    assert_eq!(hub.written, []);

    // The window opens: one look, no news of any Instance.
    hub.passes(SignedDuration::from_hours(8));
    assert_eq!(hub.written, [("a".into(), "i".into())]);
    assert!(matches!(hub.standing("b", "i"), Standing::Blocked(why) if why.contains("the campaign a holds it")));
}

/// A campaign whose window opens on Sunday the 4th, to be done by that day.
fn by_night(finish_by: &str) -> Hub {
    let window = json!([{"days": ["Sunday"], "from": "01:00", "to": "01:30"}]);
    let spec = json!({"windows": window, "finishBy": finish_by});
    let instances = ["a", "b", "c"].map(|name| runs(name, "e", "app-2", &json!({}), &json!({})));
    let mut hub = Hub::new(fleet_of(instances.to_vec()), vec![campaign_of("c", &spec)], "2026-01-01T00:00:00Z");
    hub.starts();
    hub
}

fn accepts(until: &str) -> Value {
    object("Approval", "late", &json!({"campaign": "c", "finishBy": until, "by": "alice", "reason": "agreed"}))
}

#[test]
fn a_campaign_with_a_day_by_which_it_is_done_begins_once_that_was_shown() {
    let mut hub = by_night("2026-06-01T00:00:00Z");
    let status = hub.status("c");
    assert_eq!(status.waves[0].started_at, None);
    assert_eq!(
        status.waves[0].waits_for.as_deref(),
        Some("it begins once a simulation has shown that it is done by finishBy")
    );

    hub.is_forecast("c");
    assert!(hub.status("c").waves[0].started_at.is_some());
    assert_eq!(hub.status("c").late_end, None, "nobody had to accept anything");
}

#[test]
fn a_campaign_that_would_be_done_too_late_does_not_begin_before_a_person_accepts_that() {
    let mut hub = by_night("2026-01-03T00:00:00Z");
    hub.is_forecast("c");
    let is_warned = |hub: &Hub, severity: Severity| {
        hub.engine.findings("c").iter().any(|one| one.rule == Rule::TooLate && one.severity == severity)
    };
    for _ in 0..3 {
        hub.passes(SignedDuration::from_mins(1));
        let status = hub.status("c");
        let waits = status.waves[0].waits_for.clone().unwrap();
        assert!(
            waits.contains("it is not done by 2026-01-03T00:00:00Z") && waits.contains("make an Approval"),
            "{waits}"
        );
        assert_eq!(status.waves[0].started_at, None);
    }
    assert!(is_warned(&hub, Severity::Warning));

    // Not late enough: it says until when nobody accepts it.
    hub.objects.push(accepts("2026-01-03T12:00:00Z"));
    hub.happens(Event::Seen(Seen::Campaign("c".into())));
    let waits = hub.status("c").waves[0].waits_for.clone().unwrap();
    assert!(waits.contains("it is not done by 2026-01-03T12:00:00Z"), "{waits}");

    hub.objects.push(accepts("2026-02-01T00:00:00Z"));
    hub.happens(Event::Seen(Seen::Campaign("c".into())));
    let status = hub.status("c");
    assert!(status.waves[0].started_at.is_some());
    let late_end = status.late_end.as_ref().unwrap();
    assert_eq!((late_end.by.as_str(), late_end.reason.as_deref()), ("alice", Some("agreed")));
    assert!(is_warned(&hub, Severity::Info));

    // What was accepted stays on record, and what has begun goes on.
    hub.objects.retain(|one| one["kind"] != "Approval");
    hub.happens(Event::Seen(Seen::Campaign("c".into())));
    hub.is_forecast("c");
    assert_eq!(hub.status("c").late_end.as_ref().map(|late| late.by.as_str()), Some("alice"));
    assert_eq!(hub.status("c").waves[0].waits_for.as_deref().filter(|waits| waits.contains("not done by")), None);
}

/// It was there when the campaign began, so its name is no slip of the pen.
#[test]
fn an_instance_that_a_wave_names_and_that_is_deleted_meanwhile_is_told_and_holds_nobody_else() {
    let instances = ["a", "b", "c"].map(|name| runs(name, "e", "app-2", &json!({}), &json!({})));
    let waves =
        json!([{"name": "first", "targets": {"names": ["a"]}}, {"name": "rest", "targets": {"names": ["b", "c"]}}]);
    let mut hub = Hub::new(
        fleet_of(instances.to_vec()),
        vec![campaign_of("c", &json!({"waves": waves}))],
        "2026-01-01T00:00:00Z",
    );
    hub.starts();
    assert_eq!(hub.written, [("c".into(), "a".into())]);

    hub.instances.remove("b");
    hub.happens(Event::Seen(Seen::Instance("gotocloud".into(), "b".into())));
    let found = hub.engine.findings("c").to_vec();
    assert!(found.iter().any(|one| one.severity == Severity::Warning && one.message.contains("called b")), "{found:?}");
    hub.engine = Engine::default();
    hub.starts();
    assert_eq!(hub.engine.findings("c"), found, "a new process finds the same");

    hub.instances.insert("a".into(), runs("a", "e", "app-3", &json!({}), &json!({})));
    hub.happens(Event::Seen(Seen::Instance("gotocloud".into(), "a".into())));
    assert_eq!(hub.written.last(), Some(&("c".into(), "c".into())));
}

#[test]
fn a_deferral_counts_though_the_wave_before_had_nothing_to_do() {
    let mut deferral = object(
        "Deferral",
        "d",
        &json!({"establishment": "f", "campaign": "c", "until": "2026-01-10T00:00:00Z", "reason": "exams"}),
    );
    deferral["metadata"]["namespace"] = json!("f-people");
    let objects = fleet_of(vec![
        establishment("f", &json!({"namespace": "f-people"})),
        runs("canary", "e", "app-3", &json!({}), &json!({})),
        runs("i", "f", "app-2", &json!({}), &json!({})),
        deferral,
    ]);
    let waves =
        json!([{"name": "canary", "targets": {"names": ["canary"]}}, {"name": "rest", "targets": {"names": ["i"]}}]);
    let campaign = campaign_of("c", &json!({"maxDeferralDays": 30, "waves": waves}));
    let mut hub = Hub::new(objects, vec![campaign], "2026-01-01T00:00:00Z");

    hub.starts();
    assert!(hub.status("c").waves[1].started_at.is_some(), "the canary's wave had nothing to do");
    hub.passes(SignedDuration::from_secs(5));
    assert_eq!(hub.written, [], "it is deferred");
    hub.passes(SignedDuration::from_hours(10 * 24));
    assert_eq!(hub.written, [("c".into(), "i".into())]);
}

/// One that comes an hour after its wave began, and one that its API server's clock, which is ahead, says came just after.
#[test]
fn late_joiners_are_left_out_though_the_wave_before_had_nothing_to_do() {
    let of_the_rest = |name: &str, made: &str| {
        let mut one = runs(name, "e", "app-2", &json!({}), &json!({}));
        one["metadata"]["labels"] = json!({"part": "rest"});
        one["metadata"]["creationTimestamp"] = json!(made);
        one
    };
    let waves = json!([{"name": "canary", "targets": {"names": ["canary"]}},
        {"name": "rest", "targets": {"selector": {"matchLabels": {"part": "rest"}}}, "maxConcurrent": 10}]);
    let campaign = campaign_of("c", &json!({"lateJoiners": "Exclude", "waves": waves}));
    let objects = fleet_of(vec![
        runs("canary", "e", "app-3", &json!({}), &json!({})),
        of_the_rest("i", "2025-12-01T00:00:00Z"),
        of_the_rest("ahead", "2026-01-01T00:00:02Z"),
    ]);
    let mut hub = Hub::new(objects, vec![campaign], "2026-01-01T00:00:00Z");

    hub.starts();
    assert!(hub.status("c").waves[1].started_at.is_some(), "the canary's wave had nothing to do");
    hub.passes(SignedDuration::from_hours(1));
    hub.shows("late", |one| *one = of_the_rest("late", "2026-01-01T01:00:00Z"));
    hub.passes(SignedDuration::from_secs(5));
    assert_eq!(hub.written, [("c".into(), "i".into())]);
    assert_eq!([hub.standing("c", "ahead"), hub.standing("c", "late")], [Standing::Skipped, Standing::Skipped]);
}

#[test]
fn what_the_api_server_refuses_is_told_once_in_its_own_words_and_fails_in_the_end() {
    let objects = fleet_of(vec![
        runs("a", "e", "app-2", &json!({}), &json!({})),
        runs("b", "e", "app-2", &json!({}), &json!({})),
    ]);
    let waves = json!([{"name": "w", "targets": {"selector": {}}, "maxConcurrent": 2, "maxFailures": 1}]);
    let mut hub = Hub::new(objects, vec![campaign_of("c", &json!({"waves": waves}))], "2026-01-01T00:00:00Z");
    hub.answer = |write| match write.name.as_str() {
        "a" => Outcome::Refused { code: 403, message: "admission webhook denied it: no change on Thursdays".into() },
        _ => Outcome::Accepted,
    };

    hub.starts();
    let standing = hub.standing("c", "a");
    let Standing::Blocked(why) = &standing else { panic!("{standing:?}") };
    assert!(why.contains("no change on Thursdays") && why.contains("403") && why.contains("Instance a"), "{why}");
    assert!(hub.written.contains(&("c".into(), "b".into())), "the others go on");

    for _ in 0..120 {
        hub.passes(SignedDuration::from_secs(20));
    }
    assert!(matches!(hub.standing("c", "a"), Standing::Failed(why) if why.contains("no change on Thursdays")));
    let tries = hub.written.iter().filter(|(_, name)| name == "a").count();
    assert!((2..=10).contains(&tries), "{tries} tries in forty minutes");
    let decisions = &hub.status("c").decisions;
    let held = decisions.iter().filter(|one| one.verb == DecisionVerb::Hold && one.actor == "the API server").count();
    let begun = decisions.iter().filter(|one| one.reason.contains("begins a")).count();
    assert_eq!((held, begun), (1, 0), "{decisions:?}");

    // A person mends it, and has it tried again.
    hub.answer = |_| Outcome::Accepted;
    let campaign = hub.campaigns.get_mut("c").unwrap();
    campaign.spec.retry_failed = 1;
    campaign.metadata.generation = Some(2);
    hub.instances.get_mut("b").unwrap()["status"]["release"]["name"] = json!("app-3");
    hub.happens(Event::Seen(Seen::Campaign("c".into())));
    assert!(
        matches!(hub.standing("c", "a"), Standing::Running { .. } | Standing::Pending),
        "{:?}",
        hub.standing("c", "a")
    );
}

#[test]
fn a_write_whose_answer_is_lost_keeps_its_place_until_the_instance_is_seen() {
    let objects = fleet_of(vec![
        runs("a", "e", "app-2", &json!({}), &json!({})),
        runs("b", "e", "app-2", &json!({}), &json!({})),
    ]);
    let mut hub = Hub::new(objects, vec![campaign_of("c", &json!({}))], "2026-01-01T00:00:00Z");
    hub.answer = |_| Outcome::Lost;
    hub.starts();
    hub.passes(SignedDuration::from_secs(5));
    assert_eq!(hub.written, [("c".into(), "a".into())], "one at once, and a may be under way");

    // It was not written: the watch shows it as it was.
    hub.answer = |_| Outcome::Accepted;
    hub.happens(Event::Seen(Seen::Instance("gotocloud".into(), "a".into())));
    assert_eq!(hub.written, [("c".into(), "a".into()), ("c".into(), "a".into())]);
}

#[test]
fn a_wave_whose_beginning_was_recorded_begins_once_though_the_answer_was_lost() {
    let objects = fleet_of(vec![runs("a", "e", "app-2", &json!({}), &json!({}))]);
    let mut hub = Hub::new(objects, vec![campaign_of("c", &json!({}))], "2026-01-01T00:00:00Z");
    hub.loses_answers = true;
    hub.starts();
    let began = hub.status("c").waves[0].started_at.clone();
    assert!(began.is_some());

    // A person aborts it before anybody knows what became of that.
    hub.loses_answers = false;
    let campaign = hub.campaigns.get_mut("c").unwrap();
    campaign.spec.state = gotocloud_api::campaign::CampaignState::Aborted;
    campaign.metadata.generation = Some(2);
    hub.happens(Event::Seen(Seen::Campaign("c".into())));
    hub.passes(SignedDuration::from_secs(5));
    assert_eq!(hub.status("c").phase, gotocloud_api::campaign::CampaignPhase::Aborted);
    assert_eq!(hub.status("c").waves[0].started_at, began);
}

#[test]
fn a_status_that_a_frozen_process_was_sending_takes_no_beginning_back() {
    let objects = fleet_of(vec![runs("a", "e", "app-2", &json!({}), &json!({}))]);
    let paused = campaign_of("c", &json!({"state": "Paused"}));
    let mut hub = Hub::new(objects, vec![paused], "2026-01-01T00:00:00Z");
    let effects = hub.engine.handle([Event::Seen(Seen::Everything)], &hub.world(), hub.now);
    let Some(Effect::Tell { version, status, .. }) = effects.into_iter().next() else { panic!("it tells nothing") };

    // Another process goes on.
    hub.engine = Engine::default();
    let campaign = hub.campaigns.get_mut("c").unwrap();
    campaign.spec.state = gotocloud_api::campaign::CampaignState::Running;
    campaign.metadata.generation = Some(2);
    hub.starts();
    assert_eq!(hub.tell("c", version, *status), None);
    assert!(hub.status("c").waves[0].started_at.is_some());
}

#[test]
fn after_a_restart_what_other_campaigns_change_counts_against_the_limits_of_places() {
    let place = json!({"platform": "paris"});
    let claimed = |name: &str| {
        let claim =
            gotocloud_api::upgrade::Rollout { campaign: "z".into(), uid: "uid-z".into(), ..super::by("z", "app-3") };
        let spec = merged(place.clone(), &json!({"release": "app-3", "rollout": claim}));
        runs(name, "e", "app-2", &spec, &json!({}))
    };
    let objects = fleet_of(vec![claimed("of-z"), runs("of-a", "e", "app-2", &place, &json!({}))]);
    let started = |name: &str, target: &str| {
        let waves = json!([{"name": "w", "targets": {"names": [target]}}]);
        let mut campaign = campaign_of(name, &json!({"waves": waves, "maxConcurrentPerPlatform": 1}));
        campaign.status = Some(super::begun(&["w"]));
        campaign
    };
    let mut hub = Hub::new(objects, vec![started("a", "of-a"), started("z", "of-z")], "2026-01-01T00:00:00Z");
    hub.starts();
    assert_eq!(hub.written, [], "a decides before z, and z has one on the platform");
}

/// What the Instance makes of its rehearsal at that moment.
fn rehearsed(record: &Value, now: &str) -> Option<RehearsalStatus> {
    let record: RehearsalStatus = serde_json::from_value(record.clone()).unwrap();
    let within = Some(SignedDuration::from_hours(7 * 24));
    let wanted = rehearsal::Wanted { release: "app-3", within, generation: Some(1) };
    let releases = graph(&[("app-2", "2.0"), ("app-3", "3.0")]);
    rehearsal::next(Some(&record), Some(&wanted), Some("app-2"), &releases, &rehearsal::Seen::default(), at(now))
}

#[test]
fn a_rehearsal_that_expires_while_its_target_waits_is_made_anew_and_then_it_begins() {
    let rehearsal = json!({"from": "app-2", "to": "app-3", "path": ["app-3"], "phase": "Done",
        "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"});
    let objects = vec![
        application(),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({"rehearsedWithinDays": 7})),
        establishment("e", &json!({})),
        runs("a", "e", "app-2", &json!({"rehearse": "app-3"}), &json!({"rehearsal": rehearsal})),
    ];
    let window = json!([{"days": ["Tuesday"], "from": "21:00", "to": "23:00"}]);
    // A Monday; the next window is on the day after; then nothing of it changes until the window of the 13th.
    let mut hub = Hub::new(objects, vec![campaign_of("c", &json!({"windows": window}))], "2026-01-05T00:00:00Z");
    hub.starts();
    hub.now = at("2026-01-13T20:30:00Z");
    hub.happens(Event::Time);
    assert_eq!(hub.written, []);
    assert!(matches!(hub.standing("c", "a"), Standing::Blocked(why) if why.contains("rehearsal")));

    // It is asked for still, so the Instance makes it anew.
    assert_eq!(rehearsed(&rehearsal, "2026-01-07T23:59:00Z"), None, "it counts for seven days");
    let anew = rehearsed(&rehearsal, "2026-01-13T20:30:00Z").unwrap();
    assert_eq!(anew.phase, RehearsalPhase::Backup);
    hub.shows("a", |one| one["status"]["rehearsal"] = json!(anew));
    assert_eq!(hub.written, []);

    hub.now = at("2026-01-13T20:45:00Z");
    hub.shows("a", |one| {
        one["status"]["rehearsal"]["phase"] = json!("Done");
        one["status"]["rehearsal"]["finishedAt"] = json!("2026-01-13T20:45:00Z");
    });
    assert_eq!(hub.written, [("c".into(), "a".into())], "the window is open still");
}

#[test]
fn what_holds_an_instance_lets_it_go_when_its_campaign_is_over() {
    let claim = super::by("old", "app-2");
    let objects = fleet_of(vec![runs("i", "e", "app-1", &json!({"release": "app-2", "rollout": claim}), &json!({}))]);
    let old = campaign_of("old", &json!({"upgrade": {"release": "app-2"}}));
    let mut objects_with_fields = objects;
    objects_with_fields.last_mut().unwrap()["metadata"]["managedFields"] = json!([{"manager": "gotocloud-campaign",
        "operation": "Apply", "fieldsV1": {"f:spec": {"f:release": {}, "f:rollout": {}}}}]);
    let mut hub = Hub::new(objects_with_fields, vec![old, campaign_of("new", &json!({}))], "2026-01-01T00:00:00Z");
    hub.starts();
    assert!(hub.written.iter().all(|(campaign, _)| campaign != "new"));

    hub.campaigns.remove("old");
    hub.happens(Event::Seen(Seen::Campaign("old".into())));
    assert_eq!(hub.written.last(), Some(&("new".into(), "i".into())));
}

/// Of two that go on, each would take it from the other for ever.
#[test]
fn what_failed_for_a_campaign_that_goes_on_is_taken_by_no_other_until_it_leaves_it_out() {
    let claim = super::by("a", "app-2");
    let record = super::upgraded(Some(&claim), "app-1", "app-2", "app-2", "Failed");
    let mut instance =
        runs("i", "e", "app-1", &json!({"release": "app-2", "rollout": claim}), &json!({"upgrade": record}));
    instance["metadata"]["managedFields"] = json!([{"manager": "gotocloud-campaign",
        "operation": "Apply", "fieldsV1": {"f:spec": {"f:release": {}, "f:rollout": {}}}}]);
    let a = campaign_of("a", &json!({"upgrade": {"release": "app-2"}}));
    let mut hub = Hub::new(fleet_of(vec![instance]), vec![a, campaign_of("b", &json!({}))], "2026-01-01T00:00:00Z");
    hub.starts();
    assert_eq!(hub.written, []);
    assert!(matches!(hub.standing("b", "i"), Standing::Blocked(why) if why.contains("the campaign a holds it")));

    let a = hub.campaigns.get_mut("a").unwrap();
    a.spec.skip = vec!["i".into()];
    a.metadata.generation = Some(2);
    hub.happens(Event::Seen(Seen::Campaign("a".into())));
    assert_eq!(hub.written, [("b".into(), "i".into())]);
}

#[test]
fn an_instance_whose_name_would_be_too_long_is_told_and_not_tried() {
    let long = "universite-de-technologie-de-belfort-montbeliard-sevenans";
    let objects = fleet_of(vec![establishment(long, &json!({"homePlatform": "site", "sizeClass": "Small"}))]);
    let waves = json!([{"name": "w", "targets": {"names": [long]}}]);
    let mut campaign = campaign_of("c", &json!({"waves": waves}));
    campaign.spec.upgrade = None;
    campaign.spec.provision = serde_json::from_value(json!({"release": "app-3"})).unwrap();
    let mut hub = Hub::new(objects, vec![campaign], "2026-01-01T00:00:00Z");
    hub.starts();
    hub.passes(SignedDuration::from_secs(5));
    assert_eq!(hub.written, []);
    let waits = hub.status("c").waves[0].waits_for.clone().unwrap();
    assert!(waits.contains(long) && waits.contains("characters"), "{waits}");
}

#[test]
fn at_rest_it_asks_for_no_beat() {
    let mut one = runs("i", "e", "app-2", &json!({}), &json!({}));
    let status = one["status"].take();
    let later = json!({"waves": [{"name": "w", "targets": {"names": ["i"]}, "notBefore": "2027-01-01T00:00:00Z"}]});
    let mut hub = Hub::new(fleet_of(vec![one]), vec![campaign_of("c", &later)], "2026-01-01T00:00:00Z");
    hub.starts();
    hub.passes(SignedDuration::from_secs(1));
    assert!(!hub.engine.wants_a_beat());

    // It runs a release now, which makes another standing of it, and no other status.
    hub.instances.get_mut("i").unwrap()["status"] = status;
    hub.happens(Event::Seen(Seen::Instance("gotocloud".into(), "i".into())));
    hub.passes(SignedDuration::from_secs(1));
    assert_eq!(hub.standing("c", "i"), Standing::Pending);
    assert!(!hub.engine.wants_a_beat(), "nothing is left to be told");
}

#[test]
fn a_campaigns_status_is_told_over_the_version_that_was_seen() {
    let mut campaign = campaign_of("autumn", &json!({}));
    campaign.metadata.resource_version = Some("7".to_owned());
    let hub = Hub::new(catalogue(), vec![campaign], "2026-01-01T00:00:00Z");
    let effects = Engine::default().handle([Event::Seen(Seen::Everything)], &hub.world(), hub.now);
    let over =
        effects.iter().find_map(|effect| if let Effect::Tell { version, .. } = effect { Some(version) } else { None });
    assert_eq!(over, Some(&Some("7".to_owned())));
}
