//! What becomes of a target whose write the API server refuses?

use crate::campaign::Standing;
use jiff::{SignedDuration, Timestamp};

/// How often a write is tried before its target has failed. With the waits in between that is a quarter of an hour.
const TRIES: u32 = 6;
/// How long the first wait is; each further one is twice as long.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// A write that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Under which attempt of the campaign.
    pub(super) attempt: u32,
    tries: u32,
    until: Timestamp,
    why: String,
}

impl Refusal {
    /// A refusal after another, or the first.
    pub(super) fn again(
        before: Option<Self>,
        attempt: u32,
        code: u16,
        name: &str,
        message: &str,
        now: Timestamp,
    ) -> Self {
        let tries = before.filter(|before| before.attempt == attempt).map_or(1, |before| before.tries + 1);
        let wait = FIRST_WAIT * 2_i32.saturating_pow(tries.min(TRIES) - 1);
        let why = format!("the API server refuses Instance {name} ({code}): {message}");
        Self { attempt, tries, until: now.checked_add(wait).unwrap_or(Timestamp::MAX), why }
    }

    pub(super) fn is_first(&self) -> bool {
        self.tries == 1
    }

    /// Why, in the API server's words.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// When it may be tried again; `None` if it is not.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        (self.tries < TRIES && self.until > now).then_some(self.until)
    }

    /// Is it to be tried again by now?
    fn is_over(&self, now: Timestamp) -> bool {
        self.tries < TRIES && self.until <= now
    }

    /// Where its target stands for that; `None` once it is to be tried again.
    pub(super) fn standing(&self, now: Timestamp) -> Option<Standing> {
        if self.tries >= TRIES {
            return Some(Standing::Failed(self.why.as_str().into()));
        }
        (!self.is_over(now)).then(|| {
            Standing::Blocked(
                format!("{}; it is tried again at {}", self.why, crate::whole_seconds(self.until).0).into(),
            )
        })
    }
}
