//! Building a program: shapes, bounds and admission rules are checked as relations are added.
//!
//! Bounds follow from what lookups *enforce*. A committed tensor has the width it was declared with,
//! and [`ProgramBuilder::finish`] refuses the program unless lookups keep every one of its rows within
//! that width. Everything else is interval arithmetic, so no value of an accepted proof can wrap.

use std::collections::HashMap;

use num_bigint::BigInt;

use super::admission::{check_ranged, check_used};
pub use super::hint::{Hint, Recipe, Recipes};
use super::program::{
    Column, Contraction, Kind, Linear, Lookup, MAX_WIDTH_VARS, Product, Program, ProgramError, Relation,
    SHARED_WIDTH_VARS, TableId, Tensor, TensorId, best_constant_width, constant_width_vars,
};
use super::tables::Table;
use super::view::View;

mod views;

use self::views::{check_bits, shape_error, times};

/// Bits below which values cannot wrap in a 254-bit field, whatever small factor scales them.
const MAX_BITS: u64 = 200;
/// Entries of the largest tensor or index map.
const MAX_ENTRIES: usize = 1 << 28;

/// Builds a [`Program`].
#[derive(Default)]
pub struct ProgramBuilder {
    tensors: Vec<Tensor>,
    names: HashMap<String, usize>,
    relations: Vec<Relation>,
    tables: Vec<Table>,
    outputs: Vec<TensorId>,
    zeros: Vec<TensorId>,
    recipes: Recipes,
    range: Option<TableId>,
    range_bits: usize,
    width_vars: Option<usize>,
    weight_width_vars: Option<usize>,
    scope: Scope,
}

/// What is added to the names of tensors and the numbers of constants.
#[derive(Default)]
struct Scope {
    name: String,
    first_constant: u32,
}

impl ProgramBuilder {
    /// A builder whose range table has `2^range_bits` entries.
    #[must_use]
    pub fn new(range_bits: usize) -> Self {
        Self { range_bits, ..Self::default() }
    }

    /// Commits to the witness in rows of `2^width_vars` entries, whatever would be best.
    #[must_use]
    pub fn with_width_vars(mut self, width_vars: usize) -> Self {
        self.width_vars = Some(width_vars);
        self
    }

    /// Takes it that large constants have been committed in rows of `2^width_vars` entries (see
    /// [`constant_width_vars`]); otherwise in rows that suit the constants of this program.
    #[must_use]
    pub fn with_weight_width_vars(mut self, width_vars: usize) -> Self {
        self.weight_width_vars = Some(width_vars);
        self
    }

    /// Builds a part of the program on its own: its tensors are named after it, if it has a name, and its constants are
    /// numbered from `first_constant` on. So several networks share a program whatever their layers are called.
    pub fn scoped<T>(&mut self, name: &str, first_constant: u32, build: impl FnOnce(&mut Self) -> T) -> T {
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        let outer = std::mem::replace(&mut self.scope, Scope { name, first_constant });
        let built = build(self);
        self.scope = outer;
        built
    }

    /// Bits of the range table.
    #[must_use]
    pub fn range_bits(&self) -> usize {
        self.range_bits
    }

    /// Rows and columns of a tensor.
    #[must_use]
    pub fn shape(&self, id: TensorId) -> (usize, usize) {
        let tensor = &self.tensors[id.0 as usize];
        (tensor.rows, tensor.cols)
    }

    /// Smallest and largest value that the proof allows.
    #[must_use]
    pub fn bounds(&self, id: TensorId) -> (BigInt, BigInt) {
        let tensor = &self.tensors[id.0 as usize];
        (tensor.low.clone(), tensor.high.clone())
    }

    /// The whole of a tensor.
    #[must_use]
    pub fn whole(&self, id: TensorId) -> View {
        View::whole(id, self.shape(id).0)
    }

    /// A tensor that is committed before the proof.
    pub fn input(
        &mut self,
        name: &str,
        shape: (usize, usize),
        low: i128,
        high: i128,
    ) -> Result<TensorId, ProgramError> {
        self.add(name, shape, Kind::Input, low.into(), high.into())
    }

    /// A vector of `len` integers that is committed before the proof, seen as rows of `block` entries;
    /// `block` is a power of two. What the last row has beyond `len` is proved zero.
    pub fn input_vector(
        &mut self,
        name: &str,
        len: usize,
        block: usize,
        low: i128,
        high: i128,
    ) -> Result<TensorId, ProgramError> {
        if !block.is_power_of_two() {
            return Err(shape_error(name, format!("blocks of {block} entries are not a power of two")));
        }
        let id = self.input(name, (len.div_ceil(block), block), low, high)?;
        self.tensors[id.0 as usize].entries = len;
        Ok(id)
    }

    /// Constant `number` of the model, whose entries are within `[low, high]`; one declared before is shared.
    pub fn constant(
        &mut self,
        name: &str,
        number: u32,
        shape: (usize, usize),
        low: i128,
        high: i128,
    ) -> Result<TensorId, ProgramError> {
        let number = self.scope.first_constant.checked_add(number);
        let number = number.ok_or_else(|| ProgramError::TooLarge(format!("the number of constant `{name}`")))?;
        let (kind, low, high) = (Kind::Constant(number), BigInt::from(low), BigInt::from(high));
        let same = |t: &Tensor| t.kind == kind && (t.rows, t.cols) == shape && (&t.low, &t.high) == (&low, &high);
        if let Some(known) = self.tensors.iter().position(same) {
            return Ok(TensorId(known as u32));
        }
        self.add(name, shape, kind, low, high)
    }

    /// Weights that were committed at setup, seen as an input. Unlike [`ProgramBuilder::input`], the program is not
    /// refused if no single lookup keeps them within `[low, high]`: whoever declares them has to show it.
    pub fn weights(
        &mut self,
        name: &str,
        shape: (usize, usize),
        low: i128,
        high: i128,
    ) -> Result<TensorId, ProgramError> {
        self.add(name, shape, Kind::Weights, low.into(), high.into())
    }

    /// A tensor that is committed in the proof and computed by `hint` from `inputs`.
    pub fn witness(
        &mut self,
        name: &str,
        shape: (usize, usize),
        (low, high): (i128, i128),
        inputs: &[TensorId],
        hint: Hint,
    ) -> Result<TensorId, ProgramError> {
        let id = self.add(name, shape, Kind::Witness, low.into(), high.into())?;
        self.recipes.insert(id, Recipe { inputs: inputs.to_vec(), hint });
        Ok(id)
    }

    /// `Σ coefficient · view + constant`.
    pub fn linear(&mut self, name: &str, terms: Vec<(i128, View)>, constant: i128) -> Result<TensorId, ProgramError> {
        let Some((_, first)) = terms.first() else {
            return Err(shape_error(name, "a linear combination needs a term"));
        };
        let shape = self.view_shape(name, first)?;
        let (mut low, mut high) = (BigInt::from(constant), BigInt::from(constant));
        for (coefficient, view) in &terms {
            if self.view_shape(name, view)? != shape {
                return Err(shape_error(name, "the terms differ in shape"));
            }
            let (l, h) = times(&self.view_bounds(view), &(BigInt::from(*coefficient), BigInt::from(*coefficient)));
            low += l;
            high += h;
        }
        let id = self.add(name, shape, Kind::Virtual(self.relations.len() as u32), low, high)?;
        self.relations.push(Relation::Linear(Linear { output: id, terms, constant }));
        Ok(id)
    }

    /// `out[t, n] = Σ_{κ,c} lhs[source(t, κ), c] · rhs[κ·C̄ + c, n]`.
    pub fn contraction(&mut self, name: &str, mut lhs: View, rhs: View) -> Result<TensorId, ProgramError> {
        lhs.tap_weights.clear();
        let (rows, inner) = self.view_shape(name, &lhs)?;
        let (rhs_rows, cols) = self.view_shape(name, &rhs)?;
        let taps = lhs.rows.num_taps();
        let expected = (taps - 1) * inner.next_power_of_two() + inner;
        if rhs_rows != expected {
            return Err(shape_error(
                name,
                format!("{taps} taps of {inner} columns need a right operand of {expected} rows, not {rhs_rows}"),
            ));
        }
        self.add_contraction(name, lhs, rhs, false, (rows, cols), taps * inner)
    }

    /// `out[t, n] = Σ_c lhs[t, c] · rhs[n, c]`.
    pub fn contraction_transposed(&mut self, name: &str, mut lhs: View, rhs: View) -> Result<TensorId, ProgramError> {
        lhs.tap_weights.clear();
        let (rows, inner) = self.view_shape(name, &lhs)?;
        let (cols, rhs_inner) = self.view_shape(name, &rhs)?;
        if inner != rhs_inner || lhs.rows.num_taps() != 1 {
            return Err(shape_error(name, format!("{inner} columns are contracted with {rhs_inner}")));
        }
        self.add_contraction(name, lhs, rhs, true, (rows, cols), inner)
    }

    fn add_contraction(
        &mut self,
        name: &str,
        lhs: View,
        rhs: View,
        transposed: bool,
        shape: (usize, usize),
        terms: usize,
    ) -> Result<TensorId, ProgramError> {
        let (low, high) = times(&self.view_bounds(&lhs), &self.view_bounds(&rhs));
        // Rows outside the source are zero.
        let (low, high) = (low.min(BigInt::ZERO) * terms, high.max(BigInt::ZERO) * terms);
        let id = self.add(name, shape, Kind::Virtual(self.relations.len() as u32), low, high)?;
        self.relations.push(Relation::Contraction(Contraction { output: id, lhs, rhs, transposed }));
        Ok(id)
    }

    /// `left ∘ right`.
    pub fn product(&mut self, name: &str, left: View, right: View) -> Result<TensorId, ProgramError> {
        let shape = self.view_shape(name, &left)?;
        if self.view_shape(name, &right)? != shape {
            return Err(shape_error(name, "the factors differ in shape"));
        }
        let (mut low, high) = times(&self.view_bounds(&left), &self.view_bounds(&right));
        if left == right {
            low = low.max(BigInt::ZERO);
        }
        let id = self.add(name, shape, Kind::Virtual(self.relations.len() as u32), low, high)?;
        self.relations.push(Relation::Product(Product { output: id, left, right }));
        Ok(id)
    }

    /// A table; an equal one is shared.
    pub fn table(&mut self, table: Table) -> Result<TableId, ProgramError> {
        if !table.is_well_formed() {
            return Err(ProgramError::TooLarge(format!("table `{}` is not 2^{} entries", table.name, table.bits)));
        }
        if let Some(i) = self.tables.iter().position(|t| *t == table) {
            return Ok(TableId(i as u32));
        }
        self.tables.push(table);
        Ok(TableId(self.tables.len() as u32 - 1))
    }

    /// `columns ∈ table`.
    pub fn lookup(&mut self, columns: Vec<Column>, table: TableId) -> Result<(), ProgramError> {
        let name = &self.tables[table.0 as usize].name.clone();
        let Some(first) = columns.first() else { return Err(shape_error(name, "a lookup needs a column")) };
        let shape = self.view_shape(name, &first.view)?;
        if columns.len() != self.tables[table.0 as usize].columns.len() {
            return Err(shape_error(name, "a lookup has as many columns as its table"));
        }
        for column in &columns {
            if self.view_shape(name, &column.view)? != shape {
                return Err(shape_error(name, "the columns differ in shape"));
            }
            let (low, high) = self.view_bounds(&column.view);
            let scaled = times(&(low, high), &(column.scale.into(), column.scale.into()));
            check_bits(name, &scaled)?;
        }
        self.relations.push(Relation::Lookup(Lookup { columns, table }));
        Ok(())
    }

    /// Shows that `view` is within `[low, low + 2^bits)`, where `bits` is at most the range table's.
    ///
    /// # Soundness
    /// With fewer bits than the table, the column is scaled, which is sound for integers only: for
    /// combinations of tensors that are ranged unscaled. [`ProgramBuilder::finish`] checks that every
    /// committed tensor is.
    pub fn range(&mut self, view: View, low: i128, bits: usize) -> Result<(), ProgramError> {
        let table = match self.range {
            Some(table) => table,
            None => self.table(Table::range(self.range_bits))?,
        };
        self.range = Some(table);
        if bits > self.range_bits {
            return Err(shape_error("range", format!("{bits} bits in a table of {}", self.range_bits)));
        }
        let scale = 1i64 << (self.range_bits - bits);
        let offset = i64::try_from(-low * i128::from(scale))
            .map_err(|_| shape_error("range", "the lower end is out of reach"))?;
        self.lookup(vec![Column { view, scale, offset }], table)
    }

    /// Makes the values of a tensor public.
    pub fn output(&mut self, id: TensorId) {
        self.outputs.push(id);
    }

    /// Shows that every entry of a tensor is zero.
    pub fn zero(&mut self, id: TensorId) {
        self.zeros.push(id);
    }

    /// The program, and how its witness is computed.
    pub fn finish(mut self) -> Result<(Program, Recipes), ProgramError> {
        check_ranged(&self.tensors, &self.relations, &self.tables)?;
        let multiplicities = (0..self.tables.len())
            .map(|i| {
                let (name, cols) = (format!("multiplicities of {}", self.tables[i].name), self.tables[i].len());
                let kind = Kind::Multiplicity(TableId(i as u32));
                self.add(&name, (1, cols), kind, BigInt::ZERO, BigInt::from(MAX_ENTRIES))
            })
            .collect::<Result<_, _>>()?;
        let constants = || {
            let constants = self.tensors.iter().filter(|t| matches!(t.kind, Kind::Constant(_) | Kind::Weights));
            constants.map(|t| (t.rows, t.cols))
        };
        let weight_width_vars = self.weight_width_vars.unwrap_or_else(|| best_constant_width(constants()));
        let widest = constants().map(|shape| constant_width_vars(shape, weight_width_vars)).max().unwrap_or(0);
        let width_vars = self.width_vars.unwrap_or_else(|| best_width(&self.tensors, widest));
        let Self { tensors, relations, tables, outputs, zeros, recipes, .. } = self;
        let program =
            Program { tensors, relations, tables, multiplicities, outputs, zeros, width_vars, weight_width_vars };
        check_used(&program)?;
        Ok((program, recipes))
    }

    fn add(
        &mut self,
        name: &str,
        (rows, cols): (usize, usize),
        kind: Kind,
        low: BigInt,
        high: BigInt,
    ) -> Result<TensorId, ProgramError> {
        let padded = rows.checked_next_power_of_two().zip(cols.checked_next_power_of_two());
        let entries = padded.and_then(|(r, c)| r.checked_mul(c));
        if rows == 0 || cols == 0 || entries.is_none_or(|n| n > MAX_ENTRIES) {
            return Err(ProgramError::TooLarge(format!("tensor `{name}` of {rows} × {cols}")));
        }
        check_bits(name, &(low.clone(), high.clone()))?;
        let name = self.unused(&format!("{}{name}", self.scope.name));
        self.tensors.push(Tensor { name, rows, cols, entries: rows * cols, kind, low, high });
        Ok(TensorId(self.tensors.len() as u32 - 1))
    }

    /// `name`, numbered if another tensor has it: errors and tests find a tensor by its name.
    fn unused(&mut self, name: &str) -> String {
        let mut unused = name.to_owned();
        while self.names.contains_key(&unused) {
            let count = self.names.entry(name.to_owned()).or_insert(1);
            *count += 1;
            unused = format!("{name} ({count})");
        }
        self.names.insert(unused.clone(), 1);
        unused
    }
}

/// Variables of the rows of commitments for which proofs are smallest and verified fastest: a verifier pays
/// for every row (a point to decode, a term to add) and for every generator (a term), and a proof holds every
/// row and an eighth as many scalars as a row is long. Generators for the rows of constants, the longest of `2^widest` entries,
/// are paid for already.
fn best_width(tensors: &[Tensor], widest: usize) -> usize {
    let committed = |t: &&Tensor| matches!(t.kind, Kind::Witness | Kind::Multiplicity(_));
    let cost = |width_vars: &usize| {
        let rows = tensors.iter().filter(committed).map(|t| (t.rows << t.col_vars()).div_ceil(1 << width_vars));
        4 * rows.sum::<usize>() + (1 << widest.max(*width_vars))
    };
    (SHARED_WIDTH_VARS..=MAX_WIDTH_VARS).min_by_key(cost).unwrap_or(SHARED_WIDTH_VARS)
}
