//! The event log: always digested, kept as text where somebody wants to read it.

use super::rng::mix;
use odyssey_domain::time::Stamp;

/// What happened, in order.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    digest: u64,
    count: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// One that keeps its lines, or only their digest.
    pub(crate) fn new(keep: bool) -> Trace {
        Trace { digest: 0, count: 0, lines: keep.then(Vec::new) }
    }

    /// Notes one event. `words` are what the digest is of, `text` what people read.
    pub(crate) fn note(&mut self, at: Stamp, words: &[u64], text: impl FnOnce() -> String) {
        self.count += 1;
        self.add(at.ms().unsigned_abs());
        for word in words {
            self.add(*word);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>6} {at} {}", self.count, text()));
        }
    }

    /// Says something for people alone.
    pub(crate) fn tell(&mut self, at: Stamp, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("       {at} {}", text()));
        }
    }

    /// Adds bytes to the digest.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for chunk in words.by_ref() {
            let word = chunk.try_into().map_or(0, u64::from_le_bytes);
            self.add(word);
        }
        let rest = words.remainder().iter().fold(1, |word, byte| word << 8 | u64::from(*byte));
        self.add(rest);
    }

    const fn add(&mut self, word: u64) {
        self.digest = mix(self.digest.rotate_left(5) ^ word).wrapping_add(self.digest);
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
