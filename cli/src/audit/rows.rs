//! The records of a file: lines of JSON, or rows of columns, each with its line number.

use super::columns::{Columns, Role};
use super::source::{Format, LINE_BYTES_MAX, Source};
use csv_core::ReadRecordResult;
use serde_json::Value;
use std::borrow::Cow;
use std::io::{self, BufRead};

/// The most fields of one CSV row; a row of more is passed over.
const FIELDS_MAX: usize = 16 * 1024;

/// What a line is.
#[derive(Debug)]
pub enum Row {
    /// JSON of the Segment API.
    Json(String),
    /// Nothing usable: why.
    Bad(String),
}

/// What the user said about a CSV.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Columns by their role.
    pub columns: Vec<(Role, String)>,
    /// What each row is.
    pub event: Option<String>,
}

/// Reads a file's records.
#[derive(Debug)]
pub struct Rows {
    source: Source,
    /// The line of the record that was read last, from 1.
    pub line: u64,
    /// Line ends before what comes next.
    ended: u64,
    csv: Option<Csv>,
    columns: Option<Columns>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Csv {
    core: Box<csv_core::Reader>,
    out: Vec<u8>,
    ends: Vec<usize>,
}

/// Why a file cannot be read as events at all.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its columns are not those of events.
    #[error("{0}")]
    Columns(String),
}

/// One row of columns.
enum Fields {
    /// It is in the buffers: so many fields.
    Whole(usize),
    TooLong,
    End,
}

impl Rows {
    /// Begins.
    ///
    /// # Errors
    /// Where the file cannot be read, or its first row does not name what events need.
    pub fn new(source: Source, told: &Told) -> Result<Rows, RowsError> {
        let mut rows =
            Rows { source, line: 0, ended: 0, csv: None, columns: None, buffer: Vec::new() };
        if let Format::Csv(mark) = rows.source.format {
            let core = Box::new(csv_core::ReaderBuilder::new().delimiter(mark).build());
            let out = vec![0; LINE_BYTES_MAX];
            rows.csv = Some(Csv { core, out, ends: vec![0; FIELDS_MAX] });
            let header = match rows.fields()? {
                Fields::Whole(count) => rows.cells(count),
                Fields::TooLong => {
                    let told = format!(
                        "its first row is longer than {LINE_BYTES_MAX} bytes, or has more than {FIELDS_MAX} columns"
                    );
                    return Err(RowsError::Columns(told));
                }
                Fields::End => Vec::new(),
            };
            let columns = Columns::of(&header, &told.columns, told.event.as_deref());
            rows.columns = Some(columns.map_err(RowsError::Columns)?);
        }
        Ok(rows)
    }

    /// The columns, where it is a CSV.
    #[must_use]
    pub fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// How much of the file was read, and its size.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.source.read(), self.source.bytes)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Where the file cannot be read on.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        if self.csv.is_some() { self.next_csv() } else { self.next_json() }
    }

    fn next_json(&mut self) -> io::Result<Option<Row>> {
        loop {
            let Some(fits) = self.source.line(&mut self.buffer)? else { return Ok(None) };
            self.line += 1;
            if !fits {
                return Ok(Some(Row::Bad(too_long())));
            }
            // As the API reads it: what is not UTF-8 becomes U+FFFD.
            let text = String::from_utf8_lossy(&self.buffer);
            // A list that has each event on a line of its own.
            let text = text.trim().trim_end_matches(',');
            if !text.is_empty() && !matches!(text, "[" | "]") {
                return Ok(Some(Row::Json(text.to_owned())));
            }
        }
    }

    fn next_csv(&mut self) -> io::Result<Option<Row>> {
        match self.fields()? {
            Fields::End => Ok(None),
            Fields::TooLong => Ok(Some(Row::Bad(format!(
                "a row of more than {LINE_BYTES_MAX} bytes or {FIELDS_MAX} columns: is a quote not closed?"
            )))),
            Fields::Whole(count) => {
                let (Some(csv), Some(columns)) = (&self.csv, &self.columns) else {
                    return Ok(None);
                };
                let cells: Vec<Cow<'_, str>> = (0..count).map(|at| csv.cell(at)).collect();
                let call = columns.call(cells.iter().map(AsRef::as_ref));
                Ok(Some(Row::Json(Value::Object(call).to_string())))
            }
        }
    }

    fn cells(&self, count: usize) -> Vec<String> {
        let csv = self.csv.as_ref();
        csv.map(|csv| (0..count).map(|at| csv.cell(at).into_owned()).collect()).unwrap_or_default()
    }

    /// Reads one row into the buffers.
    fn fields(&mut self) -> io::Result<Fields> {
        let Some(Csv { core, out, ends }) = &mut self.csv else { return Ok(Fields::End) };
        self.ended += skip_line_ends(self.source.reader())?;
        self.line = self.ended + 1;
        let (mut written, mut ended, mut fits) = (0, 0, true);
        loop {
            let input = self.source.reader().fill_buf()?;
            let room = (out.get_mut(written..), ends.get_mut(ended..));
            let (Some(text), Some(places)) = room else { return Ok(Fields::End) };
            let (result, taken, text, places) = core.read_record(input, text, places);
            self.ended += count(input.get(..taken).unwrap_or_default());
            self.source.reader().consume(taken);
            (written, ended) = (written + text, ended + places);
            match result {
                ReadRecordResult::InputEmpty => {}
                // What does not fit is read on, over what was there.
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (written, ended, fits) = (0, 0, false);
                }
                ReadRecordResult::Record if fits => return Ok(Fields::Whole(ended)),
                ReadRecordResult::Record => return Ok(Fields::TooLong),
                ReadRecordResult::End => return Ok(Fields::End),
            }
        }
    }
}

impl Csv {
    fn cell(&self, at: usize) -> Cow<'_, str> {
        let end = self.ends.get(at).copied().unwrap_or(0);
        let start =
            at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        String::from_utf8_lossy(self.out.get(start..end).unwrap_or_default())
    }
}

fn count(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |ends, byte| ends + u64::from(*byte == b'\n'))
}

/// Passes over empty lines, and over the end of the line before; how many ends that were.
fn skip_line_ends(reader: &mut dyn BufRead) -> io::Result<u64> {
    let mut ended = 0;
    loop {
        let input = reader.fill_buf()?;
        let length = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        ended += count(input.get(..length).unwrap_or_default());
        let more = length > 0 && length == input.len();
        reader.consume(length);
        if !more {
            return Ok(ended);
        }
    }
}

fn too_long() -> String {
    format!(
        "a line of more than {LINE_BYTES_MAX} bytes; a list of events must have each on a line of its own (jq -c '.[]' FILE)"
    )
}
