//! The ids that AWS would make up: unique within a process, shaped as AWS's are.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Bits that differ from call to call and from run to run; nothing that must be secret.
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
///
/// # Errors
/// Where the system has no source of randomness.
pub(crate) fn password(length: usize) -> Result<String, getrandom::Error> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AB";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 64)).map(|letter| char::from(*letter));
    Ok(bytes.iter().filter_map(letter).collect())
}

/// SES's message id.
pub(crate) fn message_id() -> String {
    format!("0100{:012x}-{}-000000", bits() >> 16, uuid())
}
