//! Work on many items by several threads, in bounded memory.

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    panic::resume_unwind,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossbeam_channel::{Sender, bounded};

/// Applies `work` to every item on `jobs` threads and hands each result to `sink`, which runs on
/// the calling thread.
///
/// Results come in the order in which they are finished. An item is taken from `items` only when a
/// thread is free, and a thread waits when `jobs` results wait for the sink, so at most
/// `3 * jobs` items and results exist at a time, however many there are. When `sink` breaks,
/// no further item is begun, and the results under way are dropped.
///
/// # Panics
/// If `work`, `items` or `sink` panics, the other threads finish what they have in hand, and the
/// panic goes on in the caller. If the system refuses to start a thread.
pub fn parallel_map<I, O>(
    items: impl Iterator<Item = I> + Send,
    jobs: NonZeroUsize,
    work: impl Fn(I) -> O + Sync,
    mut sink: impl FnMut(O) -> ControlFlow<()>,
) where
    I: Send,
    O: Send,
{
    let items = Mutex::new(items);
    let failed = AtomicBool::new(false);
    let (sender, receiver) = bounded(jobs.get());
    thread::scope(|scope| {
        let start = |_| {
            // Moved in, so that the channel ends with the last worker.
            let sender = sender.clone();
            let (items, work, failed) = (&items, &work, &failed);
            scope.spawn(move || run_worker(items, work, &sender, failed))
        };
        let workers: Vec<_> = (0..jobs.get()).map(start).collect();
        drop(sender);
        for output in &receiver {
            if sink(output).is_break() {
                break;
            }
        }
        // Without a receiver every send fails, which is how the workers learn of a break.
        drop(receiver);
        for worker in workers {
            if let Err(panic) = worker.join() {
                resume_unwind(panic);
            }
        }
    });
}

fn run_worker<I, O>(
    items: &Mutex<impl Iterator<Item = I>>,
    work: &impl Fn(I) -> O,
    results: &Sender<O>,
    failed: &AtomicBool,
) {
    let _alarm = Alarm(failed);
    while !failed.load(Ordering::Relaxed) {
        // A poisoned lock: the iterator panicked on another thread, which reports it.
        let Ok(next) = items.lock().map(|mut items| items.next()) else { return };
        let Some(item) = next else { return };
        if results.send(work(item)).is_err() {
            return;
        }
    }
}

/// Tells the other workers when its thread panics.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
