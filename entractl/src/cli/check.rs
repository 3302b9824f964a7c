//! `check`: what stands on its command line.

use clap::{Args, ValueEnum};

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// Topics (default: all; for a domain that is not joined yet dns, connect and clock)
    pub topics: Vec<Topic>,
    /// Only this domain, joined or not
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
}

/// What `check` can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    /// The domain's service records
    Dns,
    /// Ports of the domain controller
    Connect,
    /// This host's clock against the domain controller's
    Clock,
    /// Keys, modes and encryption types
    Security,
    /// Whether the directory accepts the machine keytab
    Join,
    /// nsswitch.conf, the module and the daemon behind it
    Nss,
    /// The PAM stack and the module
    Pam,
    /// Samba: its settings, its secret, its ids
    Samba,
    /// Kerberos to Azure Files: its settings
    CloudTrust,
}
