//! `cloud-trust probe`: the way to a storage account's ticket, hop by hop, with the ticket in the caller's ccache. The same
//! messages go over the same hops as any Kerberos program's; they are carried here one by one, because libkrb5 says of
//! every failure beyond the domain only that no KDC can be contacted. The ccache is read and never written.

mod cause;
mod settings;
mod walk;

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use self::cause::Cause;
use self::settings::Settings;
use self::walk::Walk;
use super::plugin;
use super::shares::REALM;
use crate::cli::CloudTrustProbe;
use crate::exit::{Exit, Failure};
use crate::host::{Paths, effective_uid};
use crate::output::{Answer, Output, Step};
use crate::verbs::testjoin::configured;

/// Does it. Status 0 where every hop works, else 1, or 4 where the domain's own KDC is away.
pub(super) fn run(options: &CloudTrustProbe, output: &mut Output<'_>) -> Result<Answer, Failure> {
    let paths = Paths::installed();
    let settings = Settings::read(&options.account, &paths)?;
    // Not everybody may read it, and it is not needed: DNS knows the domain controllers too.
    let domains = configured(&paths, "cloud-trust").unwrap_or_default();
    let ccache = options.ccache.clone().or_else(|| std::env::var("KRB5CCNAME").ok()).unwrap_or_else(|| {
        let template = domains.first().map_or("FILE:/tmp/krb5cc_%U", |domain| domain.ccache.as_str());
        template.replace("%U", &effective_uid().to_string())
    });
    let mut report = Report { output, times: Map::new() };
    let plugin = match plugin::find(Path::new("/")) {
        Ok(_) => {
            report.output.step(Step::ok("k5tls", "libkrb5 speaks TLS"));
            None
        }
        // Programs fail without it, and this one goes on: what lies behind may be wrong too.
        Err(failure) => {
            report.output.step(Step::fail(&failure));
            Some(Cause::of("k5tls", "no-k5tls", failure))
        }
    };
    let walk =
        Walk { settings: &settings, domains: &domains, ccache: &ccache, timeout: Duration::from_secs(options.timeout) };
    let walked = walk.all(&mut report);
    if let Err(cause) = &walked {
        report.output.step(Step::fail(&cause.failure()));
    }
    let failed = plugin.or(walked.err());
    let value = json!({
        "account": options.account, "host": settings.host, "realm": REALM, "ccache": ccache,
        "works": failed.is_none(), "times_ms": report.times,
        "failed": failed.as_ref().map(|it| it.hop), "cause": failed.as_ref().map(|it| it.word),
    });
    match failed {
        None => {
            let text = format!("\nevery hop to {} works", settings.host);
            Ok(Answer { text, json: value, exit: Exit::Done })
        }
        Some(cause) => Err(Failure { more: Some(value), ..cause.failure() }),
    }
}

/// What was found so far.
struct Report<'o, 'w> {
    output: &'o mut Output<'w>,
    times: Map<String, Value>,
}

impl Report<'_, '_> {
    /// A hop that works, and how long it took.
    fn hop(&mut self, hop: &str, detail: &str, took: Duration) {
        let millis = took.as_secs_f64() * 1000.0;
        self.times.insert(hop.into(), json!((millis * 10.0).round() / 10.0));
        self.output.step(Step::ok(hop, format!("{detail} ({millis:.1} ms)")));
    }

    /// What other hosts fail at and this one does not, because its settings name the realm.
    fn spared(&mut self, cause: &Cause) {
        let remedy = "this host asks by the realm's name (domain_realm), so it works here: hosts without that fail";
        self.output.step(Step::warn(cause.hop, cause.failure().error, remedy));
    }
}
