//! Options that say who may log in, for a domain and for single PAM services.

use super::{Kind, Opt, Scope};

pub(super) const DEFAULT: Opt = Opt {
    scope: Scope::Access,
    key: "default",
    kind: Kind::Choice { served: &["allow", "deny"], later: &[] },
    default: Some("\"allow\""),
    example: "\"deny\"",
    summary: "Whether users whom no rule names may log in.",
    details: "",
};

pub(super) const PERMIT: Opt = Opt {
    scope: Scope::Access,
    key: "permit",
    kind: Kind::Accounts,
    default: Some("[]"),
    example: r#"["linux-users", "S-1-5-21-1-2-3-1103"]"#,
    summary: "Groups whose members may log in; needs default = \"deny\".",
    details: "The list that \"entractl join --permit\" writes: it means what allow_groups means.",
};

pub(super) const SERVICE_DEFAULT: Opt = Opt {
    scope: Scope::Service,
    key: "default",
    kind: Kind::Choice { served: &["allow", "deny"], later: &[] },
    default: None,
    example: "\"deny\"",
    summary: "Whether users whom no rule of this service names may log in through it.",
    details: "Unset: the domain's own allow lists and default go on from here. Set: the domain's allow lists and \
              default do not count for this service; its deny lists and its filter always do.",
};

pub(super) const fn allow_users(scope: Scope) -> Opt {
    Opt {
        scope,
        key: "allow_users",
        kind: Kind::Accounts,
        default: Some("[]"),
        example: r#"["alice", "bob@contoso.com", "S-1-5-21-1-2-3-1104"]"#,
        summary: "Users who may log in; needs default = \"deny\".",
        details: "sAMAccountNames of this domain, UPNs, DOMAIN\\name, name@domain, or SIDs.",
    }
}

pub(super) const fn allow_groups(scope: Scope) -> Opt {
    Opt {
        scope,
        key: "allow_groups",
        kind: Kind::Accounts,
        default: Some("[]"),
        example: r#"["linux-users", "AADDS\\ops", "S-1-5-21-1-2-3-1200"]"#,
        summary: "Groups whose members may log in; needs default = \"deny\".",
        details: "Names as in allow_users; members of nested groups count.",
    }
}

pub(super) const fn deny_users(scope: Scope) -> Opt {
    Opt {
        scope,
        key: "deny_users",
        kind: Kind::Accounts,
        default: Some("[]"),
        example: r#"["mallory"]"#,
        summary: "Users who may not log in, whatever else lets them in.",
        details: "",
    }
}

pub(super) const fn deny_groups(scope: Scope) -> Opt {
    Opt {
        scope,
        key: "deny_groups",
        kind: Kind::Accounts,
        default: Some("[]"),
        example: r#"["contractors"]"#,
        summary: "Groups whose members may not log in, whatever else lets them in.",
        details: "While a group of this list does not exist, nobody is let in: who was to be kept out cannot be told. A \
                  SID stays right when a group is renamed.",
    }
}

pub(super) const fn filter(scope: Scope) -> Opt {
    Opt {
        scope,
        key: "filter",
        kind: Kind::Filter,
        default: None,
        example: "\"(department=Research)\"",
        summary: "LDAP filter that a user must match to log in.",
        details: "It narrows what the lists and the default let in. With default = \"deny\" and no list that allows \
                  anybody in the same table, it lets in who matches.",
    }
}
