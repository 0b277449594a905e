//! What does the second look see in one picture?

use super::{
    Collection,
    error::CollectionError,
    examine::shrink,
    lookup::Found,
    reply::{PictureRef, Rerank, SearchRequest, Seen, SeenPart},
    terms::patch,
};
use crate::{
    ingest::{DecodeOptions, read},
    rerank::{Features, Part, QueryInput, RerankError, Reranker},
};

impl Collection {
    /// The second look at one picture, whose score by the first stage is `sparse`; `None`, and a
    /// warning, if its file cannot be read now.
    pub(crate) fn seen(
        &self,
        rerank: &Rerank,
        request: &SearchRequest,
        picture: &PictureRef,
        (found, sparse): (&Found, f64),
        warnings: &mut Vec<String>,
    ) -> Result<Option<Seen>, CollectionError> {
        let reranker = &*rerank.reranker;
        let Some(features) = self.features_of(found, picture, reranker)? else {
            warnings.push(String::from("the picture cannot be read now: no second look at it"));
            return Ok(None);
        };
        let text = &request.query.text;
        let tokens = self.encoder.text_ids(text);
        let question = reranker.read(&QueryInput { text, tokens: &tokens })?;
        let [fit] = reranker.score(&question, std::slice::from_ref(&features))?[..] else {
            return Err(RerankError::Compute("other than one score of one picture".into()).into());
        };
        let grid = self.encoder.config().image.grid;
        let token = |place: usize| {
            tokens.get(place).map(|token| self.encoder.vocabulary().token(*token).to_owned())
        };
        let part = |part: Part| SeenPart {
            token: part.token.and_then(token),
            score: part.score.into(),
            patch: part.patch.and_then(|number| patch(u8::try_from(number).ok()?, grid)),
        };
        let mut parts: Vec<SeenPart> =
            reranker.parts(&question, &features)?.into_iter().map(part).collect();
        parts.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(Some(Seen {
            name: reranker.name().into(),
            hash: reranker.hash().into(),
            fit: fit.into(),
            score: reranker.blend().score(fit, sparse),
            parts,
        }))
    }

    /// Stored features, or ones made now from the files; `None` if none of them can be read.
    fn features_of(
        &self,
        found: &Found,
        picture: &PictureRef,
        reranker: &dyn Reranker,
    ) -> Result<Option<Features>, CollectionError> {
        if let Some(address) = found.address {
            let stored = self.stored_features(reranker).ok();
            let record = self.view.record(&self.engine.fields, address, self.blame())?;
            let features = self.stored_or_made(&record, stored.as_ref(), reranker)?;
            return Ok(features.map(|(features, _)| features));
        }
        let side = self.encoder.config().image.size;
        let options = DecodeOptions { target: side, ..DecodeOptions::default() };
        let decoded = match picture {
            PictureRef::Decoded(picture) => Some(picture.as_ref().clone()),
            _ => found.paths.first().and_then(|path| read(path, &options).ok()),
        };
        let Some(decoded) = decoded else { return Ok(None) };
        Ok(reranker.prepare(&[shrink(decoded, side)])?.pop())
    }
}
