//! How does a database server get an instance's database and role?
//!
//! Over TLS, checked against the Platform's certificate authority; with the administrator's credentials from a Secret
//! in the operator's namespace. Passwords never pass through an SQL text: the server is given their SCRAM verifier.

use gotocloud_api::conditions::Reason;
use gotocloud_planner::{instance::Failure, plan::DatabaseRequest, retry::ErrorClass};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;
use tokio_postgres::{Client, Config, config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connections to one server at a time.
const CONNECTIONS: usize = 4;
/// Longest wait for a connection, and for all that is asked over it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const WORK_TIMEOUT: Duration = Duration::from_mins(1);

/// Who administers a database server.
#[derive(Clone)]
pub struct Administrator {
    /// Its role.
    pub username: String,
    /// Its password.
    pub password: String,
}

/// The database servers in use, with a bound on the connections to each.
#[derive(Default)]
pub struct Servers(Mutex<HashMap<(String, u16), Arc<Semaphore>>>);

/// What to do with a database.
#[derive(Clone, Debug)]
pub enum Operation<'a> {
    /// See that database and role are there. The password is set where it is given.
    Ensure {
        /// The role's password.
        password: &'a str,
    },
    /// Keep the data, but let nobody log in.
    Seal,
    /// Delete both.
    Drop,
}

impl Operation<'_> {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ensure { .. } => "ensure",
            Self::Seal => "seal",
            Self::Drop => "drop",
        }
    }
}

impl Servers {
    /// Carries out one operation.
    pub async fn carry_out(
        &self,
        request: &DatabaseRequest,
        administrator: &Administrator,
        operation: Operation<'_>,
    ) -> Result<(), Failure> {
        let turn = {
            let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                servers
                    .entry((request.host.clone(), request.port))
                    .or_insert_with(|| Arc::new(Semaphore::new(CONNECTIONS))),
            )
        };
        // The semaphore is never closed.
        let _turn = turn.acquire().await;
        let client = connect(request, administrator).await?;
        let work = async {
            match operation {
                Operation::Ensure { password } => ensure(&client, request, password).await,
                Operation::Seal => seal(&client, request).await,
                Operation::Drop => drop_all(&client, request).await,
            }
        };
        match tokio::time::timeout(WORK_TIMEOUT, work).await {
            Ok(Ok(Role::Foreign)) => Err(foreign(request)),
            Ok(Ok(Role::Own | Role::None)) => Ok(()),
            Ok(Err(error)) => Err(refused(request, &error)),
            Err(_) => Err(unreachable(request, "no answer within a minute")),
        }
    }
}

async fn connect(request: &DatabaseRequest, administrator: &Administrator) -> Result<Client, Failure> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(request.ca_certificate.as_bytes()).filter_map(Result::ok).collect();
    let mut roots = RootCertStore::empty();
    let (accepted, _) = roots.add_parsable_certificates(certificates);
    if accepted == 0 {
        return Err(Failure {
            class: ErrorClass::Refused,
            reason: Reason::DatabaseRefused,
            message: "the Platform's database.server.caCertificate holds no certificate: put the PEM of the server's authority there".into(),
        });
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unreachable(request, &error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = Config::new();
    config
        .host(&request.host)
        .port(request.port)
        .user(&administrator.username)
        .password(&administrator.password)
        .dbname("postgres")
        .application_name("gotocloud-operator")
        .ssl_mode(SslMode::Require)
        .connect_timeout(CONNECT_TIMEOUT);
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT * 2, config.connect(MakeRustlsConnect::new(tls)));
    let (client, connection) = match connecting.await {
        Err(_) => return Err(unreachable(request, "no answer")),
        Ok(Err(error)) => return Err(not_connected(request, &error)),
        Ok(Ok(connected)) => connected,
    };
    // It ends with the client; what went wrong, the client's own calls tell.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

/// Whose is the role of that name?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    None,
    Own,
    Foreign,
}

async fn role(client: &Client, request: &DatabaseRequest) -> Result<Role, tokio_postgres::Error> {
    let comment = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
    Ok(match client.query_opt(comment, &[&request.name]).await? {
        None => Role::None,
        Some(row) if row.try_get::<_, Option<String>>(0)?.as_deref() == Some(&comment_of(request)) => Role::Own,
        Some(_) => Role::Foreign,
    })
}

fn comment_of(request: &DatabaseRequest) -> String {
    format!("Go-to-Cloud instance {}", request.owner)
}

async fn ensure(client: &Client, request: &DatabaseRequest, password: &str) -> Result<Role, tokio_postgres::Error> {
    let name = quoted(&request.name);
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    // A role is made without any other right; to name those it lacks when altering it takes rights of its own.
    let attributes = format!("LOGIN CONNECTION LIMIT {} PASSWORD '{verifier}'", request.connection_limit);
    match role(client, request).await? {
        Role::Foreign => return Ok(Role::Foreign),
        Role::Own => client.batch_execute(&format!("ALTER ROLE {name} {attributes}")).await?,
        // In one transaction: a role is never without its comment.
        Role::None => {
            let comment = comment_of(request).replace('\'', "''");
            client
                .batch_execute(&format!("CREATE ROLE {name} {attributes}; COMMENT ON ROLE {name} IS '{comment}'"))
                .await?;
        }
    }
    if client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&request.name]).await?.is_none() {
        // To give a database away, one must be a member of the role that gets it.
        client.batch_execute(&format!("GRANT {name} TO CURRENT_USER")).await?;
        let created = client
            .batch_execute(&format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'"))
            .await;
        ignore(created, &SqlState::DUPLICATE_DATABASE)?;
    }
    // By default every role may connect to every database.
    client.batch_execute(&format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await?;
    Ok(Role::Own)
}

async fn seal(client: &Client, request: &DatabaseRequest) -> Result<Role, tokio_postgres::Error> {
    let whose = role(client, request).await?;
    if whose == Role::Own {
        client.batch_execute(&format!("ALTER ROLE {} NOLOGIN", quoted(&request.name))).await?;
        disconnect(client, &request.name).await?;
    }
    Ok(whose)
}

async fn drop_all(client: &Client, request: &DatabaseRequest) -> Result<Role, tokio_postgres::Error> {
    let whose = role(client, request).await?;
    if whose == Role::Own {
        let name = quoted(&request.name);
        disconnect(client, &request.name).await?;
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        client.batch_execute(&format!("DROP ROLE IF EXISTS {name}")).await?;
    }
    Ok(whose)
}

async fn disconnect(client: &Client, name: &str) -> Result<(), tokio_postgres::Error> {
    client
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", &[&name])
        .await
        .map(|_| ())
}

/// An identifier in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Another process doing the same at the same time is as good.
fn ignore(result: Result<(), tokio_postgres::Error>, state: &SqlState) -> Result<(), tokio_postgres::Error> {
    match result {
        Err(error) if error.code() == Some(state) => Ok(()),
        other => other,
    }
}

fn not_connected(request: &DatabaseRequest, error: &tokio_postgres::Error) -> Failure {
    let is_refused_login = error
        .code()
        .is_some_and(|code| [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code));
    if is_refused_login {
        return Failure {
            class: ErrorClass::Refused,
            reason: Reason::DatabaseSecretInvalid,
            message: format!(
                "{}:{} refuses the administrator of the Secret {}: correct its username and password",
                request.host, request.port, request.admin_secret_name
            ),
        };
    }
    unreachable(request, &explained(error))
}

fn unreachable(request: &DatabaseRequest, why: &str) -> Failure {
    Failure {
        class: ErrorClass::Unavailable,
        reason: Reason::DatabaseUnreachable,
        message: format!(
            "the database server {}:{} cannot be reached: {why}; check the Platform's database.server, and that it runs; it is tried again",
            request.host, request.port
        ),
    }
}

fn foreign(request: &DatabaseRequest) -> Failure {
    Failure {
        class: ErrorClass::Refused,
        reason: Reason::DatabaseRefused,
        message: format!(
            "the role {name} on {}:{} was not made for this Instance: remove it, or hand it over with \
             COMMENT ON ROLE {name} IS '{}'",
            request.host,
            request.port,
            comment_of(request),
            name = request.name
        ),
    }
}

fn refused(request: &DatabaseRequest, error: &tokio_postgres::Error) -> Failure {
    if error.is_closed() || error.code().is_none() {
        return unreachable(request, &explained(error));
    }
    Failure {
        class: ErrorClass::Refused,
        reason: Reason::DatabaseRefused,
        message: format!(
            "{}:{} refuses to see to the database {}: {}; the administrator needs CREATEDB and CREATEROLE",
            request.host,
            request.port,
            request.name,
            explained(error)
        ),
    }
}

/// The error and what caused it; the statement is not part of it, so neither is a verifier.
fn explained(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(database) => match database.detail() {
            Some(detail) => format!("{} ({detail})", database.message()),
            None => database.message().to_owned(),
        },
        None => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_identifier_cannot_end_its_quotes() {
        assert_eq!(super::quoted("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
    }
}
