//! DynamoDB on an ephemeral port of this machine: dynoxide behind the wire protocol.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use dynoxide::{Database, DynoxideError};
use odyssey_aws::{Aws, Env};
use odyssey_flows::ports::Table;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The emulator, what was asked of it, and where it listens.
pub(crate) struct Emulator {
    /// The endpoint's URL.
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<(String, Value, Value)>>>,
}

#[derive(Clone)]
struct Shared {
    database: Database,
    calls: Arc<Mutex<Vec<(String, Value, Value)>>>,
}

impl Emulator {
    /// Starts it with every table of the stack.
    pub(crate) async fn start() -> Emulator {
        let database = Database::memory().unwrap();
        for table in Table::ALL {
            database.create_table(serde_json::from_value(definition(table)).unwrap()).unwrap();
        }
        let calls = Arc::default();
        let shared = Shared { database, calls: Arc::clone(&calls) };
        let app = Router::new().fallback(handle).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Emulator { url, calls }
    }

    /// Clients of it.
    pub(crate) fn aws(&self) -> Aws {
        let tables = Table::ALL.map(|table| (table.env(), name(table)));
        let fixed = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", self.url.as_str()),
        ];
        let fixed = fixed.map(|(name, value)| (name, value.to_owned()));
        let all = tables.into_iter().chain(fixed).map(|(name, value)| (name.to_owned(), value));
        let env = Env::from_variables(all);
        let aws = Aws::connect(&env);
        env.finish().unwrap();
        aws
    }

    /// Operations, requests and answers so far.
    pub(crate) fn calls(&self) -> Vec<(String, Value, Value)> {
        self.calls.lock().unwrap().clone()
    }
}

fn name(table: Table) -> String {
    format!("test-{}", format!("{table:?}").to_lowercase())
}

fn definition(table: Table) -> Value {
    let mut definition = json!({
        "TableName": name(table),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    });
    if table == Table::Ledger {
        let attributes = definition["AttributeDefinitions"].as_array_mut().unwrap();
        attributes.push(json!({"AttributeName": "ipk", "AttributeType": "S"}));
        attributes.push(json!({"AttributeName": "isk", "AttributeType": "S"}));
        definition["GlobalSecondaryIndexes"] = json!([{
            "IndexName": "by_index",
            "KeySchema": [
                {"AttributeName": "ipk", "KeyType": "HASH"},
                {"AttributeName": "isk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }]);
    }
    definition
}

async fn handle(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> impl IntoResponse {
    let target = headers.get("x-amz-target").unwrap().to_str().unwrap();
    let operation = target.rsplit('.').next().unwrap();
    let mut request: Value = serde_json::from_slice(&body).unwrap();
    let recorded = request.clone();
    request["ReturnConsumedCapacity"] = json!("TOTAL");
    let (status, answer) = match dispatch(&shared.database, operation, &request.to_string()) {
        Ok(answer) => (200, answer),
        Err(error) => (error.status_code(), error.to_json()),
    };
    let told = serde_json::from_str(&answer).unwrap();
    shared.calls.lock().unwrap().push((operation.to_owned(), recorded, told));
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/x-amz-json-1.0")], answer)
}

fn call<I: DeserializeOwned, O: Serialize>(
    body: &str,
    run: impl FnOnce(I) -> Result<O, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_str(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    Ok(serde_json::to_string(&run(request)?).unwrap())
}

fn dispatch(db: &Database, operation: &str, body: &str) -> Result<String, DynoxideError> {
    match operation {
        "GetItem" => call(body, |r| db.get_item(r)),
        "BatchGetItem" => call(body, |r| db.batch_get_item(r)),
        "PutItem" => call(body, |r| db.put_item(r)),
        "DeleteItem" => call(body, |r| db.delete_item(r)),
        "UpdateItem" => call(body, |r| db.update_item(r)),
        "Query" => call(body, |r| db.query(r)),
        "Scan" => call(body, |r| db.scan(r)),
        "TransactWriteItems" => call(body, |r| db.transact_write_items(r)),
        other => Err(DynoxideError::SerializationException(other.to_owned())),
    }
}
