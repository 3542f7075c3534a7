//! What happens when?

use crate::campaign::Standing;
use gotocloud_api::upgrade::UpgradePhase;
use jiff::Timestamp;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The dated schedule of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From when it was played.
    pub from: Timestamp,
    /// Until when, at most.
    pub until: Timestamp,
    /// Its waves.
    pub waves: Vec<WaveSchedule>,
    /// Its targets, by name.
    pub targets: BTreeMap<Arc<str>, TargetSchedule>,
    /// Why it went no further, where it does not end: a sentence.
    pub stuck: Option<String>,
}

/// When a wave begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveSchedule {
    /// Its name.
    pub name: String,
    /// When it begins; none where it does not.
    pub begins: Option<Timestamp>,
    /// When the last of its targets is done or given up; none where that is not so.
    pub ends: Option<Timestamp>,
}

/// When a target begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSchedule {
    /// Its wave, by its place.
    pub wave: usize,
    /// When it begins; none where it does not, or had begun before.
    pub begins: Option<Timestamp>,
    /// When it enters each phase of its upgrade; of a provision or a promotion there are none.
    pub phases: Vec<(Timestamp, UpgradePhase)>,
    /// When it is done or given up; none where that is not so.
    pub ends: Option<Timestamp>,
    /// Where it stands in the end.
    pub outcome: Standing,
}

impl Schedule {
    /// When all of it is done; none where it does not end.
    pub fn ends(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.waves.iter().map(|wave| wave.ends).collect();
        ends.filter(|_| self.stuck.is_none())?.into_iter().max()
    }

    /// The first target, in the order in which they begin, that the campaign is not done with by that moment.
    pub fn first_not_done_by(&self, by: Timestamp) -> Option<(&Arc<str>, &TargetSchedule)> {
        let is_late =
            |target: &TargetSchedule| !target.outcome.is_settled() || target.ends.is_some_and(|ends| ends > by);
        let late = self.targets.iter().filter(|(_, target)| is_late(target));
        late.min_by_key(|(name, target)| (target.wave, target.begins.unwrap_or(Timestamp::MAX), Arc::clone(name)))
    }

    /// How many targets there are of which that is so in the end.
    pub fn count(&self, is_so: impl Fn(&Standing) -> bool) -> usize {
        self.targets.values().filter(|target| is_so(&target.outcome)).count()
    }
}

impl fmt::Display for Schedule {
    /// The waves with their targets, in the order in which they begin. All times are UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
        for (place, wave) in self.waves.iter().enumerate() {
            let mut targets: Vec<_> = self.targets.iter().filter(|(_, target)| target.wave == place).collect();
            targets.sort_by_key(|(name, target)| (target.begins.unwrap_or(Timestamp::MAX), Arc::clone(name)));
            let (begins, ends) = (at(wave.begins), at(wave.ends));
            writeln!(f, "{:<34} {begins:>16}  {ends:>16}  {} targets", wave.name, targets.len())?;
            for (name, target) in targets {
                let (begins, ends) = (at(target.begins), at(target.ends));
                writeln!(f, "  {name:<32} {begins:>16}  {ends:>16}  {}", told(&target.outcome))?;
            }
        }
        match (&self.stuck, self.ends()) {
            (_, Some(ends)) => writeln!(f, "{:<52} {:>16}", "done", at(Some(ends))),
            (Some(stuck), None) => writeln!(f, "not done by {}: {stuck}", at(Some(self.until))),
            (None, None) => writeln!(f, "not done by {}", at(Some(self.until))),
        }
    }
}

fn told(outcome: &Standing) -> String {
    match outcome {
        Standing::Pending => "does not begin".into(),
        Standing::Blocked(why) => format!("does not begin: {why}"),
        Standing::Running { .. } | Standing::GoingBack | Standing::ToGoBack(_) => "under way".into(),
        Standing::Soaking => "watched".into(),
        Standing::Done => "done".into(),
        Standing::Unneeded => "is there already".into(),
        Standing::Failed(why) => format!("fails: {why}"),
        Standing::Skipped => "left out".into(),
        Standing::Pinned(by) => format!("pinned by {by}"),
        Standing::WentBack => "back".into(),
    }
}
