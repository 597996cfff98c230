//! The ids that AWS would make up: unique within a process, shaped as AWS's are.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Bits that differ from call to call and from run to run; not for anything that must be secret
/// from somebody on the same machine.
fn bits() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}

/// A UUID.
pub(crate) fn uuid() -> String {
    let (a, b) = (bits(), bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        (b >> 48) & 0xfff,
        b & 0xffff_ffff_ffff
    )
}

/// A password of letters and digits, as Secrets Manager generates one without punctuation.
pub(crate) fn password(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |_| {
        let at = usize::try_from(bits() % 62).unwrap_or(0);
        char::from(LETTERS.get(at).copied().unwrap_or(b'a'))
    };
    (0..length).map(letter).collect()
}

/// SES's message id.
pub(crate) fn message_id() -> String {
    format!("0100{:012x}-{}-000000", bits() >> 16, uuid())
}
