//! What does a gate say, given what Prometheus answers?

use crate::upgrade::Gates;
use gotocloud_api::campaign::Gate;
use jiff::{SignedDuration, Timestamp};

/// The samples of one series: seconds since 1970, and the value.
pub type Series = Vec<(i64, f64)>;

/// How far apart the samples of a range are asked for.
pub const STEP: SignedDuration = SignedDuration::from_secs(15);

/// What to ask Prometheus: an expression over a range of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The expression, its variables replaced.
    pub query: String,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What to ask about a gate of a target that has been in its phase since `since`; none while it cannot have been true for
/// long enough yet.
pub fn question(
    gate: &Gate,
    namespace: &str,
    instance: &str,
    establishment: &str,
    since: Timestamp,
    now: Timestamp,
) -> Option<Question> {
    let during = during(gate);
    let from = now.checked_sub(during).ok()?;
    (from >= since).then(|| Question {
        query: gate
            .promql
            .replace("${namespace}", namespace)
            .replace("${instance}", instance)
            .replace("${establishment}", establishment),
        from,
        until: now,
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
    let (from, until, step) = (question.from.as_second(), question.until.as_second(), STEP.as_secs());
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
        question(&gate(during), "gtc-a", "a", "e", at(since), at(now))
    }

    fn every(step: i64, from: i64, until: i64, value: f64) -> Series {
        (0..=(until - from) / step).map(|n| (from + n * step, value)).collect()
    }

    #[test]
    fn it_is_not_asked_before_it_can_have_been_true_for_long_enough() {
        assert_eq!(ask("60s", 1000, 1059), None);
        assert_eq!(ask("60s", 1000, 1060).unwrap().query, "up{namespace=\"gtc-a\"}");
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
