//! axum with a broadcast channel a room, one flush for all that wait.

use std::process::ExitCode;

use pulse_bench_servers::{
    rooms::{Sending, run},
    serve,
};

fn main() -> ExitCode {
    serve(|address| run(address, Sending::Batch))
}
