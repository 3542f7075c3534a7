//! Where does a target stand?

use super::{
    application, at, by, campaign_object, campaign_of, decided, establishment, fleet, graph, instance, merged,
    release_object, runs, spec, stands, upgraded,
};
use gotocloud_api::upgrade::{Rollout, UpgradeStatus};
use gotocloud_planner::{
    campaign::{FIELD_MANAGER, Objects as _, Standing, preflight, terms},
    upgrade::{self, Course, Seen, Wanted},
};
use serde_json::{Value, json};

/// A person changed the release after the campaign had begun it, and unpinned it as documented.
#[test]
fn a_campaign_holds_no_instance_that_a_person_upgraded_since() {
    let rollout = by("winter", "app-1");
    let status = json!({"release": {"name": "app-2", "version": "2.0"},
        "upgrade": upgraded(None, "app-1", "app-2", "app-2", "Done")});
    let pinned = instance("i", &json!({"release": "app-2", "rollout": rollout}), &status);
    let unpinned = instance("i", &json!({"rollout": rollout}), &status);
    let going = [campaign_object("winter", &json!({}))];

    let spec = spec(&json!({}));
    assert_eq!(stands(&spec, "uid-now", &going, &unpinned, None), Standing::Pending);
    assert!(matches!(stands(&spec, "uid-now", &going, &pinned, Some("kubectl")), Standing::Pinned(_)));
}

#[test]
fn a_campaign_holds_what_it_begins_for_as_long_as_it_goes_on() {
    let claimed = |rollout: &Rollout| {
        let status = json!({"release": {"name": "app-1", "version": "1.0"}});
        instance("i", &json!({"release": rollout.wants, "rollout": rollout}), &status)
    };
    let going = campaign_object("winter", &json!({"upgrade": {"release": "app-2"}}));
    let mut over = going.clone();
    over["status"] = json!({"phase": "Aborted", "observedGeneration": 1});
    let mut of_another_uid = going.clone();
    of_another_uid["metadata"]["uid"] = json!("made-anew");

    let spec = spec(&json!({}));
    let stands =
        |going: &[_], rollout: &Rollout| stands(&spec, "uid-now", going, &claimed(rollout), Some(FIELD_MANAGER));
    let winter = by("winter", "app-2");
    assert!(matches!(stands(std::slice::from_ref(&going), &winter), Standing::Blocked(why) if why.contains("winter")));
    assert_eq!(stands(&[over], &winter), Standing::Pending, "it is over");
    assert_eq!(stands(&[of_another_uid], &winter), Standing::Pending, "another has its name");
    assert_eq!(stands(&[], &winter), Standing::Pending, "it is gone");
    assert_eq!(stands(&[going], &by("bogus", "app-2")), Standing::Pending, "nobody is called so");
}

#[test]
fn what_went_back_and_is_watched_does_not_count_against_limits() {
    let spec = spec(&json!({"upgrade": {"release": "app-2"}, "rollBack": ["w"],
        "waves": [{"name": "w", "targets": {"selector": {}}, "soak": "7d"}]}));
    let releases = graph(&[("app-1", "1.0"), ("app-2", "2.0")]);
    let done = upgraded(Some(&by("c", "app-2")), "app-1", "app-2", "app-2", "Done");
    let done: UpgradeStatus = serde_json::from_value(done).unwrap();
    let wanted = Wanted { release: "app-1".into(), rollout: Some(by("c", "app-1")), generation: Some(2) };
    let (terms, seen) = (terms::terms(&spec, "w"), Seen::default());
    let course = Course { releases: &releases, terms: &terms, seen: &seen, now: at("2026-01-02T00:00:00Z") };
    let mut one = upgrade::next(Some(&done), Some(&wanted), "app-2", course).unwrap();
    while let Some(next) = upgrade::next(Some(&one), Some(&wanted), "app-1", course) {
        one = next;
    }

    let status = json!({"release": {"name": "app-1", "version": "1.0"}, "upgrade": one});
    let back = instance("i", &json!({"release": "app-1", "rollout": by("c", "app-1")}), &status);
    let standing = stands(&spec, "uid-c", &[], &back, Some(FIELD_MANAGER));
    assert_eq!(standing, Standing::Soaking);
    assert!(!standing.is_in_hand());
}

#[test]
fn what_broke_off_half_way_is_begun_by_no_campaign() {
    let mut failed = upgraded(Some(&by("a", "app-2")), "app-1", "app-2", "app-1", "Failed");
    failed["backup"] = json!("upgrade-1234567890");
    let status = json!({"release": {"name": "app-1", "version": "1.0"}, "upgrade": failed});
    let half = instance("i", &json!({"release": "app-2", "rollout": by("a", "app-2")}), &status);

    for action in [json!({}), json!({"upgrade": null, "promote": {"stage": "FullProduction"}})] {
        let standing = stands(&spec(&action), "uid-b", &[], &half, Some(FIELD_MANAGER));
        let Standing::Blocked(why) = &standing else { panic!("{standing:?}") };
        assert!(why.contains("broke off") && why.contains("status.upgrade.message"), "{why}");
    }
    let again = spec(&json!({"upgrade": {"release": "app-2"}, "retryFailed": 1}));
    let standing = stands(&again, "uid-a", &[], &half, Some(FIELD_MANAGER));
    assert!(matches!(standing, Standing::Failed(_)), "nor by a further attempt of its own: {standing:?}");
}

/// What the campaign before asked for stands in the spec still.
#[test]
fn the_second_campaign_has_its_own_way_rehearsed() {
    let rehearsal = json!({"from": "app-1", "to": "app-2", "path": ["app-2"], "phase": "Done",
        "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"});
    let world = |manager: &str, more: &[serde_json::Value]| {
        let fields = json!({"f:spec": {"f:release": {}, "f:rollout": {}}});
        let rehearse = json!({"f:spec": {"f:rehearse": {}}});
        let mut one = runs(
            "i",
            "e",
            "app-2",
            &json!({"release": "app-2", "rehearse": "app-2", "rollout": by("a", "app-2")}),
            &json!({"rehearsal": rehearsal, "upgrade": upgraded(Some(&by("a", "app-2")), "app-1", "app-2", "app-2", "Done")}),
        );
        one["metadata"]["managedFields"] = json!([
            {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields},
            {"manager": manager, "operation": "Update", "fieldsV1": rehearse},
        ]);
        let within = json!({"rehearsedWithinDays": 14});
        let mut objects = vec![
            application(),
            release_object("app-1", "1.0", &json!({})),
            release_object("app-2", "2.0", &within),
            release_object("app-3", "3.0", &within),
            establishment("e", &json!({})),
            one,
        ];
        objects.extend(more.iter().cloned());
        fleet(&objects)
    };
    let rehearses = |manager: &str, more: &[serde_json::Value]| {
        let campaign = campaign_of("b", &json!({}));
        decided(&campaign, &["w"], &world(manager, more), at("2026-06-01T00:00:00Z")).0.rehearse.len()
    };

    assert_eq!(rehearses(FIELD_MANAGER, &[]), 1);
    assert_eq!(rehearses("kubectl", &[]), 0, "a person asked for that");
    let other = campaign_object("a", &json!({"upgrade": {"release": "app-2"}}));
    assert_eq!(rehearses(FIELD_MANAGER, &[other]), 0, "another campaign that goes on asked for that");
}

#[test]
fn what_broke_off_half_way_is_tried_again_by_no_further_attempt() {
    let mut failed = upgraded(Some(&by("a", "app-3")), "app-1", "app-3", "app-1", "Failed");
    failed["backup"] = json!("upgrade-1234567890");
    let status = json!({"release": {"name": "app-1", "version": "1.0"}, "upgrade": failed});
    let half = instance("i", &json!({"release": "app-3", "rollout": by("a", "app-3")}), &status);
    let stands = |more: Value| stands(&spec(&more), "uid-a", &[], &half, Some(FIELD_MANAGER));

    assert!(matches!(stands(json!({"retryFailed": 1})), Standing::Failed(_)), "that means all that failed");
    assert!(matches!(stands(json!({"retry": {"i": 1}})), Standing::Failed(_)), "it may be older than the failure");
}

/// A campaign ended, was aborted or deleted while its rehearsals stood in the specs: backups would be taken for ever.
#[test]
fn a_rehearsal_that_no_campaign_wants_any_more_is_asked_for_by_nobody() {
    let is_over = |manager: &str, campaign: Option<Value>| {
        let mut one = runs("i", "e", "app-2", &json!({"release": "app-2", "rehearse": "app-3"}), &json!({}));
        one["metadata"]["managedFields"] = json!([
            {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:rehearse": {}}}},
        ]);
        let world = fleet(&[&[application(), one][..], campaign.as_slice()].concat());
        let instance = world.instance("gotocloud", "i").unwrap();
        preflight::terms(&instance, None, &world, at("2026-06-01T00:00:00Z")).is_rehearsal_over
    };
    let goes_on = campaign_object("c", &json!({}));
    let aborted = campaign_object("c", &json!({"state": "Aborted"}));
    let mut over = goes_on.clone();
    over["status"] = json!({"phase": "Completed", "observedGeneration": 1});

    assert!(!is_over(FIELD_MANAGER, Some(goes_on)) && !is_over("kubectl", None));
    assert!(
        is_over(FIELD_MANAGER, None) && is_over(FIELD_MANAGER, Some(aborted)) && is_over(FIELD_MANAGER, Some(over))
    );
}

#[test]
fn one_that_was_long_not_ready_has_its_time_from_when_it_was_asked_on() {
    let promote = spec(&json!({"upgrade": null, "promote": {"stage": "FullProduction"}}));
    let status = json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": "PodsNotReady",
        "message": "0 of 1 pods are ready", "lastTransitionTime": "2026-03-01T00:00:00Z", "observedGeneration": 1}]});
    let stands = |asked: &str| {
        let rollout = by("c", "FullProduction");
        let mut one =
            instance("i", &json!({"release": "app-3", "stage": "FullProduction", "rollout": rollout}), &status);
        let fields = json!([{"manager": FIELD_MANAGER, "operation": "Apply", "time": asked,
            "fieldsV1": {"f:spec": {"f:stage": {}, "f:rollout": {}}}}]);
        one.metadata.managed_fields = serde_json::from_value(fields).unwrap();
        stands(&promote, "uid-c", &[], &one, Some(FIELD_MANAGER))
    };

    assert!(matches!(stands("2026-05-31T23:50:00Z"), Standing::Running { .. }), "it was asked ten minutes ago");
    assert!(matches!(stands("2026-05-31T23:40:00Z"), Standing::Failed(_)));
}

/// Before it was ready, or after, a person took it back, or further: no claim of that stage is answered any more.
#[test]
fn one_whose_stage_a_person_edited_since_is_not_waited_for() {
    let promote = spec(&json!({"upgrade": null, "promote": {"stage": "PartialProduction"}}));
    let claim = by("c", "PartialProduction");
    let stands = |stage: &str, answered: Option<&Rollout>, owner: &str| {
        let ready = json!({"type": "Ready", "status": "True", "reason": "AsDesired", "message": "",
            "lastTransitionTime": "2026-05-31T20:00:00Z", "observedGeneration": 1});
        let status = json!({"observedGeneration": 1, "stage": stage, "stageRollout": answered, "conditions": [ready]});
        let one = instance("i", &json!({"release": "app-3", "stage": stage, "rollout": claim}), &status);
        stands(&promote, "uid-c", &[], &one, Some(owner))
    };

    for answered in [None, Some(&claim)] {
        assert_eq!(stands("Provisioned", answered, "kubectl"), Standing::Pinned("kubectl".into()));
        assert_eq!(stands("Provisioned", answered, FIELD_MANAGER), Standing::Pinned("somebody".into()));
    }
    assert_eq!(stands("FullProduction", None, "kubectl"), Standing::Unneeded);
    assert_eq!(stands("FullProduction", Some(&claim), "kubectl"), Standing::Done);
    assert_eq!(stands("PartialProduction", None, FIELD_MANAGER), Standing::Running { untouched: false });
    assert_eq!(stands("PartialProduction", Some(&claim), FIELD_MANAGER), Standing::Done);
}

/// What leads on from each state of a target that is made or promoted: time, a further attempt, or that it gets ready.
#[test]
fn from_every_state_of_what_is_made_or_promoted_something_leads_on() {
    let condition = |kind: &str, status: &str, reason: &str, since: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "why", "lastTransitionTime": since,
            "observedGeneration": 1})
    };
    let (now, long_ago) = ("2026-06-01T00:00:00Z", "2026-05-31T20:00:00Z");
    let starting = |since: &str| json!([condition("Ready", "False", "PodsStarting", since)]);
    let stalled = json!([condition("Stalled", "True", "QuotaTooSmall", now)]);
    let away = json!([condition("Ready", "False", "ApiUnavailable", long_ago)]);
    let ready = json!([condition("Ready", "True", "AsDesired", now)]);

    for action in [json!({"provision": {"release": "app-3"}}), json!({"promote": {"stage": "FullProduction"}})] {
        let wants = if action["promote"].is_null() { "app-3" } else { "FullProduction" };
        let stands = |conditions: &Value, attempts: u32| {
            let asked = merged(json!({"upgrade": null, "retryFailed": attempts - 1}), &action);
            let claim = by("c", wants);
            let status = json!({"observedGeneration": 1, "stage": "FullProduction", "conditions": conditions,
                "stageRollout": (*conditions == ready).then_some(&claim)});
            let place = json!({"release": "app-3", "stage": "FullProduction", "rollout": claim});
            stands(&spec(&asked), "uid-c", &[], &instance("i", &place, &status), Some(FIELD_MANAGER))
        };

        let running = Standing::Running { untouched: false };
        assert_eq!(
            [stands(&json!([]), 1), stands(&starting(now), 1), stands(&away, 1)],
            [(); 3].map(|()| running.clone())
        );
        assert_eq!(stands(&ready, 1), Standing::Done, "it gets ready");
        for conditions in [&starting(long_ago), &stalled] {
            assert!(matches!(stands(conditions, 1), Standing::Failed(_)), "{conditions}");
            assert_eq!(stands(conditions, 2), Standing::Pending, "a person asks for another attempt");
        }
    }
}

/// Made or promoted, and its pods never come.
#[test]
fn what_is_made_or_promoted_and_never_gets_ready_fails_in_the_end() {
    let ready = |reason: &str, rollout: &Rollout, stage: &str| {
        let status = json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": reason,
            "message": "0 of 1 pods are ready", "lastTransitionTime": "2026-05-31T20:00:00Z", "observedGeneration": 1}]});
        instance("i", &json!({"release": "app-3", "stage": stage, "rollout": rollout}), &status)
    };
    let provision = spec(&json!({"upgrade": null, "provision": {"release": "app-3"}}));
    let promote = spec(&json!({"upgrade": null, "promote": {"stage": "FullProduction"}}));
    let made = by("c", "app-3");
    let promoted = by("c", "FullProduction");

    for (spec, rollout) in [(&provision, &made), (&promote, &promoted)] {
        let stands = |reason: &str| {
            let one = ready(reason, rollout, "FullProduction");
            stands(spec, "uid-c", &[], &one, Some(FIELD_MANAGER))
        };
        assert!(matches!(stands("PodsNotReady"), Standing::Failed(why) if why.contains("0 of 1 pods are ready")));
        assert!(matches!(stands("ApiUnavailable"), Standing::Running { .. }), "a platform that is away is no failure");
    }
}
