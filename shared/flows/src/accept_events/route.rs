//! Which path and method mean what.

use odyssey_domain::event::EventKind;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Events are posted.
    Events(Call),
    /// Segment's browser SDK asks for its source's settings before anything else.
    SegmentSettings {
        /// From the path.
        write_key: String,
    },
    /// So do `RudderStack`'s SDKs, and stay silent until they are answered.
    RudderSettings,
    /// Is anybody there?
    Health,
    /// A browser asks whether it may.
    Preflight,
}

/// How events are posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// One, whose kind the path says.
    Single(EventKind),
    /// Several, which say it themselves.
    Batch,
}

/// Nothing here answers that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// No such path.
    Path,
    /// The path is there, but not for this method.
    Method {
        /// The methods it is there for.
        allowed: &'static str,
    },
}

const POSTED: &str = "POST, OPTIONS";
const READ: &str = "GET, HEAD, OPTIONS";

impl Route {
    /// Finds the route. A trailing slash and doubled ones make no difference.
    ///
    /// # Errors
    /// Where there is none.
    pub fn of(method: &str, path: &str) -> Result<Route, Miss> {
        if method == "OPTIONS" {
            // Whatever the path, so that a browser gets to see the 404 behind it.
            return Ok(Route::Preflight);
        }
        let (route, allowed) = Route::at(path).ok_or(Miss::Path)?;
        if allowed.split(", ").any(|allowed| allowed == method) {
            Ok(route)
        } else {
            Err(Miss::Method { allowed })
        }
    }

    fn at(path: &str) -> Option<(Route, &'static str)> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        match parts {
            [Some("v1"), Some(call), None, ..] => Some((Route::Events(Call::named(call)?), POSTED)),
            [Some("beacon"), Some("v1"), Some("batch"), None, _] => {
                Some((Route::Events(Call::Batch), POSTED))
            }
            [Some("v1"), Some("projects"), Some(write_key), Some("settings"), None] => {
                let write_key = super::write_key::percent_decoded(write_key);
                Some((Route::SegmentSettings { write_key }, READ))
            }
            [Some("sourceConfig"), None, ..] => Some((Route::RudderSettings, READ)),
            [Some("health"), None, ..] => Some((Route::Health, READ)),
            _ => None,
        }
    }
}

impl Call {
    fn named(name: &str) -> Option<Call> {
        Some(match name {
            "track" | "t" => Call::Single(EventKind::Track),
            "identify" | "i" => Call::Single(EventKind::Identify),
            "page" | "p" => Call::Single(EventKind::Page),
            "screen" | "s" => Call::Single(EventKind::Screen),
            "group" | "g" => Call::Single(EventKind::Group),
            "alias" | "a" => Call::Single(EventKind::Alias),
            "batch" | "b" | "import" => Call::Batch,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_there_is() {
        let single = |kind| Ok(Route::Events(Call::Single(kind)));
        for (names, kind) in [
            (["track", "t"], EventKind::Track),
            (["identify", "i"], EventKind::Identify),
            (["page", "p"], EventKind::Page),
            (["screen", "s"], EventKind::Screen),
            (["group", "g"], EventKind::Group),
            (["alias", "a"], EventKind::Alias),
        ] {
            for name in names {
                assert_eq!(Route::of("POST", &format!("/v1/{name}")), single(kind), "{name}");
                assert_eq!(Route::of("POST", &format!("/v1/{name}/")), single(kind), "{name}/");
            }
        }
        for path in ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch", "//v1//batch/"] {
            assert_eq!(Route::of("POST", path), Ok(Route::Events(Call::Batch)), "{path}");
        }
        let settings = Route::SegmentSettings { write_key: "web.abc".to_owned() };
        assert_eq!(Route::of("GET", "/v1/projects/web.abc/settings"), Ok(settings.clone()));
        assert_eq!(Route::of("GET", "/v1/projects/web%2Eabc/settings/"), Ok(settings));
        assert_eq!(Route::of("GET", "/sourceConfig/"), Ok(Route::RudderSettings));
        assert_eq!(Route::of("HEAD", "/health"), Ok(Route::Health));
    }

    #[test]
    fn misses_say_what_is_there() {
        assert_eq!(Route::of("GET", "/v1/track"), Err(Miss::Method { allowed: POSTED }));
        assert_eq!(Route::of("DELETE", "/health"), Err(Miss::Method { allowed: READ }));
        for path in ["/", "", "/v1", "/v2/track", "/v1/trac", "/v1/track/x", "/v1/batch/a/b/c/d"] {
            assert_eq!(Route::of("POST", path), Err(Miss::Path), "{path}");
        }
        assert_eq!(Route::of("OPTIONS", "/anything"), Ok(Route::Preflight));
    }
}
