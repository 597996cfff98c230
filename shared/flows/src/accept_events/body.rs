//! The body, inflated where it is compressed: the first bytes decide, the header is only a hint.
//!
//! Clients say `gzip` of bodies that some proxy has inflated, and say nothing of bodies that they
//! did compress. JSON begins with neither gzip's nor zlib's magic.

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use odyssey_domain::event::request::{BODY_BYTES_MAX, EVENT_BYTES_MAX};
use std::io::Read;

/// Why a body is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Too large as it came.
    #[error("expected a body of at most {BODY_BYTES_MAX} bytes, found {bytes}")]
    Raw {
        /// Its size.
        bytes: usize,
    },
    /// Too large once inflated; it was not inflated any further.
    #[error("expected a body that inflates to at most {BODY_BYTES_MAX} bytes, found more")]
    Inflated,
    /// One call too large.
    #[error("expected an event of at most {EVENT_BYTES_MAX} bytes, found {bytes}")]
    Event {
        /// Its size.
        bytes: usize,
    },
    /// It begins like a compressed body and goes on otherwise.
    #[error("the body begins as {format} and cannot be inflated: it is damaged or cut off")]
    Damaged {
        /// Which format.
        format: &'static str,
    },
    /// Compressed in a way that nothing here reads.
    #[error("expected a body in plain JSON or compressed by gzip, found another Content-Encoding")]
    Encoding,
}

/// The bytes of JSON in a body.
pub(super) fn inflate(body: Vec<u8>, encoding: Option<&str>) -> Result<Vec<u8>, BodyError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(BodyError::Raw { bytes: body.len() });
    }
    match body.as_slice() {
        [0x1F, 0x8B, ..] => read("gzip", MultiGzDecoder::new(body.as_slice())),
        // RFC 1950 §2.2: deflate, and a header that divides by 31.
        [0x78, flags, ..] if (0x7800 + u16::from(*flags)).is_multiple_of(31) => {
            read("zlib", ZlibDecoder::new(body.as_slice()))
        }
        [0x00..0x09 | 0x0E..0x20 | 0x80.., ..] if is_unknown(encoding) => Err(BodyError::Encoding),
        _ => Ok(body),
    }
}

fn is_unknown(encoding: Option<&str>) -> bool {
    encoding.is_some_and(|encoding| !matches!(encoding, "gzip" | "identity" | "" | "deflate"))
}

fn read(format: &'static str, decoder: impl Read) -> Result<Vec<u8>, BodyError> {
    let mut inflated = Vec::new();
    let limit = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    decoder.take(limit).read_to_end(&mut inflated).map_err(|_| BodyError::Damaged { format })?;
    if inflated.len() > BODY_BYTES_MAX { Err(BodyError::Inflated) } else { Ok(inflated) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn magic_bytes_decide_and_the_header_does_not() {
        let plain = br#"{"userId":"u1"}"#;
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(plain).unwrap();
        let zlib = zlib.finish().unwrap();
        for header in [None, Some("gzip"), Some("identity"), Some("br")] {
            assert_eq!(inflate(gzip(plain), header).unwrap(), plain, "{header:?}");
            assert_eq!(inflate(plain.to_vec(), header).unwrap(), plain, "{header:?}");
            assert_eq!(inflate(zlib.clone(), header).unwrap(), plain, "{header:?}");
        }
        assert_eq!(inflate(vec![0x1B, 0x05, 0xFF], Some("br")), Err(BodyError::Encoding));
    }

    #[test]
    fn bombs_and_damage() {
        let bomb = gzip(&vec![b' '; 50 << 20]);
        assert!(bomb.len() < BODY_BYTES_MAX);
        assert_eq!(inflate(bomb, None), Err(BodyError::Inflated));
        assert_eq!(inflate(gzip(&vec![b' '; BODY_BYTES_MAX]), None).unwrap().len(), BODY_BYTES_MAX);
        let raw = vec![b'x'; 10 << 20];
        assert_eq!(inflate(raw, None), Err(BodyError::Raw { bytes: 10 << 20 }));
        let mut cut = gzip(&[b'x'; 1_000]);
        cut.truncate(12);
        assert_eq!(inflate(cut, Some("gzip")), Err(BodyError::Damaged { format: "gzip" }));
        assert_eq!(inflate(vec![0x1F, 0x8B], None), Err(BodyError::Damaged { format: "gzip" }));
        assert_eq!(inflate(Vec::new(), None).unwrap(), Vec::<u8>::new());
    }
}
