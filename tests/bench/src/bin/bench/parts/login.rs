//! Logins with a password, through PAM.

use entra_lab::accounts::ALICE;
use entra_lab::{Error, Result};

use super::Bench;
use crate::products::{FOLDER, Product, Who, principal};
use crate::stats::{median, quantile};

/// What an application asks PAM for when it lets a user in.
const STEPS: [&str; 2] = ["authenticate", "acct_mgmt"];

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    bench.in_turn(1, |_, product, _| {
        product.start()?;
        product.node.put_file(&format!("{FOLDER}/password"), format!("{}\n", ALICE.password), 0o600)?;
        // The first login makes what the later ones find.
        logins(product, 1).map(drop)
    });
    let calls = bench.effort.calls;
    bench.in_turn(bench.effort.rounds.min(3), |bench, product, _| {
        let before = product.processor_time();
        let times = logins(product, calls)?;
        let spent = product.processor_time() - before;
        add(bench, product.who, &times)?;
        bench.add("login-cpu", product.who, spent * 1000.0 / calls as f64 * 1e9);
        if product.who == Who::Entrad {
            let times = kinits(product, calls)?;
            add(bench, Who::Bare, &times)?;
        }
        Ok(())
    });
    Ok(())
}

fn add(bench: &mut Bench, who: Who, times: &[f64]) -> Result<()> {
    let both = median(times).zip(quantile(times, 0.99));
    let (p50, p99) = both.ok_or_else(|| Error::new("nobody logged in"))?;
    bench.add("login", who, p50);
    bench.add("login-p99", who, p99);
    Ok(())
}

fn logins(product: &Product, times: usize) -> Result<Vec<f64>> {
    let mut words = vec!["pamtester", "bench", ALICE.sam];
    words.extend(STEPS);
    with_password(product, times, &words)
}

/// The least that a login takes: the same exchange with the KDC, armored with the machine's ticket.
fn kinits(product: &Product, times: usize) -> Result<Vec<f64>> {
    let node = &product.node;
    let armor = format!("FILE:{FOLDER}/armor");
    let host = node.read_file("/etc/hostname")?.trim().to_ascii_uppercase();
    node.must(&["kinit", "-k", "-c", &armor, &principal(&format!("{host}$"))])?;
    let cache = format!("FILE:{FOLDER}/alice");
    with_password(product, times, &["kinit", "-T", &armor, "-c", &cache, &principal(ALICE.sam)])
}

fn with_password(product: &Product, times: usize, program: &[&str]) -> Result<Vec<f64>> {
    let (times, password) = (times.to_string(), format!("{FOLDER}/password"));
    let mut words = vec!["exec", "--times", &times, "--stdin", &password, "--"];
    words.extend(program);
    Ok(product.drive(&words)?.iter().map(|line| line.nanos).collect())
}
