//! Errors as a person reads them: what failed, on what, and the next command.

use std::io;

use sightword::query::ParseError;

/// What stands between a message and its remedy.
const REMEDY: &str = "\n  try: ";

/// `sightword: error: …`, the chain of causes on one line, then the remedies.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut remedies: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (what, remedy) = text.split_once(REMEDY).unwrap_or((&text, ""));
        // A transparent error repeats its source.
        if !told.iter().any(|earlier| earlier.ends_with(what)) {
            told.push(what.to_owned());
        }
        if !remedy.is_empty() && !remedies.iter().any(|earlier| earlier == remedy) {
            remedies.push(remedy.to_owned());
        }
    }
    let mut message = format!("sightword: error: {}", told.join(": "));
    if let Some(error) = error.downcast_ref::<ParseError>() {
        for line in error.caret().lines() {
            message.push_str("\n    ");
            message.push_str(line);
        }
    }
    for remedy in remedies {
        message.push_str(REMEDY);
        message.push_str(&remedy);
    }
    message
}

/// Whether the reader of our output went away, as `head` does: no error of ours.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause
            .downcast_ref::<io::Error>()
            .map(io::Error::kind)
            .or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind());
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn the_remedy_stands_last_whatever_the_cause() {
        let inner = anyhow!("no index here or above\n  try: sightword index .");
        let error = inner.context("cannot search");
        let expected = "sightword: error: cannot search: no index here or above\
                        \n  try: sightword index .";
        assert_eq!(message(&error), expected);
    }

    #[test]
    fn a_query_error_points_at_its_place() {
        let error = anyhow::Error::from(sightword::query::parse("dog - cat").unwrap_err());
        let message = message(&error);
        assert!(message.ends_with("\n    dog - cat\n        ^"), "{message}");
    }

    #[test]
    fn a_reader_that_went_away_is_seen_through_context() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Err::<(), _>(broken()).context("cannot print").unwrap_err();
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow!("cannot print")));
    }
}
