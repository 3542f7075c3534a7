//! How does a model checker go through all states, and tell which laws do not hold?

use stateright::{Checker as _, HasDiscoveries, Model};
use std::{fmt::Debug, hash::Hash, time::Instant};

/// How many states there are, and the laws that do not hold.
pub type Found = (usize, Vec<&'static str>);

/// Goes through all states, or until the law `until` is seen to be broken. `reached` is what has to be so in one state at
/// least, where all are gone through; `sizes` tells what else is known of the model then.
pub fn explore<M>(
    name: &str,
    model: M,
    until: Option<&'static str>,
    reached: Option<&'static str>,
    sizes: impl FnOnce(&M) -> String,
) -> Found
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let begun = Instant::now();
    let enough = until.map_or(HasDiscoveries::All, |law| HasDiscoveries::AnyOf([law].into()));
    let checker = model.checker().threads(2).finish_when(enough).spawn_bfs().join();

    let states = checker.unique_state_count();
    let found = checker.discoveries();
    let mut broken: Vec<_> = found.keys().copied().filter(|law| Some(*law) != reached).collect();
    broken.extend(reached.filter(|law| until.is_none() && !found.contains_key(law)));

    let sizes = sizes(checker.model());
    println!("{name}: {states} states in {:.1?}, {sizes}broken: {broken:?}", begun.elapsed());
    for (law, path) in found.into_iter().filter(|(law, _)| broken.contains(law)) {
        let events: Vec<String> = path.into_actions().iter().map(|event| format!("{event:?}")).collect();
        println!("  {law}: {}", events.join(", "));
    }

    (states, broken)
}

/// Every law holds, in so many states at least.
pub fn all_holds((states, broken): Found, at_least: usize) {
    assert_eq!(broken, Vec::<&str>::new());
    assert!(states >= at_least, "only {states} states: the model has become too small");
}
