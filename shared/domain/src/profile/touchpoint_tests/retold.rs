//! What is told again, with fewer words or by somebody else: what was known stays known, in every
//! order and however the events are spread over linked identifiers.

use super::*;

/// Every order in which so many come.
fn orders(many: usize) -> Vec<Vec<usize>> {
    let Some(last) = many.checked_sub(1) else { return vec![Vec::new()] };
    let with_last = |order: Vec<usize>| {
        (0..many).map(move |place| {
            let mut order = order.clone();
            order.insert(place, last);
            order
        })
    };
    orders(last).into_iter().flat_map(with_last).collect()
}

/// The accumulator of one event, which is the `n`th of its history.
fn alone(n: usize, event: &Value) -> Accumulator {
    let mut accumulator = Accumulator::default();
    fold(&mut accumulator, i64::try_from(n).unwrap(), event.clone());
    accumulator
}

/// What events of one minute each come to.
fn retold(events: &[Value]) -> Root {
    let mut root = Root::default();
    let own = IdentityKey::from_bytes([1; 16]);
    let mut expected: Option<String> = None;
    for order in orders(events.len()) {
        let mut folded = Accumulator::default();
        let mut merged = Facts::default();
        for n in &order {
            fold(&mut folded, i64::try_from(*n).unwrap(), events[*n].clone());
            merged.merge(&alone(*n, &events[*n]).facts);
        }
        let folded_bytes = serde_json::to_string(&folded.facts).unwrap();
        assert_eq!(serde_json::to_string(&merged).unwrap(), folded_bytes, "{order:?}");
        let read: Facts = serde_json::from_str(&folded_bytes).unwrap();
        assert_eq!(read, folded.facts);
        assert_eq!(
            *expected.get_or_insert_with(|| folded_bytes.clone()),
            folded_bytes,
            "{order:?}"
        );
        *root.accumulator_of(own, own).1 = folded;
    }
    root
}

fn known(events: &[Value]) -> BTreeMap<String, Value> {
    retold(events).view(ProfileId::from_bytes([1; 16])).facts
}

fn tent(quantity: u32) -> Value {
    json!({"product_id": "a", "name": "Tent", "price": 249, "currency": "EUR", "category": "Tents",
        "quantity": quantity, "url": "https://shop.example/tent"})
}

#[test]
fn a_barer_mention_leaves_a_product_as_it_was_known() {
    let bare = || json!({"product_id": "a", "quantity": 1});
    for later in [
        track("Product Removed", bare()),
        track("Product Added", bare()),
        track("Product Added", json!({"product_id": "a", "name": " ", "price": null})),
        track("Checkout Started", json!({"products": [{"product_id": "a"}]})),
        track("Cart Viewed", json!({"products": [bare()]})),
    ] {
        let facts = known(&[track("Product Added", tent(2)), later.clone()]);
        let line = &facts["cart.lines"][0];
        let found = json!([line["name"], line["price"], line["currency"], line["category"]]);
        assert_eq!(found, json!(["Tent", 24_900, "EUR", "Tents"]), "{later}");
        let items = facts["cart.items"].as_u64().unwrap();
        assert_eq!(facts["cart.value"], 24_900 * items, "{later}");
    }
    // Field by field the last word counts.
    let facts = known(&[
        track("Product Added", tent(1)),
        track("Product Added", json!({"product_id": "a", "price": 199, "currency": "EUR"})),
        track("Product Added", json!({"product_id": "a", "name": "Two-person tent"})),
        track("Product Added", bare()),
    ]);
    let line = &facts["cart.lines"][0];
    assert_eq!((&line["name"], &line["price"]), (&json!("Two-person tent"), &json!(19_900)));
    assert_eq!(line["url"], "https://shop.example/tent");
    let viewed =
        known(&[track("Product Viewed", tent(1)), track("Product Viewed", json!({"sku": "a"}))]);
    assert_eq!(viewed["browse.products"][0]["name"], "Tent");
}

/// An order takes what was in the cart, and what was known of it.
#[test]
fn a_new_cart_knows_what_it_was_told() {
    let facts = known(&[
        track("Product Added", tent(1)),
        track("Order Completed", json!({"order_id": "1"})),
        track("Product Added", json!({"product_id": "a"})),
    ]);
    assert!(facts["cart.lines"][0].get("name").is_none());
    assert_eq!(facts["cart.items"], 1);
}

/// With more products than are described, what is known does not hang on the order of arrival.
#[test]
fn of_more_products_than_are_kept_the_same_is_known() {
    let product = |n: usize| {
        let of = format!("p{n:02}");
        json!({"product_id": of, "name": format!("Product {of}"), "price": n})
    };
    let mut events: Vec<Value> =
        (0..CART_PRODUCTS_MAX).map(|n| track("Product Added", product(n))).collect();
    // The first is mentioned again, and stays; then others come, and others go.
    events.push(track("Product Added", json!({"product_id": "p00"})));
    events.push(track("Product Added", product(90)));
    events.push(track("Product Added", json!({"product_id": "p02"})));
    events.push(track("Product Added", product(91)));
    let many = events.len();
    let mut expected: Option<Facts> = None;
    for step in [1, 5, 7, 11, 35] {
        let mut folded = Accumulator::default();
        let mut merged = [Facts::default(), Facts::default()];
        for n in (0..many).map(|n| n * step % many) {
            fold(&mut folded, i64::try_from(n).unwrap(), events[n].clone());
            merged[n % 2].merge(&alone(n, &events[n]).facts);
        }
        let [mut left, right] = merged;
        left.merge(&right);
        assert_eq!(left, folded.facts, "{step}");
        assert_eq!(*expected.get_or_insert_with(|| left.clone()), left, "{step}");
    }
    let facts = expected.unwrap();
    let lines = facts.cart.lines();
    let name = |id: &str| {
        let line = lines.iter().find(|line| line.id == id).unwrap();
        line.product.map(|product| product.name.as_deref().unwrap_or("nameless"))
    };
    assert_eq!(name("p01"), None, "those changed last are described");
    assert_eq!(name("p00"), Some("nameless"), "its name is older than what was dropped");
    assert_eq!(name("p02"), Some("nameless"));
    assert_eq!((name("p04"), name("p91")), (Some("Product p04"), Some("Product p91")));
}

#[test]
fn an_order_that_is_told_again_keeps_its_amount() {
    let order = |name: &str, more: Value| {
        let mut properties = json!({"order_id": "1"});
        properties.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        track(name, properties)
    };
    let completed = |more: Value| order("Order Completed", more);
    let of = |total: u64| json!({"total": total, "currency": "EUR"});
    let products =
        json!({"total": 20, "products": [{"product_id": "a", "category": "Tents", "price": 20}]});
    let told = |events: &[Value]| {
        let facts = known(events);
        assert_eq!(facts["orders.count"], 1);
        (facts["orders.value"].clone(), facts["orders.currency"].clone())
    };
    let eur = |minor: u64| (json!(minor), json!("EUR"));
    assert_eq!(told(&[completed(of(50)), completed(json!({}))]), eur(5_000));
    let updated = order("Order Updated", of(40));
    let bare = order("Order Updated", json!({}));
    assert_eq!(told(&[completed(of(50)), updated.clone(), bare]), eur(4_000));
    // A correction stands until an amount is told after it.
    assert_eq!(told(&[completed(of(50)), updated.clone(), completed(json!({}))]), eur(4_000));
    assert_eq!(told(&[completed(of(50)), updated.clone(), completed(of(45))]), eur(4_500));
    assert_eq!(told(&[updated, completed(json!({}))]), eur(4_000));
    let facts = known(&[
        completed(products),
        completed(json!({"products": [{"product_id": "a"}]})),
        completed(json!({"products": []})),
    ]);
    assert_eq!(facts["orders.categories"], json!({"Tents": 1}));
    assert_eq!(facts["orders.price_band"], "10 to 25");
}

#[test]
fn a_video_keeps_its_title() {
    let video = |name: &str, more: Value| {
        let mut properties = json!({"content_asset_id": "v1"});
        properties.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        track(name, properties)
    };
    let facts = known(&[
        video("Video Content Started", json!({"title": "Pilot", "program": "Harbour"})),
        video("Video Content Playing", json!({"position": 600, "total_length": 2_400})),
        video("Video Content Playing", json!({"position": 1_200})),
    ]);
    let video = &facts["content.recent"][0];
    let found = json!([video["title"], video["program"], video["percent"]]);
    assert_eq!(found, json!(["Pilot", "Harbour", 50]));
}

/// An item of an earlier release says of a whole product when it was described.
#[test]
fn what_an_earlier_release_stored_is_read() {
    let stored = json!({"seen": {"first": START, "last": START}, "total": 3,
        "cart": {"activity": {"at": START, "id": "00000000000000aa"},
            "log": [[START, "00000000000000aa", "a", {"a": 1}]],
            "products": {"k": {"a": [START, "00000000000000aa", {"n": "Tent", "p": [24_900, "EUR"]}]}}},
        "orders": {"placed": {"k": {"00000000000000bb": [START, "00000000000000aa", [5_000, "EUR"]]}},
            "gross": {"EUR": [1, 5_000]}},
        "content": {"recent": {"k": {"v": [START, "00000000000000aa", {"n": "Pilot"}]}}}});
    let mut held = Accumulator {
        facts: serde_json::from_value(stored.clone()).unwrap(),
        ..Accumulator::default()
    };
    assert_eq!(serde_json::to_value(&held.facts).unwrap(), stored, "and stored as it was");
    fold(&mut held, 1, track("Product Added", json!({"product_id": "a"})));
    fold(&mut held, 2, track("Video Content Playing", json!({"content_asset_id": "v"})));
    let lines = held.facts.cart.lines();
    assert_eq!(lines[0].product.unwrap().name.as_deref(), Some("Tent"));
    assert_eq!(held.facts.content.recent.get("v").unwrap().value.title.as_deref(), Some("Pilot"));
    let total = held.facts.orders.totals()[&Currency::parse("EUR")];
    assert_eq!(total, OrderTotal { count: 1, value: 5_000 });
}

/// Whoever tells of it, and however often.
#[test]
fn a_subscription_begins_once() {
    let began = |id: Value| track("Subscription Started", json!({"subscription_id": id}));
    let renewed = |id: Value, until: Value| {
        track("Subscription Renewed", json!({"subscription_id": id, "renews_at": until}))
    };
    let times = |events: &[Value]| {
        let root = retold(events);
        root.facts().rhythm.subscribed_at().len()
    };
    let day = |n: u32| json!(format!("2027-{n:02}-01"));
    assert_eq!(times(&[began(json!("s1")), began(json!(" s1 "))]), 1);
    assert_eq!(times(&[began(json!(7)), began(json!("7"))]), 1);
    assert_eq!(times(&[began(json!("s1")), began(json!("s2"))]), 2);
    assert_eq!(times(&[began(json!("")), began(json!(null))]), 2, "each by itself");
    let one = || json!("s1");
    // Each renewal is one of its own; one that says until when may be told twice.
    assert_eq!(times(&[began(one()), renewed(one(), day(1)), renewed(one(), day(2))]), 3);
    assert_eq!(times(&[began(one()), renewed(one(), day(1)), renewed(one(), day(1))]), 2);
    assert_eq!(times(&[renewed(one(), json!(null)), renewed(one(), json!(null))]), 2);
    let first = retold(&[began(one()), began(one())]).facts().rhythm.subscribed_at();
    assert_eq!(first, [Stamp::from_ms(START)]);
}
