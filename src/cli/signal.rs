//! Ctrl-C. The first one during indexing asks to finish the batch and commit, the second aborts;
//! everywhere else the system's default holds.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a process that was interrupted: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);
static MAY_FINISH: AtomicBool = AtomicBool::new(false);

/// While it lives, the first Ctrl-C only asks.
pub(crate) struct Grace(());

impl Grace {
    /// Begins to catch Ctrl-C.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        MAY_FINISH.store(true, Ordering::SeqCst);
        match ctrlc::set_handler(on_signal) {
            Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(Self(())),
            Err(error) => Err(anyhow::Error::from(error).context("cannot catch Ctrl-C")),
        }
    }

    /// `Break` once the user asked to stop.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if ASKED.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        MAY_FINISH.store(false, Ordering::SeqCst);
    }
}

fn on_signal() {
    if ASKED.swap(true, Ordering::SeqCst) || !MAY_FINISH.load(Ordering::SeqCst) {
        // Whatever was committed stays; the rest is done again by the next run.
        process::exit(i32::from(INTERRUPTED));
    }
    let _ = writeln!(
        io::stderr(),
        "\nsightword: stopping: finishing what was begun (Ctrl-C again aborts it)"
    );
}
