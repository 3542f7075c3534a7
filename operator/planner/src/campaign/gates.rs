//! What does a gate say, given what Prometheus answers?

use crate::upgrade::Gates;
use gotocloud_api::{
    Campaign, Instance,
    campaign::{Gate, HealthCheck},
    upgrade::UpgradeStatus,
};
use jiff::{SignedDuration, Timestamp};

/// The samples of one series: seconds since 1970, and the value.
pub type Series = Vec<(i64, f64)>;

/// How far apart the samples of a range are asked for at least.
const STEP: SignedDuration = SignedDuration::from_secs(15);
/// How many samples of a range are asked for at most: Prometheus gives no more than 11,000 of one series.
const SAMPLES: i64 = 10_000;

/// What to ask Prometheus: an expression over a range of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The expression, its variables replaced.
    pub query: String,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How far apart the samples are.
    pub step: SignedDuration,
}

/// The gates of an Instance on that way: those of its wave today, else those that its wave had when the way began. `campaign`
/// is the one of the name that the way gives, if there is one; under another uid it is another.
pub fn of<'a>(campaign: Option<&'a Campaign>, way: &'a UpgradeStatus) -> &'a [Gate] {
    let wave = campaign.zip(way.rollout.as_ref()).and_then(|(campaign, rollout)| {
        let is_it = campaign.metadata.uid.as_ref() == Some(&rollout.uid);
        campaign.spec.waves.iter().find(|wave| is_it && wave.name == rollout.wave)
    });

    let today = wave.map(|wave| wave.gates.as_slice());
    let then = way.terms.as_ref().map(|terms| terms.gates.as_slice());
    today.or(then).unwrap_or_default()
}

/// What a gate on a health check says of an instance that has been in its phase since `since`. It is never false: what is
/// amiss is looked at with patience, as without a gate, and is only not true for long enough.
pub fn checked(gate: &Gate, check: HealthCheck, instance: &Instance, since: Timestamp, now: Timestamp) -> Gates {
    let (name, during) = (&gate.name, during(gate));
    let kind = format!("{check:?}");
    let conditions = instance.status.iter().flat_map(|status| &status.conditions);
    let Some(condition) = conditions.into_iter().find(|one| one.type_ == kind) else {
        return Gates::Unknown(format!("the gate {name} cannot be told: the instance has no condition {kind}"));
    };
    if condition.observed_generation != instance.metadata.generation {
        return Gates::Unknown(format!("the gate {name} cannot be told yet: {kind} is of an older generation"));
    }
    if condition.status != "True" {
        return Gates::Unknown(format!("the gate {name} is not true: {}", condition.message));
    }
    let from = condition.last_transition_time.0.max(since);
    if now.duration_since(from) >= during { Gates::True } else { too_short(gate) }
}

/// What is said of a gate that cannot have been true for long enough yet.
pub fn too_short(gate: &Gate) -> Gates {
    Gates::Unknown(format!("the gate {} has to be true for {:#}", gate.name, during(gate)))
}

/// What to ask about a gate on that expression, of a target that has been in its phase since `since`; none while it cannot
/// have been true for long enough yet.
pub fn question(
    gate: &Gate,
    promql: &str,
    namespace: &str,
    instance: &str,
    establishment: &str,
    since: Timestamp,
    now: Timestamp,
) -> Option<Question> {
    let during = during(gate);
    let from = now.checked_sub(during).ok()?;
    let seconds = during.as_secs();
    let step = SignedDuration::from_secs(seconds / SAMPLES + i64::from(seconds % SAMPLES > 0)).max(STEP);
    (from >= since).then(|| Question {
        query: promql
            .replace("${namespace}", namespace)
            .replace("${instance}", instance)
            .replace("${establishment}", establishment),
        from,
        until: now,
        step,
    })
}

/// What a gate says, given the series that were answered, or why there is no answer. It is true where at each moment of
/// its range there is a sample, and none is 0. Where one is missing, it is not known: that is never taken for true.
pub fn judge(gate: &Gate, question: &Question, answer: &Result<Vec<Series>, String>) -> Gates {
    let name = &gate.name;
    let series = match answer {
        Err(why) => return Gates::Unknown(format!("the gate {name} cannot be told: {why}")),
        Ok(series) => series,
    };
    if series.iter().flatten().any(|(_, value)| *value == 0.0) {
        return Gates::False(format!("the gate {name} is false"));
    }
    if series.iter().flatten().any(|(_, value)| !value.is_finite()) {
        return Gates::Unknown(format!("the gate {name} cannot be told: a sample is no number"));
    }
    let (from, until, step) = (question.from.as_second(), question.until.as_second(), question.step.as_secs());
    let mut at = from;
    while at <= until {
        if !series.iter().flatten().any(|(time, _)| (*time - at).abs() < step) {
            return Gates::Unknown(format!("the gate {name} cannot be told: its expression has no result"));
        }
        at += step;
    }
    Gates::True
}

/// What several gates say together: the first that is false, else the first that is not known.
pub fn together(all: impl IntoIterator<Item = Gates>) -> Gates {
    let mut sum = Gates::True;
    for one in all {
        match (&sum, &one) {
            (_, Gates::False(_)) => return one,
            (Gates::True, Gates::Unknown(_)) => sum = one,
            (Gates::True | Gates::Unknown(_) | Gates::False(_), Gates::True | Gates::Unknown(_)) => {}
        }
    }
    sum
}

/// How long a gate must be true.
pub fn during(gate: &Gate) -> SignedDuration {
    let seconds = gate.during.as_ref().and_then(|during| during.seconds().ok()).unwrap_or(0);
    SignedDuration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(during: &str) -> Gate {
        serde_json::from_value(
            serde_json::json!({"name": "up", "promql": "up{namespace=\"${namespace}\"}", "during": during}),
        )
        .unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ask(during: &str, since: i64, now: i64) -> Option<Question> {
        question(&gate(during), "up{namespace=\"${namespace}\"}", "gtc-a", "a", "e", at(since), at(now))
    }

    fn every(step: i64, from: i64, until: i64, value: f64) -> Series {
        (0..=(until - from) / step).map(|n| (from + n * step, value)).collect()
    }

    #[test]
    fn what_is_on_its_way_keeps_its_gates_when_its_wave_is_renamed_or_taken_out_or_its_campaign_is_deleted() {
        let gated = |gate: &str| serde_json::json!([{"name": gate, "promql": "1"}]);
        let way: UpgradeStatus = serde_json::from_value(serde_json::json!({
            "rollout": {"campaign": "c", "uid": "1", "wave": "w", "attempt": 1, "wants": "r"},
            "from": "q", "to": "r", "steps": [{"release": "r"}], "active": "r", "phase": "Soak",
            "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z",
            "terms": {"onFailure": "Rollback", "soakSeconds": 0, "progressDeadlineSeconds": 900,
                      "backupDeadlineSeconds": 9, "gates": gated("kept")},
        }))
        .unwrap();
        let campaign = |wave: &str, gates: serde_json::Value| -> Campaign {
            let waves = serde_json::json!([{"name": wave, "targets": {"selector": {}}, "gates": gates}]);
            let spec = serde_json::json!({"application": "a", "upgrade": {"release": "r"}, "waves": waves});
            let mut campaign = Campaign::new("c", serde_json::from_value(spec).unwrap());
            campaign.metadata.uid = Some("1".into());
            campaign
        };
        let names = |campaign: Option<&Campaign>, way: &UpgradeStatus| -> Vec<String> {
            of(campaign, way).iter().map(|gate| gate.name.clone()).collect()
        };

        assert_eq!(names(Some(&campaign("w", gated("mended"))), &way), ["mended"], "a person may mend a gate");
        assert_eq!(names(Some(&campaign("w", serde_json::json!([]))), &way), Vec::<String>::new(), "or take it away");
        assert_eq!(names(Some(&campaign("renamed", gated("another"))), &way), ["kept"]);
        let mut anew = campaign("w", gated("another"));
        anew.metadata.uid = Some("2".into());
        assert_eq!(names(Some(&anew), &way), ["kept"], "a campaign made anew under the name is another");
        assert_eq!(names(None, &way), ["kept"]);
        let older = UpgradeStatus { terms: None, ..way };
        assert_eq!(names(None, &older), Vec::<String>::new());
    }

    #[test]
    fn it_is_not_asked_before_it_can_have_been_true_for_long_enough() {
        assert_eq!(ask("60s", 1000, 1059), None);
        assert_eq!(ask("60s", 1000, 1060).unwrap().query, "up{namespace=\"gtc-a\"}");
    }

    #[test]
    fn one_that_must_be_true_for_long_is_asked_for_no_more_samples_than_prometheus_gives() {
        const DAY: i64 = 86_400;
        for days in [1, 2, 7, 90] {
            let question = ask(&format!("{}h", days * 24), 0, days * DAY).unwrap();
            let step = question.step.as_secs();
            assert!(step >= 15 && days * DAY / step < 11_000, "{days} days are asked for every {step} s");
            let whole = Ok(vec![every(step, 0, days * DAY, 1.0)]);
            assert_eq!(judge(&gate("1h"), &question, &whole), Gates::True);
        }
        assert_eq!(ask("1h", 0, 3600).unwrap().step, STEP);
    }

    #[test]
    fn it_is_true_where_every_sample_is_there_and_none_is_zero() {
        let question = ask("60s", 1000, 1060).unwrap();
        let judge = |series: Vec<Series>| judge(&gate("60s"), &question, &Ok(series));
        assert_eq!(judge(vec![every(15, 1000, 1060, 1.0)]), Gates::True);
        assert!(matches!(judge(vec![every(15, 1000, 1060, 1.0), every(15, 1000, 1060, 0.0)]), Gates::False(_)));
        assert!(matches!(judge(vec![every(15, 1000, 1030, 1.0)]), Gates::Unknown(_)), "it ends too early");
        assert!(matches!(judge(vec![]), Gates::Unknown(_)));
        assert!(matches!(judge(vec![every(15, 1000, 1060, f64::NAN)]), Gates::Unknown(_)));
    }

    #[test]
    fn a_health_check_is_true_once_its_condition_was_for_long_enough_in_this_phase() {
        let gate: Gate = serde_json::from_value(
            serde_json::json!({"name": "pods", "healthCheck": "WorkloadReady", "during": "60s"}),
        )
        .unwrap();
        let said = |status: &str, generation: i64, true_since: i64, phase_since: i64, now: i64| {
            let instance: Instance = serde_json::from_value(serde_json::json!({
                "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance", "metadata": {"name": "a", "generation": 2},
                "spec": {"application": "app", "establishment": "e"},
                "status": {"conditions": [{"type": "WorkloadReady", "status": status, "reason": "R", "message": "1 of 2 pods",
                    "observedGeneration": generation, "lastTransitionTime": at(true_since).to_string()}]},
            }))
            .unwrap();
            checked(&gate, HealthCheck::WorkloadReady, &instance, at(phase_since), at(now))
        };
        assert_eq!(said("True", 2, 1000, 900, 1060), Gates::True);
        let unknown = |said: Gates| match said {
            Gates::Unknown(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(unknown(said("True", 2, 1000, 900, 1059)).contains("has to be true for"));
        assert!(unknown(said("True", 2, 1000, 1001, 1060)).contains("has to be true for"), "not before this phase");
        assert!(unknown(said("True", 1, 1000, 900, 9999)).contains("older generation"));
        assert_eq!(unknown(said("False", 2, 1000, 900, 9999)), "the gate pods is not true: 1 of 2 pods");
    }

    #[test]
    fn no_answer_is_not_true_and_not_false() {
        let question = ask("0s", 1000, 1000).unwrap();
        let said = judge(&gate("0s"), &question, &Err("connection refused".into()));
        assert_eq!(said, Gates::Unknown("the gate up cannot be told: connection refused".into()));
    }

    #[test]
    fn one_that_is_false_outweighs_one_that_is_not_known() {
        let (unknown, no) = (Gates::Unknown("u".into()), Gates::False("f".into()));
        assert_eq!(together([unknown.clone(), no.clone()]), no);
        assert_eq!(together([Gates::True, unknown.clone()]), unknown);
        assert_eq!(together([]), Gates::True);
    }
}
