//! Which of the names that an object of the catalogue gives stand for nothing?
//!
//! A name may be written before what it stands for. So it is told, by the condition `ResolvedRefs`, and what can go on
//! without it goes on.

use crate::campaign::findings::listed;
use gotocloud_api::{
    Application, Campaign, ChangeFreeze, Establishment, Platform, Release,
    conditions::{Condition, ConditionType, Reason},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What names stand for: the objects of each kind, by name.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// The Applications.
    pub applications: BTreeMap<&'a str, &'a Application>,
    /// The Releases.
    pub releases: BTreeMap<&'a str, &'a Release>,
    /// The Platforms.
    pub platforms: BTreeMap<&'a str, &'a Platform>,
    /// The Establishments.
    pub establishments: BTreeMap<&'a str, &'a Establishment>,
    /// The Campaigns.
    pub campaigns: BTreeMap<&'a str, &'a Campaign>,
}

/// Names of a spec that stand for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// What an object's names come to.
#[derive(Default)]
pub(super) struct Names {
    unknown: Vec<Unknown>,
    /// Names that may be of something outside the catalogue, and are.
    outside: Vec<String>,
}

impl Names {
    /// Notes those of the names in a field that `is_known` does not know.
    fn check<'n>(
        &mut self,
        (kind, reason): (&str, Reason),
        field: &str,
        names: impl IntoIterator<Item = &'n String>,
        is_known: impl Fn(&str) -> bool,
    ) {
        self.unknown.extend(unknown((kind, reason), field, names, is_known));
    }

    /// The condition that says which of the names stand for nothing.
    pub(super) fn condition(&self, before: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let made = |status: &str, reason: Reason, message: &str| {
            super::condition(ConditionType::ResolvedRefs, status, reason, message, before, generation, now)
        };
        if let Some(first) = self.unknown.first() {
            let messages: Vec<&str> = self.unknown.iter().map(|one| one.message.as_str()).collect();
            return made("False", first.reason, &messages.join("; "));
        }
        if self.outside.is_empty() {
            return made("True", Reason::AsDesired, "every name stands for something");
        }

        let outside: Vec<&str> = self.outside.iter().map(String::as_str).collect();
        let message = format!("every name stands for something, outside the catalogue: {}", listed(&outside));
        made("True", Reason::AsDesired, &message)
    }
}

const APPLICATION: (&str, Reason) = ("Application", Reason::ApplicationNotFound);
const RELEASE: (&str, Reason) = ("Release", Reason::ReleaseNotFound);
const PLATFORM: (&str, Reason) = ("Platform", Reason::PlatformNotFound);
pub(super) const ESTABLISHMENT: (&str, Reason) = ("Establishment", Reason::EstablishmentNotFound);

/// The names of an Application: the one it replaces, and its peers, which need not be in the catalogue.
pub(super) fn of_application(application: &Application, known: &Known<'_>) -> Names {
    let mut names = Names::default();
    let is_known = |name: &str| known.applications.contains_key(name);
    names.check(APPLICATION, "spec.predecessor", &application.spec.predecessor, is_known);

    let peers = application.spec.interfaces.iter().map(|interface| &interface.peer);
    names.outside = peers.filter(|peer| !is_known(peer)).cloned().collect();
    names
}

/// The names of a Release: its Application, those that it requires, and the versions that it is reached from.
pub(super) fn of_release(release: &Release, known: &Known<'_>) -> Names {
    let mut names = Names::default();
    let spec = &release.spec;
    let is_known = |name: &str| known.applications.contains_key(name);
    names.check(APPLICATION, "spec.application", [&spec.application], is_known);
    names.check(APPLICATION, "spec.requires", spec.requires.iter().map(|one| &one.application), is_known);

    // By the version and not by the text, as ways are found.
    let is_published = |text: &str| {
        let Ok(wanted) = spec.version_scheme.parse(text) else { return false };
        let mut of_it = known.releases.values().filter(|other| other.spec.application == spec.application);
        of_it.any(|other| other.spec.version_scheme.parse(&other.spec.version).is_ok_and(|version| version == wanted))
    };
    let unpublished: Vec<&str> =
        spec.reachable_from.iter().map(String::as_str).filter(|text| !is_published(text)).collect();
    if !unpublished.is_empty() {
        let message = format!(
            "no Release of {} has the version {}: publish it, or take it out of spec.reachableFrom",
            spec.application,
            listed(&unpublished)
        );
        names.unknown.push(Unknown { reason: Reason::ReleaseNotFound, message });
    }
    names
}

/// The names of an Establishment: its Platform and, of a grouping, the Applications it is for and its members. A member
/// with a name for people needs no Establishment.
pub(super) fn of_establishment(establishment: &Establishment, known: &Known<'_>) -> Names {
    let mut names = Names::default();
    let spec = &establishment.spec;
    names.check(PLATFORM, "spec.homePlatform", &spec.home_platform, |name| known.platforms.contains_key(name));

    let Some(grouping) = &spec.grouping else { return names };
    let is_application = |name: &str| known.applications.contains_key(name);
    names.check(APPLICATION, "spec.grouping.applications", &grouping.applications, is_application);

    let is_known = |name: &str| known.establishments.contains_key(name);
    let expected = grouping.members.iter().filter(|member| member.display_name.is_none()).map(|member| &member.name);
    let members = unknown(ESTABLISHMENT, "spec.grouping.members", expected, is_known).map(|mut one| {
        one.message.push_str(", or say its displayName there, as of one without an Establishment");
        one
    });
    names.unknown.extend(members);
    names
}

/// The names of a freeze: whom it holds, and the Releases that pass.
pub(super) fn of_freeze(freeze: &ChangeFreeze, known: &Known<'_>) -> Names {
    let mut names = Names::default();
    let spec = &freeze.spec;
    names.check(APPLICATION, "spec.applications", &spec.applications, |name| known.applications.contains_key(name));
    let is_establishment = |name: &str| known.establishments.contains_key(name);
    names.check(ESTABLISHMENT, "spec.establishments", &spec.establishments, is_establishment);

    let releases = spec.exceptions.iter().flat_map(|exception| &exception.releases);
    names.check(RELEASE, "spec.exceptions", releases, |name| known.releases.contains_key(name));
    names
}

/// Why a freeze holds nobody: all applications, or all establishments, that it names are missing.
pub(super) fn holds_nobody(freeze: &ChangeFreeze, known: &Known<'_>) -> Option<Unknown> {
    let spec = &freeze.spec;
    let why = |(kind, reason), field: &str, names: &[String], is_known: &dyn Fn(&str) -> bool| {
        if names.iter().any(|name| is_known(name)) {
            return None;
        }
        let mut why = unknown((kind, reason), field, names, is_known)?;
        why.message = format!("it holds nobody: {}", why.message);
        Some(why)
    };
    let applications =
        why(APPLICATION, "spec.applications", &spec.applications, &|name| known.applications.contains_key(name));
    applications.or_else(|| {
        let is_known = |name: &str| known.establishments.contains_key(name);
        why(ESTABLISHMENT, "spec.establishments", &spec.establishments, &is_known)
    })
}

/// Those of the names that `is_known` does not know, as a sentence. `None` if it knows all.
fn unknown<'n>(
    (kind, reason): (&str, Reason),
    field: &str,
    names: impl IntoIterator<Item = &'n String>,
    is_known: impl Fn(&str) -> bool,
) -> Option<Unknown> {
    let unknown: Vec<&str> = names.into_iter().map(String::as_str).filter(|name| !is_known(name)).collect();
    match unknown[..] {
        [] => None,
        [one] => Some(not_there((kind, reason), field, one)),
        _ => {
            let message = format!("there is no {kind} called {}: create them, or correct {field}", listed(&unknown));
            Some(Unknown { reason, message })
        }
    }
}

/// A name that stands for nothing, as a sentence.
pub(super) fn not_there((kind, reason): (&str, Reason), field: &str, name: &str) -> Unknown {
    Unknown { reason, message: format!("there is no {kind} called {name}: create it, or correct {field}") }
}
