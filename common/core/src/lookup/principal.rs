//! From a Kerberos principal to the user whose tickets have that name.

use std::sync::Arc;

use crate::Error;
use crate::control::Source;
use crate::types::{UserRecord, fold};

use super::{Answer, Freshness, Lookup, Query};

impl Lookup {
    /// The user whom the KDC of `realm` means by `name`: a sAMAccountName, or an enterprise name (RFC 6806) with an `@`
    /// in it, which is a UPN first (MS-KILE 3.3.5.6.1). `None` where the realm is none of ours: a KDC speaks for its own
    /// accounts and no others.
    ///
    /// # Errors
    /// As [`Lookup::user`].
    pub async fn user_of_principal(
        self: &Arc<Self>,
        name: &str,
        realm: &str,
        freshness: Freshness,
    ) -> Result<Option<Answer<UserRecord>>, Error> {
        let Some(domain) = self.domains.iter().find(|domain| domain.config.realm() == realm) else { return Ok(None) };
        let domain = domain.config.name.as_str();
        // A backslash would name another domain.
        if name.contains('\\') {
            return Ok(None);
        }
        if !name.contains('@') {
            return self.user(Query::name(&format!("{domain}\\{name}")), freshness).await;
        }
        let found = self.user(Query::name(name), freshness).await?;
        Ok(found.filter(|user| {
            let is_upn = user.value.upn.as_deref().is_some_and(|upn| fold(upn) == fold(name));
            // In an outage `account@domain` is taken for that account, although it may be a stranger's UPN.
            user.value.domain == domain && (is_upn || user.source != Source::Stale)
        }))
    }
}
