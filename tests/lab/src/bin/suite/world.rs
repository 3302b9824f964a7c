//! The suite's nodes, and how they come into the state that a case needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use entra_lab::{Lab, Node, Options, booted, cloud, product, second};
use serde::Serialize;

use crate::check::{self, Verdict};

/// An account that a case adds to the directory for as long as it runs.
#[derive(Serialize)]
pub struct Planted {
    kind: &'static str,
    name: &'static str,
    password: &'static str,
    members: Vec<&'static str>,
    attributes: BTreeMap<&'static str, &'static str>,
}

impl Planted {
    /// A user with this password.
    pub fn user(name: &'static str, password: &'static str) -> Self {
        Self { kind: "user", name, password, members: Vec::new(), attributes: BTreeMap::new() }
    }

    /// A security group with these members.
    pub fn group(name: &'static str, members: &[&'static str]) -> Self {
        Self { kind: "group", name, password: "", members: members.to_vec(), attributes: BTreeMap::new() }
    }

    /// With more attributes.
    pub fn with(mut self, attributes: &[(&'static str, &'static str)]) -> Self {
        self.attributes.extend(attributes.iter().copied());
        self
    }
}

/// The lab of a lane of the suite.
pub struct World {
    /// The lab itself, to cut cables.
    pub lab: Lab,
    packages: PathBuf,
    /// A lab beside it, with two domain controllers: made by the first case that wants one.
    two: OnceLock<Result<Lab, String>>,
}

impl World {
    /// Ends what an interrupted run left of the labs of this name.
    pub fn clear(name: &str) -> Result<(), String> {
        entra_lab::down(name)?;
        Ok(entra_lab::down(&two(name))?)
    }

    /// Brings up the directory, two clients and the reference, which is also what cases call a host without a directory.
    pub fn up(name: &str, packages: PathBuf) -> Result<Self, String> {
        product::packages(&packages)?;
        let nodes = ["dc", "client", "client2", "sssd"].map(str::to_owned).to_vec();
        let lab = Lab::up(&Options { name: name.to_owned(), nodes })?;
        Ok(Self { lab, packages, two: OnceLock::new() })
    }

    /// A lab of its own with two domain controllers of one domain, `dc` and `dc2` (Samba 4.22), both running and with
    /// their cables in, and a `client` that is joined, known to both, and without its daemon.
    pub fn two_dcs(&self) -> Result<&Lab, String> {
        let made = self.two.get_or_init(|| {
            let nodes = ["dc", "dc2", "client"].map(str::to_owned).to_vec();
            let lab = Lab::up(&Options { name: two(self.lab.name()), nodes })?;
            let client = lab.node("client")?;
            product::install(&client, &self.packages)?;
            check::status("entractl join", &product::join(&client)?, 0)?;
            second::wait_for_account(&lab.node("dc")?, &lab.node("dc2")?, "CLIENT1$")?;
            Ok(lab)
        });
        let lab = made.as_ref().map_err(Clone::clone)?;
        for node in ["dc", "dc2"] {
            if !lab.is_connected(node)? {
                lab.mend(node)?;
            }
        }
        // Starts a domain controller that a case has ended.
        Lab::up(&Options { name: lab.name().to_owned(), nodes: vec!["dc".into(), "dc2".into()] })?;
        product::stop_daemon(&lab.node("client")?)?;
        Ok(lab)
    }

    /// Ends all of it, and looks for what it may have left.
    pub fn down(self) -> Result<(), String> {
        entra_lab::down(&two(self.lab.name()))?;
        let folder = format!("/{}/", self.lab.name());
        let inits: Vec<u32> =
            self.lab.nodes().iter().filter_map(|name| Some(self.lab.node(name).ok()?.host_pid())).collect();
        let namespaces: Vec<PathBuf> = inits.iter().filter_map(|pid| namespace(&pid.to_string())).collect();
        self.lab.down()?;
        let left: Vec<String> = fs::read_dir("/proc")
            .map_err(|error| error.to_string())?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|pid| namespace(pid).is_some_and(|found| namespaces.contains(&found)))
            .collect();
        check::equal("processes in the nodes' namespaces", &left, &Vec::new())?;
        let mounts = fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
        check::that(!mounts.contains(&folder), || format!("mounts were left:\n{mounts}"))
    }

    /// The domain controller.
    pub fn dc(&self) -> Result<Node, String> {
        Ok(self.lab.node("dc")?)
    }

    /// The reference: SSSD joined to the same directory.
    pub fn reference(&self) -> Result<Node, String> {
        Ok(self.lab.node("sssd")?)
    }

    /// What stands in for Entra ID and Azure Files, as it should be; the directory has the trust, and the clients that are
    /// up know its hosts.
    pub fn cloud(&self) -> Result<Node, String> {
        self.mend()?;
        Lab::up(&Options { name: self.lab.name().to_owned(), nodes: vec!["cloud".into()] })?;
        let node = self.lab.node("cloud")?;
        // What a case that was interrupted left behind.
        cloud::agree(&node, true)?;
        node.stop("cloud-proxy")?;
        cloud::start_proxy(&node, cloud::TENANT, cloud::Certificate::Good)?;
        Ok(node)
    }

    /// The second client, pristine: nothing of ours installed.
    pub fn pristine(&self) -> Result<Node, String> {
        self.mend()?;
        self.forget_computer("CLIENT2")?;
        Ok(self.lab.renew("client2")?)
    }

    /// The second client with our packages, not joined.
    pub fn installed(&self) -> Result<Node, String> {
        let node = self.pristine()?;
        product::install(&node, &self.packages)?;
        Ok(node)
    }

    /// The second client, freshly joined; its daemon runs.
    pub fn freshly_joined(&self) -> Result<Node, String> {
        let node = self.installed()?;
        check::status("entractl join", &product::join(&node)?, 0)?;
        product::start_daemon(&node)?;
        Ok(node)
    }

    /// The first client, joined, the daemon running, the directory reachable: shared by the cases that change nothing.
    pub fn joined(&self) -> Result<Node, String> {
        self.mend()?;
        let node = self.lab.node("client")?;
        if !node.outside_path("/usr/sbin/entrad").exists() {
            product::install(&node, &self.packages)?;
        }
        if !node.outside_path("/etc/krb5.keytab").exists() {
            check::status("entractl join", &product::join(&node)?, 0)?;
        }
        product::start_daemon(&node)?;
        Ok(node)
    }

    /// A client that systemd has just booted, with our packages, not joined. Where this machine cannot have one, the
    /// error skips the case.
    pub fn booted(&self) -> Result<Node, String> {
        if let Some(reason) = booted::hindrance()? {
            return Err(check::skip(&reason));
        }
        self.mend()?;
        self.forget_computer("BOOTED1")?;
        let node = self.lab.renew("booted")?;
        product::install(&node, &self.packages)?;
        Ok(node)
    }

    /// A booted client, joined, its service running: shared by the cases that follow one another.
    pub fn booted_and_joined(&self) -> Result<Node, String> {
        self.mend()?;
        if let Ok(node) = self.lab.node("booted")
            && node.outside_path("/etc/entra/join.json").exists()
        {
            return Ok(node);
        }
        let node = self.booted()?;
        check::status("entractl join", &product::join(&node)?, 0)?;
        Ok(node)
    }

    /// A Debian 13 host with its Samba and our packages, not joined.
    pub fn member(&self) -> Result<Node, String> {
        self.mend()?;
        self.forget_computer("MEMBER13")?;
        let node = self.lab.renew("member13")?;
        product::install(&node, &self.packages)?;
        Ok(node)
    }

    /// A client that `net ads join` has just joined and that runs winbind, with nothing of ours.
    pub fn winbind(&self) -> Result<Node, String> {
        self.mend()?;
        self.forget_computer("WINBIND1")?;
        Ok(self.lab.renew("winbind")?)
    }

    /// Installs the packages on a node.
    pub fn install(&self, node: &Node) -> Result<(), String> {
        Ok(product::install(node, &self.packages).map(drop)?)
    }

    /// Purges the packages from a node.
    pub fn purge(&self, node: &Node) -> Result<(), String> {
        Ok(product::purge(node, &self.packages).map(drop)?)
    }

    /// Where the packages are.
    pub fn packages(&self) -> &Path {
        &self.packages
    }

    /// Puts the domain controller's cable in.
    pub fn mend(&self) -> Result<(), String> {
        if !self.lab.is_connected("dc")? {
            self.lab.mend("dc")?;
        }
        Ok(())
    }

    /// Whether the directory has an account of this computer.
    pub fn has_computer(&self, name: &str) -> Result<bool, String> {
        let filter = format!("(sAMAccountName={name}$)");
        let words = ["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", &filter, "dn"];
        Ok(self.dc()?.must(&words)?.contains("dn: CN="))
    }

    /// Runs `work`, with the RIDs of the planted accounts, while the directory holds them.
    pub fn with_planted(&self, accounts: &[Planted], work: impl FnOnce(&[u32]) -> Verdict) -> Verdict {
        let list = serde_json::to_vec(accounts).map_err(|error| error.to_string())?;
        let program = include_str!("../../../data/plant-accounts.py");
        let change = |verb: &str| -> Result<String, String> {
            let words = ["/usr/bin/python3", "-c", program, verb];
            check::text(verb, self.dc()?.run_with(&words, Some(&list), entra_lab::DEFAULT_LIMIT)?)
        };
        // What a case that was interrupted left behind.
        change("delete")?;
        let rids: Vec<u32> = change("add")?.lines().filter_map(|line| line.parse().ok()).collect();
        let verdict = check::equal("accounts planted", &rids.len(), &accounts.len()).and_then(|()| work(&rids));
        change("delete")?;
        verdict
    }

    fn forget_computer(&self, name: &str) -> Result<(), String> {
        if self.has_computer(name)? {
            self.dc()?.must(&["samba-tool", "computer", "delete", name])?;
        }
        Ok(())
    }
}

/// Name of the lab with two domain controllers.
fn two(name: &str) -> String {
    format!("{name}-two")
}

/// The PID namespace of a process.
fn namespace(pid: &str) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(pid).join("ns").join("pid")).ok()
}
