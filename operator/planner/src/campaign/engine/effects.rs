//! What happens to campaigns, and what they do?

use crate::simulate::Schedule;
use gotocloud_api::{CampaignStatus, campaign::Decision};
use serde_json::Value;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A watch showed something.
    Seen(Seen),
    /// A write was answered.
    Answered {
        /// Which.
        id: u64,
        /// How.
        outcome: Outcome,
    },
    /// A status was written, or could not be.
    Told {
        /// Whose.
        campaign: String,
        /// Was it written?
        is_written: bool,
    },
    /// A while has passed: counts may be told again.
    Beat,
    /// When a campaign will end was worked out.
    Forecast {
        /// Which.
        campaign: String,
        /// The generation of its spec that this is of.
        generation: Option<i64>,
        /// What came of it.
        schedule: Box<Schedule>,
    },
    /// Time has passed.
    Time,
}

/// What a watch showed: it came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An Instance, by namespace and name: its spec, its metadata or its status, or what runs beside it.
    Instance(String, String),
    /// An Application, by its name.
    Application(String),
    /// A Release, by its name.
    Release(String),
    /// An Establishment: its spec or its labels.
    Establishment,
    /// A Campaign, by its name.
    Campaign(String),
    /// A freeze or a deferral.
    Calendar,
    /// All is to be looked at anew.
    Everything,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written, and what is asked of the objects shows it from now on.
    Accepted,
    /// The object changed since it was seen, or somebody owns the field.
    Conflict,
    /// The API server refused it.
    Refused {
        /// The status of HTTP.
        code: u16,
        /// Its own words.
        message: String,
    },
    /// Nobody knows whether it was written.
    Lost,
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write an Instance.
    Write(Write),
    /// Write a campaign's status, and tell those who watch it what was decided.
    Tell {
        /// Whose.
        campaign: String,
        /// The version of the campaign that was seen: the status is written over that, or over what whoever tells has
        /// written since, and over nothing else.
        over: Option<String>,
        /// The status.
        status: Box<CampaignStatus>,
        /// What was decided since the last.
        decisions: Vec<Decision>,
    },
}

/// A server-side apply of an Instance by the campaigns' field manager, never by force. The body names the version that was
/// seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Which: the answer names it.
    pub id: u64,
    /// The campaign that writes.
    pub campaign: String,
    /// The Instance's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is written.
    pub body: Value,
}
