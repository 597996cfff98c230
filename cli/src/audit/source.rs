//! A file as it is read: plain or gzip, lines of bounded length, and how far it was read.

use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// The longest line, or CSV record, that is read, in bytes: a batch of 500 KB fits twice.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Columns, parted by this byte.
    Csv(u8),
}

/// An open file.
pub struct Source {
    reader: Box<dyn BufRead>,
    read: Rc<Cell<u64>>,
    /// How it is written.
    pub format: Format,
    /// Its size on disk.
    pub bytes: u64,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Counts what was read of the file itself.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.set(self.read.get() + u64::try_from(n).unwrap_or(0));
        Ok(n)
    }
}

impl Source {
    /// Opens a file and looks at its beginning.
    ///
    /// # Errors
    /// Where it cannot be read, or is UTF-16.
    pub fn open(path: &Path) -> io::Result<Source> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let read = Rc::new(Cell::new(0));
        let counted = Counted { file, read: Rc::clone(&read) };
        let mut raw = BufReader::with_capacity(CHUNK_BYTES, counted);
        let zipped = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let mut reader: Box<dyn BufRead> = if zipped {
            Box::new(BufReader::with_capacity(CHUNK_BYTES, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        let start = reader.fill_buf()?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(io::Error::other("is UTF-16: convert it to UTF-8 first"));
        }
        let marked = start.starts_with(b"\xef\xbb\xbf");
        if marked {
            reader.consume(3);
        }
        let format = format_of(reader.fill_buf()?);
        Ok(Source { reader, read, format, bytes })
    }

    /// How much of the file was read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    /// The rest of the file.
    pub fn reader(&mut self) -> &mut dyn BufRead {
        &mut *self.reader
    }

    /// Reads a line into `line`, without its end. `None` at the end of the file; false where it was
    /// too long: then `line` holds nothing of it.
    ///
    /// # Errors
    /// Where the file cannot be read on.
    pub fn line(&mut self, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
        line.clear();
        let (mut any, mut fits) = (false, true);
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            fits = fits && line.len() + part.len() <= LINE_BYTES_MAX;
            if fits {
                line.extend_from_slice(part);
            } else {
                line.clear();
            }
            let taken = part.len() + usize::from(end.is_some());
            self.reader.consume(taken);
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(any.then_some(fits))
    }
}

/// Objects and lists are JSON; anything else is columns, parted by what its first line has most of.
fn format_of(start: &[u8]) -> Format {
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[') | None) {
        return Format::Jsonl;
    }
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in start {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => {
                if let Some((_, count)) = counts.iter_mut().find(|(mark, _)| mark == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    // Of equals the first, which is the comma.
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    Format::Csv(most.map_or(b',', |(mark, _)| *mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_beginning() {
        for (start, expected) in [
            ("{\"type\":\"track\"}\n", Format::Jsonl),
            ("\n [\n{}", Format::Jsonl),
            ("", Format::Jsonl),
            ("a,b;c,d\n1;2;3;4;5\n", Format::Csv(b',')),
            ("a;b;c\n", Format::Csv(b';')),
            ("a\tb,c\td\n", Format::Csv(b'\t')),
            ("\"a;b;c\",d\n", Format::Csv(b',')),
            ("name\n", Format::Csv(b',')),
        ] {
            assert_eq!(format_of(start.as_bytes()), expected, "{start}");
        }
    }
}
