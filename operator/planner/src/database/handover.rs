//! By which statements does a person hand a foreign database over?

use super::{Facts, Whose, literal, quoted, whose};
use crate::plan::{DatabaseRequest, Refusal};
use gotocloud_api::conditions::Reason;

/// Why the database is not taken, and how it is handed over.
pub(super) fn refusal(request: &DatabaseRequest, facts: &Facts) -> Refusal {
    let name = &request.name;
    if *name == facts.administrator {
        return Refusal::new(
            Reason::DatabaseRefused,
            format!(
                "{name} is the role that the operator administers {}:{} as, so no database is called so: make an \
                 Instance with another name",
                request.host, request.port
            ),
        );
    }
    Refusal::new(
        Reason::DatabaseRefused,
        format!(
            "on {}:{} {}, so nothing there is touched: give the Instance another name, or, if that is its data, hand it \
             over on the server by: {}",
            request.host,
            request.port,
            found(request, facts).join(", and "),
            statements(request, facts).join("; ")
        ),
    )
}

/// What is somebody else's, each as a clause.
pub(super) fn found(request: &DatabaseRequest, facts: &Facts) -> Vec<String> {
    let name = &request.name;
    let mut found = Vec::new();

    if let Some(role) = &facts.role {
        found.extend(match whose(role.comment.as_deref(), &request.identity) {
            Whose::Own => None,
            Whose::Unmarked => Some(format!("the role {name} was not made for this Instance: it has no comment")),
            Whose::Older => marked_by_an_older_operator(request, "role"),
            Whose::Foreign(comment) => {
                Some(format!("the role {name} was not made for this Instance: its comment is \"{comment}\""))
            }
        });
    }

    if let Some(database) = &facts.database {
        if database.owner != *name {
            found.push(format!("the database {name} belongs to the role {}", database.owner));
        }
        found.extend(match whose(database.comment.as_deref(), &request.identity) {
            Whose::Own | Whose::Unmarked => None,
            Whose::Older => marked_by_an_older_operator(request, "database"),
            Whose::Foreign(comment) => Some(format!("the comment of the database {name} is \"{comment}\"")),
        });
    }
    found
}

fn marked_by_an_older_operator(request: &DatabaseRequest, what: &str) -> Option<String> {
    request.known.is_none().then(|| {
        format!(
            "the {what} {} bears the mark of an older operator, and this Instance's status does not say that it had it",
            request.name
        )
    })
}

/// The statements that make role and database this Instance's own.
pub(super) fn statements(request: &DatabaseRequest, facts: &Facts) -> Vec<String> {
    let name = quoted(&request.name);
    let mark = literal(&request.identity.mark());
    let is_own = |comment: &Option<String>| whose(comment.as_deref(), &request.identity) == Whose::Own;

    let mut statements = Vec::new();
    if facts.role.is_none() {
        statements.push(format!("CREATE ROLE {name} NOLOGIN"));
    }
    if !facts.role.as_ref().is_some_and(|role| role.is_administered) {
        statements.push(format!("GRANT {name} TO {} WITH ADMIN OPTION", quoted(&facts.administrator)));
    }
    if !facts.role.as_ref().is_some_and(|role| is_own(&role.comment)) {
        statements.push(format!("COMMENT ON ROLE {name} IS {mark}"));
    }
    if let Some(database) = &facts.database {
        if database.owner != request.name {
            statements.push(format!("ALTER DATABASE {name} OWNER TO {name}"));
        }
        if !is_own(&database.comment) {
            statements.push(format!("COMMENT ON DATABASE {name} IS {mark}"));
        }
    }
    statements
}
