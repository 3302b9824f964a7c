//! What a bare Debian 12 lacks, installed by apt where it is missing. The lab asks for its own.

use entra_lab::host;

use crate::run::Outcome;

/// What the programs link against, and what they are built, packed and looked into with.
const BUILD: [&str; 7] = ["gcc", "libc6-dev", "pkg-config", "libkrb5-dev", "libpam0g-dev", "binutils", "dpkg-dev"];
/// What RPM packages are packed with, besides.
const RPM: [&str; 1] = ["rpm"];
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

/// What libFuzzer is built with, and its corpus unpacked, besides.
const FUZZING: [&str; 2] = ["g++", "xz-utils"];

/// For building and packing.
///
/// # Errors
/// When apt fails, or something is missing and this is not root.
pub fn build() -> Outcome {
    Ok(host::install(&BUILD)?)
}

/// For building and packing RPM packages, on Debian. Elsewhere CONTRIBUTING.md says what has to be there.
///
/// # Errors
/// As [`build`].
pub fn rpm() -> Outcome {
    if !std::path::Path::new("/usr/bin/dpkg-query").exists() {
        return Ok(());
    }
    Ok(host::install(&[&BUILD[..], &RPM].concat())?)
}

/// For all tests, the lab's programs included: asked for at once, because each time that something is missing apt reads
/// its lists anew.
///
/// # Errors
/// As [`build`].
pub fn everything() -> Outcome {
    Ok(host::install(&[&BUILD[..], &RPM, &TESTS, &FUZZING, &host::NEEDED].concat())?)
}

/// For fuzzing.
///
/// # Errors
/// As [`build`].
pub fn fuzzing() -> Outcome {
    Ok(host::install(&[&BUILD[..], &FUZZING].concat())?)
}
