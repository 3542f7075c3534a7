//! When will a campaign be done? Simulated beside its decisions.

use super::Known;
use gotocloud_planner::{
    calendar::LOOK_AHEAD,
    campaign::{Engine, engine::Event},
    simulate::{Schedule, simulate},
};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::task::{JoinError, JoinSet};

/// How often it is simulated when a campaign will end, while it goes on. A simulation that takes long is made less often.
const SIMULATE_EVERY: Duration = Duration::from_mins(1);

/// What is being simulated, by the name of its campaign.
#[derive(Default)]
pub(super) struct Forecasts {
    known: HashMap<String, Forecast>,
}

/// The simulations of one campaign.
#[derive(Default)]
struct Forecast {
    /// Is one being made?
    is_under_way: bool,
    /// When one was asked for last.
    asked: Option<Instant>,
    /// How long that one took.
    took: Duration,
}

/// What a simulation came to, for the campaign of that name as it was of that generation.
pub(super) struct Simulated {
    campaign: String,
    generation: Option<i64>,
    schedule: Schedule,
    took: Duration,
}

impl Forecasts {
    /// Has it worked out beside the decisions when campaigns will end, where that is due.
    pub(super) fn begin(&mut self, engine: &mut Engine, known: &Known, simulations: &mut JoinSet<Simulated>) {
        let wanted: Vec<(String, bool)> = engine.forecasts().map(|(name, is_stale)| (name.clone(), is_stale)).collect();
        self.known.retain(|name, one| one.is_under_way || wanted.iter().any(|(wanted, _)| wanted == name));
        for (campaign, is_stale) in wanted {
            let forecast = self.known.entry(campaign.clone()).or_default();
            let patience = SIMULATE_EVERY.max(forecast.took * 50);
            let is_old = forecast.asked.is_none_or(|asked| asked.elapsed() >= patience);
            if forecast.is_under_way || !(is_stale || is_old) {
                continue;
            }

            let Some((start, conduct, generation)) = engine.start(&campaign, known) else { continue };
            forecast.is_under_way = true;
            forecast.asked = Some(Instant::now());
            let now = known.context.clock.now();
            let until = now.checked_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX);
            simulations.spawn_blocking(move || {
                let began = Instant::now();
                let schedule = simulate(start, &conduct, now, until);
                Simulated { campaign, generation, schedule, took: began.elapsed() }
            });
        }
    }

    /// Takes in what a simulation came to.
    pub(super) fn take_in(&mut self, simulated: Result<Simulated, JoinError>) -> Option<Event> {
        let simulated = match simulated {
            Ok(simulated) => simulated,
            Err(error) => {
                tracing::error!(%error, "a simulation broke off; report this as a bug");
                self.known.values_mut().for_each(|forecast| forecast.is_under_way = false);
                return None;
            }
        };
        let Simulated { campaign, generation, schedule, took } = simulated;
        if let Some(forecast) = self.known.get_mut(&campaign) {
            forecast.is_under_way = false;
            forecast.took = took;
        }
        Some(Event::Forecast { campaign, generation, schedule: Box::new(schedule) })
    }
}
