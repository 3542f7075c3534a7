//! Where is a real PostgreSQL that admits only TLS, and who administers it?
//!
//! One server for as many clusters and databases as the tests and the demo like. Its administrator `gotocloud_admin`
//! may log in, create databases and create roles, and is no superuser: what works here works with what a managed
//! PostgreSQL grants.

mod account;
mod binaries;
mod certificate;

use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::ports;
use crate::processes::{self, Process};
use account::Account;

/// The role tests and the operator administer the server as.
pub const ADMIN: &str = "gotocloud_admin";
const START_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// How a server is started.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The folder that holds the server: its data, certificates and log. Made if it is not there.
    pub data_dir: PathBuf,
    /// The port it listens on: by default the one it had before, else any free one.
    pub port: Option<u16>,
    /// How many connections it takes at a time.
    pub max_connections: u32,
    /// Whether it goes on running when its handle is dropped and when this process ends.
    pub detached: bool,
    /// Whether the folder goes when the server is stopped.
    pub temporary: bool,
    /// What a superuser says in `postgres` when the server is made, one statement a line.
    pub superuser_sql: String,
}

impl StartOptions {
    /// A server in this folder, with 200 connections, that ends with its handle.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            max_connections: 200,
            detached: false,
            temporary: false,
            superuser_sql: String::new(),
        }
    }

    /// A server in a new folder among the system's temporary files, which goes when it stops.
    #[must_use]
    pub fn temporary() -> Self {
        let folder = std::env::temp_dir().join(format!("gotocloud-postgres-{:016x}", rand::random::<u64>()));
        Self { temporary: true, ..Self::new(folder) }
    }

    /// The same on this port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The same, running on after this process: [`PostgresServer::stop_at`] ends it.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }
}

/// What a server's folder says about it, for whoever comes later.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    port: u16,
    admin_password: String,
}

/// A running server. Dropped, it stops, unless it was started detached or only attached to.
#[derive(Debug)]
pub struct PostgresServer {
    /// The address it listens on: `127.0.0.1`. Its certificate holds for `localhost` as well.
    pub host: String,
    /// The port it listens on.
    pub port: u16,
    /// The role that administers it: [`ADMIN`].
    pub admin_user: String,
    /// That role's password.
    pub admin_password: String,
    /// The certificate of the authority that signed the server's.
    pub ca_pem: String,
    data_dir: PathBuf,
    temporary: bool,
    /// The server's process while it is ours to stop.
    child: Option<Child>,
}

impl PostgresServer {
    /// Starts a server, with whatever its folder already holds. One that runs there already is attached to.
    pub fn start(options: &StartOptions) -> anyhow::Result<Self> {
        let folder = Folder::new(&options.data_dir)?;
        if folder.process().is_some() {
            return Self::attach(&options.data_dir);
        }
        let account = Account::choose()?;
        let binaries = binaries::ensure(account)?;
        let record = match folder.read_record()? {
            Some(record) => record,
            None => folder.create(&binaries, account, &options.superuser_sql)?,
        };
        let (port, child) = folder.run(&binaries, account, options, record.port)?;
        folder.write_record(&Record { port, ..record })?;
        let mut server = folder.server(options.temporary)?;
        if !options.detached {
            server.child = Some(child);
        }
        Ok(server)
    }

    /// The server that runs in this folder. Dropping it leaves it running.
    pub fn attach(data_dir: &Path) -> anyhow::Result<Self> {
        let folder = Folder::new(data_dir)?;
        anyhow::ensure!(folder.process().is_some(), "no PostgreSQL runs in {}", data_dir.display());
        folder.server(false)
    }

    /// Stops the server that runs in this folder, if one does, and keeps its data.
    pub fn stop_at(data_dir: &Path) -> anyhow::Result<()> {
        let folder = Folder::new(data_dir)?;
        match folder.process() {
            Some(process) => folder.stop(process),
            None => Ok(()),
        }
    }

    /// Stops it, whoever started it; its folder stays, unless it is temporary.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    /// The folder it runs in.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The file with the certificate of the authority.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.data_dir.join(certificate::AUTHORITY)
    }

    /// The file with what the server says.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.data_dir.join("log")
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let folder = Folder::new(&self.data_dir)?;
        let stopped = folder.process().map_or(Ok(()), |process| folder.stop(process));
        if let Some(child) = &mut self.child {
            // Our own child stays a zombie until it is waited for.
            child.try_wait().context("cannot wait for PostgreSQL")?;
        }
        self.child = None;
        if self.temporary {
            let _ = fs::remove_dir_all(&self.data_dir);
        }
        stopped
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.child.is_some()
            && let Err(error) = self.end()
        {
            eprintln!("PostgreSQL in {} was not stopped: {error:#}", self.data_dir.display());
        }
    }
}

/// What a server's folder holds: `data`, the certificates, `server.json`, `pg_hba.conf` and `log`.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))?;
        Ok(Self { path })
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    fn mark(&self) -> String {
        self.data().display().to_string()
    }

    /// The server that runs here.
    fn process(&self) -> Option<Process> {
        processes::written_in(&self.data().join("postmaster.pid")).filter(|process| process.runs(&self.mark()))
    }

    fn record_path(&self) -> PathBuf {
        self.path.join("server.json")
    }

    fn read_record(&self) -> anyhow::Result<Option<Record>> {
        match fs::read(self.record_path()) {
            Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| format!("{} is broken", self.mark())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.record_path().display())),
        }
    }

    fn write_record(&self, record: &Record) -> anyhow::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.record_path();
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(&serde_json::to_vec_pretty(record)?).with_context(|| format!("cannot write {}", path.display()))
    }

    /// A new server's folder. The record comes last: a folder without one is made again from the beginning.
    fn create(&self, binaries: &Path, account: Account, superuser_sql: &str) -> anyhow::Result<Record> {
        fs::create_dir_all(&self.path).with_context(|| format!("cannot create {}", self.path.display()))?;
        account.check_reaches(&self.path)?;
        account.give(&self.path)?;
        let data = self.data();
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        }
        certificate::write(&self.path, account)?;
        // Nothing but TLS: whoever comes without finds no line.
        let rules = format!("hostssl all all {}/32 scram-sha-256\n", Ipv4Addr::LOCALHOST);
        fs::write(self.path.join("pg_hba.conf"), rules).context("cannot write pg_hba.conf")?;
        let output = self
            .command(binaries, "initdb", account)
            .arg("-D")
            .arg(&data)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .output()
            .context("cannot run initdb")?;
        anyhow::ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        let admin_password = format!("{:032x}", rand::random::<u128>());
        self.run_alone(
            binaries,
            account,
            &format!("CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD '{admin_password}'\n{superuser_sql}"),
        )?;
        let record = Record { port: 0, admin_password };
        self.write_record(&record)?;
        Ok(record)
    }

    /// Runs SQL, one statement a line, as superuser on a server that does not run. No superuser can log in over the
    /// network, as none has a password.
    fn run_alone(&self, binaries: &Path, account: Account, sql: &str) -> anyhow::Result<()> {
        let mut child = self
            .command(binaries, "postgres", account)
            .args(["--single", "-F", "-c", "password_encryption=scram-sha-256", "-D"])
            .arg(self.data())
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run postgres")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(sql.as_bytes()).context("postgres does not read")?;
        }
        let output = child.wait_with_output().context("cannot run postgres")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success() && !said.contains("ERROR:"), "postgres --single: {}", said.trim_end());
        Ok(())
    }

    /// Starts the server on the port asked for, else the one it had, else any that is free.
    fn run(
        &self,
        binaries: &Path,
        account: Account,
        options: &StartOptions,
        former_port: u16,
    ) -> anyhow::Result<(u16, Child)> {
        if let Some(port) = options.port {
            return Ok((port, self.run_on(port, binaries, account, options)?));
        }
        if former_port != 0
            && let Ok(child) = self.run_on(former_port, binaries, account, options)
        {
            return Ok((former_port, child));
        }
        // Somebody else may take a free port before the server does.
        let mut attempts = 3;
        loop {
            attempts -= 1;
            let port = ports::free()?;
            match self.run_on(port, binaries, account, options) {
                Ok(child) => return Ok((port, child)),
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn run_on(&self, port: u16, binaries: &Path, account: Account, options: &StartOptions) -> anyhow::Result<Child> {
        let log_path = self.path.join("log");
        let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
        let setting = |name: &str, value: &dyn std::fmt::Display| ["-c".to_owned(), format!("{name}={value}")];
        let file = |name: &str| self.path.join(name).display().to_string();
        let mut command = self.command(binaries, "postgres", account);
        command
            .arg("-D")
            .arg(self.data())
            .args(setting("listen_addresses", &Ipv4Addr::LOCALHOST))
            .args(setting("port", &port))
            .args(setting("unix_socket_directories", &""))
            .args(setting("hba_file", &file("pg_hba.conf")))
            .args(setting("ssl", &"on"))
            .args(setting("ssl_cert_file", &file(certificate::SERVER)))
            .args(setting("ssl_key_file", &file(certificate::KEY)))
            .args(setting("password_encryption", &"scram-sha-256"))
            .args(setting("max_connections", &options.max_connections))
            // Nothing here need survive a power cut.
            .args(setting("fsync", &"off"))
            .args(setting("synchronous_commit", &"off"))
            .args(setting("full_page_writes", &"off"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the log")?)
            .stderr(log);
        if options.detached {
            // Not interrupted together with the terminal's foreground.
            command.process_group(0);
        }
        let mut child = command.spawn().context("cannot run postgres")?;
        match self.wait_until_ready(&mut child) {
            Ok(()) => Ok(child),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                Err(error.context(format!("PostgreSQL does not start on port {port}:\n{}", log.trim_end())))
            }
        }
    }

    fn wait_until_ready(&self, child: &mut Child) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let pid_path = self.data().join("postmaster.pid");
        loop {
            if let Some(status) = child.try_wait().context("cannot wait for PostgreSQL")? {
                anyhow::bail!("it ended with {status}");
            }
            // The file's eighth line is the server's state; the first says whose it is.
            let text = fs::read_to_string(&pid_path).unwrap_or_default();
            let ours = text.lines().next().is_some_and(|line| line.trim() == child.id().to_string());
            if ours && text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "it is not ready after {} s", START_PATIENCE.as_secs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&self, process: Process) -> anyhow::Result<()> {
        process.signal("INT")?;
        if !process.gone_within(&self.mark(), STOP_PATIENCE) {
            process.signal("QUIT")?;
            anyhow::ensure!(
                process.gone_within(&self.mark(), STOP_PATIENCE),
                "PostgreSQL in {} does not stop",
                self.path.display()
            );
        }
        Ok(())
    }

    fn server(&self, temporary: bool) -> anyhow::Result<PostgresServer> {
        let record = self.read_record()?.with_context(|| format!("{} holds no server", self.path.display()))?;
        let ca_path = self.path.join(certificate::AUTHORITY);
        let ca_pem = fs::read_to_string(&ca_path).with_context(|| format!("cannot read {}", ca_path.display()))?;
        Ok(PostgresServer {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: record.port,
            admin_user: ADMIN.to_owned(),
            admin_password: record.admin_password,
            ca_pem,
            data_dir: self.path.clone(),
            temporary,
            child: None,
        })
    }

    /// One of PostgreSQL's programs, under the account, with nothing of the caller's environment it would heed.
    fn command(&self, binaries: &Path, program: &str, account: Account) -> Command {
        let mut command = Command::new(binaries.join(program));
        for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("PG")) {
            command.env_remove(variable);
        }
        command.current_dir(&self.path).env("LC_ALL", "C");
        account.apply(&mut command);
        command
    }
}
