//! Reads flatbuffers: tables whose fields stand where a table of offsets says, every offset checked against the bytes.
//!
//! ```text
//! root     u32 at 0, the place of the root table; bytes 4 to 8 are the file's identifier
//! table    i32 at t; its vtable is at t − that
//! vtable   u16 its bytes, u16 those of the table, then for every field u16: where in the table it is, 0 if it has its default
//! vector   u32 at v, the number of elements, which follow; of tables and strings, u32 offsets from where each is stored
//! ```
//!
//! Nothing is copied before it is known to be there; a view is a few numbers. Offsets may lead to the same bytes again and again, so
//! that whoever copies what they lead to has to count.
//!
//! Format: <https://flatbuffers.dev/internals/>.

/// Bytes that contradict the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadOffset;

type Result<T> = std::result::Result<T, BadOffset>;

/// A number as the format stores it.
pub(super) trait Scalar: Sized {
    /// Bytes of one.
    const SIZE: usize;
    /// The number in these bytes; none if there are fewer.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! scalars {
    ($($kind:ty),*) => {$(
        impl Scalar for $kind {
            const SIZE: usize = size_of::<$kind>();
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| <$kind>::from_le_bytes(*bytes))
            }
        }
    )*};
}
scalars!(u8, i8, u16, i32, u32, i64, u64, f32);

/// The number at a place.
fn scalar<T: Scalar>(bytes: &[u8], at: usize) -> Result<T> {
    bytes.get(at..).and_then(T::read).ok_or(BadOffset)
}

/// Where an offset that is stored at a place leads.
fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    let offset: u32 = scalar(bytes, at)?;
    usize::try_from(offset).ok().and_then(|offset| at.checked_add(offset)).ok_or(BadOffset)
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    /// Bytes of the vtable.
    size: usize,
}

impl<'a> Table<'a> {
    /// The root table of a file.
    pub(super) fn root(bytes: &'a [u8]) -> Result<Self> {
        Self::new(bytes, follow(bytes, 0)?)
    }

    fn new(bytes: &'a [u8], at: usize) -> Result<Self> {
        let back: i32 = scalar(bytes, at)?;
        let vtable = i64::try_from(at).ok().and_then(|at| usize::try_from(at - i64::from(back)).ok());
        let vtable = vtable.ok_or(BadOffset)?;
        let size = usize::from(scalar::<u16>(bytes, vtable)?);
        let whole = size >= 4 && vtable.checked_add(size).is_some_and(|end| end <= bytes.len());
        whole.then_some(Self { bytes, at, vtable, size }).ok_or(BadOffset)
    }

    /// Where a field stands; none if it has its default.
    fn place(&self, field: usize) -> Result<Option<usize>> {
        let entry = 4 + 2 * field;
        if entry + 2 > self.size {
            return Ok(None);
        }
        let offset: u16 = scalar(self.bytes, self.vtable + entry)?;
        Ok((offset != 0).then_some(self.at + usize::from(offset)))
    }

    /// A field that is a number.
    pub(super) fn number<T: Scalar>(&self, field: usize, default: T) -> Result<T> {
        self.place(field)?.map_or(Ok(default), |at| scalar(self.bytes, at))
    }

    /// A field that is a table.
    pub(super) fn table(&self, field: usize) -> Result<Option<Table<'a>>> {
        self.place(field)?.map(|at| Table::new(self.bytes, follow(self.bytes, at)?)).transpose()
    }

    /// A field that is a list of elements of this many bytes, as it is stored, and where its elements begin.
    fn elements(&self, field: usize, size: usize) -> Result<(usize, &'a [u8])> {
        let Some(at) = self.place(field)? else { return Ok((0, &[])) };
        let at = follow(self.bytes, at)?;
        let length: u32 = scalar(self.bytes, at)?;
        let bytes = usize::try_from(length).ok().and_then(|length| length.checked_mul(size)).ok_or(BadOffset)?;
        let elements = self.bytes.get(at + 4..).and_then(|rest| rest.get(..bytes)).ok_or(BadOffset)?;
        Ok((at + 4, elements))
    }

    /// A field that is a list of numbers: how many, and each.
    pub(super) fn numbers<T: Scalar>(&self, field: usize) -> Result<impl ExactSizeIterator<Item = T> + use<'a, T>> {
        let (_, elements) = self.elements(field, T::SIZE)?;
        Ok(elements.chunks_exact(T::SIZE).map(|bytes| T::read(bytes).expect("a chunk has the bytes of a number")))
    }

    /// A field that is a list of bytes, as it is stored.
    pub(super) fn raw(&self, field: usize) -> Result<&'a [u8]> {
        Ok(self.elements(field, 1)?.1)
    }

    /// A field that is a text; what is no UTF-8 becomes the sign for that.
    pub(super) fn text(&self, field: usize) -> Result<String> {
        // A name that fills the file is cut: names are for messages.
        const LONGEST: usize = 256;
        let raw = self.raw(field)?;
        Ok(String::from_utf8_lossy(&raw[..raw.len().min(LONGEST)]).into_owned())
    }

    /// A field that is a list of tables.
    pub(super) fn tables(&self, field: usize) -> Result<Tables<'a>> {
        let (at, elements) = self.elements(field, 4)?;
        Ok(Tables { bytes: self.bytes, at, len: elements.len() / 4 })
    }
}

/// A list of tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables<'a> {
    bytes: &'a [u8],
    at: usize,
    len: usize,
}

impl<'a> Tables<'a> {
    /// Number of tables.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The table with this index; none if there are fewer.
    pub(super) fn get(&self, index: usize) -> Result<Option<Table<'a>>> {
        if index >= self.len {
            return Ok(None);
        }
        Table::new(self.bytes, follow(self.bytes, self.at + 4 * index)?).map(Some)
    }
}
