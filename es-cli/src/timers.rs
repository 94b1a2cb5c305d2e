use es_runtime::Runtime;
use serde_json::json;

use crate::failed::Failed;
use crate::output::{Form, Output, Table};
use crate::processes::chosen;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Timers {
    /// Only those of this process manager
    process: Option<String>,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Timers {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let mut timers = Vec::new();
        for process in chosen(runtime, self.process.as_deref())? {
            for instance in process.list().await? {
                let of_instance = instance.timers.into_iter();
                timers.extend(of_instance.map(|timer| (timer.due, process.name(), instance.id.clone(), timer.timer)));
            }
        }
        timers.sort();
        if output.is_json() {
            return timers.into_iter().try_for_each(|(due, process, id, timer)| {
                output.json(&json!({"due": due, "process": process, "id": id, "timer": timer}))
            });
        }
        let rows = timers.into_iter();
        let rows: Vec<_> = rows
            .map(|(due, process, id, timer)| vec![due.to_string(), process.to_owned(), id, timer])
            .collect();
        Table::new(&["DUE", "PROCESS", "ID", "TIMER"]).rows(&rows, output)
    }
}
