//! Where atoms stand: moving them between rows and columns, and bringing two values to one layout.

use std::collections::HashMap;

use super::import::Importer;
use super::node::NodeView;
use super::value::{Atom, Axis, Data, count};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Op;

/// The error for two shapes that must agree.
pub(super) fn shape(node: &NodeView, expected: impl Into<String>, found: impl std::fmt::Debug) -> ModelError {
    ModelError::Shape { layer: node.described(), expected: expected.into(), found: format!("{found:?}") }
}

/// Extents for messages: `?` where there is none before there is a recording.
pub(super) fn extents_of(axes: &[Axis]) -> String {
    let axis = |axis: &Axis| count(axis).map_or_else(|| "?".to_owned(), |n| n.to_string());
    format!("[{}]", axes.iter().map(axis).collect::<Vec<_>>().join(", "))
}

impl<'a> Importer<'a> {
    /// All columns as rows: the pixels of an image of one channel.
    pub(super) fn unfolded(&mut self, node: &NodeView, data: Data, cols: &[Atom]) -> Result<Data, ModelError> {
        let moved: Vec<Atom> = data.cols.iter().filter(|atom| !cols.contains(atom)).copied().collect();
        if moved.is_empty() {
            return Ok(data);
        }
        let parts = count(&moved).unwrap_or(0);
        // What becomes rows must stand outside of what stays.
        let wanted: Vec<Atom> = moved.iter().chain(cols).copied().collect();
        let data = self.with_columns(node, data, &wanted)?;
        let result = self.push(node, &data, Op::Unfold { parts });
        Ok(Data { rows: data.rows.iter().chain(&moved).copied().collect(), cols: cols.to_vec(), ..result })
    }

    /// One row a sequence: all rows one after another, if their number is known.
    pub(super) fn flat(&mut self, node: &NodeView, data: Data) -> Result<Data, ModelError> {
        let time = data.rows.iter().any(|atom| atom.extent.is_none());
        if data.rows.is_empty() || time || data.axes.iter().all(|axis| axis.len() <= 1) {
            return Ok(data);
        }
        Ok(self.flattened(node, data))
    }

    /// All rows one after another.
    pub(super) fn flattened(&mut self, node: &NodeView, data: Data) -> Data {
        if data.rows.is_empty() {
            return data;
        }
        let result = self.push(node, &data, Op::Flatten);
        let cols = data.rows.iter().chain(&data.cols).copied().collect();
        Data { rows: vec![], cols, ..result }
    }

    /// All rows but time's side by side: an image becomes a sequence.
    pub(super) fn folded_rows(&mut self, node: &NodeView, data: Data) -> Result<Data, ModelError> {
        let Some((&time, inner)) = data.rows.split_first() else { return Ok(data) };
        if inner.is_empty() {
            return Ok(data);
        }
        let parts = count(inner).ok_or_else(|| node.unsupported("two extents of an image are not known"))?;
        let result = self.push(node, &data, Op::Fold { parts });
        Ok(Data { rows: vec![time], cols: inner.iter().chain(&data.cols).copied().collect(), ..result })
    }

    /// The columns in another order of their atoms.
    pub(super) fn with_columns(&mut self, node: &NodeView, data: Data, cols: &[Atom]) -> Result<Data, ModelError> {
        if data.cols == cols {
            return Ok(data);
        }
        let found = Data { cols: cols.to_vec(), ..data.clone() };
        let columns = data.columns();
        if found.columns() != columns || cols.len() != data.cols.len() {
            return Err(shape(node, format!("{columns} columns"), extents_of(&data.axes)));
        }
        let from: HashMap<Vec<usize>, usize> =
            (0..columns).map(|column| (data.index_of_column(column), column)).collect();
        let place = |column: usize| from.get(&found.index_of_column(column)).copied().unwrap_or(0);
        let places: Vec<usize> = (0..columns).map(place).collect();
        let result = self.selected(node, &data, &places)?;
        Ok(Data { cols: cols.to_vec(), ..result })
    }

    /// The columns in the order of the axes, the last innermost.
    pub(super) fn in_order(&mut self, node: &NodeView, data: Data) -> Result<Data, ModelError> {
        let in_columns = |atom: &&Atom| data.cols.contains(atom);
        let wanted: Vec<Atom> = data.axes.iter().flatten().filter(in_columns).copied().collect();
        self.with_columns(node, data, &wanted)
    }

    /// Some columns, each as often as it is named.
    pub(super) fn selected(&mut self, node: &NodeView, data: &Data, places: &[usize]) -> Result<Data, ModelError> {
        // Most runs of neighbours that are put side by side; more are a matrix.
        const MAX_RUNS: usize = 64;
        let columns = data.columns();
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &place in places {
            if runs.len() > MAX_RUNS {
                break;
            }
            match runs.last_mut() {
                Some((first, len)) if *first + *len == place => *len += 1,
                _ => runs.push((place, 1)),
            }
        }
        if runs.len() > MAX_RUNS {
            self.spend(node, columns.saturating_mul(places.len()))?;
            let weight = FloatMatrix::from_fn(columns, places.len(), |r, c| f64::from(u8::from(places[c] == r)));
            return Ok(self.push(node, data, Op::Dense { weight, bias: vec![0.0; places.len()] }));
        }
        let mut parts = Vec::with_capacity(runs.len());
        for (first, len) in runs {
            parts.push(match self.part(data, first, len) {
                Some(part) => part,
                None if len == columns => data.clone(),
                None => self.push(node, data, Op::Slice { first, columns: len }),
            });
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { self.push_all(node, &parts, Op::Concat) })
    }

    /// Cuts the atoms of two axes until they are of equal extents.
    fn cut(&mut self, node: &NodeView, a: &mut Data, b: &mut Data, axis: usize) -> Result<(), ModelError> {
        let mut at = 0;
        while let (Some(&x), Some(&y)) = (a.axes[axis].get(at), b.axes[axis].get(at)) {
            match (x.extent, y.extent) {
                (Some(m), Some(n)) if m > n && m % n == 0 => drop(self.split(a, x, n)),
                (Some(m), Some(n)) if n > m && n % m == 0 => drop(self.split(b, y, m)),
                (Some(m), Some(n)) if m != n => {
                    return Err(shape(node, extents_of(&a.axes), extents_of(&b.axes)));
                }
                _ => {}
            }
            at += 1;
        }
        if a.axes[axis].len() == b.axes[axis].len() {
            return Ok(());
        }
        Err(shape(node, extents_of(&a.axes), extents_of(&b.axes)))
    }

    /// Makes an atom two, of which the outer has extent `outer`.
    pub(super) fn split(&mut self, data: &mut Data, atom: Atom, outer: usize) -> Vec<Atom> {
        let inner = atom.extent.and_then(|extent| extent.checked_div(outer));
        let parts: Vec<Atom> = [Some(outer), inner].into_iter().flat_map(|extent| self.axis(extent)).collect();
        data.replace(atom.id, &parts);
        parts
    }

    /// Two values that are combined entry by entry, with equal axes and layouts but for axes of extent 1. The result
    /// has the layout of the first, which is the one of more rows.
    pub(super) fn aligned(&mut self, node: &NodeView, a: Data, b: Data) -> Result<[Data; 2], ModelError> {
        let (a, b) = if b.rows.len() > a.rows.len() { (b, a) } else { (a, b) };
        let [a, b] = self.matched(node, a, b)?;
        self.same_layout(node, a, b)
    }

    /// Two values of equal axes but for those of extent 1, where equal axes have equal atoms.
    pub(super) fn matched(&mut self, node: &NodeView, a: Data, b: Data) -> Result<[Data; 2], ModelError> {
        let (mut a, mut b) = (a, b);
        while a.axes.len() < b.axes.len() {
            a.axes.insert(0, vec![]);
        }
        while b.axes.len() < a.axes.len() {
            b.axes.insert(0, vec![]);
        }
        for axis in 0..a.axes.len() {
            if !a.axes[axis].is_empty() && !b.axes[axis].is_empty() {
                self.cut(node, &mut a, &mut b, axis)?;
                let pairs: Vec<(Atom, Atom)> = a.axes[axis].iter().copied().zip(b.axes[axis].clone()).collect();
                for (x, y) in pairs {
                    // Known extents replace those that are not.
                    let extent = x.extent.or(y.extent);
                    let atom = Atom { extent, ..x };
                    a.replace(x.id, &[atom]);
                    b.replace(y.id, &[Atom { id: atom.id | RENAMED, extent }]);
                }
            }
        }
        let plain = |atoms: &mut Vec<Atom>| atoms.iter_mut().for_each(|atom| atom.id &= !RENAMED);
        b.axes.iter_mut().chain([&mut b.rows, &mut b.cols]).for_each(plain);
        Ok([a, b])
    }

    /// Brings two values whose axes have equal atoms to one layout.
    fn same_layout(&mut self, node: &NodeView, a: Data, b: Data) -> Result<[Data; 2], ModelError> {
        let (mut a, mut b) = (a, b);
        if a.rows != b.rows && !b.rows.is_empty() {
            // An image and a sequence: both as a sequence.
            (a, b) = (self.folded_rows(node, a)?, self.folded_rows(node, b)?);
        }
        if a.rows != b.rows && b.rows.iter().all(|atom| a.cols.contains(atom)) {
            // What is rows of one, as after a convolution along channels, is columns of the other.
            b = self.flattened(node, b);
        }
        if a.rows != b.rows && !b.rows.is_empty() {
            return Err(node.unsupported("its inputs have other extents along time; only a single row counts for all"));
        }
        // Columns that only one has are repeated.
        let all: Vec<Atom> =
            a.cols.iter().chain(b.cols.iter().filter(|atom| !a.cols.contains(atom))).copied().collect();
        let rows: Vec<Atom> = a.rows.clone();
        if all.iter().any(|atom| rows.contains(atom)) {
            // What is columns of one is rows of the other.
            let b_rows = b.rows.is_empty() && b.cols.iter().any(|atom| rows.contains(atom));
            if !b_rows || rows.iter().any(|atom| atom.extent.is_none()) {
                return Err(node.unsupported("its inputs differ in more than time and channels"));
            }
            a = self.flattened(node, a);
            return self.same_layout(node, a, b);
        }
        let widened = [self.repeated(node, a, &all)?, self.repeated(node, b, &all)?];
        let [mut a, b] = widened;
        a.axes = a.axes.iter().zip(&b.axes).map(|(x, y)| if x.is_empty() { y.clone() } else { x.clone() }).collect();
        Ok([a, b])
    }

    /// The value with columns `all`, of which it may lack some.
    fn repeated(&mut self, node: &NodeView, data: Data, all: &[Atom]) -> Result<Data, ModelError> {
        if data.cols == all {
            return Ok(data);
        }
        let kept: Vec<Atom> = all.iter().filter(|atom| data.cols.contains(atom)).copied().collect();
        let data = self.with_columns(node, data, &kept)?;
        if kept.len() == all.len() {
            return Ok(data);
        }
        // One axis an atom, so that an index is its digits.
        let axes = |atoms: &[Atom]| kept.iter().filter(|atom| atoms.contains(atom)).map(|&atom| vec![atom]).collect();
        let narrow = Data { axes: axes(&kept), cols: kept.clone(), ..data.clone() };
        let wide = Data { axes: axes(all), cols: all.to_vec(), ..data.clone() };
        let from: HashMap<Vec<usize>, usize> =
            (0..narrow.columns()).map(|column| (narrow.index_of_column(column), column)).collect();
        let columns = wide.columns();
        self.spend(node, columns)?;
        let place = |column: usize| from.get(&wide.index_of_column(column)).copied().unwrap_or(0);
        let places: Vec<usize> = (0..columns).map(place).collect();
        let result = self.selected(node, &data, &places)?;
        Ok(Data { cols: all.to_vec(), ..result })
    }
}

/// Marks atoms that have been given the number of another value's, so that none is taken for an own one.
const RENAMED: u32 = 1 << 31;
