//! What does a list give, and what does a watch tell of what changes after it?

use super::{Change, Ref, Server, Stored};
use serde_json::Value;
use std::rc::Rc;

/// Which objects of a kind a list gives and a watch follows.
#[derive(Clone, Copy, Debug)]
pub enum Selector {
    /// All of them.
    All,
    /// Those that bear the label, with that value.
    Label(&'static str, &'static str),
}

impl Selector {
    fn takes(self, stored: &Stored) -> bool {
        match self {
            Self::All => true,
            Self::Label(name, value) => stored.label(name) == Some(value),
        }
    }
}

/// What a watch tells. That an object is new, or new to a selector, it tells like any change of it: so does the client of
/// the operator.
#[derive(Clone, Debug)]
pub enum Told {
    /// An object is as this.
    Is(Ref, Rc<Stored>),
    /// An object is gone, or no longer what the selector takes; it was this, and its version is that of its end.
    Gone(Ref, Rc<Stored>),
    /// All objects of the kind.
    All(Vec<(Ref, Rc<Stored>)>),
}

impl Server {
    /// What a new watch of a kind lists.
    pub fn listed(&self, kind: &'static str, selector: Selector) -> Told {
        let taken = self.list(kind).filter(|(_, stored)| selector.takes(stored));
        Told::All(taken.map(|(at, stored)| (at.clone(), Rc::clone(stored))).collect())
    }
}

impl Change {
    /// What a watch of its kind tells of it.
    pub fn told(&self, selector: Selector) -> Option<Told> {
        let is_taken = |stored: &&Rc<Stored>| selector.takes(stored);
        let before = self.before.as_ref().filter(is_taken);
        let after = self.after.as_ref().filter(is_taken);

        match (before, after) {
            (_, Some(after)) => Some(Told::Is(self.at.clone(), Rc::clone(after))),
            // Of one that lost its label, too, a watch shows what it was.
            (Some(before), None) => Some(Told::Gone(self.at.clone(), Rc::new(self.ended(before)))),
            (None, None) => None,
        }
    }

    fn ended(&self, before: &Stored) -> Stored {
        let mut last = Stored { version: self.version, ..before.clone() };
        last.object["metadata"]["resourceVersion"] = Value::from(self.version.to_string());
        last
    }
}
