//! See `banking --help`.

use std::process::ExitCode;

use banking::cli::Cli;
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
