use clap::Subcommand;
use es_runtime::Runtime;
use serde_json::json;

use crate::age::Age;
use crate::failed::Failed;
use crate::output::{Form, Output};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Keys {
    /// Forget old idempotency keys: a request that is sent again with one is done again
    Purge(Purge),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Purge {
    /// Only those that were recorded longer ago, such as 30d; more than any client repeats a request
    #[arg(long, value_name = "TIME")]
    older_than: Age,
    #[command(flatten)]
    form: Form,
}

impl Keys {
    pub(crate) fn form(&self) -> Form {
        let Self::Purge(purge) = self;
        purge.form
    }

    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let Self::Purge(purge) = self;
        let forgotten = runtime.purge_keys(purge.older_than.0).await?;
        if output.is_json() {
            return output.json(&json!({"forgotten": forgotten}));
        }
        output.line(format!("{forgotten} idempotency keys were forgotten"))
    }
}
