//! How long does a query take?

use std::time::{Duration, Instant};

use serde::Serialize;

use super::bootstrap::quantile;
use super::error::EvalError;
use super::measures::PAGE;
use super::queries::{Query, compile_plain};
use super::trial::Trial;

/// Texts that are timed, spread evenly over all.
const TIMED: usize = 500;

/// Times of one thread, in milliseconds, the model being ready.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Texts timed.
    pub texts: usize,
    /// From a text to a query: tokenizer, text tower or table.
    pub encode: Times,
    /// From a query to its first ten photos.
    pub search: Times,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// Half of all took no longer.
    pub median: f64,
    /// 99 % took no longer.
    pub p99: f64,
}

pub(crate) fn latency(trial: &Trial<'_>, texts: &[Query]) -> Result<Latency, EvalError> {
    let every = texts.len().div_ceil(TIMED).max(1);
    let (mut encode, mut search) = (Vec::new(), Vec::new());
    for text in texts.iter().step_by(every) {
        let begun = Instant::now();
        let query = compile_plain(trial.encoder, &text.text, trial.options.mode)?;
        let encoded = Instant::now();
        trial.index.best(&query.sparse, PAGE)?;
        search.push(encoded.elapsed());
        encode.push(encoded - begun);
    }
    Ok(Latency { texts: encode.len(), encode: times(&encode), search: times(&search) })
}

fn times(durations: &[Duration]) -> Times {
    let mut milliseconds: Vec<f64> =
        durations.iter().map(|duration| duration.as_secs_f64() * 1e3).collect();
    milliseconds.sort_by(f64::total_cmp);
    // To a microsecond: the clock has no more to say.
    let at = |share| (quantile(&milliseconds, share).unwrap_or(0.0) * 1e3).round() / 1e3;
    Times { median: at(0.5), p99: at(0.99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_milliseconds() {
        let durations: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let found = times(&durations);
        assert_eq!(found, Times { median: 100.0, p99: 198.0 });
        assert_eq!(times(&[]), Times { median: 0.0, p99: 0.0 });
    }
}
