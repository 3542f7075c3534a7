//! What is to be done about one Instance, and how does it stand?

mod conditions;
mod deletion;
mod events;
mod on_the_way;
mod pinning;
mod planning;
mod rehearsing;
mod report;
mod standing;
mod steps;
mod upgrading;

pub use events::Event;
pub use on_the_way::attested_from;
pub(crate) use planning::own_labels;
pub use planning::{namespace_holder, plan};
pub use report::{Failure, Outcome, Report, patience, report};
pub use standing::told_lost_credentials;
pub use steps::kept_credentials;
