//! The `sim` command; everything is in the library.

fn main() -> std::process::ExitCode {
    sim::cli::main()
}
