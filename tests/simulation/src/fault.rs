//! Mistakes that somebody could make, planted to show that each is found.

use crate::laws::Law;
use gotocloud_api::upgrade::UpgradePhase;
use gotocloud_planner::{Kind, ObjectKey, Snapshot, Step};

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
    /// No deadline is ever over: a state without exit.
    ForgetsDeadlines,
    /// A finalizer is never taken off: a claim that is never released.
    NeverLetsGo,
    /// Pods that still run are taken for gone.
    TakesPodsForGone,
    /// An object is applied to without a look at whose it is.
    TakesWhatIsThere,
    /// A password is made anew though there is one.
    MakesPasswordsAnew,
    /// The status is another each time.
    TellsAgain,
    /// What was made once and is gone is not made anew.
    MendsNothing,
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
    /// A migration that failed is made anew, as if it had not begun.
    MigratesAgain,
    /// A migration that broke off is taken for one that a person lets go on.
    GoesOnUnasked,
    /// Pods are taken for ready.
    SeesNoHealth,
    /// Why something is not as asked is not told.
    SaysNoReason,
    /// What a way is made of is looked up in today's catalogue instead of in its record.
    LooksFactsUp,
}

impl Fault {
    /// Those that the default run is known to find, with the law that each breaks.
    pub const FOUND: [(Self, Law); 30] = [
        (Self::ActsOnAStaleView, Law::Forward),
        (Self::NamesNoVersion, Law::Named),
        (Self::ActsBeforeItRecords, Law::Recorded),
        (Self::RemovesWhatAPhaseOwns, Law::Owned),
        (Self::NeverLetsGo, Law::Gone),
        (Self::TakesPodsForGone, Law::Quiet),
        (Self::MakesPasswordsAnew, Law::Secret),
        (Self::RemovesData, Law::Kept),
        (Self::LooksFactsUp, Law::Suits),
        (Self::AsksNoGuard, Law::Lease),
        (Self::TellsOverWhatever, Law::Named),
        (Self::NamesNoTarget, Law::Named),
        (Self::TakesPinned, Law::Pinned),
        (Self::SeesNoClaims, Law::Limits),
        (Self::SeesNoPause, Law::Held),
        (Self::SeesNoDay, Law::Late),
        (Self::SeesNoWindows, Law::Windows),
        (Self::IsNeverWoken, Law::Wedge),
        (Self::RecordsNoWave, Law::Order),
        (Self::HoldsWhatGoesBack, Law::Back),
        (Self::SeesNoGates, Law::Gates),
        (Self::TakesUnknownForTrue, Law::Gates),
        (Self::MigratesAgain, Law::Once),
        (Self::GoesOnUnasked, Law::Half),
        (Self::TakesWhatIsThere, Law::Foreign),
        (Self::ForgetsDeadlines, Law::Exit),
        (Self::SaysNoReason, Law::Said),
        (Self::MendsNothing, Law::True),
        (Self::SeesNoHealth, Law::Left),
        (Self::TellsAgain, Law::Silent),
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
            Self::MendsNothing => {
                let inventory = snapshot.instance.status.as_ref().and_then(|status| status.inventory.as_ref());
                let made: Vec<ObjectKey> =
                    inventory.iter().flat_map(|all| &all.entries).filter_map(ObjectKey::from_entry).collect();
                let is_there = |key: &ObjectKey| snapshot.children.iter().any(|child| child.key == *key);
                steps.retain(|step| match step {
                    Step::Apply { object, .. } => is_there(&object.key) || !made.contains(&object.key),
                    _ => true,
                });
            }
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
