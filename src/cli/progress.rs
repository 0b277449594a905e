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
        bar.set_style(style("{prefix} {done}"));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// Shows where the work stands.
    pub(crate) fn update(&self, progress: &Progress) {
        let phase = name(progress.phase);
        if self.0.prefix() != phase {
            self.0.set_prefix(phase);
            self.0.reset();
            let known = progress.total > 0;
            self.0.set_style(style(if known { COUNTED } else { "{prefix} {done}" }));
        }
        if progress.total > 0 {
            self.0.set_length(progress.total);
        }
        self.0.set_position(progress.done);
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
        _ => "encode",
    }
}

const COUNTED: &str = "{prefix} {done}/{total} ▕{bar:24}▏ {rate} img/s ETA {left}";

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
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let digits = usize::from(state.per_sec() < 10.0);
            let _ = write!(out, "{:.digits$}", state.per_sec());
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&format::whole_seconds(state.eta()));
        })
}
