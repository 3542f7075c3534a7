//! How carefully is a target's way gone, by what its campaign says?

use crate::upgrade::Terms;
use gotocloud_api::{CampaignSpec, Duration, campaign::CampaignState};
use jiff::{SignedDuration, Timestamp};

/// The terms of the targets of a wave; those of an edit by hand where the campaign has no such wave any more.
pub fn terms(spec: &CampaignSpec, wave: &str) -> Terms {
    let defaults = Terms::default();
    let length = |text: Option<&Duration>, default: SignedDuration| {
        text.and_then(|text| text.seconds().ok()).map_or(default, SignedDuration::from_secs)
    };
    let wave = spec.waves.iter().find(|one| one.name == wave);
    Terms {
        on_failure: spec.on_failure,
        soak: length(wave.and_then(|wave| wave.soak.as_ref()), defaults.soak),
        progress_deadline: length(spec.progress_deadline.as_ref(), defaults.progress_deadline),
        aborting: spec.state == CampaignState::Aborted,
        ..defaults
    }
}

/// When a target has to be looked at again because time has passed: a deadline, or the end of its watch.
pub fn look_again(record: &gotocloud_api::upgrade::UpgradeStatus, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    use gotocloud_api::upgrade::UpgradePhase;
    let after = |length: SignedDuration| record.since.0.checked_add(length).ok();
    let at = match record.phase {
        UpgradePhase::Backup => after(terms.backup_deadline),
        UpgradePhase::Rollout | UpgradePhase::Verify | UpgradePhase::RollingBack => after(terms.progress_deadline),
        UpgradePhase::Soak => after(terms.soak),
        // What holds it up may end without a word.
        UpgradePhase::Preflight => Some(now),
        UpgradePhase::Migrate
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => None,
    }?;
    // What is over and did not end it, such as a watch in which pods are away, is looked at again after a while.
    let soon = now.checked_add(SignedDuration::from_secs(30)).ok()?;
    Some(if at <= now { soon } else { at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wave_says_how_long_and_the_campaign_how_patient() {
        let spec: CampaignSpec = serde_json::from_value(json!({
            "application": "a", "upgrade": {"release": "r"}, "onFailure": "Pause", "progressDeadline": "5m", "state": "Aborted",
            "waves": [{"name": "w", "targets": {"names": ["a"]}, "soak": "24h"}],
        }))
        .unwrap();
        let terms = terms(&spec, "w");
        assert_eq!(
            (terms.soak, terms.progress_deadline),
            (SignedDuration::from_hours(24), SignedDuration::from_mins(5))
        );
        assert!(terms.aborting && super::terms(&spec, "gone").soak == SignedDuration::ZERO);
    }
}
