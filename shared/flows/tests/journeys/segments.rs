//! Journeys that begin with a segment, and ask for one.

use crate::world::{World, ada, after, envelope, two_mails};
use odyssey_domain::ids::SignalId;
use odyssey_domain::profile::{IdentityItem, Root};
use odyssey_domain::segment::{Cause, Member, SegmentName};
use odyssey_flows::ports::Tables;
use odyssey_flows::profiles::identity_key;
use odyssey_flows::queue::Disposition;
use odyssey_flows::stored;
use odyssey_testkit::run;
use serde_json::{Value, json};

fn journey(signal: &str) -> Value {
    let mut journey = two_mails();
    journey["trigger"] = json!({"signal": {"name": signal, "segment": "vip"}});
    journey.as_object_mut().unwrap().remove("enrollment_key");
    journey["entry_filter"] = json!({"segment": {"name": "fan"}});
    journey
}

fn changed(signal: &str, segment: &str, byte: u8) -> String {
    let detail = json!({"v": 1, "id": SignalId::from_bytes([byte; 16]), "profile": ada(),
        "owners": [], "signal": signal, "segment": segment, "since": after("1s"),
        "at": after("2s"), "evidence": {"by": "event", "answers": []}});
    envelope("Signal Raised", &detail)
}

/// Ada is in a segment.
fn join(world: &World, segment: &str) {
    let mut root = Root::default();
    let member = Member { since: after("0s"), by: Cause::Event };
    root.said.segments.members.insert(SegmentName::parse(segment).unwrap(), member);
    let item = IdentityItem::Root(Box::new(root));
    let put = stored::put(identity_key(ada().into()), &item, None).unwrap();
    run(world.memory.write(put)).unwrap();
}

#[test]
fn entering_a_segment_lets_in_and_another_does_not() {
    let mut world = World::new(&journey("Segment Entered"));
    join(&world, "fan");
    let slot = world.slot(ada(), "");
    for other in [changed("Segment Exited", "vip", 1), changed("Segment Entered", "fan", 2)] {
        assert_eq!(world.deliver(&[other], 1, after("3s")), [Disposition::Done]);
        assert_eq!(world.enrollment(&slot), None);
    }
    let entered = changed("Segment Entered", "vip", 3);
    for count in [1, 2] {
        let done = world.deliver(std::slice::from_ref(&entered), count, after("3s"));
        assert_eq!(done, [Disposition::Done]);
    }
    let hers = world.enrollment(&slot).unwrap();
    assert_eq!(
        (hers.started, hers.why.trigger.as_str()),
        (after("1s"), "signal Segment Entered vip")
    );
    // The filter's answer is among the reasons.
    assert_eq!(hers.why.conditions[0].asked, "in segment fan");
    assert!(hers.why.conditions[0].held);
}

#[test]
fn who_is_not_in_the_segment_asked_for_is_not_let_in() {
    let mut world = World::new(&journey("Segment Exited"));
    join(&world, "other");
    let left = changed("Segment Exited", "vip", 4);
    assert_eq!(world.deliver(&[left], 1, after("3s")), [Disposition::Done]);
    assert_eq!(world.enrollment(&world.slot(ada(), "")), None);
}
