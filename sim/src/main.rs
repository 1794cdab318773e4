//! The `sim` command: its options, and calls to the crates that do the work.

mod args;
mod boards;
mod cli;
mod export;
mod failure;
mod generate;
mod hand_off;
mod head;
mod layer;
mod merge;
mod output;
mod source;
mod sweep;
mod system;

fn main() -> std::process::ExitCode {
    cli::main()
}
