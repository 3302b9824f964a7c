//! The command line. The man page and the shell completions are made from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Everything that can stand on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "entractl",
    version,
    about = "Join this host to an Entra Domain Services or Active Directory domain, and see what entrad knows",
    after_help = "Exit status: 0 done, 1 the answer is no or it failed, 2 usage, 3 the daemon is not reachable, \
                  4 the directory is not reachable, 5 not permitted.",
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Print JSON instead of text, failures too
    #[arg(long, global = true)]
    pub json: bool,

    /// Socket of the daemon to ask
    #[arg(long, global = true, hide = true, value_name = "PATH", default_value = entra_wire::paths::CTL_SOCKET)]
    pub socket: PathBuf,

    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// State of the daemon and of every domain
    Status,
    /// What is known of a user
    User(UserKey),
    /// What is known of a group
    Group(GroupKey),
    /// The user or group that has a SID
    Sid {
        /// Such as S-1-5-21-3623811015-3361044348-30300820-1103
        sid: String,
    },
    /// Cached answers: forget them, or count them
    Cache {
        /// What to do with them
        #[command(subcommand)]
        action: CacheAction,
    },
    /// The configuration
    Config {
        /// What to do with it
        #[command(subcommand)]
        action: ConfigAction,
    },
}

/// `user`: exactly one of a name, a uid and a SID.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct UserKey {
    /// alice, alice@contoso.com or 'AADDS\alice'
    pub name: Option<String>,
    /// By uid
    #[arg(long)]
    pub uid: Option<u32>,
    /// By SID
    #[arg(long)]
    pub sid: Option<String>,
}

/// `group`: exactly one of a name, a gid and a SID.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct GroupKey {
    /// Name in any form
    pub name: Option<String>,
    /// By gid
    #[arg(long)]
    pub gid: Option<u32>,
    /// By SID
    #[arg(long)]
    pub sid: Option<String>,
}

/// `cache`
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Forget cached answers, of one name or all; ids and offline credentials stay (root only)
    Flush {
        /// A user's or group's name in any form
        name: Option<String>,
    },
    /// Counts and ages
    Stats,
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Say whether the daemon would take the configuration, and what is wrong where
    Check {
        /// File to check
        #[arg(default_value = entra_wire::paths::CONFIG)]
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())
    }

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_lookup_takes_exactly_one_key() {
        assert!(parse("entractl user alice").is_ok());
        assert!(parse("entractl user --uid 5").is_ok());
        assert_eq!(parse("entractl user").unwrap_err(), ErrorKind::MissingRequiredArgument);
        assert_eq!(parse("entractl user alice --uid 5").unwrap_err(), ErrorKind::ArgumentConflict);
        assert_eq!(parse("entractl group --uid 5").unwrap_err(), ErrorKind::UnknownArgument);
    }

    #[test]
    fn help_names_every_exit_status() {
        let help = Cli::command().render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        for status in ["0 done", "1 the answer is no", "2 usage", "3 the daemon", "4 the directory", "5 not permitted"]
        {
            assert!(help.contains(status), "{status} is missing in:\n{help}");
        }
    }
}
