//! Work on the index that takes longer than a request: one at a time, with its progress.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::collection::{Phase, Progress};

/// Jobs that are remembered after their end.
const REMEMBERED: usize = 100;

/// A job, as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct JobBody {
    /// Its name.
    job: String,
    /// What became of it.
    state: JobState,
    /// What it is doing: `scan`, `encode`, `merge` or `features`.
    phase: &'static str,
    /// Files dealt with.
    done: u64,
    /// Files to deal with; 0 while it is not known.
    total: u64,
    /// What it did, in one line, once it is done.
    summary: Option<String>,
    /// Why it failed.
    error: Option<String>,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// The server stopped it; what was done is committed.
    Interrupted,
    /// It failed; what was committed stays.
    Failed,
}

/// All jobs since the server began.
#[derive(Default)]
pub(crate) struct Jobs {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The oldest first, the running one last.
    jobs: Vec<JobBody>,
    begun: u64,
    stopping: bool,
    thread: Option<JoinHandle<()>>,
}

/// What a job's work returns: a summary and whether it was interrupted.
pub(crate) type Outcome = Result<(String, bool), String>;

impl Jobs {
    /// Begins a job; refuses it while another runs.
    pub(crate) fn begin(
        &self,
        work: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Outcome + Send + 'static,
    ) -> Result<JobBody, Problem> {
        let mut state = lock(&self.state);
        if let Some(running) = state.jobs.last().filter(|job| job.state == JobState::Running) {
            let detail = format!("{} is running: wait for its end", running.job);
            return Err(Problem::new(StatusCode::CONFLICT, "index_busy", detail));
        }
        state.begun += 1;
        let job = JobBody {
            job: format!("job-{}", state.begun),
            state: JobState::Running,
            phase: phase(Phase::Scan),
            done: 0,
            total: 0,
            summary: None,
            error: None,
        };
        state.jobs.push(job.clone());
        let forgotten = state.jobs.len().saturating_sub(REMEMBERED);
        state.jobs.drain(..forgotten);
        let shared = Arc::clone(&self.state);
        let run = move || {
            let outcome = work(&mut |progress| note(&shared, progress));
            end(&shared, outcome);
        };
        let thread = thread::Builder::new().name("job".into()).spawn(run);
        let thread = thread.map_err(|error| Problem::internal(error.to_string()))?;
        state.thread = Some(thread);
        Ok(job)
    }

    pub(crate) fn get(&self, name: &str) -> Option<JobBody> {
        lock(&self.state).jobs.iter().find(|job| job.job == name).cloned()
    }

    /// Lets the running job commit what it has, and waits for that.
    pub(crate) fn stop(&self) {
        let thread = {
            let mut state = lock(&self.state);
            state.stopping = true;
            state.thread.take()
        };
        // A job that panicked has nothing more to commit.
        let _ = thread.map(JoinHandle::join);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(state: &Mutex<State>, progress: Progress) -> ControlFlow<()> {
    let mut state = lock(state);
    if let Some(job) = state.jobs.last_mut() {
        job.phase = phase(progress.phase);
        (job.done, job.total) = (progress.done, progress.total);
    }
    if state.stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn end(state: &Mutex<State>, outcome: Outcome) {
    let mut state = lock(state);
    let Some(job) = state.jobs.last_mut() else { return };
    match outcome {
        Ok((summary, interrupted)) => {
            job.state = if interrupted { JobState::Interrupted } else { JobState::Done };
            job.summary = Some(summary);
        }
        Err(error) => (job.state, job.error) = (JobState::Failed, Some(error)),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scan",
        Phase::Encode => "encode",
        Phase::Merge => "merge",
        Phase::Features => "features",
    }
}
