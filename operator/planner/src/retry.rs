//! When is a failed step tried again?

use gotocloud_api::conditions::Reason;
use std::time::Duration;

/// The longest wait where a person's remedy is nothing the operator watches: a Secret, a server, an object of somebody's.
const UNSEEN_REMEDY: Duration = Duration::from_secs(30);

/// How an error is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// It passes by itself, soon: a conflict, a right that was just given, a namespace on its way out.
    Momentary,
    /// Something does not answer, or is overloaded.
    Unavailable,
    /// What was asked is refused, and will be until somebody acts.
    Refused,
}

impl ErrorClass {
    /// The shortest and the longest wait before the next try.
    fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Momentary => (Duration::from_millis(100), Duration::from_secs(5)),
            Self::Unavailable => (Duration::from_secs(1), Duration::from_mins(1)),
            Self::Refused => (Duration::from_secs(15), Duration::from_mins(5)),
        }
    }
}

/// Does the operator fail to see when a person has helped?
fn is_remedied_unseen(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::DatabaseSecretInvalid
            | Reason::DatabaseUnreachable
            | Reason::DatabaseRefused
            | Reason::DatabaseLost
            | Reason::ForeignObject
    )
}

/// How long to wait after the failure number `attempt` (from 0), given `jitter` from 0 to 1: doubling from the shortest
/// wait to the longest, then between half of it and all of it, so that those who failed together do not return together.
pub fn backoff(class: ErrorClass, reason: Reason, attempt: u32, jitter: f64) -> Duration {
    let (shortest, longest) = class.bounds();
    let longest = if is_remedied_unseen(reason) { longest.min(UNSEEN_REMEDY) } else { longest };
    let doubled = shortest.saturating_mul(1_u32.checked_shl(attempt.min(16)).unwrap_or(u32::MAX));
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
    doubled.min(longest).mul_f64(0.5 + jitter / 2.0)
}

/// How to meet an answer of the API server, by its HTTP status code and the reason it gives.
pub fn class_of_status(code: u16, reason: &str) -> ErrorClass {
    match code {
        409 | 410 => ErrorClass::Momentary,
        403 if reason == "NamespaceTerminating" => ErrorClass::Momentary,
        401 | 408 | 429 | 500..=599 => ErrorClass::Unavailable,
        _ => ErrorClass::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refusal_is_not_tried_again_at_once() {
        assert!(backoff(ErrorClass::Refused, Reason::ObjectRefused, 0, 0.0) >= Duration::from_secs(7));
        assert!(backoff(ErrorClass::Momentary, Reason::ApiUnavailable, 0, 1.0) <= Duration::from_millis(100));
    }

    #[test]
    fn a_remedy_that_nothing_watches_is_noticed_within_half_a_minute() {
        let longest = |reason| backoff(ErrorClass::Refused, reason, 100, 1.0);
        assert_eq!(longest(Reason::DatabaseSecretInvalid), Duration::from_secs(30));
        assert_eq!(longest(Reason::DatabaseLost), Duration::from_secs(30));
        assert_eq!(longest(Reason::ForeignObject), Duration::from_secs(30));
        assert_eq!(longest(Reason::ObjectRefused), Duration::from_mins(5));
    }

    #[test]
    fn an_overloaded_server_is_given_time() {
        assert_eq!(class_of_status(429, "TooManyRequests"), ErrorClass::Unavailable);
        assert_eq!(class_of_status(503, ""), ErrorClass::Unavailable);
        assert_eq!(class_of_status(422, "Invalid"), ErrorClass::Refused);
        assert_eq!(class_of_status(409, "Conflict"), ErrorClass::Momentary);
    }

    proptest! {
        #[test]
        fn the_wait_never_shrinks_below_half_the_shortest_nor_grows_over_the_longest(attempt: u32, jitter: f64) {
            for class in [ErrorClass::Momentary, ErrorClass::Unavailable, ErrorClass::Refused] {
                let wait = backoff(class, Reason::ObjectRefused, attempt, jitter);
                prop_assert!(wait >= class.bounds().0 / 2 && wait <= class.bounds().1);
            }
        }
    }
}
