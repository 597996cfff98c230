//! Reads `infra/template.yaml`: SAM with CloudFormation's intrinsics, resolved to the names, ARNs
//! and URLs of a local stack, as typed resources.
//!
//! What the template says is what runs: a resource type, property or intrinsic that the local
//! stack does not know is an error that names it, never silently left out.

mod access;
mod api;
mod functions;
mod intrinsics;
mod messaging;
mod names;
mod properties;
mod resources;
mod storage;
mod yaml;

pub use access::{Condition, Effect, Operator, Principal, Statement};
pub use api::{Cors, HttpApi, Route};
pub use functions::{EventSource, Function, Schedule};
pub use intrinsics::Place;
pub use messaging::{Destination, Queue, Redrive, Rule, Subscription, Target};
pub use resources::Resources;
pub use storage::{Generated, Secret, TableSpec};
pub use yaml::YamlError;

/// Why the template cannot be run locally.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is not YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// Something in it is not what it should be.
    #[error("{place}: found {found}, expected {expected}")]
    Unexpected {
        /// The path within the template: `Resources.Bus.Properties.Name`.
        place: String,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// The local stack does not know this and does not pretend to.
    #[error("{place}: the local stack does not know {what}")]
    Unknown {
        /// The path within the template.
        place: String,
        /// The type, property or intrinsic.
        what: String,
    },
}

/// Reads a template's text for a place.
///
/// # Errors
/// Where it is not YAML, or says something that the local stack cannot do.
pub fn read(text: &str, place: &Place) -> Result<Resources, TemplateError> {
    let document = yaml::parse(text)?;
    let resolver = intrinsics::Resolver::new(&document, place)?;
    Resources::read(&resolver)
}
