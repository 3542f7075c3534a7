//! What does the PostgreSQL server itself say?

use crate::Fleet;
use anyhow::Context as _;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::sync::Arc;
use tokio_postgres::{Client, Config, SimpleQueryMessage, config::SslMode};

impl Fleet {
    /// The rows of a query on the installation's server as its administrator, each column as text.
    pub fn sql(&self, query: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let postgres = &self.installation.postgres;
        self.sql_as(&postgres.admin_user, &postgres.admin_password, "postgres", query)
    }

    /// The same as somebody else, in a database.
    pub fn sql_as(&self, user: &str, password: &str, database: &str, query: &str) -> anyhow::Result<Vec<Vec<String>>> {
        self.wait_on(async {
            let client = self.log_in(user, password, database).await?;
            let answer = client.simple_query(query).await.with_context(|| query.to_owned())?;
            let rows = answer.into_iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            });
            Ok(rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect()).collect())
        })
    }

    /// A connection that lasts as long as its handle.
    pub async fn log_in(&self, user: &str, password: &str, database: &str) -> anyhow::Result<Client> {
        let postgres = &self.installation.postgres;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(postgres.ca_pem.as_bytes())?)?;
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut config = Config::new();
        config.host(&postgres.host).port(postgres.port).user(user).password(password).dbname(database);
        config.ssl_mode(SslMode::Require);
        let connector = tokio_postgres_rustls::MakeRustlsConnect::new(tls);
        let (client, connection) = config.connect(connector).await.with_context(|| format!("{user} cannot log in"))?;
        tokio::spawn(connection);
        Ok(client)
    }
}
