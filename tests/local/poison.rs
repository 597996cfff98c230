//! A record that cannot be processed fails alone, and is kept with its reason.

use crate::world::World;
use odyssey_domain::wire::Parked;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_record_is_parked_with_its_reason() {
    let world = World::start().await;
    let poison = "{\"this is\": \"neither an event nor a command\"}";
    for queue in ["ProfileQueue", "JourneyQueue", "SenderQueue", "FeedbackQueue"] {
        assert!(world.stack.enqueue(queue, poison));
    }
    world.track("eve", "Product Viewed", json!({"product_id": "p"})).await;
    world.settle().await;
    let parked = world.stack.dead_letters();
    let mut queues: Vec<String> = parked.iter().map(|dead| dead.queue.clone()).collect();
    queues.sort();
    assert_eq!(
        queues,
        [
            "FeedbackQueueDeadLetters",
            "JourneyQueueDeadLetters",
            "ProfileQueueDeadLetters",
            "SenderQueueDeadLetters",
        ],
    );
    for dead in parked {
        let record: Parked = serde_json::from_str(&dead.message.body).unwrap();
        assert_eq!(record.body, poison);
        assert!(!record.reason.is_empty() && !record.chain.is_empty(), "{record:?}");
    }
}
