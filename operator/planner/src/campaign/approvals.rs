//! Who has approved which wave, and who accepts a late end?

use gotocloud_api::{
    Approval, Campaign,
    campaign::{Approved, LateEnd, Wave},
};
use std::sync::Arc;

/// The campaign with each word that was given for a wave of it. What its own spec says of a wave, it says first; of several
/// Approvals the oldest counts.
pub fn with_approvals(campaign: &Arc<Campaign>, approvals: &[Arc<Approval>]) -> Arc<Campaign> {
    let given = |wave: &Wave| {
        let of_it = approvals.iter().filter(|one| is_for(one, campaign) && one.spec.wave.as_ref() == Some(&wave.name));
        of_it.min_by_key(|one| {
            let made = one.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (made, one.metadata.name.clone())
        })
    };
    let is_open = |wave: &&Wave| wave.approved.is_none() && given(wave).is_some();
    if !campaign.spec.waves.iter().any(|wave| is_open(&wave)) {
        return Arc::clone(campaign);
    }

    let mut approved = Campaign::clone(campaign);
    for wave in approved.spec.waves.iter_mut().filter(|wave| wave.approved.is_none()) {
        wave.approved = given(wave).map(|one| Approved { by: one.spec.by.clone(), reason: one.spec.reason.clone() });
    }
    Arc::new(approved)
}

/// Who accepts that a campaign is done later than its `finishBy`; of several the one who allows most. `None` if nobody does.
pub fn late_end(campaign: &Campaign, approvals: &[Arc<Approval>]) -> Option<LateEnd> {
    let ends = approvals.iter().filter(|one| is_for(one, campaign)).filter_map(|one| {
        let until = one.spec.finish_by.clone()?;
        Some(LateEnd { by: one.spec.by.clone(), until, reason: one.spec.reason.clone() })
    });
    ends.max_by(|a, b| a.until.0.cmp(&b.until.0).then_with(|| b.by.cmp(&a.by)))
}

/// The Approvals of a campaign that name none of its waves, with the wave that each names.
pub fn strayed(campaign: &Campaign, approvals: &[Arc<Approval>]) -> Vec<(String, String)> {
    let is_known = |name: &String| campaign.spec.waves.iter().any(|wave| wave.name == *name);
    let of_it = approvals.iter().filter(|one| is_for(one, campaign));
    let mut strayed: Vec<_> = of_it
        .filter_map(|one| {
            let wave = one.spec.wave.clone().filter(|wave| !is_known(wave))?;
            Some((one.metadata.name.clone().unwrap_or_default(), wave))
        })
        .collect();
    strayed.sort();
    strayed
}

fn is_for(approval: &Approval, campaign: &Campaign) -> bool {
    let is_same = approval.spec.campaign_uid.as_ref().is_none_or(|uid| Some(uid) == campaign.metadata.uid.as_ref());
    campaign.metadata.name.as_ref() == Some(&approval.spec.campaign)
        && is_same
        && approval.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn campaign() -> Arc<Campaign> {
        let waves = json!([
            {"name": "canary", "targets": {"names": ["a"]}},
            {"name": "rest", "targets": {"names": ["b"]}, "approval": "Manual"},
            {"name": "said", "targets": {"names": ["c"]}, "approval": "Manual", "approved": {"by": "carol"}},
        ]);
        let spec = json!({"application": "app", "upgrade": {"release": "r"}, "waves": waves});
        let mut campaign = Campaign::new("autumn", serde_json::from_value(spec).unwrap());
        campaign.metadata.uid = Some("one".to_owned());
        Arc::new(campaign)
    }

    #[allow(clippy::needless_pass_by_value)] // reads best with a literal
    fn approval(name: &str, made: &str, spec: Value) -> Arc<Approval> {
        let metadata = json!({"name": name, "creationTimestamp": made});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
    }

    fn by(campaign: &Campaign) -> Vec<Option<&str>> {
        campaign.spec.waves.iter().map(|wave| wave.approved.as_ref().map(|approved| approved.by.as_str())).collect()
    }

    #[test]
    fn an_approval_counts_for_the_wave_it_names_and_the_oldest_first() {
        let late = json!({"campaign": "autumn", "wave": "rest", "by": "bob"});
        let early = json!({"campaign": "autumn", "wave": "rest", "by": "alice"});
        let all = [approval("late", "2026-02-02T00:00:00Z", late), approval("early", "2026-01-01T00:00:00Z", early)];
        assert_eq!(by(&with_approvals(&campaign(), &all)), [None, Some("alice"), Some("carol")]);
    }

    #[test]
    fn what_the_campaign_says_itself_is_said_first() {
        let other = json!({"campaign": "autumn", "wave": "said", "by": "alice"});
        let all = [approval("a", "2026-01-01T00:00:00Z", other)];
        assert_eq!(by(&with_approvals(&campaign(), &all)), [None, None, Some("carol")]);
    }

    #[test]
    fn a_campaign_made_anew_under_the_same_name_is_approved_by_nobody_who_meant_the_other() {
        let mut all = Vec::new();
        for (name, spec) in [
            ("other-uid", json!({"campaign": "autumn", "campaignUid": "two", "wave": "rest", "by": "alice"})),
            ("other-campaign", json!({"campaign": "spring", "wave": "rest", "by": "alice"})),
            ("other-wave", json!({"campaign": "autumn", "wave": "all", "by": "alice"})),
        ] {
            all.push(approval(name, "2026-01-01T00:00:00Z", spec));
        }
        assert_eq!(by(&with_approvals(&campaign(), &all)), [None, None, Some("carol")]);
        let meant = json!({"campaign": "autumn", "campaignUid": "one", "wave": "rest", "by": "alice"});
        all.push(approval("meant", "2026-01-01T00:00:00Z", meant));
        assert_eq!(by(&with_approvals(&campaign(), &all))[1], Some("alice"));
    }

    #[test]
    fn of_those_who_accept_a_late_end_the_one_who_allows_most_counts() {
        let all =
            [("a", "alice", "2026-03-01T00:00:00Z"), ("b", "bob", "2026-04-01T00:00:00Z")].map(|(name, by, until)| {
                approval(name, "2026-01-01T00:00:00Z", json!({"campaign": "autumn", "finishBy": until, "by": by}))
            });
        let accepted = late_end(&campaign(), &all).unwrap();
        assert_eq!((accepted.by.as_str(), accepted.until.0.to_string()), ("bob", "2026-04-01T00:00:00Z".to_owned()));
        assert_eq!(by(&with_approvals(&campaign(), &all)), by(&campaign()), "no wave is approved by that");
        assert_eq!(late_end(&campaign(), &all[..1]).map(|one| one.by), Some("alice".to_owned()));
    }

    #[test]
    fn an_approval_that_names_no_wave_of_its_campaign_has_strayed() {
        let of = |campaign: &str, wave: &str| {
            approval(wave, "2026-01-01T00:00:00Z", json!({"campaign": campaign, "wave": wave, "by": "alice"}))
        };
        let all = [of("autumn", "rset"), of("autumn", "rest"), of("spring", "rset")];
        assert_eq!(strayed(&campaign(), &all), [("rset".to_owned(), "rset".to_owned())]);
    }

    #[test]
    fn an_approval_that_is_being_deleted_is_taken_back() {
        let spec = json!({"campaign": "autumn", "wave": "rest", "by": "alice"});
        let metadata = json!({"name": "a", "deletionTimestamp": "2026-01-02T00:00:00Z"});
        let gone = Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap());
        assert_eq!(by(&with_approvals(&campaign(), &[gone]))[1], None);
    }
}
