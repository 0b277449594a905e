//! Runs the towers over whole sets: the dev photos to be measured, captions for the weight table.

use candle_core::Tensor;

use super::Towers;
use super::dev::{DevReport, Vector, measure, prune};
use super::error::TrainError;
use super::export::{QueryTable, TABLE_CAPTIONS};
use super::photos::{Caption, Photos};
use super::plan::Plan;
use sightword_index::TokenId;

/// Photos or captions at once.
const BATCH: usize = 64;

/// Measures towers on the dev photos.
pub(crate) fn evaluate(
    towers: &Towers,
    plan: &Plan,
    dev: &mut Photos,
) -> Result<DevReport, TrainError> {
    let (model, scale) = (&plan.model, plan.model.impact_scale);
    let mut photos: Vec<Vector> = Vec::with_capacity(dev.list.len());
    for batch in dev.list.chunks(BATCH) {
        let entries: Vec<(u64, usize)> = batch.iter().map(|photo| (photo.entry, 0)).collect();
        let pooled = towers.image(&dev.features.read(&entries, &plan.device)?, None, None)?;
        photos.extend(pooled.to_vec2()?.iter().map(|row| prune(row, model.of_pictures(), scale)));
    }
    let (mut owners, mut captions) = (Vec::new(), Vec::new());
    for (owner, photo) in dev.list.iter().enumerate() {
        owners.extend(std::iter::repeat_n(owner, photo.captions.len()));
        captions.extend(&photo.captions);
    }
    let mut texts: Vec<Vector> = Vec::with_capacity(captions.len());
    for batch in captions.chunks(BATCH) {
        let pooled = read(towers, batch)?;
        texts.extend(pooled.to_vec2()?.iter().map(|row| prune(row, model.of_texts(), scale)));
    }
    let outputs = plan.start.output_tokens();
    let word = |at: usize| plan.start.vocabulary().token(TokenId(outputs[at])).to_owned();
    Ok(measure(&photos, &texts, &owners, outputs.len(), word))
}

/// The weights for searching without the text tower, from training captions.
pub(crate) fn query_table(
    towers: &Towers,
    plan: &Plan,
    photos: &Photos,
) -> Result<(String, Tensor), TrainError> {
    let mut table = QueryTable::new(plan.start.output_tokens().len());
    let all: Vec<&Caption> = photos.list.iter().flat_map(|photo| &photo.captions).collect();
    let apart = all.len().div_ceil(TABLE_CAPTIONS).max(1);
    let chosen: Vec<&Caption> = all.into_iter().step_by(apart).collect();
    for batch in chosen.chunks(BATCH) {
        let rows: Vec<Vec<f32>> = read(towers, batch)?.to_vec2()?;
        batch.iter().zip(rows).for_each(|(caption, row)| table.add(&caption.places, &row));
    }
    table.finish(&plan.start)
}

fn read(towers: &Towers, captions: &[&Caption]) -> candle_core::Result<Tensor> {
    let ids: Vec<Vec<u16>> = captions.iter().map(|caption| caption.ids.clone()).collect();
    towers.text(&ids, None)
}
