//! Which campaigns go on, and so hold the instances that they have begun?
//!
//! A claim is `spec.rollout` of an Instance. Whether it holds is derived from its campaign at every look, so that it ends
//! with its holder: a campaign that is over, gone or unknown holds nothing.

use gotocloud_api::{
    Campaign, CampaignSpec, CampaignStatus, Instance,
    campaign::{CampaignPhase, CampaignState},
    upgrade::Rollout,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The campaigns that go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Their names, by their uids.
    going: BTreeMap<String, String>,
    /// What those that upgrade bring: uid, application, namespace, release.
    brought: BTreeSet<(String, String, String, String)>,
    /// Which targets they leave out: uid, target.
    left_out: BTreeSet<(String, String)>,
}

impl Claims {
    /// Those of `campaigns` that go on.
    pub fn of(campaigns: &[Arc<Campaign>]) -> Self {
        let going: Vec<_> = campaigns.iter().filter(|one| !is_over(one)).cloned().collect();
        Self::going(&going)
    }

    /// Those of `campaigns`, all of which go on.
    pub(crate) fn going(campaigns: &[Arc<Campaign>]) -> Self {
        let mut claims = Self::default();
        for campaign in campaigns {
            let (Some(name), Some(uid)) = (&campaign.metadata.name, &campaign.metadata.uid) else { continue };
            claims.going.insert(uid.clone(), name.clone());
            claims.left_out.extend(campaign.spec.skip.iter().map(|target| (uid.clone(), target.clone())));
            let CampaignSpec { application, namespace, upgrade, state, .. } = &campaign.spec;
            if let Some(upgrade) = upgrade.as_ref().filter(|_| *state != CampaignState::Aborted) {
                let brought = (uid.clone(), application.clone(), namespace.clone(), upgrade.release.clone());
                claims.brought.insert(brought);
            }
        }
        claims
    }

    /// Does the campaign that made a claim go on?
    pub fn goes_on(&self, rollout: &Rollout) -> bool {
        self.going.get(&rollout.uid).is_some_and(|name| *name == rollout.campaign)
    }

    /// Does the campaign that made a claim leave that target out?
    pub(crate) fn leaves_out(&self, rollout: &Rollout, target: &str) -> bool {
        self.left_out.contains(&(rollout.uid.clone(), target.to_owned()))
    }

    /// Does a campaign bring the Release to the application's instances of that namespace?
    pub(crate) fn is_brought(&self, application: &str, namespace: &str, release: &str) -> bool {
        self.bringing(application, namespace, release).next().is_some()
    }

    /// Does a campaign other than that of `uid` bring the Release to the application's instances of that namespace?
    pub fn is_brought_by_another(&self, uid: &str, application: &str, namespace: &str, release: &str) -> bool {
        self.bringing(application, namespace, release).any(|other| other != uid)
    }

    /// The uids of the campaigns that bring the Release to the application's instances of that namespace.
    fn bringing(&self, application: &str, namespace: &str, release: &str) -> impl Iterator<Item = &str> {
        let is_it = move |one: &&(String, String, String, String)| {
            (one.1.as_str(), one.2.as_str(), one.3.as_str()) == (application, namespace, release)
        };
        self.brought.iter().filter(is_it).map(|one| one.0.as_str())
    }
}

/// Has a campaign ended, and is that known of its present spec?
pub fn is_over(campaign: &Campaign) -> bool {
    is_over_by(campaign, campaign.status.as_ref())
}

/// The same, by a status that the watch may not show yet.
pub(crate) fn is_over_by(campaign: &Campaign, status: Option<&CampaignStatus>) -> bool {
    status.is_some_and(|status| {
        status.observed_generation == campaign.metadata.generation
            && matches!(status.phase, CampaignPhase::Completed | CampaignPhase::Aborted)
    })
}

/// Does an Instance still ask for what its claim wanted? A person's later edit ends the claim.
pub(crate) fn is_asked_for(instance: &Instance, rollout: &Rollout) -> bool {
    instance.spec.release.as_ref() == Some(&rollout.wants) || instance.spec.stage.to_string() == rollout.wants
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn campaign(name: &str, status: &Value) -> Arc<Campaign> {
        let spec = json!({"application": "app", "upgrade": {"release": "r2"}, "waves": []});
        let metadata = json!({"name": name, "uid": format!("uid-{name}"), "generation": 3});
        let all = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": metadata,
            "spec": spec, "status": status});
        Arc::new(serde_json::from_value(all).unwrap())
    }

    fn claim(campaign: &str, uid: &str) -> Rollout {
        Rollout { campaign: campaign.into(), uid: uid.into(), wave: "w".into(), attempt: 1, wants: "r2".into() }
    }

    #[test]
    fn a_claim_ends_with_its_campaign() {
        let over = json!({"phase": "Completed", "observedGeneration": 3});
        let opened_again = json!({"phase": "Completed", "observedGeneration": 2});
        let all = [campaign("over", &over), campaign("again", &opened_again), campaign("new", &Value::Null)];
        let claims = Claims::of(&all);

        assert!(claims.goes_on(&claim("new", "uid-new")) && claims.goes_on(&claim("again", "uid-again")));
        assert!(!claims.goes_on(&claim("over", "uid-over")), "it is over");
        assert!(!claims.goes_on(&claim("new", "uid-of-old")), "the one of old is gone, and another has its name");
        assert!(!claims.goes_on(&claim("unknown", "bogus")));
    }
}
