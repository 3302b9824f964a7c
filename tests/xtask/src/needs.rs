//! What a bare Debian 12 lacks, installed by apt where it is missing. The lab asks for its own.

use crate::run::Outcome;

/// What the programs link against, and what they are built, packed and looked into with.
const BUILD: [&str; 7] = ["gcc", "libc6-dev", "pkg-config", "libkrb5-dev", "libpam0g-dev", "binutils", "dpkg-dev"];
/// What the tests outside of the lab run: a real KDC, and what they put around the modules.
const TESTS: [&str; 8] = [
    "krb5-kdc",
    "krb5-admin-server",
    "libnss-wrapper",
    "libpam-wrapper",
    "pamtester",
    "procps",
    "util-linux",
    "valgrind",
];

/// What libFuzzer is built with, besides.
const FUZZING: [&str; 1] = ["g++"];

/// For building and packing.
///
/// # Errors
/// When apt fails, or something is missing and this is not root.
pub fn build() -> Outcome {
    Ok(entra_lab::host::install(&BUILD)?)
}

/// For the tests outside of the lab.
///
/// # Errors
/// As [`build`].
pub fn tests() -> Outcome {
    Ok(entra_lab::host::install(&TESTS)?)
}

/// For fuzzing.
///
/// # Errors
/// As [`build`].
pub fn fuzzing() -> Outcome {
    Ok(entra_lab::host::install(&[&BUILD[..], &FUZZING].concat())?)
}
