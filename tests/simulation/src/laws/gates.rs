//! What must hold of gates: by what there was to measure, whatever the operator was answered.

use super::Law;
use crate::{api::Ref, catalogue::HUB, world::World};
use gotocloud_api::{
    Instance,
    campaign::Gate,
    names,
    upgrade::{UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::campaign::gates::during;
use jiff::SignedDuration;

/// How far apart two samples are: what is between them nobody sees.
const UNSEEN: SignedDuration = SignedDuration::from_secs(20);

impl World {
    /// Notes which gates of its wave an Instance has to pass, by what a process knows as it looks at it.
    pub(crate) fn note_gates(&mut self, place: usize, instance: &Instance) {
        let process = &self.processes[place];
        let record = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
        let today = record.and_then(|record| record.rollout.as_ref()).and_then(|rollout| {
            let campaign = process.catalogue.campaign(&rollout.campaign)?;
            let is_it = campaign.metadata.uid.as_ref() == Some(&rollout.uid);
            let wave = campaign.spec.waves.iter().find(|wave| is_it && wave.name == rollout.wave)?;
            Some(wave.gates.clone())
        });
        // A wave or a campaign that is gone leaves what was recorded as the way began.
        let gates = today.or_else(|| Some(record?.terms.as_ref()?.gates.clone()));

        let name = instance.metadata.name.clone().unwrap_or_default();
        self.laws.gates.insert(name, gates.unwrap_or_default());
    }

    /// Judges a record whose pods were replaced, and that goes on as if they were verified.
    pub(super) fn judge_gates(&mut self, at: &Ref, old: &UpgradeStatus, new: &UpgradeStatus) {
        let was_to_be_verified = matches!(old.phase, UpgradePhase::Rollout | UpgradePhase::Verify);
        let is_verified = new.step > old.step || matches!(new.phase, UpgradePhase::Soak | UpgradePhase::Done);
        if !(was_to_be_verified && is_verified) || &*at.namespace != HUB {
            return;
        }

        let now = self.now();
        let namespace = names::workload_namespace(&at.name);
        // What leaves Rollout for more than Verify was verified at once.
        let since = if old.phase == UpgradePhase::Verify { old.since.0 } else { now };
        let was_true = |gate: &&Gate| {
            let during = during(gate).saturating_sub(UNSEEN).max(SignedDuration::ZERO);
            self.prometheus.was_true(&namespace, during, since, now)
        };

        let all = self.laws.gates.get(&*at.name).map_or(&[][..], Vec::as_slice);
        let passed = all.iter().filter(|gate| gate.promql.is_some()).find(|gate| !was_true(gate));
        if let Some(gate) = passed {
            let what = format!("{at} is verified, and {gate:?} was not true for so long since {since}");
            self.breaks(Law::Gates, what);
        }
    }
}
