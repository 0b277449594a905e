//! A matrix product on slices: the one place that calls `gemm` (candle's own kernel).
//!
//! Pictures are encoded one a thread, and training cuts its work into parts, so a product runs on the
//! thread that asks for it.

use gemm::{Parallelism, gemm};

/// A matrix in a slice: element (row, column) is `values[row · row_step + column · column_step]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> View<'a> {
    /// `rows` × `columns`, stored row by row.
    pub(crate) fn by_rows(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::spaced(values, rows, columns, columns)
    }

    /// As [`View::by_rows`], with `row_step` floats from one row to the next.
    pub(crate) fn spaced(values: &'a [f32], rows: usize, columns: usize, row_step: usize) -> Self {
        let fits =
            columns <= row_step && rows.saturating_sub(1) * row_step + columns <= values.len();
        assert!(fits, "{rows} × {columns} in {} floats", values.len());
        Self { values, rows, columns, row_step, column_step: 1 }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The same numbers with rows and columns exchanged; nothing is moved.
    pub(crate) fn transposed(self) -> Self {
        let Self { values, rows, columns, row_step, column_step } = self;
        Self { values, rows: columns, columns: rows, row_step: column_step, column_step: row_step }
    }
}

/// `out = a · b`; `out` is stored row by row, `row_step` floats from one row to the next.
pub(crate) fn multiply(a: View<'_>, b: View<'_>, out: &mut [f32], row_step: usize) {
    assert_eq!(a.columns, b.rows, "inner sizes");
    let room =
        b.columns <= row_step && a.rows.saturating_sub(1) * row_step + b.columns <= out.len();
    assert!(room, "{} × {} in {} floats", a.rows, b.columns, out.len());
    // SAFETY: `out` has room for the product, by the assertions above, and is borrowed mutably.
    unsafe { product(a, b, out.as_mut_ptr(), row_step) }
}

/// Writes `a · b` from `out` on, every element of it, and reads nothing there.
///
/// # Safety
/// `a.columns` is `b.rows`; `out` may be written for `a.rows` rows of `b.columns` floats, `row_step`
/// apart, and nothing else refers to these.
unsafe fn product(a: View<'_>, b: View<'_>, out: *mut f32, row_step: usize) {
    // No step is longer than its slice, and a slice's length fits an `isize`.
    let step = |n: usize| isize::try_from(n).unwrap_or(isize::MAX);
    let (a_values, b_values) = (a.values.as_ptr(), b.values.as_ptr());
    // SAFETY: every (row, column) of a `View` is inside of its slice; `out` is as the caller
    // promises.
    unsafe {
        gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            step(row_step),
            false,
            a_values,
            step(a.column_step),
            step(a.row_step),
            b_values,
            step(b.column_step),
            step(b.row_step),
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, clippy::cast_precision_loss, reason = "small whole numbers")]
mod tests {
    use super::*;

    #[test]
    fn products_of_views_are_those_of_the_definition() {
        let a: Vec<f32> = (0..12).map(|n| n as f32).collect(); // 3 × 4
        let b: Vec<f32> = (0..20).map(|n| (n * n % 7) as f32).collect(); // 4 × 5
        let mut out = vec![-1.0; 3 * 6];
        multiply(View::by_rows(&a, 3, 4), View::by_rows(&b, 4, 5), &mut out, 6);
        for row in 0..3 {
            for column in 0..5 {
                let dot: f32 = (0..4).map(|k| a[row * 4 + k] * b[k * 5 + column]).sum();
                assert_eq!(out[row * 6 + column], dot);
            }
            assert_eq!(out[row * 6 + 5], -1.0, "floats between rows are left alone");
        }
    }

    #[test]
    fn a_transposed_view_has_rows_for_columns() {
        let a: Vec<f32> = (0..6).map(|n| n as f32).collect(); // 2 × 3
        let mut out = [0.0; 9];
        let a = View::by_rows(&a, 2, 3);
        multiply(a.transposed(), a, &mut out, 3);
        assert_eq!(out, [9.0, 12.0, 15.0, 12.0, 17.0, 22.0, 15.0, 22.0, 29.0]);
    }

    #[test]
    #[should_panic(expected = "in 11 floats")]
    fn a_view_beyond_its_slice_is_refused() {
        let _ = View::by_rows(&[0.0; 11], 3, 4);
    }
}
