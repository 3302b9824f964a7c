//! The Kerberos helper.
