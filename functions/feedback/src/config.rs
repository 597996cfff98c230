//! What `feedback` is told by its environment.

use odyssey_aws::lambda::DeadLetters;
use odyssey_aws::{Aws, DynamoTables, Env, EventBridgeBus};
use odyssey_domain::keyring::Keyring;
use odyssey_flows::ports::Table;
use odyssey_telemetry::Fatal;

/// The ports, and the keys that find an address's contact.
pub(crate) struct Config {
    pub(crate) tables: DynamoTables,
    pub(crate) bus: EventBridgeBus,
    pub(crate) keys: Keyring,
    pub(crate) dead_letters: DeadLetters,
}

impl Config {
    /// Reads `CONTACTS_TABLE`, `LEDGER_TABLE`, `BUS_NAME`, `DEAD_LETTER_QUEUE_URL` and
    /// `SECRET_ARN`, and fetches the secret.
    pub(crate) async fn read() -> Result<Config, Fatal> {
        let env = Env::from_process();
        let aws = Aws::connect(&env);
        let (tables, bus) = (aws.tables(&[Table::Contacts, Table::Ledger]), aws.bus());
        let dead_letters = aws.dead_letters();
        // Asked for here, so that its absence is told with the others'; `keyring` reads it.
        let _ = env.text("SECRET_ARN");
        env.finish()?;
        Ok(Config { tables, bus, keys: aws.keyring().await?, dead_letters })
    }
}
