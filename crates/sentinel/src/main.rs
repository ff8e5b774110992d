//! The binary of Key-IP Sentinel: reads the command line and hands over to the command.

mod alerts;
mod app;
mod cli;
mod config;
mod demo;
mod diagnostics;
mod jobs;
mod keys;
mod metrics;
mod oidc;
mod secrets;
mod serve;
mod settings;
mod stores;
mod supervision;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use config::Sources;

/// Requests allocate on one thread and are freed on the same: an allocator with a heap per thread serves that best.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let sources = Sources::of_process(config);
    cli::exit(match command {
        Command::Serve { demo_upstream } => serve::run(sources, demo_upstream),
        Command::Demo(arguments) => demo::run(arguments),
        command => cli::run(command, &sources),
    })
}
