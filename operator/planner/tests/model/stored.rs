//! Objects as an API server stores them.

use crate::print::print_of;
use gotocloud_api::{Campaign, CampaignSpec, CampaignStatus, Instance};
use gotocloud_planner::campaign::engine::what_decides;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use std::{
    fmt::{self, Debug},
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

/// An object with a number that tells it apart, which is its version too: two of the same content are one. An API server
/// counts further, so it refuses some writes that are accepted here: those over what went and came again.
#[derive(Clone)]
pub struct Stored<K> {
    pub object: Arc<K>,
    print: u64,
}

/// What has metadata.
pub trait Named {
    fn metadata(&mut self) -> &mut ObjectMeta;
}

impl Named for Instance {
    fn metadata(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Named for Campaign {
    fn metadata(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<K: Named + Serialize> Stored<K> {
    pub fn new(mut object: K) -> Self {
        object.metadata().resource_version = None;
        let print = print_of(&serde_json::to_vec(&object).unwrap());
        object.metadata().resource_version = Some(format!("{print:x}"));
        Self { object: Arc::new(object), print }
    }
}

impl Stored<Campaign> {
    /// A campaign of whose status only that is kept by which something is decided.
    pub fn campaign(mut campaign: Campaign) -> Self {
        campaign.status = campaign.status.as_ref().map(what_decides);
        Self::new(campaign)
    }

    /// The campaign after an edit of its spec; `None` if that changes nothing.
    pub fn edited(&self, edit: impl FnOnce(&mut CampaignSpec)) -> Option<Self> {
        let mut campaign = Campaign::clone(&self.object);
        edit(&mut campaign.spec);
        *campaign.metadata.generation.get_or_insert(0) += 1;
        (campaign.spec != self.object.spec).then(|| Self::new(campaign))
    }

    /// The campaign with another status.
    pub fn told(&self, status: CampaignStatus) -> Self {
        Self::campaign(Campaign { status: Some(status), ..Campaign::clone(&self.object) })
    }
}

impl Stored<Instance> {
    /// The instance after a change of its spec or status. Another spec is another generation.
    pub fn changed(&self, change: impl FnOnce(&mut Instance)) -> Self {
        let mut instance = Instance::clone(&self.object);
        change(&mut instance);
        if instance.spec != self.object.spec {
            *instance.metadata.generation.get_or_insert(0) += 1;
        }
        Self::new(instance)
    }
}

impl<K> Deref for Stored<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.object
    }
}

impl<K> PartialEq for Stored<K> {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl<K> Eq for Stored<K> {}

impl<K> Hash for Stored<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl<K: Debug> Debug for Stored<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)
    }
}
