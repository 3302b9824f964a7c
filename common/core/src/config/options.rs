//! Every option, once: the parser, the example configuration and entra.toml(5) are all made from this table.

mod access;
mod quota;
mod tickets;

/// The table in which an option stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// At the top of the file, before the first table.
    Global,
    /// In `[domains."NAME"]`.
    Domain,
    /// In `[domains."NAME".access]`.
    Access,
    /// In `[domains."NAME".access.services.SERVICE]`.
    Service,
    /// In `[quota."/MOUNT"]`.
    Quota,
    /// In `[quota."/MOUNT".groups."GROUP"]`.
    QuotaGroup,
}

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A number and a unit: `"15s"`, `"90m"`, `"1h"`, `"30d"`; least and most in seconds.
    Duration {
        /// Least, in seconds.
        least: u64,
        /// Most, in seconds.
        most: u64,
    },
    /// A whole number from 0.
    Integer,
    /// A whole number of MiB.
    Mebibytes {
        /// Most of them.
        most: u32,
    },
    /// A size in quotes: `"500M"`, `"10G"`, `"0"`.
    Size,
    /// Any text that is not empty.
    Text,
    /// A list of texts.
    TextList,
    /// A list of users or groups: names in any form, or SIDs.
    Accounts,
    /// One of a few words.
    Choice {
        /// Words that this version serves.
        served: &'static [&'static str],
        /// Words that it knows and refuses, because what they name comes later.
        later: &'static [&'static str],
    },
    /// A plain string `"LOW-HIGH"`, both ids inclusive.
    IdRange,
    /// A list of `"RID:LOW-HIGH"`.
    IdBlocks,
    /// A list of host names or addresses, each with an optional port.
    Hosts,
    /// A list of addresses, each with an optional port; 53 where none is given.
    DnsServers,
    /// A distinguished name (RFC 4514).
    Dn,
    /// A list of distinguished names (RFC 4514).
    DnList,
    /// A list of names of attributes (RFC 4512).
    AttributeList,
    /// A list of services, `cifs/HOST`, or of hosts.
    Services,
    /// An LDAP filter (RFC 4515).
    Filter,
    /// An absolute path.
    Path,
    /// An absolute path with placeholders.
    HomeTemplate,
    /// A ccache name with placeholders.
    CcacheTemplate,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Where it stands.
    pub scope: Scope,
    /// Its key.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its default as TOML; `None` where it is unset.
    pub default: Option<&'static str>,
    /// A value other than the default, as TOML.
    pub example: &'static str,
    /// What it decides, in one line.
    pub summary: &'static str,
    /// What else there is to know, in sentences; may be empty.
    pub details: &'static str,
}

const DAY: u64 = 86_400;

/// All options, in the order in which they are shown.
pub const OPTIONS: &[Opt] = &[
    Opt {
        scope: Scope::Global,
        key: "cache_ttl",
        kind: Kind::Duration { least: 1, most: 30 * DAY },
        default: Some("\"90m\""),
        example: "\"4h\"",
        summary: "How long an answer of the directory counts as fresh.",
        details: "Answers in use are asked for again before they age. While the directory is away, older answers are \
                  served too.",
    },
    Opt {
        scope: Scope::Global,
        key: "negative_ttl",
        kind: Kind::Duration { least: 0, most: DAY },
        default: Some("\"15s\""),
        example: "\"1m\"",
        summary: "How long it is remembered that a name or id does not exist.",
        details: "\"0s\": not at all.",
    },
    Opt {
        scope: Scope::Global,
        key: "cache_map_size",
        kind: Kind::Mebibytes { most: 1024 },
        default: Some("64"),
        example: "16",
        summary: "Largest size of the cache that all processes of this host share, in MiB.",
        details: "It lies in memory (/run/entra/cache.map) and begins with 2 MiB; 64 hold about 100000 users. 0: none, \
                  each lookup asks the daemon.",
    },
    Opt {
        scope: Scope::Global,
        key: "lookup_deadline",
        kind: Kind::Duration { least: 1, most: 3 },
        default: Some("\"3s\""),
        example: "\"2s\"",
        summary: "Longest wait of any lookup.",
        details: "A lookup that takes longer is answered with what is cached, or with \"try again\". The NSS module waits no longer, also where \
                  the daemon is silent.",
    },
    Opt {
        scope: Scope::Global,
        key: "log_level",
        kind: Kind::Choice { served: &["off", "error", "warn", "info", "debug", "trace"], later: &[] },
        default: Some("\"info\""),
        example: "\"debug\"",
        summary: "Most verbose level that is logged.",
        details: "",
    },
    Opt {
        scope: Scope::Global,
        key: "reserved_groups",
        kind: Kind::TextList,
        default: Some(entra_wire::reserved::DEFAULT),
        example: r#"["root", "sudo", "wheel", "docker"]"#,
        summary: "Names that a domain group carries only as name@domain.",
        details: "Local programs give rights to these names. A list here replaces the default one; names of /etc/group \
                  are reserved in any case.",
    },
    Opt {
        scope: Scope::Domain,
        key: "preset",
        kind: Kind::Choice { served: &["active-directory", "entra-ds"], later: &[] },
        default: Some("\"active-directory\""),
        example: "\"entra-ds\"",
        summary: "Kind of directory.",
        details: "\"entra-ds\" is a managed domain of Microsoft Entra Domain Services: it has no uidNumber, so \
                  id_mapping = \"rfc2307\" is refused there, and its users change their passwords in Entra. Every \
                  other default is the same for both.",
    },
    Opt {
        scope: Scope::Domain,
        key: "servers",
        kind: Kind::Hosts,
        default: Some("[]"),
        example: r#"["dc1.aadds.contoso.com", "10.0.0.4:389"]"#,
        summary: "Domain controllers to use instead of asking DNS.",
        details: "Host names or addresses, tried in this order. Managed domains replace their controllers now and then: \
                  leave this empty unless DNS cannot be had.",
    },
    Opt {
        scope: Scope::Domain,
        key: "dns_servers",
        kind: Kind::DnsServers,
        default: Some("[]"),
        example: r#"["10.0.0.4", "10.0.0.5:53"]"#,
        summary: "DNS servers to ask for this domain instead of the host's.",
        details: "Addresses, with port 53 where none is given.",
    },
    Opt {
        scope: Scope::Domain,
        key: "base_dn",
        kind: Kind::Dn,
        default: None,
        example: "\"DC=aadds,DC=contoso,DC=com\"",
        summary: "Naming context to search.",
        details: "Unset: the one that the directory names as its default.",
    },
    Opt {
        scope: Scope::Domain,
        key: "user_bases",
        kind: Kind::DnList,
        default: Some("[]"),
        example: r#"["OU=AADDC Users,DC=aadds,DC=contoso,DC=com"]"#,
        summary: "Subtrees that hold the users.",
        details: "Empty: all of base_dn.",
    },
    Opt {
        scope: Scope::Domain,
        key: "group_bases",
        kind: Kind::DnList,
        default: Some("[]"),
        example: r#"["OU=AADDC Users,DC=aadds,DC=contoso,DC=com"]"#,
        summary: "Subtrees that hold the groups.",
        details: "Empty: all of base_dn. Built-in groups such as Domain Users stand in CN=Users.",
    },
    Opt {
        scope: Scope::Domain,
        key: "user_filter",
        kind: Kind::Filter,
        default: None,
        example: "\"(department=Research)\"",
        summary: "LDAP filter that every user must match besides.",
        details: "A user that does not match does not exist on this host: files keep a number for owner. To forbid \
                  logins only, use the access table.",
    },
    Opt {
        scope: Scope::Domain,
        key: "group_filter",
        kind: Kind::Filter,
        default: None,
        example: "\"(cn=linux-*)\"",
        summary: "LDAP filter that every group must match besides.",
        details: "",
    },
    Opt {
        scope: Scope::Domain,
        key: "ldap_security",
        kind: Kind::Choice { served: &["seal", "ldaps", "starttls"], later: &[] },
        default: Some("\"seal\""),
        example: "\"ldaps\"",
        summary: "How LDAP is protected.",
        details: "\"seal\": Kerberos with encryption on port 389, which every domain offers and which needs no \
                  certificate. \"ldaps\": TLS from the first byte, on port 636 where SRV records and servers name none \
                  but 389. \"starttls\": TLS on port 389. Inside TLS (1.2 or later) the machine proves itself with \
                  Kerberos and channel binding. The certificate must come from an authority of tls_ca and name the \
                  domain controller. Use these where the domain demands TLS; \"seal\" is no less secret.",
    },
    Opt {
        scope: Scope::Domain,
        key: "tls_ca",
        kind: Kind::Path,
        default: None,
        example: "\"/etc/entra/domain-ca.pem\"",
        summary: "File of CA certificates (PEM) that may vouch for domain controllers.",
        details: "Used by ldap_security \"ldaps\" and \"starttls\" alone, and in the place of the system's own \
                  (/etc/ssl/certs/ca-certificates.crt). Read anew for each connection. The user entra must be able to \
                  read it.",
    },
    Opt {
        scope: Scope::Domain,
        key: "id_mapping",
        kind: Kind::Choice { served: &["sssd", "rid", "rfc2307"], later: &[] },
        default: Some("\"sssd\""),
        example: "\"rid\"",
        summary: "How SIDs become uids and gids.",
        details: "\"sssd\": SSSD's algorithm with its default settings, so a host that used SSSD keeps its ids. \"rid\": \
                  first id of id_range + RID, as winbind's idmap_rid. \"rfc2307\": uidNumber and gidNumber of the \
                  directory, as far as they lie in id_range.",
    },
    Opt {
        scope: Scope::Domain,
        key: "id_range",
        kind: Kind::IdRange,
        default: Some("\"200000-2000199999\""),
        example: "\"100000000-199999999\"",
        summary: "First and last id that this domain may use.",
        details: "Written as a plain string on the line of its key, because the NSS and PAM modules read it by \
                  themselves and drop every id outside it. Not below 1000. Domains with the mapping \"sssd\" may share \
                  one range; any others may not overlap. With \"sssd\" the range is cut into slices of 200000 ids, one \
                  per domain: changing its first id or its size changes the owners of files.",
    },
    Opt {
        scope: Scope::Domain,
        key: "id_slice",
        kind: Kind::Integer,
        default: None,
        example: "3369",
        summary: "Slice of id_range that this domain gets, counted from 0 (mapping \"sssd\").",
        details: "Unset: the one that SSSD would choose from the domain's SID. The domain that \
                  ldap_idmap_default_domain_sid names in sssd.conf has slice 0.",
    },
    Opt {
        scope: Scope::Domain,
        key: "id_blocks",
        kind: Kind::IdBlocks,
        default: None,
        example: "[\"0:1200000-1299999\", \"100000:1400000-1499999\"]",
        summary: "Which ids belong to which RIDs, as winbind's autorid gave them away (mapping \"rid\").",
        details: "\"100000:1400000-1499999\": RID 100000 has the id 1400000, RID 100001 the next one. RIDs in no block \
                  have no id. Within id_range. `entractl idmap plan --from winbind` writes the blocks that \
                  autorid.tdb has. A block may be added at any time; one that was given away stays.",
    },
    Opt {
        scope: Scope::Domain,
        key: "username_format",
        kind: Kind::Choice { served: &["sam", "upn", "down-level"], later: &[] },
        default: Some("\"sam\""),
        example: "\"upn\"",
        summary: "Shape of the names that this host shows.",
        details: "\"sam\": alice. \"upn\": alice@contoso.com. \"down-level\": AADDS\\alice. All of them are understood in \
                  any case.",
    },
    Opt {
        scope: Scope::Domain,
        key: "home",
        kind: Kind::HomeTemplate,
        default: Some("\"/home/%u\""),
        example: "\"/home/%d/%s\"",
        summary: "Template of home directories.",
        details: "%u is the user's name as shown, %s the sAMAccountName, %d the domain, %U the uid, %% a percent sign.",
    },
    Opt {
        scope: Scope::Domain,
        key: "shell",
        kind: Kind::Path,
        default: Some("\"/bin/bash\""),
        example: "\"/bin/sh\"",
        summary: "Login shell of every user.",
        details: "",
    },
    Opt {
        scope: Scope::Domain,
        key: "ssh_key_attributes",
        kind: Kind::AttributeList,
        default: Some(r#"["altSecurityIdentities", "sshPublicKey"]"#),
        example: r#"["sshPublicKey"]"#,
        summary: "Attributes of users that hold public keys for sshd (`entractl ssh-keys`).",
        details: "A value is one key as in an authorized_keys file, without options; \"SSHKey:\" may stand before it. \
                  Whatever else the attribute holds is left out. Who may write one of these attributes can log in as \
                  its user: users should not be able to write their neighbours'. []: no keys.",
    },
    Opt {
        scope: Scope::Domain,
        key: "primary_group",
        kind: Kind::Choice { served: &["directory", "user-private"], later: &[] },
        default: Some("\"directory\""),
        example: "\"user-private\"",
        summary: "What a user's primary group is.",
        details: "\"directory\": primaryGroupID, most often Domain Users. \"user-private\": a group with the user's own \
                  name and number.",
    },
    Opt {
        scope: Scope::Domain,
        key: "enumerate",
        kind: Kind::Bool,
        default: Some("false"),
        example: "true",
        summary: "Whether getent passwd and getent group list the whole domain.",
        details: "Lookups of single names never need it.",
    },
    Opt {
        scope: Scope::Domain,
        key: "offline_login",
        kind: Kind::Bool,
        default: Some("true"),
        example: "false",
        summary: "Whether users who have logged in before may do so while the directory is away.",
        details: "Each online login leaves an Argon2id hash of the password in /var/lib/entra/credentials.db. After \
                  three wrong passwords in a row an offline login has to wait, longer each time; after fifteen, for \
                  the next online login. What the directory has shut (disabled, expired) stays shut.",
    },
    Opt {
        scope: Scope::Domain,
        key: "offline_max_age",
        kind: Kind::Duration { least: 1, most: 3650 * DAY },
        default: Some("\"30d\""),
        example: "\"7d\"",
        summary: "For how long after the last online login an offline one is possible.",
        details: "",
    },
    Opt {
        scope: Scope::Domain,
        key: "offline_keep_password",
        kind: Kind::Bool,
        default: Some("false"),
        example: "true",
        summary: "Whether the password of an offline login is kept for a ticket once the domain is back.",
        details: "It waits in the kernel's memory, in a keyring of entrad alone, and is tried once; it goes with the \
                  user's last session, with entrad, and after a day or offline_max_age. Never on a disk; whoever \
                  controls the kernel of this host can read it for so long. Without it an offline session gets its \
                  ticket by the next password that is typed (a screen lock, kinit).",
    },
    Opt {
        scope: Scope::Domain,
        key: "keytab_max_age",
        kind: Kind::Duration { least: 0, most: 3650 * DAY },
        default: Some("\"30d\""),
        example: "\"0s\"",
        summary: "How old the machine's password may become before entrad changes it.",
        details: "\"0s\": never; `entractl keytab rotate` changes it at any time. The keytab keeps the keys before, and \
                  Samba is told where `entractl samba configure` was run.",
    },
    Opt {
        scope: Scope::Domain,
        key: "password_change_hint",
        kind: Kind::Text,
        default: None,
        example: "\"Change it at https://password.contoso.com.\"",
        summary: "Where people change their passwords, in a sentence (preset entra-ds).",
        details: "Told to whoever tries on this host, where a managed domain takes no new password, and to whoever's \
                  password expires. Unset: the page of Microsoft Entra.",
    },
    Opt {
        scope: Scope::Domain,
        key: "password_warning",
        kind: Kind::Duration { least: 0, most: 365 * DAY },
        default: Some("\"14d\""),
        example: "\"5d\"",
        summary: "How long before it expires people are told that their password does.",
        details: "\"0s\": never. The directory's own date counts, so fine-grained password policies do too.",
    },
    Opt {
        scope: Scope::Domain,
        key: "fast",
        kind: Kind::Choice { served: &["try", "require"], later: &[] },
        default: Some("\"try\""),
        example: "\"require\"",
        summary: "Whether passwords go to the KDC only inside the machine's own session with it (FAST).",
        details: "\"try\": wherever the KDC offers it. \"require\": nobody logs in without it; use it where the domain \
                  enforces Kerberos armoring.",
    },
    Opt {
        scope: Scope::Domain,
        key: "ccache",
        kind: Kind::CcacheTemplate,
        default: Some("\"FILE:/tmp/krb5cc_%U\""),
        example: "\"DIR:/run/user/%U/krb5cc\"",
        summary: "Template of the credential cache of a session.",
        details: "FILE or DIR with an absolute path in which %U, the uid, stands; \"KEYRING:persistent:%U\" or \
                  \"KEYRING:user:%U\" in the kernel; \"KCM:%U\" where a KCM daemon runs (sssd-kcm). The ticket is \
                  renewed while a session lives and goes with the last one.",
    },
    tickets::SERVICES,
    tickets::GROUPS,
    access::DEFAULT,
    access::PERMIT,
    access::allow_users(Scope::Access),
    access::allow_groups(Scope::Access),
    access::deny_users(Scope::Access),
    access::deny_groups(Scope::Access),
    access::filter(Scope::Access),
    access::SERVICE_DEFAULT,
    access::allow_users(Scope::Service),
    access::allow_groups(Scope::Service),
    access::deny_users(Scope::Service),
    access::deny_groups(Scope::Service),
    access::filter(Scope::Service),
    quota::soft(Scope::Quota),
    quota::hard(Scope::Quota),
    quota::soft(Scope::QuotaGroup),
    quota::hard(Scope::QuotaGroup),
];

/// The options of one table, in order.
pub fn of_scope(scope: Scope) -> impl Iterator<Item = &'static Opt> {
    OPTIONS.iter().filter(move |opt| opt.scope == scope)
}
