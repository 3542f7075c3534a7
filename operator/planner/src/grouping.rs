//! Through which grouping does an establishment join an application, and whom does an instance serve?

use crate::plan::Refusal;
use gotocloud_api::{
    Establishment,
    conditions::Reason,
    establishment::{Grouping, GroupingInstances},
};

/// The longest value of a label.
const LABEL_VALUE_MAX: usize = 63;

/// The establishment's place among the groupings of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Name of the grouping it joins, or is.
    pub grouping: Option<String>,
    /// Names of the members its instance serves; empty where it serves the establishment alone.
    pub members: Vec<String>,
}

/// The groupings among `all` that list `establishment` as a member, whatever the application.
pub fn groupings_of<'a>(
    establishment: &str,
    all: impl IntoIterator<Item = &'a Establishment>,
) -> Vec<&'a Establishment> {
    all.into_iter().filter(|one| lists(one, establishment)).collect()
}

/// Is `one` a grouping that lists `establishment` as a member? One that lists itself says nothing by it.
pub fn lists(one: &Establishment, establishment: &str) -> bool {
    let is_listed = |grouping: &Grouping| grouping.members.iter().any(|member| member.name == establishment);

    grouping_name(one) != establishment && one.spec.grouping.as_ref().is_some_and(is_listed)
}

/// Where `establishment` stands for `application`, given the groupings that list it: in at most one.
pub fn membership(
    establishment: &Establishment,
    application: &str,
    groupings: &[&Establishment],
) -> Result<Membership, Refusal> {
    let name = grouping_name(establishment);
    let mut joined: Vec<&Establishment> = groupings.iter().copied().filter(|one| serves(one, application)).collect();
    joined.sort_unstable_by_key(|one| grouping_name(one));
    let conflict = |message: String| Err(Refusal::new(Reason::MembershipConflict, message));

    if let [first, second, ..] = joined[..] {
        return conflict(format!(
            "{name} is in two groupings for {application}, {} and {}: take it out of one of them (spec.grouping.members)",
            grouping_name(first),
            grouping_name(second)
        ));
    }

    let joined = joined.first().copied();
    if let Some(shared) = joined.filter(|one| instances(one) == Some(GroupingInstances::Shared)) {
        let shared = grouping_name(shared);
        return conflict(format!(
            "{name} shares the instance of {application} of the grouping {shared}: make the Instance for {shared}"
        ));
    }

    let own = establishment.spec.grouping.as_ref().filter(|_| serves(establishment, application));
    if own.is_some_and(|own| own.instances == GroupingInstances::PerMember) {
        return conflict(format!(
            "each member of {name} has its own instance of {application}: make an Instance for each member"
        ));
    }

    let grouping = joined.or(own.map(|_| establishment)).map(grouping_name);
    if let Some(grouping) = grouping.filter(|grouping| grouping.len() > LABEL_VALUE_MAX) {
        return Err(Refusal::new(
            Reason::NameTooLong,
            format!(
                "the name of the grouping {grouping} is no value for a label, which takes {LABEL_VALUE_MAX} characters: make \
                 the grouping anew with a shorter name"
            ),
        ));
    }

    let members = own.into_iter().flat_map(|own| &own.members).map(|member| member.name.clone()).collect();
    Ok(Membership { grouping: grouping.map(str::to_owned), members })
}

/// Names of those who share an establishment's instance of `application`: the members of a grouping that has one for all.
pub fn sharers<'e>(establishment: &'e Establishment, application: &str) -> impl Iterator<Item = &'e str> {
    let is_shared = serves(establishment, application) && instances(establishment) == Some(GroupingInstances::Shared);
    let grouping = establishment.spec.grouping.as_ref().filter(|_| is_shared);

    grouping.into_iter().flat_map(|grouping| &grouping.members).map(|member| member.name.as_str())
}

fn serves(establishment: &Establishment, application: &str) -> bool {
    let grouping = establishment.spec.grouping.as_ref();
    grouping.is_some_and(|grouping| grouping.applications.iter().any(|name| name == application))
}

fn instances(establishment: &Establishment) -> Option<GroupingInstances> {
    establishment.spec.grouping.as_ref().map(|grouping| grouping.instances)
}

fn grouping_name(establishment: &Establishment) -> &str {
    establishment.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn establishment(name: &str, grouping: &serde_json::Value) -> Establishment {
        serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Establishment",
            "metadata": {"name": name}, "spec": {"displayName": name, "grouping": grouping}}))
        .unwrap()
    }

    fn a_grouping(name: &str, instances: &str, members: &[&str]) -> Establishment {
        let members: Vec<_> = members.iter().map(|name| json!({"name": name})).collect();
        establishment(name, &json!({"applications": ["app"], "instances": instances, "members": members}))
    }

    fn alone(name: &str) -> Establishment {
        establishment(name, &json!(null))
    }

    #[test]
    fn an_establishment_in_no_grouping_stands_for_itself() {
        assert_eq!(membership(&alone("a"), "app", &[]), Ok(Membership::default()));
    }

    #[test]
    fn a_member_with_its_own_instance_is_labelled_with_its_grouping() {
        let outer = a_grouping("unir", "PerMember", &["a", "b"]);
        let found = membership(&alone("a"), "app", &[&outer]).unwrap();
        assert_eq!(found, Membership { grouping: Some("unir".into()), members: vec![] });
    }

    #[test]
    fn only_the_members_of_a_grouping_with_one_instance_share_it() {
        let of = |instances: &str, application: &str| {
            let grouping = a_grouping("g", instances, &["x", "y"]);
            sharers(&grouping, application).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of("Shared", "app"), ["x", "y"]);
        assert_eq!((of("PerMember", "app").len(), of("Shared", "another").len()), (0, 0));
        assert_eq!(sharers(&alone("x"), "app").count(), 0);
    }

    #[test]
    fn a_shared_grouping_serves_its_members() {
        let schools = a_grouping("schools", "Shared", &["x", "y"]);
        let found = membership(&schools, "app", &[]).unwrap();
        assert_eq!(found.members, ["x", "y"]);
        assert_eq!(found.grouping.as_deref(), Some("schools"));
    }

    #[test]
    fn two_groupings_for_one_application_are_refused() {
        let (one, two) = (a_grouping("one", "PerMember", &["a"]), a_grouping("two", "PerMember", &["a"]));
        let refusal = membership(&alone("a"), "app", &[&two, &one]).unwrap_err();
        assert_eq!(refusal.reason, Reason::MembershipConflict);
        assert!(refusal.message.contains("one and two"), "{refusal}");
    }

    #[test]
    fn two_groupings_for_two_applications_are_fine() {
        let (one, mut two) = (a_grouping("one", "PerMember", &["a"]), a_grouping("two", "PerMember", &["a"]));
        two.spec.grouping.as_mut().unwrap().applications = vec!["other".into()];
        assert!(membership(&alone("a"), "app", &[&one, &two]).is_ok());
    }

    #[test]
    fn a_member_of_a_shared_grouping_has_no_instance_of_its_own() {
        let shared = a_grouping("schools", "Shared", &["a"]);
        let refusal = membership(&alone("a"), "app", &[&shared]).unwrap_err();
        assert!(refusal.message.contains("make the Instance for schools"), "{refusal}");
    }

    #[test]
    fn a_grouping_whose_members_have_their_own_has_none() {
        assert!(membership(&a_grouping("unir", "PerMember", &["a"]), "app", &[]).is_err());
    }
}
