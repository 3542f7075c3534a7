//! May a wave begin, and is it done?

use super::{Board, board::WaveBoard, limits};
use crate::simulate::Schedule;
use gotocloud_api::{
    CampaignSpec, CampaignStatus,
    campaign::{Approval, CampaignState, LateEnd, OnFailure, Wave, Weight},
};
use jiff::Timestamp;

/// Why nothing new may begin, or a wave may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    /// A person holds the campaign, or it has not been let go.
    #[error("the campaign is {0:?}: set spec.state to Running")]
    State(CampaignState),
    /// It cannot run as it is written.
    #[error("the campaign has errors: see status.findings")]
    Invalid,
    /// Too many failed.
    #[error(
        "{failed} of wave {wave} failed and {allowed} may: retry them (spec.retryFailed), or leave them out (spec.skip)"
    )]
    Failures {
        /// The wave.
        wave: String,
        /// How many failed.
        failed: u32,
        /// How many may.
        allowed: u32,
    },
    /// A wave before it is not done.
    #[error("{left} of wave {wave} are not done")]
    Earlier {
        /// The wave before.
        wave: String,
        /// How many of it are not done.
        left: u32,
    },
    /// A wave before it has to begin first, though nothing of it is left to do.
    #[error("wave {wave}, which is before it, has not begun")]
    NotBegun {
        /// The wave before.
        wave: String,
    },
    /// It would pass unwatched, as nobody is in it.
    #[error(
        "nobody is in wave {wave}, which is to be watched or approved: correct its selector or cohort, or set mayBeEmpty \
         of the wave"
    )]
    Empty {
        /// The wave.
        wave: String,
    },
    /// Nobody is in any wave.
    #[error("nobody is in any of its waves: correct their selectors and cohorts, or wait until something matches")]
    NoTargets,
    /// It has a day by which it is to be done, and no simulation has ended yet.
    #[error("it begins once a simulation has shown that it is done by finishBy")]
    NotForecast,
    /// It cannot be done in time, and nobody has accepted that.
    #[error(
        "it is not done by {0}, see the finding TooLate: allow more at once, widen windows, set finishBy later, or make an \
         Approval that says until when it may be done (finishBy)"
    )]
    TooLate(Timestamp),
    /// It is too early.
    #[error("it does not begin before {0}")]
    NotBefore(Timestamp),
    /// A person's word is missing.
    #[error("it waits for a person's word: make an Approval of the wave")]
    Approval,
}

/// Why nothing new may begin in any wave; none where it may.
pub fn halt(spec: &CampaignSpec, board: &Board, is_valid: bool) -> Option<Wait> {
    if spec.state != CampaignState::Running {
        return Some(Wait::State(spec.state));
    }
    if !is_valid {
        return Some(Wait::Invalid);
    }
    too_many_failed(spec, board)
}

/// The first wave of which more failed than may.
pub fn too_many_failed(spec: &CampaignSpec, board: &Board) -> Option<Wait> {
    spec.waves.iter().zip(board.waves()).find_map(|(wave, board)| {
        let of = board.counts.targets - board.counts.unneeded - board.counts.skipped + board.went_back;
        let allowed = match spec.on_failure {
            OnFailure::Pause => 0,
            OnFailure::Rollback | OnFailure::Continue => limits::failures(&wave.max_failures, of),
        };
        let failed = board.counts.failed;
        (failed > allowed).then(|| Wait::Failures { wave: wave.name.clone(), failed, allowed })
    })
}

/// May the wave at that place begin? It begins once: that is recorded in the campaign's status, and what joins or leaves
/// an earlier wave later changes nothing about it. `has_begun` says which waves did.
///
/// # Errors
/// The first [`Wait`] that holds it up.
pub fn may_begin(
    spec: &CampaignSpec,
    board: &Board,
    at: usize,
    has_begun: impl Fn(&str) -> bool,
    is_valid: bool,
    now: Timestamp,
) -> Result<(), Wait> {
    if let Some(halt) = halt(spec, board, is_valid) {
        return Err(halt);
    }
    if board.counts().targets == 0 {
        return Err(Wait::NoTargets);
    }

    for (wave, earlier) in spec.waves.iter().zip(board.waves()).take(at) {
        if earlier.unsettled > 0 {
            return Err(Wait::Earlier { wave: wave.name.clone(), left: earlier.unsettled });
        }
        if !has_begun(&wave.name) && !is_passed_over(wave, earlier) {
            return Err(Wait::NotBegun { wave: wave.name.clone() });
        }
    }

    let Some(wave) = spec.waves.get(at) else { return Err(Wait::Invalid) };
    // An empty wave asks nobody for approval, and lets nobody pass unwatched.
    if board.waves().get(at).is_some_and(|on_board| is_missing_targets(wave, on_board)) {
        return Err(Wait::Empty { wave: wave.name.clone() });
    }

    // What has begun is not left half-way for the time it takes.
    if let Some(late) = board.late().filter(|_| !spec.waves.iter().any(|wave| has_begun(&wave.name))) {
        return Err(late.clone());
    }

    if let Some(not_before) = wave.not_before.as_ref().filter(|not_before| now < not_before.0) {
        return Err(Wait::NotBefore(not_before.0));
    }
    if wave.approval == Approval::Manual && wave.approved.is_none() {
        return Err(Wait::Approval);
    }

    Ok(())
}

/// Why a campaign that is to be done by some day may not begin, given what a simulation says of its end, and who accepts
/// that it is late; `None` if it may.
pub fn too_late(spec: &CampaignSpec, schedule: Option<&Schedule>, accepted: Option<&LateEnd>) -> Option<Wait> {
    let finish_by = spec.finish_by.as_ref()?.0;
    let Some(schedule) = schedule else { return Some(Wait::NotForecast) };
    schedule.first_not_done_by(finish_by)?;

    // Who accepts that it is late, accepts as well that nobody can tell how late.
    let is_accepted = |until: Timestamp| schedule.ends().is_none_or(|ends| ends <= until);
    match accepted {
        Some(accepted) if is_accepted(accepted.until.0) => None,
        Some(accepted) => Some(Wait::TooLate(finish_by.max(accepted.until.0))),
        None => Some(Wait::TooLate(finish_by)),
    }
}

/// Is a wave without a target one whose soak, gates or approval the rest would miss?
pub fn is_missing_targets(wave: &Wave, board: &WaveBoard) -> bool {
    board.counts.targets == 0 && is_watched(wave) && !wave.may_be_empty
}

/// Is a wave without a target one that the rest need not wait for? It begins once it has a target.
pub fn is_passed_over(wave: &Wave, board: &WaveBoard) -> bool {
    board.counts.targets == 0 && is_watched(wave) && wave.may_be_empty
}

/// Does a wave show something to those after it, or ask a person?
fn is_watched(wave: &Wave) -> bool {
    wave.soak.is_some() || !wave.gates.is_empty() || wave.approval == Approval::Manual
}

/// Has the wave at that place begun?
pub fn has_begun(status: Option<&CampaignStatus>, name: &str) -> bool {
    started_at(status, name).is_some()
}

/// When the wave of that name began.
pub fn started_at(status: Option<&CampaignStatus>, name: &str) -> Option<Timestamp> {
    let wave = status?.waves.iter().find(|wave| wave.name == name)?;
    wave.started_at.as_ref().map(|at| at.0)
}

/// What may be changed at once in the wave at that place, in the unit in which the campaign weighs.
pub fn at_once(spec: &CampaignSpec, board: &Board, at: usize) -> u32 {
    let (Some(wave), Some(board)) = (spec.waves.get(at), board.waves().get(at)) else { return 0 };
    let all = match spec.weight {
        // What goes back takes no room from those that follow.
        Weight::Targets => board.counts.targets - board.counts.unneeded - board.counts.skipped + board.went_back,
        Weight::Establishments => board.weight,
    };
    limits::at_once(&wave.max_concurrent, all)
}
