//! The lab as a whole: which nodes there are, bringing them up, finding them again, taking everything down.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dc::{self, Contents};
use crate::error::{Doing, Error, Result};
use crate::namespace::{self, Boot};
use crate::network::{SUBNET, Switch};
use crate::node::Node;
use crate::place::{Lock, remove_tree, run_dir};
use crate::process::Process;
use crate::roots::{self, Stack};
use crate::{booted, client, cloud, host, member, reference, second, winbind};

/// What to bring up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the lab: labs with different names run beside each other. `ENTRA_LAB_NAME`, else "main".
    pub name: String,
    /// Nodes to bring up, among [`NODES`].
    pub nodes: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let name = std::env::var("ENTRA_LAB_NAME").unwrap_or_else(|_| "main".into());
        Self { name, nodes: vec!["dc".into(), "client".into()] }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dc(Contents),
    SecondDc,
    Client,
    Booted,
    Member,
    Reference,
    Winbind,
    Cloud,
}

/// What a node that starts has on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Fresh,
    Kept,
}

/// Every node that a lab can have: its name, kind, host name and the last parts of its addresses. The domain controllers
/// are one machine with different contents: a lab has one of them.
const NODES: [Known; 11] = [
    ("dc", Kind::Dc(Contents::Suite), "dc1", &[10, 11]),
    ("dc-small", Kind::Dc(Contents::Small), "dc1", &[10, 11]),
    ("dc-large", Kind::Dc(Contents::Large), "dc1", &[10, 11]),
    ("dc2", Kind::SecondDc, "dc2", &[12]),
    ("client", Kind::Client, "client1", &[20]),
    ("client2", Kind::Client, "client2", &[21]),
    ("booted", Kind::Booted, "booted1", &[22]),
    ("member13", Kind::Member, member::HOSTNAME, &[23]),
    ("sssd", Kind::Reference, "sssd1", &[30]),
    ("winbind", Kind::Winbind, "winbind1", &[40]),
    ("cloud", Kind::Cloud, "cloud", &[50]),
];

/// Longest wait for a booted node's shutdown; entrad has ten seconds for its own.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// A running lab. Dropping it leaves it running: [`Lab::down`] ends it.
#[derive(Debug)]
pub struct Lab {
    name: String,
    dir: PathBuf,
    switch: Switch,
}

impl Lab {
    /// Brings up what is not up yet; builds what was never built. Safe to repeat.
    ///
    /// # Errors
    /// When not root, when packages cannot be had, or when a service does not start.
    pub fn up(options: &Options) -> Result<Self> {
        check_name(&options.name)?;
        host::prepare()?;
        let _lock = Lock::take(&format!("lab-{}", options.name))?;
        let dir = run_dir(&options.name);
        let switch = if let Some(switch) = Switch::running(&dir) {
            switch
        } else {
            // Nodes without their switch have no cable any more.
            end(&dir)?;
            fs::create_dir_all(&dir).doing(|| format!("create {}", dir.display()))?;
            Switch::start(&dir)?
        };
        let lab = Self { name: options.name.clone(), dir, switch };
        let base = roots::base()?;
        for name in &options.nodes {
            lab.start_node(name, &base, Disk::Fresh)?;
        }
        Ok(lab)
    }

    /// The lab of this name that runs already.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(name: &str) -> Result<Self> {
        let dir = run_dir(name);
        let switch = Switch::running(&dir)
            .ok_or_else(|| Error::new(format!("no lab \"{name}\" is up: run `cargo xtask lab up`")))?;
        Ok(Self { name: name.to_owned(), dir, switch })
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A running node.
    ///
    /// # Errors
    /// When it is not up.
    pub fn node(&self, name: &str) -> Result<Node> {
        let init = Process::recorded(&self.dir.join(name).join("init.pid"))
            .ok_or_else(|| Error::new(format!("the node \"{name}\" is not up in the lab \"{}\"", self.name)))?;
        Ok(Node::new(name, init))
    }

    /// Names of the nodes that are up.
    pub fn nodes(&self) -> Vec<&'static str> {
        NODES.iter().map(|(name, ..)| *name).filter(|name| self.node(name).is_ok()).collect()
    }

    /// Takes a node's cable out: packets are lost, nothing is refused.
    ///
    /// # Errors
    /// When the node has no cable.
    pub fn cut(&self, node: &str) -> Result<()> {
        self.switch.set_link(node, false)
    }

    /// Puts the cable back.
    ///
    /// # Errors
    /// When the node has no cable.
    pub fn mend(&self, node: &str) -> Result<()> {
        self.switch.set_link(node, true)
    }

    /// Whether a node's cable is in.
    ///
    /// # Errors
    /// When the node has no cable.
    pub fn is_connected(&self, node: &str) -> Result<bool> {
        self.switch.link_is_up(node)
    }

    /// Throws a node away and starts it afresh: a client is pristine again, the directory as it was filled.
    ///
    /// # Errors
    /// When it cannot be ended or started.
    pub fn renew(&self, name: &str) -> Result<Node> {
        let _lock = Lock::take(&format!("lab-{}", self.name))?;
        end_node(&self.dir.join(name))?;
        self.start_node(name, &roots::base()?, Disk::Fresh)?;
        self.node(name)
    }

    /// Has a booted node shut down as its administrator would, and boots it again with what it has on its disk.
    ///
    /// # Errors
    /// When it is not up, or does not end or start.
    pub fn reboot(&self, name: &str) -> Result<Node> {
        let _lock = Lock::take(&format!("lab-{}", self.name))?;
        let dir = self.dir.join(name);
        let init = Process::recorded(&dir.join("init.pid"));
        let init = init.ok_or_else(|| Error::new(format!("the node \"{name}\" is not up")))?;
        // The bus may be gone before the answer.
        self.node(name)?.run(&["systemctl", "--no-block", "poweroff"])?;
        let end = Instant::now() + SHUTDOWN;
        while init.alive() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        if init.alive() {
            return Err(Error::new(format!("the node \"{name}\" did not shut down in {} s", SHUTDOWN.as_secs())));
        }
        booted::remove_cgroup(&dir)?;
        self.start_node(name, &roots::base()?, Disk::Kept)?;
        self.node(name)
    }

    /// Ends everything and leaves nothing: no process, mount, link or file in memory. Built roots stay on disk.
    ///
    /// # Errors
    /// When a process does not end or a folder cannot be removed.
    pub fn down(self) -> Result<()> {
        down(&self.name)
    }

    fn start_node(&self, name: &str, base: &Stack, disk: Disk) -> Result<()> {
        let (name, kind, hostname, octets) = known(name)?;
        let node = if let Ok(node) = self.node(name) {
            node
        } else {
            let stack = stack(kind, base)?;
            let dir = self.dir.join(name);
            if disk == Disk::Fresh {
                remove_tree(&dir)?;
            }
            fs::create_dir_all(&dir).doing(|| format!("create {}", dir.display()))?;
            let cgroup = (kind == Kind::Booted).then(|| booted::cgroup(&dir));
            let init = namespace::boot(&Boot { dir: &dir, lowers: &stack.layers, hostname, cgroup })?;
            self.switch.connect(name, init, octets)?;
            Node::new(name, init)
        };
        let address = format!("{SUBNET}.{}", octets[0]);
        match kind {
            Kind::Dc(_) => dc::start(&node),
            Kind::SecondDc => second::start(&node, &self.node("dc")?),
            Kind::Client => client::start(&node, hostname, &address),
            Kind::Booted => booted::start(&node, hostname, &address),
            Kind::Member => member::start(&node, hostname, &address),
            Kind::Reference => reference::start(&node, hostname, &address),
            Kind::Winbind => winbind::start(&node, hostname, &address),
            Kind::Cloud => {
                let clients: Vec<Node> = ["client", "client2"].iter().filter_map(|name| self.node(name).ok()).collect();
                cloud::start(&node, &self.node("dc")?, &clients)
            }
        }
    }
}

/// Builds what these nodes start from, where it was never built.
///
/// # Errors
/// As [`Lab::up`].
pub fn build_roots(nodes: &[&str]) -> Result<()> {
    host::prepare()?;
    let base = roots::base()?;
    nodes.iter().try_for_each(|name| stack(known(name)?.1, &base).map(drop))
}

/// Ends the lab of this name, also one that is only half there.
///
/// # Errors
/// When a process does not end or a folder cannot be removed.
pub fn down(name: &str) -> Result<()> {
    check_name(name)?;
    let _lock = Lock::take(&format!("lab-{name}"))?;
    let dir = run_dir(name);
    end(&dir)?;
    remove_tree(&dir)?;
    if let Some(parent) = dir.parent() {
        // Fails while another lab is up, as it should.
        let _ = fs::remove_dir(parent);
    }
    Ok(())
}

fn end(dir: &Path) -> Result<()> {
    for (name, ..) in NODES {
        end_node(&dir.join(name))?;
    }
    Switch::running(dir).map_or(Ok(()), Switch::stop)
}

fn end_node(dir: &Path) -> Result<()> {
    if let Some(init) = Process::recorded(&dir.join("init.pid")) {
        init.kill()?;
    }
    // Where its control groups were mounted while it started.
    if dir.join("cgroup").exists() {
        booted::remove_cgroup(dir)?;
    }
    remove_tree(dir)
}

type Known = (&'static str, Kind, &'static str, &'static [u8]);

fn known(name: &str) -> Result<Known> {
    NODES.into_iter().find(|(known, ..)| *known == name).ok_or_else(|| {
        let all: Vec<&str> = NODES.iter().map(|(name, ..)| *name).collect();
        Error::new(format!("there is no node \"{name}\"; there are {}", all.join(", ")))
    })
}

fn stack(kind: Kind, base: &Stack) -> Result<Stack> {
    match kind {
        Kind::Dc(contents) => dc::roots(base, contents),
        Kind::SecondDc => second::roots(),
        Kind::Client => client::roots(base),
        Kind::Booted => booted::roots(base),
        Kind::Member => member::roots(),
        Kind::Reference => reference::roots(base),
        Kind::Winbind => winbind::roots(base),
        Kind::Cloud => cloud::roots(base),
    }
}

/// A lab's name becomes a folder's name.
fn check_name(name: &str) -> Result<()> {
    let fits = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Ok(()) } else { Err(Error::new("a lab's name has 1 to 32 letters, digits and hyphens")) }
}
