//! The deployment plan of 2019 to 2022, played by campaigns on a real API server, gives the forecast's counts.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_harness::{
    Terminal, operator,
    replay::{self, Stages},
};
use std::collections::BTreeMap;

/// Instances by year and cohort: provisioned, in partial production, in full production. As the founding presentation of
/// early 2022 forecasts them.
const FORECAST: [(i16, &str, [usize; 3]); 13] = [
    (2019, "P1", [6, 0, 0]),
    (2020, "P1", [3, 3, 0]),
    (2020, "P2", [6, 0, 0]),
    (2020, "V1", [2, 0, 0]),
    (2021, "P1", [2, 3, 1]),
    (2021, "P2", [5, 1, 0]),
    (2021, "V1", [0, 0, 2]),
    (2021, "V2", [16, 0, 0]),
    (2022, "P1", [0, 4, 2]),
    (2022, "P2", [0, 6, 0]),
    (2022, "V1", [0, 0, 2]),
    (2022, "V2", [9, 1, 6]),
    (2022, "V3", [28, 0, 0]),
];

#[test]
fn the_plan_gives_the_forecast_year_by_year_cohort_by_cohort_stage_by_stage() {
    let mut forecast: BTreeMap<i16, BTreeMap<String, Stages>> = BTreeMap::new();
    for (year, cohort, [provisioned, partial, full]) in FORECAST {
        forecast.entry(year).or_default().insert(cohort.to_owned(), Stages { provisioned, partial, full });
    }
    let plan = operator::checkout().join("examples/deployment-plan");
    let mut played = BTreeMap::new();
    replay::play(&plan, 2022, "it-replay", &Terminal, |year| {
        played.insert(year.year, year.by_cohort.clone());
    })
    .unwrap();
    assert_eq!(played, forecast);
}
