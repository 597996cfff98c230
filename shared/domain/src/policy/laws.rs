//! Laws of caps and quiet hours, over random claims, releases, orders and clocks.

use super::*;
use crate::catalog::{JourneyEntry, JourneyState, TopicKind};
use crate::contact::{CLAIMS_MAX, Claim};
use crate::ids::{ContactKey, ContentHash, ProfileId, SendId};
use crate::journey::JourneyId;
use crate::pacing::{FrequencyCap, Instead, Pacing, QuietHours, Zone};
use crate::personal::EmailAddress;
use crate::time::Span;
use proptest::prelude::*;
use std::collections::BTreeMap;

const START: Stamp = Stamp::from_ms(1_795_000_000_000);

fn topic(n: usize) -> TopicId {
    TopicId::parse(["offers", "news"][n % 2]).unwrap()
}

fn journey(n: usize) -> JourneyId {
    JourneyId::parse(["cart-recovery", "browse-nudge", "win-back"][n % 3]).unwrap()
}

fn send(n: u64) -> SendId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.wrapping_mul(0xd134_2543_de82_ef95).to_be_bytes());
    SendId::from_bytes(bytes)
}

fn cap(at_most: u32, within: Span, topic: Option<TopicId>) -> FrequencyCap {
    FrequencyCap { at_most, within, topic }
}

fn quiet(from: &str, to: &str, zone: &str) -> QuietHours {
    QuietHours {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        timezone: Zone::parse(zone).unwrap(),
    }
}

fn contact() -> Contact {
    let mut contact = Contact::new(ContactKey::from_bytes([2; 16]));
    contact.verify(START);
    for n in 0..2 {
        contact.answers(&topic(n), ConsentState::Granted, START, "confirmation").unwrap();
    }
    contact
}

fn profile(zone: Option<&str>) -> ProfileView {
    let mut view = ProfileView::empty(ProfileId::from_bytes([3; 16]));
    view.email = Some(EmailAddress::parse("ann@example.com").unwrap());
    if let Some(zone) = zone {
        view.facts.insert("context.timezone".to_owned(), zone.into());
    }
    view
}

/// A workspace and one customer, to whom journeys write.
struct World {
    contact: Contact,
    profile: ProfileView,
    pacing: Pacing,
    journeys: BTreeMap<JourneyId, JourneyEntry>,
}

impl World {
    fn new(pacing: Pacing) -> World {
        World { contact: contact(), profile: profile(None), pacing, journeys: BTreeMap::new() }
    }

    fn cap_journey(&mut self, id: JourneyId, caps: Vec<FrequencyCap>) {
        let version = ContentHash::of(b"");
        let state = JourneyState::Live;
        self.journeys.insert(id, JourneyEntry { version, state, frequency_caps: caps });
    }

    fn paced<'a>(&'a self, send: SendId, journey: &'a JourneyId) -> Paced<'a> {
        Paced {
            send,
            journey: Some(journey),
            pacing: &self.pacing,
            journeys: &self.journeys,
            when_capped: None,
            when_quiet: None,
            deferred_since: None,
            room: CLAIMS_MAX,
        }
    }

    fn decide(&self, send: SendId, journey: &JourneyId, topic: &TopicId, now: Stamp) -> Decision {
        self.ask(self.paced(send, journey), topic, TopicKind::Marketing, now)
    }

    fn ask(&self, paced: Paced<'_>, topic: &TopicId, kind: TopicKind, now: Stamp) -> Decision {
        decide(Question {
            contact: Some(&self.contact),
            profile: Some(&self.profile),
            topic,
            published: Some(&Topic::new("Offers", kind)),
            over: None,
            paced,
            now,
        })
    }

    /// What the flow does: decides, and claims where it may.
    fn try_claim(&mut self, n: u64, j: usize, t: usize, now: Stamp) -> bool {
        let (id, journey, topic) = (send(n), journey(j), topic(t));
        let sends = matches!(self.decide(id, &journey, &topic, now), Decision::Send(_));
        if sends {
            let mut contact = self.contact.clone();
            let paced = self.paced(id, &journey);
            contact.claim(id, Claim::new(now, &topic, Some(&journey)), |c| paced.needs(c, now));
            self.contact = contact;
        }
        sends
    }
}

#[derive(Debug, Clone)]
struct Deed {
    /// After the last one, in seconds.
    after: u64,
    send: u64,
    journey: usize,
    topic: usize,
    release: bool,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = (0_u64..100_000, 0_u64..60, 0_usize..3, 0_usize..2, prop::bool::weighted(0.15));
    let deed = deed.prop_map(|(after, send, journey, topic, release)| Deed {
        // A message is always of one journey and one topic.
        journey: usize::try_from(send).unwrap_or(0) + journey * 3,
        topic: usize::try_from(send / 3).unwrap_or(0) + topic * 2,
        after,
        send,
        release,
    });
    prop::collection::vec(deed, 0..120)
}

fn caps(topics: bool) -> impl Strategy<Value = Vec<FrequencyCap>> {
    let only = if topics { prop::option::of(0_usize..2).boxed() } else { Just(None).boxed() };
    let one = (1_u32..12, 1_u64..240, only)
        .prop_map(|(most, hours, only)| cap(most, Span::HOUR.times(hours), only.map(topic)));
    prop::collection::vec(one, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is claimed, released, taken over and tried in whatever order: in no window of a
    /// cap's length are there more messages of its scope than it allows.
    #[test]
    fn no_window_holds_more_than_its_cap(
        workspace in caps(true),
        first in caps(false),
        second in caps(false),
        deeds in deeds(),
    ) {
        let mut world = World::new(Pacing { frequency_caps: workspace.clone(), ..Pacing::default() });
        world.cap_journey(journey(0), first.clone());
        world.cap_journey(journey(1), second.clone());
        // When each message last went out, for those not released since.
        let mut out: BTreeMap<u64, (Stamp, usize, usize)> = BTreeMap::new();
        let mut now = START;
        for deed in &deeds {
            now = now.plus(Span::SECOND.times(deed.after));
            if deed.release {
                world.contact.release(send(deed.send));
                out.remove(&deed.send);
            } else if world.try_claim(deed.send, deed.journey, deed.topic, now) {
                out.insert(deed.send, (now, deed.journey % 3, deed.topic % 2));
            }
            prop_assert!(world.contact.claims.len() <= CLAIMS_MAX);
            let within = |cap: &FrequencyCap, journey: Option<usize>| {
                let counted = out.values().filter(|(at, of, under)| {
                    *at > now.minus(cap.within)
                        && journey.is_none_or(|only| only == *of)
                        && cap.topic.as_ref().is_none_or(|only| *only == topic(*under))
                });
                counted.count() <= usize::try_from(cap.at_most).unwrap()
            };
            prop_assert!(workspace.iter().all(|cap| within(cap, None)));
            prop_assert!(first.iter().all(|cap| within(cap, Some(0))));
            prop_assert!(second.iter().all(|cap| within(cap, Some(1))));
        }
    }

    /// A claim that is given back leaves no trace in what is decided next, and claiming again (a
    /// take-over) is claiming once.
    #[test]
    fn caps_commute_with_release_and_take_over(
        workspace in caps(true),
        deeds in deeds(),
        extra in 100_u64..200,
        j in 0_usize..3,
        asks in prop::collection::vec((0_u64..60, 0_usize..3, 0_usize..2), 1..6),
    ) {
        let mut world = World::new(Pacing { frequency_caps: workspace, ..Pacing::default() });
        let mut now = START;
        for deed in deeds.iter().take(12) {
            now = now.plus(Span::SECOND.times(deed.after));
            world.try_claim(deed.send, deed.journey, deed.topic, now);
        }
        let before = world.contact.clone();
        if world.try_claim(extra, j, 0, now) {
            let claimed = world.contact.clone();
            // The same message is decided as if it had no claim yet, and its claim is one claim.
            prop_assert!(world.try_claim(extra, j, 0, now));
            prop_assert_eq!(&world.contact, &claimed);
            prop_assert!(world.contact.release(send(extra)));
        }
        for (n, j, t) in asks {
            let after = world.decide(send(n), &journey(j), &topic(t), now);
            let mut without = World::new(world.pacing.clone());
            without.contact = before.clone();
            prop_assert_eq!(after, without.decide(send(n), &journey(j), &topic(t), now));
        }
    }

    /// In quiet hours nothing is sent; what is deferred goes out at an instant that is not quiet,
    /// not before the first such instant, and at most the spread after it.
    #[test]
    fn quiet_hours_are_quiet(
        from in 0_u16..1_440,
        length in 1_u16..1_380,
        zone in prop::sample::select(ZONES.to_vec()),
        own in prop::option::of(prop::sample::select(ZONES.to_vec())),
        minute in 0_u64..(3 * 365 * 1_440),
        n in any::<u64>(),
        spread in 1_u64..600,
    ) {
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let hours = quiet(&clock(from), &clock((from + length) % 1_440), zone);
        let mut world = World::new(Pacing {
            quiet_hours: Some(hours.clone()),
            spread: Span::MINUTE.times(spread),
            ..Pacing::default()
        });
        world.profile = profile(own);
        let zone = Zone::parse(own.unwrap_or(zone)).unwrap();
        let now = START.plus(Span::MINUTE.times(minute));
        let decision = world.decide(send(n), &journey(0), &topic(0), now);
        prop_assert_eq!(hours.cover(now, &zone), !matches!(decision, Decision::Send(_)));
        if let Decision::Defer { until, .. } = decision {
            let open = hours.first_open(now, &zone);
            prop_assert!(!hours.cover(until, &zone), "{until} is quiet");
            prop_assert!(!hours.cover(open, &zone));
            prop_assert!(open > now && until >= open);
            prop_assert!(until.since(open) < Span::MINUTE.times(spread));
            // Nothing between is open, to the minute.
            let minutes = open.since(now).ms() / 60_000;
            prop_assert!((0..minutes).all(|m| hours.cover(now.plus(Span::MINUTE.times(m)), &zone)));
            // Doing it again comes to the same.
            let again = world.decide(send(n), &journey(0), &topic(0), now);
            let same = matches!(again, Decision::Defer { until: same, .. } if same == until);
            prop_assert!(same);
            let then = world.decide(send(n), &journey(0), &topic(0), until);
            prop_assert!(matches!(then, Decision::Send(_)));
        }
    }

    /// Under caps and quiet hours together, with deferring: a deferral ends later than it begins, is
    /// not quiet, and when it ends with nothing else sent meanwhile the message goes out.
    #[test]
    fn what_is_deferred_goes_out_when_told(
        workspace in caps(true),
        deeds in deeds(),
        j in 0_usize..3,
        t in 0_usize..2,
    ) {
        let mut world = World::new(Pacing {
            frequency_caps: workspace,
            quiet_hours: Some(quiet("21:00", "08:00", "America/New_York")),
            when_capped: Instead::Defer,
            defer_at_most: crate::pacing::DEFER_AT_MOST_MAX,
            ..Pacing::default()
        });
        let mut now = START;
        for deed in &deeds {
            now = now.plus(Span::SECOND.times(deed.after));
            world.try_claim(deed.send, deed.journey, deed.topic, now);
        }
        let zone = Zone::parse("America/New_York").unwrap();
        if let Decision::Defer { until, reasons } =
            world.decide(send(1_000), &journey(j), &topic(t), now)
        {
            prop_assert!(until > now && !reasons.is_empty());
            prop_assert!(!quiet("21:00", "08:00", "America/New_York").cover(until, &zone));
            let then = world.decide(send(1_000), &journey(j), &topic(t), until);
            prop_assert!(matches!(then, Decision::Send(_)), "{then:?}");
        }
    }

    #[test]
    fn exempt_topics_are_left_alone(n in any::<u64>(), minute in 0_u64..100_000) {
        let world = World::new(Pacing {
            frequency_caps: vec![cap(1, Span::DAY, None)],
            quiet_hours: Some(quiet("00:00", "23:00", "UTC")),
            ..Pacing::default()
        });
        let now = START.plus(Span::MINUTE.times(minute));
        let id = journey(0);
        let decision = world.ask(world.paced(send(n), &id), &topic(0), TopicKind::Transactional, now);
        prop_assert!(matches!(decision, Decision::Send(_)));
    }
}

/// Zones with clock changes at different hours, of half an hour, of none, and one that left a day
/// out.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
];

fn at(text: &str) -> Stamp {
    Stamp::parse(text).unwrap()
}

#[test]
fn nights_with_a_clock_change() {
    let berlin = Zone::parse("Europe/Berlin").unwrap();
    let table = [
        // Over midnight, on an ordinary night.
        ("21:00", "08:00", "2026-11-21T22:30:00Z", "2026-11-22T07:00:00Z"),
        // Forward on 2026-03-29: 02:00 becomes 03:00, the night is an hour shorter.
        ("21:00", "08:00", "2026-03-28T22:00:00Z", "2026-03-29T06:00:00Z"),
        // They would end at 02:30, which there is not: they end with the change.
        ("21:00", "02:30", "2026-03-28T22:00:00Z", "2026-03-29T01:00:00Z"),
        // Back on 2026-10-25: 03:00 becomes 02:00. 02:30 comes twice; between the two readings of
        // 02:00 it is open for half an hour, which is enough.
        ("21:00", "02:30", "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z"),
        // The second time.
        ("21:00", "02:30", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        // By day.
        ("12:00", "13:30", "2026-07-01T10:15:00Z", "2026-07-01T11:30:00Z"),
    ];
    for (from, to, now, open) in table {
        let hours = quiet(from, to, "UTC");
        assert!(hours.cover(at(now), &berlin), "{from} {to} {now}");
        assert_eq!(hours.first_open(at(now), &berlin), at(open), "{from} {to} {now}");
    }
    // Open from 02:30 until the clocks go back to 02:00.
    let hours = quiet("21:00", "02:30", "UTC");
    let open = at("2026-10-25T00:30:00Z");
    assert_eq!(hours.open_for(open, &berlin), Span::MINUTE.times(30));
}

#[test]
fn a_deferral_after_a_fold_stays_in_the_open_half_hour() {
    let mut world = World::new(Pacing {
        quiet_hours: Some(quiet("21:00", "02:30", "Europe/Berlin")),
        spread: Span::HOUR.times(6),
        ..Pacing::default()
    });
    world.profile = profile(Some("nowhere/at_all"));
    for n in 0..50 {
        let now = at("2026-10-24T22:00:00Z");
        let decision = world.decide(send(n), &journey(0), &topic(0), now);
        let Decision::Defer { until, .. } = decision else { panic!("{decision:?}") };
        assert!(until >= at("2026-10-25T00:30:00Z") && until < at("2026-10-25T01:00:00Z"));
    }
}

#[test]
fn the_customers_own_zone_counts_where_it_is_one() {
    let mut world = World::new(Pacing {
        quiet_hours: Some(quiet("21:00", "08:00", "Europe/Berlin")),
        ..Pacing::default()
    });
    // 23:00 in Berlin, 07:00 in Tokyo, 14:00 in Los Angeles.
    let now = at("2026-11-21T22:00:00Z");
    for (zone, sends) in [
        (None, false),
        (Some("Mars/Olympus"), false),
        (Some("Asia/Tokyo"), false),
        (Some("America/Los_Angeles"), true),
    ] {
        world.profile = profile(zone);
        let decision = world.decide(send(1), &journey(0), &topic(0), now);
        assert_eq!(matches!(decision, Decision::Send(_)), sends, "{zone:?}");
    }
}

#[test]
fn steps_and_workspace_choose_between_skipping_and_waiting() {
    let mut world = World::new(Pacing {
        frequency_caps: vec![cap(1, Span::DAY, None)],
        quiet_hours: Some(quiet("21:00", "08:00", "UTC")),
        ..Pacing::default()
    });
    let noon = at("2026-11-21T12:00:00Z");
    assert!(world.try_claim(1, 0, 0, noon));
    let id = journey(0);
    let ask = |world: &World, when_capped, when_quiet, now| {
        let paced = Paced { when_capped, when_quiet, ..world.paced(send(2), &id) };
        world.ask(paced, &topic(0), TopicKind::Marketing, now)
    };
    let codes = |decision: &Decision| match decision {
        Decision::Skip(reasons) | Decision::Defer { reasons, .. } => {
            reasons.iter().map(|reason| reason.code).collect::<Vec<_>>()
        }
        Decision::Send(_) => Vec::new(),
    };
    let later = at("2026-11-21T13:00:00Z");
    let night = at("2026-11-21T22:00:00Z");
    // Capped: skipped unless the step waits.
    let skipped = ask(&world, None, None, later);
    let Decision::Skip(reasons) = &skipped else { panic!("{skipped:?}") };
    assert_eq!(
        reasons[0].found,
        "workspace: 1 within 1d, at most 1; free from 2026-11-22T12:00:00.000Z"
    );
    let deferred = ask(&world, Some(Instead::Defer), None, later);
    let Decision::Defer { until, .. } = deferred else { panic!("{deferred:?}") };
    assert!(until >= at("2026-11-22T12:00:00Z") && until < at("2026-11-22T13:00:00Z"));
    // Capped and quiet: one that says skip is enough, and both are told.
    let both = ask(&world, Some(Instead::Defer), Some(Instead::Skip), night);
    assert!(matches!(both, Decision::Skip(_)));
    assert_eq!(codes(&both), [ReasonCode::FrequencyCap, ReasonCode::QuietHours]);
    // Waiting longer than a message may.
    world.pacing.defer_at_most = Span::HOUR;
    let late = ask(&world, Some(Instead::Defer), None, later);
    assert!(matches!(late, Decision::Skip(_)));
    assert_eq!(codes(&late), [ReasonCode::FrequencyCap, ReasonCode::DeferredTooLong]);
}

#[test]
fn a_full_memory_holds_back_rather_than_forgets() {
    // Two caps that together want more than a contact remembers.
    let mut world = World::new(Pacing {
        frequency_caps: (0..2).map(|n| cap(20, Span::DAY.times(30), Some(topic(n)))).collect(),
        ..Pacing::default()
    });
    let mut claimed = 0;
    for n in 0..60 {
        let now = START.plus(Span::HOUR.times(n));
        let t = usize::try_from(n % 2).unwrap();
        claimed += usize::from(world.try_claim(n, 0, t, now));
    }
    assert_eq!(claimed, CLAIMS_MAX);
    let now = START.plus(Span::HOUR.times(60));
    let decision = world.decide(send(99), &journey(0), &topic(0), now);
    let Decision::Skip(reasons) = &decision else { panic!("{decision:?}") };
    assert_eq!(
        reasons[0].found,
        "24 messages to count, room for 24; free from 2026-12-18T11:06:40.000Z"
    );
}

#[test]
fn a_paused_journey_s_messages_wait_and_then_are_skipped() {
    let mut world = World::new(Pacing::default());
    world.cap_journey(journey(0), Vec::new());
    let running = journey(0);
    let codes = |decision: &Decision| match decision {
        Decision::Send(_) => Vec::new(),
        Decision::Skip(reasons) | Decision::Defer { reasons, .. } => {
            reasons.iter().map(|reason| reason.code).collect()
        }
    };
    let ask = |world: &World, since, now| {
        let paced = Paced { deferred_since: since, ..world.paced(send(1), &running) };
        // Transactional, too: what is paused writes to nobody.
        world.ask(paced, &topic(0), TopicKind::Transactional, now)
    };
    assert!(matches!(ask(&world, None, START), Decision::Send(_)));
    for state in [JourneyState::Paused, JourneyState::Draft] {
        world.journeys.get_mut(&running).unwrap().state = state;
        let last = START.plus(world.pacing.defer_at_most);
        let (mut now, mut looks) = (START, 0);
        while now < last {
            let put_off = ask(&world, Some(START), now);
            assert_eq!(codes(&put_off), [ReasonCode::JourneyPaused]);
            let Decision::Defer { until, .. } = put_off else { panic!("{put_off:?}") };
            assert!(until > now && until <= last);
            (now, looks) = (until, looks + 1);
        }
        assert!(looks < 40, "{looks} looks");
        let over = ask(&world, Some(START), last);
        assert!(matches!(over, Decision::Skip(_)));
        assert_eq!(codes(&over), [ReasonCode::JourneyPaused, ReasonCode::DeferredTooLong]);
    }
    world.journeys.get_mut(&running).unwrap().state = JourneyState::Archived;
    assert!(matches!(ask(&world, None, START), Decision::Send(_)), "those inside finish");
}
