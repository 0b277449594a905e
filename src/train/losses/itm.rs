//! Image-text matching with hard negatives of the batch (ALBEF, Li et al., arXiv 2107.07651, section 3.2).

use candle_core::{Result, Tensor, bail};
use rand::Rng;

use crate::train::Random;

/// Binary cross-entropy of "belongs together", the mean over all pairs: of true pairs, of texts with a
/// picture that is not theirs, of pictures with a text that is not theirs. Three vectors of logits.
///
/// # Errors
/// What the device says.
pub fn itm(pairs: &Tensor, wrong_pictures: &Tensor, wrong_texts: &Tensor) -> Result<Tensor> {
    // −log σ(x) is softplus(−x), −log(1 − σ(x)) is softplus(x).
    softplus(&Tensor::cat(&[&pairs.neg()?, wrong_pictures, wrong_texts], 0)?)?.mean_all()
}

/// `ln(1 + eˣ)` without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// For each of a batch the hard negative that was drawn; `None` where all are positives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardNegatives {
    /// A text that does not belong to each picture.
    pub texts: Vec<Option<usize>>,
    /// A picture that does not belong to each text.
    pub pictures: Vec<Option<usize>>,
}

/// Draws negatives in proportion to `softmax(scores)`, so that the most alike come most often; never what
/// has a positive entry in `positives`. Both are [pictures, texts].
///
/// # Errors
/// Shapes that do not fit, or a score that is no number.
pub fn hard_negatives(
    scores: &Tensor,
    positives: &Tensor,
    random: &mut Random,
) -> Result<HardNegatives> {
    if scores.dims() != positives.dims() {
        bail!("scores {:?} and positives {:?}", scores.dims(), positives.dims());
    }
    let mut draw = |scores: &Tensor, positives: &Tensor| -> Result<Vec<Option<usize>>> {
        let rows = scores.to_vec2::<f32>()?.into_iter().zip(positives.to_vec2::<f32>()?);
        rows.map(|(scores, positives)| draw_one(&scores, &positives, random)).collect()
    };
    let scores = scores.detach();
    Ok(HardNegatives {
        texts: draw(&scores, positives)?,
        pictures: draw(&scores.t()?, &positives.t()?)?,
    })
}

fn draw_one(scores: &[f32], positives: &[f32], random: &mut Random) -> Result<Option<usize>> {
    if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
        bail!("a score of {score}");
    }
    let negatives = || {
        let pairs = scores.iter().zip(positives).enumerate();
        pairs.filter(|(_, (_, positive))| **positive <= 0.0).map(|(at, (score, _))| (at, *score))
    };
    let largest = negatives().fold(f32::NEG_INFINITY, |most, (_, score)| most.max(score));
    let weight = |score: f32| f64::from(score - largest).exp();
    let total: f64 = negatives().map(|(_, score)| weight(score)).sum();
    let mut left = random.random::<f64>() * total;
    let chosen = negatives().find(|&(_, score)| {
        left -= weight(score);
        left < 0.0
    });
    // Rounding can leave a rest behind the last one.
    Ok(chosen.or_else(|| negatives().next_back()).map(|(at, _)| at))
}
