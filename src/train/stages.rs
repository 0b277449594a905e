//! The run: stages in order, each a loop of steps with measurements and checkpoints in between.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use candle_core::Tensor;

use super::batches::{Purpose, Sampler, random};
use super::checkpoint::{Checkpoint, Run, State};
use super::config::{Length, StagePart};
use super::dev::DevReport;
use super::error::TrainError;
use super::export::Export;
use super::learner::{Learner, first_weights, still_towers};
use super::measure::{evaluate, query_table};
use super::metrics::{DevLine, Line, Metrics, StepLine};
use super::photos::{Photos, prepare};
use super::plan::Plan;
use super::records::{Reason, Use};
use super::report::page;
use super::step::{Losses, Step};
use super::teachers::Teachers;

/// What a run tells while it goes on.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Photos that went through the frozen blocks.
    Photos {
        /// Done so far.
        done: usize,
        /// In all.
        total: usize,
    },
    /// Photos that a teacher has looked at.
    Teachers {
        /// Done so far.
        done: usize,
        /// In all.
        total: usize,
    },
    /// What could not be used, in words.
    Skipped(&'a str),
    /// A step was done.
    Step {
        /// The stage.
        stage: &'a str,
        /// Steps of the stage that are done.
        done: usize,
        /// Steps of the stage in all.
        total: usize,
    },
    /// The model of the moment was measured on the dev photos.
    Measured {
        /// The stage.
        stage: &'a str,
        /// Steps of the stage that are done.
        step: usize,
        /// What was measured.
        report: &'a DevReport,
    },
}

/// Is told what happens, and says whether to go on.
pub type OnEvent<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// Trains as planned, up to the end of the stage `until` or of the last one, and exports the model.
///
/// Returns the model's folder, or `None` when `on_event` said to stop: then a checkpoint is there, and
/// the same call with `resume` goes on. A resumed run takes the same steps as one that was not stopped.
///
/// # Errors
/// [`TrainError`]; the last checkpoint stays.
pub fn train(
    mut plan: Plan,
    resume: bool,
    until: Option<&str>,
    on_event: &mut OnEvent<'_>,
) -> Result<Option<PathBuf>, TrainError> {
    let stages = plan.config.stages.clone();
    let last = match until {
        None => stages.len(),
        Some(name) => {
            1 + stages
                .iter()
                .position(|stage| stage.name == name)
                .ok_or_else(|| plan.config.wrong("stage", format!("no stage is named {name:?}")))?
        }
    };
    let checkpoint = Checkpoint::path(&plan.out);
    match (checkpoint.exists(), resume) {
        (true, false) => return Err(TrainError::Exists { path: plan.out }),
        // A run that was stopped before its first step has a folder, and no checkpoint.
        (false, true) if !plan.out.exists() => {
            return Err(TrainError::NothingToResume { path: plan.out });
        }
        _ => {}
    }
    let Some(prepared) = prepare_all(&mut plan, on_event)? else { return Ok(None) };
    let mut training = Training::begin(&plan, prepared, checkpoint.exists().then_some(checkpoint))?;
    for (number, stage) in stages.iter().enumerate().take(last) {
        if number >= training.state.stage && training.stage(number, stage, on_event)?.is_break() {
            return Ok(None);
        }
    }
    training.export().map(Some)
}

/// All that is computed before the first step.
struct Prepared {
    photos: Photos,
    dev: Photos,
    teachers: Teachers,
}

/// Brings all photos through the frozen blocks and the teachers; `None` when told to stop.
fn prepare_all(
    plan: &mut Plan,
    on_event: &mut OnEvent<'_>,
) -> Result<Option<Prepared>, TrainError> {
    std::fs::create_dir_all(&plan.out)
        .map_err(|source| TrainError::Io { path: plan.out.clone(), source })?;
    let before = plan.records.skipped.clone();
    let Some(photos) = bring(Use::Train, plan, on_event)? else { return Ok(None) };
    let Some(dev) = bring(Use::Dev, plan, on_event)? else { return Ok(None) };
    if let Some(&count) = plan.records.skipped.get(&Reason::BadPicture)
        && plan.records.skipped != before
    {
        // The first step asks again whether to stop.
        let _ = on_event(Event::Skipped(&Reason::BadPicture.told(count)));
    }
    let mut tell = |done, total| on_event(Event::Teachers { done, total });
    let folders = &plan.config.data.score_teachers;
    let teachers = Teachers::open(folders, &photos.list, &mut tell)?;
    Ok(teachers.map(|teachers| Prepared { photos, dev, teachers }))
}

fn bring(
    purpose: Use,
    plan: &mut Plan,
    on_event: &mut OnEvent<'_>,
) -> Result<Option<Photos>, TrainError> {
    let mut tell = |done, total| on_event(Event::Photos { done, total });
    let Plan { config, start, records, out, .. } = plan;
    prepare(purpose, records, config, start, out, &mut tell)
}

/// A run under way.
struct Training<'a> {
    plan: &'a Plan,
    photos: Photos,
    dev: Photos,
    teachers: Teachers,
    state: State,
    /// Steps that the checkpoint on disk holds.
    saved: Option<usize>,
    metrics: Metrics,
    /// All weights and their averages, as the last stage or the checkpoint left them.
    weights: BTreeMap<String, Tensor>,
    average: BTreeMap<String, Tensor>,
    /// Where the stage under way is gone on from, until it has begun.
    resumed: Option<Checkpoint>,
}

impl<'a> Training<'a> {
    fn begin(
        plan: &'a Plan,
        prepared: Prepared,
        checkpoint: Option<PathBuf>,
    ) -> Result<Self, TrainError> {
        let Prepared { photos, dev, teachers } = prepared;
        let weights = first_weights(plan, photos.features.map().1)?;
        let fresh = State::new(Run {
            config: plan.config.fingerprint(),
            records: format!("{} {}", plan.records.fingerprint(), photos.list.len()),
            model: plan.start.hash().to_owned(),
        });
        let resumed = checkpoint.map(|path| Checkpoint::open(&path, &fresh)).transpose()?;
        let (state, weights, average) = match &resumed {
            None => (fresh, weights.clone(), weights),
            Some(checkpoint) => (
                checkpoint.state.clone(),
                checkpoint.group("weights", &weights)?,
                checkpoint.group("average", &weights)?,
            ),
        };
        let metrics = Metrics::open(plan.out.join("metrics.jsonl"), state.total)?;
        let saved = resumed.is_some().then_some(state.total);
        Ok(Self { plan, photos, dev, teachers, state, saved, metrics, weights, average, resumed })
    }

    /// Goes through a stage, or what is left of it; `Break` when told to stop.
    fn stage(
        &mut self,
        number: usize,
        stage: &StagePart,
        on_event: &mut OnEvent<'_>,
    ) -> Result<ControlFlow<()>, TrainError> {
        let mut learner = Learner::new(self.plan, stage, &self.weights, &self.average)?;
        if let Some(checkpoint) = self.resumed.take() {
            learner.restore(&checkpoint)?;
        }
        let list = std::mem::take(&mut self.photos.list);
        let config = &self.plan.config;
        let shares = config.data.sets.iter().map(|set| set.share).collect();
        let views = self.photos.features.views();
        let key = (config.seed, number);
        let mut sampler = Sampler::new(&list, shares, views, stage.batch.get(), key);
        let steps = steps(stage, sampler.steps_per_epoch(), &self.plan.config)?;
        let mut flow = ControlFlow::Continue(());
        while self.state.step < steps && flow.is_continue() {
            let draws = sampler.draw(self.state.step);
            let mut random = random(config.seed, number, Purpose::Step, self.state.step);
            let step = Step::new(stage, (self.state.step, steps), self.plan, &list, &self.teachers);
            let features: Vec<(u64, usize)> =
                draws.iter().map(|draw| (list[draw.photo].entry, draw.view)).collect();
            let features = self.photos.features.read(&features, &self.plan.device)?;
            let losses = step.losses(&mut learner, &draws, &features, &mut random)?;
            self.take_step(stage, steps, &mut learner, losses)?;
            flow =
                on_event(Event::Step { stage: &stage.name, done: self.state.step, total: steps });
            let is_due = self.state.total.is_multiple_of(config.every.get());
            if is_due || self.state.step == steps {
                self.measure(stage, &learner, on_event)?;
            }
            if is_due || self.state.step == steps || flow.is_break() {
                self.save(&learner)?;
            }
        }
        self.photos.list = list;
        if flow.is_continue() {
            // The next stage begins with what was measured, and what would be exported.
            self.average = learner.average()?;
            self.weights = self.average.clone();
            (self.state.stage, self.state.step) = (number + 1, 0);
        }
        Ok(flow)
    }

    /// Checks the losses, changes the weights, and writes both down.
    fn take_step(
        &mut self,
        stage: &StagePart,
        steps: usize,
        learner: &mut Learner,
        losses: Losses,
    ) -> Result<(), TrainError> {
        let wrong = |loss: &str, value: f32| TrainError::NotFinite {
            loss: loss.to_owned(),
            value,
            step: self.state.step + 1,
            stage: stage.name.clone(),
            kept: self.kept(),
        };
        for (name, &value) in &losses.values {
            if !value.is_finite() {
                return Err(wrong(name, value));
            }
        }
        let done = learner.step(&losses.total, self.state.step, steps)?;
        if !done.gradient.is_finite() {
            return Err(wrong("gradient", done.gradient));
        }
        self.state.step += 1;
        self.state.total += 1;
        self.metrics.push(Line::Step(StepLine {
            step: self.state.total,
            stage: stage.name.clone(),
            learning_rate: done.learning_rate,
            losses: losses.values,
            image_tokens: losses.image_tokens,
            text_tokens: losses.text_tokens,
        }))
    }

    /// What is left when a run ends in an error.
    fn kept(&self) -> String {
        match self.saved {
            Some(step) => format!("the checkpoint of step {step} stays"),
            None => "there is no checkpoint yet".to_owned(),
        }
    }

    /// Measures the averaged weights on the dev photos, and draws the curves.
    fn measure(
        &mut self,
        stage: &StagePart,
        learner: &Learner,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), TrainError> {
        if !self.dev.list.is_empty() {
            let towers = still_towers(self.plan, &learner.average()?)?;
            let report = evaluate(&towers, self.plan, &mut self.dev)?;
            let (step, name) = (self.state.step, &stage.name);
            // The step's event asks whether to stop.
            let _ = on_event(Event::Measured { stage: name, step, report: &report });
            let line = DevLine { step: self.state.total, stage: name.clone(), report };
            self.metrics.push(Line::Dev(line))?;
        }
        let path = self.plan.out.join("report.html");
        let page = page(&self.plan.model.name, self.metrics.lines());
        crate::collection::write_atomically(&path, page.as_bytes())
            .map_err(|source| TrainError::Io { path, source })
    }

    fn save(&mut self, learner: &Learner) -> Result<(), TrainError> {
        let path = Checkpoint::path(&self.plan.out);
        Checkpoint::save(&path, &self.state, &learner.state()?)?;
        self.saved = Some(self.state.total);
        Ok(())
    }

    /// Writes the averaged weights as a model.
    fn export(&self) -> Result<PathBuf, TrainError> {
        let towers = still_towers(self.plan, &self.average)?;
        let mut weights = self.average.clone();
        weights.extend([query_table(&towers, self.plan, &self.photos)?]);
        let export = Export { start: &self.plan.start, config: &self.plan.model };
        export.write(&weights, &self.plan.out)
    }
}

/// How many steps a stage has.
fn steps(
    stage: &StagePart,
    per_epoch: usize,
    config: &super::TrainConfig,
) -> Result<usize, TrainError> {
    if per_epoch == 0 {
        let what = format!("{} photos, more than an epoch has", stage.batch);
        return Err(config.wrong(&format!("stage {:?}: batch", stage.name), what).into());
    }
    Ok(match stage.length {
        Length::Steps(steps) => steps.get(),
        Length::Epochs(epochs) => epochs.get() * per_epoch,
    })
}
