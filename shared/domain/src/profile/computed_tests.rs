//! What computed traits come to, and when they say nothing.

use super::*;
use crate::event::Event;
use crate::identity::IdKind;
use crate::ids::{IdentityKey, ProfileId};
use crate::time::{Span, Stamp};
use crate::wire::{SourceKind, SourceRef};
use serde_json::{Value, json};

const KEY: IdentityKey = IdentityKey::from_bytes([1; 16]);

fn traits(rules: Value) -> ComputedTraits {
    serde_json::from_value(rules).unwrap()
}

fn noon(day: i64) -> Stamp {
    Stamp::from_ms(day * 86_400_000 + 43_200_000)
}

/// A track event on a day, with an id of its own.
fn event(n: usize, day: i64, name: &str, properties: &Value) -> Event {
    serde_json::from_value(json!({"id": format!("e{n}"), "at": noon(day), "type": "track",
        "name": name, "properties": properties}))
    .unwrap()
}

fn fold(root: &mut Root, key: IdentityKey, event: &Event, traits: &ComputedTraits) {
    let source = SourceRef { name: "s".to_owned(), kind: SourceKind::Server };
    let watched = Watched::default().computing(traits);
    root.accumulator_of(KEY, key).1.fold(event, &source, &watched);
}

fn orders(traits: &ComputedTraits, orders: &[(i64, Value)]) -> Root {
    let mut root = Root::default();
    for (n, (day, properties)) in orders.iter().enumerate() {
        fold(&mut root, KEY, &event(n, *day, "Order Completed", properties), traits);
    }
    root
}

fn view(root: &Root, traits: &ComputedTraits, day: i64) -> ProfileView {
    root.view_at(ProfileId::from(KEY), traits, noon(day))
}

fn rule(kind: &Value, days: Option<u32>) -> Value {
    json!({"kind": kind, "event": {"event": "Order Completed"}, "days": days})
}

#[test]
fn each_kind_comes_to_what_it_says() {
    let eur = json!({"of": "total", "currency": "EUR"});
    let plain = json!({"of": "total"});
    let traits = traits(json!({
        "count": rule(&json!("count"), None),
        "sum": rule(&json!({"sum": eur}), None),
        "plain": rule(&json!({"sum": plain}), None),
        "minimum": rule(&json!({"minimum": eur}), None),
        "maximum": rule(&json!({"maximum": plain}), None),
        "average": rule(&json!({"average": eur}), None),
        "mean": rule(&json!({"average": plain}), None),
        "first": rule(&json!({"first": "coupon"}), None),
        "latest": rule(&json!({"latest": "coupon"}), None),
        "favourite": rule(&json!({"most_frequent": "products.category"}), None),
        "distinct": rule(&json!({"distinct": "products.category"}), None),
        "never": rule(&json!({"latest": "no such thing"}), None),
    }));
    let products = |categories: &[&str]| -> Value {
        categories.iter().map(|category| json!({"category": category})).collect()
    };
    let root = orders(
        &traits,
        &[
            (
                5,
                json!({"total": 12.5, "currency": "EUR", "coupon": "second", "products": products(&["hats", "tents"])}),
            ),
            (
                3,
                json!({"total": "20", "currency": "USD", "coupon": "first", "products": products(&["tents"])}),
            ),
            (9, json!({"total": 7.49, "currency": "eur", "products": products(&["hats", "hats"])})),
            (7, json!({"total": 3, "coupon": {"not": "kept"}, "products": "no list"})),
            (8, json!({"total": -4, "currency": "EUR", "coupon": " "})),
        ],
    );
    let found = view(&root, &traits, 10).traits;
    let expected = json!({"count": 5, "sum": 2_299, "plain": 42.99, "minimum": 300, "maximum": 20,
        "average": 766, "mean": 10.748, "first": "first", "latest": "second", "favourite": "hats",
        "distinct": 2});
    assert_eq!(json!(found), expected);
}

/// A price is in the currency that its product says, else its event; a total of which the event does
/// not say it, in that of the products.
#[test]
fn amounts_are_in_the_currency_that_is_named_nearest() {
    let of = |of: &str| rule(&json!({"sum": {"of": of, "currency": "EUR"}}), None);
    let traits = traits(json!({"prices": of("products.price"), "total": of("total"),
        "shipping": of("shipping.cost")}));
    let product = |price: u32, currency: Value| json!({"price": price, "currency": currency});
    let sums = |properties: Value| {
        let found = view(&orders(&traits, &[(5, properties)]), &traits, 6).traits;
        ["prices", "total", "shipping"].map(|name| found[name].as_u64().unwrap())
    };
    let order = |currency: Value, products: &[Value]| json!({"total": 5, "currency": currency, "products": products, "shipping": {"cost": 1}});
    let (eur, usd, none) = (|| json!("EUR"), || json!("USD"), || json!(null));
    let both = [product(2, usd()), product(3, eur())];
    for (currency, products, expected) in [
        (none(), vec![product(2, usd())], [0, 0, 0]),
        (none(), vec![product(2, none()), product(3, eur())], [500, 500, 100]),
        (none(), vec![product(2, none())], [200, 500, 100]),
        (eur(), both.to_vec(), [300, 500, 100]),
        (usd(), both.to_vec(), [300, 0, 0]),
        (eur(), vec![product(2, none())], [200, 500, 100]),
        (usd(), vec![product(2, none())], [0, 0, 0]),
        (none(), vec![product(2, json!(7))], [200, 500, 100]),
    ] {
        let order = order(currency, &products);
        assert_eq!(sums(order.clone()), expected, "{order}");
    }
    let mut posted = order(none(), &[]);
    posted["shipping"] = json!({"cost": 1, "currency": "USD"});
    assert_eq!(sums(posted), [0, 500, 0]);
}

#[test]
fn windows_end_today() {
    let traits = traits(json!({
        "count": rule(&json!("count"), Some(3)),
        "least": rule(&json!({"minimum": {"of": "total"}}), Some(3)),
        "most": rule(&json!({"maximum": {"of": "total"}}), Some(3)),
        "first": rule(&json!({"first": "coupon"}), Some(3)),
        "latest": rule(&json!({"latest": "coupon"}), Some(3)),
        "frequent": rule(&json!({"most_frequent": "coupon"}), Some(3)),
        "distinct": rule(&json!({"distinct": "coupon"}), Some(3)),
    }));
    let days = [
        (100, json!({"total": 1, "coupon": "a"})),
        (101, json!({"total": 5, "coupon": "b"})),
        (102, json!({"total": 3, "coupon": "a"})),
    ];
    let root = orders(&traits, &days);
    let on = |day| json!(view(&root, &traits, day).traits);
    let expected = json!({"count": 3, "least": 1, "most": 5, "first": "a", "latest": "a",
        "frequent": "a", "distinct": 2});
    assert_eq!(on(102), expected);
    let expected = json!({"count": 2, "least": 3, "most": 5, "first": "b", "latest": "a",
        "frequent": "a", "distinct": 2});
    assert_eq!(on(103), expected);
    assert_eq!(on(105), json!({"count": 0, "distinct": 0}));
    let facts = root.facts();
    let midnight = |day: i64| Some(Stamp::from_ms(day * 86_400_000));
    assert_eq!(traits.changes(&facts, noon(102)), midnight(103));
    assert_eq!(traits.changes(&facts, noon(103)), midnight(104));
    assert_eq!(traits.changes(&facts, noon(105)), None);
}

#[test]
fn a_trait_that_somebody_sends_is_hidden() {
    let traits = traits(
        json!({"orders": rule(&json!("count"), None), "vip": rule(&json!({"latest": "x"}), None)}),
    );
    let mut root = orders(&traits, &[(5, json!({}))]);
    let said: Event = serde_json::from_value(json!({"id": "i", "at": noon(5), "type": "identify",
        "traits": {"orders": 1_000, "vip": true, "plan": "gold"}}))
    .unwrap();
    fold(&mut root, KEY, &said, &traits);
    let view = view(&root, &traits, 6);
    assert_eq!(json!(view.traits), json!({"orders": 1, "plan": "gold"}));
    assert_eq!(view.facts["computed.hides"], json!(["orders", "vip"]));
}

#[test]
fn nothing_is_said_before_the_back_fill() {
    let old = traits(json!({"orders": rule(&json!("count"), None)}));
    let new =
        traits(json!({"orders": rule(&json!("count"), None), "buys": rule(&json!("count"), None),
        "spent": rule(&json!({"sum": {"of": "total"}}), None)}));
    let mut root = orders(&old, &[(5, json!({"total": 2}))]);
    assert_eq!(view(&root, &old, 6).traits["orders"], 1);
    let read = view(&root, &new, 6);
    assert_eq!(read.traits["buys"], 1, "the same rule under another name");
    assert_eq!(read.facts["computed.filling"], json!(["spent"]));
    fold(&mut root, KEY, &event(1, 6, "Order Completed", &json!({"total": 3})), &new);
    assert_eq!(view(&root, &new, 6).facts["computed.filling"], json!(["spent"]));
    assert_eq!(view(&root, &new, 6).traits["orders"], 2);
    // A changed rule is another one, and the one before it is dropped by the next fold.
    let changed = traits(json!({"orders": rule(&json!("count"), Some(30))}));
    fold(&mut root, KEY, &event(2, 6, "Order Completed", &json!({})), &changed);
    assert!(root.facts().computed.keys().next().is_none());
    // Somebody new needs none, and nobody at all has done nothing.
    let other = IdentityKey::from_bytes([2; 16]);
    fold(&mut root, other, &event(3, 6, "Signed Up", &json!({})), &new);
    assert_eq!(root.lacks(&new).keys().collect::<Vec<_>>(), [&KEY]);
    let nobody = ProfileView::nobody(ProfileId::from(KEY), &new, noon(6));
    assert_eq!(json!(nobody.traits), json!({"orders": 0, "buys": 0, "spent": 0}));
}

#[test]
fn one_side_that_lacks_a_state_is_enough() {
    let new = traits(json!({"orders": rule(&json!("count"), None)}));
    let order = |n| event(n, 5, "Order Completed", &json!({}));
    let (device, third) = (IdentityKey::from_bytes([2; 16]), IdentityKey::from_bytes([3; 16]));
    let mut root = Root::default();
    fold(&mut root, KEY, &order(1), &new);
    fold(&mut root, device, &order(2), &ComputedTraits::default());
    root.accumulators.insert(third, Accumulator::default());
    assert_eq!(view(&root, &new, 6).facts["computed.filling"], json!(["orders"]));
    let mut own = root.accumulators[&KEY].clone();
    own.merge(&root.accumulators[&third]);
    assert_eq!(own.facts.computed.keys().count(), 1, "without events nothing is lacking");
    own.merge(&root.accumulators[&device]);
    assert_eq!(own.facts.computed.keys().count(), 0);
}

#[test]
fn a_fill_that_does_not_tell_of_the_same_events_writes_nothing() {
    let new = traits(
        json!({"orders": rule(&json!("count"), None), "lately": rule(&json!("count"), Some(30))}),
    );
    let all: Vec<Event> =
        (0..4).zip(400..).map(|(n, day)| event(n, day, "Order Completed", &json!({}))).collect();
    let mut root = Root::default();
    for event in &all {
        fold(&mut root, KEY, event, &ComputedTraits::default());
    }
    let before = root.accumulators[&KEY].clone();
    let lacks = root.lacks(&new).remove(&KEY).unwrap();
    let fill = |events: &[Event], horizon: Stamp| {
        let mut held = before.clone();
        let mut fill = Fill::begin(&held, &new, &lacks, horizon);
        for event in events {
            fill.take(KEY, event.at, event);
        }
        let done = fill.finish(&mut held);
        assert!(done.is_ok() || held == before);
        (done, held)
    };
    let young = Stamp::MIN;
    assert_eq!(fill(&all[..3], young).0, Err(NotYet::Behind { missing: 1, total: 4 }));
    assert_eq!(fill(&all[1..], young).0, Err(NotYet::Behind { missing: 1, total: 4 }));
    let more: Vec<Event> =
        all.iter().cloned().chain([event(9, 404, "Order Completed", &json!({}))]).collect();
    assert_eq!(fill(&more, young).0, Err(NotYet::Ahead { more: 1, total: 4 }));
    let (done, held) = fill(&all, young);
    assert_eq!(done, Ok(Filled { events: 4, missing: 0 }));
    root.accumulators.insert(KEY, held);
    assert_eq!(view(&root, &new, 404).traits["orders"], 4);
    assert!(!view(&root, &new, 404).facts.contains_key("computed.partial"));
    // The timeline has forgotten the first two: a window does not reach them, for ever does.
    let horizon = noon(402);
    let (done, held) = fill(&all[2..], horizon);
    assert_eq!(done, Ok(Filled { events: 2, missing: 2 }));
    root.accumulators.insert(KEY, held);
    assert_eq!(view(&root, &new, 404).facts["computed.partial"], json!(["orders"]));
    // What came after the first that it remembers, it cannot have forgotten.
    let lost: Vec<Event> = [&all[2..3], &[]].concat();
    assert_eq!(fill(&lost, horizon).0, Err(NotYet::Behind { missing: 3, total: 4 }));
    // Long gone altogether; and somebody seen lately, of whom nothing is there yet.
    assert_eq!(fill(&[], noon(404)).0, Ok(Filled { events: 0, missing: 4 }));
    assert!(fill(&[], noon(403)).0.is_err());
}

#[test]
fn what_was_erased_is_not_filled() {
    let new = traits(json!({"orders": rule(&json!("count"), None)}));
    let mut held = Accumulator { erased: Some(noon(5)), ..Accumulator::default() };
    let source = SourceRef { name: "s".to_owned(), kind: SourceKind::Server };
    let later = event(2, 6, "Order Completed", &json!({}));
    held.fold(&later, &source, &Watched::default());
    let lacks = new.by_key().into_keys().collect();
    let mut fill = Fill::begin(&held, &new, &lacks, Stamp::MIN);
    fill.take(KEY, noon(5), &event(1, 4, "Order Completed", &json!({})));
    fill.take(KEY, noon(6), &later);
    assert_eq!(fill.finish(&mut held), Ok(Filled { events: 1, missing: 0 }));
}

#[test]
fn what_was_compacted_has_its_timeline_still() {
    let by_device = || Link::new(IdKind::Anonymous, Root::final_claim());
    let mut root = Root::default();
    let now = noon(100);
    root.accumulators.insert(KEY, Accumulator::default());
    for n in 2..18 {
        root.adopt(IdentityKey::from_bytes([n; 16]), Moved::default(), by_device());
    }
    let compacted = root.make_room(KEY, &IdKind::Anonymous, now.plus(Span::DAY.times(31))).unwrap();
    assert_eq!(root.timelines_of(KEY, KEY).len(), compacted.len() + 1);
    let device = IdentityKey::from_bytes([99; 16]);
    root.adopt(device, Moved::default(), by_device());
    assert_eq!(root.timelines_of(KEY, device), [device]);
}

#[test]
fn more_values_than_are_kept_are_said() {
    let new = traits(json!({
        "favourite": rule(&json!({"most_frequent": "coupon"}), None),
        "lately": rule(&json!({"distinct": "coupon"}), Some(7)),
        "count": rule(&json!("count"), None),
    }));
    let many: Vec<(i64, Value)> =
        (0..200).map(|n| (5, json!({"coupon": format!("c{n}")}))).collect();
    let mut root = orders(&new, &many);
    let read = view(&root, &new, 6);
    assert_eq!(read.traits["lately"], 128);
    assert_eq!(read.facts["computed.partial"], json!(["favourite", "lately"]));
    root.cut(1);
    assert_eq!(view(&root, &new, 6).traits["count"], 200);
    assert_eq!(view(&root, &new, 6).facts["computed.filling"], json!(["lately"]));
    root.cut(Root::CUTS - 1);
    assert_eq!(
        view(&root, &new, 6).facts["computed.filling"],
        json!(["count", "favourite", "lately"])
    );
}

#[test]
fn an_estimate_says_that_it_is_none_of_the_exact_values() {
    let new = traits(json!({"ever": rule(&json!({"distinct": "coupon"}), None)}));
    for (many, partial) in [(63, Value::Null), (64, json!(["ever"])), (200, json!(["ever"]))] {
        let many: Vec<(i64, Value)> =
            (0..many).map(|n| (5, json!({"coupon": format!("c{n}")}))).collect();
        let read = view(&orders(&new, &many), &new, 6);
        let found = read.facts.get("computed.partial").cloned().unwrap_or_default();
        assert_eq!(found, partial, "of {} values", many.len());
        assert!(partial != Value::Null || read.traits["ever"] == 63);
    }
}

#[test]
fn a_profile_that_grows_too_large_loses_what_can_be_filled_again_before_what_cannot() {
    let new = traits(json!({
        "favourite": rule(&json!({"most_frequent": "coupon"}), Some(90)),
        "orders": rule(&json!("count"), Some(90)),
        "ever": rule(&json!("count"), None),
    }));
    let many: Vec<(i64, Value)> =
        (0..40).map(|n| (n, json!({"order_id": n, "coupon": format!("c{n}")}))).collect();
    let mut root = orders(&new, &many);
    let orders = root.facts().orders.clone();
    root.cut(0);
    let cut = view(&root, &new, 40);
    assert_eq!(cut.facts["computed.filling"], json!(["favourite"]), "the largest");
    assert_eq!((&cut.traits["orders"], &cut.traits["ever"]), (&json!(40), &json!(40)));
    root.cut(1);
    let cut = view(&root, &new, 40);
    assert_eq!(cut.facts["computed.filling"], json!(["favourite", "orders"]));
    assert_eq!(cut.traits["ever"], 40);
    assert_eq!(root.facts().orders, orders, "no fact is touched");
    root.cut(2);
    assert_ne!(root.facts().orders, orders);
}

#[test]
fn no_state_takes_more_than_its_rule_says() {
    let amounts = json!({"of": "total"});
    let kinds = [
        json!("count"),
        json!({"sum": amounts}),
        json!({"minimum": amounts}),
        json!({"maximum": amounts}),
        json!({"average": amounts}),
        json!({"first": "coupon"}),
        json!({"latest": "coupon"}),
        json!({"most_frequent": "coupon"}),
        json!({"distinct": "coupon"}),
    ];
    let many: Vec<(i64, Value)> = (0..40)
        .flat_map(|day| (0..12).map(move |n| (day, n)))
        .map(|(day, n)| {
            let coupon = format!("{day:02}{n:02}{}", "x".repeat(92));
            (day, json!({"coupon": coupon, "total": 999_999_999_999_u64}))
        })
        .collect();
    for kind in kinds {
        for days in [None, Some(30)] {
            let new = traits(json!({"one": rule(&kind, days)}));
            let root = orders(&new, &many);
            let bytes = serde_json::to_vec(&root.facts().computed).unwrap().len();
            let most = new.bytes_max();
            assert!(bytes <= most, "{kind} over {days:?}: {bytes} bytes, at most {most}");
            assert!(most < bytes * 5, "{kind} over {days:?}: {bytes} bytes of {most}");
        }
    }
}
