use super::*;
use crate::ids::ProfileId;
use crate::personal::EmailAddress;
use proptest::prelude::*;

fn brand() -> Brand {
    Brand {
        name: "Käse & Co".to_owned(),
        from: EmailAddress::parse("shop@example.com").unwrap(),
        reply_to: None,
        postal_address: "1 Road, Town".to_owned(),
        website: "https://shop.example.com".to_owned(),
        allowed_hosts: vec!["cdn.example.com".to_owned()],
    }
}

fn mail(subject: &str, preview: &str, html: &str, text: &str) -> Mail {
    Mail {
        id: MailId::parse("remind").unwrap(),
        subject: subject.to_owned(),
        preview: preview.to_owned(),
        html: html.to_owned(),
        text: text.to_owned(),
    }
}

fn profile(traits: Json, facts: Json) -> ProfileView {
    let mut view = ProfileView::empty(ProfileId::from_bytes([1; 16]));
    view.traits = serde_json::from_value(traits).unwrap();
    view.facts = serde_json::from_value(facts).unwrap();
    view
}

#[expect(clippy::needless_pass_by_value, reason = "callers write it in place")]
fn render(mail: &Mail, traits: Json, facts: Json, trigger: Json) -> Result<Rendered, RenderError> {
    let brand = brand();
    let view = profile(traits, facts);
    let topic = TopicId::parse("offers").unwrap();
    Template::compile(mail, &brand)?.render(&Context {
        profile: Some(&view),
        trigger: trigger.as_object().unwrap(),
        brand: &brand,
        topic: (&topic, "Offers"),
        links: &Links::Unsubscribe("https://o.example.com/u/token".to_owned()),
    })
}

fn nothing() -> Json {
    json!({})
}

#[test]
fn a_mail() {
    let mail = mail(
        "{{ profile.first_name|default('You') }}, {{ facts.cart.value|money(facts.cart.currency) }} wait",
        "Your {{ trigger.lines|length }} things",
        "<html><body class=\"x\"><p>{{ brand.name }}: {{ profile.first_name }}</p>\
         {% for line in trigger.lines %}<a href=\"{{ line.url|url }}\">{{ line.name }}</a>{% endfor %}\
         <a href=\"{{ links.unsubscribe }}\">{{ topic.title }}</a>{{ facts.events['Order Completed'] }}</body></html>",
        "Hi {{ profile.first_name }} <{{ links.unsubscribe }}>",
    );
    let rendered = render(
        &mail,
        json!({ "first_name": "Ann <3" }),
        json!({ "cart.value": 123_456, "cart.currency": "EUR", "events.Order Completed": 2 }),
        json!({ "lines": [
            { "name": "Brie", "url": "https://cdn.example.com/brie" },
            { "name": "Feta", "url": "https://evil.io/feta" },
            { "name": "Gouda", "url": "/gouda" },
        ] }),
    )
    .unwrap();
    assert_eq!(rendered.subject, "Ann <3, €1,234.56 wait");
    assert_eq!(rendered.text, "Hi Ann <3 <https://o.example.com/u/token>");
    let html = rendered.html.replace("&#x2f;", "/");
    assert_eq!(
        html,
        "<html><body class=\"x\"><div style=\"display:none;max-height:0;overflow:hidden;opacity:0\">\
         Your 3 things</div><p>Käse &amp; Co: Ann &lt;3</p>\
         <a href=\"https://cdn.example.com/brie\">Brie</a><a href=\"https://shop.example.com\">Feta</a>\
         <a href=\"https://shop.example.com/gouda\">Gouda</a>\
         <a href=\"https://o.example.com/u/token\">Offers</a>2</body></html>"
    );
}

#[test]
fn an_undefined_value_is_named_with_its_line() {
    let faulty = mail("Hi", "", "<p>\n\n{{ profile.first_name }}</p>", "");
    let error = render(&faulty, nothing(), nothing(), nothing()).unwrap_err();
    assert_eq!(error.to_string(), "mail remind, html, line 3: `profile.first_name` is undefined");
    let tested = mail("Hi", "", "{% if profile.first_name %}x{% else %}y{% endif %}", "");
    assert_eq!(render(&tested, nothing(), nothing(), nothing()).unwrap().html, "y");
}

#[test]
fn a_template_that_is_none_is_refused_when_it_is_compiled() {
    let faulty = mail("Hi", "", "a\n{% if %}", "");
    let error = Template::compile(&faulty, &brand()).unwrap_err();
    assert!(error.to_string().starts_with("mail remind, html, line 2: syntax error"), "{error}");
    let faulty = mail("{{ x|nope }}", "", "", "");
    let error = render(&faulty, nothing(), nothing(), nothing()).unwrap_err();
    assert!(error.to_string().contains("nope"), "{error}");
}

#[test]
fn errors_do_not_repeat_values() {
    for html in [
        "{{ profile.secret + 1 }}",
        "{{ profile.secret|money('EUR') }}",
        "{{ 1|money(profile.secret) }}",
    ] {
        let faulty = mail("Hi", "", html, "");
        let traits = json!({ "secret": "ann@example.com" });
        let error = render(&faulty, traits, nothing(), nothing()).unwrap_err().to_string();
        assert!(!error.contains("ann"), "{error}");
        assert!(error.contains("profile.secret") || error.contains("money"), "{error}");
    }
}

#[test]
fn work_and_output_are_bounded() {
    let endless = mail(
        "Hi",
        "",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "",
    );
    let error = render(&endless, nothing(), nothing(), nothing()).unwrap_err();
    assert!(matches!(error, RenderError::Template { .. }), "{error}");
    let long = format!("{{% for a in range(9000) %}}{}{{% endfor %}}", "x".repeat(100));
    let error = render(&mail("Hi", "", &long, ""), nothing(), nothing(), nothing()).unwrap_err();
    assert!(matches!(error, RenderError::TooLong { part: Part::Html, .. }), "{error}");
}

#[test]
fn a_subject_is_one_line_and_there_is_one() {
    let nasty = mail("{{ profile.name }}", "", "", "");
    let traits = json!({ "name": "Hi\r\nBcc: everyone@example.com\u{2028}X: y" });
    let rendered = render(&nasty, traits, nothing(), nothing()).unwrap();
    assert_eq!(rendered.subject, "Hi Bcc: everyone@example.com X: y");
    let error = render(&nasty, json!({ "name": " \n " }), nothing(), nothing()).unwrap_err();
    assert_eq!(error.to_string(), "mail remind, subject: renders to nothing");
}

#[test]
fn the_preview_goes_where_the_mail_puts_it() {
    let own = mail("Hi", "<b>", "<body>{{ preview }}</body>", "");
    assert_eq!(
        render(&own, nothing(), nothing(), nothing()).unwrap().html,
        "<body>&lt;b&gt;</body>"
    );
    let link = mail("Hi", "{{ profile.name }}", "<body></body>", "");
    let traits = json!({ "name": "see https://evil.io/x" });
    let html = render(&link, traits, nothing(), nothing()).unwrap().html;
    assert!(html.contains("see https://shop.example.com<"), "{html}");
}

#[test]
fn templates_are_never_made_from_values() {
    let mail = mail("{{ profile.name }}", "", "{{ profile.name }}", "{{ profile.name }}");
    let traits = json!({ "name": "{{ 7*7 }}{% for x in y %}" });
    let rendered = render(&mail, traits, nothing(), nothing()).unwrap();
    assert!(rendered.subject.contains("{{ 7*7 }}") && rendered.text.contains("{{ 7*7 }}"));
}

#[test]
fn a_mail_is_compiled_once_for_its_hosts() {
    let cache = TemplateCache::default();
    let mail = mail("Hi", "", "", "");
    let hash = ContentHash::of(b"mail");
    let first = cache.get(hash, &mail, &brand()).unwrap();
    assert!(Arc::ptr_eq(&first, &cache.get(hash, &mail, &brand()).unwrap()));
    let moved = Brand { website: "https://other.example.com".to_owned(), ..brand() };
    assert!(!Arc::ptr_eq(&first, &cache.get(hash, &mail, &moved).unwrap()));
}

proptest! {
    #[test]
    fn values_stay_values(text in "(?s).{0,400}") {
        let mail = mail("S {{ profile.x }}", "P {{ profile.x }}", "<body><a title=\"{{ profile.x }}\">{{ trigger.x }}</a></body>", "{{ trigger.x }}");
        let rendered =
            render(&mail, json!({ "x": text }), nothing(), json!({ "x": text })).unwrap();
        prop_assert!(rendered.subject.chars().count() <= SUBJECT_CHARS_MAX);
        prop_assert!(!rendered.subject.chars().any(char::is_control));
        // The shape of the document is the author's alone.
        prop_assert_eq!(rendered.html.matches('<').count(), 6);
        prop_assert_eq!(rendered.html.matches('"').count(), 4);
    }
}
