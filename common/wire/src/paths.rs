//! Where things are on an installed host. Packagers and tests rely on these (`contract`: Files).

/// Configuration, owned by root, mode 0644, no secret in it.
pub const CONFIG: &str = "/etc/entra/entra.toml";
/// Machine keytab, 0600 root.
pub const KEYTAB: &str = "/etc/krb5.keytab";
/// Runtime folder: sockets and the shared cache.
pub const RUN_DIR: &str = "/run/entra";
/// Runtime folder that only the worker may enter: the machine's ccache, the worker's krb5 profile.
pub const PRIVATE_DIR: &str = "/run/entra/private";
/// The machine's ticket, renewed by the helper, used by LDAP and as FAST armor.
pub const MACHINE_CCACHE: &str = "/run/entra/private/machine.ccache";
/// Lookups of the NSS module and of `libentra`.
pub const NSS_SOCKET: &str = "/run/entra/nss.sock";
/// Requests of the PAM module.
pub const PAM_SOCKET: &str = "/run/entra/pam.sock";
/// Requests of `entractl`.
pub const CTL_SOCKET: &str = "/run/entra/ctl.sock";
/// Store, id maps, offline credentials: 0700, owned by the user `entra`.
pub const STATE_DIR: &str = "/var/lib/entra";
/// The Kerberos helper, 0700 root, executed by the broker alone.
pub const HELPER: &str = "/usr/libexec/entra/krb5-helper";
/// The unprivileged user that the worker becomes.
pub const USER: &str = "entra";
