//! Every route, with every kind of caller.

use super::*;
use odyssey_domain::catalog::{Brand, Source, SourceName, Topic, TopicKind};
use odyssey_domain::ids::ProfileId;
use odyssey_domain::message::MailId;
use odyssey_domain::pacing::Pacing;
use odyssey_domain::time::Span;
use odyssey_domain::wire::{ConsentChanged, detail_type};
use odyssey_flows::catalog::{Publication, publish};
use odyssey_flows::ports::Table;
use odyssey_testkit::{Fault, Memory, Operation, run};
use std::collections::BTreeMap;

const NOW: Stamp = Stamp::from_ms(1_795_000_000_000);
const FORM: &str = "application/x-www-form-urlencoded";

fn keys() -> Keyring {
    Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap()
}

fn catalog() -> Catalog {
    let source = |kind| Source { kind, key_generation: 1 };
    let topic = |title: &str, kind| Topic::new(title, kind);
    Catalog {
        published: Stamp::MIN,
        sources: BTreeMap::from([
            (SourceName::parse("web").unwrap(), source(SourceKind::Browser)),
            (SourceName::parse("shop").unwrap(), source(SourceKind::Server)),
        ]),
        pacing: Pacing::default(),
        topics: BTreeMap::from([
            (TopicId::parse("offers").unwrap(), topic("Offers & <news>", TopicKind::Marketing)),
            (TopicId::parse("receipts").unwrap(), topic("Receipts", TopicKind::Transactional)),
        ]),
        brand: Brand {
            name: "Käse & Co".to_owned(),
            from: EmailAddress::parse("shop@example.com").unwrap(),
            reply_to: None,
            postal_address: "1 Road, Town".to_owned(),
            website: "https://shop.example.com".to_owned(),
            allowed_hosts: Vec::new(),
        },
        signals: Vec::new(),
        segments: BTreeMap::new(),
        journeys: BTreeMap::new(),
        mails: BTreeMap::new(),
        confirmation_mail: MailId::parse("confirm").unwrap(),
        watched: Vec::new(),
        retired: Vec::new(),
        computed_traits: odyssey_domain::profile::ComputedTraits::default(),
        forwarded: Vec::new(),
        plan: odyssey_domain::plan::Declared::default(),
    }
}

struct Stack {
    memory: Memory,
    door: Door<Memory, Memory>,
}

fn stack() -> Stack {
    let memory = Memory::new();
    let publication =
        Publication { catalog: catalog(), journeys: BTreeMap::new(), mails: BTreeMap::new() };
    run(publish(&memory, &publication)).unwrap();
    Stack {
        door: Door::new(memory.clone(), memory.clone(), keys(), CatalogCache::default()),
        memory,
    }
}

fn request(method: &str, path: &str, body: &str) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        raw_query: String::new(),
        headers: BTreeMap::new(),
        body: body.as_bytes().to_vec(),
        request_id: "r".to_owned(),
        source_ip: "192.0.2.1".to_owned(),
    }
}

fn with_key(mut request: HttpRequest, source: &str) -> HttpRequest {
    let user = format!("{}:", keys().write_key(source, 1));
    let basic = format!("Basic {}", data_encoding::BASE64.encode(user.as_bytes()));
    request.headers.insert("authorization".to_owned(), basic);
    request
}

fn typed(mut request: HttpRequest, kind: &str) -> HttpRequest {
    request.headers.insert("content-type".to_owned(), kind.to_owned());
    request
}

fn link() -> Link {
    Link {
        contact: keys().contact_key(&EmailAddress::parse("ann@example.com").unwrap()),
        profile: Some(ProfileId::from_bytes([7; 16])),
        topic: TopicId::parse("offers").unwrap(),
        issued: NOW,
    }
}

impl Stack {
    fn ask(&self, request: HttpRequest) -> HttpResponse {
        run(self.door.handle(request, NOW))
    }

    fn contacts(&self) -> usize {
        self.memory.rows_of(Table::Contacts).len()
    }

    fn told(&self) -> Vec<ConsentChanged> {
        let entries = self.memory.bus_entries();
        let changed = entries.iter().filter(|e| e.detail_type == detail_type::CONSENT_CHANGED);
        changed.map(|entry| serde_json::from_str(&entry.detail).unwrap()).collect()
    }

    fn state(&self) -> Option<ConsentState> {
        let contact = run(set_consent::read(&self.memory, link().contact)).unwrap()?;
        contact.answer(&link().topic).map(|consent| consent.state)
    }

    fn reads(&self) -> serde_json::Value {
        let mut read = with_key(request("GET", "/v1/consent", ""), "shop");
        read.raw_query = "email=ann@example.com".to_owned();
        let answer = self.ask(read);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

fn path(purpose: Purpose) -> String {
    let page = if purpose == Purpose::Confirm { "c" } else { "u" };
    format!("/{page}/{}", link().token(&keys(), purpose))
}

#[test]
fn a_get_changes_nothing_and_shows_a_form() {
    let stack = stack();
    for purpose in [Purpose::Confirm, Purpose::Unsubscribe] {
        for method in ["GET", "HEAD"] {
            let answer = stack.ask(request(method, &path(purpose), ""));
            assert_eq!(answer.status, 200);
            assert!(answer.body.contains("<form method=\"post\">"), "{}", answer.body);
            assert!(answer.body.contains("Offers &amp; &lt;news&gt;"), "{}", answer.body);
            assert!(!answer.body.contains("ann"), "no address on the page");
            assert_eq!(answer.headers["cache-control"], "no-store");
            assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        }
    }
    assert_eq!((stack.contacts(), stack.memory.bus_entries().len()), (0, 0));
}

#[test]
fn the_buttons_act_and_say_so_however_often() {
    let stack = stack();
    for _ in 0..2 {
        let confirm = typed(request("POST", &path(Purpose::Confirm), "page=yes"), FORM);
        let answer = stack.ask(confirm);
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("You are signed up") && !answer.body.contains("<form"));
        assert_eq!(stack.state(), Some(ConsentState::Granted));
    }
    for _ in 0..2 {
        let leave = typed(request("POST", &path(Purpose::Unsubscribe), "page=yes"), FORM);
        assert!(stack.ask(leave).body.contains("You are unsubscribed"));
        assert_eq!(stack.state(), Some(ConsentState::Withdrawn));
    }
    let told = stack.told();
    let states: Vec<&str> = told.iter().map(|changed| changed.via.as_str()).collect();
    assert_eq!(states, ["confirmation", "confirmation", "unsubscribe_page", "unsubscribe_page"]);
    assert_eq!((told[0].clone(), told[0].profile), (told[1].clone(), link().profile));
    // The old confirmation does not bring it back.
    let again = stack.ask(request("POST", &path(Purpose::Confirm), "page=yes"));
    assert_eq!((again.status, stack.state()), (410, Some(ConsentState::Withdrawn)));
}

#[test]
fn one_click_in_both_shapes_of_rfc_8058() {
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    for (kind, body) in
        [(FORM, "List-Unsubscribe=One-Click"), ("multipart/form-data; boundary=b", multipart)]
    {
        let stack = stack();
        let answer = stack.ask(typed(request("POST", &path(Purpose::Unsubscribe), body), kind));
        assert_eq!((answer.status, answer.body.as_str()), (200, "unsubscribed\n"));
        assert_eq!(stack.told()[0].via, "one_click");
        assert_eq!(stack.state(), Some(ConsentState::Withdrawn));
    }
}

#[test]
fn links_that_do_not_work() {
    let stack = stack();
    let confirm = link().token(&keys(), Purpose::Confirm);
    for token in ["", "x", "k1.a.b", &confirm, &"a".repeat(900), "../../etc/passwd", "%00"] {
        for method in ["GET", "POST"] {
            let answer = stack.ask(request(method, &format!("/u/{token}"), ""));
            assert!(matches!(answer.status, 400 | 404), "{token}: {}", answer.status);
            assert!(!answer.body.contains(token) || token.len() < 5);
        }
    }
    let one_click = request("POST", "/u/x", "List-Unsubscribe=One-Click");
    let answer = stack.ask(one_click);
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (400, "text/plain; charset=utf-8")
    );
    let late = NOW.plus(Span::DAY.times(8));
    let old = run(stack.door.handle(request("POST", &path(Purpose::Confirm), ""), late));
    assert_eq!(old.status, 410);
    let never_old =
        run(stack.door.handle(request("POST", &path(Purpose::Unsubscribe), ""), Stamp::MAX));
    assert_eq!(never_old.status, 200);
    assert_eq!(stack.told().len(), 1);
}

#[test]
fn a_failure_says_try_again_and_trying_again_works() {
    let stack = stack();
    stack.memory.on_call(|call| match call.operation {
        Operation::Publish => Fault::FailBefore,
        _ => Fault::None,
    });
    let leave = || request("POST", &path(Purpose::Unsubscribe), "List-Unsubscribe=One-Click");
    assert_eq!(stack.ask(leave()).status, 503);
    assert_eq!(stack.state(), Some(ConsentState::Withdrawn), "withdrawn all the same");
    stack.memory.calm();
    assert_eq!(stack.ask(leave()).status, 200);
    assert_eq!(stack.told().len(), 1);
}

#[test]
fn without_a_workspace_leaving_still_works() {
    let memory = Memory::new();
    let door = Door::new(memory.clone(), memory.clone(), keys(), CatalogCache::default());
    let answer = run(door.handle(request("POST", &path(Purpose::Unsubscribe), ""), NOW));
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("these e-mails"));
}

#[test]
fn a_server_grants_reads_and_withdraws() {
    let stack = stack();
    let nothing = stack.reads();
    assert_eq!(nothing, json!({ "verified": null, "suppressed": null, "topics": {} }));
    let set = |state: &str| {
        let body = json!({ "email": "Ann@Example.com", "topic": "offers", "state": state, "userId": "u1" });
        stack.ask(with_key(request("POST", "/v1/consent", &body.to_string()), "shop"))
    };
    assert_eq!(set("granted").status, 200);
    let read = stack.reads();
    assert_eq!(read["topics"]["offers"]["state"], "granted");
    assert_eq!(read["topics"]["offers"]["via"], "api:shop");
    assert_eq!(read["verified"], NOW.to_string());
    assert_eq!(set("withdrawn").status, 200);
    assert_eq!(stack.state(), Some(ConsentState::Withdrawn));
    let user: ProfileId = keys().user_key(&UserId::parse("u1").unwrap()).into();
    assert_eq!(stack.told()[0].profile, Some(user));
    for body in [
        r#"{"email":"ann@example.com","topic":"offers"}"#,
        r#"{"email":"ann@example.com","topic":"offers","state":"maybe"}"#,
        r#"{"email":"ann@example.com","topic":"nothing","state":"granted"}"#,
        r#"{"email":"nobody","topic":"offers","state":"granted"}"#,
        r#"{"email":["ann@example.com"],"topic":"offers","state":"granted"}"#,
        r#"{"email":"ann@example.com","topic":"offers","state":"granted","userId":"null"}"#,
        "{",
        "",
    ] {
        let answer = stack.ask(with_key(request("POST", "/v1/consent", body), "shop"));
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(!answer.body.contains("ann"), "{}", answer.body);
    }
}

#[test]
fn who_may_do_what() {
    let stack = stack();
    let body = r#"{"email":"ann@example.com","topic":"offers","state":"granted"}"#;
    let routes = [("GET", "/v1/consent"), ("POST", "/v1/consent"), ("POST", "/v1/consent/request")];
    for (method, path) in routes {
        let ask = |source: &str| {
            let plain = request(method, path, body);
            stack.ask(if source.is_empty() { plain } else { with_key(plain, source) }).status
        };
        assert_eq!(ask(""), 401);
        assert_eq!(ask("nobody"), 401, "a key of a source that is not in the workspace");
        let server_only = path == "/v1/consent";
        assert_eq!(ask("web"), if server_only { 403 } else { 202 });
        assert_ne!(ask("shop"), 403);
    }
    // A revoked key, and one under another's name.
    for key in [keys().write_key("shop", 2), keys().write_key("web", 1).replace("web.", "shop.")] {
        let body = format!("email=ann@example.com&topic=offers&state=granted&writeKey={key}");
        let answer = stack.ask(typed(request("POST", "/v1/consent", &body), FORM));
        assert_eq!(answer.status, 401);
    }
}

#[test]
fn a_request_is_passed_on_and_tells_nothing() {
    let stack = stack();
    let key = keys().write_key("web", 1);
    let ask = |email: &str| {
        let body = format!("email={email}&topic=offers&writeKey={key}");
        stack.ask(typed(request("POST", "/v1/consent/request", &body), FORM))
    };
    let unknown = ask("new@example.com");
    let grant = r#"{"email":"ann@example.com","topic":"offers","state":"granted"}"#;
    stack.ask(with_key(request("POST", "/v1/consent", grant), "shop"));
    assert_eq!(ask("ann@example.com"), unknown, "known or not, the answer is the same");
    assert_eq!(unknown.status, 202);
    assert_eq!(unknown.headers["access-control-allow-origin"], "*");
    assert_eq!(ask("nobody").status, 400);
    let asked: Vec<ConsentRequested> = stack
        .memory
        .bus_entries()
        .iter()
        .filter(|entry| entry.detail_type == detail_type::CONSENT_REQUESTED)
        .map(|entry| serde_json::from_str(&entry.detail).unwrap())
        .collect();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[0].at, asked[0].via.as_str(), asked[0].profile), (NOW, "form", None));

    let mut page = typed(
        request(
            "POST",
            "/v1/consent/request",
            &format!("email=a@b.io&topic=offers&writeKey={key}"),
        ),
        FORM,
    );
    page.headers.insert("accept".to_owned(), "text/html,*/*".to_owned());
    let page = stack.ask(page);
    assert_eq!(page.status, 202);
    assert!(page.body.contains("Check your inbox"));
}

#[test]
fn other_paths_and_methods() {
    let stack = stack();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1/consents", 404),
        ("DELETE", "/v1/consent", 405),
        ("GET", "/v1/consent/request", 405),
        ("PUT", "/u/x", 405),
        ("OPTIONS", "/v1/consent/request", 204),
    ] {
        assert_eq!(stack.ask(request(method, path, "")).status, status, "{method} {path}");
    }
    let large = "x".repeat(crate::fields::BODY_BYTES_MAX + 1);
    let large = with_key(request("POST", "/v1/consent", &large), "shop");
    assert_eq!(stack.ask(large).status, 413);
}
