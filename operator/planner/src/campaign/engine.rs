//! All campaigns together: what is known of them, and what follows from what happens.
//!
//! ```text
//!  watches, answers, time ──Event──▶ Engine ──Effect──▶ API server
//!                                    │ holds: what is known of each campaign, what is being written, what is not told yet
//! ```
//!
//! It is pure: no clock, no I/O. Whoever runs it turns what the watches show into [`Event`]s, carries the [`Effect`]s out,
//! and gives the answers back. Four rules hold for all of them:
//!
//! - **What is stale is derived anew, whole, before anything is decided**: what changed, and what was valid until now.
//! - **A write that is not answered yet counts as done**, for every limit and for every campaign: the instance is taken. An
//!   answer that was lost leaves it taken until the instance is seen again.
//! - **A wave that begins is recorded before its first target begins**: nothing else happens until that was answered.
//! - **A refused write is a standing**, with the API server's own words: it is tried again after a while, and fails in the
//!   end.

mod effects;
mod live;
mod memory;
mod refusals;

pub use effects::{Effect, Event, Outcome, Seen, Write};
pub(super) use memory::Memory;
pub use memory::what_decides;

use self::{live::Live, refusals::Refusal};
use super::{
    Admission, Moves, Objects, Places, View, bodies,
    claims::{Claims, is_over_by},
    standing,
};
use crate::{inputs, simulate};
use gotocloud_api::{Campaign, CampaignStatus, Instance, campaign::Finding};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// How long what was refused by a newer version, or got no answer, is taken for under way if nobody sees it again.
const UNANSWERED: SignedDuration = SignedDuration::from_secs(20);
/// After how long a status that was not written is written again.
const TELL_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// Namespace and name of an Instance.
type Who = (String, String);

/// All that is known of campaigns.
#[derive(Clone, Default)]
pub struct Engine {
    live: BTreeMap<String, Live>,
    /// The statuses of campaigns as they were last written: the watch may not show them yet.
    written: BTreeMap<String, Arc<Written>>,
    claims: Claims,
    /// What is being written, by the Instance: nobody else takes that.
    flights: BTreeMap<Who, Flight>,
    /// What people change by hand: on which platform, and with its data on which server.
    by_hand: HashMap<Who, (Option<String>, Option<String>)>,
    /// Is all that people change by hand to be looked at anew?
    is_by_hand_known: bool,
    writes: u64,
    decided: Option<Timestamp>,
}

/// A write that is not answered yet, or whose effect was not seen yet.
#[derive(Clone)]
struct Flight {
    id: u64,
    campaign: String,
    what: Doing,
    /// Until when it waits to be seen, once it was answered; `None` before.
    waits: Option<Timestamp>,
    /// How many beats it has waited so.
    beats: i64,
}

/// What is done to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Doing {
    Begin(Admission),
    Withdraw(Arc<str>),
    Rehearse(Arc<str>),
}

impl Doing {
    fn target(&self) -> &Arc<str> {
        match self {
            Self::Begin(admission) => &admission.name,
            Self::Withdraw(name) | Self::Rehearse(name) => name,
        }
    }
}

/// A status that was written.
#[derive(Clone, Debug)]
struct Written {
    /// The uid of its campaign.
    uid: Option<String>,
    status: CampaignStatus,
    /// The version that came of it.
    version: String,
    /// The versions that it was written over. What else the watch shows is as new, or newer.
    over: BTreeSet<Option<String>>,
}

impl Written {
    /// Is it newer than what the watch shows of the campaign?
    fn is_newer(&self, campaign: &Campaign) -> bool {
        self.uid == campaign.metadata.uid && self.over.contains(&campaign.metadata.resource_version)
    }
}

impl Engine {
    /// Takes in what happened, and gives what is to be done now.
    pub fn handle(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        objects: &dyn Objects,
        now: Timestamp,
    ) -> Vec<Effect> {
        for event in events {
            self.take_in(event, objects, now);
        }
        self.see_campaigns(objects);
        self.see_what_is_changed_by_hand(objects);
        self.derive(objects, now);

        let mut effects = Vec::new();
        let names: Vec<String> = self.live.keys().cloned().collect();
        for name in names {
            self.decide(&name, objects, now, &mut effects);
        }
        self.decided = Some(now);
        effects
    }

    /// By which time it last decided; `None` if it never did.
    pub fn decided(&self) -> Option<Timestamp> {
        self.decided
    }

    /// When it wants to be asked again though nothing happens; `None` if time changes nothing.
    pub fn wake(&self) -> Option<Timestamp> {
        let of_campaigns = self.live.values().flat_map(|live| {
            let valid = live.view.as_ref().and_then(View::valid_until);
            let decided = self.decided.unwrap_or(Timestamp::MIN);
            let refused = live.refusals.values().filter_map(move |refusal| refusal.due(decided));
            [live.look_again, live.tell_again, valid].into_iter().flatten().chain(refused)
        });
        of_campaigns.chain(self.flights.values().filter_map(|flight| flight.waits)).min()
    }

    /// Does it want an [`Event::Beat`], as there are counts to be told?
    pub fn wants_a_beat(&self) -> bool {
        self.live.values().any(|live| live.is_untold || live.view.as_ref().is_some_and(|view| !view.changes.is_empty()))
    }

    /// The campaigns whose end is to be worked out, by their names; whether that is because something changed, or only
    /// because targets move.
    pub fn forecasts(&self) -> impl Iterator<Item = (&String, bool)> {
        self.live.iter().filter_map(|(name, live)| {
            let view = live.view.as_ref().filter(|view| view.is_valid())?;
            let goes_on = live.campaign.spec.state.is_to_be_forecast();
            (goes_on && (live.is_forecast_stale || view.is_moving())).then_some((name, live.is_forecast_stale))
        })
    }

    /// What a simulation of a campaign starts from, and the generation it is of.
    pub fn start(
        &mut self,
        name: &str,
        objects: &dyn Objects,
    ) -> Option<(simulate::Start, simulate::Measured, Option<i64>)> {
        let live = self.live.get_mut(name)?;
        let status = live.known().cloned();
        let view = live.view.as_mut()?;
        live.is_forecast_stale = false;
        let mut start = view.start(&live.campaign, status.as_ref(), objects);
        let measured = simulate::Measured { mean: view.board.mean(), rehearsed: std::mem::take(&mut start.rehearsed) };
        Some((start, measured, live.campaign.metadata.generation))
    }

    /// What is wrong with a campaign, or to be known of it.
    pub fn findings(&self, name: &str) -> &[Finding] {
        self.live.get(name).and_then(|live| live.view.as_ref()).map_or(&[], |view| &view.findings)
    }

    /// Where a campaign's targets stand; `None` if it does not go on.
    pub fn board(&self, name: &str) -> Option<&super::Board> {
        Some(&self.live.get(name)?.view.as_ref()?.board)
    }

    fn take_in(&mut self, event: Event, objects: &dyn Objects, now: Timestamp) {
        match event {
            Event::Seen(seen) => self.note(&seen, objects),
            Event::Answered { id, outcome } => self.answered(id, outcome, now),
            Event::Told { campaign, version } => self.told(&campaign, version, now),
            Event::Beat => {
                for live in self.live.values_mut() {
                    live.may_tell = true;
                    // The clock by which is decided may stand still.
                    live.tell_again = None;
                }
                self.flights.values_mut().filter(|flight| flight.waits.is_some()).for_each(|flight| flight.beats += 1);
            }
            Event::Forecast { campaign, generation, schedule } => {
                let Some(live) = self.live.get_mut(&campaign) else { return };
                if live.campaign.metadata.generation != generation {
                    return;
                }

                if let Some(view) = &mut live.view {
                    view.find(&live.campaign, objects, Some(&schedule), now);
                }
                live.schedule = Some(*schedule);
            }
            Event::Time => {}
        }
    }

    /// Notes what has become stale.
    fn note(&mut self, seen: &Seen, objects: &dyn Objects) {
        if let Seen::Instance(namespace, name) = seen {
            let who = (namespace.clone(), name.clone());
            // Seen after its answer: what it says now counts.
            if self.flights.get(&who).is_some_and(|flight| flight.waits.is_some()) {
                self.flights.remove(&who);
            }
            self.by_hand.remove(&who);
            self.note_by_hand(&who, objects);
        }

        if *seen == Seen::Everything {
            self.is_by_hand_known = false;
        }

        for live in self.live.values_mut() {
            let spec = &live.campaign.spec;
            let named =
                spec.upgrade.as_ref().map(|one| &one.release).or(spec.provision.as_ref().map(|one| &one.release));
            match seen {
                Seen::Instance(namespace, name) if *namespace == spec.namespace => {
                    live.stale.instances.insert(name.clone());
                    // What is wrong with it may have been mended by a change of its targets.
                    live.stale.all |= live.view.as_ref().is_some_and(|view| !view.is_valid());
                }
                Seen::Instance(..) => {}
                Seen::Application(name) => live.stale.all |= *name == spec.application || named.is_some(),
                Seen::Release(name) => {
                    let of = objects.release(name);
                    live.stale.all |=
                        named == Some(name) || of.is_none_or(|one| one.spec.application == spec.application);
                }
                Seen::Campaign(name) => live.stale.all |= live.campaign.metadata.name.as_ref() == Some(name),
                Seen::Establishment | Seen::Calendar | Seen::Everything => live.stale.all = true,
            }
        }
    }

    fn note_by_hand(&mut self, who: &Who, objects: &dyn Objects) {
        let instance = objects.instance(&who.0, &who.1);
        let Some(instance) = instance.filter(|one| standing::is_changed_by_hand(one, |by| self.claims.goes_on(by)))
        else {
            return;
        };
        let establishment = objects.establishment(&instance.spec.establishment);
        let platform = inputs::platform_name(&instance, establishment.as_deref()).map(str::to_owned);
        let database = instance.status.as_ref().and_then(|status| status.database.as_ref());
        self.by_hand.insert(who.clone(), (platform, database.map(|database| database.server.clone())));
    }

    fn answered(&mut self, id: u64, outcome: Outcome, now: Timestamp) {
        let Some(who) = self.flights.iter().find(|(_, flight)| flight.id == id).map(|(who, _)| who.clone()) else {
            return;
        };
        let later = now.checked_add(UNANSWERED).unwrap_or(Timestamp::MAX);
        let Some(flight) = self.flights.get_mut(&who) else { return };
        let live = self.live.get_mut(&flight.campaign);

        match outcome {
            Outcome::Accepted => {
                if let Some(live) = live {
                    live.refusals.remove(flight.what.target());
                    if let Some(view) = &mut live.view {
                        view.refuse(flight.what.target(), None);
                    }
                    match &flight.what {
                        Doing::Begin(admission) => live.untold.begun.push(admission.clone()),
                        Doing::Withdraw(name) => live.untold.withdrawn.push(Arc::clone(name)),
                        Doing::Rehearse(name) => live.untold.rehearsed.push(Arc::clone(name)),
                    }
                }
                self.flights.remove(&who);
            }
            // It changed since it was seen, or nobody knows what became of it: what is seen next tells.
            Outcome::Conflict | Outcome::Lost => flight.waits = Some(later),
            Outcome::Refused { code, message } => {
                if let Some(live) = live {
                    let attempt = standing::attempt(&live.campaign.spec, flight.what.target());
                    let refusal = live.refusals.remove(flight.what.target());
                    let refusal = Refusal::again(refusal, attempt, code, &who.1, &message, now);
                    if refusal.is_first() {
                        live.untold.refused.push((Arc::clone(flight.what.target()), refusal.why().into()));
                    }
                    live.refusals.insert(Arc::clone(flight.what.target()), refusal);
                }
                self.flights.remove(&who);
            }
        }

        // What it says now counts, for every campaign.
        for live in self.live.values_mut().filter(|live| live.campaign.spec.namespace == who.0) {
            live.stale.instances.insert(who.1.clone());
        }
    }

    fn told(&mut self, campaign: &str, version: Option<String>, now: Timestamp) {
        let Some(live) = self.live.get_mut(campaign) else { return };
        let Some(telling) = live.telling.take() else { return };
        if let Some(version) = version {
            let mut over = live.written.as_ref().map(|written| written.over.clone()).unwrap_or_default();
            over.insert(telling.version);
            let uid = live.campaign.metadata.uid.clone();
            let written = Arc::new(Written { uid, status: telling.status, version, over });
            live.written = Some(Arc::clone(&written));
            self.written.insert(campaign.to_owned(), written);
            live.tell_again = None;
            live.is_untold = false;
            // From its start on a wave's deferrals count, and who comes too late.
            live.stale.all |= telling.is_start;
            live.is_forecast_stale |= telling.is_start;
            return;
        }

        // It is told again, with what happened since.
        let since = std::mem::replace(&mut live.untold, telling.untold);
        live.untold.add(since);
        if let Some(view) = &mut live.view {
            let since = std::mem::replace(&mut view.changes, telling.changes);
            view.changes.extend(since);
        }
        live.is_untold = true;
        live.tell_again = now.checked_add(TELL_AGAIN).ok();
    }

    /// Notes which campaigns came, changed, ended or are gone, and whose claims end with that.
    fn see_campaigns(&mut self, objects: &dyn Objects) {
        let campaigns = objects.campaigns();
        let is_of = |live: &Live, campaign: &Campaign| live.campaign.metadata.uid == campaign.metadata.uid;
        self.live.retain(|name, live| {
            campaigns.iter().any(|one| one.metadata.name.as_deref() == Some(name) && is_of(live, one))
        });

        self.written.retain(|name, written| {
            campaigns.iter().any(|one| one.metadata.name.as_deref() == Some(name) && written.is_newer(one))
        });

        let mut going = Vec::new();
        for campaign in &campaigns {
            let Some(name) = campaign.metadata.name.as_deref() else { continue };
            let written = self.written.get(name);
            let status = written.map(|written| &written.status).or(campaign.status.as_ref());
            // What has ended takes nobody more, whatever becomes of its targets; an edit of its spec opens it again.
            if is_over_by(campaign, status) {
                self.live.remove(name);
                continue;
            }
            going.push(Arc::clone(campaign));
            let live = self.live.entry(name.to_owned()).or_insert_with(|| Live::new(campaign));
            live.written = written.cloned();
            if live.campaign.metadata.generation != campaign.metadata.generation {
                live.stale.all = true;
                live.schedule = None;
            }
            live.campaign = Arc::clone(campaign);
        }

        let claims = Claims::going(&going);
        if claims != self.claims {
            self.claims = claims;
            self.is_by_hand_known = false;
            self.live.values_mut().for_each(|live| live.stale.all = true);
        }
    }

    /// Keeps up what people change where, beside campaigns.
    fn see_what_is_changed_by_hand(&mut self, objects: &dyn Objects) {
        if self.is_by_hand_known {
            return;
        }
        self.by_hand.clear();
        for instance in objects.instances() {
            let metadata = &instance.metadata;
            let who = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
            self.note_by_hand(&who, objects);
        }
        self.is_by_hand_known = true;
    }

    /// Derives anew what is stale, and puts what is being written where it will be.
    fn derive(&mut self, objects: &dyn Objects, now: Timestamp) {
        // What nobody saw again is taken for not written.
        let is_over =
            |flight: &Flight| flight.waits.is_some_and(|waits| waits <= now || flight.beats >= UNANSWERED.as_secs());
        let over: Vec<Who> = self.flights.iter().filter(|(_, one)| is_over(one)).map(|(who, _)| who.clone()).collect();
        for who in over {
            self.flights.remove(&who);
            for live in self.live.values_mut().filter(|live| live.campaign.spec.namespace == who.0) {
                live.stale.instances.insert(who.1.clone());
            }
        }

        for live in self.live.values_mut() {
            live.derive(objects, &self.claims, now);
        }
        for (who, flight) in &self.flights {
            for (name, live) in &mut self.live {
                live.overlay(who, flight, *name == flight.campaign);
            }
        }
    }

    /// Decides about one campaign.
    fn decide(&mut self, name: &str, objects: &dyn Objects, now: Timestamp, effects: &mut Vec<Effect>) {
        let elsewhere = self.elsewhere(name);
        let Some(live) = self.live.get_mut(name) else { return };
        // A wave that begins is recorded first.
        if live.telling.as_ref().is_some_and(|telling| telling.is_start) || live.tell_again.is_some_and(|at| now < at) {
            return;
        }
        let campaign = Arc::clone(&live.campaign);
        let status = live.known().cloned();
        let Some(view) = &mut live.view else { return };
        view.board.set_elsewhere(elsewhere);
        let mut moves = view.decide(&campaign, status.as_ref(), now);
        live.look_again = moves.look_again;

        let before = effects.len();
        if moves.start.is_none() {
            self.write(name, &mut moves, objects, effects);
        }
        // What is written now is told with its answers.
        let is_answered = effects.len() == before;
        if let Some(live) = self.live.get_mut(name) {
            live.tell(&moves, is_answered, objects, now, effects);
        }
    }

    /// What is changed at the same places by other campaigns, and by hand.
    fn elsewhere(&self, name: &str) -> Places {
        let mut elsewhere = Places::default();
        let others = self.live.iter().filter(|(other, _)| *other != name);
        others.filter_map(|(_, live)| live.view.as_ref()).for_each(|view| elsewhere.add(&view.board));
        self.by_hand.values().for_each(|(platform, server)| elsewhere.add_one(platform.as_deref(), server.as_deref()));
        elsewhere
    }

    /// Writes what was decided about targets; what cannot be written, as somebody else writes it now, is taken out.
    fn write(&mut self, name: &str, moves: &mut Moves, objects: &dyn Objects, effects: &mut Vec<Effect>) {
        let Some(campaign) = self.live.get(name).map(|live| Arc::clone(&live.campaign)) else { return };
        let begin = moves.begin.iter().cloned().map(Doing::Begin);
        let withdraw = moves.withdraw.iter().cloned().map(Doing::Withdraw);
        let rehearse = moves.rehearse.iter().cloned().map(Doing::Rehearse);
        let all: Vec<Doing> = begin.chain(withdraw).chain(rehearse).collect();

        let mut written: BTreeSet<Arc<str>> = BTreeSet::new();
        for what in all {
            let target = Arc::clone(what.target());
            let who = (campaign.spec.namespace.clone(), bodies::instance_of(&campaign.spec, &target));
            let seen = objects.instance(&who.0, &who.1);
            let Some(body) = body(&campaign, &what, seen.as_deref(), objects) else { continue };
            if self.flights.contains_key(&who) {
                continue;
            }
            self.writes += 1;
            let id = self.writes;
            let write = Write { id, campaign: name.to_owned(), namespace: who.0.clone(), name: who.1.clone(), body };
            effects.push(Effect::Write(write));
            let flight = Flight { id, campaign: name.to_owned(), what, waits: None, beats: 0 };
            for (other, live) in &mut self.live {
                live.overlay(&who, &flight, other == name);
            }
            self.flights.insert(who, flight);
            written.insert(target);
        }
        moves.begin.retain(|one| written.contains(&one.name));
    }
}

/// The body of a write; `None` if there is nothing to write.
fn body(
    campaign: &Campaign,
    what: &Doing,
    seen: Option<&Instance>,
    objects: &dyn Objects,
) -> Option<serde_json::Value> {
    match (what, seen) {
        (Doing::Begin(admission), Some(instance)) => bodies::begun(campaign, admission, instance),
        (Doing::Begin(admission), None) => {
            bodies::made(campaign, admission, objects.establishment(&admission.name)?.as_ref())
        }
        (Doing::Withdraw(_), Some(instance)) => bodies::withdrawn(instance),
        (Doing::Rehearse(_), Some(instance)) => bodies::to_rehearse(campaign, instance),
        (Doing::Withdraw(_) | Doing::Rehearse(_), None) => None,
    }
}
