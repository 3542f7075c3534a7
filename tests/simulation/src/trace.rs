//! What happened: a hash of all of it, and the last of it in words.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::{collections::VecDeque, fmt::Write as _};

/// How many lines are kept.
const KEPT: usize = 400;

/// What happened.
#[derive(Default)]
pub struct Trace {
    hash: Sha256,
    last: VecDeque<String>,
}

impl Trace {
    /// Notes a line.
    pub fn note(&mut self, event: u64, now: Timestamp, words: &str) {
        let line = format!("{event:>8} {now:.0} {words}");
        self.hash.update(line.as_bytes());
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// The same for the same lines, and for no others.
    pub fn hash(&self) -> String {
        self.hash.clone().finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
