use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::state::{Entities, StateManager};
use es_runtime::store::StateStore;

#[value]
#[derive(Copy, Eq, PartialOrd, Ord)]
pub(crate) struct DeploymentId(pub u64);

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d{}", self.0)
    }
}

impl FromStr for DeploymentId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.trim_start_matches('d').parse().map(Self)
    }
}

#[entity(name = "deployment", id = id)]
pub(crate) struct Deployment {
    pub id: DeploymentId,
    pub name: String,
}

#[entity(name = "environment", id = name, version = 2)]
pub(crate) struct Environment {
    pub name: String,
    #[entity(added(since = 2, default = "eu".to_owned()))]
    pub region: String,
}

pub(crate) fn deployment(id: u64, name: &str) -> Deployment {
    Deployment {
        id: DeploymentId(id),
        name: name.to_owned(),
    }
}

pub(crate) fn environment(name: &str, region: &str) -> Environment {
    Environment {
        name: name.to_owned(),
        region: region.to_owned(),
    }
}

/// A manager with its repositories.
pub(crate) struct Workspace {
    pub manager: StateManager,
    pub deployments: Entities<Deployment>,
    pub environments: Entities<Environment>,
}

pub(crate) const NAMESPACE: &str = "workspace-1";

impl Workspace {
    pub(crate) fn new(store: &Arc<dyn StateStore>) -> Self {
        let (deployments, environments) = (Entities::new(), Entities::new());
        let manager = StateManager::builder(Arc::clone(store))
            .repository(deployments.clone())
            .repository(environments.clone())
            .build();
        Self {
            manager,
            deployments,
            environments,
        }
    }

    pub(crate) async fn restored(store: &Arc<dyn StateStore>) -> Self {
        let workspace = Self::new(store);
        workspace.manager.restore(NAMESPACE).await.unwrap();
        workspace
    }

    /// All entities, ordered by id.
    pub(crate) fn all(&self) -> (Vec<Deployment>, Vec<Environment>) {
        let deployments = self.deployments.iter().map(|deployment| (*deployment).clone());
        let environments = self.environments.iter().map(|environment| (*environment).clone());
        (deployments.collect(), environments.collect())
    }
}
