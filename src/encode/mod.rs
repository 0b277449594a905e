//! Which words does a picture or a text have, and how strongly?
//!
//! Both towers end in the same vocabulary: a hidden state for each patch (or token) goes through a
//! BERT masked-language-model head, the maximum over positions is kept, and saturated, as `ln(1 + relu(·))`:
//! the weight of that word (STAIR, arXiv 2301.13081, section 3). Pictures keep their winning
//! patch beside each word.
//!
//! | file | answers |
//! | --- | --- |
//! | `encoder.rs` | how does a model become ready, from the program or from a folder? |
//! | `config.rs` | what does a model's `config.json` say? |
//! | `vocabulary.rs`, `flat.rs` | which token is which word, and how is a text cut into tokens? |
//! | `weights.rs` | how are weights read, 8-bit or half precision, without a copy? |
//! | `ops/` | what does candle do slowly on a CPU, and how do we do it? |
//! | `bert.rs`, `head.rs` | the transformer layers and the vocabulary head that both towers share |
//! | `efficientnet.rs`, `inverted_residual.rs`, `image.rs`, `text.rs` | the towers |
//! | `saturation.rs` | how does a maximum of logits become a weight? |
//! | `prune.rs` | which weights are kept, and as which whole numbers? |
//! | `bank.rs`, `make_bank.rs` | how well does a text match pictures in general? |
//! | `quantise_model.rs` | how did the default model come to 8 bits? |

mod bank;
mod bert;
mod calibration;
mod config;
mod efficientnet;
mod encoder;
mod flat;
mod head;
mod image;
mod inverted_residual;
pub mod make_bank;
pub(crate) mod ops;
mod prune;
pub mod quantise_model;
mod saturation;
mod text;
mod vocabulary;
pub(crate) mod weights;

pub use bank::BankConfig;
pub use calibration::{Calibration, LeastMatch, fade};
pub use config::{BlockConfig, ModelConfig};
pub(crate) use efficientnet::Backbone;
pub use encoder::{EncodeError, Encoder, ModelError};
pub(crate) use encoder::{read_files, set_up};
pub(crate) use head::Words;
pub(crate) use prune::{PIVOT, Pruning, strongest};
pub use prune::{TokenWeights, quantise, to_vector};
pub use saturation::Saturation;
pub(crate) use text::TextLayers;
pub use vocabulary::{Piece, Vocabulary};
