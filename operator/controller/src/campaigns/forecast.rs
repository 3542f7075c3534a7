//! When will a campaign be done? Simulated beside its decisions.

use super::Runner;
use gotocloud_api::{Campaign, campaign::CampaignState};
use gotocloud_planner::{
    calendar::LOOK_AHEAD,
    simulate::{Measured, Schedule, simulate},
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinError;

/// How often it is simulated when a campaign will end, while it goes on. A simulation that takes long is made less often.
const SIMULATE_EVERY: Duration = Duration::from_mins(1);

/// When a campaign will end.
#[derive(Default)]
pub(super) struct Forecast {
    /// What a simulation said last.
    pub(super) schedule: Option<Schedule>,
    /// Is one being made?
    pub(super) is_under_way: bool,
    /// Did something change that the last one did not know of?
    pub(super) is_stale: bool,
    /// When one was asked for last.
    pub(super) asked: Option<Instant>,
    /// How long that one took.
    pub(super) took: Duration,
}

/// What a simulation came to, for the campaign of that name as it was of that generation.
pub(super) struct Simulated {
    pub(super) campaign: String,
    pub(super) generation: Option<i64>,
    pub(super) schedule: Schedule,
    pub(super) took: Duration,
}

impl Runner {
    /// Has it worked out beside the decisions when a campaign will end, where that is due.
    pub(super) fn simulate(&mut self, campaign: &Arc<Campaign>) {
        let name = campaign.name_any();
        let Some(live) = self.live.get_mut(&name) else { return };
        let goes_on = matches!(campaign.spec.state, CampaignState::Draft | CampaignState::Running);
        let forecast = &mut live.forecast;
        let patience = SIMULATE_EVERY.max(forecast.took * 50);
        let is_old = live.view.is_moving() && forecast.asked.is_none_or(|asked| asked.elapsed() >= patience);
        if forecast.is_under_way || !(forecast.is_stale || is_old) || !goes_on || !live.view.is_valid() {
            return;
        }
        forecast.is_under_way = true;
        forecast.is_stale = false;
        forecast.asked = Some(Instant::now());
        let status = live.status.as_ref().or(campaign.status.as_ref());
        let mut start = live.view.start(campaign, status, &self.known);
        let conduct = Measured { mean: live.view.board.mean(), rehearsed: std::mem::take(&mut start.rehearsed) };
        let (now, generation) = (self.known.context.clock.now(), live.generation);
        let until = now.checked_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX);
        self.simulations.spawn_blocking(move || {
            let began = Instant::now();
            let schedule = simulate(start, &conduct, now, until);
            Simulated { campaign: name, generation, schedule, took: began.elapsed() }
        });
    }

    /// Takes in what a simulation came to.
    pub(super) fn take_in(&mut self, simulated: Result<Simulated, JoinError>) {
        let simulated = match simulated {
            Ok(simulated) => simulated,
            Err(error) => {
                tracing::error!(%error, "a simulation broke off; report this as a bug");
                self.live.values_mut().for_each(|live| live.forecast.is_under_way = false);
                return;
            }
        };
        let Some(live) = self.live.get_mut(&simulated.campaign) else { return };
        live.forecast.is_under_way = false;
        live.forecast.took = simulated.took;
        let campaign = self.known.catalogue.campaign(&simulated.campaign);
        let Some(campaign) = campaign.filter(|_| live.generation == simulated.generation) else { return };
        live.view.find(&campaign, &self.known, Some(&simulated.schedule), self.known.context.clock.now());
        live.forecast.schedule = Some(simulated.schedule);
    }
}
