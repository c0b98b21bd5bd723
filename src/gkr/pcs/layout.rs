//! How a table of integers becomes the rows that are committed.
//!
//! A table of `T` rows and `C` columns is read as a polynomial whose index is `t·2^c + channel` with
//! `2^c = C.next_power_of_two()`. That index space is cut into rows of `W = 2^w` entries: entry `j`
//! of row `r` is index `f = r·W + j`, table row `t = f >> c`, channel `f mod 2^c`. It holds the
//! table's integer where both exist, and zero elsewhere: that is the *padding*. When `2^c < W` a
//! committed row holds `W / 2^c` table rows, otherwise a table row fills `2^c / W` committed rows.

use std::ops::Range;

use crate::sumcheck::error::{StatementError, VerifyError};

/// Most index variables of a table: the limit keeps every index far inside a machine word.
const MAX_VARS: u32 = if usize::BITS < 64 { usize::BITS - 8 } else { 40 };

/// The place of every entry of a table in the committed rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    rows: usize,
    cols: usize,
    padded_cols: usize,
    width_vars: usize,
}

/// Consecutive entries of one table row inside one committed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First entry of the committed row.
    pub first: usize,
    /// First entry in the table's own row-major storage.
    pub source: usize,
    /// Number of entries.
    pub len: usize,
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
impl Layout {
    /// The layout of `rows × cols` integers in committed rows of `2^width_vars` entries.
    ///
    /// # Errors
    /// [`StatementError::Misfit`] if there is no column or the table is too large to index.
    pub fn new(rows: usize, cols: usize, width_vars: usize) -> Result<Self, VerifyError> {
        let too_large = || StatementError::Misfit("a table has no column or is too large to be committed");
        let padded_cols = cols.checked_next_power_of_two().filter(|_| cols > 0).ok_or_else(too_large)?;
        let entries = rows.checked_mul(padded_cols).ok_or_else(too_large)?;
        if entries > 1 << MAX_VARS || padded_cols > 1 << MAX_VARS || width_vars > MAX_VARS as usize {
            return Err(too_large().into());
        }
        Ok(Self { rows, cols, padded_cols, width_vars })
    }

    /// Rows of the table.
    #[must_use]
    pub fn table_rows(&self) -> usize {
        self.rows
    }

    /// Real columns of the table.
    #[must_use]
    pub fn table_cols(&self) -> usize {
        self.cols
    }

    /// Columns of the table rounded up to a power of two.
    #[must_use]
    pub fn padded_cols(&self) -> usize {
        self.padded_cols
    }

    /// Number of variables of a committed row.
    #[must_use]
    pub fn width_vars(&self) -> usize {
        self.width_vars
    }

    /// Entries of a committed row.
    #[must_use]
    pub fn width(&self) -> usize {
        1 << self.width_vars
    }

    /// Number of committed rows.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        (self.rows * self.padded_cols).div_ceil(self.width())
    }

    /// Variables that index the committed rows.
    #[must_use]
    pub fn row_vars(&self) -> usize {
        self.num_rows().next_power_of_two().trailing_zeros() as usize
    }

    /// Table rows in a committed row; 1 if table rows are longer.
    #[must_use]
    pub fn rows_per_row(&self) -> usize {
        (self.width() / self.padded_cols).max(1)
    }

    /// Committed rows in a table row; 1 if committed rows are longer.
    #[must_use]
    pub fn blocks_per_row(&self) -> usize {
        (self.padded_cols / self.width()).max(1)
    }

    /// The real entries of committed row `row`, in ascending order.
    pub fn segments(&self, row: usize) -> impl Iterator<Item = Segment> + Clone + use<> {
        self.segments_within(row, 0..self.width())
    }

    /// The real entries of committed row `row` that are among `entries` of it, in ascending order.
    pub fn segments_within(&self, row: usize, entries: Range<usize>) -> impl Iterator<Item = Segment> + Clone + use<> {
        let Self { cols, padded_cols, rows, .. } = *self;
        let (lanes, blocks, width) = (self.rows_per_row(), self.blocks_per_row(), self.width());
        let (first_row, offset) = (row / blocks * lanes, row % blocks * width);
        let len = cols.saturating_sub(offset).min(width);
        let lanes = entries.start / padded_cols..entries.end.div_ceil(padded_cols).min(lanes);
        lanes.take_while(move |lane| first_row + lane < rows).filter_map(move |lane| {
            let base = lane * padded_cols;
            let (first, end) = (entries.start.max(base), entries.end.min(base + len));
            let source = (first_row + lane) * cols + offset + first - base;
            (first < end).then(|| Segment { first, source, len: end - first })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn segments_are_the_real_entries(
            rows in 0usize..20, cols in 1usize..40, width_vars in 0usize..6, step in 1usize..40,
        ) {
            let layout = Layout::new(rows, cols, width_vars).unwrap();
            let mut found = Vec::new();
            for r in 0..layout.num_rows() {
                for s in layout.segments(r) {
                    found.extend((0..s.len).map(|i| (r, s.first + i, s.source + i)));
                }
            }
            let mut expected = Vec::new();
            for f in 0..layout.num_rows() << width_vars {
                let (t, channel) = (f / layout.padded_cols(), f % layout.padded_cols());
                if t < rows && channel < cols {
                    expected.push((f >> width_vars, f % layout.width(), t * cols + channel));
                }
            }
            prop_assert_eq!(&found, &expected);
            let mut within = Vec::new();
            for (r, start) in (0..layout.num_rows()).flat_map(|r| (0..layout.width()).step_by(step).map(move |s| (r, s))) {
                let end = (start + step).min(layout.width());
                for s in layout.segments_within(r, start..end) {
                    within.extend((0..s.len).map(|i| (r, s.first + i, s.source + i)));
                }
            }
            prop_assert_eq!(within, expected);
            prop_assert!(layout.num_rows() <= 1 << layout.row_vars());
        }
    }

    #[test]
    fn absurd_shapes_are_refused() {
        assert!(Layout::new(1, 0, 4).is_err());
        assert!(Layout::new(usize::MAX, 3, 4).is_err());
        assert!(Layout::new(1, usize::MAX, 4).is_err());
        assert!(Layout::new(1, 1, 64).is_err());
    }
}
