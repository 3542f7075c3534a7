//! Whom does a change of the catalogue concern? An Instance is planned anew when one of these says so.

use crate::inputs;
use gotocloud_api::{
    Establishment, Instance,
    upgrade::{UpgradePhase, UpgradeStatus},
};

/// Does a change of that Release concern an Instance? It runs it, is asked to, or is on its way over it; or its way was
/// refused, to which any Release may lead.
pub fn by_release(instance: &Instance, release: &str) -> bool {
    let way = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    let is_ahead =
        |way: &UpgradeStatus| !way.phase.is_terminal() && way.steps.iter().any(|step| step.release == release);

    inputs::release_name(instance) == Some(release)
        || instance.spec.release.as_deref() == Some(release)
        || way.is_some_and(|way| way.phase == UpgradePhase::Refused || is_ahead(way))
}

/// Does a change of that Platform concern an Instance of `establishment`? It is on it, or is to be.
pub fn by_platform(instance: &Instance, establishment: Option<&Establishment>, platform: &str) -> bool {
    inputs::platform_name(instance, establishment) == Some(platform) || inputs::placed_on(instance) == Some(platform)
}

/// Does room that came free on that Platform concern an Instance of `establishment`? It is to be there, and has no place yet.
pub fn by_place(instance: &Instance, establishment: Option<&Establishment>, platform: &str) -> bool {
    inputs::placed_on(instance).is_none() && inputs::platform_name(instance, establishment) == Some(platform)
}

/// Does a change of that Campaign concern an Instance? It is on its way by it, so that its terms are the campaign's; or it
/// rehearses, perhaps for it.
pub fn by_campaign(instance: &Instance, campaign: &str) -> bool {
    let Some(status) = &instance.status else { return false };
    let is_rehearsing = status.rehearsal.as_ref().is_some_and(|rehearsal| !rehearsal.phase.is_terminal());
    let is_on_its_way = status.upgrade.as_ref().is_some_and(|upgrade| {
        !upgrade.phase.is_terminal() && upgrade.rollout.as_ref().is_some_and(|by| by.campaign == campaign)
    });

    is_rehearsing || is_on_its_way
}

/// Does a change of a freeze concern an Instance? It waits to begin.
pub fn by_calendar(instance: &Instance) -> bool {
    let upgrade = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    upgrade.is_some_and(|upgrade| upgrade.phase == UpgradePhase::Preflight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[allow(clippy::needless_pass_by_value)] // reads best with a literal
    fn instance(spec: Value, status: Value) -> Instance {
        let mut object =
            json!({"metadata": {"name": "i"}, "spec": {"application": "app", "establishment": "e"}, "status": status});
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn at_home_on(platform: &str) -> Establishment {
        let spec = json!({"displayName": "E", "sizeClass": "Small", "homePlatform": platform});
        Establishment::new("e", serde_json::from_value(spec).unwrap())
    }

    fn on_its_way(phase: &str) -> Instance {
        let rollout = json!({"campaign": "c", "uid": "u", "wave": "w", "attempt": 1, "wants": "r2"});
        instance(
            json!({}),
            json!({"upgrade": {"rollout": rollout, "from": "r1", "to": "r2", "path": ["r2"], "step": 0, "active": "r1",
                "phase": phase, "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z"}}),
        )
    }

    #[test]
    fn a_release_concerns_those_that_are_made_from_it() {
        let asks = instance(json!({"release": "r1"}), json!({}));
        assert!(by_release(&asks, "r1") && !by_release(&asks, "r2"));
    }

    #[test]
    fn a_release_concerns_those_that_ask_for_it_and_those_on_their_way_over_it() {
        let status = |phase: &str| {
            json!({"release": {"name": "r1", "version": "1"}, "upgrade": {"from": "r1", "to": "r3", "active": "r1",
                "steps": [{"release": "r2"}, {"release": "r3"}], "phase": phase, "since": "2026-01-01T00:00:00Z",
                "startedAt": "2026-01-01T00:00:00Z"}})
        };
        let asks = instance(json!({"release": "r3"}), json!({"release": {"name": "r1", "version": "1"}}));
        assert!(by_release(&asks, "r3") && by_release(&asks, "r1") && !by_release(&asks, "r2"));
        let goes = instance(json!({"release": "r3"}), status("Migrate"));
        assert!(by_release(&goes, "r2") && !by_release(&goes, "r4"));
        let went = instance(json!({"release": "r3"}), status("Done"));
        assert!(!by_release(&went, "r2"));
    }

    #[test]
    fn any_release_concerns_those_whose_way_was_refused() {
        assert!(by_release(&on_its_way("Refused"), "between") && !by_release(&on_its_way("Done"), "between"));
    }

    #[test]
    fn a_platform_concerns_those_on_it_and_those_at_home_on_it() {
        let placed = instance(json!({}), json!({"platform": "old"}));
        let home = at_home_on("new");
        assert!(by_platform(&placed, Some(&home), "old"));
        assert!(!by_platform(&placed, None, "new") && !by_platform(&placed, Some(&home), "other"));
    }

    #[test]
    fn free_room_concerns_those_without_a_place() {
        let home = at_home_on("new");
        assert!(by_place(&instance(json!({}), json!({})), Some(&home), "new"));
        assert!(!by_place(&instance(json!({}), json!({"platform": "new"})), Some(&home), "new"));
    }

    #[test]
    fn a_campaign_concerns_those_on_their_way_by_it() {
        assert!(by_campaign(&on_its_way("Rollout"), "c"));
        assert!(!by_campaign(&on_its_way("Rollout"), "other") && !by_campaign(&on_its_way("Done"), "c"));
        assert!(!by_campaign(&instance(json!({}), json!({})), "c"));
    }

    #[test]
    fn a_freeze_concerns_those_that_wait_to_begin() {
        assert!(by_calendar(&on_its_way("Preflight")) && !by_calendar(&on_its_way("Rollout")));
    }
}
