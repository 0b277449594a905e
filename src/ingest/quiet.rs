//! A decoder's panic is an error of one file, and stays silent.
//!
//! Catching a panic is local; its message, however, is printed by the process-wide panic hook
//! before anything can catch it. A library must not replace that hook behind its user's back, so
//! the program does it, once, by [`silence_decoder_panics`]; the hook tells decoding threads from
//! others by a thread-local flag.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
    thread,
};

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// `jpeg-decoder` works on threads of its own, whose names begin so.
const JPEG_THREADS: &str = "worker thread for component";

/// Keeps the messages of panics inside picture decoders from standard error.
///
/// Such panics are caught either way and become [`DecodeError`](super::DecodeError)s. Call this
/// once at the start of a program. It wraps the panic hook that is set at that moment and passes
/// every other panic on to it. Further calls do nothing.
pub fn silence_decoder_panics() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |panic| {
            if !is_decoding() {
                previous(panic);
            }
        }));
    });
}

fn is_decoding() -> bool {
    // The flag is gone while a thread's locals are destroyed; nothing decodes then.
    DECODING.try_with(Cell::get).unwrap_or(false)
        || thread::current().name().is_some_and(|name| name.starts_with(JPEG_THREADS))
}

/// Runs a decoder; its panic comes back as the panic's message.
pub(super) fn catch<T>(decoder: impl FnOnce() -> T) -> Result<T, String> {
    let before = DECODING.replace(true);
    // The decoder owns or only reads all that it touches: nothing half-changed outlives it.
    let outcome = catch_unwind(AssertUnwindSafe(decoder));
    DECODING.set(before);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    #[test]
    fn a_panic_comes_back_as_its_message_and_the_flag_is_reset() {
        silence_decoder_panics();
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| panic!("row {}", 3)), Err::<(), _>("row 3".to_owned()));
        assert!(!is_decoding());
    }

    #[test]
    #[ignore = "run as a process of its own by the next test"]
    fn panics_in_a_decoder_then_in_the_program() {
        silence_decoder_panics();
        assert!(catch::<()>(|| panic!("hidden")).is_err());
        panic!("seen");
    }

    #[test]
    fn the_message_of_a_decoder_stays_off_standard_error_and_others_do_not() {
        let test = "ingest::quiet::tests::panics_in_a_decoder_then_in_the_program";
        let arguments = [test, "--exact", "--ignored", "--nocapture"];
        let run = Command::new(env::current_exe().unwrap()).args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(errors.contains("seen") && !errors.contains("hidden"), "{errors}");
    }
}
