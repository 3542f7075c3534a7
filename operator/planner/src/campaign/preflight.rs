//! May an upgrade that a person asked for by hand begin now?

use crate::{
    calendar::{Calendar, Change, State, Target, freezes},
    path::Graph,
};
use gotocloud_api::{ChangeFreezeSpec, Establishment, Instance, version::Step};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What freeze holds an edit by hand up, as a sentence; none where none does. Windows do not: whoever edits is there.
pub fn frozen(
    instance: &Instance,
    establishment: Option<&Establishment>,
    groupings: &BTreeSet<String>,
    all: &[(String, ChangeFreezeSpec)],
    releases: &Graph,
    release: &str,
    now: Timestamp,
) -> Option<String> {
    let mut names = groupings.clone();
    names.insert(instance.spec.establishment.clone());
    let time_zone = establishment.map_or("Europe/Paris", |one| one.spec.time_zone.as_str());
    let target = Target { time_zone, application: &instance.spec.application, establishments: &names };
    let concerned = all.iter().filter(|(_, freeze)| freezes::concerns(freeze, &target));
    let concerned: Vec<_> = concerned.map(|(name, freeze)| (name.as_str(), freeze)).collect();
    if concerned.is_empty() {
        return None;
    }
    let running = instance.status.as_ref().and_then(|status| status.release.as_ref());
    let kind =
        running.and_then(|running| match releases.version(&running.name)?.step_to(releases.version(release)?)? {
            Step::Upgrade(kind) => Some(kind),
            Step::Same | Step::Downgrade | Step::Mixed => None,
        });
    let change = Change { kind, release: Some(release.to_owned()) };
    match Calendar::new(&target, &[], concerned) {
        Err(error) => Some(error.to_string()),
        Ok(calendar) => match calendar.state(now, &change) {
            State::Open { .. } => None,
            State::Closed { why, .. } => why.first().map(ToString::to_string),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_freeze_holds_up_an_edit_by_hand_until_somebody_lets_it_pass() {
        let instance: Instance =
            serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
            "metadata": {"name": "a"}, "spec": {"application": "app", "establishment": "e"}}))
            .unwrap();
        let mut freeze: ChangeFreezeSpec = serde_json::from_value(
            json!({"reason": "the registrations", "period": {"dates": {"from": "2026-07-01", "until": "2026-08-31"}}}),
        )
        .unwrap();
        let hold = |freeze: &ChangeFreezeSpec, at: &str| {
            let all = [("summer".to_owned(), freeze.clone())];
            frozen(&instance, None, &BTreeSet::new(), &all, &Graph::default(), "r", at.parse().unwrap())
        };
        assert!(hold(&freeze, "2026-07-14T12:00:00Z").unwrap().contains("the registrations"));
        assert_eq!(hold(&freeze, "2026-09-02T12:00:00Z"), None);
        freeze.applications = vec!["another".into()];
        assert_eq!(hold(&freeze, "2026-07-14T12:00:00Z"), None);
    }
}
