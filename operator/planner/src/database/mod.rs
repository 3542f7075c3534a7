//! Whose are a database and its role on a server, and what is to be done about them?
//!
//! ```text
//!   facts of the server ─┐
//!                        ├─▶ ensure, seal, clear ─▶ statements, or a refusal with the statements that hand it over
//!   request, identity ───┘
//! ```
//!
//! The shell asks the server for the facts and sends the statements; it decides nothing.

mod clearing;
mod handover;
mod identity;
#[cfg(test)]
mod tests;

pub use clearing::{Clearing, clear, seal};
pub use identity::{Identity, Whose, whose};

use crate::{
    instance::Failure,
    objects::ObjectKey,
    plan::{DatabaseRequest, Refusal},
    retry::ErrorClass,
};
use gotocloud_api::{conditions::Reason, names, release::DatabaseField};
use std::collections::BTreeMap;

/// What a server says of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The role the operator administers the server as.
    pub administrator: String,
    /// The role of that name, if there is one.
    pub role: Option<RoleFacts>,
    /// The database of that name, if there is one.
    pub database: Option<DatabaseFacts>,
}

/// What a server says of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// Its comment, which only those who administer it can write.
    pub comment: Option<String>,
    /// May it log in?
    pub may_log_in: bool,
    /// May the administrator alter it?
    pub is_administered: bool,
    /// Has the administrator its rights, those of an owner among them?
    pub is_inherited: bool,
}

/// What a server says of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Which one of those that bore its name.
    pub oid: u32,
    /// Its owner.
    pub owner: String,
    /// Its comment.
    pub comment: Option<String>,
    /// May every role connect to it, or make temporary tables in it?
    pub is_open: bool,
}

/// What an Instance's status tells of its database so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which database it was: its oid, or `HOST:PORT/NAME` where an older operator noted none.
    pub lost: String,
    /// Did the instance ever run on it?
    pub ran: bool,
    /// Did a person ask for an empty one in place of just that database?
    pub may_begin_anew: bool,
}

/// A database that was made sure of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assured {
    /// What was made sure of: [`DatabaseRequest::fingerprint`].
    pub fingerprint: String,
    /// Which database it was.
    pub oid: u32,
}

/// An identifier in SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL. Without backslashes: those would be escapes on a server that does not keep to the standard.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "/").replace('\'', "''"))
}

/// Refuses a name that stands for something of the server's own.
pub fn may_be_called(name: &str) -> Result<(), Refusal> {
    let is_reserved =
        matches!(name, "postgres" | "template0" | "template1" | "public" | "none") || name.starts_with("pg_");
    if !is_reserved {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::DatabaseRefused,
        format!(
            "{name} is a name of PostgreSQL's own, so no database is called so: make an Instance with another name"
        ),
    ))
}

/// The statements that make database and role as they should be, each to be sent by itself and in this order; none where
/// either is somebody else's, or the data is lost.
pub fn ensure(request: &DatabaseRequest, facts: &Facts, verifier: &str) -> Result<Vec<String>, Refusal> {
    may_be_called(&request.name)?;
    if !is_own_role(request, facts) || !is_own_database(request, facts) {
        return Err(handover::refusal(request, facts));
    }
    if facts.database.is_none() {
        holds_no_lost_data(request)?;
    }

    let name = quoted(&request.name);
    let mark = literal(&request.identity.mark());
    // A role is made without any other right; to name those it lacks when altering it takes rights of its own.
    let attributes = format!("LOGIN CONNECTION LIMIT {} PASSWORD {}", request.connection_limit, literal(verifier));
    let set_role = match &facts.role {
        None => format!("CREATE ROLE {name} {attributes}; COMMENT ON ROLE {name} IS {mark}"),
        Some(role) if is_marked(request, role.comment.as_deref()) => format!("ALTER ROLE {name} {attributes}"),
        Some(_) => format!("ALTER ROLE {name} {attributes}; COMMENT ON ROLE {name} IS {mark}"),
    };

    let mut statements = vec![set_role];
    if !facts.role.as_ref().is_some_and(|role| role.is_inherited) {
        // To give a database away, or to comment on it, one must be a member of the role that has it.
        statements.push(format!("GRANT {name} TO CURRENT_USER"));
    }
    if facts.database.is_none() {
        statements.push(format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'"));
    }
    let database = facts.database.as_ref();
    if !database.is_some_and(|database| is_marked(request, database.comment.as_deref())) {
        statements.push(format!("COMMENT ON DATABASE {name} IS {mark}"));
    }
    // By default every role may connect to every database.
    if database.is_none_or(|database| database.is_open) {
        statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"));
    }
    Ok(statements)
}

/// Is the database still as it was made sure of? If not, it is to be made sure of again, which tells what is amiss.
pub fn is_as_assured(request: &DatabaseRequest, facts: &Facts, assured: &Assured) -> bool {
    let role = facts.role.as_ref().filter(|role| role.may_log_in && is_marked(request, role.comment.as_deref()));
    let is_it = |database: &DatabaseFacts| {
        database.oid == assured.oid
            && database.owner == request.name
            && !database.is_open
            && is_marked(request, database.comment.as_deref())
    };
    role.is_some() && facts.database.as_ref().is_some_and(is_it)
}

/// Why a database is not made sure of while its Secret holds no password.
pub fn no_password(request: &DatabaseRequest) -> Failure {
    let (namespace, secret) = &request.secret;
    if !request.known.as_ref().is_some_and(|known| known.ran) {
        let message = format!("Secret {namespace}/{secret} holds no password yet");
        return Failure { class: ErrorClass::Momentary, reason: Reason::DatabaseStarting, message };
    }
    Failure {
        class: ErrorClass::Refused,
        reason: Reason::DatabaseSecretInvalid,
        message: format!(
            "the Secret {namespace}/{secret}, with the password of its database, is gone or holds none: its pods run on, \
             but new ones do not start; bring the Secret back, or restart the operator, which makes one with a new \
             password, and then the pods"
        ),
    }
}

/// Why new pods do not start with what the Secret `key` holds, which `CloudNativePG` keeps; `None` if they do.
pub fn lost_credentials(key: &ObjectKey, content: &BTreeMap<String, String>) -> Option<String> {
    use DatabaseField::{Host, Name, Password, Port, Uri, User};
    let is_lost = |field: &DatabaseField| content.get(field.secret_key()).is_none_or(String::is_empty);
    let lost = [Host, Port, Name, User, Password, Uri].into_iter().find(is_lost)?;

    Some(format!(
        "the {key}, with the credentials of its database, is gone or holds no {}: its pods run on, but new ones do not \
         start; bring it back, or delete it, and CloudNativePG makes one with a new password, and then restart the pods",
        lost.secret_key()
    ))
}

/// May the administrator's credentials be shown to the server of the request? A Secret that says for which it is, by
/// the keys `host` and `port`, is used for no other, whatever a Platform says.
pub fn may_be_given(request: &DatabaseRequest, secret: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let is_for = |key: &str, value: &str| secret.get(key).is_none_or(|wanted| wanted == value);
    if is_for("host", &request.host) && is_for("port", &request.port.to_string()) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::DatabaseSecretInvalid,
        format!(
            "the Secret {}, which the Platform names for its database server {}:{}, says by its keys host and port that it \
             is for another: correct the Platform, or the Secret",
            request.admin_secret_name, request.host, request.port
        ),
    ))
}

fn is_marked(request: &DatabaseRequest, comment: Option<&str>) -> bool {
    whose(comment, &request.identity) == Whose::Own
}

/// Is the role the instance's own, or not there yet? A mark of an older operator, which says less, is believed of an
/// Instance whose status says that it had the database.
fn is_own_role(request: &DatabaseRequest, facts: &Facts) -> bool {
    if request.name == facts.administrator {
        return false;
    }
    let Some(role) = &facts.role else { return true };
    match whose(role.comment.as_deref(), &request.identity) {
        Whose::Own => true,
        Whose::Older => request.known.is_some(),
        Whose::Foreign(_) | Whose::Unmarked => false,
    }
}

/// Is the database the instance's own, or not there yet? Its owner is the instance's role, and its comment bears the mark
/// of nobody else: older operators left none on databases.
fn is_own_database(request: &DatabaseRequest, facts: &Facts) -> bool {
    let Some(database) = &facts.database else { return true };
    let owns = facts.role.is_some() && database.owner == request.name;
    match whose(database.comment.as_deref(), &request.identity) {
        Whose::Own | Whose::Unmarked => owns,
        Whose::Older => owns && request.known.is_some(),
        Whose::Foreign(_) => false,
    }
}

/// A database that is gone with the data of an Instance that ran is not made anew, empty: its pods would run on as if
/// nothing had been. Unless a person asked for it, of just that database.
fn holds_no_lost_data(request: &DatabaseRequest) -> Result<(), Refusal> {
    let Some(known) = request.known.as_ref().filter(|known| known.ran && !known.may_begin_anew) else { return Ok(()) };
    Err(Refusal::new(
        Reason::DatabaseLost,
        format!(
            "the database {} on {}:{}, which held its data, is gone: bring it back under that name from a backup, owned \
             by the role {}, or, to have an empty one made, annotate the Instance with {}={}",
            request.name,
            request.host,
            request.port,
            request.name,
            names::ANNOTATION_NEW_EMPTY_DATABASE,
            known.lost
        ),
    ))
}
