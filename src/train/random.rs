//! One source of chance, whose state can be written down.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A seeded generator (ChaCha with 8 rounds). It counts, so that its whole state is three numbers,
/// and streams of one seed are independent of each other.
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    generator: ChaCha8Rng,
}

/// Where a [`Random`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RandomState {
    /// What the run was started with.
    pub seed: u64,
    /// Which of the seed's streams.
    pub stream: u64,
    /// 32-bit words drawn so far.
    pub position: u64,
}

impl Random {
    /// The beginning of a stream.
    #[must_use]
    pub fn seeded(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self { seed, generator }
    }

    /// Goes on where the state was taken.
    #[must_use]
    pub fn restored(state: RandomState) -> Self {
        let mut random = Self::seeded(state.seed, state.stream);
        random.generator.set_word_pos(u128::from(state.position));
        random
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> RandomState {
        // No run draws 2⁶⁴ words.
        let position = u64::try_from(self.generator.get_word_pos()).unwrap_or(u64::MAX);
        RandomState { seed: self.seed, stream: self.generator.get_stream(), position }
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        self.generator.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.generator.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.generator.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn a_restored_generator_goes_on_as_the_first_would_have() {
        let mut first = Random::seeded(7, 3);
        let _: Vec<u32> = (0..37).map(|_| first.random()).collect();
        let state = serde_json::to_string(&first.state()).unwrap();
        let mut second = Random::restored(serde_json::from_str(&state).unwrap());
        let draw = |random: &mut Random| (0..100).map(|_| random.random()).collect::<Vec<u64>>();
        assert_eq!(draw(&mut first), draw(&mut second));
    }

    #[test]
    fn streams_of_a_seed_differ() {
        assert_ne!(Random::seeded(7, 0).next_u64(), Random::seeded(7, 1).next_u64());
    }
}
