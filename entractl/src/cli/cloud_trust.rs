//! The command line of `cloud-trust`.

use clap::{Args, Subcommand, ValueEnum};

/// `cloud-trust`
#[derive(Debug, Subcommand)]
pub enum CloudTrustAction {
    /// Have Kerberos on this host get tickets for Azure file shares
    ///
    /// Writes /etc/krb5.conf.d/entra-cloud-trust.conf: the realm of Entra ID, its KDC proxy for your tenant, and which
    /// hosts belong to that realm; join has put the line into krb5.conf that makes it count. With --ticket-group also the
    /// options service_tickets and service_ticket_groups of /etc/entra/entra.toml. Nothing else is changed.
    Configure(Configure),
    /// Say what the directory holds of the trust (root only)
    ///
    /// The fields that Get-AzureADKerberosServer prints, read with the machine's own ticket, what is wrong with them, and
    /// the commands of Microsoft's PowerShell module for this domain. What only Entra ID knows is not shown.
    Status {
        /// Remark upon a key that is older
        #[arg(long, value_name = "DAYS")]
        max_age: Option<u64>,
    },
    /// Get a ticket for a storage account hop by hop, and say which hop fails and why
    ///
    /// Goes the way of every Kerberos program with the ticket in your ccache, each hop by itself and with its time: k5tls,
    /// the ticket of the domain, the domain controller's referral, TLS with the KDC proxy, the proxy's answer, the ticket
    /// for the share. The ccache is only read.
    Probe(Probe),
}

/// `cloud-trust probe`
#[derive(Debug, Args)]
pub struct Probe {
    /// The storage account
    pub account: String,
    /// The ccache with the ticket (default: what KRB5CCNAME names, else the one of your sessions)
    #[arg(long, value_name = "NAME")]
    pub ccache: Option<String>,
    /// Longest wait for each hop
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub timeout: u64,
}

/// `cloud-trust configure`
#[derive(Debug, Args)]
pub struct Configure {
    /// The tenant's id: 36 characters, 8-4-4-4-12 hexadecimal
    #[arg(long, value_name = "ID", required_unless_present = "remove")]
    pub tenant: Option<String>,
    /// Only these storage accounts (default: every host below file.core.windows.net)
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub storage_account: Vec<String>,
    /// Have logins of these groups' members get the tickets of the storage accounts
    #[arg(long, value_name = "GROUP", num_args = 1.., requires = "storage_account")]
    pub ticket_group: Vec<String>,
    /// Top-level name of the storage accounts, as the trust has it (default: the cloud's, such as windows.net)
    #[arg(long, value_name = "NAME")]
    pub top_level_name: Option<String>,
    /// Which of Microsoft's clouds holds the tenant
    #[arg(long, value_name = "CLOUD", default_value = "public")]
    pub cloud: CloudName,
    /// Say what would be written, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take back what was written
    #[arg(long, conflicts_with_all = ["tenant", "storage_account", "ticket_group", "top_level_name"])]
    pub remove: bool,
}

/// Microsoft's clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CloudName {
    /// Azure
    Public,
    /// Azure for the government of the United States
    Usgov,
}
