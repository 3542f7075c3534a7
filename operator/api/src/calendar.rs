//! When may something change? The words for it: windows of the week, dates and periods of the year.
//!
//! All of them are read in the time zone of the establishment concerned: night in Papeete is not night in Paris. What
//! they come to on a given day is for the planner to say.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A span of some days of the week, in local time, in which changes may begin. What began in it is finished after it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The days on which it opens; empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<Weekday>,
    /// When it opens, local time, `HH:MM`.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// When it closes, local time, `HH:MM`; not after `from`: on the day after. The same as `from`: 24 hours later.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // the days of the week
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A period, once or every year. Give exactly one of the two.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.dates) != has(self.yearly)").message("give exactly one of dates and yearly"))]
pub struct Period {
    /// Once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<Dates>,
    /// Every year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yearly: Option<Yearly>,
}

/// From one local day to another, both included.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("self.until >= self.from").message("until must not be before from"))]
pub struct Dates {
    /// First day, `YYYY-MM-DD`.
    #[schemars(length(max = 10), regex(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"))]
    pub from: String,
    /// Last day, `YYYY-MM-DD`.
    #[schemars(length(max = 10), regex(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"))]
    pub until: String,
}

/// From one local day of every year to another, both included; where `until` is before `from`, over the new year. Of
/// 29 February a year without one takes 1 March as a first day and 28 February as a last.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Yearly {
    /// First day, `MM-DD`.
    #[schemars(length(max = 5), regex(pattern = "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"))]
    pub from: String,
    /// Last day, `MM-DD`.
    #[schemars(length(max = 5), regex(pattern = "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"))]
    pub until: String,
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
