//! See `kanban --help`.

use std::process::ExitCode;

use clap::Parser as _;
use kanban::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
