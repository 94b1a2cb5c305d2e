//! Each command on a seeded bank: what people see, what programs read, and the exit status.

mod archive;
mod bank;
mod events;
mod exact;
mod hostile;
mod instances;
mod keys;
mod names;
mod processes;
mod projections;
mod schema;
mod status;
mod trace;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use es_runtime::{Builder, EventStore};

use crate::Es;
use crate::output::{Form, Output};

#[derive(clap::Parser)]
struct Cli {
    #[command(subcommand)]
    es: Es,
}

/// The outcome of a command.
#[derive(Debug)]
struct Ran {
    status: u8,
    out: String,
    notes: String,
}

impl Ran {
    /// The lines of JSON.
    fn json(&self) -> Vec<serde_json::Value> {
        let lines = self.out.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The bytes that were written, shared with the test.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parse(arguments: &[&str]) -> Result<Es, clap::Error> {
    let program = std::iter::once(&"bank");
    Cli::try_parse_from(program.chain(arguments)).map(|cli| cli.es)
}

/// The builder, for which there is nothing to wait.
async fn ready<S: EventStore>(builder: Builder<S>) -> es_runtime::Result<Builder<S>> {
    Ok(builder)
}

/// Runs the command with these arguments.
async fn run<S: EventStore>(builder: Builder<S>, arguments: &[&str]) -> Ran {
    let es = match parse(arguments) {
        Ok(es) => es,
        Err(error) => {
            return Ran {
                status: u8::try_from(error.exit_code()).unwrap(),
                out: String::new(),
                notes: error.to_string(),
            };
        }
    };
    let (out, notes) = (Written::default(), Written::default());
    let json = arguments.contains(&"--json");
    let mut output = Output::new(out.clone(), notes.clone(), Form { json });
    let status = es.run_to(ready(builder), &mut output).await;
    drop(output);
    Ran {
        status,
        out: out.text(),
        notes: notes.text(),
    }
}
