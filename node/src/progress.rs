//! How far a long command is: a bar where stderr is a terminal, otherwise a line now and then.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The progress of one command.
pub struct Progress {
    what: &'static str,
    bar: ProgressBar,
    is_terminal: bool,
    last_line: Option<Instant>,
}

impl Progress {
    /// Progress over `length` units, such as bytes or blocks.
    pub fn new(what: &'static str, length: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        // The template is a constant that parses; should it ever not, the default bar is as good.
        let style = ProgressStyle::with_template("{prefix} {bar:30} {percent:>3}%  {msg}  eta {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(what);
        Self { what, bar, is_terminal, last_line: None }
    }

    /// Shows where the command is; `detail` is asked for only when it is shown.
    pub fn at(&mut self, position: u64, detail: impl FnOnce() -> String) {
        if self.is_terminal {
            self.bar.set_position(position);
            self.bar.set_message(detail());
        } else if self.last_line.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) {
            self.last_line = Some(Instant::now());
            let length = self.bar.length().unwrap_or_default().max(1);
            tell!("{} {}%  {}", self.what, position.saturating_mul(100) / length, detail());
        }
    }

    /// Tells a line above the bar.
    pub fn tell(&self, line: &str) {
        self.bar.suspend(|| tell!("{line}"));
    }
}

impl Drop for Progress {
    /// What is told after it starts on a line of its own.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
