//! What time is it?

use jiff::Timestamp;
use std::{path::PathBuf, time::Duration};

/// How often a clock file is read while somebody waits for it to be set.
const LOOK: Duration = Duration::from_millis(50);

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
        self.set_to().unwrap_or_else(Timestamp::now)
    }

    /// Returns once the clock was set to another moment, with that moment. The machine's clock is never set: whoever waits
    /// for a moment by it sleeps until then.
    pub async fn is_set(&self, before: Timestamp) -> Timestamp {
        loop {
            match self {
                Self::Machine => std::future::pending().await,
                Self::File(_) => tokio::time::sleep(LOOK).await,
            }
            if let Some(now) = self.set_to().filter(|now| *now != before) {
                return now;
            }
        }
    }

    /// The moment in the clock's file.
    fn set_to(&self) -> Option<Timestamp> {
        match self {
            Self::Machine => None,
            Self::File(path) => std::fs::read_to_string(path).ok()?.trim().parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn that_a_clock_was_set_is_noticed_at_once() {
        let path = std::env::temp_dir().join(format!("gotocloud-clock-{}", std::process::id()));
        let (before, after) = ("2024-12-31T12:00:00Z", "2025-09-01T06:00:00Z");
        std::fs::write(&path, before).unwrap();
        let clock = Clock::File(path.clone());
        assert_eq!(clock.now(), before.parse().unwrap());

        let set = tokio::spawn(async move { clock.is_set(before.parse().unwrap()).await });
        std::fs::write(&path, after).unwrap();
        let noticed = tokio::time::timeout(Duration::from_secs(5), set).await.unwrap().unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(noticed, after.parse().unwrap());
    }
}
