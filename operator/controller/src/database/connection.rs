//! How is a server logged in to, and what does it mean where that fails?

use super::Administrator;
use gotocloud_api::conditions::Reason;
use gotocloud_planner::{instance::Failure, plan::DatabaseRequest, retry::ErrorClass};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{sync::Arc, time::Duration};
use tokio_postgres::{
    Client, Config,
    config::{ChannelBinding, SslMode},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Longest wait for a connection to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What unqualified names stand for: nothing that a tenant can make, whatever server, database or role say.
const SEARCH_PATH: &str = "-c search_path=pg_catalog,pg_temp";

/// Logs in to a database of the server as its administrator. The server proves that it knows the administrator, and that
/// the encrypted connection ends at itself: nobody in between, and no listener of somebody's own, gets the password.
pub async fn administrate(
    request: &DatabaseRequest,
    administrator: &Administrator,
    database: &str,
) -> Result<Client, Failure> {
    let mut config = config(request, database);
    config
        .user(&administrator.username)
        .password(&administrator.password)
        .channel_binding(ChannelBinding::Require)
        .options(SEARCH_PATH);
    let tls = tls(request)?;
    match tokio::time::timeout(CONNECT_TIMEOUT * 2, config.connect(tls)).await {
        Err(_) => Err(unreachable(request, "no answer")),
        Ok(Err(error)) => Err(not_connected(request, &error)),
        Ok(Ok((client, connection))) => {
            // It ends with the client; what went wrong, the client's own calls tell.
            tokio::spawn(async move { connection.await.ok() });
            Ok(client)
        }
    }
}

/// May the role log in to its own database with that password? `None` if that cannot be told.
pub async fn may_log_in(request: &DatabaseRequest, password: &str) -> Option<bool> {
    let mut config = config(request, &request.name);
    config.user(&request.name).password(password);
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, config.connect(tls(request).ok()?)).await.ok()?;
    match connecting {
        Ok(_) => Some(true),
        Err(error) => is_refused_login(&error).then_some(false),
    }
}

fn config(request: &DatabaseRequest, database: &str) -> Config {
    let mut config = Config::new();
    config
        .host(&request.host)
        .port(request.port)
        .dbname(database)
        .application_name("gotocloud-operator")
        .ssl_mode(SslMode::Require)
        .connect_timeout(CONNECT_TIMEOUT);
    config
}

fn tls(request: &DatabaseRequest) -> Result<MakeRustlsConnect, Failure> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(request.ca_certificate.as_bytes()).filter_map(Result::ok).collect();
    let mut roots = RootCertStore::empty();
    let (accepted, _) = roots.add_parsable_certificates(certificates);
    if accepted == 0 {
        return Err(refusal(
            "the Platform's database.server.caCertificate holds no certificate: put the PEM of the server's authority there",
        ));
    }

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unreachable(request, &error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(tls))
}

fn is_refused_login(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code))
}

fn not_connected(request: &DatabaseRequest, error: &tokio_postgres::Error) -> Failure {
    if is_refused_login(error) {
        return Failure {
            class: ErrorClass::Refused,
            reason: Reason::DatabaseSecretInvalid,
            message: format!(
                "{}:{} refuses the administrator of the Secret {}: correct its username and password",
                request.host, request.port, request.admin_secret_name
            ),
        };
    }
    let explained = explained(error);
    // The client's own words: it has no code for a server that asks for the password itself.
    if explained.contains("channel binding") {
        return refusal(&format!(
            "{}:{} does not prove that the encrypted connection ends at itself ({explained}), so it is not given the \
             administrator's password: the server must ask for it by scram-sha-256, with no proxy in between that ends \
             TLS; check the Platform's database.server, password_encryption and pg_hba.conf",
            request.host, request.port
        ));
    }
    unreachable(request, &explained)
}

/// The server does not answer.
pub fn unreachable(request: &DatabaseRequest, why: &str) -> Failure {
    Failure {
        class: ErrorClass::Unavailable,
        reason: Reason::DatabaseUnreachable,
        message: format!(
            "the database server {}:{} cannot be reached: {why}; check the Platform's database.server, and that it runs; it is tried again",
            request.host, request.port
        ),
    }
}

/// The server answers, and says no.
pub fn refused(request: &DatabaseRequest, error: &tokio_postgres::Error) -> Failure {
    if error.is_closed() || error.code().is_none() {
        return unreachable(request, &explained(error));
    }
    refusal(&format!(
        "{}:{} refuses to see to the database {}: {}; the administrator needs CREATEDB and CREATEROLE",
        request.host,
        request.port,
        request.name,
        explained(error)
    ))
}

fn refusal(message: &str) -> Failure {
    Failure { class: ErrorClass::Refused, reason: Reason::DatabaseRefused, message: message.to_owned() }
}

/// The error and what caused it; the statement is not part of it, so neither is a verifier.
pub fn explained(error: &tokio_postgres::Error) -> String {
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
