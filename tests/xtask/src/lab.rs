//! Bring the lab up or down, or run a command in one of its nodes.

use std::os::unix::process::CommandExt;
use std::time::Instant;

use entra_lab::Lab;

use crate::run::Outcome;

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// Name of the lab; labs with different names run beside each other
    #[arg(long, env = "ENTRA_LAB_NAME", default_value = "main", global = true)]
    name: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Bring up nodes (dc and client unless named); safe to repeat
    Up {
        /// Nodes to bring up
        nodes: Vec<String>,
    },
    /// End everything
    Down,
    /// Build what nodes start from, where it was never built
    Roots {
        /// Which nodes
        #[arg(required = true)]
        nodes: Vec<String>,
    },
    /// A shell in a node, or the command after `--`
    Shell {
        /// Which node
        node: String,
        /// Command and arguments
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Throw a node away and start it afresh
    Renew {
        /// Which node
        node: String,
    },
    /// Take a node's cable out
    Cut {
        /// Which node
        node: String,
    },
    /// Put a node's cable back
    Mend {
        /// Which node
        node: String,
    },
    /// Install packages (names or .deb files) in a node by apt
    Install {
        /// Which node
        node: String,
        /// Package names and files
        packages: Vec<String>,
    },
}

/// Does it.
pub fn run(options: &Options) -> Outcome {
    match &options.verb {
        Verb::Up { nodes } => up(&options.name, nodes),
        Verb::Down => Ok(entra_lab::down(&options.name)?),
        Verb::Roots { nodes } => Ok(entra_lab::build_roots(&nodes.iter().map(String::as_str).collect::<Vec<_>>())?),
        Verb::Shell { node, command } => shell(&options.name, node, command),
        Verb::Renew { node } => Ok(Lab::open(&options.name)?.renew(node).map(drop)?),
        Verb::Cut { node } => Ok(Lab::open(&options.name)?.cut(node)?),
        Verb::Mend { node } => Ok(Lab::open(&options.name)?.mend(node)?),
        Verb::Install { node, packages } => {
            let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
            let output = Lab::open(&options.name)?.node(node)?.apt_install(&packages)?;
            print!("{}", output.stdout);
            Ok(())
        }
    }
}

fn up(name: &str, nodes: &[String]) -> Outcome {
    let start = Instant::now();
    let mut options = entra_lab::Options { name: name.to_owned(), ..entra_lab::Options::default() };
    if !nodes.is_empty() {
        options.nodes = nodes.to_vec();
    }
    let lab = Lab::up(&options)?;
    println!("lab \"{name}\" is up after {:.1} s: {}", start.elapsed().as_secs_f64(), lab.nodes().join(", "));
    Ok(())
}

fn shell(name: &str, node: &str, command: &[String]) -> Outcome {
    let node = Lab::open(name)?.node(node)?;
    let words: Vec<&str> =
        if command.is_empty() { vec!["bash", "-l"] } else { command.iter().map(String::as_str).collect() };
    // Only returns when it could not be started; the command's exit status becomes ours.
    Err(format!("cannot enter the node: {}", node.interactive(&words).exec()))
}
