//! Whether a machine opened a mail or followed a link of it, as far as its user agent says so.
//!
//! Machines that pass for browsers, as most mail scanners do, are told by their haste alone
//! ([`crate::profile::MACHINE_WITHIN`]). The user agent is looked at and not kept.

use serde::{Deserialize, Serialize};

/// What a person did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Machine {
    /// A mail program fetched the pictures before anybody looked, or hides whether anybody did.
    Prefetch,
    /// A program that says it is none for people to read with: a scanner, a crawler, a script.
    Scanner,
}

impl Machine {
    /// The word for it in an event's properties.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Machine::Prefetch => "prefetch",
            Machine::Scanner => "scanner",
        }
    }
}

/// What was done to a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Its pictures were fetched.
    Open,
    /// A link was followed.
    Click,
}

/// The whole of what Apple's Mail Privacy Protection says since 2021-09-20 (`ua-parser/uap-core`,
/// issue 509, read 2026-11). It fetches the pictures of each mail whether or not it is ever opened,
/// and those of one that is opened through the same relays: an open that says so says nothing. A
/// browser says more than that, so that a link is followed by none.
const APPLE_RELAY: &str = "Mozilla/5.0";

/// Parts of what programs say that nobody reads mail with, in lower case. Read 2026-11:
///
/// - `gmail-content-sampling`: Google looks at what mails link to (`mssola/user_agent`, issue 71);
/// - `microsoft office existence discovery`: Office asks whether a link leads anywhere, before
///   anybody follows it ("Office Existence Discovery Protocol", Microsoft, 2008);
/// - the others: libraries and browsers without a screen, by which scripts ask, and what crawlers
///   call themselves (`JayBizzle/Crawler-Detect` lists them all). `bot` counts only before its
///   version, since there is a make of telephones called Cubot.
///
/// What is deliberately not here: `GoogleImageProxy` and `YahooMailProxy` fetch a picture for
/// somebody who has the mail open (`matomo-org/device-detector`, issue 5359, tells how calling them
/// machines lost real opens).
const SCANNERS: [&str; 14] = [
    "gmail-content-sampling",
    "microsoft office existence discovery",
    "headlesschrome/",
    "bingpreview/",
    "python-requests/",
    "go-http-client/",
    "apache-httpclient/",
    "curl/",
    "wget/",
    "axios/",
    "node-fetch/",
    "bot/",
    "crawler",
    "spider",
];

/// The longest user agent that is looked at, in bytes; of a longer one, its beginning. Browsers say
/// less than 300.
const AGENT_BYTES_MAX: usize = 1_024;

/// Which machine says of itself that it did this; none where a person may have.
#[must_use]
pub fn by_agent(agent: &str, touch: Touch) -> Option<Machine> {
    let agent = crate::profile::clip(agent.trim(), AGENT_BYTES_MAX);
    if agent == APPLE_RELAY {
        return Some(match touch {
            Touch::Open => Machine::Prefetch,
            Touch::Click => Machine::Scanner,
        });
    }
    let agent = agent.to_ascii_lowercase();
    SCANNERS.iter().any(|scanner| agent.contains(scanner)).then_some(Machine::Scanner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn machines_say_who_they_are() {
        for agent in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Gmail-content-sampling",
            "Microsoft Office Existence Discovery",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "python-requests/2.32.3",
            "Go-http-client/2.0",
            "curl/8.4.0",
        ] {
            for touch in [Touch::Open, Touch::Click] {
                assert_eq!(by_agent(agent, touch), Some(Machine::Scanner), "{agent}");
            }
        }
        assert_eq!(by_agent(" Mozilla/5.0", Touch::Open), Some(Machine::Prefetch));
        assert_eq!(by_agent("Mozilla/5.0", Touch::Click), Some(Machine::Scanner));
    }

    #[test]
    fn people_pass_for_people() {
        for agent in [
            "",
            // Gmail and Yahoo fetch for whoever has the mail open.
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            // Apple Mail without its protection, on a Mac and on a telephone.
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_3 like Mac OS X) AppleWebKit/603.3.8 (KHTML, like Gecko) Mobile/14G60",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0.3112.90 Safari/537.36",
            "Mozilla/5.0 (Linux; Android 12; CUBOT P50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.4266; ms-office)",
            "Outlook-iOS/2.0",
        ] {
            for touch in [Touch::Open, Touch::Click] {
                assert_eq!(by_agent(agent, touch), None, "{agent}");
            }
        }
    }

    #[test]
    fn names_are_as_they_are_compared() {
        for name in SCANNERS {
            assert_eq!(name, name.to_ascii_lowercase());
        }
    }

    proptest! {
        #[test]
        fn any_agent_is_answered(agent in "\\PC{0,2000}") {
            let _ = by_agent(&agent, Touch::Open);
        }
    }
}
