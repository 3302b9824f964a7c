//! The command line. The man page and the shell completions are made from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod check;
mod cloud_trust;
mod dns;
mod idmap;
mod quota;

pub use check::{Check, Topic};
pub use cloud_trust::{CloudName, CloudTrustAction, Configure as CloudTrustConfigure, Probe as CloudTrustProbe};
pub use dns::{DnsAction, DnsSet};
pub use idmap::{IdmapAction, IdmapChown, IdmapPlan, Peer};
pub use quota::{QuotaAction, QuotaApply};

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
    /// Join this host to a domain
    ///
    /// Checks name, DNS, ports, clock, credentials and the place of the computer account, then creates the account
    /// (by adcli), the machine keytab, the krb5 settings and the configuration, and tests the result. It says which
    /// step failed and why, and leaves nothing half done. Where authselect governs logins (RHEL, Fedora) it selects the
    /// profile "entra", unless what is there is an administrator's own. Everybody in the domain may log in afterwards,
    /// unless --permit narrows it.
    Join(Join),
    /// Leave the domain: undo what join did
    Leave(Leave),
    /// Test whether the directory still accepts this machine
    Testjoin,
    /// Diagnose: a line per check, each failure with its remedy
    ///
    /// Exit status 0 where every check is in order, warnings aside. Where all that failed has one cause, that one: 3 where
    /// the daemon is not reachable, 4 the directory, 5 where only root may look. Else 1.
    Check(Check),
    /// State of the daemon and of every domain
    ///
    /// At its end, and as `state`, `message` and `health` of the JSON form, how the host stands: DISABLED, FAULTED, JOINING,
    /// LEAVING or HEALTHY, and a code for each thing that is wrong. Where the daemon is not reachable the exit status is 3,
    /// and these fields stand beside the error. Run as root it sees more. docs/health-codes.md lists the codes.
    Status,
    /// What is known of a user
    User(User),
    /// What is known of a group
    Group(Group),
    /// The user or group that has a SID
    Sid {
        /// Such as S-1-5-21-3623811015-3361044348-30300820-1103
        sid: String,
        /// Where to ask
        #[command(flatten)]
        source: SourceChoice,
    },
    /// List the users that are known
    ///
    /// The daemon lists what it keeps on disk, by name, also while the directory is away: everybody where `enumerate` is
    /// on, else whoever was looked up (`complete` in the JSON form says which). With --limit a page costs the same in a
    /// domain of any size. With --direct the directory lists all.
    Users(List),
    /// List the groups that are known
    ///
    /// As users.
    Groups(List),
    /// Say whether this user would be let in, and which rule or flag decides
    ///
    /// Judged now, as a login is; the password is not part of it. Every check is shown in its order, with what came of
    /// it and the data that it rests on. Exit status 1 where the user would be refused.
    Explain {
        /// alice, alice@contoso.com or 'AADDS\alice'
        user: String,
        /// PAM service, such as sshd
        #[arg(long, value_name = "SERVICE")]
        service: Option<String>,
    },
    /// Print a user's public SSH keys, for sshd's AuthorizedKeysCommand
    ///
    /// The directory is asked at each call, so that a key that was taken away opens nothing; in an outage those that
    /// were seen last count. One line per key, as in an authorized_keys file. Nothing, and exit status 0, for local and unknown users.
    SshKeys {
        /// The name that sshd was given: %u
        user: String,
    },
    /// Cached answers: forget them, or count them
    Cache {
        /// What to do with them
        #[command(subcommand)]
        action: CacheAction,
    },
    /// The DNS servers that this host asks
    Dns {
        /// What to do with them
        #[command(subcommand)]
        action: DnsAction,
    },
    /// The machine's keys
    Keytab {
        /// What to do with them
        #[command(subcommand)]
        action: KeytabAction,
    },
    /// Samba's file server on the users of the domain
    Samba {
        /// What to do with it
        #[command(subcommand)]
        action: SambaAction,
    },
    /// Tickets for Azure file shares, through a trust between the domain and Entra ID
    CloudTrust {
        /// What to do about it
        #[command(subcommand)]
        action: CloudTrustAction,
    },
    /// Ids of users and groups: which are given, and how a host keeps those that it has
    Idmap {
        /// What to do with them
        #[command(subcommand)]
        action: IdmapAction,
    },
    /// How much the domain's users may keep on file systems
    Quota {
        /// What to do about it
        #[command(subcommand)]
        action: QuotaAction,
    },
    /// The configuration
    Config {
        /// What to do with it
        #[command(subcommand)]
        action: ConfigAction,
    },
}

/// `join`
#[derive(Debug, Args)]
pub struct Join {
    /// DNS name of the domain, such as aadds.contoso.com
    pub domain: String,

    /// Whose rights create the computer account
    #[command(flatten)]
    pub credentials: JoinCredentials,

    /// Read the password from standard input (one line) instead of asking for it
    #[arg(long, conflicts_with_all = ["ccache", "one_time_password_stdin"])]
    pub password_stdin: bool,

    /// Organizational unit for the computer account (default: AADDC Computers, or the domain's computers container)
    #[arg(long, value_name = "DN")]
    pub ou: Option<String>,

    /// Domain controller to use, instead of those that DNS names; written into the configuration
    #[arg(long, value_name = "HOST")]
    pub server: Option<String>,

    /// Kind of directory (default: entra-ds where the domain has an OU "AADDC Computers")
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<Preset>,

    /// Only members of these groups may log in
    #[arg(long, value_name = "GROUP", num_args = 1..)]
    pub permit: Vec<String>,

    /// Do not register this host's name and addresses in the domain's DNS
    #[arg(long)]
    pub no_dns: bool,

    /// Name of the computer account (default: the first label of the host name), at most 15 characters
    #[arg(long, value_name = "NAME")]
    pub computer_name: Option<String>,
}

/// The ways to prove the right to join: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct JoinCredentials {
    /// Account that may create computer accounts: a sAMAccountName or a UPN
    #[arg(long, value_name = "ADMIN")]
    pub user: Option<String>,

    /// Use the current Kerberos ticket (KRB5CCNAME or the default ccache) instead of a password
    #[arg(long)]
    pub ccache: bool,

    /// Read the one-time password of a computer account that was prepared (`adcli preset-computer`) from standard input
    #[arg(long)]
    pub one_time_password_stdin: bool,
}

/// `leave`
#[derive(Debug, Args)]
pub struct Leave {
    /// Account that may delete the computer account; without it and without --ccache the account stays
    #[arg(long, value_name = "ADMIN", conflicts_with = "ccache")]
    pub user: Option<String>,

    /// Use the current Kerberos ticket (KRB5CCNAME or the default ccache)
    #[arg(long)]
    pub ccache: bool,

    /// Read the password from standard input (one line) instead of asking for it
    #[arg(long, requires = "user")]
    pub password_stdin: bool,
}

/// Kind of directory, as `preset` in the configuration says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Plain Active Directory
    ActiveDirectory,
    /// Microsoft Entra Domain Services
    EntraDs,
}

/// Whom a lookup asks.
#[derive(Clone, Copy, Debug, Args)]
pub struct SourceChoice {
    /// Ask the directory from here, without the daemon and what it keeps (root only)
    #[arg(long)]
    pub direct: bool,
}

/// `user`
#[derive(Debug, Args)]
pub struct User {
    /// Which one
    #[command(flatten)]
    pub key: UserKey,
    /// Where to ask
    #[command(flatten)]
    pub source: SourceChoice,
}

/// `group`
#[derive(Debug, Args)]
pub struct Group {
    /// Which one
    #[command(flatten)]
    pub key: GroupKey,
    /// Where to ask
    #[command(flatten)]
    pub source: SourceChoice,
}

/// `users` and `groups`
#[derive(Debug, Args)]
pub struct List {
    /// Only names that begin with this, in any letter case, with the domain before it (AADDS\) or without
    #[arg(long, visible_alias = "prefix", value_name = "PREFIX", default_value = "")]
    pub search: String,
    /// Print at most so many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Go on behind this place, as the list before gave it: it stays right when people come and go
    #[arg(long, value_name = "DOMAIN/NAME")]
    pub after: Option<String>,
    /// Where to ask
    #[command(flatten)]
    pub source: SourceChoice,
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

/// `keytab`
#[derive(Debug, Subcommand)]
pub enum KeytabAction {
    /// Say how old the keys are, and when they are changed next
    Status,
    /// Give the machine a new password now
    ///
    /// The directory, the keytab and, where `samba configure` was run, Samba get it. The keys before stay beside the new
    /// ones. A change that was broken off is brought to its end.
    Rotate,
}

/// `samba`
#[derive(Debug, Subcommand)]
pub enum SambaAction {
    /// Have Samba serve the users of the domain
    ///
    /// Puts what Samba needs into /etc/samba/entra.conf, which smb.conf then includes: member of the domain, the ids that
    /// lookups give, the keytab, and no password changes of its own. Gives Samba the machine's secret, for which the
    /// machine gets a new password. What stands in smb.conf is kept; what contradicts is named and refused.
    Configure(SambaConfigure),
    /// Answer a mapping of ids as idmap_script(8) asks for it
    #[command(hide = true)]
    Idmap {
        /// SIDTOID SID, IDTOSID UID NUMBER or IDTOSID GID NUMBER
        #[arg(required = true)]
        words: Vec<String>,
    },
}

/// `samba configure`
#[derive(Debug, Args)]
pub struct SambaConfigure {
    /// Say what would be written, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Put smb.conf back as it was
    #[arg(long, conflicts_with_all = ["force", "backend"])]
    pub remove: bool,
    /// Overrule settings of smb.conf that contradict
    #[arg(long)]
    pub force: bool,
    /// Who gives the domain's ids (default: rid where arithmetic gives the same as lookups, else script)
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<SambaBackend>,
}

/// Who answers winbindd for the ids of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SambaBackend {
    /// winbindd's own arithmetic: needs nobody
    Rid,
    /// entractl, for each mapping: ids of the directory (rfc2307), RIDs of 200000 and more
    Script,
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
    fn join_takes_exactly_one_kind_of_credentials() {
        let cli = parse("entractl join d.example --user admin --password-stdin --permit A B --json").unwrap();
        assert!(cli.json);
        let Verb::Join(join) = cli.verb else { panic!("not join") };
        assert_eq!(join.credentials.user.as_deref(), Some("admin"));
        assert_eq!(join.permit, ["A", "B"]);
        assert_eq!(parse("entractl join d.example").unwrap_err(), ErrorKind::MissingRequiredArgument);
        assert_eq!(parse("entractl join d.example --user a --ccache").unwrap_err(), ErrorKind::ArgumentConflict);
        assert!(parse("entractl join d.example --one-time-password-stdin").is_ok());
        let two = parse("entractl join d.example --one-time-password-stdin --password-stdin");
        assert_eq!(two.unwrap_err(), ErrorKind::ArgumentConflict);
        let stdin_without_user = parse("entractl join d.example --ccache --password-stdin");
        assert!(stdin_without_user.is_err(), "a password that nobody would read was taken");
    }

    #[test]
    fn a_lookup_takes_exactly_one_key() {
        assert!(parse("entractl user alice").is_ok());
        assert!(parse("entractl user --uid 5").is_ok());
        assert_eq!(parse("entractl user").unwrap_err(), ErrorKind::MissingRequiredArgument);
        assert_eq!(parse("entractl user alice --uid 5").unwrap_err(), ErrorKind::ArgumentConflict);
        assert_eq!(parse("entractl group --uid 5").unwrap_err(), ErrorKind::UnknownArgument);
        assert!(parse("entractl user --direct alice").is_ok());
        assert_eq!(parse("entractl user --direct").unwrap_err(), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn topics_that_cannot_be_checked_are_refused() {
        assert!(parse("entractl check dns pam").is_ok());
        assert_eq!(parse("entractl check printers").unwrap_err(), ErrorKind::InvalidValue);
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
