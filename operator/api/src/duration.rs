//! How is a length of time written?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// A length of time: whole days, hours, minutes and seconds in this order, each optional, such as `30m`, `1h30m` or
/// `7d`. A day is 24 hours. At most 366 days.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

/// What the units are called, and how many seconds each is, the shortest first.
const UNITS: [(char, i64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
/// The longest length of time, in seconds.
const MAX_SECONDS: i64 = 366 * 86_400;

/// In CEL, whether `self` is a length of time; how long it is, is for [`Duration::seconds`] to say. Its digits keep it
/// under 1000 days.
pub(crate) const CEL_RULE: &str =
    "self.matches('^([0-9]{1,3}d)?([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,7}s)?$') && size(self) > 0";
/// What to say where it is not.
pub(crate) const CEL_MESSAGE: &str = "write a length of time like 30m, 1h30m or 7d, at most 366d";

/// A text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no length of time: write it like 30m, 1h30m or 7d, at most 366d")]
pub struct DurationError {
    text: String,
}

impl Duration {
    /// How many seconds it is.
    ///
    /// # Errors
    /// [`DurationError`] where the text is of another form, or longer than 366 days.
    pub fn seconds(&self) -> Result<i64, DurationError> {
        let wrong = || DurationError { text: self.0.chars().take(40).collect() };
        let mut rest = self.0.as_str();
        let mut seconds: i64 = 0;
        let mut last = usize::MAX;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let mut units = tail.chars();
            let unit = units.next();
            let at =
                UNITS.iter().position(|(name, _)| Some(*name) == unit).filter(|at| *at < last).ok_or_else(wrong)?;
            let number: i64 = number.parse().map_err(|_| wrong())?;
            seconds = number.checked_mul(UNITS[at].1).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
            last = at;
            rest = units.as_str();
        }
        if seconds <= MAX_SECONDS { Ok(seconds) } else { Err(wrong()) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": 24,
            "x-kubernetes-validations": [{"rule": CEL_RULE, "message": CEL_MESSAGE}],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Result<i64, DurationError> {
        Duration(text.to_owned()).seconds()
    }

    #[test]
    fn days_hours_minutes_and_seconds_add_up() {
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("1h30m"), Ok(5_400));
        assert_eq!(seconds("1d2h3m4s"), Ok(93_784));
        assert_eq!(seconds("0s"), Ok(0));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused_with_examples() {
        for text in ["", "h", "1", "1x", "1m1h", "1h1h", "-1h", "1.5h", "146000d", "999999999999999999999s", "1 h"] {
            let error = seconds(text).unwrap_err().to_string();
            assert!(error.contains("write it like 30m"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = seconds(&text);
        }
    }
}
