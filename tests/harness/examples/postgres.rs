//! Starts a PostgreSQL in a folder, or stops it: `cargo run -p gotocloud-harness --example postgres -- FOLDER [stop]`.

use std::path::PathBuf;
use std::time::Instant;

use gotocloud_harness::{PostgresServer, StartOptions};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "/var/tmp/gotocloud-postgres".to_owned()));
    let since = Instant::now();
    if arguments.next().as_deref() == Some("stop") {
        PostgresServer::stop_at(&folder)?;
    } else {
        let server = PostgresServer::start(&StartOptions::new(folder).detached())?;
        println!(
            "postgresql://{}:{}@{}:{}/postgres",
            server.admin_user, server.admin_password, server.host, server.port
        );
        println!("PGSSLROOTCERT={}", server.ca_path().display());
    }
    eprintln!("{:.1} s", since.elapsed().as_secs_f64());
    Ok(())
}
