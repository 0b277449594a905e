//! The two streams: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::Style;

use sightword::wire::raw_bytes;

use super::paths::Viewpoint;
use super::sanitize;

/// Where a verb prints. Knows what each stream is, so that verbs need not ask.
pub(crate) struct Console {
    out: Box<dyn Write>,
    out_is_terminal: bool,
    out_has_color: bool,
    err_is_terminal: bool,
    quiet: bool,
    viewpoint: Viewpoint,
}

impl Console {
    /// The process's own streams; a quiet one prints and says nothing but errors.
    pub(crate) fn new(color: ColorChoice, quiet: bool) -> Self {
        let out = io::stdout();
        // The order of flag, environment variables and terminal is anstream's. Its stripping is
        // not used: it would also strip the names that are printed.
        let choice = if color == ColorChoice::Auto { AutoStream::choice(&out) } else { color };
        Self {
            out_is_terminal: out.is_terminal(),
            out_has_color: choice != ColorChoice::Never,
            out: if quiet { Box::new(io::sink()) } else { Box::new(BufWriter::new(out.lock())) },
            err_is_terminal: io::stderr().is_terminal(),
            quiet,
            viewpoint: Viewpoint::here(),
        }
    }

    /// Standard output, for data.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Whether results go to a person.
    pub(crate) fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Whether progress may be drawn.
    pub(crate) fn shows_progress(&self) -> bool {
        self.err_is_terminal && !self.quiet
    }

    pub(crate) fn viewpoint(&self) -> &Viewpoint {
        &self.viewpoint
    }

    /// `text` in `style` if standard output has colour.
    pub(crate) fn paint(&self, style: Style, text: impl Display) -> String {
        if self.out_has_color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    /// A token or label of the model's, safe for where standard output goes.
    pub(crate) fn word(&self, word: &str) -> String {
        if self.out_is_terminal { sanitize::text(word) } else { word.to_owned() }
    }

    /// The bytes of a path for standard output: as it opens from here, escaped only on a terminal.
    pub(crate) fn path_bytes(&self, path: &Path) -> Vec<u8> {
        let shown = self.viewpoint.shown(path);
        if self.out_is_terminal {
            sanitize::name(shown.as_os_str()).into_bytes()
        } else {
            raw_bytes(&shown)
        }
    }

    /// A path for standard error, always safe to print.
    pub(crate) fn path_said(&self, path: &Path) -> String {
        sanitize::name(self.viewpoint.shown(path).as_os_str())
    }

    /// A line for people: summaries, hints.
    pub(crate) fn say(&self, message: impl Display) {
        if !self.quiet {
            self.write_error(&message.to_string());
        }
    }

    /// A warning: the result stands, but someone should know.
    pub(crate) fn warn(&self, message: impl Display) {
        self.say(format_args!("sightword: warning: {message}"));
    }

    /// An error, said even when quiet.
    pub(crate) fn fail(&self, message: &str) {
        self.write_error(message);
    }

    fn write_error(&self, message: &str) {
        let safe = if self.err_is_terminal { sanitize::lines(message) } else { message.to_owned() };
        // There is nowhere left to say that standard error is gone.
        let _ = writeln!(io::stderr(), "{safe}");
    }

    /// Hands everything printed to the system; a reader that went away shows here at the latest.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
