//! What becomes of database and role when their Instance is deleted?
//!
//! Nothing here refuses: what is not proven to be the instance's own is left, and said, so that no deletion waits for it.

use super::{Facts, handover, is_own_database, is_own_role, literal, may_be_called, quoted};
use crate::plan::DatabaseRequest;

/// What to do on the server, and what is left there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clearing {
    /// Statements, each to be sent by itself and in this order.
    pub statements: Vec<String>,
    /// Is the role to be dropped after that? What it owns in other databases goes first.
    pub drops_role: bool,
    /// What is left, and why: a sentence.
    pub left: Option<String>,
}

/// Keeps the data, and lets nobody log in any more.
pub fn seal(request: &DatabaseRequest, facts: &Facts) -> Clearing {
    if facts.role.is_none() {
        return Clearing::default();
    }
    if !is_own(request, facts) {
        return Clearing { left: Some(left(request, facts)), ..Clearing::default() };
    }

    // Also what bears no mark yet, or that of an older operator, is found again by who is to have it.
    let name = quoted(&request.name);
    let mark = literal(&request.identity.mark());
    let mut statements =
        vec![format!("ALTER ROLE {name} NOLOGIN; COMMENT ON ROLE {name} IS {mark}"), disconnect(request)];
    let owned = facts.database.is_some() && is_own_database(request, facts);
    if owned && facts.role.as_ref().is_some_and(|role| role.is_inherited) {
        statements.push(format!("COMMENT ON DATABASE {name} IS {mark}"));
    }
    let left = (!is_own_database(request, facts)).then(|| left(request, facts));
    Clearing { statements, drops_role: false, left }
}

/// Deletes what is proven to be the instance's own.
pub fn clear(request: &DatabaseRequest, facts: &Facts) -> Clearing {
    if facts.role.is_none() && facts.database.is_none() {
        return Clearing::default();
    }
    if facts.role.is_none() || !is_own(request, facts) {
        return Clearing { left: Some(left(request, facts)), ..Clearing::default() };
    }

    let name = quoted(&request.name);
    let mut statements = vec![format!("ALTER ROLE {name} NOLOGIN"), disconnect(request)];
    // What its role owns in a database that is not proven to be its own stays there, and the role with it.
    if !is_own_database(request, facts) {
        return Clearing { statements, drops_role: false, left: Some(left(request, facts)) };
    }
    if facts.database.is_some() {
        statements.push(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }
    Clearing { statements, drops_role: true, left: None }
}

fn is_own(request: &DatabaseRequest, facts: &Facts) -> bool {
    may_be_called(&request.name).is_ok() && is_own_role(request, facts)
}

fn disconnect(request: &DatabaseRequest) -> String {
    format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = {}",
        literal(&request.name)
    )
}

fn left(request: &DatabaseRequest, facts: &Facts) -> String {
    let found = handover::found(request, facts);
    let why = if found.is_empty() { format!("{} is not this Instance's", request.name) } else { found.join(", and ") };
    format!("on {}:{} {why}: it is left as it is", request.host, request.port)
}
