//! Which of the optional APIs does the cluster serve?

use gotocloud_planner::Kind;
use kube::Client;
use std::collections::BTreeSet;

/// The kinds the cluster serves: the built-in ones, and those optional ones its discovery lists. Where it does not
/// answer for a kind, what was known `before` holds: silence is not absence.
pub async fn served(client: &Client, before: &BTreeSet<Kind>) -> BTreeSet<Kind> {
    let mut served: BTreeSet<Kind> = Kind::ALL.into_iter().filter(|kind| !kind.is_optional()).collect();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_optional()) {
        let is_served = match client.list_api_group_resources(&kind.api_version()).await {
            Ok(list) => list.resources.iter().any(|resource| resource.name == kind.plural()),
            Err(kube::Error::Api(status)) if status.code == 404 => false,
            Err(error) => {
                tracing::warn!(%kind, %error, "discovery did not answer; what was known of it holds");
                before.contains(&kind)
            }
        };
        if is_served {
            served.insert(kind);
        }
    }
    served
}
