//! SES: what is sent, and what each way to fail means for the ledger.

use crate::wire::{Act, Wire};
use odyssey_domain::ids::SendId;
use odyssey_domain::personal::EmailAddress;
use odyssey_flows::ports::{Mailer, OutgoingMail, SendAnswer};
use serde_json::{Value, json};

fn mail() -> OutgoingMail {
    OutgoingMail {
        send: SendId::from_bytes([1; 16]),
        from: "Shop <shop@example.com>".to_owned(),
        to: EmailAddress::parse("ann@example.com").unwrap(),
        reply_to: Some(EmailAddress::parse("help@example.com").unwrap()),
        subject: "Grüße".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        text: "Hello".to_owned(),
        headers: vec![("List-Unsubscribe".to_owned(), "<https://example.com/u/t>".to_owned())],
        tags: vec![("journey".to_owned(), "cart-recovery".to_owned())],
    }
}

async fn answer(act: Act) -> (SendAnswer, usize) {
    let wire = Wire::start([act]).await;
    let answer = wire.aws().mailer().send(&mail()).await;
    (answer, wire.requests().len())
}

#[tokio::test]
async fn a_mail_is_sent_with_its_headers_and_tags() {
    let wire = Wire::start([Act::ok(r#"{"MessageId":"ses-1"}"#)]).await;
    let answer = wire.aws().mailer().send(&mail()).await;
    assert_eq!(answer, SendAnswer::Accepted("ses-1".to_owned()));
    let request: Value = serde_json::from_str(&wire.requests()[0]).unwrap();
    let text = |data: &str| json!({"Data": data, "Charset": "UTF-8"});
    let expected = json!({
        "FromEmailAddress": "Shop <shop@example.com>",
        "Destination": {"ToAddresses": ["ann@example.com"]},
        "ReplyToAddresses": ["help@example.com"],
        "ConfigurationSetName": "set",
        "EmailTags": [
            {"Name": "send_id", "Value": SendId::from_bytes([1; 16]).to_string()},
            {"Name": "journey", "Value": "cart-recovery"},
        ],
        "Content": {"Simple": {
            "Subject": text("Grüße"),
            "Body": {"Html": text("<p>Hello</p>"), "Text": text("Hello")},
            "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://example.com/u/t>"}],
        }},
    });
    assert_eq!(request, expected);
}

#[tokio::test]
async fn a_refused_connection_releases() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let answer = crate::wire::aws(&url).mailer().send(&mail()).await;
    assert_eq!(answer, SendAnswer::Released("could not connect".to_owned()));
}

#[tokio::test]
async fn what_ses_says_not_now_releases() {
    for (status, code) in [
        (429, "TooManyRequestsException"),
        (429, "SomethingNew"),
        (400, "LimitExceededException"),
        (400, "SendingPausedException"),
        (400, "AccountSuspendedException"),
        (403, "ExpiredTokenException"),
        (403, "AccessDeniedException"),
    ] {
        let (answer, calls) = answer(Act::error(status, code)).await;
        assert_eq!(answer, SendAnswer::Released(format!("{code} (HTTP {status})")));
        assert_eq!(calls, 1, "{code}");
    }
}

#[tokio::test]
async fn every_other_4xx_fails_for_good() {
    for (status, code) in [
        (400, "MessageRejected"),
        (400, "BadRequestException"),
        (400, "MailFromDomainNotVerifiedException"),
        (404, "NotFoundException"),
    ] {
        let (answer, calls) = answer(Act::error(status, code)).await;
        assert_eq!(answer, SendAnswer::Failed(format!("{code} (HTTP {status})")));
        assert_eq!(calls, 1, "{code}");
    }
}

#[tokio::test]
async fn everything_else_is_ambiguous_and_called_once() {
    let unreadable = Act::ok("{");
    let without_id = Act::ok("{}");
    let cases = [
        (Act::error(500, "InternalFailure"), "InternalFailure (HTTP 500)"),
        (Act::error(503, "ServiceUnavailable"), "ServiceUnavailable (HTTP 503)"),
        // A 5xx proves nothing, whatever it calls itself.
        (Act::error(503, "ThrottlingException"), "ThrottlingException (HTTP 503)"),
        (Act::Reset, "the connection failed after it was made"),
        (Act::Close, "the connection failed after it was made"),
        (Act::Silence, "no answer in time"),
        (unreadable, "unreadable answer (HTTP 200)"),
        (without_id, "accepted without a message id"),
    ];
    for (act, told) in cases {
        let named = format!("{act:?}");
        let (answer, calls) = answer(act).await;
        assert_eq!(answer, SendAnswer::Ambiguous(told.to_owned()), "{named}");
        assert_eq!(calls, 1, "{named}");
        if named == "Silence" {
            tokio::time::resume();
        }
    }
}

#[tokio::test]
async fn no_connection_is_used_twice() {
    let accepted = || Act::ok(r#"{"MessageId":"ses-1"}"#);
    let wire = Wire::start([accepted(), accepted(), accepted()]).await;
    let mailer = wire.aws().mailer();
    for _ in 0..3 {
        assert!(matches!(mailer.send(&mail()).await, SendAnswer::Accepted(_)));
    }
    assert_eq!((wire.requests().len(), wire.connections()), (3, 3));
}
