//! How many targets stand where? Kept up one target at a time.

use super::{Standing, waves::Wait};
use gotocloud_api::{campaign::Counts, version::UpgradeKind};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What decides when and where a target may begin. Targets of one lane may all begin, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Which calendar it follows.
    pub calendar: u32,
    /// How much its upgrade changes; none where it is no upgrade, or cannot be told.
    pub kind: Option<UpgradeKind>,
    /// Its platform.
    pub platform: Option<Arc<str>>,
    /// The server its data is on.
    pub server: Option<Arc<str>>,
}

/// One target, as far as a campaign decides about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its wave, by its place.
    pub wave: usize,
    /// Where it stands.
    pub standing: Standing,
    /// When and where it may begin.
    pub lane: Lane,
    /// How much it counts against what may be changed at once.
    pub weight: u32,
    /// Before when it may not begin, as its establishment wishes.
    pub deferred_until: Option<Timestamp>,
    /// Does its platform not answer?
    pub unreachable: bool,
    /// Is its way to be rehearsed first?
    pub rehearsal: Rehearsing,
    /// Since when, and how fast.
    pub progress: Progress,
}

/// Does what holds a target up want its way to be rehearsed?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rehearsing {
    /// No.
    #[default]
    No,
    /// Yes, and nobody has asked for that.
    Due,
    /// Yes, and that was asked for, and has not ended.
    UnderWay,
}

/// How far a target that was begun has come, as its record tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Since when it is where it stands: changed, or watched.
    pub since: Option<Timestamp>,
    /// How many seconds it took to be changed, without its watch.
    pub took: Option<u32>,
}

/// The targets of a campaign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    targets: HashMap<Arc<str>, Target>,
    waves: Vec<WaveBoard>,
    by_platform: HashMap<Arc<str>, u32>,
    by_server: HashMap<Arc<str>, u32>,
    /// Seconds that targets took, and how many targets they are.
    took: (u64, u32),
    /// What others change at the same places: other campaigns, and people by hand.
    elsewhere: Places,
    /// Why the campaign may not begin, given by when it is to be done.
    late: Option<Wait>,
}

/// How many targets are being changed, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// By platform.
    pub platforms: HashMap<Arc<str>, u32>,
    /// By the server their data is on.
    pub servers: HashMap<Arc<str>, u32>,
}

impl Places {
    /// Adds one instance that is being changed there.
    pub fn add_one(&mut self, platform: Option<&str>, server: Option<&str>) {
        for (sum, place) in [(&mut self.platforms, platform), (&mut self.servers, server)] {
            if let Some(place) = place {
                *sum.entry(place.into()).or_default() += 1;
            }
        }
    }

    /// Adds what is being changed by another campaign.
    pub fn add(&mut self, board: &Board) {
        let places = [(&mut self.platforms, &board.by_platform), (&mut self.servers, &board.by_server)];
        for (sum, more) in places {
            for (place, count) in more {
                *sum.entry(Arc::clone(place)).or_default() += count;
            }
        }
    }
}

/// The targets of one wave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WaveBoard {
    /// How many stand where.
    pub counts: Counts,
    /// What all that count for limits weigh: those not left out and not there already.
    pub weight: u32,
    /// What those being changed weigh.
    pub weight_in_hand: u32,
    /// How many went back, as a person wanted.
    pub went_back: u32,
    /// With which the campaign still has something to do.
    pub unsettled: u32,
    /// Those that may begin once it is their turn, by lane.
    pub waiting: BTreeMap<Lane, BTreeSet<Arc<str>>>,
    /// Those that are deferred, by when.
    pub deferred: BTreeSet<(Timestamp, Arc<str>)>,
    /// Those that are to go back.
    pub to_go_back: BTreeSet<Arc<str>>,
    /// Those begun that have touched nothing yet.
    pub untouched: BTreeSet<Arc<str>>,
    /// Those being changed or watched.
    pub in_hand: BTreeSet<Arc<str>>,
    /// Those that cannot begin, whatever their turn.
    pub blocked: BTreeSet<Arc<str>>,
    /// Those whose way is to be rehearsed.
    pub to_rehearse: BTreeSet<Arc<str>>,
    /// How many ways are being rehearsed.
    pub rehearsing: u32,
    /// Those that failed.
    pub failed: BTreeSet<Arc<str>>,
}

impl Board {
    /// A board for so many waves, without targets.
    pub fn new(waves: usize) -> Self {
        Self { waves: vec![WaveBoard::default(); waves], ..Self::default() }
    }

    /// The waves.
    pub fn waves(&self) -> &[WaveBoard] {
        &self.waves
    }

    /// A target.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.get(name)
    }

    /// All targets with their names, in no order.
    pub fn targets(&self) -> impl Iterator<Item = (&Arc<str>, &Target)> {
        self.targets.iter()
    }

    /// Notes what others change now.
    pub fn set_elsewhere(&mut self, elsewhere: Places) {
        self.elsewhere = elsewhere;
    }

    /// Sets why the campaign may not begin, given by when it is to be done.
    pub fn set_late(&mut self, late: Option<Wait>) {
        self.late = late;
    }

    /// Why the campaign may not begin, given by when it is to be done; `None` if it may.
    pub fn late(&self) -> Option<&Wait> {
        self.late.as_ref()
    }

    /// The first target of a wave that cannot begin, and why.
    pub fn first_blocked(&self, wave: usize) -> Option<(&str, &str)> {
        let name = self.waves.get(wave)?.blocked.first()?;
        let Standing::Blocked(why) = &self.target(name)?.standing else { return None };
        Some((name, why))
    }

    /// How many are being changed now on a platform, by this campaign or anybody else.
    pub fn on_platform(&self, platform: &str) -> u32 {
        [&self.by_platform, &self.elsewhere.platforms].iter().filter_map(|on| on.get(platform)).sum()
    }

    /// How many are being changed now with their data on a server, by this campaign or anybody else.
    pub fn on_server(&self, server: &str) -> u32 {
        [&self.by_server, &self.elsewhere.servers].iter().filter_map(|on| on.get(server)).sum()
    }

    /// How long its targets took to be changed, without their watch, on the average; none where none is.
    pub fn mean(&self) -> Option<SignedDuration> {
        let (seconds, targets) = self.took;
        let mean = seconds.checked_div(u64::from(targets))?;
        Some(SignedDuration::from_secs(i64::try_from(mean).unwrap_or(i64::MAX)))
    }

    /// All waves' counts together.
    pub fn counts(&self) -> Counts {
        self.waves.iter().fold(Counts::default(), |sum, wave| added(sum, wave.counts, 1))
    }

    /// Puts a target where it now stands; gives where it stood before. One of a wave that is not there is left out.
    pub fn put(&mut self, name: &Arc<str>, target: Target) -> Option<Standing> {
        let before = self.take(name);
        if self.count(name, &target, true) {
            self.targets.insert(Arc::clone(name), target);
        }
        before
    }

    /// Takes a target away; gives where it stood.
    pub fn take(&mut self, name: &str) -> Option<Standing> {
        let (name, target) = self.targets.remove_entry(name)?;
        self.count(&name, &target, false);
        Some(target.standing)
    }

    fn count(&mut self, name: &Arc<str>, target: &Target, is_added: bool) -> bool {
        let Some(wave) = self.waves.get_mut(target.wave) else { return false };
        let sign = if is_added { 1 } else { -1 };
        wave.counts = added(wave.counts, of(target), sign);
        let weigh =
            |sum: &mut u32| *sum = sum.saturating_add_signed(sign * i32::try_from(target.weight).unwrap_or(i32::MAX));
        let one = |sum: &mut u32| *sum = sum.saturating_add_signed(sign);
        if !matches!(target.standing, Standing::Unneeded | Standing::Skipped) {
            weigh(&mut wave.weight);
        }
        if !target.standing.is_settled() {
            one(&mut wave.unsettled);
        }
        if target.standing == Standing::WentBack {
            one(&mut wave.went_back);
        }

        if let Some(took) = target.progress.took {
            let (seconds, targets) = &mut self.took;
            *seconds = seconds.saturating_add_signed(i64::from(sign) * i64::from(took));
            one(targets);
        }

        if target.standing.is_in_hand() {
            weigh(&mut wave.weight_in_hand);
            for (place, counts) in
                [(&target.lane.platform, &mut self.by_platform), (&target.lane.server, &mut self.by_server)]
            {
                if let Some(place) = place {
                    one(counts.entry(Arc::clone(place)).or_default());
                    counts.retain(|_, count| *count > 0);
                }
            }
        }

        let set = |all: &mut BTreeSet<Arc<str>>| {
            if is_added {
                all.insert(Arc::clone(name));
            } else {
                all.remove(name);
            }
        };

        match target.rehearsal {
            Rehearsing::No => {}
            Rehearsing::Due => set(&mut wave.to_rehearse),
            Rehearsing::UnderWay => one(&mut wave.rehearsing),
        }

        match &target.standing {
            Standing::Pending if target.unreachable => {}
            Standing::Pending => match target.deferred_until {
                Some(until) if is_added => drop(wave.deferred.insert((until, Arc::clone(name)))),
                Some(until) => drop(wave.deferred.remove(&(until, Arc::clone(name)))),
                None => {
                    let lane = wave.waiting.entry(target.lane.clone()).or_default();
                    set(lane);
                    if lane.is_empty() {
                        wave.waiting.remove(&target.lane);
                    }
                }
            },
            Standing::Running { untouched } => {
                set(&mut wave.in_hand);
                if *untouched {
                    set(&mut wave.untouched);
                }
            }
            Standing::GoingBack | Standing::Soaking => set(&mut wave.in_hand),
            Standing::Failed(_) => set(&mut wave.failed),
            Standing::ToGoBack(_) => set(&mut wave.to_go_back),
            Standing::Blocked(_) => set(&mut wave.blocked),
            Standing::Done | Standing::Unneeded | Standing::Skipped | Standing::Pinned(_) | Standing::WentBack => {}
        }

        true
    }
}

/// What one target counts as.
fn of(target: &Target) -> Counts {
    let mut counts = Counts { targets: 1, ..Counts::default() };
    let field = match &target.standing {
        Standing::Pending | Standing::Blocked(_) if target.unreachable => &mut counts.unreachable,
        Standing::Pending | Standing::Blocked(_) => &mut counts.pending,
        Standing::Running { .. } | Standing::GoingBack => &mut counts.running,
        Standing::Soaking => &mut counts.soaking,
        Standing::Done | Standing::ToGoBack(_) => &mut counts.done,
        Standing::Unneeded => &mut counts.unneeded,
        Standing::Failed(_) => &mut counts.failed,
        Standing::Skipped | Standing::WentBack => &mut counts.skipped,
        Standing::Pinned(_) => &mut counts.pinned,
    };
    *field = 1;
    counts
}

fn added(sum: Counts, more: Counts, sign: i32) -> Counts {
    let add = |sum: u32, more: u32| sum.saturating_add_signed(sign * i32::try_from(more).unwrap_or(i32::MAX));
    Counts {
        targets: add(sum.targets, more.targets),
        pending: add(sum.pending, more.pending),
        running: add(sum.running, more.running),
        soaking: add(sum.soaking, more.soaking),
        done: add(sum.done, more.done),
        unneeded: add(sum.unneeded, more.unneeded),
        failed: add(sum.failed, more.failed),
        skipped: add(sum.skipped, more.skipped),
        pinned: add(sum.pinned, more.pinned),
        unreachable: add(sum.unreachable, more.unreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing() -> impl Strategy<Value = Standing> {
        prop_oneof![
            Just(Standing::Pending),
            Just(Standing::Blocked("b".into())),
            any::<bool>().prop_map(|untouched| Standing::Running { untouched }),
            Just(Standing::Soaking),
            Just(Standing::Done),
            Just(Standing::Unneeded),
            Just(Standing::Failed("f".into())),
            Just(Standing::Skipped),
            Just(Standing::Pinned("p".into())),
            Just(Standing::ToGoBack("r".into())),
            Just(Standing::GoingBack),
            Just(Standing::WentBack),
        ]
    }

    fn target() -> impl Strategy<Value = Target> {
        let place = || proptest::option::of(prop_oneof![Just(Arc::from("x")), Just(Arc::from("y"))]);
        let rest = (0u32..30, proptest::option::of(0i64..3), any::<bool>(), proptest::option::of(0u32..9));
        let rehearsal = prop_oneof![Just(Rehearsing::No), Just(Rehearsing::Due), Just(Rehearsing::UnderWay)];
        (0usize..4, standing(), 0u32..2, place(), place(), rest, rehearsal).prop_map(
            |(wave, standing, calendar, platform, server, (weight, deferred, unreachable, took), rehearsal)| Target {
                wave,
                standing,
                lane: Lane { calendar, kind: None, platform, server },
                weight,
                deferred_until: deferred.map(|at| Timestamp::from_second(at).unwrap()),
                unreachable,
                rehearsal,
                progress: Progress { since: None, took },
            },
        )
    }

    proptest! {
        /// However targets came, changed and went, the board is as if it were made of what is there now.
        #[test]
        fn a_board_kept_up_is_the_board_made_anew(changes in proptest::collection::vec((0u8..6, proptest::option::of(target())), 0..60)) {
            let mut kept = Board::new(3);
            let mut there: BTreeMap<Arc<str>, Target> = BTreeMap::new();
            for (name, change) in changes {
                let name: Arc<str> = format!("t{name}").into();
                // Not taken away where it is put: putting has to do that.
                if change.is_none() {
                    kept.take(&name);
                }
                there.remove(&name);
                if let Some(target) = change {
                    kept.put(&name, target.clone());
                    there.extend((target.wave < 3).then_some((name, target)));
                }
            }
            let mut anew = Board::new(3);
            for (name, target) in there {
                anew.put(&name, target);
            }
            prop_assert_eq!(kept, anew);
        }

        /// What other campaigns change counts at its place, as often as they do, and nowhere else.
        #[test]
        fn what_others_change_counts_too(mine in proptest::collection::vec(target(), 0..9), others in proptest::collection::vec(target(), 0..9)) {
            let board = |targets: &[Target]| {
                let mut board = Board::new(4);
                for (at, target) in targets.iter().enumerate() {
                    board.put(&format!("t{at}").into(), target.clone());
                }
                board
            };
            let (mut mine, theirs) = (board(&mine), board(&others));
            let before = (mine.on_platform("x"), mine.on_server("y"));
            let mut elsewhere = Places::default();
            elsewhere.add(&theirs);
            elsewhere.add(&theirs);
            mine.set_elsewhere(elsewhere);
            let twice = (2 * theirs.on_platform("x"), 2 * theirs.on_server("y"));
            prop_assert_eq!((mine.on_platform("x"), mine.on_server("y")), (before.0 + twice.0, before.1 + twice.1));
        }

        /// Each target is counted once, as one thing.
        #[test]
        fn the_counts_add_up(targets in proptest::collection::vec(target(), 0..20)) {
            let mut board = Board::new(4);
            for (at, target) in targets.iter().enumerate() {
                board.put(&format!("t{at}").into(), target.clone());
            }
            let counts = board.counts();
            let parts = [counts.pending, counts.running, counts.soaking, counts.done, counts.unneeded, counts.failed,
                counts.skipped, counts.pinned, counts.unreachable];
            prop_assert_eq!(counts.targets as usize, targets.len());
            prop_assert_eq!(parts.iter().sum::<u32>(), counts.targets);
        }
    }
}
