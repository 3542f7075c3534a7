//! Which way leads from one release of an application to another?
//!
//! A release says from which versions it is reached; where it says nothing, from any older one. So the releases of an
//! application are a graph, and the way of an upgrade is its shortest path.

use crate::fingerprint;
use gotocloud_api::{
    Release,
    release::Migration,
    upgrade::{StepMigration, UpgradeStep},
    version::{Relation, Step, UpgradeKind, Version, VersionScheme},
};
use std::collections::VecDeque;

/// Longest that a migration may take if its Release does not say, in seconds.
pub(crate) const MIGRATION_DEADLINE_SECONDS: i64 = 3600;

/// The releases of one application, and which is reached from which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    name: String,
    scheme: VersionScheme,
    version: Version,
    /// The job that moves the data of whoever changes to it.
    migration: Option<StepMigration>,
    /// Those it is reached from, by their place.
    from: Vec<usize>,
}

/// What one step of a way does to the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StepFacts {
    /// Does a job move the data?
    pub migrates: bool,
    /// Can the version before not run on the data after it?
    pub irreversible: bool,
}

impl StepFacts {
    fn of(migration: Option<&StepMigration>) -> Self {
        Self { migrates: migration.is_some(), irreversible: migration.is_some_and(|migration| !migration.reversible) }
    }
}

/// A migration as a record keeps it.
pub(crate) fn recorded(migration: &Migration) -> StepMigration {
    let asked = migration.deadline.as_ref().and_then(|deadline| deadline.seconds().ok());

    StepMigration {
        reversible: migration.reversible,
        digest: fingerprint::of(migration),
        deadline_seconds: asked.map_or(MIGRATION_DEADLINE_SECONDS, |seconds| seconds.max(1)),
    }
}

/// There is no way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// One of the two is no release of the application with a version of its scheme.
    #[error("{0} is no Release of this application that can be read: publish it, or name another")]
    Unknown(String),
    /// No release on the way says that it is reached.
    #[error("no way leads from {from} to {to}: {}; publish a Release between, or add a version to reachableFrom of {to}",
        nearest.as_ref().map_or("nothing is reached from it".to_owned(), |nearest| format!("the nearest that is reached is {nearest}")))]
    None {
        /// Where it begins.
        from: String,
        /// Where it should end.
        to: String,
        /// The release nearest to the end that is reached.
        nearest: Option<String>,
    },
    /// The way back crosses a migration that cannot be undone.
    #[error("{from} cannot go back to {to} by its image: the data was changed for good; restore a backup taken before")]
    Irreversible {
        /// Where it begins.
        from: String,
        /// Where it should end.
        to: String,
    },
}

impl Graph {
    /// The graph of those releases, which are of one application. One whose version cannot be read is left out.
    pub fn new<'a>(releases: impl IntoIterator<Item = &'a Release>) -> Self {
        let mut read: Vec<(&Release, Version)> = releases
            .into_iter()
            .filter_map(|release| Some((release, release.spec.version_scheme.parse(&release.spec.version).ok()?)))
            .collect();
        // By version, so that ties are settled by it and not by the order of a list.
        read.sort_by(|(a, x), (b, y)| {
            x.compare(y).unwrap_or(std::cmp::Ordering::Equal).then_with(|| a.metadata.name.cmp(&b.metadata.name))
        });
        let versions: Vec<Version> = read.iter().map(|(_, version)| version.clone()).collect();
        let nodes = read.into_iter().map(|(release, version)| {
            let from = (0..versions.len()).filter(|&at| is_reached(release, &version, &versions[at])).collect();
            Node {
                name: release.metadata.name.clone().unwrap_or_default(),
                scheme: release.spec.version_scheme,
                migration: release.spec.migration.as_ref().map(recorded),
                version,
                from,
            }
        });
        Self { nodes: nodes.collect() }
    }

    fn find(&self, name: &str) -> Result<usize, NoWay> {
        self.nodes.iter().position(|node| node.name == name).ok_or_else(|| NoWay::Unknown(name.to_owned()))
    }

    /// The names of the releases after `from` on the shortest allowed way to `to`, which is the last; of several as short,
    /// the one by the newest releases. If ways lead the other way round, and none of them crosses a migration that cannot be
    /// undone, the way back is one step: the data suits every release on them. Which of them the data came by is not known
    /// here, so one that crosses such a migration is enough to refuse.
    ///
    /// # Errors
    /// [`NoWay`], which names the nearest release that is reached.
    pub fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay> {
        let (start, end) = (self.find(from)?, self.find(to)?);
        if start == end {
            return Ok(vec![to.to_owned()]);
        }
        let before = self.search(start);

        if before[end].is_some() {
            let mut way = vec![end];
            while let Some(previous) = way.last().and_then(|&at| before[at]).filter(|&previous| previous != start) {
                way.push(previous);
            }
            return Ok(way.into_iter().rev().map(|at| self.nodes[at].name.clone()).collect());
        }

        if self.search(end)[start].is_some() {
            return if self.may_have_crossed(end, start) {
                Err(NoWay::Irreversible { from: from.to_owned(), to: to.to_owned() })
            } else {
                Ok(vec![to.to_owned()])
            };
        }

        let is_before_the_end = |at: &usize| {
            *at != start
                && matches!(
                    self.nodes[*at].version.relation(&self.nodes[end].version),
                    Some(Relation::Older | Relation::Same)
                )
        };

        let nearest = (0..self.nodes.len())
            .rfind(|at| before[*at].is_some() && is_before_the_end(at))
            .map(|at| self.nodes[at].name.clone());
        Err(NoWay::None { from: from.to_owned(), to: to.to_owned(), nearest })
    }

    /// For each release, the one before it on a shortest way from `start`; none where there is no way.
    fn search(&self, start: usize) -> Vec<Option<usize>> {
        let mut before: Vec<Option<usize>> = vec![None; self.nodes.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            // The newest first: they then come before others that are as far.
            for next in (0..self.nodes.len()).rev().filter(|&next| self.nodes[next].from.contains(&at)) {
                if next != start && before[next].is_none() {
                    before[next] = Some(at);
                    queue.push_back(next);
                }
            }
        }
        before
    }

    /// Does any way from `start` to `end` cross a migration that cannot be undone?
    fn may_have_crossed(&self, start: usize, end: usize) -> bool {
        let onward = self.search(start);
        let leads_to_the_end = |at: usize| at == end || self.search(at)[end].is_some();

        (0..self.nodes.len()).any(|at| {
            let is_irreversible = StepFacts::of(self.nodes[at].migration.as_ref()).irreversible;
            is_irreversible && at != start && onward[at].is_some() && leads_to_the_end(at)
        })
    }

    /// The migration of the step that ends at `release`, coming from `before`. A step back has none.
    fn migration(&self, before: &str, release: &str) -> Option<&StepMigration> {
        let from = self.find(before).ok()?;
        let to = self.find(release).ok()?;

        if self.nodes[to].from.contains(&from) { self.nodes[to].migration.as_ref() } else { None }
    }

    /// What the step that ends at `release`, coming from `before`, does to the data. A step back does nothing.
    pub fn facts(&self, before: &str, release: &str) -> StepFacts {
        StepFacts::of(self.migration(before, release))
    }

    /// The step that ends at `release`, coming from `before`, as a record keeps it.
    pub fn step(&self, before: &str, release: &str) -> UpgradeStep {
        UpgradeStep { release: release.to_owned(), migration: self.migration(before, release).cloned() }
    }

    /// Is the release older than `version`, written by its own scheme? Unknown counts as no.
    pub fn is_older(&self, release: &str, version: &str) -> bool {
        let Ok(at) = self.find(release) else { return false };
        let node = &self.nodes[at];

        node.scheme.parse(version).is_ok_and(|version| node.version.relation(&version) == Some(Relation::Older))
    }

    /// Releases that are each reached from the one before, the first from the last; none where there is no such circle.
    pub fn circle(&self) -> Option<Vec<String>> {
        (0..self.nodes.len()).find_map(|start| {
            let before = self.search(start);
            let last = self.nodes[start].from.iter().copied().find(|&at| before[at].is_some())?;
            let mut circle = vec![last];
            while let Some(previous) = circle.last().and_then(|&at| before[at]) {
                circle.push(previous);
            }
            Some(circle.into_iter().rev().map(|at| self.nodes[at].name.clone()).collect())
        })
    }

    /// How much the step from one release to another changes; `None` where it is no upgrade.
    pub fn kind(&self, from: &str, to: &str) -> Option<UpgradeKind> {
        match self.version(from)?.step_to(self.version(to)?)? {
            Step::Upgrade(kind) => Some(kind),
            Step::Same | Step::Downgrade | Step::Mixed => None,
        }
    }

    /// The version of a release, where it is one of the graph.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.find(name).ok().map(|at| &self.nodes[at].version)
    }
}

/// Name of the release that a step of a way ends at; none past its end.
pub(crate) fn step_end(way: &[String], step: u32) -> Option<&str> {
    way.get(usize::try_from(step).ok()?).map(String::as_str)
}

/// Name of the release that a step of a way starts from, which itself starts from `from`.
pub(crate) fn came_from<'w>(from: &'w str, way: &'w [String], step: u32) -> &'w str {
    step.checked_sub(1).and_then(|before| step_end(way, before)).unwrap_or(from)
}

/// May an instance go from `other` to `release`?
fn is_reached(release: &Release, version: &Version, other: &Version) -> bool {
    let spec = &release.spec;
    if spec.reachable_from.is_empty() {
        return version.relation(other) == Some(Relation::Newer);
    }
    version != other
        && spec.reachable_from.iter().filter_map(|text| spec.version_scheme.parse(text).ok()).any(|from| from == *other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn release(version: &str, from: &[&str], reversible: Option<bool>) -> Release {
        let mut spec = json!({
            "application": "app", "versionScheme": "MajorMinorRevision", "version": version, "reachableFrom": from,
            "components": [],
        });
        if let Some(reversible) = reversible {
            spec["migration"] = json!({"image": "i", "reversible": reversible});
        }
        let name = version.to_lowercase();
        serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Release",
            "metadata": {"name": name}, "spec": spec}))
        .unwrap()
    }

    /// A minor, its patch, a revision and a major version, reached as an application might say.
    fn example() -> Graph {
        Graph::new(&[
            release("V2.0.00", &["V1.4.01"], Some(false)),
            release("V1.4.00", &[], None),
            release("V1.4.01", &["V1.4.00", "V1.4.00-P01"], None),
            release("V1.4.00-P01", &["V1.4.00"], None),
        ])
    }

    #[test]
    fn the_way_goes_by_the_release_that_the_last_one_asks_for() {
        assert_eq!(example().way("v1.4.00", "v2.0.00").unwrap(), ["v1.4.01", "v2.0.00"]);
        assert_eq!(example().way("v1.4.00-p01", "v2.0.00").unwrap(), ["v1.4.01", "v2.0.00"]);
        assert_eq!(example().way("v1.4.01", "v2.0.00").unwrap(), ["v2.0.00"]);
    }

    #[test]
    fn a_release_that_does_not_say_from_where_is_reached_from_any_older_one() {
        let graph =
            Graph::new(&[release("V1.0.00", &[], None), release("V1.1.00", &[], None), release("V3.0.00", &[], None)]);
        assert_eq!(graph.way("v1.0.00", "v3.0.00").unwrap(), ["v3.0.00"]);
    }

    #[test]
    fn where_there_is_no_way_the_nearest_that_is_reached_is_named() {
        let graph = Graph::new(&[
            release("V1.0.00", &[], None),
            release("V1.1.00", &["V1.0.00"], None),
            release("V1.2.00", &["V1.1.00"], None),
            release("V2.0.00", &["V1.9.00"], None),
            release("V3.0.00", &["V1.2.00"], None),
        ]);
        let error = graph.way("v1.0.00", "v2.0.00").unwrap_err();
        assert!(error.to_string().contains("the nearest that is reached is v1.2.00"), "{error}");
        assert!(matches!(graph.way("v1.0.00", "nothing"), Err(NoWay::Unknown(_))));
    }

    #[test]
    fn a_step_back_is_allowed_unless_it_crosses_a_migration_that_cannot_be_undone() {
        let graph = example();
        assert_eq!(graph.way("v1.4.01", "v1.4.00").unwrap(), ["v1.4.00"]);
        assert!(matches!(graph.way("v2.0.00", "v1.4.01"), Err(NoWay::Irreversible { .. })));
        assert!(matches!(graph.way("v2.0.00", "v1.4.00"), Err(NoWay::Irreversible { .. })));
    }

    #[test]
    fn back_over_several_steps_that_can_all_be_undone_is_one_step() {
        let graph = Graph::new(&[
            release("V1.0.00", &[], None),
            release("V1.1.00", &["V1.0.00"], Some(true)),
            release("V1.2.00", &["V1.1.00"], Some(true)),
            release("V1.3.00", &["V1.2.00"], Some(false)),
            release("V1.4.00", &["V1.3.00"], Some(true)),
        ]);
        assert_eq!(graph.way("v1.2.00", "v1.0.00").unwrap(), ["v1.0.00"]);
        assert_eq!(graph.facts("v1.2.00", "v1.0.00"), StepFacts::default(), "no data is moved");
        assert_eq!(graph.way("v1.4.00", "v1.3.00").unwrap(), ["v1.3.00"]);
        for (from, to) in [("v1.3.00", "v1.2.00"), ("v1.4.00", "v1.0.00"), ("v1.4.00", "v1.2.00")] {
            assert!(matches!(graph.way(from, to), Err(NoWay::Irreversible { .. })), "{from} to {to}");
        }
    }

    #[test]
    fn no_short_cut_leads_back_over_what_cannot_be_undone() {
        let graph = Graph::new(&[
            release("V1.0.00", &[], None),
            release("V1.1.00", &[], Some(false)),
            release("V1.2.00", &[], None),
        ]);
        assert!(matches!(graph.way("v1.1.00", "v1.0.00"), Err(NoWay::Irreversible { .. })));
        assert!(
            matches!(graph.way("v1.2.00", "v1.0.00"), Err(NoWay::Irreversible { .. })),
            "its data may be that of v1.1.00"
        );
        assert_eq!(graph.way("v1.2.00", "v1.1.00").unwrap(), ["v1.1.00"]);
    }

    #[test]
    fn a_release_is_older_by_its_own_scheme() {
        let graph = example();
        assert!(graph.is_older("v1.4.00", "V1.4.01"));
        assert!(!graph.is_older("v1.4.01", "V1.4.01") && !graph.is_older("v2.0.00", "V1.4.01"));
        assert!(!graph.is_older("v1.4.00", "nonsense") && !graph.is_older("nothing", "V1.4.01"));
    }

    #[test]
    fn what_a_step_does_is_told_by_the_release_it_ends_at() {
        assert_eq!(example().facts("v1.4.01", "v2.0.00"), StepFacts { migrates: true, irreversible: true });
        assert_eq!(example().facts("v1.4.00", "v1.4.01"), StepFacts::default());
        assert_eq!(example().facts("v2.0.00", "v1.4.01"), StepFacts::default());
    }

    #[test]
    fn of_two_ways_as_short_the_one_by_newer_releases_is_taken() {
        let graph = Graph::new(&[
            release("V1.0.00", &[], None),
            release("V1.1.00", &["V1.0.00"], None),
            release("V1.2.00", &["V1.0.00"], None),
            release("V2.0.00", &["V1.1.00", "V1.2.00"], None),
        ]);
        assert_eq!(graph.way("v1.0.00", "v2.0.00").unwrap(), ["v1.2.00", "v2.0.00"]);
    }

    #[test]
    fn a_circle_is_found_and_named() {
        assert_eq!(example().circle(), None);
        let graph = Graph::new(&[release("V1.0.00", &["V1.1.00"], None), release("V1.1.00", &["V1.0.00"], None)]);
        assert_eq!(graph.circle().unwrap(), ["v1.0.00", "v1.1.00"]);
    }

    proptest! {
        /// Random graphs of up to seven releases: what is found is a way, and no shorter one exists (by trying all).
        #[test]
        fn the_way_found_is_allowed_and_none_is_shorter(edges in proptest::collection::vec((0usize..7, 0usize..7), 0..14)) {
            let version = |at: usize| format!("V1.{at}.00");
            let releases: Vec<_> = (0..7)
                .map(|to| {
                    let mut from: Vec<_> = edges.iter().filter(|(_, end)| *end == to).map(|(from, _)| version(*from)).collect();
                    from.push("V0.0.00".to_owned());
                    release(&version(to), &from.iter().map(String::as_str).collect::<Vec<_>>(), Some(false))
                })
                .collect();
            let graph = Graph::new(&releases);
            let name = |at: usize| version(at).to_lowercase();
            let mut distance = [[usize::MAX; 7]; 7];
            for (from, to) in &edges {
                if from != to {
                    distance[*from][*to] = 1;
                }
            }
            for by in 0..7 { for a in 0..7 { for b in 0..7 {
                distance[a][b] = distance[a][b].min(distance[a][by].saturating_add(distance[by][b]));
            } } }
            for (from, ends) in distance.iter().enumerate() {
                for (to, &shortest) in ends.iter().enumerate().filter(|(to, _)| *to != from) {
                    let Ok(way) = graph.way(&name(from), &name(to)) else {
                        prop_assert_eq!(shortest, usize::MAX);
                        continue;
                    };
                    prop_assert_eq!(way.len(), shortest);
                    let all: Vec<_> = std::iter::once(name(from)).chain(way).collect();
                    for pair in all.windows(2) {
                        prop_assert!(edges.iter().any(|(a, b)| name(*a) == pair[0] && name(*b) == pair[1]));
                    }
                }
            }
            prop_assert_eq!(graph.circle().is_some(), (0..7).any(|at| distance[at][at] != usize::MAX));
        }
    }
}
