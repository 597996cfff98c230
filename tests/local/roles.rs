//! Each role allows exactly what its function calls: what no call needed fails here.

use crate::world::World;
use odyssey_domain::time::{Span, Stamp};
use odyssey_local::{Fault, Injection, Service};
use serde_json::{Value, json};

/// What cannot be used on one machine, each with its reason.
const NOT_USED_HERE: [&str; 2] = [
    // The local stack reads logs from the functions' standard output.
    "statement: \"Log\"",
    // A rule whose queue refuses it for a day; no queue here refuses.
    "odyssey-BusDeadLetters",
];

/// Makes the next calls of a function to DynamoDB fail for longer than the SDK retries.
fn outage(world: &World, function: &str) {
    world.stack.faults().inject(Injection {
        service: Service::DynamoDb,
        operation: None,
        caller: Some(function.to_owned()),
        fault: Fault::Refuse { status: 500, code: "InternalServerError" },
        times: Some(9),
        every: 1,
    });
}

/// A zone whose clocks show 23 o'clock four hours from now, when the cart's reminder is due.
fn late_in_four_hours(now: Stamp) -> String {
    let hour = (now.ms() / Span::HOUR.ms_i64() + 4) % 24;
    let ahead = 23 - hour;
    // These zones are named for what must be added to come to Greenwich's time.
    format!("Etc/GMT{:+}", -(if ahead > 12 { ahead - 24 } else { ahead }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_is_unused() {
    let world = World::start().await;
    // An address that bounces: feedback suppresses it and tells the bus.
    world.sign_up("ann", "bounce@simulator.amazonses.com").await;
    // A link of a device to its user, an event from long ago, more events than an item keeps ids of.
    let link = json!({"userId": "bob", "anonymousId": "device-1", "traits": {}});
    world.browser("/v1/identify", &link).await;
    let old = json!({"userId": "bob", "event": "Old", "timestamp": "2026-01-01T00:00:00Z"});
    world.browser("/v1/track", &old).await;
    for _ in 0..11 {
        let many: Vec<Value> =
            (0..100).map(|_| json!({"type": "track", "event": "Seen", "userId": "bob"})).collect();
        world.browser("/v1/batch", &json!({"batch": many})).await;
    }
    world.settle().await;
    // A reminder that would come at night where its reader is waits for the morning.
    world.sign_up("cal", "cal@example.com").await;
    let now = world.stack.now();
    let cart = json!({
        "userId": "cal", "event": "Product Added", "timestamp": now.to_string(),
        "context": {"timezone": late_in_four_hours(now)},
        "properties": {"product_id": "p", "name": "Tent", "price": 10, "currency": "EUR", "quantity": 1},
    });
    world.browser("/v1/track", &cart).await;
    // An order that makes a customer a member of a segment, which is counted.
    let tents = json!({"order_id": "o1", "total": 900, "currency": "EUR"});
    world.track("cal", "Order Completed", tents).await;
    // Messages that fail for now come back later, poison is parked.
    world.sign_up("bob", "bob@example.com").await;
    for function in ["ProfileFunction", "JourneyFunction", "SenderFunction", "FeedbackFunction"] {
        outage(&world, function);
    }
    for queue in ["ProfileQueue", "JourneyQueue", "SenderQueue", "FeedbackQueue"] {
        assert!(world.stack.enqueue(queue, "poison"));
    }
    let tent =
        json!({"product_id": "p", "name": "Tent", "price": 10, "currency": "EUR", "quantity": 1});
    world.track("bob", "Product Added", tent).await;
    world.pass(Span::HOUR.times(30)).await;
    let unused: Vec<String> = world
        .stack
        .unused_statements()
        .into_iter()
        .map(|unused| format!("{unused:?}"))
        .filter(|unused| !NOT_USED_HERE.iter().any(|known| unused.contains(known)))
        .collect();
    assert!(unused.is_empty(), "{unused:#?}");
}
