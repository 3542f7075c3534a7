//! Where does a target that was begun stand, and when?

use super::{Conduct, Start};
use crate::{
    campaign::{
        Standing, gates,
        standing::{self, Goal},
        terms,
    },
    upgrade::{self, Backup, Course, Gates, Migration, Seen, Terms, Wanted},
};
use gotocloud_api::{
    campaign::Wave,
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};
use jiff::{SignedDuration, Timestamp};

/// From when on a target stands somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The phase it enters; none of what has no phases.
    pub phase: Option<UpgradePhase>,
    /// Where it stands.
    pub standing: Standing,
}

/// Most phases that a way is followed through: a guard against a conduct that leads nowhere.
const LONGEST: usize = 1000;

/// Where a target called `name` of `wave` stands from when on, if it begins at `from`, until it has ended.
pub fn timeline(start: &Start, conduct: &dyn Conduct, name: &str, wave: &Wave, from: Timestamp) -> Vec<Moment> {
    let running = start.running.get(name);
    let moments = match (&start.goal, running) {
        (Goal::Release(release), Some(running)) => upgraded(start, conduct, name, wave, from, release, running),
        (Goal::Release(_) | Goal::Stage(_) | Goal::Existence, _) => plain(conduct, name, from),
    };
    match conduct.whole(name) {
        Some(whole) => stretched(moments, from, whole),
        None => moments,
    }
}

/// What is made or promoted: it is under way until its pods are there and verified.
fn plain(conduct: &dyn Conduct, name: &str, from: Timestamp) -> Vec<Moment> {
    let length = conduct.takes(name, UpgradePhase::Rollout) + conduct.takes(name, UpgradePhase::Verify);
    let end = match conduct.fails_in(name) {
        Some(_) => Standing::Failed("simulated".into()),
        None => Standing::Done,
    };
    let moment = |at, standing| Moment { at, phase: None, standing };
    vec![moment(from, Standing::Running { untouched: false }), moment(later(from, length), end)]
}

/// When what begins to go back at `from` is back.
pub fn way_back(conduct: &dyn Conduct, name: &str, from: Timestamp) -> Moment {
    let length = conduct.takes(name, UpgradePhase::Rollout);
    Moment { at: later(from, length), phase: None, standing: Standing::WentBack }
}

/// The way of an upgrade, phase by phase, by the machine that leads a real one.
fn upgraded(
    start: &Start,
    conduct: &dyn Conduct,
    name: &str,
    wave: &Wave,
    from: Timestamp,
    release: &str,
    running: &str,
) -> Vec<Moment> {
    let rollout = Rollout {
        campaign: String::new(),
        uid: String::new(),
        wave: wave.name.clone(),
        attempt: 1,
        wants: release.to_owned(),
    };

    let wanted = Wanted { release: release.to_owned(), rollout: Some(rollout), generation: None };
    let terms = terms::terms(&start.spec, &wave.name);
    let mut now = from;
    let next = |record: Option<&UpgradeStatus>, seen: &Seen, now| {
        let course = Course { releases: &start.releases, terms: &terms, seen, now };
        upgrade::next(record, Some(&wanted), running, course)
    };

    let mut record = next(None, &Seen::default(), now);
    let mut moments = Vec::new();

    while let Some(present) = record.take().filter(|_| moments.len() < LONGEST) {
        moments.push(Moment { at: now, phase: Some(present.phase), standing: standing::tried(&present, false) });
        if present.phase.is_terminal() {
            break;
        }
        let (length, seen) = answer(conduct, name, wave, &terms, &present);
        now = later(now, length);
        record = next(Some(&present), &seen, now);
    }

    moments
}

/// What a phase comes to, and after how long.
fn answer(
    conduct: &dyn Conduct,
    name: &str,
    wave: &Wave,
    terms: &Terms,
    record: &UpgradeStatus,
) -> (SignedDuration, Seen) {
    let length = conduct.takes(name, record.phase);
    let good =
        Seen { backup: Backup::Verified("simulated".into()), migration: Migration::Succeeded, ..Seen::default() };
    let fails = conduct.fails_in(name) == Some(record.phase);
    let why = || "simulated".to_owned();

    match record.phase {
        UpgradePhase::Backup if fails => (length, Seen { backup: Backup::Failed(why()), ..good }),
        UpgradePhase::Backup if length >= terms.backup_deadline => {
            (terms.backup_deadline, Seen { backup: Backup::Running(String::new()), ..good })
        }
        UpgradePhase::Migrate if fails => (length, Seen { migration: Migration::Failed(why(), String::new()), ..good }),
        UpgradePhase::Rollout | UpgradePhase::Verify | UpgradePhase::RollingBack
            if fails || length >= terms.progress_deadline =>
        {
            (terms.progress_deadline, Seen { pods: Some(why()), ..good })
        }
        // Its pods are there, and that is all that is known of it yet.
        UpgradePhase::Rollout => (length, Seen { rest: Some(why()), ..good }),
        // A gate that is true is true for long enough only after that time.
        UpgradePhase::Verify => {
            let gates = wave.gates.iter().map(gates::during).max().unwrap_or_default();
            (length.max(gates), good)
        }
        UpgradePhase::Soak if fails => (terms.soak, Seen { gates: Gates::False(why()), ..good }),
        UpgradePhase::Soak => (terms.soak, good),
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::RollingBack
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => (length, good),
    }
}

/// The same moments, but that all takes `whole` until it is watched or has ended.
fn stretched(moments: Vec<Moment>, from: Timestamp, whole: SignedDuration) -> Vec<Moment> {
    let is_changed = |moment: &&Moment| moment.standing == Standing::Soaking || moment.standing.is_settled();
    let Some(changed) = moments.iter().find(is_changed).map(|moment| moment.at) else { return moments };
    let assumed = changed.duration_since(from).as_secs().max(1);
    let at = |moment: &Moment| {
        let passed = moment.at.duration_since(from).as_secs();
        if moment.at < changed {
            later(from, SignedDuration::from_secs(whole.as_secs().saturating_mul(passed) / assumed))
        } else {
            later(later(from, whole), moment.at.duration_since(changed))
        }
    };
    moments.into_iter().map(|moment| Moment { at: at(&moment), ..moment }).collect()
}

/// That much later, or the end of time.
pub fn later(at: Timestamp, length: SignedDuration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}
