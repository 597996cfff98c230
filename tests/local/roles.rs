//! Each role allows exactly what its function calls.

use crate::world::World;
use odyssey_local::{Fault, Service};
use serde_json::json;
use odyssey_domain::time::Span;

/// Statements that this test cannot use, each with its reason.
const NOT_USED_HERE: [&str; 1] = [
    // Functions write their logs through the runtime, which the local stack reads from their
    // standard output.
    "Log",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_is_unused() {
    let world = World::start().await;
    world.sign_up("ann", "bounce@simulator.amazonses.com").await;
    let line = json!({"product_id": "p", "name": "Tent", "price": 10, "currency": "EUR", "quantity": 1});
    world.track("ann", "Product Added", line).await;
    let throttled = Fault::Refuse { status: 429, code: "TooManyRequestsException" };
    // A throttled sender changes a message's visibility, a poison record is parked.
    world.stack.faults().next(Service::Ses, "SendEmail", throttled, 1);
    for queue in ["ProfileQueue", "JourneyQueue", "SenderQueue", "FeedbackQueue"] {
        assert!(world.stack.enqueue(queue, "poison"));
    }
    world.pass(Span::HOUR.times(30)).await;
    let unused: Vec<String> = world
        .stack
        .unused_statements()
        .into_iter()
        .map(|unused| format!("{unused:?}"))
        .filter(|unused| !NOT_USED_HERE.iter().any(|sid| unused.contains(sid)))
        .collect();
    assert!(unused.is_empty(), "{unused:#?}");
}
