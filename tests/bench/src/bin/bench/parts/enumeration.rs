//! All users in one listing. SSSD is not asked: with 50,000 users its watchdog ends the process that lists them, and with
//! fewer its first listing appears after more than a minute.

use entra_lab::{Error, Result};

use super::Bench;
use crate::products::Who;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let entrad = bench.product(Who::Entrad)?;
    let config = entrad.node.read_file(entrad.config())?;
    let with = config.replacen("preset =", "enumerate = true\npreset =", 1);
    if with == config {
        return Err(Error::new("entra.toml has no line `preset =` to put `enumerate` before"));
    }
    entrad.node.put_file(entrad.config(), with, 0o644)?;
    bench.in_turn(1, |bench, product, _| {
        if product.who == Who::Sssd {
            return Ok(());
        }
        product.cold()?;
        let lines = product.direct("users", &["--times", "3"])?;
        for (number, line) in lines.iter().enumerate() {
            if line.found.is_none_or(|count| count < bench.users.len()) {
                return Err(Error::new(format!("{:?} of {} users were listed", line.found, bench.users.len())));
            }
            bench.add(if number == 0 { "enumerate-first" } else { "enumerate-again" }, product.who, line.nanos);
        }
        Ok(())
    });
    let entrad = bench.product(Who::Entrad)?;
    entrad.node.put_file(entrad.config(), config, 0o644)
}
