//! `quota`: what stands on its command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `quota`
#[derive(Debug, Subcommand)]
pub enum QuotaAction {
    /// Give the users of the domains the limits of entra.toml (root only)
    ///
    /// For each file system that a [quota."/MOUNT"] table names: every user of the domains who has files there or is known
    /// to entrad gets the table's limits, or those of the groups below it that it is in: the largest soft and the largest
    /// hard one. Only what differs is changed, by setquota(8), and is then read again. Local users, limits of the number
    /// of files, and users whose groups cannot be told now stay as they are. Repeat it by a timer for users to come. A
    /// file system of another kind than ext4 and xfs, or without quotas, is named with what enables them, and the exit
    /// status is 1.
    Apply(QuotaApply),
}

/// `quota apply`
#[derive(Debug, Args)]
pub struct QuotaApply {
    /// Say what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Only these of the file systems that entra.toml names
    #[arg(long, value_name = "MOUNT", num_args = 1..)]
    pub path: Vec<PathBuf>,
}
