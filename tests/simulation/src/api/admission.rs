//! Which requests are refused by what they ask: the rules of the definitions and of the chart, in spirit.

use super::{Ref, Refused, Server, Stored};
use gotocloud_api::{Instance, names};
use gotocloud_planner::{campaign, inputs};
use serde_json::Value;

/// Fields of an Instance's spec that an edit cannot change.
const FIXED: [&str; 4] = ["application", "establishment", "environment", "platform"];

fn invalid(message: String) -> Refused {
    Refused { code: 422, reason: "Invalid", message }
}

fn forbidden(message: String) -> Refused {
    Refused { code: 403, reason: "Forbidden", message }
}

fn rank(spec: &Value) -> u8 {
    match spec["stage"].as_str() {
        Some("FullProduction") => 2,
        Some("PartialProduction") => 1,
        _ => 0,
    }
}

/// Does a policy that is not ours let the operator write it?
pub(super) fn of_somebody_else(server: &Server, by: &str, at: &Ref) -> Result<(), Refused> {
    let is_operator = [names::FIELD_MANAGER, names::REPLICAS_FIELD_MANAGER, campaign::FIELD_MANAGER].contains(&by);
    if server.refused == Some(at.kind) && is_operator {
        return Err(forbidden(format!("admission webhook \"audit.example.fr\" denied the request: {at} is audited")));
    }
    Ok(())
}

/// May this be made?
pub(super) fn creation(at: &Ref, object: &Value) -> Result<(), Refused> {
    let is_whole = at.kind != "Instance"
        || (object["spec"]["application"].is_string() && object["spec"]["establishment"].is_string());
    if is_whole { Ok(()) } else { Err(invalid(format!("{at}: spec.application and spec.establishment are needed"))) }
}

/// May the object become this?
pub(super) fn update(at: &Ref, before: &Value, after: &Value) -> Result<(), Refused> {
    let (old, new) = (&before["spec"], &after["spec"]);
    match at.kind {
        "Instance" => {
            if let Some(field) = FIXED.iter().find(|field| !old[**field].is_null() && old[**field] != new[**field]) {
                return Err(invalid(format!("{at}: spec.{field} cannot change")));
            }
            if rank(new) < rank(old) && new["allowStageRegression"] != true {
                return Err(invalid(format!("{at}: the stage cannot go back")));
            }
            Ok(())
        }
        "Release" => {
            let fixed = ["components", "application", "version", "versionScheme", "migration", "generatedSecrets"];
            match fixed.iter().find(|field| old[**field] != new[**field]) {
                Some(field) => Err(invalid(format!("{at}: a Release is immutable; spec.{field} cannot change"))),
                None => Ok(()),
            }
        }
        "Campaign" => edit_of_campaign(at, old, new),
        "Approval" if old != new => Err(invalid(format!("{at}: an Approval cannot be edited"))),
        _ => Ok(()),
    }
}

fn edit_of_campaign(at: &Ref, old: &Value, new: &Value) -> Result<(), Refused> {
    let fixed = ["application", "namespace"].into_iter().find(|field| old[*field] != new[*field]);
    if let Some(field) = fixed {
        return Err(invalid(format!("{at}: {field} cannot change")));
    }
    let is_draft = old["state"] == "Draft";
    let acts = ["upgrade", "provision", "promote"].into_iter().any(|action| old[action] != new[action]);
    match (old["state"].as_str(), new["state"].as_str()) {
        (Some("Aborted"), state) if state != Some("Aborted") => {
            Err(invalid(format!("{at}: an aborted campaign stays aborted")))
        }
        (_, Some("Draft")) if !is_draft => Err(invalid(format!("{at}: a campaign that has run cannot become a Draft"))),
        _ if acts && !is_draft => Err(invalid(format!("{at}: what a campaign does cannot change"))),
        _ => Ok(()),
    }
}

/// May the object be deleted?
pub(super) fn deletion(server: &Server, at: &Ref, live: &Stored) -> Result<(), Refused> {
    if !server.policies {
        return Ok(());
    }
    let instances = || server.list("Instance").map(|(_, stored)| &stored.object);
    let spec = &live.object["spec"];
    let users = match at.kind {
        "Instance" => {
            let is_protected = spec["deletionProtection"].as_bool().unwrap_or(rank(spec) > 0);
            return if is_protected { Err(forbidden(format!("{at} is protected against deletion"))) } else { Ok(()) };
        }
        "Release" => instances().filter(|one| uses(one, &at.name)).count(),
        "Application" => instances().filter(|one| one["spec"]["application"] == *at.name).count(),
        "Establishment" => instances().filter(|one| one["spec"]["establishment"] == *at.name).count(),
        "Platform" => instances().filter(|one| one["status"]["platform"] == *at.name).count(),
        _ => 0,
    };
    if users == 0 { Ok(()) } else { Err(forbidden(format!("{at} cannot be deleted while {users} instances need it"))) }
}

/// Does the Instance run that release, go to it, or go back to it?
fn uses(instance: &Value, release: &str) -> bool {
    let Ok(instance) = serde_json::from_value::<Instance>(instance.clone()) else { return false };
    let upgrade = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    let is_on_its_way = upgrade.is_some_and(|upgrade| {
        upgrade.from == release || upgrade.to == release || upgrade.path.iter().any(|one| one == release)
    });
    inputs::release_name(&instance) == Some(release) || is_on_its_way
}
