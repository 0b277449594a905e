//! Where the next page begins, good for one commit only: in another the order may be another.

use axum::http::StatusCode;

use super::problem::Problem;

/// The cursor of the hit behind the first `offset`.
pub(crate) fn at(offset: usize, generation: u64) -> String {
    format!("{generation:016x}{offset:x}")
}

/// How many hits to leave out.
pub(crate) fn offset_of(cursor: &str, generation: u64) -> Result<usize, Problem> {
    let bad = || Problem::invalid("bad_cursor", "the cursor is none that an answer gave");
    let (of, offset) = cursor.split_at_checked(16).ok_or_else(bad)?;
    let of = u64::from_str_radix(of, 16).map_err(|_| bad())?;
    let offset = u32::from_str_radix(offset, 16).map_err(|_| bad())?;
    if of != generation {
        let detail = "the index has changed since the cursor was given: begin anew";
        return Err(Problem::new(StatusCode::GONE, "old_cursor", detail));
    }
    Ok(offset as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_its_place_in_its_commit_only() {
        let cursor = at(240, 7);
        assert_eq!(offset_of(&cursor, 7), Ok(240));
        assert_eq!(offset_of(&cursor, 8).unwrap_err().code, "old_cursor");
        for cursor in ["", "7", "zzzzzzzzzzzzzzzz1", "000000000000000é1", "0000000000000007"] {
            assert_eq!(offset_of(cursor, 7).unwrap_err().code, "bad_cursor", "{cursor}");
        }
    }
}
