//! From the start to the first answer with nothing stored, and the memory of a product that was asked little.

use std::time::Duration;

use entra_lab::Result;

use super::Bench;

/// Until what a daemon does after its start is done.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    bench.in_turn(bench.effort.rounds.min(3), |bench, product, _| {
        product.forget()?;
        let took = product.time_to_answer()?;
        bench.add("start-empty", product.who, took);
        std::thread::sleep(SETTLE);
        bench.add("memory-idle", product.who, product.memory());
        Ok(())
    });
    Ok(())
}
