//! See `orders --help`.

use std::process::ExitCode;

use clap::Parser as _;
use orders::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
