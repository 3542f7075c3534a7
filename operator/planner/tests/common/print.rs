//! How are states told apart?

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// A number for anything that can be hashed.
pub fn print_of(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
