use es_runtime::prelude::*;

#[entity(id = id, version = 3, from = EnvironmentV1)]
struct Environment {
    id: String,
    region: String,
}

#[entity(name = "environment", id = id)]
struct EnvironmentV1 {
    id: String,
}

impl From<EnvironmentV1> for Environment {
    fn from(old: EnvironmentV1) -> Self {
        Self { id: old.id, region: "eu".into() }
    }
}

fn main() {}
