//! May an upgrade begin now, and how carefully is it gone?

use super::{Objects, claims::Claims, ownership, targets, terms, view};
use crate::{
    calendar::{Calendar, Change, State, Target, freezes},
    grouping,
    path::Graph,
    upgrade::{self, Terms},
};
use gotocloud_api::{
    ChangeFreezeSpec, Establishment, Instance, establishment::TIME_ZONE, upgrade::UpgradePhase, version::Relation,
};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// How carefully the Instance's way to another release is gone: as its campaign says, or as an edit by hand is.
pub fn terms(
    instance: &Instance,
    establishment: Option<&Establishment>,
    objects: &dyn Objects,
    now: Timestamp,
) -> Terms {
    let of_its_way = of_its_way(instance, establishment, objects, now);

    Terms { is_rehearsal_over: is_rehearsal_over(instance, objects), ..of_its_way }
}

/// Did campaigns ask for what its spec wants rehearsed, of which none goes on?
fn is_rehearsal_over(instance: &Instance, objects: &dyn Objects) -> bool {
    let (Some(asked), Some(namespace)) = (&instance.spec.rehearse, &instance.metadata.namespace) else { return false };
    let owner = ownership::owner(instance.metadata.managed_fields.as_deref(), "rehearse");

    owner == Some(super::FIELD_MANAGER)
        && !Claims::of(&objects.campaigns()).is_brought(&instance.spec.application, namespace, asked)
}

/// The terms of its way alone.
fn of_its_way(
    instance: &Instance,
    establishment: Option<&Establishment>,
    objects: &dyn Objects,
    now: Timestamp,
) -> Terms {
    let Some(wanted) = upgrade::wanted(instance) else { return Terms::default() };
    let record = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    let rollout = record.filter(|record| !record.phase.is_terminal()).map_or(&wanted.rollout, |record| &record.rollout);
    let campaign = rollout.as_ref().and_then(|rollout| {
        let campaign = objects.campaign(&rollout.campaign)?;
        (campaign.metadata.uid.as_ref() == Some(&rollout.uid)).then_some(campaign)
    });
    let mut terms = terms::of_way(campaign.as_ref().map(|campaign| &campaign.spec), rollout.as_ref());

    // Only what is about to begin can be held up, and nobody who goes back.
    let is_about_to_begin =
        record.is_none_or(|record| record.phase.is_terminal() || record.phase == UpgradePhase::Preflight);
    let releases = objects.graph(&instance.spec.application);
    if !is_about_to_begin
        || upgrade::active(instance) == Some(&wanted.release)
        || is_back(instance, &wanted.release, &releases)
    {
        return terms;
    }

    let release = objects.release(&wanted.release);
    let neighbours = objects.running_beside(instance);
    let scheme = |application: &str| objects.application(application).map(|one| one.spec.version_scheme);
    terms.hold = release.as_deref().and_then(|release| {
        targets::unmet(release, &neighbours, &scheme).or_else(|| targets::missing(release, instance, now))
    });
    // Whether a campaign may begin was looked at when it began.
    if terms.hold.is_none() && wanted.rollout.is_none() {
        let sharers = view::sharers(establishment, &instance.spec.application, objects);
        let others = sharers.iter().filter_map(|one| Some((one.metadata.name.as_deref()?, Some(one.as_ref()))));
        let mut whom = std::iter::once((instance.spec.establishment.as_str(), establishment)).chain(others);

        let (all, freezes, release) = (objects.establishments(), objects.freezes(), &wanted.release);
        terms.hold = whom
            .find_map(|(name, one)| frozen(instance, one, &names_of(name, &all), &freezes, &releases, release, now));
    }
    terms
}

/// Does an Instance go back to an older release? That is the emergency exit: what that release asks of those who go
/// forward to it, and freezes, do not hold it up.
fn is_back(instance: &Instance, release: &str, releases: &Graph) -> bool {
    let active = upgrade::active(instance).and_then(|active| releases.version(active));
    let versions = active.zip(releases.version(release));
    versions.is_some_and(|(active, wanted)| active.relation(wanted) == Some(Relation::Newer))
}

/// Every name by which freezes know an establishment: its own, and those of the groupings that list it.
fn names_of(establishment: &str, all: &[Arc<Establishment>]) -> BTreeSet<String> {
    let groupings = grouping::groupings_of(establishment, all.iter().map(AsRef::as_ref));
    let names = groupings.into_iter().filter_map(|one| one.metadata.name.clone());

    names.chain([establishment.to_owned()]).collect()
}

/// What freeze of one whom an instance serves holds an edit by hand up, as a sentence; none where none does. `names` are those
/// by which freezes know it. Windows do not hold it: whoever edits is there.
fn frozen(
    instance: &Instance,
    establishment: Option<&Establishment>,
    names: &BTreeSet<String>,
    all: &[(String, ChangeFreezeSpec)],
    releases: &Graph,
    release: &str,
    now: Timestamp,
) -> Option<String> {
    let time_zone = establishment.map_or(TIME_ZONE, |one| one.spec.time_zone.as_str());
    let target = Target { time_zone, application: &instance.spec.application, establishments: names };
    let concerned = all.iter().filter(|(_, freeze)| freezes::concerns(freeze, &target));
    let concerned: Vec<_> = concerned.map(|(name, freeze)| (name.as_str(), freeze)).collect();
    if concerned.is_empty() {
        return None;
    }

    let running = instance.status.as_ref().and_then(|status| status.release.as_ref());
    let kind = running.and_then(|running| releases.kind(&running.name, release));
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
