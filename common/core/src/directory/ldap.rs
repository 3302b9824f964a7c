//! The LDAP adapter.
