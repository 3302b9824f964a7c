//! What the account that is bound may do with an object: asked before a join, by the administrator's own ticket. The
//! attributes are constructed for whoever asks (MS-ADTS 3.1.1.4.5) and come only when named.

use ldap3::Scope;

use super::connection::Query;
use super::entry::Raw;
use super::{LdapDirectory, filter};
use crate::Error;

/// Well-known GUID of the container for computer accounts (MS-ADTS 6.1.1.4.1).
const COMPUTERS: &str = "aa312825768811d1aded00c04fd8d5cd";
/// The attributes that make [`Rights`].
const RIGHTS: &[&str] = &["allowedChildClassesEffective", "allowedAttributesEffective"];

/// What the bound account may do with one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// DN of the object as the directory writes it.
    pub dn: String,
    /// Classes of the objects that may be created below it.
    pub child_classes: Vec<String>,
    /// Attributes that may be written.
    pub attributes: Vec<String>,
}

impl Rights {
    /// Whether objects of this class may be created below it.
    pub fn may_create(&self, class: &str) -> bool {
        self.child_classes.iter().any(|allowed| allowed.eq_ignore_ascii_case(class))
    }

    /// Whether this attribute may be written.
    pub fn may_write(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|allowed| allowed.eq_ignore_ascii_case(attribute))
    }

    fn of(entry: &Raw) -> Self {
        let texts =
            |name: &str| entry.values(name).iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        Self { dn: entry.dn.clone(), child_classes: texts(RIGHTS[0]), attributes: texts(RIGHTS[1]) }
    }
}

impl LdapDirectory {
    /// The rights over the object with this DN; `None` where there is none, or it may not be seen.
    ///
    /// # Errors
    /// As every lookup.
    pub async fn rights(&self, dn: &str) -> Result<Option<Rights>, Error> {
        Ok(self.read(dn, RIGHTS, self.soon()).await?.as_ref().map(Rights::of))
    }

    /// The rights over the domain's container for computer accounts, which an administrator may have redirected.
    ///
    /// # Errors
    /// As every lookup.
    pub async fn computers_container(&self, base_dn: &str) -> Result<Option<Rights>, Error> {
        self.rights(&format!("<WKGUID={COMPUTERS},{base_dn}>")).await
    }

    /// The rights over the computer account with this sAMAccountName (`HOST$`); `None` where there is none.
    ///
    /// # Errors
    /// As every lookup.
    pub async fn computer(&self, base_dn: &str, sam: &str) -> Result<Option<Rights>, Error> {
        let wanted = filter::equals("sAMAccountName", sam.as_bytes());
        let query = Query { base: base_dn, scope: Scope::Subtree, filter: &wanted, attributes: RIGHTS };
        Ok(self.ask(&query, self.soon()).await?.entries.first().map(Rights::of))
    }

    /// How many computers an account without any right of its own may join (`ms-DS-MachineAccountQuota`).
    ///
    /// # Errors
    /// As every lookup.
    pub async fn machine_account_quota(&self, base_dn: &str) -> Result<u32, Error> {
        const QUOTA: &str = "ms-DS-MachineAccountQuota";
        let domain = self.read(base_dn, &[QUOTA], self.soon()).await?;
        Ok(domain.and_then(|domain| domain.number(QUOTA)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::raw;
    use super::*;

    #[test]
    fn rights_are_read_in_any_case() {
        let entry = raw(
            "OU=x",
            &[("allowedchildclasseseffective", &[b"Computer", b"group"]), ("allowedAttributesEffective", &[b"cn"])],
        );
        let rights = Rights::of(&entry);
        assert!(rights.may_create("computer") && !rights.may_create("user"));
        assert!(rights.may_write("CN") && !rights.may_write("servicePrincipalName"));
        assert!(!Rights::of(&raw("OU=y", &[])).may_create("computer"));
    }
}
