//! SES: the mailbox, the simulator's feedback, refusals and ambiguity.

use crate::harness::{happens, start, within};
use odyssey_domain::ids::SendId;
use odyssey_domain::personal::EmailAddress;
use odyssey_flows::ports::{Mailer, OutgoingMail, SendAnswer};
use odyssey_local::{Fault, LocalStack, Service, What};
use serde_json::Value;

fn mail(to: &str) -> OutgoingMail {
    OutgoingMail {
        send: SendId::from_bytes([7; 16]),
        from: "Shop <news@example.com>".to_owned(),
        to: EmailAddress::parse(to).unwrap(),
        reply_to: None,
        subject: "Your cart ☂".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        text: "Hello".to_owned(),
        headers: vec![("List-Unsubscribe".to_owned(), "<https://example.com/u/x>".to_owned())],
        tags: vec![("journey".to_owned(), "cart-recovery".to_owned())],
    }
}

/// The SES events that reach the feedback queue, in order.
async fn feedback(stack: &LocalStack, to: &str, count: usize) -> Vec<Value> {
    let mut feed = stack.feed();
    let answer = stack.aws().mailer().send(&mail(to)).await;
    assert!(matches!(answer, SendAnswer::Accepted(_)), "{answer:?}");
    let mut found = Vec::new();
    for _ in 0..count {
        let body = happens(&mut feed, |what| match what {
            What::Queued { queue, body, .. } if queue == "odyssey-FeedbackQueue" => {
                Some(body.clone())
            }
            _ => None,
        });
        let envelope: Value = serde_json::from_str(&body.await).unwrap();
        assert_eq!(envelope["Type"], "Notification");
        found.push(serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap());
    }
    found
}

#[tokio::test]
async fn a_mail_is_kept_with_its_headers_and_tags() {
    let stack = start().await;
    let events = feedback(&stack, "Ann@example.com", 2).await;
    let kept = stack.mailbox().to("ann@example.com").remove(0);
    assert_eq!(kept.subject, "Your cart ☂");
    assert_eq!(kept.header("list-unsubscribe"), Some("<https://example.com/u/x>"));
    assert_eq!(kept.tags["send_id"], SendId::from_bytes([7; 16]).to_string());
    let kinds: Vec<&str> = events.iter().map(|e| e["eventType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Send", "Delivery"]);
    assert_eq!(events[0]["mail"]["messageId"], kept.id.as_str());
    assert_eq!(events[0]["mail"]["tags"]["send_id"][0], kept.tags["send_id"].as_str());
    within(stack.idle(stack.now())).await;
}

#[tokio::test]
async fn the_simulator_bounces_and_complains() {
    let stack = start().await;
    let bounce = feedback(&stack, "bounce@simulator.amazonses.com", 2).await;
    assert_eq!(bounce[1]["bounce"]["bounceType"], "Permanent");
    let complaint = feedback(&stack, "complaint+3@simulator.amazonses.com", 3).await;
    assert_eq!(complaint[2]["eventType"], "Complaint");
}

#[tokio::test]
async fn each_fault_means_what_the_ledger_thinks_it_means() {
    let stack = start().await;
    let mailer = stack.aws().mailer();
    let refuse = |status, code| Fault::Refuse { status, code };
    for (fault, expected, mails) in [
        (refuse(429, "TooManyRequestsException"), "released", 0),
        (refuse(400, "SendingPausedException"), "released", 0),
        (refuse(400, "AccountSuspendedException"), "released", 0),
        (refuse(400, "MessageRejected"), "failed", 0),
        (refuse(500, "InternalFailure"), "ambiguous", 0),
        (Fault::Reset, "ambiguous", 0),
        (Fault::DoneThenReset, "ambiguous", 1),
        (Fault::DoneThenRefuse { status: 500, code: "InternalFailure" }, "ambiguous", 2),
    ] {
        stack.faults().next(Service::Ses, "SendEmail", fault.clone(), 1);
        let found = match mailer.send(&mail("ann@example.com")).await {
            SendAnswer::Accepted(_) => "accepted",
            SendAnswer::Released(_) => "released",
            SendAnswer::Failed(_) => "failed",
            SendAnswer::Ambiguous(_) => "ambiguous",
        };
        assert_eq!((found, stack.mailbox().all().len()), (expected, mails), "{fault:?}");
    }
}
