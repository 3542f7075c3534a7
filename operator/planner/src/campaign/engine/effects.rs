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
        /// The version that the campaign has by it; `None` if it was not written, or nobody knows.
        version: Option<String>,
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

impl Outcome {
    /// What an answer with that status of HTTP means.
    pub fn refused(code: u16, message: &str) -> Self {
        // The write names the object it is meant for by its uid: another bears its name now.
        let is_another = code == 422 && message.contains("metadata.uid");
        match code {
            409 => Self::Conflict,
            422 if is_another => Self::Conflict,
            // Too many requests: nothing was decided.
            429 => Self::Lost,
            400..500 => Self::Refused { code, message: message.to_owned() },
            _ => Self::Lost,
        }
    }
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
        /// The version of the campaign that it was computed from. Over any other it is not written.
        version: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn an_object_made_anew_under_the_name_is_a_conflict_and_no_refusal() {
        let answer =
            "Instance.gotocloud.amue.fr \"a\" is invalid: metadata.uid: Invalid value: \"u2\": field is immutable";
        assert_eq!(Outcome::refused(422, answer), Outcome::Conflict);
        assert_eq!(Outcome::refused(409, "the object has been modified"), Outcome::Conflict);
    }

    #[test]
    fn what_a_rule_forbids_is_refused_and_what_a_server_could_not_do_is_lost() {
        let refused = |code| Outcome::Refused { code, message: "no".to_owned() };
        assert_eq!([403, 404, 422].map(|code| Outcome::refused(code, "no")), [403, 404, 422].map(refused));
        assert_eq!([429, 500, 504].map(|code| Outcome::refused(code, "no")), [429, 500, 504].map(|_| Outcome::Lost));
    }
}
