//! The options of service tickets that are got at a login.

use super::{Kind, Opt, Scope};

pub(super) const SERVICES: Opt = Opt {
    scope: Scope::Domain,
    key: "service_tickets",
    kind: Kind::Services,
    default: Some("[]"),
    example: r#"["cifs/acct.file.core.windows.net", "cifs/files.contoso.com"]"#,
    summary: "Services whose tickets are got as soon as somebody has logged in.",
    details: "Such as file shares, which the kernel then mounts with sec=krb5 at once. A host alone means its file \
              service: \"acct.file.core.windows.net\" is \"cifs/acct.file.core.windows.net\". The login does not wait: \
              the tickets come into the session's ccache behind it, anew with each renewal of the ticket-granting \
              ticket. Where the KDCs of a service's realm are is read from /etc/krb5.conf; `entractl cloud-trust \
              configure` says it for Azure Files.",
};

pub(super) const GROUPS: Opt = Opt {
    scope: Scope::Domain,
    key: "service_ticket_groups",
    kind: Kind::Accounts,
    default: Some("[]"),
    example: r#"["azure-files-users"]"#,
    summary: "Groups whose members get the tickets of service_tickets.",
    details: "Empty: everybody who logs in with a password.",
};
