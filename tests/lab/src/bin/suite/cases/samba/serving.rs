//! The second client as a file server, and SMB clients.

use std::time::{Duration, Instant};

use entra_lab::{Node, Output};

use crate::check::{self, Verdict};
use crate::world::World;

/// Marks a node that [`ready`] made: gone with the node.
pub const MARK: &str = "/run/lab/samba-ready";
/// Name of the server as clients call it.
pub const SERVER: &str = "client2.aadds.contoso.com";

/// Shares of the cases.
const SHARES: &str = "
[share]
   path = /srv/share
   read only = no
   vfs objects = acl_xattr
   inherit acls = yes
[admins]
   path = /srv/share
   read only = no
   valid users = @\"AADDS\\Linux Admins\"
   force group = \"AADDS\\Linux Admins\"
[nested]
   path = /srv/share
   read only = no
   valid users = @\"AADDS\\nest-1\"
[windows]
   path = /srv/share
   read only = no
   vfs objects = acl_xattr
   acl_xattr:ignore system acls = yes
";

/// The second client: joined, Samba installed, configured and running, with shares. Cases share it.
pub fn ready(world: &World) -> Result<Node, String> {
    world.mend()?;
    let node = world.lab.node("client2")?;
    if node.outside_path(MARK).exists() {
        entra_lab::product::start_daemon(&node)?;
        start(&node)?;
        return Ok(node);
    }
    let node = world.freshly_joined()?;
    install(&node)?;
    serve(&node)?;
    node.put_file(MARK, "", 0o644)?;
    Ok(node)
}

/// Configures Samba on a host that has joined, with shares, and starts it.
pub fn serve(node: &Node) -> Verdict {
    let shipped = node.read_file("/etc/samba/smb.conf")?;
    node.put_file("/etc/samba/smb.conf", format!("{shipped}{SHARES}"), 0o644)?;
    check::status("entractl samba configure", &node.run(&["entractl", "samba", "configure"])?, 0)?;
    node.must(&["install", "-d", "-m", "1777", "/srv/share"])?;
    start(node)
}

/// Installs Samba.
pub fn install(node: &Node) -> Verdict {
    check::text("apt-get install", node.apt_install(&["samba", "winbind", "samba-vfs-modules", "acl", "attr"])?)
        .map(drop)
}

/// Starts winbindd and smbd, and waits until winbindd answers.
pub fn start(node: &Node) -> Verdict {
    node.must(&["mkdir", "-p", "/run/samba"])?;
    for program in ["winbindd", "smbd"] {
        if !node.is_running(program)? {
            let path = format!("/usr/sbin/{program}");
            node.start(program, &[&path, "--foreground", "--no-process-group"])?;
        }
    }
    until("winbindd answers", || Ok(node.run(&["wbinfo", "-p"])?.ok()))?;
    until("smbd listens", || Ok(node.sh("ss -Hltn sport = :445 | grep -q .", &[])?.ok()))
}

/// The first client, with smbclient.
pub fn other(world: &World) -> Result<Node, String> {
    client_of(world, SERVER, "10.53.0.21")
}

/// The first client, with smbclient, and with the address of this server.
pub fn client_of(world: &World, server: &str, address: &str) -> Result<Node, String> {
    let node = world.joined()?;
    if !node.outside_path("/usr/bin/smbclient").exists() {
        check::text("apt-get install smbclient", node.apt_install(&["smbclient"])?)?;
    }
    // DNS keeps the name of a computer that was joined before for the account that made it.
    let known = format!("grep -q {server} /etc/hosts || echo {address} {server} >>/etc/hosts");
    node.must(&["sh", "-c", &known])?;
    Ok(node)
}

/// Where a user's ticket is on the client.
pub fn ccache(user: &str) -> String {
    format!("/tmp/smb-{}", user.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_"))
}

/// Gets a ticket for a user.
pub fn ticket(client: &Node, user: &str, password: &str) -> Verdict {
    let words = ["kinit", "-c", &ccache(user), user];
    let output = client.run_with(&words, Some(format!("{password}\n").as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::text("kinit", output).map(drop)
}

/// smbclient as a user that has a ticket.
pub fn smb(client: &Node, user: &str, share: &str, commands: &str) -> Result<Output, String> {
    smb_at(client, SERVER, user, share, commands)
}

/// The same at this server.
pub fn smb_at(client: &Node, server: &str, user: &str, share: &str, commands: &str) -> Result<Output, String> {
    let (target, ccache) = (format!("//{server}/{share}"), format!("KRB5CCNAME={}", ccache(user)));
    Ok(client.run(&["env", &ccache, "smbclient", &target, "--use-kerberos=required", "-N", "-c", commands])?)
}

/// smbcacls as a user that has a ticket: what it printed.
pub fn acls(client: &Node, user: &str, file: &str, more: &[&str]) -> Result<String, String> {
    let (target, ccache) = (format!("//{SERVER}/share"), format!("KRB5CCNAME={}", ccache(user)));
    let mut words = vec!["env", &ccache, "smbcacls", &target, file, "--use-kerberos=required", "-N"];
    words.extend(more);
    check::text("smbcacls", client.run(&words)?)
}

/// Waits for something, half a minute at most.
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool, String>) -> Verdict {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds()? {
        check::that(Instant::now() < end, || format!("not within 30 s: {what}"))?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
