//! What `consent` is told by its environment.

use crate::handler::Door;
use odyssey_aws::{Aws, DynamoTables, Env, EventBridgeBus, clock};
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::Table;
use odyssey_telemetry::Fatal;

/// Reads `CONTACTS_TABLE`, `WORKSPACE_TABLE`, `BUS_NAME` and `SECRET_ARN`, and fetches the secret and
/// the catalog beside it.
pub(crate) async fn read() -> Result<Door<DynamoTables, EventBridgeBus>, Fatal> {
    let env = Env::from_process();
    let aws = Aws::connect(&env);
    let (tables, bus) = (aws.tables(&[Table::Contacts, Table::Workspace]), aws.bus());
    // Asked for here, so that its absence is told with the others'; `keyring` reads it.
    let _ = env.text("SECRET_ARN");
    env.finish()?;
    let catalog = CatalogCache::default();
    let (keyring, ()) = tokio::join!(aws.keyring(), catalog.read_ahead(&tables, clock::now()));
    Ok(Door::new(tables, bus, keyring?, catalog))
}
