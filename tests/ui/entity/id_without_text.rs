use es_runtime::prelude::*;

#[value]
#[derive(Eq, PartialOrd, Ord)]
struct DeploymentId(u64);

#[entity(id = id)]
struct Deployment {
    id: DeploymentId,
}

fn main() {}
