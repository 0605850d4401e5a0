//! The `keyward` command. `docs/guides/cli.md` describes it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    keyward_cli::run()
}
