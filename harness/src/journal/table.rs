//! The table of requests: what its columns are, and how a segment is written.
//!
//! | column | Parquet type | meaning |
//! |---|---|---|
//! | `intended_us` | INT64 | when the schedule wanted it sent, microseconds since the load began |
//! | `sent_us` | INT64 | when it was handed to the connection |
//! | `done_us` | INT64 | when the last byte of the body had arrived, or the failure was known |
//! | `behaviour` | BYTE_ARRAY, UTF-8 | the behaviour it belongs to; `audit` for those that ask for records after the load |
//! | `step` | INT32 | index into `plan.load.steps`; 65535 for an audit |
//! | `arm` | BYTE_ARRAY, UTF-8, optional | which copy or version answered; null when unknown |
//! | `status` | INT32 | the HTTP status; 0 when none came |
//! | `class` | BYTE_ARRAY, UTF-8 | `ok`, `wrong-status`, `wrong-body`, `timeout`, `refused`, `reset`, `capped`, `unsent` |
//! | `bytes` | INT64 | bytes of the answer's body |
//! | `operation` | BYTE_ARRAY, UTF-8 | `none`, `write`, `read`, `audit` |
//! | `key` | BYTE_ARRAY, UTF-8, optional | the record; null when the operation is `none` |
//! | `value` | BYTE_ARRAY, UTF-8, optional | what was written or found, joined by line feeds; of a wrong body, what came instead; null when nothing |
//!
//! All times are signed, so that differences of columns need no cast. Texts are dictionary-encoded, pages are
//! compressed with Snappy. In DuckDB: `select class, count(*) from 'requests/*.parquet' group by class`.
//!
//! The footer of the last segment of a run that was closed in order holds the key `gauntlet.last`.

use std::{fs::File, path::Path, sync::Arc};

use gauntlet_core::{evidence::Request, plan::LoadPlan};
use parquet::{
    basic::{Compression, Encoding},
    data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{
        parser::parse_message_type,
        types::{ColumnPath, TypePtr},
    },
};

use super::error::JournalError;

/// The `step` of a request that asks for a record after the load.
pub const AUDIT_STEP: u16 = u16::MAX;
/// The `behaviour` of such a request.
pub const AUDIT: &str = "audit";

pub(super) const LAST: &str = "gauntlet.last";

const SCHEMA: &str = "message request {
    required int64 intended_us;
    required int64 sent_us;
    required int64 done_us;
    required binary behaviour (STRING);
    required int32 step;
    optional binary arm (STRING);
    required int32 status;
    required binary class (STRING);
    required int64 bytes;
    required binary operation (STRING);
    optional binary key (STRING);
    optional binary value (STRING);
}";

/// The schema of every segment.
pub(super) fn schema() -> Result<TypePtr, ParquetError> {
    Ok(Arc::new(parse_message_type(SCHEMA)?))
}

/// Which behaviour each step of the load belongs to.
pub(super) fn behaviours(load: &LoadPlan) -> Vec<ByteArray> {
    load.steps.iter().map(|step| ByteArray::from(step.behaviour.as_str())).collect()
}

/// Writes a segment, whole, under this name.
pub(super) fn write(
    path: &Path,
    rows: &[Request],
    behaviours: &[ByteArray],
    last: bool,
) -> Result<(), JournalError> {
    let file = File::create(path).map_err(JournalError::io("create", path))?;
    let kept = file.try_clone().map_err(JournalError::io("write", path))?;
    fill(file, rows, behaviours, last).map_err(JournalError::table("write", path))?;
    kept.sync_data().map_err(JournalError::io("sync", path))
}

fn fill(file: File, rows: &[Request], behaviours: &[ByteArray], last: bool) -> Result<(), ParquetError> {
    let mut writer = SerializedFileWriter::new(file, schema()?, Arc::new(properties(last)))?;
    if !rows.is_empty() {
        let mut group = writer.next_row_group()?;
        columns(&mut group, rows, behaviours)?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn properties(last: bool) -> WriterProperties {
    let footer = last.then(|| vec![KeyValue::new(LAST.to_owned(), "true".to_owned())]);
    let mut properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_key_value_metadata(footer);
    for time in ["intended_us", "sent_us", "done_us"] {
        let column = ColumnPath::from(time);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

type Group<'a> = SerializedRowGroupWriter<'a, File>;

fn columns(group: &mut Group<'_>, rows: &[Request], behaviours: &[ByteArray]) -> Result<(), ParquetError> {
    let audit = ByteArray::from(AUDIT);
    required::<Int64Type>(group, rows, |row| signed(row.intended_us))?;
    required::<Int64Type>(group, rows, |row| signed(row.sent_us))?;
    required::<Int64Type>(group, rows, |row| signed(row.done_us))?;
    required::<ByteArrayType>(group, rows, |row| {
        behaviours.get(usize::from(row.step)).unwrap_or(&audit).clone()
    })?;
    required::<Int32Type>(group, rows, |row| i32::from(row.step))?;
    optional(group, rows, |row| &row.arm)?;
    required::<Int32Type>(group, rows, |row| i32::from(row.status))?;
    required::<ByteArrayType>(group, rows, |row| ByteArray::from(row.class.word()))?;
    required::<Int64Type>(group, rows, |row| i64::from(row.bytes))?;
    required::<ByteArrayType>(group, rows, |row| ByteArray::from(row.operation.word()))?;
    optional(group, rows, |row| &row.key)?;
    optional(group, rows, |row| &row.value)
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

fn required<T: DataType>(
    group: &mut Group<'_>,
    rows: &[Request],
    of: impl Fn(&Request) -> T::T,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = rows.iter().map(of).collect();
    append::<T>(group, &values, None)
}

/// An empty text is null.
fn optional(
    group: &mut Group<'_>,
    rows: &[Request],
    of: impl Fn(&Request) -> &String,
) -> Result<(), ParquetError> {
    let texts = || rows.iter().map(&of);
    let values: Vec<ByteArray> =
        texts().filter(|text| !text.is_empty()).map(|text| text.as_str().into()).collect();
    let levels: Vec<i16> = texts().map(|text| i16::from(!text.is_empty())).collect();
    append::<ByteArrayType>(group, &values, Some(&levels))
}

fn append<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns than the table".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}
