//! Mistakes that somebody could make, planted to show that each is found.

use crate::laws;
use gotocloud_api::upgrade::UpgradePhase;
use gotocloud_planner::{Kind, Snapshot, Step};

/// A mistake of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What this process wrote is forgotten, and an older view is acted upon.
    ActsOnAStaleView,
    /// A record names no version: it is written over whatever is there.
    NamesNoVersion,
    /// What a record asks for is made before the record is written.
    ActsBeforeItRecords,
    /// What was not rendered in this pass is removed, also what a phase owns.
    RemovesWhatAPhaseOwns,
    /// No deadline wakes anybody: a state without exit.
    ForgetsDeadlines,
    /// A finalizer is never taken off: a claim that is never released.
    NeverLetsGo,
    /// Pods that still run are taken for gone.
    TakesPodsForGone,
    /// An object is applied to without a look at whose it is.
    TakesWhatIsThere,
    /// A password is made anew though there is one.
    MakesPasswordsAnew,
    /// A step that fails is not told.
    HidesFailures,
    /// The status is another each time.
    TellsAgain,
    /// What is deleted while a watch is broken is never missed.
    ForgetsWhatAListLacks,
    /// Data is removed with the workload.
    RemovesData,
}

impl Fault {
    /// Those that the default run is known to find, with the law that each breaks.
    pub const FOUND: [(Self, &'static str); 8] = [
        (Self::ActsOnAStaleView, laws::FORWARD),
        (Self::NamesNoVersion, laws::NAMED),
        (Self::ActsBeforeItRecords, laws::RECORDED),
        (Self::RemovesWhatAPhaseOwns, laws::OWNED),
        (Self::NeverLetsGo, laws::GONE),
        (Self::TakesPodsForGone, laws::QUIET),
        (Self::MakesPasswordsAnew, laws::SECRET),
        (Self::RemovesData, laws::KEPT),
    ];

    /// Puts the mistake into what is about to be carried out.
    pub(crate) fn distort(self, steps: &mut Vec<Step>, snapshot: &Snapshot<'_>) {
        let is_deleted = snapshot.instance.metadata.deletion_timestamp.is_some();
        let upgrade = snapshot.instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
        match self {
            Self::RemovesWhatAPhaseOwns if upgrade.is_some_and(|one| one.phase == UpgradePhase::Migrate) => {
                let jobs = snapshot.children.iter().filter(|child| child.key.kind == Kind::Job);
                steps.extend(jobs.map(|job| Step::Remove(job.key.clone())));
            }
            Self::NeverLetsGo => steps.retain(|step| !matches!(step, Step::Release)),
            Self::RemovesData if is_deleted => {
                let clusters = snapshot.children.iter().filter(|child| child.key.kind == Kind::Cluster);
                let mut removals: Vec<_> = clusters.map(|one| Step::Remove(one.key.clone())).collect();
                removals.append(steps);
                *steps = removals;
            }
            _ => {}
        }
    }
}
