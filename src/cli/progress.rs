//! The bar on standard error: one over the whole run, with rate and time left.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use sightword::collection::{Phase, Progress};

use super::console::Console;
use super::format;

/// Draws progress if standard error is a terminal; else does nothing.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(console: &Console) -> Self {
        let target = if console.shows_progress() {
            ProgressDrawTarget::stderr_with_hz(8)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style(UNCOUNTED));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// Shows where the work stands.
    pub(crate) fn update(&self, progress: &Progress) {
        let unit = matches!(progress.phase, Phase::Encode | Phase::Features).then_some("img");
        self.count(name(progress.phase), unit, progress.done, progress.total);
    }

    /// Shows `done` of `total` (0: not known) in a phase; with rate and time left, counted from the
    /// first `done` of the phase, if what is done has a unit.
    pub(crate) fn count(&self, phase: &str, unit: Option<&'static str>, done: u64, total: u64) {
        if self.0.prefix() != phase {
            let style = unit.map_or_else(|| style(UNCOUNTED), |unit| paced(unit, done));
            self.0.set_style(style);
            self.0.set_prefix(phase.to_owned());
            self.0.reset();
        }
        if total > 0 {
            self.0.set_length(total);
        }
        self.0.set_position(done);
    }

    /// Takes the bar away while something else is said.
    pub(crate) fn suspend(&self, say: impl FnOnce()) {
        self.0.suspend(say);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scan",
        Phase::Merge => "merge",
        Phase::Features => "features",
        _ => "encode",
    }
}

const UNCOUNTED: &str = "{prefix} {done}";
const COUNTED: &str = "{prefix} {done}/{total} ▕{bar:24}▏{pace}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("██░")
        .with_key("done", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&format::count(state.pos()));
        })
        .with_key("total", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&format::count(state.len().unwrap_or(0)));
        })
}

/// The style of a phase that began behind `start` of its `unit`.
fn paced(unit: &'static str, start: u64) -> ProgressStyle {
    style(COUNTED).with_key("pace", move |state: &ProgressState, out: &mut dyn Write| {
        let left = state.len().unwrap_or(0).saturating_sub(state.pos());
        let done = state.pos().saturating_sub(start);
        let _ = out.write_str(&pace(unit, done, left, state.elapsed()));
    })
}

/// ` 38 img/s ETA 1m48s`, by the mean over the whole phase; nothing before the first one is done.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn pace(unit: &str, done: u64, left: u64, elapsed: Duration) -> String {
    if done == 0 || elapsed.is_zero() {
        return String::new();
    }
    let rate = done as f64 / elapsed.as_secs_f64();
    let digits = usize::from(rate < 10.0);
    let eta = Duration::try_from_secs_f64(left as f64 / rate).unwrap_or(Duration::MAX);
    format!(" {rate:.digits$} {unit}/s ETA {}", format::whole_seconds(eta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_whole_run() {
        assert_eq!(pace("img", 0, 100, Duration::from_secs(3)), "");
        assert_eq!(pace("img", 380, 4104, Duration::from_secs(10)), " 38 img/s ETA 1m48s");
        assert_eq!(pace("step", 5, 5, Duration::from_secs(2)), " 2.5 step/s ETA 2s");
    }
}
