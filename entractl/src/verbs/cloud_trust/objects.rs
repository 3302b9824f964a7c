//! What the objects of a cloud trust say, in words, and what is wrong with them.

use entra_core::directory::ldap::{CloudTrust, TopLevelName, TrustedDomain};
use serde::Serialize;

use super::shares::REALM;
use crate::output::{fields, relative, span};

/// A key may be changed once in this time: the new one takes hours to reach every KDC of the cloud.
const ROTATION: u64 = 24 * 3600;

/// How complete the objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Nothing is there.
    Absent,
    /// Computer and key without the trust: security keys of FIDO2 work, file shares do not.
    NoTrust,
    /// Some are missing that belong together.
    Incomplete,
    /// All are there.
    Complete,
}

/// Something that an administrator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    /// Whether something is wrong.
    pub(super) wrong: bool,
    /// What.
    pub(super) text: String,
}

impl Remark {
    /// As the lines of `check` begin.
    pub(super) fn mark(&self) -> &'static str {
        if self.wrong { "warn" } else { "ok" }
    }
}

/// What the objects come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// How complete they are.
    pub(super) state: State,
    /// Whether the key was changed within the last 24 hours.
    pub(super) young: bool,
    /// In the order of weight.
    pub(super) remarks: Vec<Remark>,
}

/// The trust with Entra ID among all.
pub(super) fn trust(objects: &CloudTrust) -> Option<&TrustedDomain> {
    objects.trusts.iter().find(|trust| trust.partner.eq_ignore_ascii_case(REALM))
}

/// When the key was changed: what its record says, else `pwdLastSet`.
pub(super) fn updated(objects: &CloudTrust) -> Option<u64> {
    let key = objects.key.as_ref()?;
    key.change.as_ref().and_then(|change| change.at).or(key.set)
}

/// Looks at them. A key older than `max_age_days` is remarked upon.
pub(super) fn judge(objects: &CloudTrust, now: u64, max_age_days: Option<u64>) -> Found {
    let mut remarks = Vec::new();
    let mut wrong = |text: String| remarks.push(Remark { wrong: true, text });
    let trust = trust(objects);
    let state = match (&objects.computer, &objects.key, trust) {
        (None, None, None) => State::Absent,
        (Some(_), Some(_), None) => State::NoTrust,
        (Some(_), Some(_), Some(_)) => State::Complete,
        _ => State::Incomplete,
    };
    match state {
        State::Absent => wrong("the domain has no cloud trust, and none of its objects".into()),
        State::NoTrust => wrong(format!(
            "the domain does not trust {REALM}: no tickets for file shares, unless its forest's root does"
        )),
        State::Incomplete => {
            let missing = [
                (objects.computer.is_none(), "the computer AzureADKerberos"),
                (objects.key.is_none(), "the user with the key"),
                (trust.is_none(), "the trusted domain object"),
            ];
            let missing: Vec<_> = missing.iter().filter(|(gone, _)| *gone).map(|(_, what)| *what).collect();
            wrong(format!(
                "half of it is gone: missing is {}; remove everything, then make it anew",
                missing.join(", ")
            ));
        }
        State::Complete => {}
    }
    if objects.key.as_ref().is_some_and(|key| !key.disabled) {
        wrong("the user with the key is not disabled, as Microsoft's cmdlet makes it".into());
    }
    if let Some(trust) = trust {
        names(trust, &objects.trusts, &mut wrong);
    }
    let age = updated(objects).map(|then| now.saturating_sub(then));
    let young = age.is_some_and(|age| age < ROTATION);
    if let (Some(age), Some(days)) = (age, max_age_days)
        && age > days.saturating_mul(24 * 3600)
    {
        wrong(format!("the key is {} old, more than {days} days: change it", span(age)));
    }
    if let Some(age) = age.filter(|age| *age < ROTATION) {
        let left = span(ROTATION - age);
        remarks.push(Remark {
            wrong: false,
            text: format!("the key was changed {} ago: again in {left}, or by -Force", span(age)),
        });
    }
    Found { state, young, remarks }
}

/// Names that do not count, and those that another trust claims as well.
fn names(trust: &TrustedDomain, all: &[TrustedDomain], wrong: &mut impl FnMut(String)) {
    let counts = |name: &&TopLevelName| !name.excluded && !name.disabled;
    let Some(names) = &trust.names else {
        wrong("the trust has no top-level names that can be read: only hosts that krb5.conf maps are found".into());
        return;
    };
    if !names.iter().any(|name| counts(&name)) {
        wrong("no top-level name of the trust counts".into());
    }
    for name in names.iter().filter(|name| name.disabled) {
        let why = if name.conflict { "another trust claims it" } else { "it is switched off" };
        wrong(format!("the trust's top-level name {} does not count: {why}", name.name));
    }
    for other in all.iter().filter(|other| other.dn != trust.dn) {
        let claimed = other.names.iter().flatten().filter(counts);
        for name in claimed.filter(|name| names.iter().any(|own| own.name.eq_ignore_ascii_case(&name.name))) {
            wrong(format!("{} is claimed by the trust with {} as well", name.name, other.partner));
        }
    }
}

/// The fields of the cmdlet, for people.
pub(super) fn fields_of(domain: &str, objects: &CloudTrust, now: u64) -> String {
    let (computer, key, trust) = (objects.computer.as_ref(), objects.key.as_ref(), trust(objects));
    let change = key.and_then(|key| key.change.as_ref());
    let missing = || Some("none".to_owned());
    let account = |dn: &str, sid: Option<String>| Some(format!("{dn} ({})", sid.unwrap_or_else(|| "no SID".into())));
    let version = key.and_then(|key| key.version).map(|version| match change {
        Some(change) => format!("{version} (originating USN {}, changed {} times)", change.usn, change.version),
        None => version.to_string(),
    });
    let ago = |then: Option<i64>| then.and_then(|it| u64::try_from(it).ok()).map(|then| relative(then, now));
    fields(&[
        ("Id", key.and_then(|key| key.number).map(|it| it.to_string()).or_else(missing)),
        ("DisplayName", key.and_then(|key| key.number).map(|it| format!("krbtgt_{it}"))),
        ("DomainDnsName", Some(domain.to_owned())),
        (
            "ComputerAccount",
            computer.map_or_else(missing, |it| account(&it.dn, it.sid.as_ref().map(ToString::to_string))),
        ),
        ("UserAccount", key.map_or_else(missing, |it| account(&it.dn, it.sid.as_ref().map(ToString::to_string)))),
        ("KeyVersion", version),
        ("KeyUpdatedOn", updated(objects).map(|then| relative(then, now))),
        ("KeyUpdatedFrom", change.map(|change| change.origin.clone())),
        ("Cloud*", Some("not in the directory: only Entra ID knows its half".into())),
        ("Trust", trust.map_or_else(missing, |it| Some(it.dn.clone()))),
        ("TrustDirection", trust.map(|it| direction(it.direction))),
        ("TrustType", trust.map(|it| kind(it.kind))),
        ("TrustAttributes", trust.map(|it| attributes(it.attributes))),
        ("EncryptionTypes", trust.map(|it| it.enctypes.map_or_else(|| "not set".into(), enctypes))),
        ("TopLevelNames", trust.map(|it| top_level_names(it.names.as_deref()))),
        ("TrustCreated", trust.and_then(|it| ago(it.created))),
        ("TrustChanged", trust.and_then(|it| ago(it.changed))),
    ])
}

fn top_level_names(names: Option<&[TopLevelName]>) -> String {
    let Some(names) = names.filter(|names| !names.is_empty()) else { return "none".into() };
    let word = |name: &TopLevelName| {
        let but = if name.excluded { "but not " } else { "" };
        let off = if name.disabled { " (does not count)" } else { "" };
        format!("{but}{}{off}", name.name)
    };
    names.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// `trustDirection` (MS-ADTS 6.1.6.7.12)
fn direction(value: u32) -> String {
    let word = match value {
        0 => "disabled",
        1 => "inbound: their services trust our users",
        2 => "outbound",
        3 => "both ways",
        _ => "unknown",
    };
    format!("{value} ({word})")
}

/// `trustType` (MS-ADTS 6.1.6.7.15)
fn kind(value: u32) -> String {
    let word = match value {
        1 => "Windows NT",
        2 => "Active Directory",
        3 => "MIT",
        5 => "Entra ID",
        _ => "unknown",
    };
    format!("{value} ({word})")
}

/// `trustAttributes` (MS-ADTS 6.1.6.7.9)
fn attributes(value: u32) -> String {
    let bits = [
        (0x1, "non-transitive"),
        (0x2, "uplevel only"),
        (0x4, "quarantined"),
        (0x8, "forest transitive"),
        (0x10, "cross-organization"),
        (0x20, "within the forest"),
        (0x40, "treated as external"),
        (0x80, "RC4"),
        (0x200, "no TGT delegation"),
        (0x400, "privileged identities"),
        (0x800, "TGT delegation"),
    ];
    named(value, &bits)
}

/// `msDS-SupportedEncryptionTypes` (MS-KILE 2.2.7)
fn enctypes(value: u32) -> String {
    named(value, &[(0x1, "DES-CRC"), (0x2, "DES-MD5"), (0x4, "RC4"), (0x8, "AES-128"), (0x10, "AES-256")])
}

fn named(value: u32, bits: &[(u32, &str)]) -> String {
    let set: Vec<_> = bits.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { value.to_string() } else { format!("{value} ({})", set.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::directory::ldap::{Change, CloudComputer, CloudKey};

    const NOW: u64 = 1_795_169_727;

    fn tdo(partner: &str, names: &[(&str, bool)]) -> TrustedDomain {
        let name = |(name, disabled): &(&str, bool)| TopLevelName {
            name: (*name).into(),
            excluded: false,
            disabled: *disabled,
            conflict: *disabled,
        };
        TrustedDomain {
            dn: format!("CN={partner},CN=System"),
            partner: partner.into(),
            direction: 1,
            kind: 2,
            attributes: 8,
            enctypes: Some(24),
            names: Some(names.iter().map(name).collect()),
            created: None,
            changed: None,
        }
    }

    fn complete(changed: u64) -> CloudTrust {
        CloudTrust {
            anchor: None,
            computer: Some(CloudComputer { dn: "CN=c".into(), sam: "c$".into(), sid: None, link: Some("CN=k".into()) }),
            key: Some(CloudKey {
                dn: "CN=k".into(),
                sam: "krbtgt_AzureAD".into(),
                sid: None,
                disabled: true,
                number: Some(26841),
                version: Some(2),
                set: Some(5),
                change: Some(Change { at: Some(changed), version: 2, usn: 4711, origin: "dc1".into() }),
            }),
            trusts: vec![tdo(REALM, &[("windows.net", false)])],
        }
    }

    fn said(objects: &CloudTrust, max_age: Option<u64>) -> Vec<String> {
        judge(objects, NOW, max_age).remarks.into_iter().filter(|it| it.wrong).map(|it| it.text).collect()
    }

    #[test]
    fn whole_half_and_absent() {
        let whole = complete(NOW - 2 * ROTATION);
        assert_eq!(judge(&whole, NOW, None), Found { state: State::Complete, young: false, remarks: vec![] });
        let state = |change: &dyn Fn(&mut CloudTrust)| {
            let mut objects = whole.clone();
            change(&mut objects);
            judge(&objects, NOW, None).state
        };
        assert_eq!(state(&|it| it.trusts.clear()), State::NoTrust);
        assert_eq!(state(&|it| it.computer = None), State::Incomplete);
        assert_eq!(state(&|it| *it = CloudTrust::default()), State::Absent);
    }

    #[test]
    fn the_rule_of_24_hours_goes_by_the_keys_own_record() {
        let young = judge(&complete(NOW - ROTATION + 60), NOW, None);
        assert!(young.young && young.remarks[0].text.contains("again in 1 min, or by -Force"), "{young:?}");
        assert!(!judge(&complete(NOW - ROTATION), NOW, None).young);
        assert!(said(&complete(NOW - 40 * 24 * 3600), Some(30))[0].contains("more than 30 days"));
        assert!(said(&complete(NOW - 20 * 24 * 3600), Some(30)).is_empty());
    }

    #[test]
    fn names_that_another_trust_has_are_told() {
        let mut objects = complete(NOW - 2 * ROTATION);
        objects.trusts = vec![tdo(REALM, &[("windows.net", true)]), tdo("OTHER", &[("WINDOWS.NET", false)])];
        let said = said(&objects, None).join("\n");
        assert!(said.contains("no top-level name of the trust counts"), "{said}");
        assert!(said.contains("windows.net does not count: another trust claims it"), "{said}");
        assert!(said.contains("WINDOWS.NET is claimed by the trust with OTHER"), "{said}");
    }

    #[test]
    fn numbers_are_shown_with_their_names() {
        let text = fields_of("d.example", &complete(NOW - 60), NOW);
        for part in
            ["2 (originating USN 4711", "8 (forest transitive)", "24 (AES-128, AES-256)", "1 (inbound", "1 min ago"]
        {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(fields_of("d.example", &CloudTrust::default(), NOW).contains("ComputerAccount: none"));
    }
}
