//! The objects of a cloud trust, which Microsoft's `Set-AzureADKerberosServer` makes: a computer like a read-only domain
//! controller, the disabled user that holds its key, and the trusted domain object.

use ldap3::Scope;

use super::LdapDirectory;
use super::change_record::{self, Change};
use super::connection::Query;
use super::entry::Raw;
use super::forest_trust::{TopLevelName, top_level_names};
use super::root_dse::generalized_time;
use crate::Error;
use crate::types::Sid;

/// The object that says that there is such a computer, below `CN=System`.
const ANCHOR: &str = "CN=900274c4-b7d2-43c8-90ee-00a9f650e335,CN=AzureAD,CN=System";
/// What the cmdlet calls the computer.
const COMPUTER: &str = "AzureADKerberos$";
/// What it calls the user; which of the two depends on its version.
const USERS: &str = "(|(sAMAccountName=krbtgt_AzureAD)(sAMAccountName=krbtgt-AzureAD))";
const LINK: &str = "msDS-KrbTgtLink";
const PLACE: &[&str] = &["objectSid", "sAMAccountName", LINK];
const KEY: &[&str] = &[
    "objectSid",
    "sAMAccountName",
    "userAccountControl",
    "msDS-SecondaryKrbTgtNumber",
    "msDS-KeyVersionNumber",
    "pwdLastSet",
    "replPropertyMetaData",
    "msDS-ReplAttributeMetaData",
];
const TRUST: &[&str] = &[
    "trustPartner",
    "trustDirection",
    "trustType",
    "trustAttributes",
    "msDS-SupportedEncryptionTypes",
    "msDS-TrustForestTrustInfo",
    "whenCreated",
    "whenChanged",
];

/// What the directory holds of a cloud trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudTrust {
    /// DN of the anchor.
    pub anchor: Option<String>,
    /// The computer.
    pub computer: Option<CloudComputer>,
    /// The user: the one that the computer links, else one of the cmdlet's names, which was left behind.
    pub key: Option<CloudKey>,
    /// Every trusted domain object.
    pub trusts: Vec<TrustedDomain>,
}

/// The computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudComputer {
    /// DN.
    pub dn: String,
    /// sAMAccountName.
    pub sam: String,
    /// SID.
    pub sid: Option<Sid>,
    /// DN of its user (`msDS-KrbTgtLink`).
    pub link: Option<String>,
}

/// The user that holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudKey {
    /// DN.
    pub dn: String,
    /// sAMAccountName.
    pub sam: String,
    /// SID.
    pub sid: Option<Sid>,
    /// Whether the account is disabled, as it has to be.
    pub disabled: bool,
    /// `msDS-SecondaryKrbTgtNumber`: the upper half of the key versions in tickets.
    pub number: Option<u32>,
    /// `msDS-KeyVersionNumber`
    pub version: Option<u32>,
    /// `pwdLastSet` in Unix seconds.
    pub set: Option<u64>,
    /// The last change of the key, where the directory tells.
    pub change: Option<Change>,
}

/// A trusted domain object (MS-ADTS 6.1.6.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedDomain {
    /// DN.
    pub dn: String,
    /// `trustPartner`
    pub partner: String,
    /// `trustDirection`
    pub direction: u32,
    /// `trustType`
    pub kind: u32,
    /// `trustAttributes`
    pub attributes: u32,
    /// `msDS-SupportedEncryptionTypes`
    pub enctypes: Option<u32>,
    /// Names that it claims; `None` where the directory tells none that can be read.
    pub names: Option<Vec<TopLevelName>>,
    /// `whenCreated` in Unix seconds.
    pub created: Option<i64>,
    /// `whenChanged` in Unix seconds.
    pub changed: Option<i64>,
}

impl LdapDirectory {
    /// What the domain with this root holds of a cloud trust.
    ///
    /// # Errors
    /// As every lookup.
    pub async fn cloud_trust(&self, base_dn: &str) -> Result<CloudTrust, Error> {
        let anchor = self.read(&format!("{ANCHOR},{base_dn}"), &["*"], self.soon()).await?;
        let filter = format!("(&(objectClass=computer)({LINK}=*))");
        let linked = self.entries(base_dn, &filter, PLACE).await?;
        let computer = choose(&linked, anchor.as_ref()).map(CloudComputer::of);
        let link = computer.as_ref().and_then(|computer| computer.link.as_deref());
        let key = if let Some(link) = link {
            self.read(link, KEY, self.soon()).await?
        } else {
            let left = self.entries(base_dn, &format!("(&(objectClass=user){USERS})"), KEY).await?;
            left.into_iter().next()
        };
        let system = format!("CN=System,{base_dn}");
        let trusts = self.entries(&system, "(objectClass=trustedDomain)", TRUST).await?;
        Ok(CloudTrust {
            anchor: anchor.map(|anchor| anchor.dn),
            computer,
            key: key.as_ref().map(CloudKey::of),
            trusts: trusts.iter().map(TrustedDomain::of).collect(),
        })
    }

    async fn entries(&self, base: &str, filter: &str, attributes: &[&str]) -> Result<Vec<Raw>, Error> {
        let query = Query { base, scope: Scope::Subtree, filter, attributes };
        Ok(self.ask(&query, self.soon()).await?.entries)
    }
}

/// The cloud's among the computers that link a key of their own, which every read-only domain controller does: the one
/// that the anchor speaks of by SID or DN, else the one with the cmdlet's name.
fn choose<'a>(linked: &'a [Raw], anchor: Option<&Raw>) -> Option<&'a Raw> {
    let spoken_of = |computer: &Raw| {
        let sid = computer.values("objectSid").first();
        let words = sid.and_then(|sid| Sid::from_bytes(sid).ok()).map(|sid| sid.to_string());
        anchor.is_some_and(|anchor| {
            anchor.attributes().flat_map(|(_, values)| values).any(|value| {
                Some(value) == sid
                    || words.as_ref().is_some_and(|words| value == words.as_bytes())
                    || value.eq_ignore_ascii_case(computer.dn.as_bytes())
            })
        })
    };
    let named = |computer: &&Raw| computer.text("sAMAccountName").is_some_and(|it| it.eq_ignore_ascii_case(COMPUTER));
    linked.iter().find(|computer| spoken_of(computer)).or_else(|| linked.iter().find(named))
}

impl CloudComputer {
    fn of(entry: &Raw) -> Self {
        Self {
            dn: entry.dn.clone(),
            sam: entry.text("sAMAccountName").unwrap_or_default().to_owned(),
            sid: entry.sid(),
            link: entry.text(LINK).map(str::to_owned),
        }
    }
}

impl CloudKey {
    fn of(entry: &Raw) -> Self {
        /// ADS_UF_ACCOUNTDISABLE (MS-ADTS 2.2.16)
        const DISABLED: i32 = 2;
        let set: Option<u64> = entry.number("pwdLastSet");
        let told = entry.values("msDS-ReplAttributeMetaData").iter().map(Vec::as_slice);
        let stored = || entry.values("replPropertyMetaData").first().and_then(|blob| change_record::of_blob(blob));
        Self {
            dn: entry.dn.clone(),
            sam: entry.text("sAMAccountName").unwrap_or_default().to_owned(),
            sid: entry.sid(),
            disabled: entry.number::<i32>("userAccountControl").is_some_and(|flags| flags & DISABLED != 0),
            number: entry.number::<i32>("msDS-SecondaryKrbTgtNumber").map(i32::cast_unsigned),
            version: entry.number::<i32>("msDS-KeyVersionNumber").map(i32::cast_unsigned),
            set: set.and_then(|time| (time / 10_000_000).checked_sub(11_644_473_600)),
            change: change_record::of_xml(told).or_else(stored),
        }
    }
}

impl TrustedDomain {
    fn of(entry: &Raw) -> Self {
        let number = |name: &str| entry.number::<i32>(name).map(i32::cast_unsigned);
        let time = |name: &str| entry.text(name).and_then(generalized_time);
        Self {
            dn: entry.dn.clone(),
            partner: entry.text("trustPartner").unwrap_or_default().to_owned(),
            direction: number("trustDirection").unwrap_or_default(),
            kind: number("trustType").unwrap_or_default(),
            attributes: number("trustAttributes").unwrap_or_default(),
            enctypes: number("msDS-SupportedEncryptionTypes"),
            names: entry.values("msDS-TrustForestTrustInfo").first().and_then(|value| top_level_names(value)),
            created: time("whenCreated"),
            changed: time("whenChanged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::raw;
    use super::*;

    const OTHER: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 4, 0, 0];
    const CLOUD: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 2, 4, 0, 0];

    #[test]
    fn a_read_only_domain_controller_of_the_domains_own_is_none() {
        let own = raw("CN=RODC1", &[("sAMAccountName", &[b"RODC1$"]), ("objectSid", &[OTHER])]);
        let cloud = raw("CN=Renamed", &[("sAMAccountName", &[b"Renamed$"]), ("objectSid", &[CLOUD])]);
        let linked = [own.clone(), cloud.clone()];
        assert_eq!(choose(&linked, None), None);
        for mention in [CLOUD, b"S-1-5-21-1026", b"cn=renamed"] {
            let anchor = raw("CN=900274c4", &[("keywords", &[b"x", mention])]);
            assert_eq!(choose(&linked, Some(&anchor)), Some(&cloud));
        }
        let named = raw("CN=AzureADKerberos", &[("sAMAccountName", &[b"AZUREADKERBEROS$"])]);
        assert_eq!(choose(&[own, named.clone()], None), Some(&named));
    }

    #[test]
    fn numbers_are_signed_on_the_wire() {
        let entry = raw(
            "CN=krbtgt_AzureAD",
            &[
                ("msDS-SecondaryKrbTgtNumber", &[b"26841"]),
                ("msDS-KeyVersionNumber", &[b"-2146893823"]),
                ("userAccountControl", &[b"514"]),
                ("pwdLastSet", &[b"134396433270000000"]),
            ],
        );
        let key = CloudKey::of(&entry);
        assert_eq!((key.number, key.version, key.disabled), (Some(26841), Some(0x8009_0001), true));
        assert_eq!(key.set, Some(1_795_169_727));
        assert_eq!(CloudKey::of(&raw("CN=x", &[("pwdLastSet", &[b"0"])])).set, None);
    }
}
