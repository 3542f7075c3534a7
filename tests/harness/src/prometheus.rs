//! Where is a real Prometheus, and what is there for it to scrape?

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::cache;
use crate::ports;
use crate::processes;
use crate::progress::Progress;
use crate::tools::{Tool, Tools};

/// How long it may take to begin, or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A Prometheus with a folder of its own. Dropped, it ends and its folder goes.
#[derive(Debug)]
pub struct Prometheus {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Prometheus {
    /// Starts one called `name` that asks each of the targets for its metrics every `interval`, and waits until it
    /// answers. What an earlier run left under that name goes first.
    pub fn start(
        name: &str,
        interval: Duration,
        targets: &[SocketAddr],
        progress: &dyn Progress,
    ) -> anyhow::Result<Self> {
        let binary = Tools::ensure(&[Tool::Prometheus], progress)?.path(Tool::Prometheus).to_path_buf();
        let folder = cache::root()?.join("prometheus").join(name);
        clear(&folder)?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let config = configuration(interval, targets).to_string();
        fs::write(folder.join("prometheus.yml"), config).context("cannot write Prometheus's configuration")?;
        let mut server = Self { binary, folder, port: 0, child: None };
        // Somebody else may take a free port before the server does.
        let mut attempts = 3;
        loop {
            attempts -= 1;
            server.port = ports::free()?;
            match server.resume() {
                Ok(()) => return Ok(server),
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// The address of its HTTP API, such as `http://127.0.0.1:9090`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Kills it, as a lost node would. What it has written stays, for [`Prometheus::resume`].
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().context("cannot kill Prometheus")?;
        child.wait().context("cannot wait for Prometheus")?;
        Ok(())
    }

    /// Starts it again at its address, with what it had written, and waits until it answers.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        let log_path = self.folder.join("log");
        let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
        let child = Command::new(&self.binary)
            .arg(format!("--config.file={}", self.folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", self.folder.join("data").display()))
            .arg(format!("--web.listen-address={}", self.address()))
            .args(["--storage.tsdb.no-lockfile", "--log.level=warn"])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        fs::write(pid_path(&self.folder), format!("{}\n", child.id())).context("cannot write Prometheus's number")?;
        self.child = Some(child);
        if let Err(error) = self.wait_until_ready() {
            self.kill()?;
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            return Err(error.context(format!("Prometheus does not start at {}:\n{}", self.url(), said.trim_end())));
        }
        Ok(())
    }

    /// What an instant query answers: the value of each series.
    pub fn query(&self, promql: &str) -> anyhow::Result<Vec<f64>> {
        let (status, body) = get(&self.address(), &format!("/api/v1/query?query={}", encoded(promql)))?;
        anyhow::ensure!(status == 200, "{promql}: {body}");
        let answer: Value = serde_json::from_str(&body).with_context(|| format!("no JSON: {body}"))?;
        let series = answer["data"]["result"].as_array().with_context(|| format!("no vector: {body}"))?;
        let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok());
        series.iter().map(|one| value(one).with_context(|| format!("no number: {one}"))).collect()
    }

    fn address(&self) -> String {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).to_string()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let address = self.address();
        loop {
            let ended = self.child.as_mut().map(Child::try_wait).transpose().context("cannot wait for Prometheus")?;
            if let Some(status) = ended.flatten() {
                anyhow::bail!("it ended with {status}");
            }
            if get(&address, "/-/ready").is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "it is not ready after {} s", PATIENCE.as_secs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("Prometheus at {} was not stopped: {error:#}", self.url());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn pid_path(folder: &Path) -> PathBuf {
    folder.join("pid")
}

/// Ends the one that still runs in this folder, and removes the folder.
fn clear(folder: &Path) -> anyhow::Result<()> {
    let mark = folder.display().to_string();
    if let Some(process) = processes::written_in(&pid_path(folder)).filter(|process| process.runs(&mark)) {
        process.signal("KILL")?;
        anyhow::ensure!(process.gone_within(&mark, PATIENCE), "Prometheus in {mark} does not end");
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {mark}"))
        }
        _ => Ok(()),
    }
}

/// Prometheus's configuration; JSON is YAML.
fn configuration(interval: Duration, targets: &[SocketAddr]) -> Value {
    let interval = format!("{}ms", interval.as_millis());
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    json!({
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        // The metrics name the instances' namespaces themselves.
        "scrape_configs": [{"job_name": "test", "honor_labels": true, "static_configs": [{"targets": targets}]}],
    })
}

/// What `GET path` answers: the status and the body.
fn get(address: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok()).context("no HTTP status")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

/// Text as part of an address.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        use std::fmt::Write;
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// Series by how they are written, such as `app_up{namespace="gtc-a"}`.
type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// Metrics that a test changes at will, for a [`Prometheus`] to scrape. Dropped, they are no longer answered.
#[derive(Debug)]
pub struct Exposition {
    address: SocketAddr,
    values: Values,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exposition {
    /// Answers every request on a free port with what it is told; with nothing, at first.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no local port is free")?;
        let address = listener.local_addr().context("the port just opened has no address")?;
        let (values, is_over) = (Values::default(), Arc::new(AtomicBool::new(false)));
        let (told, ended) = (Arc::clone(&values), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever asked and went away asks again.
                let _ = answer(stream, &told);
            }
        });
        Ok(Self { address, values, is_over, thread: Some(thread) })
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a series, such as `app_up{namespace="gtc-a"}`, this value from now on.
    pub fn set(&self, series: &str, value: f64) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).insert(series.to_owned(), value);
    }

    /// Leaves a series out from now on.
    pub fn remove(&self, series: &str) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).remove(series);
    }
}

impl Drop for Exposition {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Its thread waits for whoever comes next.
        let is_woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| is_woken) {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, values: &Values) -> std::io::Result<()> {
    stream.set_read_timeout(Some(ANSWER))?;
    let mut lines = BufReader::new(&stream).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let values = values.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let body = values.iter().fold(String::new(), |text, (series, value)| format!("{text}{series} {value}\n"));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test fails by panicking.

    use super::{Exposition, Prometheus, encoded};
    use crate::progress::Terminal;
    use std::time::{Duration, Instant};

    #[test]
    fn a_query_survives_an_address() {
        assert_eq!(encoded("up{a=\"é\"}+1"), "up%7Ba%3D%22%C3%A9%22%7D%2B1");
    }

    #[test]
    fn what_a_test_exposes_is_what_prometheus_answers_and_it_outlives_a_kill() {
        let exposition = Exposition::start().unwrap();
        let name = format!("harness-{}", std::process::id());
        let interval = Duration::from_millis(200);
        let mut prometheus = Prometheus::start(&name, interval, &[exposition.address()], &Terminal).unwrap();
        let series = "app_up{namespace=\"gtc-a\"}";
        let until = |prometheus: &Prometheus, expected: &[f64]| {
            let begun = Instant::now();
            loop {
                let seen = prometheus.query(series).unwrap();
                if seen == expected {
                    return;
                }
                assert!(begun.elapsed() < Duration::from_secs(10), "{seen:?} instead of {expected:?}");
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        until(&prometheus, &[]);
        exposition.set(series, 1.0);
        until(&prometheus, &[1.0]);
        exposition.set(series, 0.0);
        until(&prometheus, &[0.0]);
        exposition.remove(series);
        until(&prometheus, &[]);
        exposition.set(series, 1.0);
        until(&prometheus, &[1.0]);
        prometheus.kill().unwrap();
        assert!(prometheus.query(series).is_err());
        // It still knows what it was told, with nobody there to tell it again.
        drop(exposition);
        prometheus.resume().unwrap();
        assert_eq!(prometheus.query(&format!("count_over_time({series}[5m])")).unwrap().len(), 1);
        let folder = prometheus.folder.clone();
        drop(prometheus);
        assert!(!folder.exists());
    }
}
