//! `dns`: what stands on its command line.

use std::net::IpAddr;

use clap::{Args, Subcommand};

/// `dns`
#[derive(Debug, Subcommand)]
pub enum DnsAction {
    /// Say which DNS servers are asked, and who decides that
    Show,
    /// Ask these DNS servers
    ///
    /// Written where the program that rules name resolution takes it: a drop-in for systemd-resolved, which then asks
    /// them for the joined domains alone, a drop-in for NetworkManager, or /etc/resolv.conf itself.
    Set(DnsSet),
}

/// `dns set`
#[derive(Debug, Args)]
pub struct DnsSet {
    /// Addresses of DNS servers, at most three
    #[arg(value_name = "ADDRESS", required_unless_present = "revert")]
    pub addresses: Vec<IpAddr>,
    /// Take back what was set
    #[arg(long, conflicts_with = "addresses")]
    pub revert: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Domain that is asked there, where that can be told apart (default: the configured ones)
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Vec<String>,
}
