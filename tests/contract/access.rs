//! Who may do what, and how the functions are built and reached.

use crate::{Template, logical_id, texts};
use odyssey_domain::wire::source;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn roles_allow_exact_actions_on_exact_resources() {
    let template = Template::read();
    for (id, function) in template.functions() {
        let role = format!("{id}Role");
        assert_eq!(logical_id(&function["Role"]), Some(role.as_str()), "{id}");
        let mut names = BTreeSet::new();
        for statement in template.statements(id) {
            let name = statement["Sid"].as_str().unwrap();
            assert!(names.insert(name), "{role}: two statements {name}");
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{role}: {action}");
            }
            let resources = match &statement["Resource"] {
                Value::Array(many) => many.clone(),
                one => vec![one.clone()],
            };
            assert!(!resources.is_empty());
            for resource in resources {
                assert!(!resource.to_string().contains('*'), "{role}: {resource}");
            }
        }
    }
}

#[test]
fn each_function_publishes_under_its_own_name_only() {
    let template = Template::read();
    let sources = [
        ("IngestFunction", Some(source::INGEST)),
        ("ProfileFunction", Some(source::PROFILE)),
        ("ConsentFunction", Some(source::CONSENT)),
        ("FeedbackFunction", Some(source::FEEDBACK)),
        ("JourneyFunction", None),
        ("TickFunction", None),
        ("SenderFunction", None),
    ];
    for (id, expected) in sources {
        let publish: Vec<&Value> = template
            .statements(id)
            .into_iter()
            .filter(|s| texts(&s["Action"]).contains(&"events:PutEvents"))
            .collect();
        let Some(expected) = expected else {
            assert!(publish.is_empty(), "{id}");
            continue;
        };
        let condition = json!({"StringEquals": {"events:source": expected}});
        assert_eq!(publish.len(), 1, "{id}");
        assert_eq!(publish[0]["Condition"], condition, "{id}");
    }
}

#[test]
fn sam_builds_each_binary_from_the_cargo_workspace() {
    let template = Template::read();
    let global = &template.0["Globals"]["Function"];
    assert_eq!(global["CodeUri"], "../");
    assert_eq!(global["Runtime"], "provided.al2023");
    assert_eq!(global["Architectures"], json!(["arm64"]));
    assert_eq!(global["LoggingConfig"]["SystemLogLevel"], "WARN");
    for (id, function) in template.functions() {
        let binary = id.trim_end_matches("Function").to_lowercase();
        let metadata = &template.resource(id)["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{id}");
        assert_eq!(metadata["BuildProperties"]["Binary"], binary.as_str(), "{id}");
        let main = format!("{}/../functions/{binary}/src/main.rs", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&main).exists(), "{id}: no {main}");
        let logs = format!("{id}Logs");
        assert_eq!(logical_id(&function["LoggingConfig"]["LogGroup"]), Some(logs.as_str()));
        assert_eq!(logical_id(&template.properties(&logs)["RetentionInDays"]), Some("LogDays"));
    }
}

#[test]
fn whatever_is_not_consent_goes_to_ingest() {
    let template = Template::read();
    let mut routes: Vec<(String, String)> = template
        .of_type("AWS::ApiGatewayV2::Route")
        .into_iter()
        .map(|(_, route)| {
            let key = route["RouteKey"].as_str().unwrap().to_owned();
            let target = route["Target"]["Fn::Sub"].as_str().unwrap().to_owned();
            let id = target.trim_start_matches("integrations/${").trim_end_matches('}');
            let function = logical_id(&template.properties(id)["IntegrationUri"]);
            (key, function.unwrap().to_owned())
        })
        .collect();
    routes.sort();
    let consent = [
        "GET /c/{token}",
        "GET /u/{token}",
        "GET /v1/consent",
        "POST /c/{token}",
        "POST /u/{token}",
        "POST /v1/consent",
        "POST /v1/consent/request",
    ];
    let mut expected = vec![("$default".to_owned(), "IngestFunction".to_owned())];
    expected.extend(consent.map(|key| (key.to_owned(), "ConsentFunction".to_owned())));
    assert_eq!(routes, expected);
}

#[test]
fn browsers_may_send_what_their_sdks_send() {
    let template = Template::read();
    let cors = &template.properties("HttpApi")["CorsConfiguration"];
    let headers = ["authorization", "content-type", "anonymousid", "x-retry-count"];
    assert_eq!(texts(&cors["AllowHeaders"]), headers);
    assert_eq!(texts(&cors["AllowMethods"]), ["GET", "POST", "OPTIONS"]);
    assert_eq!(texts(&cors["ExposeHeaders"]), ["Retry-After"]);
    assert!(cors["MaxAge"].as_u64().unwrap() > 0);
}

/// Paths hold link tokens and queries hold write keys; neither they nor addresses are logged.
#[test]
fn access_logs_hold_no_secret_and_no_address() {
    let template = Template::read();
    let settings = &template.properties("HttpStage")["AccessLogSettings"];
    let format = settings["Format"].as_str().unwrap();
    for secret in ["path", "query", "Ip", "userAgent", "header", "domainName"] {
        assert!(!format.contains(secret), "the access log holds {secret}");
    }
}
