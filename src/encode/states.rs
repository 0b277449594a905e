//! Hidden states: what a tower knows of each patch, or each token, before its head names words.

use candle_core::{Result, Tensor};

/// One vector for each patch of a picture, row by row of its grid, or for each token of a text,
/// `[CLS]` first: a tower's last layer, before the vocabulary head. A re-ranker reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct HiddenStates {
    width: usize,
    values: Vec<f32>,
}

impl HiddenStates {
    /// States of `width` values each, one after the other.
    #[must_use]
    pub fn new(width: usize, values: Vec<f32>) -> Self {
        Self { width, values }
    }

    /// `states` [batch, positions, width] → those of each of the batch.
    pub(crate) fn of_each(states: &Tensor) -> Result<Vec<Self>> {
        let (_, positions, width) = states.dims3()?;
        let values: Vec<f32> = states.flatten_all()?.to_vec1()?;
        let each = values.chunks_exact(positions * width);
        Ok(each.map(|values| Self::new(width, values.to_vec())).collect())
    }

    /// Values of one state.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, position after position.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
