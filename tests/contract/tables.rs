//! Tables, variables and the secret: their names in the template and in the code.

use crate::{Template, logical_id};
use odyssey_domain::keyring::Keyring;
use odyssey_flows::ports::{Queue, Table};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn table_id(table: Table) -> String {
    format!("{table:?}Table")
}

#[test]
fn every_table_has_the_keys_the_code_uses() {
    let template = Template::read();
    assert_eq!(template.of_type("AWS::DynamoDB::Table").len(), Table::ALL.len());
    for table in Table::ALL {
        let found = template.properties(&table_id(table));
        let keys = json!([
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ]);
        assert_eq!(found["KeySchema"], keys, "{table:?}");
        for attribute in found["AttributeDefinitions"].as_array().unwrap() {
            assert_eq!(attribute["AttributeType"], "S", "{table:?}");
        }
        let ttl = json!({"AttributeName": "t", "Enabled": true});
        assert_eq!(found["TimeToLiveSpecification"], ttl, "{table:?}");
    }
}

#[test]
fn the_ledger_alone_has_an_index() {
    let template = Template::read();
    for table in Table::ALL {
        let found = &template.properties(&table_id(table))["GlobalSecondaryIndexes"];
        if table != Table::Ledger {
            assert!(found.is_null(), "{table:?}");
            continue;
        }
        let keys = json!([
            {"AttributeName": "ipk", "KeyType": "HASH"},
            {"AttributeName": "isk", "KeyType": "RANGE"},
        ]);
        assert_eq!(found[0]["IndexName"], "by_index");
        assert_eq!(found[0]["KeySchema"], keys);
        assert_eq!(found.as_array().unwrap().len(), 1);
    }
}

#[test]
fn tables_cannot_be_lost_by_accident() {
    let template = Template::read();
    for table in Table::ALL {
        let resource = template.resource(&table_id(table));
        let found = &resource["Properties"];
        assert_eq!(resource["DeletionPolicy"], "Retain", "{table:?}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{table:?}");
        assert_eq!(found["DeletionProtectionEnabled"], true, "{table:?}");
        assert_eq!(found["BillingMode"], "PAY_PER_REQUEST", "{table:?}");
        let backup = &found["PointInTimeRecoverySpecification"];
        assert_eq!(backup["PointInTimeRecoveryEnabled"], true, "{table:?}");
        let key = &found["SSESpecification"]["KMSMasterKeyId"];
        assert_eq!(logical_id(key), Some("Key"), "{table:?}");
    }
    for id in ["Key", "Secret"] {
        assert_eq!(template.resource(id)["DeletionPolicy"], "Retain", "{id}");
    }
}

/// Each variable that any function may read, and what it stands for.
fn known_variables() -> BTreeMap<&'static str, Vec<String>> {
    let mut known = BTreeMap::from([
        ("BUS_NAME", vec!["Bus".to_owned()]),
        ("SECRET_ARN", vec!["Secret".to_owned()]),
        ("CONFIGURATION_SET", vec!["ConfigurationSet".to_owned()]),
        ("LOG_LEVEL", vec!["LogLevel".to_owned()]),
    ]);
    for table in Table::ALL {
        known.insert(table.env(), vec![table_id(table)]);
    }
    let queues = [Queue::Profile, Queue::Journey, Queue::Sender];
    for queue in queues {
        known.insert(queue.env(), vec![format!("{queue:?}Queue")]);
    }
    known
}

#[test]
fn variables_are_named_as_the_code_names_them() {
    let template = Template::read();
    let known = known_variables();
    let global = &template.0["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(global, &json!({"LOG_LEVEL": {"Ref": "LogLevel"}}));
    for (id, function) in template.functions() {
        for (name, value) in function["Environment"]["Variables"].as_object().unwrap() {
            let place = format!("{id}: {name}");
            match name.as_str() {
                "DEAD_LETTER_QUEUE_URL" => {
                    let own = id.replace("Function", "QueueDeadLetters");
                    assert_eq!(logical_id(value), Some(own.as_str()), "{place}");
                }
                "PUBLIC_URL" => assert!(value.get("Fn::If").is_some(), "{place}"),
                name => {
                    let target = known.get(name).unwrap_or_else(|| panic!("{place} is unknown"));
                    assert_eq!(logical_id(value), Some(target[0].as_str()), "{place}");
                }
            }
        }
    }
}

/// A function that is told a name may use what it names, and the other way round.
#[test]
fn variables_and_permissions_go_together() {
    let template = Template::read();
    for (id, function) in template.functions() {
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        let allowed: Vec<&str> = template
            .statements(id)
            .into_iter()
            .flat_map(|s| match &s["Resource"] {
                Value::Array(many) => many.iter().collect(),
                one => vec![one],
            })
            .filter_map(logical_id)
            .collect();
        for value in variables.values() {
            let Some(target) = logical_id(value) else { continue };
            if ["ConfigurationSet", "LogLevel"].contains(&target) {
                continue;
            }
            assert!(allowed.contains(&target), "{id} is told of {target} but may not use it");
        }
        for target in allowed.iter().filter(|target| target.ends_with("Table")) {
            let told = variables.values().any(|value| logical_id(value) == Some(target));
            assert!(told, "{id} may use {target} but is not told its name");
        }
    }
}

#[test]
fn the_secret_is_a_keyring() {
    let template = Template::read();
    let generated = &template.properties("Secret")["GenerateSecretString"];
    let mut secret: BTreeMap<String, String> =
        serde_json::from_str(generated["SecretStringTemplate"].as_str().unwrap()).unwrap();
    let length = usize::try_from(generated["PasswordLength"].as_u64().unwrap()).unwrap();
    let key_id = generated["GenerateStringKey"].as_str().unwrap();
    secret.insert(key_id.to_owned(), "a".repeat(length));
    Keyring::parse(&serde_json::to_string(&secret).unwrap()).unwrap();
}
