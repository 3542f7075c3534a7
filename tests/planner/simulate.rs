//! What would the campaigns of the examples come to?

use gotocloud_planner::simulate::{Durations, Schedule, World};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// All objects under some of the examples' folders.
fn world(folders: &[&str]) -> World {
    let mut world = World::default();
    for folder in folders {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
        for file in files(&root) {
            let text = fs::read_to_string(&file).unwrap();
            let documents: Vec<serde_json::Value> = serde_yaml::from_multiple(&text).unwrap();
            for document in documents {
                world.add(document).unwrap();
            }
        }
    }
    world
}

/// The YAML files of a folder and those in it, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).filter(is_yaml).collect()
}

fn told(schedules: &[(String, Schedule)]) -> String {
    let told: Vec<String> = schedules.iter().map(|(name, schedule)| format!("{name}\n{schedule}")).collect();
    told.join("\n")
}

#[test]
fn sinaps_goes_to_its_next_major_version_in_the_spring_of_2023() {
    let mut world = world(&["catalogue", "fleet-2022", "campaigns"]);
    // What docs/campaigns.md has done before: two pilots by their label, and a namespace for what Nantes wishes.
    let (version, hub) = ("gotocloud.amue.fr/v1alpha1", "gotocloud");
    world
        .add(json!({"apiVersion": version, "kind": "Establishment", "metadata": {"name": "nantes"},
            "spec": {"displayName": "Université de Nantes", "homePlatform": "paris", "namespace": "nantes"}}))
        .unwrap();
    for pilot in ["avignon", "toulon"] {
        world
            .add(json!({"apiVersion": version, "kind": "Instance", "metadata": {"name": format!("sinaps-{pilot}"), "namespace": hub,
                "labels": {"cohort": "S1"}}, "spec": {"application": "sinaps", "establishment": pilot, "release": "sinaps-v1.4.00"}}))
            .unwrap();
    }
    let (from, until) = ("2023-05-29T08:00:00Z".parse().unwrap(), "2025-05-29T08:00:00Z".parse().unwrap());
    insta::assert_snapshot!("sinaps_v2", told(&world.simulate(&Durations::default(), from, until)));
}

#[test]
fn the_deployment_plan_of_2019_to_2022() {
    let mut world = world(&["deployment-plan"]);
    let (from, until) = ("2019-01-01T00:00:00Z".parse().unwrap(), "2023-09-01T00:00:00Z".parse().unwrap());
    insta::assert_snapshot!("deployment_plan", told(&world.simulate(&Durations::default(), from, until)));
}
