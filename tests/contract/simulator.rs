//! The simulator's wiring is the template's.

use crate::{Template, logical_id, texts};
use odyssey_testkit::sim::functions::{
    BATCH_MAX, Function, Inbox, RETENTION_S, RULES, SENDERS_MAX,
};

#[test]
fn its_rules_are_the_templates() {
    let template = Template::read();
    let mut rules = template.of_type("AWS::Events::Rule");
    rules.sort_by_key(|(id, _)| *id);
    let found: Vec<_> = rules
        .iter()
        .map(|(id, rule)| {
            let pattern = &rule["EventPattern"];
            let target = logical_id(&rule["Targets"][0]["Arn"]).unwrap();
            (*id, texts(&pattern["source"]), texts(&pattern["detail-type"]), target.to_owned())
        })
        .collect();
    let mut expected: Vec<_> = RULES
        .iter()
        .map(|rule| {
            let to = format!("{}Queue", rule.to.settings().name);
            (rule.name, rule.sources.to_vec(), vec![rule.detail_type], to)
        })
        .collect();
    expected.sort_by_key(|(id, ..)| *id);
    assert_eq!(found, expected);
}

#[test]
fn its_queues_are_the_templates() {
    let template = Template::read();
    for inbox in Inbox::ALL {
        let settings = inbox.settings();
        let name = settings.name;
        let queue = template.properties(&format!("{name}Queue"));
        assert_eq!(queue["VisibilityTimeout"], settings.visibility_s, "{name}");
        assert_eq!(queue["RedrivePolicy"]["maxReceiveCount"], settings.receives_max, "{name}");
        assert_eq!(queue["MessageRetentionPeriod"], RETENTION_S, "{name}");
        let function = template.properties(&format!("{name}Function"));
        let source = &function["Events"]["Queue"]["Properties"];
        assert_eq!(source["MaximumBatchingWindowInSeconds"], settings.window_s, "{name}");
        assert_eq!(source["BatchSize"], BATCH_MAX, "{name}");
    }
    let sender = template.properties("SenderFunction");
    let source = &sender["Events"]["Queue"]["Properties"];
    assert_eq!(source["ScalingConfig"]["MaximumConcurrency"], SENDERS_MAX);
}

#[test]
fn its_functions_have_the_templates_time() {
    let template = Template::read();
    for function in [
        Function::Ingest,
        Function::Profile,
        Function::Journey,
        Function::Tick,
        Function::Sender,
        Function::Feedback,
        Function::Consent,
    ] {
        let name = function.name();
        let id = format!("{}{}Function", name[..1].to_uppercase(), &name[1..]);
        let timeout = template.function_property(template.properties(&id), "Timeout");
        assert_eq!(*timeout, function.timeout_s(), "{id}");
    }
}
