//! `entractl`: see [`entractl::cli`].

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use entractl::cli::Cli;
use entractl::exit::{Exit, Failure};
use entractl::output::Output;
use entractl::verbs;

fn main() -> ExitCode {
    let (mut out, mut err) = (stdout(), stderr());
    let (json, result) = match Cli::try_parse() {
        Ok(cli) => {
            let mut output = Output::new(cli.json, &mut out, &mut err);
            let result = verbs::run(&cli, &mut output);
            return exit(output.finish(result));
        }
        // Help and version are answers; they, and usage errors for people, are clap's to print.
        Err(error) if !error.use_stderr() || !std::env::args_os().any(|argument| argument == "--json") => error.exit(),
        Err(error) => {
            let text = error.render().to_string();
            // The first paragraph says what is wrong; usage and tips follow.
            let said: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            let line = said.join(" ").trim_start_matches("error: ").to_owned();
            (true, Err(Failure::new(Exit::Usage, "usage", line).remedy("`entractl --help`")))
        }
    };
    exit(Output::new(json, &mut out, &mut err).finish(result))
}

/// The exit status; an output that nobody takes is a failure. A reader that has seen enough is told nothing more.
fn exit(status: std::io::Result<Exit>) -> ExitCode {
    let exit = status.unwrap_or_else(|error| {
        if error.kind() != ErrorKind::BrokenPipe {
            let _ = writeln!(stderr(), "entractl: output: what was to be printed is lost: {error}");
        }
        Exit::No
    });
    ExitCode::from(exit as u8)
}
