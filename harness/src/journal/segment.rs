//! Reading segments of the table of requests.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use gauntlet_core::evidence::{Class, Operation, Request};
use parquet::{
    column::reader::get_typed_column_reader,
    data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::reader::{FileReader, RowGroupReader, SerializedFileReader},
};

use super::{error::JournalError, sums::Sums, table};

/// What the segments of a run hold.
pub(super) struct Segments {
    /// By intended start.
    pub(super) rows: Vec<Request>,
    /// Why they may not be all.
    pub(super) torn: Option<String>,
}

const PART: &str = "part";

/// The name of a segment, and the one that it bears until it is whole.
pub(super) fn names(dir: &Path, number: usize) -> (PathBuf, PathBuf) {
    let whole = dir.join(format!("{number:05}.parquet"));
    let part = whole.with_extension(format!("parquet.{PART}"));
    (whole, part)
}

/// Reads all segments of a directory.
pub(super) fn read_all(dir: &Path) -> Result<Segments, JournalError> {
    let (count, parts) = list(dir)?;
    let sums = Sums::read(dir)?;
    let mut rows = Vec::new();
    let mut last = false;
    for number in 1..=count {
        let (path, _) = names(dir, number);
        if !path.exists() {
            return Err(JournalError::Gap { path });
        }
        sums.check(&path)?;
        last = Segment::open(&path)?.read(&mut rows)?;
    }
    rows.sort_by_key(|row| row.intended_us);
    let torn = match (last, parts) {
        (true, _) => None,
        (false, true) => Some(format!("the segment of requests after number {count} was not finished")),
        (false, false) => {
            Some(format!("the segments of requests end with number {count}, which is not the last"))
        }
    };
    Ok(Segments { rows, torn })
}

/// The highest number of a whole segment, and whether an unfinished one is there.
fn list(dir: &Path) -> Result<(usize, bool), JournalError> {
    let mut found = (0, false);
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        entries => entries.map_err(JournalError::io("list", dir))?,
    };
    for entry in entries {
        let name = entry.map_err(JournalError::io("list", dir))?.file_name();
        let name = name.to_string_lossy();
        if let Some(number) = name.strip_suffix(".parquet").and_then(|number| number.parse().ok()) {
            found.0 = found.0.max(number);
        }
        found.1 |= name.ends_with(PART);
    }
    Ok(found)
}

struct Segment<'a> {
    path: &'a Path,
    reader: SerializedFileReader<File>,
}

/// One row group, column by column.
struct Columns {
    times: [Vec<i64>; 3],
    step: Vec<i32>,
    arm: Vec<Option<ByteArray>>,
    status: Vec<i32>,
    class: Vec<Option<ByteArray>>,
    bytes: Vec<i64>,
    operation: Vec<Option<ByteArray>>,
    key: Vec<Option<ByteArray>>,
    value: Vec<Option<ByteArray>>,
}

impl<'a> Segment<'a> {
    fn open(path: &'a Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(JournalError::io("open", path))?;
        let reader = SerializedFileReader::new(file).map_err(JournalError::table("read", path))?;
        let segment = Self { path, reader };
        segment.check_columns()?;
        Ok(segment)
    }

    fn check_columns(&self) -> Result<(), JournalError> {
        let known = table::schema().map_err(JournalError::table("read", self.path))?;
        let found = self.reader.metadata().file_metadata().schema();
        if *found == *known {
            return Ok(());
        }
        let names = |of: &parquet::schema::types::Type| -> Vec<String> {
            of.get_fields()
                .iter()
                .map(|field| format!("{} {:?}", field.name(), field.get_physical_type()))
                .collect()
        };
        let (found, known) =
            if found.is_group() { (names(found), names(&known)) } else { (vec![], names(&known)) };
        let why = format!("found {}; known {}", found.join(", "), known.join(", "));
        Err(JournalError::Columns { path: self.path.to_owned(), why })
    }

    /// Appends its rows; says whether it is the last segment of a run.
    fn read(&self, rows: &mut Vec<Request>) -> Result<bool, JournalError> {
        for number in 0..self.reader.num_row_groups() {
            let columns = self.columns(number).map_err(JournalError::table("read", self.path))?;
            for row in 0..columns.step.len() {
                rows.push(columns.row(row).map_err(|why| JournalError::Row {
                    path: self.path.to_owned(),
                    group: number + 1,
                    row: row + 1,
                    why,
                })?);
            }
        }
        let footer = self.reader.metadata().file_metadata().key_value_metadata();
        Ok(footer.is_some_and(|pairs| pairs.iter().any(|pair| pair.key == table::LAST)))
    }

    fn columns(&self, number: usize) -> Result<Columns, ParquetError> {
        let group = self.reader.get_row_group(number)?;
        let group = group.as_ref();
        let columns = Columns {
            times: [
                required::<Int64Type>(group, 0)?,
                required::<Int64Type>(group, 1)?,
                required::<Int64Type>(group, 2)?,
            ],
            step: required::<Int32Type>(group, 4)?,
            arm: texts(group, 5)?,
            status: required::<Int32Type>(group, 6)?,
            class: texts(group, 7)?,
            bytes: required::<Int64Type>(group, 8)?,
            operation: texts(group, 9)?,
            key: texts(group, 10)?,
            value: texts(group, 11)?,
        };
        let lengths = columns.lengths();
        if lengths.iter().any(|length| *length != lengths[0]) {
            return Err(ParquetError::General(format!("columns of different lengths: {lengths:?}")));
        }
        Ok(columns)
    }
}

impl Columns {
    fn lengths(&self) -> [usize; 11] {
        let [intended, sent, done] = &self.times;
        let texts = [&self.arm, &self.class, &self.operation, &self.key, &self.value].map(Vec::len);
        let [arm, class, operation, key, value] = texts;
        let (step, status, bytes) = (self.step.len(), self.status.len(), self.bytes.len());
        [step, intended.len(), sent.len(), done.len(), arm, status, class, bytes, operation, key, value]
    }

    fn row(&self, row: usize) -> Result<Request, String> {
        let time =
            |column: usize| number(self.times[column][row], ["intended_us", "sent_us", "done_us"][column]);
        let class = text(&self.class[row])?;
        let operation = text(&self.operation[row])?;
        Ok(Request {
            intended_us: time(0)?,
            sent_us: time(1)?,
            done_us: time(2)?,
            step: number(self.step[row].into(), "step")?,
            arm: text(&self.arm[row])?,
            status: number(self.status[row].into(), "status")?,
            class: Class::ALL
                .into_iter()
                .find(|known| known.word() == class)
                .ok_or_else(|| format!("unknown class {class:?}"))?,
            bytes: number(self.bytes[row], "bytes")?,
            operation: Operation::ALL
                .into_iter()
                .find(|known| known.word() == operation)
                .ok_or_else(|| format!("unknown operation {operation:?}"))?,
            key: text(&self.key[row])?,
            value: text(&self.value[row])?,
        })
    }
}

fn number<T: TryFrom<i64>>(value: i64, column: &str) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{column} is {value}, which is out of its range"))
}

fn text(value: &Option<ByteArray>) -> Result<String, String> {
    let Some(value) = value else { return Ok(String::new()) };
    value.as_utf8().map(str::to_owned).map_err(|error| error.to_string())
}

fn required<T: DataType>(group: &dyn RowGroupReader, column: usize) -> Result<Vec<T::T>, ParquetError> {
    Ok(levels_and_values::<T>(group, column)?.1)
}

fn texts(group: &dyn RowGroupReader, column: usize) -> Result<Vec<Option<ByteArray>>, ParquetError> {
    let optional = group.metadata().column(column).column_descr().max_def_level() > 0;
    let (levels, values) = levels_and_values::<ByteArrayType>(group, column)?;
    if !optional {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels.into_iter().map(|level| if level > 0 { values.next() } else { None }).collect())
}

fn levels_and_values<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
) -> Result<(Vec<i16>, Vec<T::T>), ParquetError> {
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    // In batches: the number of rows that a damaged footer claims is never trusted with memory.
    while reader.read_records(8_192, Some(&mut levels), None, &mut values)?.0 > 0 {}
    Ok((levels, values))
}
