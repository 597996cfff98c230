//! What `consent` is told by its environment.

use crate::handler::Door;
use odyssey_aws::{Aws, DynamoTables, Env, EventBridgeBus};
use odyssey_flows::ports::Table;
use odyssey_telemetry::Fatal;

/// Reads `CONTACTS_TABLE`, `WORKSPACE_TABLE`, `BUS_NAME` and `SECRET_ARN`, and fetches the secret.
pub(crate) async fn read() -> Result<Door<DynamoTables, EventBridgeBus>, Fatal> {
    let env = Env::from_process();
    let aws = Aws::connect(&env);
    let (tables, bus) = (aws.tables(&[Table::Contacts, Table::Workspace]), aws.bus());
    // Asked for here, so that its absence is told with the others'; `keyring` reads it.
    let _ = env.text("SECRET_ARN");
    env.finish()?;
    Ok(Door::new(tables, bus, aws.keyring().await?))
}
