//! Which of the processes whose numbers were written down still run?

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

/// A process, as written into a file when it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(pub u32);

impl Process {
    /// Whether it runs and is what it was: `mark` stands in its command line. After a restart of the machine the same
    /// number may belong to anybody. A zombie has no command line and so counts as gone.
    pub fn runs(self, mark: &str) -> bool {
        fs::read(format!("/proc/{}/cmdline", self.0))
            .is_ok_and(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(mark))
    }

    /// Sends it a signal, such as `TERM`; that it is gone already is no error.
    pub fn signal(self, signal: &str) -> anyhow::Result<()> {
        let output = std::process::Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.0.to_string())
            .output()
            .context("cannot run kill")?;
        let gone = !Path::new(&format!("/proc/{}", self.0)).exists();
        anyhow::ensure!(
            output.status.success() || gone,
            "kill -{signal} {}: {}",
            self.0,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(())
    }

    /// Waits until it is gone; false if it outlives `patience`.
    pub fn gone_within(self, mark: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.runs(mark) {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

/// The process whose number is the first line of the file.
pub(crate) fn written_in(path: &Path) -> Option<Process> {
    fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok().map(Process)
}
