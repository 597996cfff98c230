//! Who was there before a segment, or a signal of silence, was published: back-fills.

use super::*;

pub(super) fn publish_at(world: World, catalog: Catalog) -> World {
    let publication = Publication { catalog, journeys: BTreeMap::new(), mails: BTreeMap::new() };
    run(publish(&world.memory, &publication)).unwrap();
    World { catalog: CatalogCache::default(), ..world }
}

/// Three profiles of before there were segments.
pub(super) fn three() -> World {
    let world = World::of(catalog());
    let days = |n: i64| minute(n * 24 * 60).ms() - minute(0).ms();
    for (who, times) in [("ann", 3), ("bob", 1), ("cal", 2)] {
        for n in 0..times {
            let at = days(n) / 60_000;
            let event = did(&format!("{who}{n}"), at, "Signed In", &json!({"userId": who}));
            world.fold_done(vec![accepted(at, vec![event])], minute(at));
        }
    }
    world
}

pub(super) fn backfill(world: &World, now: Stamp) -> Report {
    let (memory, keys) = (&world.memory, &world.keyring);
    run(odyssey_flows::backfill::run(memory, keys, &|| now, |_| ())).unwrap()
}

pub(super) fn often() -> Condition {
    let event = EventPredicate { event: "Signed In".to_owned(), tests: Vec::new() };
    Condition::counted(event, Some(30), 2)
}

pub(super) fn declaring(when: Condition, published: Stamp) -> Catalog {
    let computed_traits = BTreeMap::from_iter(when.counter()).into();
    let segment = Segment { title: "T".to_owned(), when, since: published, watched: published };
    let segments = [(name("often"), segment)].into();
    Catalog { published, segments, computed_traits, ..catalog() }
}

/// A segment that counts, declared when there are profiles: their counts are made up for, and who is
/// in it is decided in the same write, with the count and the timer; nothing is raised.
#[test]
fn a_segment_over_what_is_filled_is_decided_with_it() {
    let now = minute(3 * 24 * 60);
    let world = publish_at(three(), declaring(often(), now));
    let _ = world.signals();
    let report = backfill(&world, now);
    assert_eq!(report.filled, 3);
    assert_eq!(count(&world, "often"), 2);
    assert_eq!(members(&world, world.user("ann")), [name("often")].into());
    let looked = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
    assert_eq!((looked.profiles, looked.asked), (3, 0));
    let again = backfill(&world, now);
    assert_eq!((again.filled, count(&world, "often")), (0, 2));
    // Their timers are armed: 30 days on, all have left, aloud.
    assert!(names(&world).is_empty());
    world.wake_until(minute(40 * 24 * 60));
    assert_eq!(count(&world, "often"), 0);
    assert_eq!(names(&world), ["Segment Exited often", "Segment Exited often"]);
}

/// Nobody lacks anything: `profile` is asked to look at each, and finds idle ones in silence.
#[test]
fn a_new_segment_finds_who_does_nothing() {
    let now = minute(3 * 24 * 60);
    let when = serde_json::from_value(counted("Signed In", 2)).unwrap();
    let world = publish_at(three(), declaring(when, now));
    let _ = world.signals();
    assert_eq!(backfill(&world, now).filled, 0);
    let mut steps = 0;
    let looked =
        run(segments::look_at_all(&world.memory, &world.memory, now, |_| steps += 1)).unwrap();
    assert_eq!((looked.profiles, looked.asked, steps), (3, 3, 1));
    let looks = world.memory.take(Queue::Profile, now);
    assert_eq!(looks.len(), 3);
    // Delivered twice, and one to where nobody is.
    world.fold_done(looks.clone(), now);
    world.fold_done(looks, now);
    let nobody = json!({"command": "look", "profile": world.user("nobody")}).to_string();
    world.fold_done(vec![record("m", &nobody)], now);
    assert!(names(&world).is_empty());
    assert_eq!(count(&world, "often"), 2);
    assert_eq!(members(&world, world.user("ann")), [name("often")].into());
    let again = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
    assert_eq!((again.profiles, again.asked), (3, 0));
}

/// A rule that is published later is nothing to somebody who does nothing, until they are looked
/// at; then their silence is timed, and one that was over long before says nothing.
#[test]
fn a_new_signal_of_silence_is_timed_for_who_does_nothing() {
    let day = |n: i64| minute(n * 24 * 60);
    let rule = SignalRule::new(SignalKind::BecameDormant, &[Threshold::After(Span::DAY.times(60))]);
    let publishing =
        |at: Stamp| Catalog { published: at, signals: vec![rule.clone()], ..catalog() };
    let world = publish_at(three(), publishing(day(20)));
    let _ = world.signals();
    let look = |world: &World, now: Stamp| {
        let looked = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
        world.fold_done(world.memory.take(Queue::Profile, now), now);
        looked.asked
    };
    // Bob came once and is not known well enough to be missed.
    assert_eq!((look(&world, day(20)), look(&world, day(20))), (2, 0));
    world.wake_until(day(50));
    assert!(world.signals().is_empty());
    world.wake_until(day(61));
    world.wake_until(day(62));
    let raised: Vec<Stamp> = world.signals().iter().map(|raised| raised.since).collect();
    assert_eq!(raised, [day(1), day(2)]);
    assert_eq!(look(&world, day(100)), 0, "they were decided on");

    let world = publish_at(three(), publishing(day(90)));
    let _ = world.signals();
    assert_eq!(look(&world, day(90)), 2);
    world.wake_until(day(100));
    assert!(world.signals().is_empty(), "their silence was over before anybody asked");
    assert_eq!(look(&world, day(100)), 0);
}

/// Whom nobody can read is passed over and told, and keeps nobody else from being found.
#[test]
fn a_profile_that_cannot_be_read_is_passed_over() {
    let now = minute(3 * 24 * 60);
    let when: Condition = serde_json::from_value(counted("Signed In", 2)).unwrap();
    let world = publish_at(three(), declaring(when, now));
    let key = world.user("bob");
    let row = world.memory.rows().into_iter().find(|row| row.key.pk == key.to_string()).unwrap();
    let row = odyssey_flows::ports::Row { body: vec![9], ..row };
    let put = Write::Put { row, expect: Expect::Any };
    run(odyssey_flows::ports::Tables::write(&world.memory, put)).unwrap();
    let looked = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
    assert_eq!((looked.profiles, looked.asked, looked.passed_over.profiles), (2, 2, 1));
    assert_eq!(looked.passed_over.named[0].identity, key);
    let catalog = declaring(often(), now);
    let (memory, keys, of) = (&world.memory, &world.keyring, &catalog.computed_traits);
    let segment = &catalog.segments[&name("often")];
    let asked = run(segments::preview(memory, keys, of, segment, 9, now)).unwrap();
    assert_eq!((asked.sample.profiles, asked.passed_over.profiles, asked.whole), (2, 1, true));
}

/// A back-fill makes up for what one segment asks; what is entered of the others is still said.
#[test]
fn a_back_fill_silences_no_other_segment() {
    let world = World::of(with(&[("fan", counted("Signed In", 2))]));
    world.fold_done(vec![accepted(0, vec![did("e1", 0, "Signed In", &ann())])], minute(0));
    let of = |segments: &[(&str, Value)]| with(segments).segments;
    let mut catalog = declaring(often(), minute(5));
    catalog.segments.extend(of(&[("fan", counted("Signed In", 2))]));
    let world = publish_at(world, catalog);
    assert_eq!(backfill(&world, minute(6)).filled, 1);
    world.fold_done(vec![accepted(7, vec![did("e2", 7, "Signed In", &ann())])], minute(7));
    assert_eq!(names(&world), ["Segment Entered fan", "Segment Entered often"]);
}

/// What a profile's earlier write has to have done stays to be done, and the counts are right,
/// whatever fails at whichever call.
#[test]
fn a_fault_in_a_back_fill_of_segments_is_healed_by_another_run() {
    let now = minute(3 * 24 * 60);
    let calm = publish_at(three(), declaring(often(), now));
    let before = calm.memory.calls().len();
    backfill(&calm, now);
    let all = calm.memory.calls().split_off(before);
    let touched = |call: &Operation| !matches!(call, Operation::Scan(_));
    let places = all.iter().enumerate().filter(|(_, call)| touched(call)).map(|(at, _)| at);
    for at in places {
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Echo] {
            let world = publish_at(three(), declaring(often(), now));
            let (mut n, wrong) = (0, fault.clone());
            world.memory.on_call(move |_| {
                n += 1;
                if n == at + 1 { wrong.clone() } else { Fault::None }
            });
            let (memory, keys) = (&world.memory, &world.keyring);
            let _ = run(odyssey_flows::backfill::run(memory, keys, &|| now, |_| ()));
            world.memory.calm();
            backfill(&world, now);
            let members = stored(&world).get(&name("often")).copied();
            assert_eq!((count(&world, "often"), members), (2, Some(2)), "{fault:?} at {at}");
            let _ = world.signals();
            world.wake_until(minute(40 * 24 * 60));
            assert_eq!((count(&world, "often"), names(&world).len()), (0, 2), "{fault:?} at {at}");
        }
    }
}

fn asking(when: &Value, published: Stamp) -> Catalog {
    declaring(serde_json::from_value(when.clone()).unwrap(), published)
}

/// Whether somebody did something is known of the time since it is watched alone: until a back-fill
/// has read what was before, nobody is taken for one who did it, nor for one who did not.
#[test]
fn what_was_done_before_it_was_watched_is_read_back() {
    let now = minute(4 * 24 * 60);
    let quiet = json!({"not": lately("Signed In", "60d")});
    for (when, expected) in [(quiet, 0), (lately("Signed In", "60d"), 3)] {
        let world = publish_at(three(), asking(&when, now));
        let _ = world.signals();
        // Something else they do tells nothing of it.
        let other = did("x1", 4 * 1_440 + 1, "Cart Viewed", &ann());
        world.fold_done(vec![accepted(4 * 1_440 + 1, vec![other])], minute(4 * 1_440 + 1));
        assert_eq!(count(&world, "often"), 0, "{when}");
        let memory = &world.memory;
        let looked = run(segments::look_at_all(memory, memory, now, |_| ())).unwrap();
        assert_eq!(looked.asked, 2, "{when}");
        world.fold_done(world.memory.take(Queue::Profile, now), now);
        assert_eq!(count(&world, "often"), 0, "{when}");
        let catalog = asking(&when, now);
        let segment = &catalog.segments[&name("often")];
        let preview = || {
            let (keys, computed) = (&world.keyring, &catalog.computed_traits);
            run(segments::preview(memory, keys, computed, segment, 9, now)).unwrap().sample
        };
        assert_eq!(preview().unknown, 3, "{when}");
        assert_eq!(backfill(&world, now).filled, 3, "{when}");
        assert_eq!((preview().unknown, i64::from(preview().members)), (0, expected), "{when}");
        assert_eq!((count(&world, "often"), backfill(&world, now).filled), (expected, 0), "{when}");
        // What they do again is no exit, and no entering.
        let again = did("x2", 4 * 1_440 + 2, "Signed In", &ann());
        world.fold_done(vec![accepted(4 * 1_440 + 2, vec![again])], minute(4 * 1_440 + 2));
        assert!(names(&world).is_empty(), "{when}");
        // 60 days on time alone moves them, aloud.
        world.wake_until(minute(70 * 24 * 60));
        assert_eq!((count(&world, "often"), names(&world).len()), (3 - expected, 3), "{when}");
    }
}

/// A computed trait that is worked out otherwise puts nobody out who is in: nobody knows its value
/// until a back-fill, and then each is where they belong, in silence.
#[test]
fn another_rule_of_a_trait_puts_nobody_out() {
    let of = |days: u32, published| {
        let rule = json!({"kind": "count", "event": {"event": "Signed In"}, "days": days});
        let when = json!({"trait": {"name": "visits", "is": {"at_least": 1}}});
        let computed_traits = serde_json::from_value(json!({"visits": rule})).unwrap();
        Catalog { computed_traits, ..asking(&when, published) }
    };
    let day = |n: i64| n * 24 * 60;
    let first = of(30, minute(-60));
    let world = World::of(first.clone());
    let bob = json!({"userId": "bob"});
    let events = vec![did("e1", 0, "Signed In", &ann()), did("e2", day(9), "Signed In", &bob)];
    for (at, event) in [0, day(9)].into_iter().zip(events) {
        world.fold_done(vec![accepted(at, vec![event])], minute(at));
    }
    assert_eq!((names(&world).len(), count(&world, "often")), (2, 2));
    let mut second = of(5, minute(day(10)));
    second.retire(&first, &[]);
    let world = publish_at(world, second);
    for (n, who) in [ann(), bob].iter().enumerate() {
        let event = did(&format!("x{n}"), day(10) + 1, "Cart Viewed", who);
        world.fold_done(vec![accepted(day(10) + 1, vec![event])], minute(day(10) + 1));
    }
    assert!(names(&world).is_empty());
    assert_eq!(count(&world, "often"), 2);
    assert_eq!(backfill(&world, minute(day(10) + 2)).filled, 2);
    assert_eq!((names(&world), count(&world, "often")), (vec![], 1));
    world.wake_until(minute(day(16)));
    assert_eq!((names(&world).len(), count(&world, "often")), (1, 0));
}

/// Who comes after such a segment was published was watched from the first event on.
#[test]
fn whoever_comes_later_needs_no_back_fill() {
    let world = World::of(asking(&lately("Signed In", "60d"), minute(-60)));
    let both = json!({"userId": "ann", "anonymousId": "a"});
    let device = json!({"anonymousId": "a"});
    world.fold_done(vec![accepted(0, vec![did("e1", 0, "Cart Viewed", &device)])], minute(0));
    world.fold_done(vec![accepted(1, vec![did("e2", 1, "Signed In", &both)])], minute(1));
    assert_eq!(names(&world), ["Segment Entered often"]);
    assert_eq!(backfill(&world, minute(2)).complete, 1);
    // Another publication, which goes on watching, is none that lacks anything.
    let later =
        Catalog { published: minute(3), ..asking(&lately("Signed In", "60d"), minute(-60)) };
    let world = publish_at(world, later);
    world.fold_done(vec![accepted(4, vec![did("e3", 4, "Cart Viewed", &ann())])], minute(4));
    assert_eq!((backfill(&world, minute(5)).complete, count(&world, "often")), (1, 1));
    assert!(names(&world).is_empty());
}
