//! What time is it?

use jiff::Timestamp;
use std::path::PathBuf;

/// Where the time of decisions about campaigns comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine.
    #[default]
    Machine,
    /// A file with a moment (RFC 3339) in it, which a replay of past years moves on.
    File(PathBuf),
}

impl Clock {
    /// The present moment. Where the file cannot be read, the machine's.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Machine => Timestamp::now(),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                text.trim().parse().unwrap_or_else(|_| Timestamp::now())
            }
        }
    }
}
