//! The vocabulary as flat bytes: nothing is parsed, allocated or hashed before the first look-up.
//!
//! Also compiled into the build script, which turns the default model's `tokenizer.json` into these
//! bytes, since parsing half a megabyte of JSON takes longer than a whole search. Little-endian:
//! count `u32` | `count + 1` text offsets `u32` | `count` ids sorted by text `u16` | the texts.

/// Packs tokens, given in the order of their ids.
pub(crate) fn pack(tokens: &[String]) -> Result<Vec<u8>, String> {
    let too_large = |_| format!("{} tokens: at most 65,536 are possible", tokens.len());
    let mut sorted: Vec<u16> =
        (0..tokens.len()).map(u16::try_from).collect::<Result<_, _>>().map_err(too_large)?;
    sorted.sort_by_key(|&id| tokens[usize::from(id)].as_bytes());
    let number = |n: usize| u32::try_from(n).map(u32::to_le_bytes).map_err(too_large);
    let mut bytes = number(tokens.len())?.to_vec();
    let mut offset = 0;
    bytes.extend(number(offset)?);
    for token in tokens {
        offset += token.len();
        bytes.extend(number(offset)?);
    }
    bytes.extend(sorted.iter().flat_map(|id| id.to_le_bytes()));
    bytes.extend(tokens.iter().flat_map(|token| token.bytes()));
    Ok(bytes)
}

/// The tokens of a `tokenizer.json` (a WordPiece model), in the order of their ids.
pub(crate) fn tokens_of(tokenizer_json: &[u8]) -> Result<Vec<String>, String> {
    let json: serde_json::Value =
        serde_json::from_slice(tokenizer_json).map_err(|error| error.to_string())?;
    let model = &json["model"];
    if model["type"].as_str().is_some_and(|kind| kind != "WordPiece") {
        return Err(format!("model {}, only WordPiece is known", model["type"]));
    }
    let vocabulary = model["vocab"].as_object().ok_or("no model.vocab")?;
    let mut tokens = vec![None; vocabulary.len()];
    for (token, id) in vocabulary {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        let slot = id.and_then(|id| tokens.get_mut(id)).ok_or(format!("bad id of {token:?}"))?;
        *slot = Some(token.clone());
    }
    tokens.into_iter().collect::<Option<_>>().ok_or_else(|| "two tokens share an id".into())
}
