//! When will the campaigns in some YAML files be done?
//!
//! ```sh
//! cargo run --example simulate -- examples/catalogue examples/fleet-2022 examples/campaigns --from 2023-05-29
//! ```
//!
//! Files and folders are read as they would be applied. An Instance whose status is not given is taken for running what it
//! asks for. Approvals are taken for given on the day they are asked for; nothing fails; phases take what
//! `simulate::Durations::default()` says. Without arguments, the examples are played from 29 May 2023.

use gotocloud_planner::simulate::{Durations, Schedule, World};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    let mut paths = Vec::new();
    let mut from = None;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--from" {
            from = arguments.next();
        } else {
            paths.push(PathBuf::from(argument));
        }
    }
    if paths.is_empty() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        paths = ["catalogue", "fleet-2022", "campaigns"].map(|folder| root.join(folder)).into();
        from = from.or(Some("2023-05-29".to_owned()));
    }
    match play(&paths, from.as_deref()) {
        Ok(schedules) => {
            for (name, schedule) in schedules {
                println!("{name}\n{schedule}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(paths: &[PathBuf], from: Option<&str>) -> Result<Vec<(String, Schedule)>, String> {
    let from = match from {
        None => Timestamp::now(),
        Some(text) => {
            let day: Date = text.parse().map_err(|error| format!("--from takes a day such as 2023-05-29: {error}"))?;
            day.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?.timestamp()
        }
    };
    let until = from.checked_add(SignedDuration::from_hours(24 * 731)).map_err(|error| error.to_string())?;
    let mut world = World::default();
    for path in paths {
        read(&mut world, path)?;
    }
    let schedules = world.simulate(&Durations::default(), from, until);
    if schedules.is_empty() {
        return Err("there is no Campaign in those files: name one that holds some".to_owned());
    }
    Ok(schedules)
}

/// Takes in a file, or the YAML files of a folder and those in it.
fn read(world: &mut World, path: &Path) -> Result<(), String> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| of(&error))?;
        let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        entries.sort();
        let is_read = |path: &&PathBuf| path.is_dir() || path.extension().is_some_and(|kind| kind == "yaml");
        return entries.iter().filter(is_read).try_for_each(|path| read(world, path));
    }
    let text = fs::read_to_string(path).map_err(|error| of(&error))?;
    let documents: Vec<serde_json::Value> = serde_yaml::from_multiple(&text).map_err(|error| of(&error))?;
    documents.into_iter().try_for_each(|document| world.add(document)).map_err(|error| of(&error))
}
