//! The AppArmor profile in force, which no case of the suite can try where the machine's kernel has no AppArmor: a host
//! that systemd boots, under Debian's kernel in QEMU, installs the packages, joins, looks up, logs in, changes passwords
//! and keys, with the cable in and out, and leaves. In the end the kernel has refused nothing to our processes, each of
//! which ran under its profile; and what the profiles forbid was refused when it was tried.
//!
//! `cargo run -p entra-lab --bin confined [-- --keep]`, after `cargo xtask package deb`: `--keep` leaves the lab up (its
//! name is `ENTRA_LAB_NAME`, else "confined"). Prints what it saw; exit status 1 when something was otherwise.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use entra_lab::accounts::{ALICE, JOINER, PEOPLE};
use entra_lab::{Error, Lab, Options, Result, dc, guest, product};

const CHECK: &str = include_str!("../../data/confined.sh");
/// A quiet machine takes a few minutes; it is the emulated processor that is slow.
const LIMIT: Duration = Duration::from_secs(1200);
/// What the guest says last when everything was as it should be.
const PASSED: &str = "guest: passed";
/// Room for every refusal; nobody logs in on the console.
const KERNEL: &str = "apparmor=1 security=apparmor log_buf_len=4M systemd.getty_auto=no";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let keep = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--keep"] => true,
        _ => {
            eprintln!("confined: the one option is --keep");
            return ExitCode::from(2);
        }
    };
    let name = std::env::var("ENTRA_LAB_NAME").unwrap_or_else(|_| "confined".into());
    let start = Instant::now();
    let seen = check(&name);
    let ended = if keep { Ok(()) } else { entra_lab::down(&name) };
    match seen.and(ended) {
        Ok(()) => {
            println!("confined: passed in {:.0} s", start.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("confined: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(name: &str) -> Result<()> {
    product::packages(&product::packages_dir())?;
    entra_lab::down(name)?;
    let lab = Lab::up(&Options { name: name.to_owned(), nodes: ["dc", "booted"].map(str::to_owned).to_vec() })?;
    let node = lab.node("booted")?;
    // What the packages need stays; they themselves are installed by the guest, where AppArmor is.
    product::install(&node, &product::packages_dir())?;
    product::purge(&node, &product::packages_dir())?;
    node.apt_install(&["apparmor", "samba", "winbind"])?;

    let other = PEOPLE[1];
    let settings = format!(
        "DOMAIN={}\nJOINER={}\nJOINER_PASSWORD='{}'\nUSER_NAME={}\nUSER_PASSWORD='{}'\nOTHER_NAME={}\n\
         OTHER_PASSWORD='{}'\n",
        dc::DNS_DOMAIN,
        JOINER.sam,
        JOINER.password,
        ALICE.sam,
        ALICE.password,
        other.sam,
        other.password
    );
    let said = guest::boot(&node, KERNEL, &format!("{settings}{CHECK}"), LIMIT)?;
    println!("{said}");
    if said.lines().next_back().map(str::trim_end) != Some(PASSED) {
        return Err(Error::new("the guest saw something else than it should have; its words are above"));
    }
    Ok(())
}
