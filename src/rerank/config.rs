//! What the `config.json` of a fusion re-ranker says.

use serde::Deserialize;

use super::Blend;

/// The format that this program reads.
const FORMAT: &str = "sightword-reranker/1";

/// The most values that a picture's features may have: 8 MB on disk.
const MOST_FEATURES: usize = 1 << 22;

/// Sizes and weights of a fusion re-ranker.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FusionConfig {
    format: String,
    /// The name, as shown to people.
    pub(crate) name: String,
    /// [`Encoder::hash`](crate::encode::Encoder::hash) of the model whose states it was trained on.
    pub(crate) towers: String,
    /// Width of its own states.
    pub(crate) width: usize,
    /// Attention heads of a layer.
    pub(crate) heads: usize,
    /// Layers.
    pub(crate) layers: usize,
    /// Width of the feed-forward part.
    pub(crate) intermediate: usize,
    /// Width of the towers' states.
    pub(crate) inputs: usize,
    /// Patches of a picture.
    pub(crate) patches: usize,
    /// Added to the variance in every layer norm.
    pub(crate) layer_norm_eps: f64,
    logit_weight: f64,
    sparse_weight: f64,
}

impl FusionConfig {
    /// Reads a `config.json` and checks what the network relies on.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let wrong = |what: String| Err(what);
        if config.format != FORMAT {
            return wrong(format!("format {:?}, this program reads {FORMAT:?}", config.format));
        }
        if config.heads == 0 || config.width == 0 || !config.width.is_multiple_of(config.heads) {
            return wrong(format!("{} heads for a width of {}", config.heads, config.width));
        }
        if config.layers == 0 || config.intermediate == 0 || config.inputs == 0 {
            return wrong(String::from("layers, intermediate and inputs must be at least 1"));
        }
        let features = config.patches.checked_mul(config.width);
        if !features.is_some_and(|features| (1..=MOST_FEATURES).contains(&features)) {
            return wrong(format!("{} patches of width {}", config.patches, config.width));
        }
        let weights = [config.logit_weight, config.sparse_weight];
        if !weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0) {
            return wrong(format!("logit_weight and sparse_weight are {weights:?}"));
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

    fn parse(field: &str, value: Value) -> Result<FusionConfig, String> {
        let mut config = json!({
            "format": FORMAT, "name": "small", "towers": "0", "width": 32, "heads": 4, "layers": 2,
            "intermediate": 64, "inputs": 24, "patches": 9, "layer_norm_eps": 1e-12,
            "logit_weight": 1.0, "sparse_weight": 0.5,
        });
        config[field] = value;
        FusionConfig::parse(config.to_string().as_bytes())
    }

    #[test]
    fn impossible_values_are_named() {
        assert!(parse("name", json!("other")).is_ok());
        for (field, value, named) in [
            ("format", json!("sightword-reranker/2"), "sightword-reranker/2"),
            ("heads", json!(5), "5 heads"),
            ("heads", json!(0), "0 heads"),
            ("width", json!(0), "width of 0"),
            ("layers", json!(0), "layers"),
            ("patches", json!(0), "0 patches"),
            ("patches", json!(u64::MAX), "patches"),
            ("logit_weight", json!(-1.0), "logit_weight"),
            ("inputs", json!("many"), "invalid type"),
        ] {
            let error = parse(field, value.clone()).unwrap_err();
            assert!(error.contains(named), "{field} {value}: {error}");
        }
    }
}
