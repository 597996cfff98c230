//! Segment's own SDKs, from their lock files, unchanged.

use crate::lost_answer::LostAnswer;
use crate::suites::{Scenario, Suite, skip};
use crate::world::World;
use odyssey_domain::event::EventKind;
use serde_json::json;

/// One call of each kind: all in the customer's profile, as the SDK named them.
async fn calls(world: &World, suite: &Suite, user: &str, gzip: bool) {
    let url = world.stack.api_url();
    let write_key = &world.server_key();
    let sent = suite.run(&Scenario { name: "calls", url, write_key, user, gzip }).await;
    assert_eq!(sent.len(), 6, "{sent:?}");
    world.settle().await;

    let identity = world.identity(Some(user), None);
    let timeline = world.timeline(identity).await;
    for (call, id) in &sent {
        let found: Vec<_> = timeline.iter().filter(|event| &event.id == id).collect();
        assert_eq!(found.len(), 1, "{user}: {call} {id} in {timeline:#?}");
        let kind = serde_json::to_value(found[0].kind).unwrap();
        assert_eq!(kind, json!(call), "{user}");
    }
    assert_eq!(timeline.len(), sent.len(), "{user}: {timeline:#?}");
    assert!(timeline.iter().any(|event| event.kind == EventKind::Alias));

    let profile = world.profile(identity).await;
    assert_eq!(profile.traits["firstName"], "Ünal", "{user}");
    assert_eq!(profile.email.unwrap().expose(), format!("{user}@example.com"));
    assert_eq!(profile.facts["events.Product Added"], 1, "{user}");
    let device = world.identity(None, Some(&format!("{user}-device")));
    assert!(profile.owners.contains(&device), "{user}: the device is not linked");
}

/// A 503, then an answer that gets lost: one event, not two.
async fn retry(world: &World, suite: &Suite, user: &str, gzip: bool) {
    let proxy = LostAnswer::before(world.stack.api_url()).await;
    let (url, write_key) = (proxy.url.as_str(), &world.server_key());
    let sent = suite.run(&Scenario { name: "retry", url, write_key, user, gzip }).await;
    world.settle().await;
    assert!(proxy.posts() >= 3, "{user}: only {} posts", proxy.posts());

    let identity = world.identity(Some(user), None);
    let timeline = world.timeline(identity).await;
    assert_eq!(timeline.len(), 1, "{user}: {timeline:#?}");
    assert_eq!(timeline[0].id, sent["track"], "{user}");
    let profile = world.profile(identity).await;
    assert_eq!(profile.facts["events.Order Completed"], 1, "{user}");
    assert_eq!(profile.facts["orders.count"], 1, "{user}");
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_for_node() {
    let suite = match Suite::node() {
        Ok(suite) => suite,
        Err(why) => return skip("@segment/analytics-node", &why),
    };
    let world = World::start().await;
    calls(&world, &suite, "node-calls", false).await;
    retry(&world, &suite, "node-retry", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_for_python() {
    let suite = match Suite::python() {
        Ok(suite) => suite,
        Err(why) => return skip("segment-analytics-python", &why),
    };
    let world = World::start().await;
    calls(&world, &suite, "python-calls", false).await;
    calls(&world, &suite, "python-gzip", true).await;
    retry(&world, &suite, "python-retry", true).await;
}
