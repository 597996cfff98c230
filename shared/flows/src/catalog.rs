//! The published workspace: loading it, caching it per process, publishing a new one.

use crate::ports::{Consistency, Key, Table, Tables, Written};
use crate::stored::{self, Stored, StoredError};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::ContentHash;
use odyssey_domain::journey::Journey;
use odyssey_domain::message::Mail;
use odyssey_domain::time::{Span, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How old a cached catalog may be before it is looked at again: what a publish takes to reach
/// every warm function.
pub const CATALOG_REFRESH: Span = Span::from_ms(30_000);

impl Stored for Catalog {
    const NAME: &'static str = "catalog";
    const SCHEMA: u16 = 1;
    const BYTES_MAX: usize = 256 * 1024;
}

impl Stored for Journey {
    const NAME: &'static str = "journey";
    const SCHEMA: u16 = 1;
    const BYTES_MAX: usize = 128 * 1024;
}

impl Stored for Mail {
    const NAME: &'static str = "mail";
    const SCHEMA: u16 = 1;
    const BYTES_MAX: usize = 256 * 1024;
}

/// Where the current catalog stands.
#[must_use]
pub fn current_key() -> Key {
    Key { table: Table::Workspace, pk: "catalog".to_owned(), sk: "current".to_owned() }
}

/// Where a published document stands.
#[must_use]
pub fn document_key(hash: ContentHash) -> Key {
    Key { table: Table::Workspace, pk: format!("document#{hash}"), sk: "document".to_owned() }
}

/// What `publish` writes: the catalog and the documents it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The catalog.
    pub catalog: Catalog,
    /// Journeys by the hash of their canonical JSON.
    pub journeys: BTreeMap<ContentHash, Journey>,
    /// Mails by the hash of their canonical JSON.
    pub mails: BTreeMap<ContentHash, Mail>,
}

/// The catalog has not been published, or a document it names is missing.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Nothing was ever published.
    #[error("no workspace has been published yet: run `cargo odyssey publish`")]
    Unpublished,
    /// The catalog names a document that is not there.
    #[error("document {0} is not in the workspace table")]
    Missing(ContentHash),
    /// Another publication came between.
    #[error("another publication was made meanwhile")]
    Conflict,
    /// Reading or writing failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl CatalogError {
    /// Whether trying again may work; a workspace not yet published is waited for.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            CatalogError::Unpublished | CatalogError::Conflict => true,
            CatalogError::Missing(_) => false,
            CatalogError::Stored(error) => error.is_transient(),
        }
    }
}

/// One process's copy of the catalog and of the documents it has used.
#[derive(Debug, Default)]
pub struct CatalogCache {
    state: Mutex<CacheState>,
}

#[derive(Debug, Default)]
struct CacheState {
    catalog: Option<(Stamp, Arc<Catalog>)>,
    journeys: BTreeMap<ContentHash, Arc<Journey>>,
    mails: BTreeMap<ContentHash, Arc<Mail>>,
}

/// Documents kept per process and kind; beyond this the cache starts over.
const DOCUMENTS_MAX: usize = 256;
/// Documents read in one call: together at most 3.2 MB of the 16 that an answer may have.
const DOCUMENTS_PER_READ: usize = 25;

impl CatalogCache {
    fn state(&self) -> std::sync::MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The catalog, read again when the copy is older than [`CATALOG_REFRESH`].
    ///
    /// # Errors
    /// Where none is published or it cannot be read.
    pub async fn catalog(
        &self,
        tables: &impl Tables,
        now: Stamp,
    ) -> Result<Arc<Catalog>, CatalogError> {
        let cached = self.state().catalog.clone();
        if let Some((read, catalog)) = cached
            && now.since(read) < CATALOG_REFRESH
            && read.since(now) < CATALOG_REFRESH
        {
            return Ok(catalog);
        }
        let found = stored::load::<Catalog>(tables, current_key(), Consistency::Eventual).await?;
        let catalog = Arc::new(found.ok_or(CatalogError::Unpublished)?.item);
        self.state().catalog = Some((now, Arc::clone(&catalog)));
        Ok(catalog)
    }

    /// Reads the catalog before anything asks for it, together with what else a process fetches at
    /// its start. A failure is left to whoever needs it: there may be nothing published yet.
    pub async fn read_ahead(&self, tables: &impl Tables, now: Stamp) {
        if let Err(error) = self.catalog(tables, now).await {
            tracing::debug!(%error, "the catalog could not be read ahead");
        }
    }

    /// A journey's version.
    ///
    /// # Errors
    /// Where it is not there or cannot be read.
    pub async fn journey(
        &self,
        tables: &impl Tables,
        hash: ContentHash,
    ) -> Result<Arc<Journey>, CatalogError> {
        if let Some(journey) = self.state().journeys.get(&hash).cloned() {
            return Ok(journey);
        }
        let journey = Arc::new(document::<Journey>(tables, hash).await?);
        self.keep(hash, &journey);
        Ok(journey)
    }

    /// Journeys' versions, in the order asked for. Those that are not here yet are read together,
    /// at most 25 a call.
    ///
    /// # Errors
    /// Where one is not there or cannot be read.
    pub async fn journeys(
        &self,
        tables: &impl Tables,
        hashes: &[ContentHash],
    ) -> Result<Vec<Arc<Journey>>, CatalogError> {
        let mut found: BTreeMap<ContentHash, Arc<Journey>> = {
            let state = self.state();
            let here = |hash: &ContentHash| Some((*hash, Arc::clone(state.journeys.get(hash)?)));
            hashes.iter().filter_map(here).collect()
        };
        let missing: BTreeSet<ContentHash> =
            hashes.iter().copied().filter(|hash| !found.contains_key(hash)).collect();
        let missing: Vec<ContentHash> = missing.into_iter().collect();
        for some in missing.chunks(DOCUMENTS_PER_READ) {
            let keys: Vec<Key> = some.iter().map(|hash| document_key(*hash)).collect();
            let rows = tables.get_many(&keys, Consistency::Strong).await;
            let rows = rows.map_err(StoredError::Port)?;
            for (hash, row) in some.iter().zip(rows) {
                let row = row.ok_or(CatalogError::Missing(*hash))?;
                let journey = Arc::new(stored::decode::<Journey>(&row)?);
                self.keep(*hash, &journey);
                found.insert(*hash, journey);
            }
        }
        let found = hashes.iter().map(|hash| found.get(hash).cloned());
        found.zip(hashes).map(|(found, hash)| found.ok_or(CatalogError::Missing(*hash))).collect()
    }

    fn keep(&self, hash: ContentHash, journey: &Arc<Journey>) {
        let mut state = self.state();
        if state.journeys.len() >= DOCUMENTS_MAX {
            state.journeys.clear();
        }
        state.journeys.insert(hash, Arc::clone(journey));
    }

    /// A mail.
    ///
    /// # Errors
    /// Where it is not there or cannot be read.
    pub async fn mail(
        &self,
        tables: &impl Tables,
        hash: ContentHash,
    ) -> Result<Arc<Mail>, CatalogError> {
        if let Some(mail) = self.state().mails.get(&hash).cloned() {
            return Ok(mail);
        }
        let mail = Arc::new(document::<Mail>(tables, hash).await?);
        let mut state = self.state();
        if state.mails.len() >= DOCUMENTS_MAX {
            state.mails.clear();
        }
        state.mails.insert(hash, Arc::clone(&mail));
        Ok(mail)
    }
}

async fn document<T: Stored>(tables: &impl Tables, hash: ContentHash) -> Result<T, CatalogError> {
    let found = stored::load::<T>(tables, document_key(hash), Consistency::Strong).await?;
    Ok(found.ok_or(CatalogError::Missing(hash))?.item)
}

/// Publishes over whatever stands, as [`publish_over`] does.
///
/// # Errors
/// Where a write fails, or another publication comes between.
pub async fn publish(tables: &impl Tables, publication: &Publication) -> Result<(), CatalogError> {
    let current = stored::load::<Catalog>(tables, current_key(), Consistency::Strong).await?;
    publish_over(tables, publication, current.map(|current| current.version)).await
}

/// Publishes: documents first, the catalog that names them last, so that no function ever sees a
/// name without its document. Publishing the same again changes nothing but the time.
///
/// `over` is the version of the catalog's row that it was planned on, none where none stood: what
/// was published since is not written over.
///
/// # Errors
/// Where a write fails, or another publication came between.
pub async fn publish_over(
    tables: &impl Tables,
    publication: &Publication,
    over: Option<u64>,
) -> Result<(), CatalogError> {
    for (hash, journey) in &publication.journeys {
        put_document(tables, *hash, journey).await?;
    }
    for (hash, mail) in &publication.mails {
        put_document(tables, *hash, mail).await?;
    }
    let write = stored::put(current_key(), &publication.catalog, over)?;
    match tables.write(write).await.map_err(StoredError::Port)? {
        Written::Done => Ok(()),
        Written::Conflict { .. } => Err(CatalogError::Conflict),
    }
}

async fn put_document<T: Stored>(
    tables: &impl Tables,
    hash: ContentHash,
    item: &T,
) -> Result<(), CatalogError> {
    let write = stored::put(document_key(hash), item, None)?;
    // A conflict means that this very document is already there: its address is its hash.
    tables.write(write).await.map_err(StoredError::Port)?;
    Ok(())
}
