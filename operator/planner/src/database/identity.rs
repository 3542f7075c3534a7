//! For whom is a database, as a comment on the server tells it?

use crate::{inputs::full_name, snapshot::OperatorIdentity};
use gotocloud_api::Instance;
use serde::Serialize;

/// What every mark begins with; the number is that of its form.
const BEGINNING: &str = "Go-to-Cloud 1:";
/// What the marks of older operators begin with: they name the Instance and nothing else.
const OLDER_BEGINNING: &str = "Go-to-Cloud instance ";
/// Longest part of a foreign comment that is shown.
const SHOWN: usize = 300;

/// For whom a database is. Compared as a whole: who differs in one of these is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The installation: the lasting id of the cluster the operator's resources live in.
    pub installation: String,
    /// Name of the application.
    pub application: String,
    /// Name of the establishment.
    pub establishment: String,
    /// The environment.
    pub environment: String,
    /// The Instance, as `NAMESPACE/NAME`.
    pub instance: String,
}

impl Identity {
    /// For whom the database of `instance` is.
    pub fn of(instance: &Instance, operator: &OperatorIdentity) -> Self {
        Self {
            installation: operator.installation.clone(),
            application: instance.spec.application.clone(),
            establishment: instance.spec.establishment.clone(),
            environment: format!("{:?}", instance.spec.environment),
            instance: full_name(instance),
        }
    }

    /// The comment that role and database bear.
    pub fn mark(&self) -> String {
        let Self { installation, application, establishment, environment, instance } = self;
        format!(
            "{BEGINNING} installation={installation} application={application} establishment={establishment} \
             environment={environment} instance={instance}"
        )
    }
}

/// Whose a role or a database is, by its comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It bears the mark.
    Own,
    /// It bears the mark by which an older operator called an Instance of the same namespace and name its owner. Which
    /// installation that was, and for whom, it does not tell.
    Older,
    /// It bears another mark or comment: what it says, fit to be shown.
    Foreign(String),
    /// It bears no comment.
    Unmarked,
}

/// Whose is what bears that comment?
pub fn whose(comment: Option<&str>, identity: &Identity) -> Whose {
    match comment {
        None => Whose::Unmarked,
        Some(comment) if comment == identity.mark() => Whose::Own,
        Some(comment) if comment.strip_prefix(OLDER_BEGINNING) == Some(&identity.instance) => Whose::Older,
        Some(comment) => {
            Whose::Foreign(comment.chars().filter(|character| !character.is_control()).take(SHOWN).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            installation: "uid-1".into(),
            application: "app".into(),
            establishment: "etab".into(),
            environment: "Production".into(),
            instance: "hub/app-a".into(),
        }
    }

    fn by(comment: &str) -> Whose {
        whose(Some(comment), &identity())
    }

    #[test]
    fn a_mark_reads_as_it_is_written_down_in_the_runbook() {
        let mark = "Go-to-Cloud 1: installation=uid-1 application=app establishment=etab environment=Production \
                    instance=hub/app-a";
        assert_eq!(identity().mark(), mark);
    }

    #[test]
    fn its_own_mark_is_its_own() {
        assert_eq!(by(&identity().mark()), Whose::Own);
    }

    #[test]
    fn one_that_differs_in_any_part_is_somebody_elses() {
        let other = || "other".to_owned();
        for different in [
            Identity { installation: other(), ..identity() },
            Identity { application: other(), ..identity() },
            Identity { establishment: other(), ..identity() },
            Identity { environment: other(), ..identity() },
            Identity { instance: "other/app-a".into(), ..identity() },
        ] {
            assert_eq!(by(&different.mark()), Whose::Foreign(different.mark()));
        }
    }

    #[test]
    fn the_mark_of_an_older_operator_is_told_from_both() {
        assert_eq!(by("Go-to-Cloud instance hub/app-a"), Whose::Older);
    }

    #[test]
    fn the_older_mark_of_another_instance_is_foreign() {
        assert!(matches!(by("Go-to-Cloud instance hub/app-b"), Whose::Foreign(_)));
    }

    #[test]
    fn no_comment_is_no_mark() {
        assert_eq!(whose(None, &identity()), Whose::Unmarked);
    }

    #[test]
    fn a_foreign_comment_is_shown_without_control_characters_and_cut() {
        let Whose::Foreign(shown) = by(&format!("\u{1b}[31m{}", "x".repeat(5000))) else { panic!("not foreign") };
        assert!(shown.starts_with("[31mx") && shown.len() == SHOWN);
    }
}
