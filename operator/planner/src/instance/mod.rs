//! What is to be done about one Instance, and how does it stand?

mod conditions;
mod deletion;
mod planning;
mod report;

pub use planning::{namespace_holder, plan};
pub use report::{Event, Failure, Outcome, Report, report};
