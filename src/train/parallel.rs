//! Work on each photo, on all cores, that can be stopped.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::ingest::parallel_map;

use super::error::TrainError;

/// Is told how many of how many are done, and says whether to go on.
pub(crate) type OnDone<'a> = dyn FnMut(usize, usize) -> ControlFlow<()> + 'a;

/// Hands `work(0)` to `work(count - 1)` to `keep`, in the order in which they are finished. The first
/// error ends it, and so does `on_done`, which is what `Break` tells.
pub(crate) fn for_each<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, TrainError> + Sync,
    mut keep: impl FnMut(usize, T) -> Result<(), TrainError>,
    on_done: &mut OnDone<'_>,
) -> Result<ControlFlow<()>, TrainError> {
    let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut done = 0;
    let mut end = Ok(ControlFlow::Continue(()));
    let numbered = |at| (at, work(at));
    parallel_map(0..count, jobs, numbered, |(at, result)| {
        done += 1;
        end = result.and_then(|result| keep(at, result)).map(|()| on_done(done, count));
        if matches!(end, Ok(ControlFlow::Continue(()))) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    end
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn all_results_come_and_a_break_or_an_error_ends_it() {
        let sum = Cell::new(0);
        let add = |_, number: usize| {
            sum.set(sum.get() + number);
            Ok(())
        };
        let ran = for_each(10, Ok, add, &mut |_, _| ControlFlow::Continue(()));
        assert!(ran.unwrap().is_continue());
        assert_eq!(sum.take(), 45);
        let ran = for_each(10, Ok, add, &mut |_, _| ControlFlow::Break(()));
        assert!(ran.unwrap().is_break());
        assert!(sum.take() < 45);
        let failing = |_| Err::<usize, _>(TrainError::Data { what: "no".to_owned() });
        assert!(for_each(10, failing, add, &mut |_, _| ControlFlow::Continue(())).is_err());
    }
}
