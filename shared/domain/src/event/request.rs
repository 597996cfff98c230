//! A request body: one call, or a batch of them.
//!
//! A batch is read item by item, each parsed once. An item that is wrong, or malformed while its
//! brackets still match, is refused alone; only a body whose outer shape is broken is refused as a
//! whole, because then nobody knows where an event ends.

use super::EventKind;
use super::item::{Draft, NOBODY, RawItem, Shared, object, time};
use super::problem::{Found, Problem, Refusal};
use crate::wire::SourceKind;
use serde::de::{Deserialize, IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The longest single event, batch-level context included (Segment's limit: 32 KB).
pub const EVENT_BYTES_MAX: usize = 32 * 1024;
/// The longest body, after inflation (Segment's limit: 500 KB). There is no limit on the number of
/// events in it.
pub const BODY_BYTES_MAX: usize = 500 * 1024;
/// The most that a batch's events may come to once batch-level context stands in each.
pub const MERGED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a body must be, by the path it was posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One call of this kind.
    Single(EventKind),
    /// `{"batch": [ … ]}`
    Batch,
}

/// A parsed request. Its events borrow from the body.
#[derive(Debug)]
pub struct Request<'a> {
    /// `writeKey` in the body.
    pub write_key: Option<Cow<'a, str>>,
    /// Its events, in their order, with their index.
    pub events: Vec<(usize, Draft<'a>)>,
    /// Its other items.
    pub refused: Vec<Refusal>,
}

impl Request<'_> {
    /// Believes of its events what a source of this kind may say: an event that only a server can
    /// say whose it is, by an external id, an address or a number, is refused of a browser.
    pub fn believe(&mut self, source: SourceKind, shape: Shape) {
        let strangers = |(_, draft): &(usize, Draft<'_>)| draft.vouched.is_some();
        if source == SourceKind::Server || !self.events.iter().any(strangers) {
            return;
        }
        let (field, problem) = NOBODY;
        for (index, _) in self.events.extract_if(.., |event| strangers(event)) {
            let index = (shape == Shape::Batch).then_some(index);
            self.refused.push(Refusal { index, field, problem: problem.clone() });
        }
        self.refused.sort_by_key(|refusal| refusal.index);
    }
}

/// Reads and validates a body.
///
/// # Errors
/// Where the body as a whole is no request. Whatever is wrong with one item alone is in
/// [`Request::refused`] instead.
pub fn parse(body: &str, shape: Shape) -> Result<Request<'_>, Refusal> {
    match shape {
        Shape::Single(kind) => parse_single(body, kind),
        Shape::Batch => parse_batch(body),
    }
}

fn parse_single(body: &str, kind: EventKind) -> Result<Request<'_>, Refusal> {
    let whole = |problem| Refusal { index: None, field: "", problem };
    let mut cursor = Cursor::new(body);
    cursor.expect_object().map_err(whole)?;
    let item: RawItem<'_> = cursor.value().map_err(whole)?;
    cursor.expect_end().map_err(whole)?;
    let mut request =
        Request { write_key: write_key(item.write_key), events: Vec::new(), refused: Vec::new() };
    match item.validate(Some(kind), &Shared::default()) {
        Ok(draft) => request.events.push((0, draft)),
        Err((field, problem)) => request.refused.push(Refusal { index: None, field, problem }),
    }
    Ok(request)
}

/// An item as it stood in the batch: its fields and its length, or what is wrong with it.
type Read<'a> = Result<(RawItem<'a>, usize), Problem>;

/// The outer object of a batch.
#[derive(Default)]
struct Outer<'a> {
    batch: Option<Vec<Read<'a>>>,
    write_key: Option<&'a RawValue>,
    sent_at: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
    integrations: Option<&'a RawValue>,
}

fn parse_batch(body: &str) -> Result<Request<'_>, Refusal> {
    let outer = read_outer(body)?;
    let refuse = |field, problem| Refusal { index: None, field, problem };
    let expected = "an array of events";
    let Some(items) = outer.batch else {
        return Err(refuse("batch", Problem::Wrong { expected, found: Found::Nothing }));
    };
    let shared = Shared {
        // Only a correction: one that cannot be read must not cost the events.
        sent_at: time(outer.sent_at).ok().flatten(),
        context: object(outer.context).map_err(|p| refuse("context", p))?,
        integrations: object(outer.integrations).ok().flatten(),
    };
    let added = |raw: Option<&RawValue>| raw.map_or(0, |raw| raw.get().len());
    let added = added(shared.context) + added(shared.integrations);
    if added * items.len() > MERGED_BYTES_MAX {
        let limit = MERGED_BYTES_MAX / items.len();
        return Err(refuse("context", Problem::TooLong { limit, bytes: added }));
    }
    let mut request = Request {
        write_key: write_key(outer.write_key),
        events: Vec::with_capacity(items.len()),
        refused: Vec::new(),
    };
    for (index, read) in items.into_iter().enumerate() {
        match validate_item(read, &shared, added) {
            Ok(draft) => request.events.push((index, draft)),
            Err((field, problem)) => {
                request.refused.push(Refusal { index: Some(index), field, problem });
            }
        }
    }
    Ok(request)
}

fn validate_item<'a>(
    read: Read<'a>,
    shared: &Shared<'a>,
    added: usize,
) -> Result<Draft<'a>, (&'static str, Problem)> {
    let (item, length) = read.map_err(|problem| ("", problem))?;
    let bytes = length + added;
    if bytes > EVENT_BYTES_MAX {
        return Err(("", Problem::TooLarge { limit: EVENT_BYTES_MAX, bytes }));
    }
    item.validate(None, shared)
}

fn write_key(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw?.get()).ok()
}

fn read_outer(body: &str) -> Result<Outer<'_>, Refusal> {
    let whole = |problem| Refusal { index: None, field: "", problem };
    let mut cursor = Cursor::new(body);
    let mut outer = Outer::default();
    cursor.expect_object().map_err(whole)?;
    cursor.step();
    if !cursor.took(b'}') {
        loop {
            read_member(&mut cursor, &mut outer)?;
            if cursor.took(b'}') {
                break;
            }
            cursor.expect(b',', "expected `,` or `}`").map_err(whole)?;
        }
    }
    cursor.expect_end().map_err(whole)?;
    Ok(outer)
}

fn read_member<'a>(cursor: &mut Cursor<'a>, outer: &mut Outer<'a>) -> Result<(), Refusal> {
    let whole = |problem| Refusal { index: None, field: "", problem };
    if cursor.peek() != Some(b'"') {
        return Err(whole(cursor.malformed("expected a member's name in double quotes")));
    }
    let key: Cow<'a, str> = cursor.value().map_err(whole)?;
    cursor.expect(b':', "expected `:`").map_err(whole)?;
    match key.as_ref() {
        "batch" => {
            if cursor.peek() == Some(b'[') {
                outer.batch = Some(read_items(cursor).map_err(whole)?);
            } else {
                let found: &RawValue = cursor.value().map_err(whole)?;
                let found = Found::of(found.get());
                let problem = Problem::Wrong { expected: "an array of events", found };
                return Err(Refusal { index: None, field: "batch", problem });
            }
        }
        "writeKey" => outer.write_key = Some(cursor.value().map_err(whole)?),
        "sentAt" => outer.sent_at = Some(cursor.value().map_err(whole)?),
        "context" => outer.context = Some(cursor.value().map_err(whole)?),
        "integrations" => outer.integrations = Some(cursor.value().map_err(whole)?),
        _ => {
            cursor.value::<IgnoredAny>().map_err(whole)?;
        }
    }
    Ok(())
}

fn read_items<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<Read<'a>>, Problem> {
    let mut items = Vec::new();
    cursor.step();
    if cursor.took(b']') {
        return Ok(items);
    }
    loop {
        items.push(read_item(cursor)?);
        if cursor.took(b']') {
            return Ok(items);
        }
        cursor.expect(b',', "expected `,` or `]`")?;
    }
}

/// Reads one item; an error only where nobody can say where it ends.
fn read_item<'a>(cursor: &mut Cursor<'a>) -> Result<Read<'a>, Problem> {
    if cursor.peek() != Some(b'{') {
        let raw: &RawValue = cursor.value()?;
        let found = Found::of(raw.get());
        return Ok(Err(Problem::Wrong { expected: "an object", found }));
    }
    let start = cursor.at;
    match cursor.value::<RawItem<'a>>() {
        Ok(item) => Ok(Ok((item, cursor.at - start))),
        Err(problem) => {
            cursor.skip_brackets(problem.clone())?;
            Ok(Err(problem))
        }
    }
}

/// A place in the body.
struct Cursor<'a> {
    body: &'a str,
    at: usize,
    lines: Lines,
}

/// Line ends counted so far, so that a body full of faults is not counted from its start for each.
#[derive(Default)]
struct Lines {
    to: usize,
    ended: usize,
    last_start: usize,
}

impl<'a> Cursor<'a> {
    fn new(body: &'a str) -> Cursor<'a> {
        Cursor { body, at: 0, lines: Lines::default() }
    }

    fn rest(&self) -> &'a str {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// The next byte after white space, which it skips.
    fn peek(&mut self) -> Option<u8> {
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let rest = self.rest().as_bytes();
        let spaces = rest.iter().take_while(is_space).count();
        self.at += spaces;
        rest.get(spaces).copied()
    }

    fn step(&mut self) {
        self.at += 1;
    }

    fn took(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.step();
        }
        there
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Problem> {
        if self.took(byte) { Ok(()) } else { Err(self.malformed(what)) }
    }

    fn expect_end(&mut self) -> Result<(), Problem> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("expected the end of the body")),
        }
    }

    /// The body's first byte must begin an object.
    fn expect_object(&mut self) -> Result<(), Problem> {
        let expected = "a JSON object";
        match self.peek() {
            Some(b'{') => Ok(()),
            None => Err(Problem::Wrong { expected, found: Found::Nothing }),
            Some(_) => {
                let raw: &RawValue = self.value()?;
                Err(Problem::Wrong { expected, found: Found::of(raw.get()) })
            }
        }
    }

    /// Reads one JSON value and steps past it.
    fn value<T: Deserialize<'a>>(&mut self) -> Result<T, Problem> {
        let mut stream = serde_json::Deserializer::from_str(self.rest()).into_iter::<T>();
        match stream.next() {
            Some(Ok(value)) => {
                self.at += stream.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => Err(self.problem(&error)),
            None => Err(self.malformed("expected a value, found the end of the body")),
        }
    }

    /// Where an item is malformed, skips to the bracket that closes it; the item's own problem
    /// where there is none.
    fn skip_brackets(&mut self, problem: Problem) -> Result<(), Problem> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (length, byte) in self.rest().bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += length + 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Err(problem)
    }

    fn malformed(&mut self, what: &str) -> Problem {
        let (line, column) = self.position(0, 1);
        Problem::Malformed { what: what.to_owned(), line, column }
    }

    /// `serde_json`'s error, placed in the whole body. Its text has no content in it: only its
    /// syntax errors are kept, and readers here make no others.
    fn problem(&mut self, error: &serde_json::Error) -> Problem {
        let (line, column) = self.position(error.line().saturating_sub(1), error.column());
        let text = error.to_string();
        let what = match text.split_once(" at line ") {
            Some((what, _)) if !error.is_data() => what.to_owned(),
            _ => "unexpected value".to_owned(),
        };
        Problem::Malformed { what, line, column }
    }

    /// Line and column in the whole body of a place that is `lines` and `column` past the cursor.
    fn position(&mut self, lines: usize, column: usize) -> (usize, usize) {
        let seen = &mut self.lines;
        for byte in self.body.as_bytes().get(seen.to..self.at).unwrap_or_default() {
            seen.to += 1;
            if *byte == b'\n' {
                seen.ended += 1;
                seen.last_start = seen.to;
            }
        }
        let indent = if lines == 0 { self.at.saturating_sub(seen.last_start) } else { 0 };
        (seen.ended + 1 + lines, column + indent)
    }
}
