//! Mistakes that somebody could make, planted to show that each is found.

use crate::laws::{self, campaigns};
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
    /// A process does not ask whether it still holds the Lease.
    AsksNoGuard,
    /// A campaign's status names no version: it is written over whatever is there.
    TellsOverWhatever,
    /// A campaign takes by force what a person set.
    TakesPinned,
    /// What a campaign writes into an Instance names no version.
    NamesNoTarget,
    /// Who began an Instance is not looked at.
    SeesNoClaims,
    /// A campaign that a person holds is taken for one that goes on.
    SeesNoPause,
    /// By when a campaign is to be done is not looked at.
    SeesNoDay,
    /// The windows of establishments are not looked at.
    SeesNoWindows,
    /// Campaigns are looked at only if something happens, not when a window opens: a state without exit.
    IsNeverWoken,
    /// That a wave begins is taken for recorded, and is not.
    RecordsNoWave,
    /// Who goes back is held.
    HoldsWhatGoesBack,
    /// What gates say is not looked at.
    SeesNoGates,
    /// A gate that cannot be told is taken for true.
    TakesUnknownForTrue,
    /// What a way is made of is looked up in today's catalogue instead of in its record.
    LooksFactsUp,
}

impl Fault {
    /// Those that the default run is known to find, with the law that each breaks.
    pub const FOUND: [(Self, &'static str); 22] = [
        (Self::ActsOnAStaleView, laws::FORWARD),
        (Self::NamesNoVersion, laws::NAMED),
        (Self::ActsBeforeItRecords, laws::RECORDED),
        (Self::RemovesWhatAPhaseOwns, laws::OWNED),
        (Self::NeverLetsGo, laws::GONE),
        (Self::TakesPodsForGone, laws::QUIET),
        (Self::MakesPasswordsAnew, laws::SECRET),
        (Self::RemovesData, laws::KEPT),
        (Self::LooksFactsUp, laws::SUITS),
        (Self::AsksNoGuard, laws::LEASE),
        (Self::TellsOverWhatever, laws::NAMED),
        (Self::NamesNoTarget, laws::NAMED),
        (Self::TakesPinned, campaigns::PINNED),
        (Self::SeesNoClaims, campaigns::LIMITS),
        (Self::SeesNoPause, campaigns::HELD),
        (Self::SeesNoDay, campaigns::LATE),
        (Self::SeesNoWindows, campaigns::WINDOWS),
        (Self::IsNeverWoken, laws::WEDGE),
        (Self::RecordsNoWave, campaigns::ORDER),
        (Self::HoldsWhatGoesBack, campaigns::BACK),
        (Self::SeesNoGates, laws::GATES),
        (Self::TakesUnknownForTrue, laws::GATES),
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
