//! What does a campaign do next?
//!
//! ```text
//!  Instances ──▶ standing ──▶ Board ──▶ decide ──▶ Moves { start a wave, begin targets, withdraw targets, look again at }
//!                (each one)   (counted,    │
//!                              by wave)    └──▶ report   the Campaign's status
//! ```
//!
//! A campaign keeps nothing to itself that its targets do not know: where a target is, is read from the target. Its own
//! status holds when each wave began, so that nobody who joins late makes the fleet begin anew. A [`board::Board`] is a
//! fold over the targets, kept up one change at a time, so that a decision costs what runs and not what there is.
//!
//! | question | where |
//! | --- | --- |
//! | Which wave is a target in? | `members.rs` |
//! | Which campaigns hold what they have begun? | `claims.rs` |
//! | Where does a target stand? | `standing.rs` |
//! | How many at once, how many failures? | `limits.rs` |
//! | May a wave begin, is it done? | `waves.rs` |
//! | Who has approved it? | `approvals.rs` |
//! | Which targets begin now? | `decide.rs` |
//! | What is written into a target? | `bodies.rs` |
//! | What is wrong with it as it is written? | `findings.rs` |
//! | What is known of all of them? | `view.rs` |
//! | What follows from what happens, over all campaigns? | `engine.rs` |
//! | What does its status say? | `report.rs` |

pub mod approvals;
pub mod board;
pub mod bodies;
pub mod calendars;
pub mod claims;
pub mod decide;
pub mod engine;
pub mod findings;
pub mod gates;
pub mod limits;
pub mod members;
pub mod ownership;
pub mod preflight;
pub mod report;
pub mod standing;
pub mod targets;
pub mod terms;
pub mod view;
pub mod waves;

pub use board::{Board, Lane, Places, Progress, Rehearsing, Target};
pub use decide::{Admission, Moves, Opening, decide};
pub use engine::Engine;
pub use standing::Standing;
pub use view::{Objects, View};

/// The field manager of what a campaign writes into Instances. It never forces: what a person set, stays.
pub const FIELD_MANAGER: &str = "gotocloud-campaign";
