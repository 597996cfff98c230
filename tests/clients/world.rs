//! A local stack with a workspace of two sources and nothing else.

use odyssey_aws::DynamoTables;
use odyssey_domain::catalog::{Brand, Catalog, Source, SourceName};
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::MailId;
use odyssey_domain::pacing::Pacing;
use odyssey_domain::personal::{AnonymousId, EmailAddress, UserId};
use odyssey_domain::profile::{ComputedTraits, ProfileView};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::SourceKind;
use odyssey_flows::catalog::{Publication, publish};
use odyssey_flows::fold_profile::timeline;
use odyssey_flows::profiles::load_view;
use odyssey_local::{Build, Functions, LocalStack, Options};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A running stack and what one needs to ask it.
pub(crate) struct World {
    pub(crate) stack: LocalStack,
    pub(crate) keyring: Keyring,
    tables: DynamoTables,
    binaries: BTreeMap<String, PathBuf>,
}

fn catalog() -> Catalog {
    let source =
        |name: &str, kind| (SourceName::parse(name).unwrap(), Source { kind, key_generation: 1 });
    Catalog {
        published: Stamp::MIN,
        sources: [source("web", SourceKind::Browser), source("shop", SourceKind::Server)].into(),
        topics: BTreeMap::new(),
        pacing: Pacing::default(),
        brand: Brand {
            name: "Shop".to_owned(),
            from: EmailAddress::parse("shop@example.com").unwrap(),
            reply_to: None,
            postal_address: "1 Main Street".to_owned(),
            website: "https://example.com".to_owned(),
            allowed_hosts: Vec::new(),
        },
        signals: Vec::new(),
        segments: BTreeMap::new(),
        journeys: BTreeMap::new(),
        mails: BTreeMap::new(),
        confirmation_mail: MailId::parse("confirm").unwrap(),
        watched: Vec::new(),
        retired: Vec::new(),
        computed_traits: ComputedTraits::default(),
        forwarded: Vec::new(),
        plan: odyssey_domain::plan::Declared::default(),
    }
}

impl World {
    /// Builds the functions, starts the stack, publishes the workspace.
    pub(crate) async fn start() -> World {
        let binaries = Build::functions(&root()).unwrap().run(|_| {}).await.unwrap();
        let options = Options::of_workspace(&root(), Functions::Binaries(binaries.clone()));
        let options = options.unwrap();
        let stack = LocalStack::start(options).await.unwrap();
        let (keyring, tables) = (stack.keyring().unwrap(), stack.tables());
        let publication =
            Publication { catalog: catalog(), journeys: BTreeMap::new(), mails: BTreeMap::new() };
        publish(&tables, &publication).await.unwrap();
        World { stack, keyring, tables, binaries }
    }

    fn function(&self, id: &str) -> &odyssey_local::template::Function {
        self.stack.resources().functions.iter().find(|function| function.id == id).unwrap()
    }

    /// The binary of a function, by its logical id.
    pub(crate) fn binary(&self, id: &str) -> &Path {
        &self.binaries[&self.function(id).binary]
    }

    /// What a function is told: its own variables, and the operator's access to the stack.
    pub(crate) fn function_environment(&self, id: &str) -> BTreeMap<String, String> {
        let operator = self.stack.environment().into_iter();
        let mut all: BTreeMap<_, _> =
            operator.filter(|(name, _)| name.starts_with("AWS_")).collect();
        all.extend(self.function(id).environment.clone());
        all
    }

    /// The write key of the server source.
    pub(crate) fn server_key(&self) -> String {
        self.keyring.write_key("shop", 1)
    }

    /// The write key of the browser source.
    pub(crate) fn browser_key(&self) -> String {
        self.keyring.write_key("web", 1)
    }

    /// Waits until everything that was posted has gone all its way.
    pub(crate) async fn settle(&self) {
        self.stack.idle(self.stack.now()).await;
        let dead = self.stack.dead_letters();
        assert!(dead.is_empty(), "parked: {dead:#?}");
    }

    /// The key of a user id, or of an anonymous id where there is none.
    pub(crate) fn identity(&self, user: Option<&str>, anonymous: Option<&str>) -> IdentityKey {
        if let Some(user) = user {
            return self.keyring.user_key(&UserId::parse(user).unwrap());
        }
        self.keyring.anonymous_key(&AnonymousId::parse(anonymous.unwrap()).unwrap())
    }

    /// The profile behind an identity.
    pub(crate) async fn profile(&self, identity: IdentityKey) -> ProfileView {
        load_view(&self.tables, identity.into(), &ComputedTraits::default(), Stamp::MIN)
            .await
            .unwrap()
            .unwrap()
    }

    /// Every event that was folded into an identity.
    pub(crate) async fn timeline(&self, identity: IdentityKey) -> Vec<Event> {
        let rows = timeline::read(&self.tables, identity, Stamp::MIN, Stamp::MAX).await.unwrap();
        rows.into_iter().map(|(_, event)| event).collect()
    }
}
