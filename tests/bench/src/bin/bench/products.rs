//! The three products: how each is started, stopped and made to forget, and what its processes take.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use entra_lab::{Node, Result, dc};

/// Whose figure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// This project.
    Entrad,
    /// SSSD.
    Sssd,
    /// Samba's winbind.
    Winbind,
    /// The least that any of them can take: a null module, a bare ldapsearch, a bare kinit.
    Bare,
    /// The same on SSSD's node, whose local accounts are others.
    BareSssd,
}

/// The products in the order in which each round asks them.
pub const PRODUCTS: [Who; 3] = [Who::Entrad, Who::Sssd, Who::Winbind];

impl Who {
    /// Its name for readers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entrad => "entrad",
            Self::Sssd => "SSSD",
            Self::Winbind => "winbind",
            Self::Bare => "bare",
            Self::BareSssd => "bare on SSSD's node",
        }
    }
}

/// What a product is on its node.
struct Traits {
    node: &'static str,
    /// The service of nsswitch.conf.
    service: &'static str,
    /// The lab's name of the daemon.
    daemon: &'static str,
    words: &'static [&'static str],
    /// Ends of the paths of its programs.
    programs: &'static [&'static str],
    /// Shell patterns of the files that remember answers.
    remembered: &'static str,
    /// Those of them from which the module answers by itself.
    mapped: &'static str,
    /// Where its state lies.
    state: &'static str,
    config: &'static str,
    pam: &'static str,
    /// Packages whose versions are told.
    package: &'static str,
}

const ENTRAD: Traits = Traits {
    node: "client",
    service: "entra",
    daemon: "entrad",
    words: &["/usr/sbin/entrad", "--foreground"],
    programs: &["/sbin/entrad", "/krb5-helper"],
    remembered: "/var/lib/entra/identity.db* /run/entra/cache.map*",
    mapped: "/run/entra/cache.map*",
    state: "/var/lib/entra",
    config: "/etc/entra/entra.toml",
    pam: "auth required pam_entra.so\naccount required pam_entra.so\n",
    package: "entrad",
};

const SSSD: Traits = Traits {
    node: "sssd",
    service: "sss",
    daemon: "sssd",
    words: &["/usr/sbin/sssd", "--interactive", "--logger=stderr"],
    programs: &["/sbin/sssd", "/sssd_be", "/sssd_nss", "/sssd_pam"],
    remembered: "/var/lib/sss/db/* /var/lib/sss/mc/*",
    mapped: "/var/lib/sss/mc/*",
    state: "/var/lib/sss/db",
    config: "/etc/sssd/sssd.conf",
    pam: "auth required pam_sss.so\naccount required pam_sss.so\n",
    package: "sssd-ad",
};

const WINBIND: Traits = Traits {
    node: "winbind",
    service: "winbind",
    daemon: "winbindd",
    words: &["/usr/sbin/winbindd", "--foreground", "--no-process-group", "--debug-stdout"],
    programs: &["/sbin/winbindd"],
    remembered: "/var/lib/samba/winbindd_cache.tdb /var/cache/samba/*.tdb /run/samba/gencache*.tdb",
    mapped: "",
    state: "/var/lib/samba",
    config: "/etc/samba/smb.conf",
    pam: "auth required pam_winbind.so krb5_auth krb5_ccache_type=FILE\naccount required pam_winbind.so\n",
    package: "winbind",
};

/// A product on its node.
pub struct Product {
    pub who: Who,
    pub node: Node,
    traits: &'static Traits,
}

/// The lab's names of the products' nodes.
pub fn nodes() -> [&'static str; 3] {
    [&ENTRAD, &SSSD, &WINBIND].map(|traits| traits.node)
}

/// Where the bench keeps its files on a node.
pub const FOLDER: &str = "/root/bench";
const DRIVER: &str = "/usr/local/bin/bench-driver";
/// How long a daemon may take until it knows users.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for one measurement.
const LIMIT: Duration = Duration::from_secs(420);
/// Ticks of the processor times in /proc, per second (USER_HZ, the same on every architecture of Debian).
const TICKS: f64 = 100.0;

impl Product {
    /// The product, with the driver, the null module and the users' names on its node.
    ///
    /// # Errors
    /// When the node is not up or a file cannot be written.
    pub fn prepare(lab: &entra_lab::Lab, who: Who, built: &Path, users: &[String]) -> Result<Self> {
        let traits = match who {
            Who::Entrad | Who::Bare => &ENTRAD,
            Who::Sssd | Who::BareSssd => &SSSD,
            Who::Winbind => &WINBIND,
        };
        let node = lab.node(traits.node)?;
        let read = |name: &str| {
            let path = built.join(name);
            fs::read(&path).map_err(|error| entra_lab::Error::new(format!("{}: {error}", path.display())))
        };
        node.put_file(DRIVER, read("bench-driver")?, 0o755)?;
        let folder = node.must(&[
            "sh",
            "-c",
            "dirname /usr/lib/*/libnss_files.so.2 /usr/lib/*/libc.so.6 2>/dev/null | head -1",
        ])?;
        node.put_file(&format!("{folder}/libnss_benchnull.so.2"), read("libnss_benchnull.so")?, 0o644)?;
        node.put_file(&format!("{FOLDER}/users"), users.join("\n") + "\n", 0o644)?;
        node.put_file("/etc/pam.d/bench", traits.pam, 0o644)?;
        Ok(Self { who, node, traits })
    }

    /// The service of nsswitch.conf.
    pub fn service(&self) -> &'static str {
        self.traits.service
    }

    /// Where its state lies.
    pub fn state(&self) -> &'static str {
        self.traits.state
    }

    /// Path of its configuration.
    pub fn config(&self) -> &'static str {
        self.traits.config
    }

    /// Its version, as the package has it.
    ///
    /// # Errors
    /// When dpkg-query fails.
    pub fn version(&self) -> Result<String> {
        self.node.must(&["dpkg-query", "--show", "--showformat=${Version}", self.traits.package])
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&self) -> Result<()> {
        self.node.stop(self.traits.daemon)?;
        // Daemons of several processes: the others follow the first.
        let end = Instant::now() + Duration::from_secs(10);
        while !self.processes().is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Stops it and removes every answer that it remembers.
    ///
    /// # Errors
    /// When it does not end.
    pub fn forget(&self) -> Result<()> {
        self.stop()?;
        self.node.sh(&format!("rm -f {}", self.traits.remembered), &[])?.text().map(drop)
    }

    /// Stops it and removes what the module answers from without the daemon: the next answer is the daemon's.
    ///
    /// # Errors
    /// When it does not end.
    pub fn unmap(&self) -> Result<()> {
        self.stop()?;
        self.node.sh(&format!("rm -f {}", self.traits.mapped), &[])?.text().map(drop)
    }

    /// Starts it where it does not run, and waits until the directory answers through it.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(&self) -> Result<()> {
        if self.node.is_running(self.traits.daemon)? {
            return Ok(());
        }
        self.node.start(self.traits.daemon, self.traits.words)?;
        let end = Instant::now() + PATIENCE;
        // Another name each time: a miss while it starts may be remembered. A user of the end of the list, which no row
        // counts on not being known; a group would bring its members along.
        for number in (3001..=3200).cycle() {
            let known = self.node.run(&["getent", "passwd", &format!("bulk{number}")])?.ok();
            if known {
                return Ok(());
            }
            if Instant::now() > end {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = self.node.log(self.traits.daemon).unwrap_or_default();
        Err(entra_lab::Error::new(format!("{} does not answer:\n{log}", self.who.name())))
    }

    /// As after a first start: nothing remembered, connected to the directory.
    ///
    /// # Errors
    /// When it does not start.
    pub fn cold(&self) -> Result<()> {
        self.forget()?;
        self.start()
    }

    /// Runs the driver on the node: the times of its lines, in nanoseconds, and what came of each.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn drive(&self, words: &[&str]) -> Result<Vec<Line>> {
        let mut all = vec![DRIVER];
        all.extend(words);
        let output = self.node.run_with(&all, None, LIMIT)?;
        if !output.ok() {
            return Err(entra_lab::Error::new(format!("{}: {}", words.join(" "), output.describe())));
        }
        Ok(output.stdout.lines().filter_map(Line::parse).collect())
    }

    /// [`Product::drive`] with the module as target.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn direct(&self, verb: &str, words: &[&str]) -> Result<Vec<Line>> {
        let mut all = vec![verb, "--module", self.traits.service];
        all.extend(words);
        self.drive(&all)
    }

    /// Starts it and measures until it answers for one of the users.
    ///
    /// # Errors
    /// When it does not.
    pub fn time_to_answer(&self) -> Result<f64> {
        let pid_file = format!("/run/lab/{}.pid", self.traits.daemon);
        let log = format!("/var/log/lab-{}.log", self.traits.daemon);
        let keys = format!("{FOLDER}/users");
        let mut words = vec![keys.as_str(), "--pid-file", &pid_file, "--log", &log, "--"];
        words.extend(self.traits.words);
        let lines = self.direct("start", &words)?;
        lines.first().map(|line| line.nanos).ok_or_else(|| entra_lab::Error::new("the driver printed nothing"))
    }

    /// Proportional set size of its processes, in MiB.
    pub fn memory(&self) -> f64 {
        let kibibytes = |folder: &PathBuf| {
            let text = fs::read_to_string(folder.join("smaps_rollup")).ok()?;
            text.lines().find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse::<f64>().ok())
        };
        self.processes().iter().filter_map(kibibytes).sum::<f64>() / 1024.0
    }

    /// Processor time of its processes and of their children that ended, in seconds.
    pub fn processor_time(&self) -> f64 {
        let ticks = |folder: &PathBuf| {
            let text = fs::read_to_string(folder.join("stat")).ok()?;
            // utime, stime, cutime, cstime: fields 14 to 17 (proc(5)), counted from the end of the name.
            let fields = text.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
            Some(fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>())
        };
        self.processes().iter().filter_map(ticks).sum::<f64>() / TICKS
    }

    /// What its state takes on the disk, in MiB.
    ///
    /// # Errors
    /// When du fails.
    pub fn disk(&self) -> Result<f64> {
        let text = self.node.must(&["du", "--summarize", "--block-size=1024", self.traits.state])?;
        Ok(text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0)
    }

    /// The folders in /proc of its processes, as the host sees them.
    fn processes(&self) -> Vec<PathBuf> {
        let namespace = |folder: &Path| fs::read_link(folder.join("ns/pid")).ok();
        let own = namespace(Path::new(&format!("/proc/{}", self.node.host_pid())));
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let is_ours = |folder: &PathBuf| {
            fs::read_link(folder.join("exe")).is_ok_and(|exe| {
                let path = exe.to_string_lossy();
                self.traits.programs.iter().any(|program| path.ends_with(program))
            }) && namespace(folder) == own
        };
        entries.flatten().map(|entry| entry.path()).filter(is_ours).collect()
    }
}

/// A line of the driver.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// When it ended, in seconds since 1970.
    pub when: f64,
    /// How long it took.
    pub nanos: f64,
    /// What was found, as a count; `None` where nothing was.
    pub found: Option<usize>,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let when = words.next()?.parse::<f64>().ok()? / 1e9;
        Some(Self { when, nanos: words.next()?.parse().ok()?, found: words.next()?.parse().ok() })
    }
}

/// The domain's name as principals have it.
pub fn principal(name: &str) -> String {
    format!("{name}@{}", dc::REALM)
}
