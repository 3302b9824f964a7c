//! `ls -l` of many files of many owners.

use entra_lab::Result;

use super::Bench;
use crate::products::{FOLDER, Who};

const FILES: &str = "10000";
const OWNERS: usize = 2000;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    bench.in_turn(1, |_, product, _| product.start());
    let uids = uids(bench)?;
    let folder = format!("{FOLDER}/files");
    bench.in_turn(1, |_, product, _| {
        let list = format!("{FOLDER}/uids");
        product.node.put_file(&list, &uids, 0o644)?;
        product.drive(&["files", &folder, FILES, &list]).map(drop)
    });
    bench.in_turn(bench.effort.rounds.min(3), |bench, product, _| {
        product.cold()?;
        for row in ["list-cold", "list-warm"] {
            let lines = product.drive(&["exec", "--", "ls", "-l", &folder])?;
            if let Some(line) = lines.first() {
                bench.add(row, product.who, line.nanos);
            }
        }
        Ok(())
    });
    Ok(())
}

/// Uids of the owners, as entrad gives them: all products compute them alike.
fn uids(bench: &Bench) -> Result<String> {
    let script = format!("head -{OWNERS} {FOLDER}/users | xargs getent passwd | cut -d: -f3");
    Ok(bench.product(Who::Entrad)?.node.sh(&script, &[])?.text()? + "\n")
}
