//! `idmap`: what stands on its command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `idmap`
#[derive(Debug, Subcommand)]
pub enum IdmapAction {
    /// Say which ids the configuration gives, and why (root only)
    ///
    /// Without a name: mapping, range and slices of every domain. With one: the id of a user, a group or a SID, and the
    /// arithmetic behind it.
    Show {
        /// A user's or group's name in any form, or a SID
        #[arg(value_name = "NAME|SID")]
        account: Option<String>,
    },
    /// Say what the ids of files would become after SSSD, winbind or TrueNAS, and how they stay (root only, but for --offline)
    ///
    /// Reads the settings of the program that gives this host its ids now, compares its ids of the directory's users and
    /// groups with those that the defaults would give and with those of the best lines for entra.toml, and prints these
    /// lines. Works before the join and after it. Nothing is written without --apply. Exit status 1 where ids would
    /// change even so.
    Plan(IdmapPlan),
    /// Have the owners of files follow ids that move (root only)
    ///
    /// Lists the files whose owner, group or POSIX access list names an id that moves by a plan that `idmap plan --save`
    /// wrote; with --apply changes them. Symbolic links are not followed and other file systems not entered. A change
    /// that was interrupted goes on when it is run again, and maps no file twice.
    Chown(IdmapChown),
}

/// `idmap chown`
#[derive(Debug, Args)]
pub struct IdmapChown {
    /// Folder that `idmap plan --save` wrote; the journal is kept there
    #[arg(long, value_name = "DIR")]
    pub plan: PathBuf,
    /// Folders whose files follow
    #[arg(required = true, value_name = "TREE")]
    pub trees: Vec<PathBuf>,
    /// Change them
    #[arg(long)]
    pub apply: bool,
}

/// `idmap plan`
#[derive(Debug, Args)]
pub struct IdmapPlan {
    /// Who gives the ids now (default: SSSD or winbind, whichever has settings here)
    #[arg(long, value_name = "PROGRAM")]
    pub from: Option<Peer>,
    /// Its settings, where they are not in their usual place: sssd.conf, smb.conf, or the output of `midclt call
    /// directoryservices.config`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Look at the host whose root file system is mounted here, by arithmetic alone
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// DNS name of the domain (default: the one of the settings)
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// SID of the domain, where it cannot be found out
    #[arg(long, value_name = "SID")]
    pub domain_sid: Option<String>,
    /// What `tdbdump autorid.tdb` printed, where tdbdump is not installed here
    #[arg(long, value_name = "FILE")]
    pub autorid: Option<PathBuf>,
    /// Ask neither the directory nor this host's lookups: arithmetic alone, on a few RIDs
    #[arg(long)]
    pub offline: bool,
    /// Compare with what entra.toml says now, instead of the lines that keep the ids
    #[arg(long, conflicts_with = "apply")]
    pub to_config: bool,
    /// Write the ids that move into this folder, for `idmap chown`
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
    /// Write the lines into entra.toml
    #[arg(long)]
    pub apply: bool,
}

/// Who gave a host its ids before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// SSSD: sssd.conf, and its cache for slices
    Sssd,
    /// Samba's winbindd: smb.conf
    Winbind,
    /// TrueNAS: its smb4.conf, or its settings as JSON
    Truenas,
}
