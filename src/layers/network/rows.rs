//! Rows in another order, some of them, or more of them: operations that compute nothing.

/// What stands beyond the ends of a padded sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Zeros.
    Zero,
    /// What follows the first row and precedes the last, mirrored.
    Reflect,
    /// The first and the last row.
    Repeat,
}

/// Where the rows of a sequence come from. Rows move in blocks of `block` rows: the inner extent of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowMove {
    /// The last block first.
    Reverse {
        /// Rows of a block, at least 1.
        block: usize,
    },
    /// Without the first and the last blocks, of the others every `step`-th.
    Keep {
        /// Rows of a block, at least 1.
        block: usize,
        /// Blocks left out at the start.
        skip_first: usize,
        /// Blocks left out at the end.
        skip_last: usize,
        /// From one to the next, at least 1.
        step: usize,
    },
    /// With blocks before and after.
    Pad {
        /// Rows of a block, at least 1.
        block: usize,
        /// Blocks before the first.
        before: usize,
        /// Blocks after the last.
        after: usize,
        /// What they are.
        edge: Edge,
    },
}

/// Most blocks that are added at one end.
const MAX_PAD: usize = 4096;

impl RowMove {
    fn block(self) -> usize {
        match self {
            Self::Reverse { block } | Self::Keep { block, .. } | Self::Pad { block, .. } => block,
        }
    }

    /// Number of rows of a sequence of `length` rows afterwards; none if it does not fit.
    #[must_use]
    pub fn output_length(self, length: usize) -> Option<usize> {
        let block = self.block();
        let blocks = length.checked_div(block).filter(|blocks| blocks * block == length && *blocks > 0)?;
        let after = match self {
            Self::Reverse { .. } => blocks,
            Self::Keep { skip_first, skip_last, step, .. } => {
                let kept = blocks.checked_sub(skip_first)?.checked_sub(skip_last)?;
                kept.checked_sub(1)?.checked_div(step)? + 1
            }
            Self::Pad { before, after, edge, .. } => {
                let reach = if edge == Edge::Reflect { blocks - 1 } else { MAX_PAD };
                (before.max(after) <= reach.min(MAX_PAD)).then_some(blocks + before + after)?
            }
        };
        after.checked_mul(block)
    }

    /// The row that row `row` of the output is; none for zeros. Both lengths fit one another.
    #[must_use]
    pub fn source(self, row: usize, length: usize) -> Option<usize> {
        let block = self.block();
        let (at, inner, blocks) = (row / block, row % block, length / block);
        let from = match self {
            Self::Reverse { .. } => blocks - 1 - at,
            Self::Keep { skip_first, step, .. } => skip_first + at * step,
            Self::Pad { before, edge, .. } => match (at.checked_sub(before), edge) {
                (Some(at), _) if at < blocks => at,
                (_, Edge::Zero) => return None,
                (None, Edge::Reflect) => before - at,
                (Some(at), Edge::Reflect) => 2 * (blocks - 1) - at,
                (None, Edge::Repeat) => 0,
                (Some(_), Edge::Repeat) => blocks - 1,
            },
        };
        Some(from * block + inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(rows: RowMove, length: usize) -> Vec<Option<usize>> {
        (0..rows.output_length(length).unwrap()).map(|row| rows.source(row, length)).collect()
    }

    #[test]
    fn rows_move_as_said() {
        let some = |rows: &[usize]| rows.iter().map(|&row| Some(row)).collect::<Vec<_>>();
        assert_eq!(moved(RowMove::Reverse { block: 2 }, 6), some(&[4, 5, 2, 3, 0, 1]));
        assert_eq!(moved(RowMove::Keep { block: 1, skip_first: 1, skip_last: 1, step: 2 }, 7), some(&[1, 3, 5]));
        let pad = |edge| RowMove::Pad { block: 1, before: 2, after: 1, edge };
        assert_eq!(moved(pad(Edge::Reflect), 3), some(&[2, 1, 0, 1, 2, 1]));
        assert_eq!(moved(pad(Edge::Repeat), 2), some(&[0, 0, 0, 1, 1]));
        assert_eq!(moved(pad(Edge::Zero), 1), [None, None, Some(0), None]);
    }

    #[test]
    fn what_does_not_fit_has_no_length() {
        let keep = |skip_first, step| RowMove::Keep { block: 1, skip_first, skip_last: 0, step };
        let pad = |before, edge| RowMove::Pad { block: 1, before, after: 0, edge };
        assert_eq!(RowMove::Reverse { block: 0 }.output_length(3), None);
        assert_eq!(RowMove::Reverse { block: 2 }.output_length(3), None);
        assert_eq!((keep(3, 1).output_length(3), keep(0, 0).output_length(3)), (None, None));
        assert_eq!(keep(usize::MAX, 1).output_length(3), None);
        assert_eq!((pad(3, Edge::Reflect).output_length(3), pad(1 << 40, Edge::Zero).output_length(3)), (None, None));
    }
}
