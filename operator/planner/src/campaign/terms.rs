//! How carefully is a target's way gone, by what its campaign says?

use crate::upgrade::{self, Terms};
use gotocloud_api::{
    CampaignSpec, Duration,
    campaign::CampaignState,
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};
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
        gates: wave.map_or_else(Vec::new, |wave| wave.gates.clone()),
        aborting: spec.state == CampaignState::Aborted,
        ..defaults
    }
}

/// The terms of a way that was asked for by `rollout`, whose campaign is that one if there still is one; those of an edit by
/// hand where no campaign asked for it.
pub fn of_way(campaign: Option<&CampaignSpec>, rollout: Option<&Rollout>) -> Terms {
    match (campaign, rollout) {
        (Some(spec), Some(rollout)) => terms(spec, &rollout.wave),
        (None, Some(_)) => Terms { is_campaign_gone: true, ..Terms::default() },
        (_, None) => Terms::default(),
    }
}

/// When a target has to be looked at again because time has passed: a deadline, or the end of its watch, by what its record
/// says.
pub fn look_again(record: &UpgradeStatus, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    let kept = upgrade::terms_of(record, terms);
    let after = |seconds: i64| record.since.0.checked_add(SignedDuration::from_secs(seconds)).ok();
    let job = record.present_step().and_then(|step| step.migration.as_ref()).map_or(0, |job| job.deadline_seconds);

    let at = match record.phase {
        UpgradePhase::Backup => after(kept.backup_deadline_seconds),
        UpgradePhase::Migrate if record.migration.is_none() => after(kept.progress_deadline_seconds),
        UpgradePhase::Migrate => after(kept.progress_deadline_seconds.saturating_add(job)),
        UpgradePhase::Rollout | UpgradePhase::Verify | UpgradePhase::RollingBack => {
            after(kept.progress_deadline_seconds)
        }
        UpgradePhase::Soak => after(kept.soak_seconds),
        // What holds it up may end without a word.
        UpgradePhase::Preflight => Some(now),
        UpgradePhase::Done
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

    #[test]
    fn a_way_whose_campaign_was_deleted_is_known_and_an_edit_by_hand_is_none() {
        let rollout = json!({"campaign": "c", "uid": "1", "wave": "w", "attempt": 1, "wants": "r"});
        let rollout: Rollout = serde_json::from_value(rollout).unwrap();
        assert!(of_way(None, Some(&rollout)).is_campaign_gone);
        assert!(!of_way(None, None).is_campaign_gone);
    }

    #[test]
    fn the_end_of_a_watch_is_looked_at_by_what_its_record_says() {
        let record: UpgradeStatus = serde_json::from_value(json!({
            "from": "r1", "to": "r2", "steps": [{"release": "r2"}], "active": "r2", "phase": "Soak",
            "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z",
            "terms": {"onFailure": "Rollback", "soakSeconds": 15, "progressDeadlineSeconds": 900, "backupDeadlineSeconds": 9},
        }))
        .unwrap();
        let edited = Terms { soak: SignedDuration::from_hours(1), ..Terms::default() };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(
            look_again(&record, &edited, at("2026-01-01T00:00:01Z")),
            Some(at("2026-01-01T00:00:15Z")),
            "whatever its campaign says by now"
        );
    }

    #[test]
    fn a_migration_is_looked_at_by_its_deadline() {
        let mut record: UpgradeStatus = serde_json::from_value(json!({
            "from": "r1", "to": "r2", "active": "r1", "phase": "Migrate",
            "steps": [{"release": "r2", "migration": {"reversible": false, "deadlineSeconds": 3600}}],
            "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let look = |record: &UpgradeStatus| look_again(record, &Terms::default(), at("2026-01-01T00:00:01Z"));
        assert_eq!(look(&record), Some(at("2026-01-01T00:15:00Z")), "its Job was not seen yet");
        record.migration = Some("upgrade-1".into());
        assert_eq!(look(&record), Some(at("2026-01-01T01:15:00Z")));
    }
}
