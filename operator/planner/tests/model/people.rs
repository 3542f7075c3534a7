//! What people do while campaigns go on.

use crate::hub::{Hub, edit, made_by_hand};
use gotocloud_api::{CampaignSpec, Instance, campaign::CampaignState};

/// Something that a person does.
#[derive(Clone)]
pub enum Edit {
    /// Edits the spec of a campaign.
    Campaign(usize, fn(&mut CampaignSpec)),
    /// Deletes a campaign.
    DeleteCampaign(usize),
    /// Edits an instance.
    Instance(usize, fn(&mut Instance)),
    /// Deletes an instance.
    DeleteInstance(usize),
    /// Makes an instance by hand.
    MakeInstance(usize, fn() -> Instance),
    /// Makes another object, or deletes it.
    Other(usize),
}

impl Edit {
    /// Makes it; gives whether that changed anything.
    pub fn is_made(&self, hub: &mut Hub) -> bool {
        match self {
            Self::Campaign(at, change) => {
                let edited = hub.campaigns[*at].as_ref().and_then(|one| one.edited(change));
                edited.map(|edited| hub.campaigns[*at] = Some(edited)).is_some()
            }
            Self::DeleteCampaign(at) => hub.campaigns[*at].take().is_some(),
            Self::Instance(at, change) => {
                let edited = hub.instances[*at].as_ref().and_then(|one| edit(one, change));
                edited.map(|edited| hub.instances[*at] = Some(edited)).is_some()
            }
            Self::DeleteInstance(at) => hub.instances[*at].take().is_some(),
            Self::MakeInstance(at, make) => {
                let is_free = hub.instances[*at].is_none();
                if is_free {
                    hub.instances[*at] = Some(made_by_hand(make()));
                }
                is_free
            }
            Self::Other(at) => {
                hub.others ^= 1 << at;
                true
            }
        }
    }
}

pub fn pause(spec: &mut CampaignSpec) {
    if spec.state == CampaignState::Running {
        spec.state = CampaignState::Paused;
    }
}

pub fn go_on(spec: &mut CampaignSpec) {
    if spec.state == CampaignState::Paused {
        spec.state = CampaignState::Running;
    }
}

pub fn abort(spec: &mut CampaignSpec) {
    spec.state = CampaignState::Aborted;
}

pub fn retry(spec: &mut CampaignSpec) {
    spec.retry_failed += 1;
}

pub fn skip_a(spec: &mut CampaignSpec) {
    spec.skip = vec!["a".into()];
}

pub fn roll_back_first(spec: &mut CampaignSpec) {
    spec.roll_back = vec![spec.waves[0].name.clone()];
}

/// The first target of the last wave is put into a wave of its own, before all others.
pub fn insert_wave(spec: &mut CampaignSpec) {
    let Some(last) = spec.waves.last_mut() else { return };
    let mut wave = last.clone();
    wave.name = "new".into();
    wave.targets.names = vec![last.targets.names.remove(0)];
    spec.waves.insert(0, wave);
}

/// The first wave is called otherwise.
pub fn rename_wave(spec: &mut CampaignSpec) {
    spec.waves[0].name = "renamed".into();
}

pub fn reaches_full_production(instance: &mut Instance) {
    instance.spec.stage = gotocloud_api::Stage::FullProduction;
}

pub fn asks_for_r1(instance: &mut Instance) {
    instance.spec.release = Some("r1".into());
}

pub fn asks_for_r3(instance: &mut Instance) {
    instance.spec.release = Some("r3".into());
}

/// Something that no campaign writes.
pub fn sets_env(instance: &mut Instance) {
    instance.spec.deletion_protection = Some(true);
}
