//! What the function is configured with.

use odyssey_aws::{Aws, DynamoTables, Env, EventBridgeBus, clock};
use odyssey_domain::keyring::Keyring;
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::Table;
use odyssey_telemetry::Fatal;

/// Everything the handler needs: `WORKSPACE_TABLE`, `BUS_NAME`, `SECRET_ARN`, and AWS's own.
pub(crate) struct Config {
    /// The workspace table.
    pub(crate) tables: DynamoTables,
    /// Where events go.
    pub(crate) bus: EventBridgeBus,
    /// What proves write keys.
    pub(crate) keyring: Keyring,
    /// This process's copy of the workspace.
    pub(crate) catalog: CatalogCache,
}

impl Config {
    /// Reads the environment, the secret, and the catalog beside it.
    pub(crate) async fn load(env: &Env) -> Result<Config, Fatal> {
        let aws = Aws::connect(env);
        let tables = aws.tables(&[Table::Workspace]);
        let bus = aws.bus();
        env.finish()?;
        let catalog = CatalogCache::default();
        let ahead = catalog.read_ahead(&tables, clock::now());
        let (keyring, ()) = tokio::join!(aws.keyring(), ahead);
        Ok(Config { tables, bus, keyring: keyring?, catalog })
    }
}
