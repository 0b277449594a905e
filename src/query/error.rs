//! What is wrong with a query, and where.

/// Why a text is no query: the problem, and the byte at which it stands.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct ParseError {
    /// The whole query as typed.
    pub query: String,
    /// Byte offset of the problem in `query`, always at a character's start or the end.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with a query.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A `-` with a space or nothing behind it.
    #[error("'-' stands alone: put the word to exclude right behind it, or quotes around the '-'")]
    LoneDash,
    /// `-"…"` or `-word` without a letter or digit.
    #[error("nothing to exclude behind '-'")]
    NothingToExclude,
    /// `-word^2`.
    #[error("an exclusion is all or nothing: it takes no '^' weight")]
    WeightedExclusion,
    /// `-path:x`.
    #[error("'{name}:' is a filter and cannot be excluded")]
    ExcludedFilter {
        /// The filter's name.
        name: String,
    },
    /// A quotation mark that is never closed.
    #[error("these quotes are never closed")]
    OpenQuotes,
    /// `""`.
    #[error("nothing between the quotes")]
    EmptyQuotes,
    /// `^2` without a word before it.
    #[error("'^' has no word before it")]
    NothingToWeigh,
    /// A weight that is no number, or out of range.
    #[error("'{found}' is no weight: a number above 0, at most {max}, as in word^2 or word^0.5")]
    BadWeight {
        /// What stands there.
        found: String,
        /// The largest weight allowed.
        max: f32,
    },
    /// A filter whose value cannot be understood.
    #[error("{name}: wants {wants}, found '{found}'")]
    BadFilter {
        /// The filter's name.
        name: &'static str,
        /// What it takes, with an example.
        wants: &'static str,
        /// What stands there.
        found: String,
    },
    /// A query that starts with `{` but is no JSON object of weights.
    #[error("not a JSON object of token weights such as {{\"dog\": 2, \"beach\": 1.5}}: {reason}")]
    BadJson {
        /// The JSON reader's reason.
        reason: String,
    },
    /// Words behind the JSON object.
    #[error("behind JSON weights only filters and exclusions may stand")]
    WordsAfterJson,
}

/// The most characters of a query that a caret line shows on either side of the problem.
const CARET_CONTEXT: usize = 36;

impl ParseError {
    pub(super) fn new(query: &str, at: usize, problem: Problem) -> Self {
        let mut at = at.min(query.len());
        while !query.is_char_boundary(at) {
            at -= 1;
        }
        Self { query: query.to_owned(), at, problem }
    }

    /// Two lines: the query around the problem, and a caret below the problem.
    ///
    /// Line breaks and other control characters are shown as spaces, so that there are always
    /// exactly two lines and nothing in them steers a terminal.
    #[must_use]
    pub fn caret(&self) -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let before: Vec<char> = self.query[..self.at].chars().map(plain).collect();
        let after: Vec<char> = self.query[self.at..].chars().map(plain).collect();
        let cut_left = before.len() > CARET_CONTEXT;
        let cut_right = after.len() > CARET_CONTEXT;
        let from = before.len().saturating_sub(CARET_CONTEXT);
        let mut shown = String::from(if cut_left { "…" } else { "" });
        shown.extend(&before[from..]);
        let column = shown.chars().count();
        shown.extend(after.iter().take(CARET_CONTEXT));
        if cut_right {
            shown.push('…');
        }
        format!("{shown}\n{:column$}^", "")
    }
}
