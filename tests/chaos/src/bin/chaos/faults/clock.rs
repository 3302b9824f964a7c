//! A host whose clock is wrong. The lab's nodes share the machine's clock: libfaketime shifts it for every process that
//! starts while /etc/ld.so.preload names it, the daemon's restart and its helpers included.

use std::time::{Duration, Instant};

use entra_lab::product;

use super::{DAEMON_AWAY, Fault, PLAIN, shown};
use crate::stage::Stage;

pub const FAULTS: &[Fault] = &[
    Fault {
        key: "clock-ahead",
        title: "the host's clock 10 minutes ahead",
        make: |stage| shift(stage, "+10m"),
        ..CLOCK
    },
    Fault {
        key: "clock-behind",
        title: "the host's clock 10 minutes behind",
        make: |stage| shift(stage, "-10m"),
        ..CLOCK
    },
];

const CLOCK: Fault = Fault {
    may_fail: DAEMON_AWAY,
    before: |stage| {
        if !stage.client.outside_path(LIBRARY).exists() {
            stage.client.apt_install(&["faketime"])?.text()?;
        }
        Ok(())
    },
    proof: |stage| {
        let inside: i64 = stage.client.must(&["date", "+%s"])?.trim().parse().map_err(|_| "what does date say?")?;
        let outside = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let ahead = inside - i64::try_from(outside).unwrap_or_default();
        let pid = stage.client.read_file("/run/lab/entrad.pid")?;
        let maps = stage.client.sh(r#"grep -c faketime "/proc/$1/maps""#, &[pid.trim()])?.stdout;
        shown(
            ahead.abs() > 500 && maps.trim() != "0",
            format!("`date` is {ahead} s ahead, and the daemon's clock is too"),
        )
    },
    end: |stage| {
        stage.client.sh("rm -f /etc/ld.so.preload /etc/faketimerc", &[])?.text()?;
        product::stop_daemon(&stage.client)?;
        Ok(product::start_daemon(&stage.client)?)
    },
    ..PLAIN
};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

fn shift(stage: &Stage, by: &str) -> Result<Option<entra_chaos::Tally>, String> {
    stage.client.put_file("/etc/faketimerc", format!("{by}\n"), 0o644)?;
    stage.client.put_file("/etc/ld.so.preload", format!("{LIBRARY}\n"), 0o644)?;
    product::stop_daemon(&stage.client)?;
    stage.client.start("entrad", &["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "/usr/sbin/entrad", "--foreground"])?;
    let end = Instant::now() + Duration::from_secs(10);
    while stage.client.run(&["entractl", "status"])?.status == 3 {
        if Instant::now() > end {
            return Err(format!("entrad does not start: {}", stage.client.log("entrad")?));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    Ok(None)
}
