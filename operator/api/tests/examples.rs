//! Do the examples say what the presentation of early 2022 says, and does every name in them stand for something?

mod example_files;

use example_files::Examples;
use gotocloud_api::{
    Establishment, Instance, Stage,
    application::Tenancy,
    establishment::{Grouping, GroupingInstances},
};
use std::collections::{BTreeMap, BTreeSet};

/// Instances of Pégase in 2022-2023: cohort, provisioned, in partial production, in full production.
const FORECAST_2022: [(&str, [usize; 3]); 5] =
    [("P1", [0, 4, 2]), ("P2", [0, 6, 0]), ("V1", [0, 0, 2]), ("V2", [9, 1, 6]), ("V3", [28, 0, 0])];

fn of<'a>(examples: &'a Examples, application: &str) -> Vec<&'a Instance> {
    examples.instances.values().filter(|instance| instance.spec.application == application).collect()
}

fn cohort(instance: &Instance) -> Option<&str> {
    instance.metadata.labels.as_ref()?.get("cohort").map(String::as_str)
}

fn grouping<'a>(examples: &'a Examples, name: &str) -> &'a Grouping {
    let grouping = examples.establishments.get(name).and_then(|establishment| establishment.spec.grouping.as_ref());
    grouping.unwrap_or_else(|| panic!("{name} is no grouping"))
}

fn members<'a>(examples: &'a Examples, name: &str) -> Vec<&'a str> {
    grouping(examples, name).members.iter().map(|member| member.name.as_str()).collect()
}

#[test]
fn the_fleet_is_58_pegase_one_caplab_and_six_sinaps() {
    let examples = Examples::read();
    let counts = ["pegase", "caplab", "sinaps"].map(|application| of(&examples, application).len());
    assert_eq!(counts, [58, 1, 6]);
    assert_eq!(examples.instances.len(), 65);
}

#[test]
fn each_cohort_has_as_many_instances_in_each_stage_as_the_forecast() {
    let examples = Examples::read();
    let pegase = of(&examples, "pegase");
    let count = |name: &str, stage: Stage| {
        pegase.iter().filter(|instance| cohort(instance) == Some(name) && instance.spec.stage == stage).count()
    };
    for (name, stages) in FORECAST_2022 {
        assert_eq!(Stage::ALL.map(|stage| count(name, stage)), stages, "cohort {name}");
    }
}

#[test]
fn what_campaigns_freezes_and_deferrals_name_stands_for_something() {
    let examples = Examples::read();
    assert!(!examples.campaigns.is_empty() && !examples.freezes.is_empty() && !examples.deferrals.is_empty());
    for (name, campaign) in &examples.campaigns {
        assert!(examples.applications.contains_key(&campaign.spec.application), "{name}");
        let release = campaign.spec.upgrade.as_ref().map(|one| &one.release);
        let release = release.or(campaign.spec.provision.as_ref().map(|one| &one.release));
        assert!(release.is_none_or(|release| examples.releases.contains_key(release)), "{name}");
    }
    for (name, freeze) in &examples.freezes {
        assert!(freeze.spec.applications.iter().all(|one| examples.applications.contains_key(one)), "{name}");
    }
    assert!(!examples.approvals.is_empty());
    for (name, approval) in &examples.approvals {
        let campaign = &examples.campaigns[&approval.spec.campaign];
        let is_known = |name: &String| campaign.spec.waves.iter().any(|wave| wave.name == *name);
        assert!(approval.spec.wave.as_ref().is_none_or(is_known), "{name}");
    }
    for (name, deferral) in &examples.deferrals {
        assert!(examples.establishments.contains_key(&deferral.spec.establishment), "{name}");
        assert!(examples.campaigns.contains_key(&deferral.spec.campaign), "{name}");
    }
}

#[test]
fn twenty_eight_schools_share_two_instances() {
    let examples = Examples::read();
    assert_eq!(grouping(&examples, "ministere-culture").instances, GroupingInstances::PerMember);
    let shared = members(&examples, "ministere-culture");
    assert_eq!(shared.len(), 2);
    let mut schools = BTreeSet::new();
    for name in shared {
        assert_eq!(grouping(&examples, name).instances, GroupingInstances::Shared, "{name}");
        assert!(examples.instances.contains_key(&format!("pegase-{name}")), "{name} has no instance");
        schools.extend(members(&examples, name));
    }
    assert_eq!(schools.len(), 28);
    assert!(schools.iter().all(|school| !examples.instances.contains_key(&format!("pegase-{school}"))));
}

#[test]
fn six_establishments_of_rennes_join_through_unir_with_an_instance_each() {
    let examples = Examples::read();
    assert_eq!(grouping(&examples, "unir").instances, GroupingInstances::PerMember);
    let members = members(&examples, "unir");
    assert_eq!(members.len(), 6);
    for member in members {
        assert!(examples.instances.contains_key(&format!("pegase-{member}")), "{member} has no instance");
    }
}

#[test]
fn every_name_stands_for_something() {
    let examples = Examples::read();

    for (name, instance) in &examples.instances {
        let spec = &instance.spec;
        let establishment = examples.establishments.get(&spec.establishment);
        let establishment = establishment.unwrap_or_else(|| panic!("{name}: no Establishment {}", spec.establishment));
        let home = establishment.spec.home_platform.as_ref();
        assert!(
            spec.platform.as_ref().or(home).is_some_and(|it| examples.platforms.contains_key(it)),
            "{name}: no Platform"
        );
        assert!(examples.applications.contains_key(&spec.application), "{name}: no Application {}", spec.application);
        let release = spec.release.as_ref().and_then(|release| examples.releases.get(release));
        assert_eq!(release.map(|it| &it.spec.application), Some(&spec.application), "{name}: the Release");
        let namespace = instance.metadata.namespace.as_ref();
        assert!(namespace.is_some_and(|it| examples.namespaces.contains(it)), "{name}: no namespace {namespace:?}");
    }

    for (name, application) in &examples.applications {
        let predecessor = application.spec.predecessor.as_ref();
        assert!(
            predecessor.is_none_or(|it| examples.applications.contains_key(it)),
            "{name}: no Application {predecessor:?}"
        );
    }

    for (name, establishment) in &examples.establishments {
        let grouping = establishment.spec.grouping.iter();
        for application in grouping.flat_map(|grouping| &grouping.applications) {
            assert!(examples.applications.contains_key(application), "{name}: no Application {application}");
        }
    }

    for member in ["unir", "ministere-culture"].iter().flat_map(|name| members(&examples, name)) {
        assert!(examples.establishments.contains_key(member), "no Establishment {member}");
    }
}

#[test]
fn every_version_follows_the_scheme_of_its_application_and_comes_from_older_ones() {
    let examples = Examples::read();
    for (name, release) in &examples.releases {
        let spec = &release.spec;
        let application = examples.applications.get(&spec.application);
        assert_eq!(application.map(|it| it.spec.version_scheme), Some(spec.version_scheme), "{name}");
        let parse = |text: &str| spec.version_scheme.parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let version = parse(&spec.version);
        assert_eq!(version.to_string(), spec.version, "{name}: not written canonically");
        for from in &spec.reachable_from {
            assert!(parse(from) < version, "{name}: reachable from {from}, which is not older");
            let is_there = |other: &&gotocloud_api::Release| {
                other.spec.application == spec.application && other.spec.version == *from
            };
            assert!(examples.releases.values().any(|other| is_there(&other)), "{name}: no Release of {from}");
        }
    }
}

#[test]
fn what_somebody_else_runs_has_neither_release_nor_instance() {
    let examples = Examples::read();
    let tenancy = |name: &str| examples.applications.get(name).map(|application| application.spec.tenancy);
    let external: Vec<_> = examples
        .applications
        .keys()
        .filter(|name| tenancy(name) == Some(Tenancy::External))
        .map(String::as_str)
        .collect();
    assert_eq!(external, ["sifac", "siham-pms"]);
    assert_eq!(examples.applications.len(), 8);
    let used = examples.releases.values().map(|release| &release.spec.application);
    let used = used.chain(examples.instances.values().map(|instance| &instance.spec.application));
    assert!(used.into_iter().all(|name| tenancy(name) != Some(Tenancy::External)));
}

#[test]
fn establishments_overseas_live_by_their_own_nights() {
    let examples = Examples::read();
    let is_elsewhere = |establishment: &&Establishment| establishment.spec.time_zone != "Europe/Paris";
    let zones: BTreeMap<_, _> = examples.establishments.iter().filter(|(_, one)| is_elsewhere(one)).collect();
    let zones: Vec<_> = zones.iter().map(|(name, one)| (name.as_str(), one.spec.time_zone.as_str())).collect();
    let expected =
        [("mayotte", "Indian/Mayotte"), ("polynesie-francaise", "Pacific/Tahiti"), ("reunion", "Indian/Reunion")];
    assert_eq!(zones, expected);
}

#[test]
fn nothing_is_invented_of_an_establishment_but_its_size() {
    for (name, establishment) in Examples::read().establishments {
        let spec = establishment.spec;
        let told = spec.uai.is_some() || spec.yearly_mass_million_euros.is_some() || spec.identity_provider.is_some();
        assert!(!told && spec.contacts.is_empty(), "{name}");
    }
}
