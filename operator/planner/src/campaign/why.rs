//! What holds this target up, who can lift it, and when does it lift by itself?

use super::{Board, Standing, decide::Opening, waves};
use gotocloud_api::{CampaignSpec, CampaignStatus};
use jiff::Timestamp;

/// One thing that holds a target up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// What it is: a sentence.
    pub what: String,
    /// Who can lift it.
    pub who: Lifter,
    /// When it lifts by itself; none where that is not known, or never.
    pub lifts_at: Option<Timestamp>,
}

/// Who can lift what holds a target up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifter {
    /// It lifts by itself.
    Time,
    /// Whoever runs the campaign.
    Operator,
    /// The person that a wave waits for.
    Approver,
    /// The establishment, which asked for it.
    Establishment,
    /// Whoever set what the campaign would write.
    Owner,
    /// Whoever runs the platform.
    Platform,
}

/// What the calendars of a target say, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What is closed: a sentence.
    pub what: String,
    /// When it opens next.
    pub opens: Option<Timestamp>,
}

/// All that holds up a target called `name`, the first to lift first; nothing where it may begin now, or needs nothing
/// more. `closed` tells what of its calendars is closed.
pub fn why(
    spec: &CampaignSpec,
    status: Option<&CampaignStatus>,
    board: &Board,
    is_valid: bool,
    name: &str,
    closed: &[Closed],
    now: Timestamp,
) -> Vec<Blocker> {
    let one = |what: String, who: Lifter, lifts_at: Option<Timestamp>| Blocker { what, who, lifts_at };
    let Some(target) = board.target(name) else {
        let what = format!("{name} is in no wave: name it in the targets of one, or give it a label that one selects");
        return vec![one(what, Lifter::Operator, None)];
    };

    let mut blockers = Vec::new();
    match &target.standing {
        Standing::Done | Standing::Unneeded | Standing::WentBack | Standing::Running { .. } | Standing::GoingBack => {
            return Vec::new();
        }
        Standing::Soaking => return vec![one("it is changed, and watched".into(), Lifter::Time, None)],
        Standing::Failed(why) => {
            let what = format!("it failed: {why}; have it tried again (spec.retry.{name}) or leave it out (spec.skip)");
            return vec![one(what, Lifter::Operator, None)];
        }
        Standing::Skipped => {
            return vec![one("it is left out: take it from spec.skip to have it in".into(), Lifter::Operator, None)];
        }
        Standing::Pinned(by) => {
            let what =
                format!("{by} set what the campaign would write: take it out of there to let the campaign choose");
            blockers.push(one(what, Lifter::Owner, None));
        }
        Standing::Blocked(why) => blockers.push(one(why.to_string(), Lifter::Operator, None)),
        Standing::Pending | Standing::ToGoBack(_) => {}
    }

    if target.unreachable {
        blockers.push(one("its platform does not answer".into(), Lifter::Platform, None));
    }
    if let Some(until) = target.deferred_until.filter(|until| *until > now) {
        blockers.push(one(format!("its establishment deferred it until {until}"), Lifter::Establishment, Some(until)));
    }
    match waves::halt(spec, board, is_valid) {
        Some(wait) => blockers.push(of_wait(&wait)),
        None => blockers.extend(of_wave(spec, status, board, target.wave, is_valid, now)),
    }

    for closed in closed {
        blockers.push(one(closed.what.clone(), Lifter::Time, closed.opens));
    }
    blockers.extend(of_limits(spec, board, target));
    blockers.sort_by_key(|blocker| blocker.lifts_at.unwrap_or(Timestamp::MAX));

    blockers
}

fn of_wait(wait: &waves::Wait) -> Blocker {
    let (who, lifts_at) = match wait {
        waves::Wait::State(_)
        | waves::Wait::Invalid
        | waves::Wait::Failures { .. }
        | waves::Wait::Empty { .. }
        | waves::Wait::NoTargets => (Lifter::Operator, None),
        waves::Wait::Earlier { .. } | waves::Wait::NotBegun { .. } | waves::Wait::NotForecast => (Lifter::Time, None),
        waves::Wait::NotBefore(at) => (Lifter::Time, Some(*at)),
        waves::Wait::Approval | waves::Wait::TooLate(_) => (Lifter::Approver, None),
    };
    Blocker { what: wait.to_string(), who, lifts_at }
}

fn of_wave(
    spec: &CampaignSpec,
    status: Option<&CampaignStatus>,
    board: &Board,
    wave: usize,
    is_valid: bool,
    now: Timestamp,
) -> Option<Blocker> {
    let of = spec.waves.get(wave)?;
    if waves::has_begun(status, &of.name) {
        return None;
    }
    let has_begun = |name: &str| waves::has_begun(status, name);
    waves::may_begin(spec, board, wave, has_begun, is_valid, now).err().map(|wait| of_wait(&wait))
}

/// What is full.
fn of_limits(spec: &CampaignSpec, board: &Board, target: &super::Target) -> Vec<Blocker> {
    let full = |what: String| Blocker { what, who: Lifter::Time, lifts_at: None };
    let mut blockers = Vec::new();
    let (at_once, in_hand) = (waves::at_once(spec, board, target.wave), board.waves()[target.wave].weight_in_hand);
    if in_hand > 0 && in_hand.saturating_add(target.weight) > at_once {
        blockers.push(full(format!("{in_hand} of its wave are being changed, and {at_once} may be at once")));
    }
    for (limit, place, running, what) in [
        (
            spec.max_concurrent_per_platform,
            &target.lane.platform,
            Board::on_platform as fn(&Board, &str) -> u32,
            "platform",
        ),
        (spec.max_concurrent_per_database_server, &target.lane.server, Board::on_server, "database server"),
    ] {
        if let (Some(limit), Some(place)) = (limit, place) {
            let running = running(board, place);
            if running >= limit {
                blockers.push(full(format!(
                    "{running} on its {what} {place} are being changed, and {limit} may be at once"
                )));
            }
        }
    }
    blockers
}

/// Is it open? For those who ask only that.
pub fn opening(closed: &[Closed]) -> Opening {
    if closed.is_empty() { Opening::Open } else { Opening::Closed(closed.iter().filter_map(|one| one.opens).max()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{Lane, Target};
    use gotocloud_api::campaign::CampaignState;
    use serde_json::json;

    fn spec() -> CampaignSpec {
        serde_json::from_value(json!({
            "application": "app", "state": "Running", "upgrade": {"release": "r"}, "maxConcurrentPerPlatform": 1,
            "waves": [
                {"name": "canary", "targets": {"names": ["a"]}},
                {"name": "rest", "targets": {"selector": {}}, "approval": "Manual", "notBefore": "2030-01-01T00:00:00Z"},
            ],
        }))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn board(of: &[(&str, usize, Standing)]) -> Board {
        let mut board = Board::new(2);
        for (name, wave, standing) in of {
            let lane = Lane { platform: Some("paris".into()), ..Lane::default() };
            let target = Target {
                wave: *wave,
                standing: standing.clone(),
                lane,
                weight: 1,
                deferred_until: None,
                unreachable: false,
                rehearsal: super::super::Rehearsing::No,
                progress: super::super::Progress::default(),
            };
            board.put(&(*name).into(), target);
        }
        board
    }

    fn begun(waves: &[&str]) -> CampaignStatus {
        let waves: Vec<_> =
            waves.iter().map(|name| json!({"name": name, "startedAt": "2026-01-01T00:00:00Z"})).collect();
        serde_json::from_value(json!({ "waves": waves })).unwrap()
    }

    fn ask(spec: &CampaignSpec, status: &CampaignStatus, board: &Board, name: &str) -> Vec<(String, Lifter)> {
        let blockers = why(spec, Some(status), board, true, name, &[], now());
        blockers.into_iter().map(|blocker| (blocker.what, blocker.who)).collect()
    }

    #[test]
    fn a_later_wave_is_held_by_the_one_before_then_by_its_date_then_by_its_approver() {
        let (mut spec, status) = (spec(), begun(&["canary"]));
        let running = board(&[("a", 0, Standing::Running { untouched: false }), ("b", 1, Standing::Pending)]);
        assert_eq!(ask(&spec, &status, &running, "b")[0].0, "1 of wave canary are not done");
        let done = board(&[("a", 0, Standing::Done), ("b", 1, Standing::Pending)]);
        let blockers = why(&spec, Some(&status), &done, true, "b", &[], now());
        assert_eq!(blockers[0].lifts_at, Some("2030-01-01T00:00:00Z".parse().unwrap()));
        spec.waves[1].not_before = None;
        assert_eq!(ask(&spec, &status, &done, "b")[0].1, Lifter::Approver);
    }

    #[test]
    fn what_is_full_is_told_with_its_figures() {
        let board = board(&[("a", 0, Standing::Running { untouched: false }), ("b", 0, Standing::Pending)]);
        let told = ask(&spec(), &begun(&["canary"]), &board, "b");
        assert_eq!(told[0].0, "1 of its wave are being changed, and 1 may be at once");
        assert_eq!(told[1].0, "1 on its platform paris are being changed, and 1 may be at once");
    }

    #[test]
    fn who_pinned_it_is_named_and_so_is_what_failed() {
        let board =
            board(&[("a", 0, Standing::Pinned("kubectl".into())), ("b", 0, Standing::Failed("no pods".into()))]);
        assert!(ask(&spec(), &begun(&["canary"]), &board, "a")[0].0.starts_with("kubectl set what"));
        assert!(ask(&spec(), &begun(&["canary"]), &board, "b")[0].0.contains("no pods"));
        assert_eq!(ask(&spec(), &begun(&[]), &board, "z")[0].1, Lifter::Operator);
    }

    #[test]
    fn a_paused_campaign_says_so_and_what_may_begin_is_held_by_nothing() {
        let mut spec = spec();
        let board = board(&[("a", 0, Standing::Pending)]);
        assert_eq!(ask(&spec, &begun(&["canary"]), &board, "a"), []);
        spec.state = CampaignState::Paused;
        assert_eq!(
            ask(&spec, &begun(&["canary"]), &board, "a")[0].0,
            "the campaign is Paused: set spec.state to Running"
        );
    }
}
