//! `Mailer` on SES (API version 2).
//!
//! SES has no idempotency token, so one call is made, and its answer is sorted by what it proves
//! (`SendAnswer`): not accepted and may be tried again, not accepted for good, or unknown.

use crate::failure::{code, describe};
use crate::lazy::Lazy;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{
    Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_types::SdkConfig;
use odyssey_domain::time::Span;
use odyssey_flows::ports::{Mailer, OutgoingMail, SendAnswer};
use std::error::Error;
use std::time::Duration;

/// Codes that say "not now": the rate or the day's quota is used up, or sending is off.
const NOT_NOW: [&str; 6] = [
    "AccountSuspendedException",
    "LimitExceededException",
    "SendingPausedException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// SES. A handle: clones share one client, though never a connection.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: Lazy<Client>,
    configuration_set: String,
}

impl SesMailer {
    pub(crate) fn new(config: &SdkConfig, configuration_set: String) -> SesMailer {
        SesMailer { client: Lazy::new(config, Client::new), configuration_set }
    }
}

fn content(mail: &OutgoingMail) -> Option<EmailContent> {
    let text = |data: &str| Content::builder().charset("UTF-8").data(data).build().ok();
    let mut message = Message::builder()
        .subject(text(&mail.subject)?)
        .body(Body::builder().html(text(&mail.html)?).text(text(&mail.text)?).build());
    for (name, value) in &mail.headers {
        message = message.headers(MessageHeader::builder().name(name).value(value).build().ok()?);
    }
    Some(EmailContent::builder().simple(message.build()).build())
}

impl Mailer for SesMailer {
    async fn send(&self, mail: &OutgoingMail) -> SendAnswer {
        let Some(content) = content(mail) else {
            return SendAnswer::Failed("the request cannot be built".to_owned());
        };
        let mut request = self
            .client
            .get()
            .send_email()
            .from_email_address(&mail.from)
            .destination(Destination::builder().to_addresses(mail.to.expose()).build())
            .content(content)
            .configuration_set_name(&self.configuration_set);
        if let Some(reply_to) = &mail.reply_to {
            request = request.reply_to_addresses(reply_to.expose());
        }
        let send = ("send_id".to_owned(), mail.send.to_string());
        for (name, value) in std::iter::once(&send).chain(&mail.tags) {
            let Ok(tag) = MessageTag::builder().name(name).value(value).build() else {
                return SendAnswer::Failed("a tag cannot be built".to_owned());
            };
            request = request.email_tags(tag);
        }
        match request.send().await {
            Ok(answer) => match answer.message_id {
                Some(id) => SendAnswer::Accepted(id),
                None => SendAnswer::Ambiguous("accepted without a message id".to_owned()),
            },
            Err(error) => classify(&error),
        }
    }

    async fn wait(&self, span: Span) {
        tokio::time::sleep(Duration::from_millis(span.ms())).await;
    }
}

/// What an error proves.
fn classify(error: &SdkError<SendEmailError, HttpResponse>) -> SendAnswer {
    match error {
        // Nothing was sent.
        SdkError::ConstructionFailure(_) => {
            SendAnswer::Failed("the request cannot be built".to_owned())
        }
        SdkError::DispatchFailure(failure) => {
            let failed_to_connect = failure.as_connector_error().is_some_and(|e| is_connect(e));
            if failed_to_connect {
                SendAnswer::Released("could not connect".to_owned())
            } else {
                SendAnswer::Ambiguous("the connection failed after it was made".to_owned())
            }
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            by_answer(code(service.err()), status)
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            SendAnswer::Ambiguous(format!("unreadable answer (HTTP {status})"))
        }
        SdkError::TimeoutError(_) => SendAnswer::Ambiguous("no answer in time".to_owned()),
        _ => SendAnswer::Ambiguous("the call failed in an unknown way".to_owned()),
    }
}

/// What SES's own answer proves. The message is left out: it may name the recipient.
fn by_answer(code: &str, status: u16) -> SendAnswer {
    if status < 400 {
        // The SDK counts a success that it cannot read as an error of the service.
        return SendAnswer::Ambiguous(format!("unreadable answer (HTTP {status})"));
    }
    let told = describe(code, status, None);
    // 401 and 403 speak of the caller (an expired token, a missing permission), not of the mail:
    // it must not be lost for good over a fault of the deployment.
    let is_ours = status == 401 || status == 403;
    if status == 429 || is_ours || (NOT_NOW.contains(&code) && (400..500).contains(&status)) {
        SendAnswer::Released(told)
    } else if (400..500).contains(&status) {
        SendAnswer::Failed(told)
    } else {
        SendAnswer::Ambiguous(told)
    }
}

/// Whether an error arose while connecting, before any byte of the request was written.
fn is_connect(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(client) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return client.is_connect();
        }
        next = error.source();
    }
    false
}
