//! A plan of seven years, with campaigns in every autumn, comes out right year by year.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_harness::{
    Terminal, operator,
    replay::{self, Stages},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

const FIRST: i16 = 2019;
const LAST: i16 = 2025;
/// Establishments that join in a year.
const JOIN: usize = 3;

fn establishment(year: i16, number: usize) -> Value {
    json!({
        "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Establishment",
        "metadata": {"name": format!("of-{year}-{number}"), "labels": {"cohort": format!("C{year}")}},
        "spec": {"displayName": format!("Establishment {number} of {year}"), "sizeClass": "Small", "homePlatform": "paris"},
    })
}

/// A campaign of one wave for the cohort of a year, on a Monday of September.
fn campaign(name: &str, year: i16, day: u8, cohort: i16, action: (&str, Value)) -> Value {
    let (kind, action) = action;
    json!({
        "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign",
        "metadata": {"name": format!("pegase-{year}-{name}")},
        "spec": {
            "application": "pegase", "state": "Running", kind: action,
            "waves": [{
                "name": "all", "notBefore": format!("{year}-09-{day:02}T06:00:00Z"), "maxConcurrent": 2,
                "targets": {"cohort": format!("C{cohort}")},
            }],
        },
    })
}

/// Each autumn a cohort gets its instances, the one before begins partial production, the one before that full.
fn plan(folder: &Path) {
    let example = operator::checkout().join("examples/deployment-plan");
    std::fs::create_dir_all(folder).unwrap();
    for file in ["application.yaml", "release.yaml"] {
        std::fs::copy(example.join(file), folder.join(file)).unwrap();
    }
    for year in FIRST..=LAST {
        let mut objects: Vec<Value> = (1..=JOIN).map(|number| establishment(year, number)).collect();
        let provision = json!({"release": "pegase-v2.3", "stage": "Provisioned"});
        objects.push(campaign("provision", year, 2, year, ("provision", provision)));
        if year > FIRST {
            let partial = json!({"stage": "PartialProduction"});
            objects.push(campaign("partial", year, 9, year - 1, ("promote", partial)));
        }
        if year > FIRST + 1 {
            let full = json!({"stage": "FullProduction"});
            objects.push(campaign("full", year, 16, year - 2, ("promote", full)));
        }
        let text: Vec<String> = objects.iter().map(ToString::to_string).collect();
        std::fs::write(folder.join(format!("{year}.yaml")), text.join("\n---\n")).unwrap();
    }
}

#[test]
fn seven_years_of_campaigns_in_every_autumn_come_out_right() {
    let folder = std::env::temp_dir().join(format!("gotocloud-years-{}", std::process::id()));
    plan(&folder);
    let mut played = BTreeMap::new();
    let result = replay::play(&folder, LAST, "it-years", &Terminal, |year| {
        println!("  {}: {:?}", year.year, year.all);
        played.insert(year.year, year.all);
    });
    std::fs::remove_dir_all(&folder).unwrap();
    result.unwrap();

    let expected: BTreeMap<i16, Stages> = (FIRST..=LAST)
        .map(|year| {
            let before = usize::try_from(year - FIRST).unwrap();
            let partial = before.min(1) * JOIN;
            let full = before.saturating_sub(1) * JOIN;
            (year, Stages { provisioned: JOIN, partial, full })
        })
        .collect();
    assert_eq!(played, expected);
}
