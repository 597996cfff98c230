//! From an event to the right mail, and nothing more when every message is delivered again.

use crate::http::call;
use crate::world::World;
use http::Method;
use odyssey_domain::time::Span;
use odyssey_local::What;
use serde_json::json;
use std::collections::BTreeMap;

fn cart_line() -> serde_json::Value {
    json!({
        "cart_id": "cart-9", "product_id": "tent-2", "name": "Two-person tent", "price": 189.0,
        "currency": "EUR", "quantity": 1, "url": "https://northwind.example/tent-2",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_cart_is_reminded_of_and_redelivery_changes_nothing() {
    let world = World::start().await;
    let mut feed = world.stack.feed();
    world.sign_up("ann", "ann@example.com").await;
    world.track("ann", "Product Added", cart_line()).await;
    world.pass(Span::HOUR.times(30)).await;

    let subjects = world.subjects("ann@example.com");
    assert_eq!(subjects.len(), 3, "confirmation, reminder, one more: {subjects:?}");
    let reminder = &world.mails("ann@example.com")[1];
    assert!(reminder.html.contains("Two-person tent"));
    assert!(reminder.header("List-Unsubscribe").is_some_and(|h| h.contains("/u/")));
    assert_eq!(reminder.header("List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"),);
    assert!(world.stack.dead_letters().is_empty());

    // Everything that ever stood on a queue is put there once more.
    let mut queued: Vec<(String, String)> = Vec::new();
    while let Ok(happening) = feed.try_recv() {
        if let What::Queued { queue, body, .. } = &happening.what {
            queued.push((queue.clone(), body.to_string()));
        }
    }
    let by_queue = queued.iter().fold(BTreeMap::new(), |mut counts, (queue, _)| {
        *counts.entry(queue.clone()).or_insert(0_usize) += 1;
        counts
    });
    assert_eq!(by_queue.len(), 4, "each queue is redelivered to: {by_queue:?}");
    let before = world.stack.contents();
    for (queue, body) in queued {
        assert!(world.stack.enqueue(queue.trim_start_matches("odyssey-"), &body));
    }
    world.settle().await;
    assert_eq!(world.subjects("ann@example.com"), subjects, "a redelivery sent a mail");
    let after = world.stack.contents();
    assert_eq!(before, after, "a redelivery changed a table");
    assert!(world.stack.dead_letters().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_ends_the_journey_and_unsubscribing_ends_the_mails() {
    let world = World::start().await;
    world.sign_up("bob", "bob@example.com").await;
    world.sign_up("cat", "cat@example.com").await;
    world.track("bob", "Product Added", cart_line()).await;
    world.track("cat", "Product Added", cart_line()).await;
    // Both are reminded; Bob orders, Cat unsubscribes by one click.
    world.pass(Span::HOUR.times(6)).await;
    assert_eq!(world.mails("bob@example.com").len(), 2);
    let reminder = world.mails("cat@example.com")[1].clone();
    let header = reminder.header("List-Unsubscribe").unwrap();
    let link = header.trim_start_matches('<').split('>').next().unwrap();
    let page = call(Method::GET, link).send().await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let post = call(Method::POST, link)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("List-Unsubscribe=One-Click")
        .send()
        .await;
    assert_eq!(post.status, 200);
    let order = json!({"order_id": "o-1", "total": 189.0, "currency": "EUR"});
    world.track("bob", "Order Completed", order).await;
    world.pass(Span::HOUR.times(26)).await;
    // No second reminder: the journey ended. What a first order brings is its own.
    let after_reminder = &world.subjects("bob@example.com")[2..];
    assert_eq!(after_reminder, ["Thank you, Ann", "Ann, before the first night out"]);
    assert_eq!(world.subjects("cat@example.com").len(), 2, "nothing after she unsubscribed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_consent_nothing_leaves() {
    let world = World::start().await;
    let body = json!({"userId": "dan", "traits": {"email": "dan@example.com"}});
    world.browser("/v1/identify", &body).await;
    world.track("dan", "Product Added", cart_line()).await;
    world.pass(Span::HOUR.times(30)).await;
    assert!(world.subjects("dan@example.com").is_empty());
    // A GET of an unknown token's page and of a forged one says nothing and changes nothing.
    let page = call(Method::GET, &world.url("/u/forged")).send().await;
    assert!(page.status.is_client_error());
}
