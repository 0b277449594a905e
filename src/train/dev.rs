//! How good is the model of the moment, on photos that it does not learn from?
//!
//! Exact integer scores of pruned vectors, as a search gives them, ties by the place in the list
//! (the protocol of Karpathy and Fei-Fei, CVPR 2015, section 4.1).

use serde::{Deserialize, Serialize};

use crate::encode::{Pruning, quantise, strongest};
use crate::eval::success;

/// A pruned vector: places among the output tokens, rising, with their impacts.
pub(crate) type Vector = Vec<(usize, u8)>;

/// Tokens that are listed as the most frequent ones.
const FREQUENT: usize = 20;

/// Share of dev queries, in percent, whose right answer is among the first 1, 5 and 10.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DevRecall {
    /// First.
    pub r1: f64,
    /// Among the first five.
    pub r5: f64,
    /// Among the first ten.
    pub r10: f64,
}

impl DevRecall {
    /// From the rank of each query's best right answer, from 1; `None` when it was not found.
    fn of(ranks: &[Option<usize>]) -> Self {
        let at = |k| {
            let found = ranks.iter().map(|&rank| success(rank, k)).sum::<f64>();
            found * ratio(1, ranks.len())
        };
        Self { r1: at(1), r5: at(5), r10: at(10) }
    }
}

/// What was measured on the dev photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DevReport {
    /// Captions look for their photo.
    pub t2i: DevRecall,
    /// Photos look for any of their captions.
    pub i2t: DevRecall,
    /// Mean number of tokens of a photo.
    pub image_tokens: f64,
    /// Mean number of tokens of a caption.
    pub text_tokens: f64,
    /// Output tokens that neither a photo nor a caption has.
    pub dead: usize,
    /// Output tokens in all.
    pub outputs: usize,
    /// The tokens that most photos have, and the share of photos, 0 to 1.
    pub frequent: Vec<(String, f64)>,
}

/// Pooled logits as impacts.
pub(crate) fn prune(logits: &[f32], pruning: Pruning, scale: f32) -> Vector {
    let kept = strongest(logits, pruning).into_iter();
    let impacts = kept.map(|kept| (kept.at, quantise(kept.weight, scale)));
    impacts.filter(|(_, impact)| *impact > 0).collect()
}

/// Measures `photos` and `captions`, of which `owners` tells the photo. `word` names a token by its
/// place among the `outputs`.
pub(crate) fn measure(
    photos: &[Vector],
    captions: &[Vector],
    owners: &[usize],
    outputs: usize,
    word: impl Fn(usize) -> String,
) -> DevReport {
    let by_token = Postings::new(photos, outputs);
    let t2i = captions.iter().zip(owners).map(|(caption, owner)| {
        let scores = by_token.scores(caption);
        rank(&scores, |photo| photo == *owner)
    });
    let caption_index = Postings::new(captions, outputs);
    let i2t = photos.iter().enumerate().map(|(photo, vector)| {
        let scores = caption_index.scores(vector);
        rank(&scores, |caption| owners[caption] == photo)
    });
    let frequencies: Vec<usize> = by_token.lists.iter().map(Vec::len).collect();
    let is_dead = |at: &usize| frequencies[*at] == 0 && caption_index.lists[*at].is_empty();
    let mut order: Vec<usize> = (0..outputs).filter(|&at| frequencies[at] > 0).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(frequencies[at]), at));
    let share = |at: usize| ratio(frequencies[at], photos.len());
    DevReport {
        t2i: DevRecall::of(&t2i.collect::<Vec<_>>()),
        i2t: DevRecall::of(&i2t.collect::<Vec<_>>()),
        image_tokens: ratio(photos.iter().map(Vec::len).sum(), photos.len()),
        text_tokens: ratio(captions.iter().map(Vec::len).sum(), captions.len()),
        dead: (0..outputs).filter(is_dead).count(),
        outputs,
        frequent: order.into_iter().take(FREQUENT).map(|at| (word(at), share(at))).collect(),
    }
}

/// For each token the vectors that have it.
struct Postings {
    lists: Vec<Vec<(usize, u8)>>,
    vectors: usize,
}

impl Postings {
    fn new(vectors: &[Vector], outputs: usize) -> Self {
        let mut lists = vec![Vec::new(); outputs];
        for (number, vector) in vectors.iter().enumerate() {
            vector.iter().for_each(|&(at, impact)| lists[at].push((number, impact)));
        }
        Self { lists, vectors: vectors.len() }
    }

    /// The score of every vector with this one.
    fn scores(&self, query: &Vector) -> Vec<u32> {
        let mut scores = vec![0; self.vectors];
        for &(at, weight) in query {
            for &(number, impact) in &self.lists[at] {
                scores[number] += u32::from(weight) * u32::from(impact);
            }
        }
        scores
    }
}

/// The rank, from 1, of the best right one; none if it shares no token.
fn rank(scores: &[u32], is_right: impl Fn(usize) -> bool) -> Option<usize> {
    let right = (0..scores.len()).filter(|&at| is_right(at));
    // The first of the largest: `max_by_key` would take the last.
    let best = right.min_by_key(|&at| std::cmp::Reverse(scores[at]))?;
    let before = |at: usize| scores[at] > scores[best] || (scores[at] == scores[best] && at < best);
    (scores[best] > 0).then(|| 1 + (0..scores.len()).filter(|&at| before(at)).count())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Saturation;

    #[test]
    fn vectors_are_evened_out_by_their_length() {
        let even = |length_norm| {
            let pruning = Pruning { keep: 2, saturation: Saturation::Once, length_norm };
            prune(&[1.0, -2.0, 3.0, 0.001], pruning, 64.0)
        };
        // Their length is √(ln² 2 + ln² 4) = 1.5499: by 4 / 1.5499 = 2.5808 at 1, its root at a half.
        assert_eq!(even(1.0), [(0, 114), (2, 229)]);
        assert_eq!(even(0.5), [(0, 71), (2, 143)]);
    }

    #[test]
    fn a_small_collection_is_measured_as_by_hand() {
        let photos = [vec![(0, 10), (1, 5)], vec![(1, 9)], vec![(3, 1)]];
        // The second caption shares no token with its photo; the third ties with an earlier photo.
        let captions = [vec![(0, 2)], vec![(0, 3)], vec![(1, 1), (3, 5)]];
        let report = measure(&photos, &captions, &[0, 1, 2], 6, |at| format!("w{at}"));
        for recall in [report.t2i, report.i2t] {
            let DevRecall { r1, r5, r10 } = recall;
            assert_eq!(format!("{r1:.2} {r5:.2} {r10:.2}"), "33.33 66.67 66.67");
        }
        assert_eq!((report.dead, report.outputs), (3, 6));
        assert_eq!(report.frequent[0], ("w1".to_owned(), 2.0 / 3.0));
        assert!((report.text_tokens - 4.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn the_strongest_weights_become_impacts() {
        let once = Pruning { keep: 2, saturation: Saturation::Once, length_norm: 0.0 };
        assert_eq!(prune(&[1.0, -2.0, 3.0, 0.001], once, 64.0), [(0, 44), (2, 89)]);
        assert_eq!(prune(&[0.001], once, 64.0), []);
        // ln(1 + ln 4) · 64.
        let twice = Pruning { saturation: Saturation::Twice, ..once };
        assert_eq!(prune(&[3.0], twice, 64.0), [(0, 56)]);
    }
}
