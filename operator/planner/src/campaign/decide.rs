//! Which wave and which targets begin now?

use super::{Board, Lane, Standing, board::WaveBoard, standing, waves};
use gotocloud_api::{CampaignSpec, CampaignStatus, campaign::CampaignState};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Whether the calendars of a lane are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// They are.
    Open,
    /// They are not; when they next are, if that is known.
    Closed(Option<Timestamp>),
}

/// What a campaign does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// The wave, by its place, that begins. It is recorded before any target of it begins, which is in a later decision.
    pub start: Option<usize>,
    /// The targets that begin, or go back.
    pub begin: Vec<Admission>,
    /// The targets whose way is to be rehearsed.
    pub rehearse: Vec<Arc<str>>,
    /// The targets to withdraw, which have touched nothing.
    pub withdraw: Vec<Arc<str>>,
    /// When to decide again, if nothing happens before.
    pub look_again: Option<Timestamp>,
}

/// A target that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Its name.
    pub name: Arc<str>,
    /// Its wave, by its place.
    pub wave: usize,
    /// Which try it is.
    pub attempt: u32,
    /// The release it goes back to; none where it goes on.
    pub back_to: Option<Box<str>>,
}

/// What the campaign does now, given where its targets stand, its status as it is stored, and which lanes are open.
pub fn decide(
    spec: &CampaignSpec,
    status: Option<&CampaignStatus>,
    board: &Board,
    is_valid: bool,
    mut opening: impl FnMut(&Lane) -> Opening,
    now: Timestamp,
) -> Moves {
    let mut moves = Moves::default();
    if spec.state == CampaignState::Aborted {
        moves.withdraw = board.waves().iter().flat_map(|wave| wave.untouched.iter().cloned()).collect();
        return moves;
    }

    let is_halted = waves::halt(spec, board, is_valid).is_some();
    if !is_halted {
        moves.rehearse = to_rehearse(spec, board);
    }
    let mut room = Room { spec, board, begun_on: HashMap::new(), openings: HashMap::new() };

    for (at, (wave, on_board)) in spec.waves.iter().zip(board.waves()).enumerate() {
        if !waves::has_begun(status, &wave.name) {
            if waves::is_passed_over(wave, on_board) {
                continue;
            }
            let has_begun = |name: &str| waves::has_begun(status, name);
            match waves::may_begin(spec, board, at, has_begun, is_valid, now) {
                Ok(()) => moves.start = Some(at),
                Err(waves::Wait::NotBefore(at)) => moves.look_again = sooner(moves.look_again, Some(at)),
                Err(_) => {}
            }
            continue;
        }
        let mut free = waves::at_once(spec, board, at).saturating_sub(on_board.weight_in_hand);
        let mut in_hand = on_board.weight_in_hand;
        // A person wants these back: only limits and a person hold that, and neither a failure, a window, a freeze nor
        // a finding.
        if spec.state == CampaignState::Running {
            for name in &on_board.to_go_back {
                if room.begin(name, at, &mut free, &mut in_hand, &mut moves) == Begun::IsTooHeavy {
                    break;
                }
            }
        }
        if !is_halted {
            begin_waiting(&mut room, on_board, at, &mut free, &mut in_hand, &mut opening, now, &mut moves);
        }
    }

    moves
}

/// Those whose way is rehearsed now: of every wave, whether or not it has begun, and in spite of windows and freezes, since
/// a rehearsal touches nothing; but no more of a wave at once than may be changed at once.
fn to_rehearse(spec: &CampaignSpec, board: &Board) -> Vec<Arc<str>> {
    let of = |(at, wave): (usize, &WaveBoard)| {
        let free = waves::at_once(spec, board, at).saturating_sub(wave.rehearsing);
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        wave.to_rehearse.iter().take(free).cloned().collect::<Vec<_>>()
    };
    board.waves().iter().enumerate().flat_map(of).collect()
}

/// Begins as many targets of a wave as there is room for, in the order of their names.
#[allow(clippy::too_many_arguments)] // one loop's state, taken apart
fn begin_waiting(
    room: &mut Room<'_>,
    wave: &WaveBoard,
    at: usize,
    free: &mut u32,
    in_hand: &mut u32,
    opening: &mut impl FnMut(&Lane) -> Opening,
    now: Timestamp,
    moves: &mut Moves,
) {
    // Of each open lane, the next name and those after it.
    let mut lanes = Vec::new();

    for (lane, names) in &wave.waiting {
        match *room.openings.entry((lane.calendar, lane.kind)).or_insert_with(|| opening(lane)) {
            Opening::Open => {
                let mut names = names.iter();
                lanes.extend(names.next().map(|next| (next, lane, names)));
            }
            Opening::Closed(opens) => moves.look_again = sooner(moves.look_again, opens),
        }
    }

    let mut due: BTreeSet<&Arc<str>> = BTreeSet::new();
    for (until, name) in &wave.deferred {
        if *until > now {
            moves.look_again = sooner(moves.look_again, Some(*until));
            break;
        }
        let lane = room.board.target(name).map(|target| &target.lane);
        if let Some(lane) = lane {
            match *room.openings.entry((lane.calendar, lane.kind)).or_insert_with(|| opening(lane)) {
                Opening::Open => drop(due.insert(name)),
                Opening::Closed(opens) => moves.look_again = sooner(moves.look_again, opens),
            }
        }
    }

    // One that is too heavy for what is left keeps its turn: lighter ones would take its room for ever.
    let mut is_one_too_heavy =
        due.into_iter().any(|name| room.begin(name, at, free, in_hand, moves) == Begun::IsTooHeavy);

    while !is_one_too_heavy && (*free > 0 || *in_hand == 0) {
        // A lane whose platform or server is full is full for all in it.
        lanes.retain(|(_, lane, _)| room.has_place(lane));
        let Some(first) = (0..lanes.len()).min_by_key(|&at| lanes[at].0) else { break };
        let name = lanes[first].0;
        match lanes[first].2.next() {
            Some(next) => lanes[first].0 = next,
            None => drop(lanes.swap_remove(first)),
        }
        is_one_too_heavy = room.begin(name, at, free, in_hand, moves) == Begun::IsTooHeavy;
    }
}

/// What became of a target whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// It begins.
    Yes,
    /// What is being changed of its wave leaves too little room for what it weighs.
    IsTooHeavy,
    /// Its platform or its server is full.
    HasNoPlace,
}

/// What there is room for, beside what is being changed already.
struct Room<'a> {
    spec: &'a CampaignSpec,
    board: &'a Board,
    /// What this decision begins, by platform (false) or server (true).
    begun_on: HashMap<(bool, Arc<str>), u32>,
    openings: HashMap<(u32, Option<gotocloud_api::version::UpgradeKind>), Opening>,
}

impl Room<'_> {
    fn has_place(&self, lane: &Lane) -> bool {
        let begun = |is_server: bool, place: &Arc<str>| {
            self.begun_on.get(&(is_server, Arc::clone(place))).copied().unwrap_or(0)
        };
        let is_under = |limit: Option<u32>, place: &Option<Arc<str>>, is_server: bool| match (limit, place) {
            (Some(limit), Some(place)) => {
                let running = if is_server { self.board.on_server(place) } else { self.board.on_platform(place) };
                running + begun(is_server, place) < limit
            }
            (None, _) | (_, None) => true,
        };
        is_under(self.spec.max_concurrent_per_platform, &lane.platform, false)
            && is_under(self.spec.max_concurrent_per_database_server, &lane.server, true)
    }

    /// Begins a target if there is room for what it weighs. One that is over the limit by itself runs alone.
    fn begin(&mut self, name: &Arc<str>, wave: usize, free: &mut u32, in_hand: &mut u32, moves: &mut Moves) -> Begun {
        let Some(target) = self.board.target(name).filter(|target| self.has_place(&target.lane)) else {
            return Begun::HasNoPlace;
        };
        if target.weight > *free && *in_hand > 0 {
            return Begun::IsTooHeavy;
        }

        *free = free.saturating_sub(target.weight);
        *in_hand = in_hand.saturating_add(target.weight.max(1));
        for (is_server, place) in [(false, &target.lane.platform), (true, &target.lane.server)] {
            if let Some(place) = place {
                *self.begun_on.entry((is_server, Arc::clone(place))).or_default() += 1;
            }
        }
        let back_to = match &target.standing {
            Standing::ToGoBack(release) => Some(release.clone()),
            Standing::Pending
            | Standing::Blocked(_)
            | Standing::Running { .. }
            | Standing::Soaking
            | Standing::Done
            | Standing::Unneeded
            | Standing::Failed(_)
            | Standing::Skipped
            | Standing::Pinned(_)
            | Standing::GoingBack
            | Standing::WentBack => None,
        };
        moves.begin.push(Admission {
            name: Arc::clone(name),
            wave,
            attempt: standing::attempt(self.spec, name),
            back_to,
        });
        Begun::Yes
    }
}

fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
