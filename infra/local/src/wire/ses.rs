//! SES v2: `SendEmail`, into the mailbox.

use super::{Call, Done, Failure, ses_events};
use crate::feed::What;
use crate::identifiers::message_id;
use crate::mailbox::Mail;
use crate::usage::{Calls, chunks};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a mail, at most.
const BYTES_MAX: usize = 40 * 1024 * 1024;
/// Further headers and tags of a mail, at most.
const HEADERS_MAX: usize = 15;
const TAGS_MAX: usize = 50;

/// Answers a call.
pub(super) fn handle(call: &Call<'_>) -> Result<Done, Failure> {
    if call.operation != "SendEmail" {
        return Err(Failure::unknown_operation(&format!("ses:{}", call.operation)));
    }
    let mail = Arc::new(mail(call)?);
    authorize(call, &mail)?;
    let shared = call.shared;
    shared.mailbox.keep(mail.clone());
    shared.book.mailed();
    shared.tell(What::Mailed(mail.clone()));
    let size = mail.html.len() + mail.text.len();
    // SES reports in its own time; until it has, the stack is not idle.
    let busy = shared.activity.begin();
    let (reporting, reported) = (Arc::clone(shared), mail.clone());
    tokio::spawn(async move {
        ses_events::report(&reporting, &reported);
        drop(busy);
    });
    let cost = Calls { entries: 1, chunks: chunks(size), ..Calls::default() };
    Ok(Done { output: json!({"MessageId": mail.id}), cost })
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::new(400, "BadRequestException", message)
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn pairs(list: &Value) -> Vec<(String, String)> {
    let items = list.as_array().into_iter().flatten();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    items.map(|item| (text(item, "Name"), text(item, "Value"))).collect()
}

fn mail(call: &Call<'_>) -> Result<Mail, Failure> {
    let input = &call.input;
    let simple = &input["Content"]["Simple"];
    if !simple.is_object() {
        return Err(Failure::unknown_operation("ses:SendEmail without Content.Simple"));
    }
    let part = |name: &str| simple["Body"][name]["Data"].as_str().unwrap_or_default().to_owned();
    let destination = &input["Destination"];
    let to = texts(&destination["ToAddresses"]);
    if to.is_empty() || !destination["CcAddresses"].is_null() {
        return Err(bad("expected recipients in Destination.ToAddresses alone"));
    }
    let mail = Mail {
        id: message_id(),
        at: call.shared.clock.now(),
        from: call.text("FromEmailAddress").map_err(|e| bad(e.message))?.to_owned(),
        to,
        reply_to: texts(&input["ReplyToAddresses"]),
        subject: simple["Subject"]["Data"].as_str().unwrap_or_default().to_owned(),
        html: part("Html"),
        text: part("Text"),
        headers: pairs(&simple["Headers"]),
        tags: pairs(&input["EmailTags"]).into_iter().collect(),
        configuration_set: input["ConfigurationSetName"].as_str().map(str::to_owned),
    };
    check(&mail)?;
    Ok(mail)
}

fn is_plain(text: &str, others: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn check(mail: &Mail) -> Result<(), Failure> {
    if mail.subject.is_empty() || (mail.html.is_empty() && mail.text.is_empty()) {
        return Err(bad("expected a subject and a body"));
    }
    if mail.subject.contains(['\r', '\n']) {
        return Err(bad("Control character in the subject"));
    }
    if mail.html.len() + mail.text.len() > BYTES_MAX {
        return Err(bad("the message is over 40 MB"));
    }
    if mail.headers.len() > HEADERS_MAX || mail.tags.len() > TAGS_MAX {
        return Err(bad(format!("at most {HEADERS_MAX} headers and {TAGS_MAX} tags")));
    }
    // "Value can contain ASCII letters, numbers, underscores, dashes, at signs and periods."
    let plain = |(name, value): (&String, &String)| is_plain(name, "_-") && is_plain(value, "_-@.");
    if !mail.tags.iter().all(plain) {
        return Err(bad("a tag's name or value has other characters than SES allows"));
    }
    let header = |(name, value): &(String, String)| {
        is_plain(name, "-_") && value.len() <= 870 && value.chars().all(|c| !c.is_control())
    };
    if !mail.headers.iter().all(header) {
        return Err(bad("a header's name or value has other characters than SES allows"));
    }
    Ok(())
}

/// The address within `Name <address>`.
pub(super) fn bare(address: &str) -> &str {
    match address.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end_matches('>').trim(),
        None => address.trim(),
    }
}

/// SES wants leave for the sending identity (the address or its domain, whichever is verified) and
/// for the configuration set.
fn authorize(call: &Call<'_>, mail: &Mail) -> Result<(), Failure> {
    let place = &call.shared.place;
    let address = bare(&mail.from);
    let domain = address.rsplit('@').next().unwrap_or_default();
    let context = [("ses:fromaddress", address)];
    let at = |identity: &str| {
        format!("arn:aws:ses:{}:{}:identity/{identity}", place.region, place.account)
    };
    if call.caller.role.is_some() {
        let verified = [at(address), at(domain)];
        let allowed = verified.iter().any(|arn| call.allows("ses:SendEmail", arn, &context));
        if !allowed {
            call.may("ses:SendEmail", &at(domain), &context)?;
        }
    }
    let Some(name) = &mail.configuration_set else {
        return Ok(());
    };
    let sets = &call.shared.resources.configuration_sets;
    match sets.iter().find(|(known, _)| known == name) {
        Some((_, arn)) => call.may("ses:SendEmail", arn, &context),
        None => Err(Failure::new(404, "NotFoundException", format!("no configuration set {name}"))),
    }
}

/// The tags of a mail in the shape of SES's events.
pub(super) fn event_tags(mail: &Mail) -> BTreeMap<String, Vec<String>> {
    let domain = bare(&mail.from).rsplit('@').next().unwrap_or_default().to_owned();
    let mut tags: BTreeMap<String, Vec<String>> =
        mail.tags.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
    let set = mail.configuration_set.clone().unwrap_or_default();
    tags.insert("ses:configuration-set".to_owned(), vec![set]);
    tags.insert("ses:source-ip".to_owned(), vec!["192.0.2.0".to_owned()]);
    tags.insert("ses:from-domain".to_owned(), vec![domain]);
    tags.insert("ses:caller-identity".to_owned(), vec!["local".to_owned()]);
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_addresses() {
        assert_eq!(bare("Shop <news@shop.example>"), "news@shop.example");
        assert_eq!(bare("news@shop.example"), "news@shop.example");
    }
}
