//! Which documents should stand side by side in an inverted file?
//!
//! Those that share tokens. Then a block's greatest impacts say much about each of its documents, and a
//! search passes over most blocks. Documents are halved again and again, down to a block, where their
//! vectors differ most: along the principal direction, as principal direction divisive partitioning does
//! (Boley 1998, section 2). Only a document's heaviest tokens count: that takes a quarter of the time of
//! all tokens, and searches then take 2 to 5 % longer. The direction is that of a sample, found by a few
//! steps of the power method.

use std::cmp::Reverse;

use crate::format::cell::BLOCK;
use crate::format::forward::{Documents, Entries};
use crate::format::inverted::WriteError;

/// Tokens of a document that count.
const HEAVIEST: usize = 24;
/// Documents from which a direction is found.
const SAMPLE: usize = 64;
/// Steps of the power method.
const STEPS: usize = 3;

/// Memory that ordering takes for each document.
pub(crate) const BYTES: usize = size_of::<Heaviest>() + size_of::<u32>() + size_of::<(f32, u32)>();

/// All documents, alike ones side by side. The same vectors give the same order.
pub(crate) fn order(documents: &impl Documents) -> Result<Vec<u32>, WriteError> {
    let mut heaviest = Vec::new();
    let mut sorted = Vec::new();
    documents.visit(&mut |entries| {
        heaviest.push(Heaviest::of(entries, &mut sorted));
        Ok(())
    })?;
    // tantivy counts documents by a `u32`.
    let mut order: Vec<_> = (0..u32::try_from(heaviest.len()).unwrap_or(u32::MAX)).collect();
    let mut halving = Halving { heaviest, direction: vec![0.0; 1 << 16], measured: Vec::new() };
    let mut parts = vec![&mut order[..]];
    while let Some(part) = parts.pop() {
        if part.len() > BLOCK {
            parts.extend(halving.halve(part));
        }
    }
    Ok(order)
}

/// A document's heaviest tokens; impacts are 0 where it has fewer.
#[derive(Clone, Copy, Default)]
struct Heaviest {
    tokens: [u16; HEAVIEST],
    impacts: [u8; HEAVIEST],
}

impl Heaviest {
    fn of(entries: Entries<'_>, sorted: &mut Vec<(Reverse<u8>, u16)>) -> Self {
        sorted.clear();
        sorted.extend(
            entries.impacts.iter().copied().map(Reverse).zip(entries.tokens.iter().copied()),
        );
        if sorted.len() > HEAVIEST {
            sorted.select_nth_unstable(HEAVIEST);
        }
        let mut heaviest = Self::default();
        let places = heaviest.tokens.iter_mut().zip(&mut heaviest.impacts);
        for ((token, impact), (Reverse(given), of)) in places.zip(&*sorted) {
            (*token, *impact) = (*of, *given);
        }
        heaviest
    }

    fn entries(&self) -> impl Iterator<Item = (usize, f32)> {
        let tokens = self.tokens.iter().map(|token| usize::from(*token));
        tokens.zip(self.impacts.iter().map(|impact| f32::from(*impact)))
    }
}

struct Halving {
    heaviest: Vec<Heaviest>,
    /// A weight for each token; all 0 between two halvings.
    direction: Vec<f32>,
    measured: Vec<(f32, u32)>,
}

impl Halving {
    /// Puts the documents that lie lower along the direction of the greatest variance before the others.
    /// The first half is whole blocks.
    fn halve<'p>(&mut self, part: &'p mut [u32]) -> [&'p mut [u32]; 2] {
        let sample: Vec<_> = part.iter().copied().step_by(part.len().div_ceil(SAMPLE)).collect();
        self.find_direction(&sample);
        let mut measured = std::mem::take(&mut self.measured);
        measured.clear();
        measured.extend(part.iter().map(|doc| (self.along(*doc), *doc)));
        self.forget(&sample);
        let half = (part.len() / 2).next_multiple_of(BLOCK).min(part.len() - 1);
        measured.select_nth_unstable_by(half, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        part.iter_mut().zip(&measured).for_each(|(doc, (_, next))| *doc = *next);
        self.measured = measured;
        let (low, high) = part.split_at_mut(half);
        [low, high]
    }

    /// The power method on the covariance of a sample, from its first document on.
    fn find_direction(&mut self, sample: &[u32]) {
        self.add(1.0, sample[0]);
        for _ in 0..STEPS {
            let mut lengths: Vec<_> = sample.iter().map(|doc| self.along(*doc)).collect();
            #[expect(clippy::cast_precision_loss, reason = "a sample is small")]
            let mean = lengths.iter().sum::<f32>() / lengths.len() as f32;
            lengths.iter_mut().for_each(|length| *length -= mean);
            let most = lengths.iter().map(|length| length.abs()).fold(f32::MIN_POSITIVE, f32::max);
            self.forget(sample);
            for (length, doc) in lengths.iter().zip(sample) {
                // Divided so that numbers stay in range: only the direction counts.
                self.add(length / most, *doc);
            }
        }
    }

    /// Adds a document to the direction.
    fn add(&mut self, weight: f32, doc: u32) {
        for (token, impact) in self.heaviest[doc as usize].entries() {
            self.direction[token] += weight * impact;
        }
    }

    /// Makes a direction that was found from these documents none.
    fn forget(&mut self, sample: &[u32]) {
        for (token, _) in sample.iter().flat_map(|doc| self.heaviest[*doc as usize].entries()) {
            self.direction[token] = 0.0;
        }
    }

    /// How far along the direction a document lies.
    fn along(&self, doc: u32) -> f32 {
        let entries = self.heaviest[doc as usize].entries();
        entries.map(|(token, impact)| self.direction[token] * impact).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::vector::{SparseVector, TokenId};

    fn arena(tokens: impl Iterator<Item = Vec<u16>>) -> Arena {
        let mut arena = Arena::default();
        for tokens in tokens {
            let entries = tokens.into_iter().map(|token| (TokenId(token), 9));
            arena.add(&SparseVector::new(entries).unwrap());
        }
        arena
    }

    #[test]
    fn documents_of_two_kinds_are_told_apart() {
        // Three of five are of one kind, in turns, and each has a token of its own.
        let kind = |doc: u16| u16::from(doc % 5 > 2);
        let order = order(&arena((0..320).map(|doc| vec![kind(doc), 10 + doc]))).unwrap();
        let kinds: Vec<_> = order.iter().map(|doc| kind(u16::try_from(*doc).unwrap())).collect();
        let mixed =
            kinds.chunks(BLOCK).filter(|block| block.windows(2).any(|pair| pair[0] != pair[1]));
        assert!(mixed.count() <= 1, "{kinds:?}");
    }

    #[test]
    fn every_document_has_a_place_whatever_the_vectors() {
        for count in [0, 1, 63, 64, 65, 128, 129, 1000] {
            for step in [1, 7] {
                // The same vector for all, none at all, and a few.
                for width in [0, 1, 3] {
                    let token = |doc: u16| {
                        (0..width).map(|at| at * 50 + doc / step % 5 * (width - 1)).collect()
                    };
                    let mut order = order(&arena((0..count).map(token))).unwrap();
                    order.sort_unstable();
                    assert!(order.into_iter().eq(0..u32::from(count)));
                }
            }
        }
    }
}
