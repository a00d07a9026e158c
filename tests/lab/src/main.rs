//! `pulse-lab`: a world by hand and for tests that are not Rust.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
