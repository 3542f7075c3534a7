//! What is being waited for, and for how long already?

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Told about everything that takes longer than a person likes to wait in the dark.
pub trait Progress {
    /// `what` begins; it has ended when the step is finished or dropped.
    fn begin(&self, what: &str) -> Box<dyn Step>;
}

/// Something that is going on.
pub trait Step {
    /// It ended well. A step dropped without this has failed.
    fn finish(self: Box<Self>);
}

/// Says nothing: for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str) -> Box<dyn Step> {
        Box::new(SilentStep)
    }
}

struct SilentStep;

impl Step for SilentStep {
    fn finish(self: Box<Self>) {}
}

/// A spinner with the elapsed time for each step, on standard error; plain lines where that is no terminal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal;

impl Progress for Terminal {
    fn begin(&self, what: &str) -> Box<dyn Step> {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            eprintln!("… {what}");
        }
        Box::new(TerminalStep { what: what.to_owned(), since: Instant::now(), bar, finished: false })
    }
}

struct TerminalStep {
    what: String,
    since: Instant,
    bar: Option<ProgressBar>,
    finished: bool,
}

impl Step for TerminalStep {
    fn finish(mut self: Box<Self>) {
        self.finished = true;
    }
}

impl Drop for TerminalStep {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let mark = if self.finished { '✓' } else { '✗' };
        eprintln!("{mark} {} ({:.1} s)", self.what, self.since.elapsed().as_secs_f64());
    }
}
