//! What `sender` is told by its environment.

use odyssey_aws::lambda::DeadLetters;
use odyssey_aws::{Aws, DynamoTables, Env, SesMailer, SqsQueues, clock};
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::{Queue, Table};
use odyssey_flows::send_message::Sending;
use odyssey_telemetry::Fatal;

/// The ports, and what the flow needs beside them.
pub(crate) struct Config {
    pub(crate) sending: Sending,
    pub(crate) tables: DynamoTables,
    pub(crate) queues: SqsQueues,
    pub(crate) mailer: SesMailer,
    pub(crate) dead_letters: DeadLetters,
}

impl Config {
    /// Reads `PROFILES_TABLE`, `CONTACTS_TABLE`, `LEDGER_TABLE`, `DUE_TABLE`, `WORKSPACE_TABLE`,
    /// `SENDER_QUEUE_URL`, `CONFIGURATION_SET`, `PUBLIC_URL`, `DEAD_LETTER_QUEUE_URL` and
    /// `SECRET_ARN`, and fetches the secret and the catalog beside it.
    pub(crate) async fn read() -> Result<Config, Fatal> {
        let env = Env::from_process();
        let aws = Aws::connect(&env);
        let used = [Table::Profiles, Table::Contacts, Table::Ledger, Table::Due, Table::Workspace];
        let (tables, mailer) = (aws.tables(&used), aws.mailer());
        let queues = aws.queues(&[Queue::Sender]);
        let (dead_letters, public_url) = (aws.dead_letters(), env.text("PUBLIC_URL"));
        // Asked for here, so that its absence is told with the others'; `keyring` reads it.
        let _ = env.text("SECRET_ARN");
        env.finish()?;
        let catalog = CatalogCache::default();
        let (keyring, ()) = tokio::join!(aws.keyring(), catalog.read_ahead(&tables, clock::now()));
        let mut sending = Sending::new(keyring?, public_url);
        sending.catalog = catalog;
        Ok(Config { sending, tables, queues, mailer, dead_letters })
    }
}
