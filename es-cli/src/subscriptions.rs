use es_runtime::Runtime;

use crate::age::Age;
use crate::failed::Failed;
use crate::output::{Form, Output};
use crate::status::{Reader, print};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Subscriptions {
    /// The names under which they were started
    #[arg(required = true)]
    names: Vec<String>,
    /// The lag from which one needs attention, such as 90s or 10m
    #[arg(long, value_name = "TIME", default_value = "60s")]
    late: Age,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Subscriptions {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let mut readers = Vec::new();
        for name in &self.names {
            let Some(health) = runtime.subscription_health(name).await? else {
                return Err(Failed::Usage(format!(
                    "no subscription `{name}` has begun to read this log"
                )));
            };
            readers.push(Reader::of_subscription(&health, "subscription"));
        }
        print(&readers, self.late, output)
    }
}
