//! What does a campaign's status say?

use super::{Admission, Board, Moves, Standing, waves};
use crate::{simulate::Schedule, whole_seconds};
use gotocloud_api::{
    Campaign, CampaignSpec, CampaignStatus, Instance,
    campaign::{
        Approval, CampaignPhase, CampaignState, Counts, Decision, DecisionVerb, Finding, LateEnd, TargetStatus,
        WaveStatus,
    },
    conditions::{Condition, ConditionType, Reason},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;

/// How many running or failed targets, and how many findings, a status lists.
pub const LISTED: usize = 50;
/// How many decisions a status keeps.
pub const DECISIONS: usize = 100;
/// Who decides what follows from the campaign's own rules.
const RULES: &str = "campaign";

/// A target whose standing changed since the last report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its wave, by its place.
    pub wave: usize,
    /// Where it stood; none where it was not there.
    pub before: Option<Standing>,
    /// Where it stands.
    pub after: Standing,
}

/// What is told of a target that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Where it is, in a word.
    pub phase: String,
    /// Why: a sentence.
    pub message: String,
}

impl Detail {
    /// Of an Instance.
    pub fn of(instance: Option<&Instance>) -> Self {
        let status = instance.and_then(|one| one.status.as_ref());
        match status.and_then(|status| status.upgrade.as_ref()) {
            Some(upgrade) => Self { phase: upgrade.phase.to_string(), message: upgrade.message.clone() },
            None => Self { phase: "Asked".into(), message: String::new() },
        }
    }
}

/// What was done and is not told yet: a status may be put off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Untold {
    /// What began.
    pub begun: Vec<Admission>,
    /// What was withdrawn.
    pub withdrawn: Vec<Arc<str>>,
    /// Whose way was asked to be rehearsed.
    pub rehearsed: Vec<Arc<str>>,
    /// Whose write was refused, and why.
    pub refused: Vec<(Arc<str>, String)>,
}

impl Untold {
    /// Adds what is done now.
    pub fn note(&mut self, moves: &Moves) {
        self.begun.extend(moves.begin.iter().cloned());
        self.withdrawn.extend(moves.withdraw.iter().cloned());
        self.rehearsed.extend(moves.rehearse.iter().cloned());
    }

    /// Adds what was done after that.
    pub(super) fn add(&mut self, since: Self) {
        self.begun.extend(since.begun);
        self.withdrawn.extend(since.withdrawn);
        self.rehearsed.extend(since.rehearsed);
        self.refused.extend(since.refused);
    }
}

/// What a report is made from.
pub struct Facts<'a> {
    /// Where its targets stand.
    pub board: &'a Board,
    /// What is done now.
    pub moves: &'a Moves,
    /// What was done since the last report.
    pub untold: &'a Untold,
    /// What changed since the last report.
    pub changes: &'a [Change],
    /// What is wrong with it, or to be known.
    pub findings: &'a [Finding],
    /// Can it run as it is written?
    pub is_valid: bool,
    /// What a simulation says of when it will be done; none where none was made yet.
    pub schedule: Option<&'a Schedule>,
    /// Who accepts that it is done later than its `finishBy`.
    pub late_end: Option<&'a LateEnd>,
    /// Tells of a target that is under way.
    pub detail: &'a dyn Fn(&str) -> Detail,
}

/// The campaign's status.
pub fn report(campaign: &Campaign, facts: &Facts<'_>, now: Timestamp) -> CampaignStatus {
    let before = campaign.status.clone().unwrap_or_default();
    let spec = &campaign.spec;
    let waves = wave_statuses(spec, &before, facts, now);
    let phase = phase(spec, facts, &waves);
    let mut status = CampaignStatus {
        observed_generation: campaign.metadata.generation,
        phase,
        counts: facts.board.counts(),
        running: listed(spec, facts, |board| board.in_hand.iter()),
        failed: failed(spec, facts),
        findings: facts.findings.iter().take(LISTED).cloned().collect(),
        decisions: before.decisions.clone(),
        late_end: if before.started_at.is_some() { before.late_end.clone() } else { accepted(spec, facts) },
        estimated_end: facts.schedule.filter(|_| is_going_on(phase)).and_then(|all| estimate(all.ends()?, now)),
        started_at: before.started_at.clone().or_else(|| waves.iter().filter_map(|wave| wave.started_at.clone()).min()),
        finished_at: match phase {
            CampaignPhase::Completed | CampaignPhase::Aborted => {
                before.finished_at.clone().or(Some(whole_seconds(now)))
            }
            CampaignPhase::Draft
            | CampaignPhase::Invalid
            | CampaignPhase::Running
            | CampaignPhase::Paused
            | CampaignPhase::Halted
            | CampaignPhase::Aborting => None,
        },
        waves,
        conditions: Vec::new(),
    };

    let (reason, message) = summary(spec, facts, &status);
    status.conditions = conditions(phase, reason, &message, &before.conditions, campaign.metadata.generation, now);
    status.decisions.extend(decisions(spec, &before, &status, facts, now));
    let more = status.decisions.len().saturating_sub(DECISIONS);
    status.decisions.drain(..more);

    status
}

/// Who accepts that it is done late, if it would be.
fn accepted(spec: &CampaignSpec, facts: &Facts<'_>) -> Option<LateEnd> {
    let accepted = facts.late_end?;
    let finish_by = spec.finish_by.as_ref()?.0;

    facts.schedule?.first_not_done_by(finish_by)?;
    Some(accepted.clone())
}

/// A moment of a simulation, no finer than it deserves: so that it is not written anew whenever something takes a moment
/// longer. None once it has passed.
fn estimate(at: Timestamp, now: Timestamp) -> Option<Time> {
    let left = at.duration_since(now);
    let grain = if left > SignedDuration::from_hours(1) { 15 * 60 } else { 60 };
    let rounded = at.as_second().checked_add(grain - 1)?.div_euclid(grain) * grain;
    (left > SignedDuration::ZERO).then(|| Timestamp::from_second(rounded).ok().map(Time)).flatten()
}

fn is_going_on(phase: CampaignPhase) -> bool {
    match phase {
        CampaignPhase::Draft | CampaignPhase::Running | CampaignPhase::Paused | CampaignPhase::Halted => true,
        CampaignPhase::Invalid | CampaignPhase::Aborting | CampaignPhase::Aborted | CampaignPhase::Completed => false,
    }
}

fn wave_statuses(spec: &CampaignSpec, before: &CampaignStatus, facts: &Facts<'_>, now: Timestamp) -> Vec<WaveStatus> {
    let mut statuses = Vec::new();
    for (at, (wave, board)) in spec.waves.iter().zip(facts.board.waves()).enumerate() {
        let known = before.waves.iter().find(|known| known.name == wave.name).cloned().unwrap_or_default();
        let started_at = known.started_at.or_else(|| (facts.moves.start == Some(at)).then(|| whole_seconds(now)));
        let is_done = started_at.is_some() && board.unsettled == 0;
        let approved = wave.approved.as_ref().filter(|_| wave.approval == Approval::Manual);
        let planned = facts.schedule.and_then(|all| all.waves.get(at)).filter(|_| spec.state != CampaignState::Aborted);
        let is_same = approved.is_some_and(|approved| known.approved_by.as_ref() == Some(&approved.by));
        statuses.push(WaveStatus {
            name: wave.name.clone(),
            counts: board.counts,
            finished_at: is_done.then(|| known.finished_at.unwrap_or_else(|| whole_seconds(now))),
            estimated_start: planned.filter(|_| started_at.is_none()).and_then(|wave| estimate(wave.begins?, now)),
            estimated_end: planned.filter(|_| !is_done).and_then(|wave| estimate(wave.ends?, now)),
            approved_by: approved.map(|approved| approved.by.clone()),
            approved_at: approved.map(|_| known.approved_at.filter(|_| is_same).unwrap_or_else(|| whole_seconds(now))),
            waits_for: if started_at.is_some() {
                waits_within(spec, facts, at)
            } else if waves::is_passed_over(wave, board) {
                None
            } else {
                let has_begun =
                    |name: &str| statuses.iter().any(|one: &WaveStatus| one.name == name && one.started_at.is_some());
                let wait = waves::may_begin(spec, facts.board, at, has_begun, facts.is_valid, now).err();
                wait.map(|wait| wait.to_string())
            },
            started_at,
        });
    }

    statuses
}

/// What a wave that began, and in which nothing moves, waits for.
fn waits_within(spec: &CampaignSpec, facts: &Facts<'_>, at: usize) -> Option<String> {
    let board = &facts.board.waves()[at];
    if board.unsettled == 0 || !board.in_hand.is_empty() || facts.moves.begin.iter().any(|one| one.wave == at) {
        return None;
    }
    if let Some(wait) = waves::halt(spec, facts.board, facts.is_valid) {
        return Some(wait.to_string());
    }
    if board.counts.unreachable > 0 && board.waiting.is_empty() {
        return Some(format!("{} are on a platform that does not answer", board.counts.unreachable));
    }
    if let Some(at) = facts.moves.look_again {
        return Some(format!("its targets' windows open, or a freeze or deferral ends, at {at}"));
    }
    Some(match (facts.board.first_blocked(at), board.blocked.len().saturating_sub(1)) {
        (Some((name, why)), 0) => format!("{name}: {why}"),
        (Some((name, why)), more) => format!("{name}: {why}; {more} more are held up"),
        (None, _) => "nothing of it can begin now".to_owned(),
    })
}

fn phase(spec: &CampaignSpec, facts: &Facts<'_>, statuses: &[WaveStatus]) -> CampaignPhase {
    let is_in_between = facts.board.waves().iter().any(|wave| !wave.in_hand.is_empty());
    let has_ended = |status: &WaveStatus| status.finished_at.is_some();
    let is_done = statuses.iter().any(has_ended)
        && spec
            .waves
            .iter()
            .zip(facts.board.waves())
            .zip(statuses)
            .all(|((wave, board), status)| has_ended(status) || waves::is_passed_over(wave, board));
    match spec.state {
        CampaignState::Aborted if is_in_between => CampaignPhase::Aborting,
        CampaignState::Aborted => CampaignPhase::Aborted,
        CampaignState::Draft | CampaignState::Running if !facts.is_valid => CampaignPhase::Invalid,
        CampaignState::Draft => CampaignPhase::Draft,
        CampaignState::Paused => CampaignPhase::Paused,
        CampaignState::Running if waves::too_many_failed(spec, facts.board).is_some() => CampaignPhase::Halted,
        CampaignState::Running if is_done => CampaignPhase::Completed,
        CampaignState::Running => CampaignPhase::Running,
    }
}

fn listed<'b>(
    spec: &CampaignSpec,
    facts: &Facts<'b>,
    of: impl Fn(&'b super::board::WaveBoard) -> std::collections::btree_set::Iter<'b, Arc<str>>,
) -> Vec<TargetStatus> {
    let waves = spec.waves.iter().zip(facts.board.waves());
    let all = waves.flat_map(|(wave, board)| of(board).map(move |name| (wave, name)));
    all.take(LISTED)
        .map(|(wave, name)| {
            let detail = (facts.detail)(name);
            TargetStatus {
                name: name.to_string(),
                wave: wave.name.clone(),
                phase: detail.phase,
                message: detail.message,
            }
        })
        .collect()
}

fn failed(spec: &CampaignSpec, facts: &Facts<'_>) -> Vec<TargetStatus> {
    listed(spec, facts, |board| board.failed.iter())
        .into_iter()
        .map(|mut target| {
            if let Some(Standing::Failed(why)) = facts.board.target(&target.name).map(|target| &target.standing) {
                why.to_string().clone_into(&mut target.message);
            }
            target
        })
        .collect()
}

fn summary(spec: &CampaignSpec, facts: &Facts<'_>, status: &CampaignStatus) -> (Reason, String) {
    let Counts { targets, done, unneeded, failed, skipped, pinned, .. } = status.counts;
    let progress = format!("{} of {targets} targets are done", done + unneeded);
    let errors = || {
        let error = facts.findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
        format!("it cannot run as it is written: {error}")
    };

    match status.phase {
        CampaignPhase::Draft => (
            Reason::CampaignDraft,
            format!("it shows its plan for {targets} targets; set spec.state to Running to let it go"),
        ),
        CampaignPhase::Invalid => (Reason::CampaignInvalid, errors()),
        CampaignPhase::Running => {
            let waits = status.waves.iter().find_map(|wave| Some((&wave.name, wave.waits_for.as_ref()?)));
            let is_moving = !status.running.is_empty() || !facts.moves.begin.is_empty();
            match waits.filter(|_| !is_moving) {
                Some((wave, waits)) => (Reason::CampaignWaiting, format!("{progress}; wave {wave}: {waits}")),
                None => (Reason::CampaignRunning, progress),
            }
        }
        CampaignPhase::Paused => (Reason::CampaignPaused, format!("{progress}; a person paused it")),
        CampaignPhase::Halted => {
            let why = waves::too_many_failed(spec, facts.board).map(|wait| wait.to_string()).unwrap_or_default();
            (Reason::CampaignHalted, format!("{progress}; {why}"))
        }
        CampaignPhase::Aborting => {
            (Reason::CampaignAborted, format!("{progress}; it was aborted, and what had begun is being finished"))
        }
        CampaignPhase::Aborted => (Reason::CampaignAborted, format!("{progress}; it was aborted")),
        CampaignPhase::Completed => {
            (Reason::AsDesired, format!("{progress}; {failed} failed, {skipped} left out, {pinned} pinned"))
        }
    }
}

fn conditions(
    phase: CampaignPhase,
    reason: Reason,
    message: &str,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let is_stalled = matches!(phase, CampaignPhase::Invalid | CampaignPhase::Halted);
    let is_reconciling = matches!(phase, CampaignPhase::Running | CampaignPhase::Aborting);
    let is_ready = phase == CampaignPhase::Completed;

    let mut conditions = vec![(ConditionType::Ready, is_ready)];
    conditions.extend(is_reconciling.then_some((ConditionType::Reconciling, true)));
    conditions.extend(is_stalled.then_some((ConditionType::Stalled, true)));

    let condition = |(kind, is_true): (ConditionType, bool)| {
        let (type_, status) = (kind.to_string(), if is_true { "True" } else { "False" });
        let same = before.iter().find(|old| old.type_ == type_ && old.status == status);
        Condition {
            last_transition_time: same.map_or_else(|| whole_seconds(now), |old| old.last_transition_time.clone()),
            message: message.to_owned(),
            observed_generation: generation,
            reason: reason.to_string(),
            status: status.to_owned(),
            type_,
        }
    };
    conditions.into_iter().map(condition).collect()
}

/// What was decided between two statuses.
fn decisions(
    spec: &CampaignSpec,
    before: &CampaignStatus,
    after: &CampaignStatus,
    facts: &Facts<'_>,
    now: Timestamp,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let mut note = |verb: DecisionVerb, subject: String, actor: &str, reason: String| {
        decisions.push(Decision { at: whole_seconds(now), verb, subject, actor: actor.to_owned(), reason });
    };
    let name_of = |wave: usize| spec.waves.get(wave).map(|wave| wave.name.clone()).unwrap_or_default();
    // A process that starts anew sees for the first time what was told long ago. A status from birth tells nothing yet.
    let was_told = before.observed_generation.is_some_and(|seen| seen != gotocloud_api::NEVER_SEEN);
    let is_told = |change: &Change| {
        change.before.is_none()
            && was_told
            && !matches!(&change.after, Standing::Failed(_) if before.failed.iter().all(|one| one.name != change.name))
    };

    for change in facts.changes.iter().filter(|change| !is_told(change)) {
        let subject = format!("{}/{}", name_of(change.wave), change.name);
        match &change.after {
            Standing::Failed(why) => note(DecisionVerb::Fail, subject, RULES, why.to_string()),
            Standing::Skipped => note(DecisionVerb::Skip, subject, "spec.skip", "it is left out".into()),
            Standing::GoingBack => note(DecisionVerb::RollBack, subject, "spec.rollBack", "it goes back".into()),
            Standing::Pending if matches!(change.before, Some(Standing::Failed(_))) => {
                note(DecisionVerb::Retry, subject, "spec.retryFailed or spec.retry", "it is tried again".into());
            }
            Standing::Pinned(by) => note(DecisionVerb::Hold, subject, by, "it is pinned".into()),
            Standing::Pending
            | Standing::Blocked(_)
            | Standing::Running { .. }
            | Standing::Soaking
            | Standing::Done
            | Standing::Unneeded
            | Standing::ToGoBack(_)
            | Standing::WentBack => {}
        }
    }

    for (at, wave) in after.waves.iter().enumerate() {
        let known = before.waves.iter().find(|known| known.name == wave.name);
        if let (Some(by), true) =
            (&wave.approved_by, known.and_then(|known| known.approved_by.as_ref()) != wave.approved_by.as_ref())
        {
            let reason = spec.waves[at].approved.as_ref().and_then(|approved| approved.reason.clone());
            note(DecisionVerb::Approve, wave.name.clone(), by, reason.unwrap_or_else(|| "no reason given".into()));
        }
        if facts.moves.start == Some(at) {
            note(
                DecisionVerb::Start,
                wave.name.clone(),
                RULES,
                format!("{} targets; those before it are done", wave.counts.targets),
            );
        }
        if wave.finished_at.is_some() && known.is_none_or(|known| known.finished_at.is_none()) {
            let Counts { done, failed, skipped, .. } = wave.counts;
            note(
                DecisionVerb::Finish,
                wave.name.clone(),
                RULES,
                format!("{done} done, {failed} failed, {skipped} left out"),
            );
        }
    }

    for (wave, _) in spec.waves.iter().enumerate() {
        let begun: Vec<&str> = facts.untold.begun.iter().filter(|one| one.wave == wave).map(|one| &*one.name).collect();
        if let Some(first) = begun.first() {
            let board = &facts.board.waves()[wave];
            let at_once = waves::at_once(spec, facts.board, wave);
            let subject = if begun.len() == 1 { format!("{}/{first}", name_of(wave)) } else { name_of(wave) };
            let shown = begun.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = begun.len().saturating_sub(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let reason = format!("begins {shown}{more}: {} in hand, {at_once} at once", board.weight_in_hand);
            note(DecisionVerb::Start, subject, RULES, reason);
        }
    }

    for name in &facts.untold.rehearsed {
        note(DecisionVerb::Rehearse, name.to_string(), RULES, "its release asks for it, and nobody else has".into());
    }
    for (name, why) in &facts.untold.refused {
        note(DecisionVerb::Hold, name.to_string(), "the API server", why.clone());
    }
    for name in &facts.untold.withdrawn {
        note(DecisionVerb::Withdraw, name.to_string(), "spec.state", "it had touched nothing".into());
    }

    if before.phase != after.phase
        && matches!(
            after.phase,
            CampaignPhase::Halted | CampaignPhase::Paused | CampaignPhase::Invalid | CampaignPhase::Aborting
        )
    {
        let why = after.conditions.first().map(|condition| condition.message.clone()).unwrap_or_default();
        let actor =
            if matches!(after.phase, CampaignPhase::Paused | CampaignPhase::Aborting) { "spec.state" } else { RULES };
        note(DecisionVerb::Hold, "campaign".into(), actor, why);
    }

    decisions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{Lane, Progress, Rehearsing, Target};
    use gotocloud_api::campaign::CampaignSpec;
    use serde_json::json;

    /// A campaign whose only wave began, with one target done and one that is held up.
    fn told(untold: &Untold, moves: &Moves) -> CampaignStatus {
        let spec: CampaignSpec = serde_json::from_value(json!({
            "application": "app", "state": "Running", "upgrade": {"release": "r"},
            "waves": [{"name": "all", "targets": {"selector": {}}}],
        }))
        .unwrap();
        let mut campaign = Campaign::new("winter", spec);
        let before = json!({"waves": [{"name": "all", "startedAt": "2026-01-01T00:00:00Z"}]});
        campaign.status = Some(serde_json::from_value(before).unwrap());
        let mut board = Board::new(1);
        for (name, standing) in [("a", Standing::Done), ("b", Standing::Blocked("its establishment sleeps".into()))] {
            let (lane, progress) = (Lane::default(), Progress::default());
            let (deferred_until, unreachable, rehearsal) = (None, false, Rehearsing::No);
            let target =
                Target { wave: 0, standing, lane, weight: 1, deferred_until, unreachable, rehearsal, progress };
            board.put(&name.into(), target);
        }
        let (changes, findings, schedule) = (&[][..], &[][..], None);
        let detail = |_: &str| Detail::default();
        let is_valid = true;
        let late_end = None;
        let facts =
            Facts { board: &board, moves, untold, changes, findings, is_valid, schedule, late_end, detail: &detail };
        report(&campaign, &facts, "2026-01-01T01:00:00Z".parse().unwrap())
    }

    fn a() -> Admission {
        Admission { name: "a".into(), wave: 0, attempt: 1, back_to: None }
    }

    #[test]
    fn what_began_since_the_last_report_and_is_done_hides_not_what_is_waited_for() {
        let begun = Untold { begun: vec![a()], ..Untold::default() };
        let status = told(&begun, &Moves::default());
        assert_eq!(status.waves[0].waits_for.as_deref(), Some("b: its establishment sleeps"));
        let message = &status.conditions[0].message;
        assert_eq!(message, "1 of 2 targets are done; wave all: b: its establishment sleeps");
        let logged: Vec<_> = status.decisions.iter().map(|one| (one.verb, one.subject.as_str())).collect();
        assert_eq!(logged, [(DecisionVerb::Start, "all/a")]);
        let begins = Moves { begin: vec![a()], ..Moves::default() };
        assert_eq!(told(&begun, &begins).waves[0].waits_for, None, "what begins now is not waited for");
    }

    #[test]
    fn what_is_pinned_when_a_campaign_is_first_looked_at_is_logged() {
        for (seen, logged) in [(None, 1), (Some(gotocloud_api::NEVER_SEEN), 1), (Some(1), 0)] {
            let before = CampaignStatus { observed_generation: seen, ..CampaignStatus::default() };
            let after = Standing::Pinned("kubectl".into());
            let changes = [Change { name: "a".into(), wave: 0, before: None, after }];
            let (moves, untold, board) = (Moves::default(), Untold::default(), Board::new(0));
            let facts = Facts {
                board: &board,
                moves: &moves,
                untold: &untold,
                changes: &changes,
                findings: &[],
                is_valid: true,
                schedule: None,
                late_end: None,
                detail: &|_: &str| Detail::default(),
            };
            let spec = serde_json::from_value(json!({"application": "app", "waves": []})).unwrap();
            let decisions = decisions(&spec, &before, &before, &facts, Timestamp::UNIX_EPOCH);
            assert_eq!(decisions.len(), logged, "{seen:?}");
        }
    }

    #[test]
    fn what_was_withdrawn_since_the_last_report_is_logged() {
        let withdrawn = Untold { withdrawn: vec!["b".into()], ..Untold::default() };
        let status = told(&withdrawn, &Moves::default());
        assert_eq!((status.decisions[0].verb, status.decisions[0].subject.as_str()), (DecisionVerb::Withdraw, "b"));
    }
}
