//! What must hold in every state.

use super::{
    BACKUP, BETWEEN, END, FAILURE, FAILURES, Fleet, LIMIT, ONE_CAMPAIGN, PIN, PROOF, Place, STEPS, State, WAVE, WINDOW,
};
use gotocloud_api::{campaign::CampaignState, upgrade::UpgradePhase};
use gotocloud_planner::campaign::Standing;
use stateright::Property;

pub(super) fn laws() -> Vec<Property<Fleet>> {
    fn unbroken(property: &'static str) -> fn(&Fleet, &State) -> bool {
        match property {
            FAILURES => |_, state| state.broken != Some(FAILURES),
            WINDOW => |_, state| state.broken != Some(WINDOW),
            WAVE => |_, state| state.broken != Some(WAVE),
            ONE_CAMPAIGN => |_, state| state.broken != Some(ONE_CAMPAIGN),
            PIN => |_, state| state.broken != Some(PIN),
            STEPS => |_, state| state.broken != Some(STEPS),
            BACKUP => |_, state| state.broken != Some(BACKUP),
            _ => |_, state| state.broken != Some(BETWEEN),
        }
    }
    let mut properties: Vec<_> = [FAILURES, WINDOW, WAVE, ONE_CAMPAIGN, PIN, STEPS, BACKUP]
        .map(|property| Property::always(property, unbroken(property)))
        .into();
    // One that fails while it is watched goes back at once, whatever else is being changed.
    properties.push(Property::always(LIMIT, |fleet: &Fleet, state: &State| {
        let goes_back = |place: &Place| place.record.is_some_and(|one| one.phase == UpgradePhase::RollingBack);
        state.broken != Some(LIMIT)
            && (0..state.campaigns.len()).all(|campaign| {
                (0..2).all(|wave| {
                    fleet.in_hand(state, campaign, wave).filter(|place| !goes_back(place)).count()
                        <= usize::from(fleet.at_once)
                })
            })
    }));
    properties.push(Property::always(PROOF, |fleet: &Fleet, state: &State| {
        state.campaigns.iter().enumerate().all(|(at, campaign)| {
            let spec = fleet.spec(*campaign);
            state.places.iter().zip(fleet.waves).all(|(place, wave)| {
                fleet.standing(place, &spec, at, *wave) != Standing::Done
                    || place.record.is_some_and(|record| {
                        record.phase == UpgradePhase::Done
                            && record.to == fleet.goal()
                            && record.asked.is_some_and(|(by, _)| usize::from(by) == at)
                    })
            })
        })
    }));
    properties.push(Property::always(BETWEEN, |fleet: &Fleet, state: &State| {
        state.broken != Some(BETWEEN)
            && (!fleet.is_at_rest(state) || (0..fleet.targets).all(|target| !state.is_in_hand(target)))
    }));
    properties.push(Property::always(END, |fleet: &Fleet, state: &State| {
        let is_free = !state.is_closed && state.campaigns.iter().all(|one| one.state == CampaignState::Running);
        let nothing_failed = state.left[FAILURE] == fleet.failures;
        !(is_free && nothing_failed && fleet.is_at_rest(state))
            || state.places.iter().all(|place| place.pinned.is_some() || place.running == fleet.goal())
    }));
    properties
}
