//! What is known of one campaign that goes on: kept up, and told.

use super::{Doing, Flight, Refusal, Who, Written, effects::Effect};
use crate::{
    campaign::{
        Moves, Objects, Standing, Target, View, bodies,
        claims::Claims,
        report::{self, Detail, Facts, Untold},
        standing,
    },
    simulate,
};
use gotocloud_api::{Campaign, CampaignStatus, campaign::Decision};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// What is to be derived anew of a campaign.
#[derive(Clone, Default)]
pub(super) struct Stale {
    pub(super) all: bool,
    pub(super) instances: BTreeSet<String>,
}

/// What is known of a campaign that goes on.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) campaign: Arc<Campaign>,
    pub(super) view: Option<View>,
    pub(super) stale: Stale,
    /// Its status as last written, until the watch shows it: what the engine has of it.
    pub(super) written: Option<Arc<Written>>,
    /// What is being told.
    pub(super) telling: Option<Telling>,
    /// What it did and has not told yet.
    pub(super) untold: Untold,
    /// May counts be told again, though nothing of more weight happened?
    pub(super) may_tell: bool,
    pub(super) is_untold: bool,
    pub(super) tell_again: Option<Timestamp>,
    pub(super) look_again: Option<Timestamp>,
    pub(super) schedule: Option<simulate::Schedule>,
    pub(super) is_forecast_stale: bool,
    pub(super) refusals: HashMap<Arc<str>, Refusal>,
}

#[derive(Clone)]
pub(super) struct Telling {
    pub(super) status: CampaignStatus,
    pub(super) version: Option<String>,
    pub(super) untold: Untold,
    pub(super) changes: Vec<report::Change>,
    pub(super) is_start: bool,
}

impl Live {
    pub(super) fn new(campaign: &Arc<Campaign>) -> Self {
        Self {
            campaign: Arc::clone(campaign),
            view: None,
            stale: Stale { all: true, ..Stale::default() },
            written: None,
            telling: None,
            untold: Untold::default(),
            may_tell: true,
            is_untold: false,
            tell_again: None,
            look_again: None,
            schedule: None,
            is_forecast_stale: true,
            refusals: HashMap::new(),
        }
    }

    /// Its status: as it was written last.
    pub(super) fn known(&self) -> Option<&CampaignStatus> {
        self.written.as_ref().map(|written| &written.status).or(self.campaign.status.as_ref())
    }

    /// Its version: that of the status it has.
    pub(super) fn version(&self) -> Option<&String> {
        self.written.as_ref().map(|written| &written.version).or(self.campaign.metadata.resource_version.as_ref())
    }

    /// Derives anew what is stale of it.
    pub(super) fn derive(&mut self, objects: &dyn Objects, claims: &Claims, now: Timestamp) {
        let stale = std::mem::take(&mut self.stale);
        let status = self.known().cloned();

        if stale.all || self.view.is_none() {
            let before = self.view.take();
            self.view = View::with_claims(&self.campaign, status.as_ref(), objects, before, claims.clone(), now);
        } else if let Some(view) = &mut self.view {
            for name in &stale.instances {
                view.update(&self.campaign, status.as_ref(), objects, name, now);
            }
            view.age(&self.campaign, status.as_ref(), objects, now);
        }
        if let Some(view) = self.view.as_mut().filter(|view| view.are_findings_stale()) {
            view.find(&self.campaign, objects, self.schedule.as_ref(), now);
            self.is_forecast_stale = true;
        }

        self.show_refusals(status.as_ref(), objects, now);
    }

    /// Puts what was refused where it stands for that.
    fn show_refusals(&mut self, status: Option<&CampaignStatus>, objects: &dyn Objects, now: Timestamp) {
        let Some(view) = &mut self.view else { return };
        let spec = &self.campaign.spec;
        let mut shown: Vec<(Arc<str>, Option<Standing>)> = Vec::new();
        self.refusals.retain(|target, refusal| {
            // Another try asked for by a person begins with a clean slate.
            let is_current = refusal.attempt >= standing::attempt(spec, target);
            shown.push((Arc::clone(target), refusal.standing(now).filter(|_| is_current)));
            is_current
        });
        for (target, standing) in shown {
            if view.refuse(&target, standing.as_ref()) {
                view.update(&self.campaign, status, objects, &bodies::instance_of(spec, &target), now);
            }
        }
    }

    /// Puts a target that is being written where it will be: ours is under way, another campaign's is held.
    pub(super) fn overlay(&mut self, who: &Who, flight: &Flight, is_ours: bool) {
        if self.campaign.spec.namespace != who.0 {
            return;
        }
        if !matches!(flight.what, Doing::Begin(_)) {
            return;
        }

        let target = bodies::target_of(&self.campaign.spec, &who.1).to_owned();
        let Some(view) = &mut self.view else { return };
        let Some(known) = view.board.target(&target).cloned() else { return };
        let is_open = matches!(known.standing, Standing::Pending | Standing::Blocked(_) | Standing::ToGoBack(_));
        if !is_ours && !is_open {
            return;
        }

        let standing = if is_ours {
            // Not withdrawn before it is answered.
            Standing::Running { untouched: false }
        } else {
            Standing::Blocked(format!("the campaign {} holds it", flight.campaign).into())
        };
        if !is_ours {
            // It is looked at again once that is answered.
            self.stale.instances.insert(who.1.clone());
        }
        view.board.put(&target.as_str().into(), Target { standing, ..known });
    }

    /// Tells its status where it changed and that presses, or has not been told for a while.
    pub(super) fn tell(
        &mut self,
        moves: &Moves,
        is_answered: bool,
        objects: &dyn Objects,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if self.telling.is_some() {
            self.is_untold = true;
            return;
        }
        let stored = self.known().cloned();
        let version = self.version().cloned();
        let Some(view) = &mut self.view else { return };
        let spec = &self.campaign.spec;
        let detail =
            |target: &str| Detail::of(objects.instance(&spec.namespace, &bodies::instance_of(spec, target)).as_deref());
        let facts = Facts {
            board: &view.board,
            moves,
            untold: &self.untold,
            changes: &view.changes,
            findings: &view.findings,
            is_valid: view.is_valid(),
            schedule: self.schedule.as_ref(),
            late_end: view.late_end.as_ref(),
            detail: &detail,
        };
        let known = Campaign { status: stored.clone(), ..(*self.campaign).clone() };
        let status = report::report(&known, &facts, now);

        let presses = moves.start.is_some()
            || stored.as_ref().is_none_or(|stored| {
                stored.phase != status.phase
                    || stored.observed_generation != status.observed_generation
                    || finished(stored) != finished(&status)
            });
        self.is_untold = stored.as_ref() != Some(&status);
        if !self.is_untold {
            // What changed makes no difference to the status, so there is nothing left to tell of it.
            view.changes.clear();
            return;
        }
        if !(presses || (self.may_tell && is_answered)) {
            return;
        }

        let is_news = |one: &&Decision| stored.as_ref().is_none_or(|old| !old.decisions.contains(one));
        let decisions: Vec<Decision> = status.decisions.iter().filter(is_news).cloned().collect();
        self.may_tell = false;
        self.is_untold = false;
        self.telling = Some(Telling {
            status: status.clone(),
            version: version.clone(),
            untold: std::mem::take(&mut self.untold),
            changes: std::mem::take(&mut view.changes),
            is_start: moves.start.is_some(),
        });
        let campaign = self.campaign.metadata.name.clone().unwrap_or_default();
        effects.push(Effect::Tell { campaign, version, status: Box::new(status), decisions });
    }
}

fn finished(status: &CampaignStatus) -> Vec<bool> {
    status.waves.iter().map(|wave| wave.finished_at.is_some()).collect()
}
