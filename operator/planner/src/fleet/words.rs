//! Does a person's word to a campaign, a Deferral or an Approval, come to anything?

use super::{
    Known, condition,
    names::{ESTABLISHMENT, Unknown, not_there},
};
use gotocloud_api::{
    Approval, ApprovalStatus, Campaign, Deferral, DeferralStatus, Release,
    conditions::{Condition, ConditionType, Reason},
};
use jiff::Timestamp;

/// Why a word does not count.
enum Void {
    /// It waits for a campaign that may come yet.
    Early(Unknown),
    /// It never counts as it is written.
    Wrong(Unknown),
}

impl Void {
    fn wrong(reason: Reason, message: String) -> Self {
        Self::Wrong(Unknown { reason, message })
    }
}

/// What a Deferral has to tell: whether it can count.
pub fn deferral(deferral: &Deferral, known: &Known<'_>, now: Timestamp) -> DeferralStatus {
    let before = deferral.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = deferral.metadata.generation;
    let counts = "it counts for what the campaign has not begun, from the start of its wave on";
    let conditions = conditions(deferral_counts(deferral, known), counts, before, generation, now);
    DeferralStatus { observed_generation: generation, conditions }
}

fn deferral_counts(deferral: &Deferral, known: &Known<'_>) -> Result<(), Void> {
    let spec = &deferral.spec;
    let Some(establishment) = known.establishments.get(spec.establishment.as_str()) else {
        return Err(Void::Wrong(not_there(ESTABLISHMENT, "spec.establishment", &spec.establishment)));
    };

    let here = deferral.metadata.namespace.as_deref().unwrap_or_default();
    match establishment.spec.namespace.as_deref() {
        Some(own) if own == here => {}
        Some(own) => {
            let name = &spec.establishment;
            let message =
                format!("{name} is deferred only from its own namespace {own}, not from {here}: write it there");
            return Err(Void::wrong(Reason::NamespaceMismatch, message));
        }
        None => {
            let name = &spec.establishment;
            let message =
                format!("{name} has no namespace to be deferred from: set spec.namespace of the Establishment");
            return Err(Void::wrong(Reason::NamespaceMismatch, message));
        }
    }

    let campaign = campaign(&spec.campaign, "correct spec.campaign", known)?;
    if campaign.spec.max_deferral_days == 0 {
        let message =
            format!("the Campaign {} allows none: set its spec.maxDeferralDays, or delete this", spec.campaign);
        return Err(Void::wrong(Reason::DeferralNotAllowed, message));
    }
    if let Some(release) = release(campaign, known).filter(|release| release.spec.security) {
        let message = format!(
            "the Campaign {} brings {}, which mends a vulnerability and is not deferred: delete this",
            spec.campaign, release.spec.version
        );
        return Err(Void::wrong(Reason::DeferralNotAllowed, message));
    }
    Ok(())
}

/// What an Approval has to tell: whether it counts.
pub fn approval(approval: &Approval, known: &Known<'_>, now: Timestamp) -> ApprovalStatus {
    let before = approval.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = approval.metadata.generation;
    let conditions = conditions(approval_counts(approval, known), "it counts", before, generation, now);
    ApprovalStatus { observed_generation: generation, conditions }
}

fn approval_counts(approval: &Approval, known: &Known<'_>) -> Result<(), Void> {
    let spec = &approval.spec;
    let campaign = campaign(&spec.campaign, "delete this and make another", known)?;
    if spec.campaign_uid.is_some() && spec.campaign_uid != campaign.metadata.uid {
        let name = &spec.campaign;
        let message = format!("it is for another Campaign called {name}, made before: delete this and make another");
        return Err(Void::wrong(Reason::CampaignNotFound, message));
    }

    let Some(wave) = &spec.wave else { return Ok(()) };
    if campaign.spec.waves.iter().any(|one| one.name == *wave) {
        return Ok(());
    }
    let message = format!(
        "the Campaign {} has no wave called {wave}: delete this and make another, or name a wave of it so",
        spec.campaign
    );
    Err(Void::wrong(Reason::WaveNotFound, message))
}

fn release<'a>(campaign: &Campaign, known: &Known<'a>) -> Option<&'a Release> {
    let upgrade = campaign.spec.upgrade.as_ref().map(|one| &one.release);
    let name = upgrade.or(campaign.spec.provision.as_ref().map(|one| &one.release))?;
    known.releases.get(name.as_str()).copied()
}

/// The campaign of that name, and what to do if there will be none.
fn campaign<'a>(name: &str, remedy: &str, known: &Known<'a>) -> Result<&'a Campaign, Void> {
    known.campaigns.get(name).copied().ok_or_else(|| {
        let message = format!("there is no Campaign called {name}: it counts once there is, or {remedy}");
        Void::Early(Unknown { reason: Reason::CampaignNotFound, message })
    })
}

/// `Ready` says whether it counts; `Stalled`, that it never will as it is written.
fn conditions(
    verdict: Result<(), Void>,
    counts: &str,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let made = |kind: ConditionType, status: &str, reason: Reason, message: &str| {
        condition(kind, status, reason, message, before, generation, now)
    };
    match verdict {
        Ok(()) => vec![made(ConditionType::Ready, "True", Reason::AsDesired, counts)],
        Err(Void::Early(why)) => vec![made(ConditionType::Ready, "False", why.reason, &why.message)],
        Err(Void::Wrong(why)) => vec![
            made(ConditionType::Ready, "False", why.reason, &why.message),
            made(ConditionType::Stalled, "True", why.reason, &why.message),
        ],
    }
}
