//! The keytab file: see [`entra_krb5::keytab_file`].

pub use entra_krb5::keytab_file::{Entry, NotAKeytab, entries, merged, of_realm, without_realm};

#[cfg(test)]
pub(crate) mod tests {
    /// One record of a keytab.
    pub(crate) fn record(name: &str, realm: &str, kvno: u32, enctype: u16) -> Vec<u8> {
        let mut body = Vec::new();
        let parts: Vec<_> = name.split('/').collect();
        body.extend((parts.len() as u16).to_be_bytes());
        for text in std::iter::once(realm).chain(parts) {
            body.extend((text.len() as u16).to_be_bytes());
            body.extend(text.as_bytes());
        }
        body.extend([0, 0, 0, 1, 0, 0, 0, 0, kvno as u8]);
        body.extend(enctype.to_be_bytes());
        body.extend([0, 4, 1, 2, 3, 4]);
        body.extend(kvno.to_be_bytes());
        let mut record = (body.len() as i32).to_be_bytes().to_vec();
        record.extend(body);
        record
    }
}
