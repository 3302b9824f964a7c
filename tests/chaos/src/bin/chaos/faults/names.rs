//! DNS that is silent, and DNS that lies.

use entra_lab::product;

use super::{DAEMON_AWAY, Fault, PLAIN, counted, shown, start};
use crate::stage::{Stage, resolvers};

const SILENT: &str = include_str!("../../../../data/silent-dns.py");
const LYING: &str = include_str!("../../../../data/lying-dns.py");

pub const FAULTS: &[Fault] = &[
    Fault {
        key: "dns-dead",
        title: "DNS silent, entrad restarted under it",
        // The daemon is restarted on purpose: only then it asks.
        may_fail: DAEMON_AWAY,
        make: |stage| led_by(stage, "silent-dns", SILENT),
        proof: |stage| {
            let asked = counted(stage, "silent-dns")?;
            shown(asked > 0, format!("{asked} questions without an answer"))
        },
        end: |stage| restored(stage, "silent-dns"),
        ..PLAIN
    },
    Fault {
        key: "dns-lies",
        title: "DNS leads to a host that accepts and talks rubbish, entrad restarted under it",
        may_fail: DAEMON_AWAY,
        make: |stage| led_by(stage, "lying-dns", LYING),
        proof: |stage| {
            let lies = counted(stage, "lying-dns")?;
            shown(lies > 0, format!("{lies} lies and rubbish told"))
        },
        end: |stage| restored(stage, "lying-dns"),
        ..PLAIN
    },
];

fn led_by(stage: &Stage, service: &str, program: &str) -> Result<Option<entra_chaos::Tally>, String> {
    start(stage, service, &["python3", "-u", "-c", program])?;
    stage.client.put_file("/etc/resolv.conf", "nameserver 127.0.0.53\nsearch aadds.contoso.com\n", 0o644)?;
    product::stop_daemon(&stage.client)?;
    product::start_daemon(&stage.client)?;
    Ok(None)
}

fn restored(stage: &Stage, service: &str) -> Result<(), String> {
    stage.client.put_file("/etc/resolv.conf", resolvers(), 0o644)?;
    Ok(stage.client.stop(service)?)
}
