//! The workspaces that are published in a run: the first, and the versions that follow it.

mod journeys;
mod segments;
mod settings;

use journeys::{BROWSE, CART, CONSENTED, QUICK, REACHED, THANKS, WELCOME};
use odyssey_domain::catalog::JourneyState;
use odyssey_domain::ids::ContentHash;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::{Mail, MailId};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::workspace::{Files, Workspace};
use odyssey_flows::catalog::Publication;
use settings::{COMPUTED_LATER, SETTINGS};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The secret of every simulated stack.
pub(crate) fn keyring() -> &'static Keyring {
    static KEYS: OnceLock<Keyring> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "a constant that parses")]
    KEYS.get_or_init(|| {
        Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).expect("a keyring")
    })
}

/// Where links lead.
pub(crate) const PUBLIC_URL: &str = "https://o.example";

/// The caps of the settings: how many, in any window of which length.
pub(crate) const CAPS: [(usize, Span); 2] = [(4, Span::DAY), (9, Span::DAY.times(7))];
/// Those of journeys.
pub(crate) const JOURNEY_CAPS: [(&str, usize, Span); 1] = [("quick", 3, Span::HOUR.times(18))];
/// The hours between which nobody is written to.
pub(crate) const QUIET: (i64, i64) = (23, 5);
/// Where customers may live, and by how many hours their clocks are ahead all year; most do not say.
pub(crate) const ZONES: [Option<(&str, i64)>; 4] =
    [None, None, Some(("Asia/Tokyo", 9)), Some(("America/Phoenix", -7))];

/// Another version of two journeys: other waits, a step more. No exit rule is added or removed, so
/// that what the checks know of the first version holds of this one.
fn second(text: &str) -> String {
    text.replace("timeout: 20h", "timeout: 3h")
        .replace("delay: 30h", "delay: 40m")
        .replace("  - {id: rest, delay: 5m}", "  - {id: rest, delay: 20m}")
}

fn mail(id: &str, words: &str) -> Option<Mail> {
    Some(Mail {
        id: MailId::parse(id).ok()?,
        subject: format!("{words} {{{{ profile.first_name|default('you') }}}}"),
        preview: String::new(),
        html: format!("<p>{words}</p>"),
        text: "{{ links.confirm|default('') }}".to_owned(),
    })
}

/// A version of the workspace, as it can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    First,
    Second,
    /// The first with every journey paused.
    Paused,
    /// The second with one journey archived.
    Archived,
}

impl Version {
    pub(crate) const ALL: [Version; 4] =
        [Version::First, Version::Second, Version::Paused, Version::Archived];

    /// Whether its journeys, segments and computed traits are the later ones.
    pub(crate) const fn is_changed(self) -> bool {
        matches!(self, Version::Second | Version::Archived)
    }
}

fn files(version: Version) -> Files {
    let journeys = [
        ("cart", CART),
        ("quick", QUICK),
        ("browse", BROWSE),
        ("thanks", THANKS),
        ("welcome", WELCOME),
        ("consented", CONSENTED),
        ("reached", REACHED),
    ];
    let changed = version.is_changed();
    let mut files = Files::new();
    let later = if changed { COMPUTED_LATER } else { "" };
    files.insert("workspace.yaml".to_owned(), format!("{SETTINGS}{later}"));
    for (name, text) in journeys {
        let text = if changed { second(text) } else { text.to_owned() };
        files.insert(format!("journeys/{name}.yaml"), text);
    }
    for (name, when) in segments::of(changed) {
        let text = format!("name: {name}\ntitle: {name}\nwhen: {when}\n");
        files.insert(format!("segments/{name}.yaml"), text);
    }
    for name in ["plain", "receipt", "confirm"] {
        let text = format!("---\nsubject: {name}\n---\n<mjml></mjml>\n");
        files.insert(format!("mails/{name}.mjml"), text);
    }
    files
}

fn make(version: Version) -> Publication {
    #[expect(clippy::expect_used, reason = "constants without mistakes, read by every test")]
    let mut workspace = Workspace::read(&files(version)).expect("a workspace without mistakes");
    for (id, journey) in &mut workspace.journeys {
        journey.state = match version {
            Version::Paused => JourneyState::Paused,
            Version::Archived if id.as_str() == "quick" => JourneyState::Archived,
            _ => JourneyState::Live,
        };
    }
    let words = match version {
        Version::First | Version::Paused => "Hello",
        Version::Second | Version::Archived => "Good day",
    };
    let mails = ["plain", "receipt", "confirm"].iter().filter_map(|id| mail(id, words));
    let published = workspace.publish(mails.collect(), Stamp::MIN);
    Publication { catalog: published.catalog, journeys: published.journeys, mails: published.mails }
}

/// A version, made once in a process.
pub(crate) fn publication(version: Version) -> &'static Publication {
    static MADE: OnceLock<Vec<(Version, Publication)>> = OnceLock::new();
    let made = MADE.get_or_init(|| Version::ALL.map(|v| (v, make(v))).to_vec());
    let found = made.iter().find(|(v, _)| *v == version);
    #[expect(clippy::expect_used, reason = "all of them were made")]
    found.map(|(_, publication)| publication).expect("every version was made")
}

/// Every version of every journey, by its address.
pub(crate) fn journeys() -> &'static BTreeMap<ContentHash, odyssey_domain::journey::Journey> {
    static ALL: OnceLock<BTreeMap<ContentHash, odyssey_domain::journey::Journey>> = OnceLock::new();
    ALL.get_or_init(|| {
        let versions = Version::ALL.iter().flat_map(|v| publication(*v).journeys.clone());
        versions.collect()
    })
}
