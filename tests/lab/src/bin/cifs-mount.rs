//! The kernel's own mount of an Azure Files share with the tickets of a login, which no case of the suite can try where the
//! machine's kernel has no cifs: a joined client boots under Debian's kernel in QEMU, alice logs in over SSH, and the
//! share is mounted with `sec=krb5,cruid=…`: with the options that Microsoft gives while the KDC proxy is out of reach,
//! with those of the example unit, and by autofs with the example map. Without a ticket the mount is refused with error 126.
//!
//! `cargo run -p entra-lab --bin cifs-mount [-- --keep]`, after `cargo xtask package deb`: `--keep` leaves the lab up (its
//! name is `ENTRA_LAB_NAME`, else "cifs-mount"). Prints what it saw; exit status 1 when something was otherwise.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::cloud::{ACCOUNT, LOGIN_HOST, SHARE_HOST, TENANT};
use entra_lab::{Error, Lab, Options, Result, guest, product};

const CHECK: &str = include_str!("../../data/cifs-mount.sh");
/// A quiet machine takes a minute; it is the emulated processor that is slow.
const LIMIT: Duration = Duration::from_secs(600);
/// What the guest says last when everything was as it should be.
const PASSED: &str = "guest: passed";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let keep = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--keep"] => true,
        _ => {
            eprintln!("cifs-mount: the one option is --keep");
            return ExitCode::from(2);
        }
    };
    let name = std::env::var("ENTRA_LAB_NAME").unwrap_or_else(|_| "cifs-mount".into());
    let start = Instant::now();
    let seen = check(&name);
    let ended = if keep { Ok(()) } else { entra_lab::down(&name) };
    match seen.and(ended) {
        Ok(()) => {
            println!("cifs-mount: passed in {:.0} s", start.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cifs-mount: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(name: &str) -> Result<()> {
    product::packages(&product::packages_dir())?;
    entra_lab::down(name)?;
    let lab =
        Lab::up(&Options { name: name.to_owned(), nodes: ["dc", "client", "cloud"].map(str::to_owned).to_vec() })?;
    let (client, cloud) = (lab.node("client")?, lab.node("cloud")?);
    product::install(&client, &product::packages_dir())?;
    client.apt_install(&["krb5-k5tls", "cifs-utils", "autofs", "kmod"])?;
    product::join(&client)?.text()?;
    let configure = ["entractl", "cloud-trust", "configure", "--tenant", TENANT, "--storage-account", ACCOUNT];
    client.must(&[&configure[..], &["--ticket-group", "sales (emea)"]].concat())?;

    // alice is in that group; the other one never logs in.
    let (user, other) = (ALICE.sam, PEOPLE[1].sam);
    let settings = format!(
        "LOGIN_HOST={LOGIN_HOST}\nSHARE_HOST={SHARE_HOST}\nUSER_NAME={user}\nUSER_PASSWORD='{}'\nOTHER_NAME={other}\n\
         OTHER_PASSWORD='{}'\n",
        ALICE.password, PEOPLE[1].password
    );
    let said = guest::boot(&client, "", &format!("{settings}{CHECK}"), LIMIT)?;
    println!("{said}");
    if said.lines().next_back().map(str::trim_end) != Some(PASSED) {
        return Err(Error::new("the guest saw something else than it should have; its words are above"));
    }
    // Whoever wrote on the client: for the server it was the ticket's owner.
    for file in ["by-root.txt", "by-its-user.txt"] {
        let owner = cloud.must(&["stat", "--format=%U", &format!("/srv/share/{file}")])?;
        println!("on the server, {file} is {owner}'s");
        if owner != user {
            return Err(Error::new(format!("{file} was not written as {user}")));
        }
    }
    Ok(())
}
