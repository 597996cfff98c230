//! The laws of [`Tables`].

use odyssey_flows::ports::Tables;

/// Every law of the port.
pub async fn tables(_tables: &impl Tables) {}
