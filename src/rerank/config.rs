//! What the `config.json` of a late-interaction re-ranker says.

use serde::Deserialize;

use super::Blend;

/// The format that this program reads.
const FORMAT: &str = "sightword-reranker/2";

/// The widest vectors: features of 256 patches then take 8 MB on disk.
const MOST_WIDTH: usize = 1 << 14;

/// Sizes and weights of a late-interaction re-ranker. Its towers have the sizes of the model's own, but
/// for the layers of the text's.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LateConfig {
    format: String,
    /// The name, as shown to people.
    pub(crate) name: String,
    /// [`Encoder::hash`](crate::encode::Encoder::hash) of the model that it was trained for.
    pub(crate) towers: String,
    /// Layers of its text tower.
    pub(crate) layers: usize,
    /// Width of the vectors of tokens and patches.
    pub(crate) width: usize,
    /// What the best patches of a text's tokens count for: `a`.
    pub(crate) token_scale: f32,
    /// What the likeness of the whole text and the whole picture counts for: `b`.
    pub(crate) sentence_scale: f32,
    logit_weight: f64,
    sparse_weight: f64,
}

impl LateConfig {
    /// Reads a `config.json` and checks what the network relies on.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if config.format != FORMAT {
            return Err(format!("format {:?}, this program reads {FORMAT:?}", config.format));
        }
        if config.layers == 0 || !(1..=MOST_WIDTH).contains(&config.width) {
            return Err(format!("{} layers, vectors of width {}", config.layers, config.width));
        }
        let scales = [config.token_scale, config.sentence_scale].map(f64::from);
        let weights = [config.logit_weight, config.sparse_weight];
        for weight in scales.into_iter().chain(weights) {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(format!("a scale or weight is {weight}, not 0 or more"));
            }
        }
        Ok(config)
    }

    /// How both stages make one order.
    pub(crate) fn blend(&self) -> Blend {
        Blend { logit: self.logit_weight, sparse: self.sparse_weight }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(field: &str, value: Value) -> Result<LateConfig, String> {
        let mut config = json!({
            "format": FORMAT, "name": "small", "towers": "0", "layers": 2, "width": 32,
            "token_scale": 10.0, "sentence_scale": 5.0, "logit_weight": 1.0, "sparse_weight": 0.5,
        });
        config[field] = value;
        LateConfig::parse(config.to_string().as_bytes())
    }

    #[test]
    fn impossible_values_are_named() {
        assert!(parse("name", json!("other")).is_ok());
        for (field, value, named) in [
            ("format", json!("sightword-reranker/1"), "sightword-reranker/1"),
            ("layers", json!(0), "0 layers"),
            ("width", json!(0), "width 0"),
            ("width", json!(1u64 << 40), "width 1099511627776"),
            ("token_scale", json!(-1.0), "-1"),
            ("sentence_scale", json!(1e300), "inf"),
            ("sparse_weight", json!(-0.5), "-0.5"),
            ("layers", json!("many"), "invalid type"),
        ] {
            let error = parse(field, value.clone()).unwrap_err();
            assert!(error.contains(named), "{field} {value}: {error}");
        }
    }
}
