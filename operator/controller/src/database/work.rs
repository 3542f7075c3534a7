//! What is asked of a server, and what is sent to it?
//!
//! All names are qualified: what a tenant made is never called with the administrator's rights.

use super::{
    Administrator, Carried, Operation,
    connection::{self, explained, refused},
};
use gotocloud_api::conditions::Reason;
use gotocloud_planner::{
    database::{self, Assured, Clearing, DatabaseFacts, Facts, RoleFacts, quoted},
    instance::Failure,
    plan::DatabaseRequest,
    retry::ErrorClass,
};
use std::collections::BTreeMap;
use tokio_postgres::{Client, Error, error::SqlState};

/// What the server says of some names, a row for each.
const FACTS: &str = "
    SELECT asked.name,
           CURRENT_USER::pg_catalog.text,
           role.oid,
           pg_catalog.shobj_description(role.oid, 'pg_authid'),
           role.rolcanlogin,
           pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 160000
               OR pg_catalog.pg_has_role(CURRENT_USER, role.oid, 'MEMBER WITH ADMIN OPTION'),
           pg_catalog.pg_has_role(CURRENT_USER, role.oid, 'USAGE'),
           db.oid,
           pg_catalog.pg_get_userbyid(db.datdba)::pg_catalog.text,
           pg_catalog.shobj_description(db.oid, 'pg_database'),
           pg_catalog.has_database_privilege('public', db.oid, 'CONNECT')
               OR pg_catalog.has_database_privilege('public', db.oid, 'TEMPORARY')
      FROM pg_catalog.unnest($1::pg_catalog.text[]) AS asked (name)
      LEFT JOIN pg_catalog.pg_roles AS role ON role.rolname = asked.name
      LEFT JOIN pg_catalog.pg_database AS db ON db.datname = asked.name";

/// The databases that hold something of a role.
const DATABASES_WITH_SOMETHING_OF: &str = "
    SELECT DISTINCT db.datname::pg_catalog.text
      FROM pg_catalog.pg_shdepend AS holds
      JOIN pg_catalog.pg_roles AS role ON role.oid = holds.refobjid
      JOIN pg_catalog.pg_database AS db ON db.oid = holds.dbid
     WHERE holds.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND role.rolname = $1::pg_catalog.text";

/// Carries out one operation.
pub async fn carry_out(
    client: &Client,
    request: &DatabaseRequest,
    administrator: &Administrator,
    operation: Operation<'_>,
) -> Result<Carried, Failure> {
    if let Operation::Look { names } = operation {
        return facts(client, names).await.map(Carried::Seen).map_err(|error| refused(request, &error));
    }

    let facts = facts_of(client, request).await?;
    match operation {
        Operation::Ensure { password } => ensure(client, request, &facts, password).await.map(Carried::Assured),
        Operation::Seal => {
            let clearing = database::seal(request, &facts);
            send(client, request, &clearing.statements).await?;
            Ok(Carried::Left(clearing.left))
        }
        Operation::Clear | Operation::Look { .. } => {
            let clearing = database::clear(request, &facts);
            clear(client, request, administrator, clearing).await.map(Carried::Left)
        }
    }
}

async fn facts_of(client: &Client, request: &DatabaseRequest) -> Result<Facts, Failure> {
    let mut all = facts(client, std::slice::from_ref(&request.name)).await.map_err(|error| refused(request, &error))?;
    Ok(all.remove(&request.name).unwrap_or_default())
}

async fn facts(client: &Client, names: &[String]) -> Result<BTreeMap<String, Facts>, Error> {
    let rows = client.query(FACTS, &[&names]).await?;
    let read = rows.into_iter().map(|row| {
        let role = row.try_get::<_, Option<u32>>(2)?;
        let role = match role {
            None => None,
            Some(_) => Some(RoleFacts {
                comment: row.try_get(3)?,
                may_log_in: row.try_get(4)?,
                is_administered: row.try_get(5)?,
                is_inherited: row.try_get(6)?,
            }),
        };
        let database = match row.try_get::<_, Option<u32>>(7)? {
            None => None,
            Some(oid) => {
                Some(DatabaseFacts { oid, owner: row.try_get(8)?, comment: row.try_get(9)?, is_open: row.try_get(10)? })
            }
        };
        Ok((row.try_get(0)?, Facts { administrator: row.try_get(1)?, role, database }))
    });
    read.collect()
}

async fn ensure(client: &Client, request: &DatabaseRequest, facts: &Facts, password: &str) -> Result<Assured, Failure> {
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let statements = database::ensure(request, facts, &verifier)?;
    send(client, request, &statements).await?;

    let database = match &facts.database {
        Some(database) => Some(database.oid),
        None => facts_of(client, request).await?.database.map(|database| database.oid),
    };
    let oid = database.ok_or_else(|| changed_meanwhile(request))?;
    Ok(Assured { fingerprint: request.fingerprint(), oid })
}

async fn send(client: &Client, request: &DatabaseRequest, statements: &[String]) -> Result<(), Failure> {
    for statement in statements {
        client.batch_execute(statement).await.map_err(|error| not_done(request, &error))?;
    }
    Ok(())
}

/// What somebody else made at the same moment is not taken for one's own: it is asked again whose it is.
fn not_done(request: &DatabaseRequest, error: &Error) -> Failure {
    let made_meanwhile = [SqlState::DUPLICATE_DATABASE, SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION];
    if error.code().is_some_and(|code| made_meanwhile.contains(code)) {
        return changed_meanwhile(request);
    }
    refused(request, error)
}

fn changed_meanwhile(request: &DatabaseRequest) -> Failure {
    Failure {
        class: ErrorClass::Momentary,
        reason: Reason::DatabaseStarting,
        message: format!("the database {} or its role changed meanwhile; it is looked at again", request.name),
    }
}

/// Sends the statements, then drops the role with what it has elsewhere on the server. Gives what is left.
async fn clear(
    client: &Client,
    request: &DatabaseRequest,
    administrator: &Administrator,
    clearing: Clearing,
) -> Result<Option<String>, Failure> {
    send(client, request, &clearing.statements).await?;
    if !clearing.drops_role {
        return Ok(clearing.left);
    }

    let name = quoted(&request.name);
    let failed = |error: Error| refused(request, &error);
    let rows = client.query(DATABASES_WITH_SOMETHING_OF, &[&request.name]).await.map_err(failed)?;
    // Here go also its rights on what belongs to no database.
    let owned = format!("DROP OWNED BY {name}");
    let mut not_cleared = Vec::new();
    if let Err(error) = client.batch_execute(&owned).await {
        not_cleared.push(format!("in postgres: {}", explained(&error)));
    }
    for row in rows {
        let database: String = row.try_get(0).map_err(failed)?;
        if database == "postgres" {
            continue;
        }
        let cleared = match connection::administrate(request, administrator, &database).await {
            Ok(other) => other.batch_execute(&owned).await.map_err(|error| explained(&error)),
            Err(failure) => Err(failure.message),
        };
        not_cleared.extend(cleared.err().map(|why| format!("in {database}: {why}")));
    }

    match client.batch_execute(&format!("DROP ROLE IF EXISTS {name}")).await {
        Ok(()) => Ok(clearing.left),
        Err(error) if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => {
            not_cleared.push(explained(&error));
            Ok(Some(format!(
                "on {}:{} the role {} still has something, so it is left, locked: {}",
                request.host,
                request.port,
                request.name,
                not_cleared.join("; ")
            )))
        }
        Err(error) => Err(failed(error)),
    }
}
