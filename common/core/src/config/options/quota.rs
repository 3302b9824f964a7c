//! Options that say how much users may keep on a file system (`entractl quota apply`).

use super::{Kind, Opt, Scope};

pub(super) const fn soft(scope: Scope) -> Opt {
    Opt {
        scope,
        key: "soft",
        kind: Kind::Size,
        default: Some("\"0\""),
        example: "\"10G\"",
        summary: "What a user may pass for the file system's time of grace only.",
        details: "\"0\": no limit. The units K, M, G and T count by 1024.",
    }
}

pub(super) const fn hard(scope: Scope) -> Opt {
    Opt {
        scope,
        key: "hard",
        kind: Kind::Size,
        default: Some("\"0\""),
        example: "\"12G\"",
        summary: "What a user may never pass.",
        details: "\"0\": no limit.",
    }
}
