//! A Prometheus in miniature: what its expressions say of each instance, and since when.

use crate::world::{Timer, World};
use gotocloud_api::names;
use gotocloud_planner::campaign::gates::{Question, Series};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What an expression says of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    True,
    False,
    /// There is no such series.
    Nothing,
}

/// The expression of all gates that ask it.
pub const EXPRESSION: &str = "up{namespace=\"${namespace}\"}";

/// What was said of each namespace since when, the latest last.
#[derive(Debug, Default)]
pub struct Prometheus(BTreeMap<String, Vec<(Timestamp, Says)>>);

impl Prometheus {
    /// What is said of a namespace at a moment. Of one of which nothing was ever said otherwise, all is well.
    fn says(&self, namespace: &str, at: Timestamp) -> Says {
        let history = self.0.get(namespace).map_or(&[][..], Vec::as_slice);
        let later = history.partition_point(|(since, _)| *since <= at);
        history[..later].last().map_or(Says::True, |(_, says)| *says)
    }

    fn say(&mut self, namespace: &str, now: Timestamp, says: Says) {
        self.0.entry(namespace.to_owned()).or_default().push((now, says));
    }

    /// The samples that are asked for.
    pub fn answer(&self, question: &Question) -> Vec<Series> {
        let Some(namespace) = question.query.split('"').nth(1) else { return Vec::new() };
        let step = question.step.as_secs().max(1);
        let (from, until) = (question.from.as_second(), question.until.as_second());

        let moments = (from..=until).step_by(usize::try_from(step).unwrap_or(1));
        let sample = |at: i64| match self.says(namespace, Timestamp::from_second(at).unwrap_or_default()) {
            Says::True => Some((at, 1.0)),
            Says::False => Some((at, 0.0)),
            Says::Nothing => None,
        };
        vec![moments.filter_map(sample).collect()]
    }

    /// Was it true for so long without a break, at some time from `since` to `now`?
    pub fn was_true(&self, namespace: &str, during: SignedDuration, since: Timestamp, now: Timestamp) -> bool {
        let history = self.0.get(namespace).map_or(&[][..], Vec::as_slice);
        // It changes at these moments, and is the same in between.
        let changes = history.iter().map(|(at, _)| *at).filter(|at| *at > since && *at < now);
        let begins: Vec<Timestamp> = std::iter::once(since).chain(changes).collect();
        let ends = begins.iter().skip(1).copied().chain([now]);

        let mut true_since = None;
        begins.iter().zip(ends).any(|(begin, end)| {
            true_since = (self.says(namespace, *begin) == Says::True).then(|| true_since.unwrap_or(*begin));
            true_since.is_some_and(|from: Timestamp| end.duration_since(from) >= during)
        })
    }
}

impl World {
    /// What is measured of an instance changes. Once people stop, all is well.
    pub(crate) fn measures_change(&mut self) {
        let now = self.now();
        let namespaces: Vec<String> = self.instances().iter().map(|at| names::workload_namespace(&at.name)).collect();
        if !self.is_lively {
            for namespace in &namespaces {
                self.prometheus.say(namespace, now, Says::True);
            }
            return;
        }

        if let Some(namespace) = self.any(&namespaces) {
            let says = self.any(&[Says::True, Says::True, Says::False, Says::Nothing]).unwrap_or(Says::True);
            self.say(|| format!("prometheus: says {says:?} of {namespace}"));
            self.prometheus.say(&namespace, now, says);
        }
        let pause = self.between_seconds(120, 5400);
        self.after(pause, Timer::Measure);
    }
}
