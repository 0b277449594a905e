//! Many threads, every item once, bounded memory, no hanging.

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use sightword::ingest::parallel_map;

fn jobs(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[test]
fn every_item_is_worked_on_once_whatever_the_number_of_threads() {
    for count in [1, 2, 3, 16] {
        let mut results = Vec::new();
        parallel_map(
            0..100,
            jobs(count),
            |item| item * 2,
            |result| {
                results.push(result);
                ControlFlow::Continue(())
            },
        );
        results.sort_unstable();
        assert_eq!(results, (0..100).map(|item| item * 2).collect::<Vec<_>>());
    }
}

#[test]
fn nothing_to_do_is_done_at_once() {
    parallel_map(0..0, jobs(4), |item: i32| item, |_| ControlFlow::Continue(()));
}

#[test]
fn few_items_are_alive_at_a_time() {
    let alive = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let items = (0..500).inspect(|_| {
        most.fetch_max(alive.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    });
    parallel_map(
        items,
        jobs(4),
        |item| item,
        |_| {
            alive.fetch_sub(1, Ordering::SeqCst);
            ControlFlow::Continue(())
        },
    );
    // One in the hands of each worker, four in the queue, one in the sink.
    assert!(most.load(Ordering::SeqCst) <= 9, "{most:?}");
}

#[test]
fn a_break_stops_the_workers_although_the_items_never_end() {
    let begun = AtomicUsize::new(0);
    let mut seen = 0;
    parallel_map(
        0..,
        jobs(3),
        |_: u64| begun.fetch_add(1, Ordering::SeqCst),
        |_| {
            seen += 1;
            if seen == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    assert_eq!(seen, 10);
    assert!(begun.load(Ordering::SeqCst) <= 10 + 6, "{begun:?}");
}

fn message_of_panic(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    panic.downcast_ref::<&str>().map(ToString::to_string).unwrap()
}

#[test]
fn a_panic_in_the_work_goes_on_in_the_caller_and_ends_the_rest() {
    let message = message_of_panic(|| {
        parallel_map(
            0..,
            jobs(3),
            |item: u64| assert!(item != 20, "twenty"),
            |()| ControlFlow::Continue(()),
        );
    });
    assert_eq!(message, "twenty");
}

#[test]
fn a_panic_of_the_items_goes_on_in_the_caller() {
    let items = (0..).inspect(|item| assert!(*item != 20, "items"));
    let message = message_of_panic(|| {
        parallel_map(items, jobs(3), |item: u64| item, |_| ControlFlow::Continue(()));
    });
    assert_eq!(message, "items");
}

#[test]
fn a_panic_in_the_sink_does_not_leave_workers_behind() {
    let message =
        message_of_panic(|| parallel_map(0.., jobs(3), |item: u64| item, |_| panic!("sink")));
    assert_eq!(message, "sink");
}
