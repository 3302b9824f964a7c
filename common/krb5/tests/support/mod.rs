//! MIT's krb5kdc in a folder of its own, on a port of its own, ended with the test.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on says so by a panic.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const REALM: &str = "TEST.EXAMPLE";
const MASTER_PASSWORD: &str = "master";

pub struct TestKdc {
    folder: PathBuf,
    address: SocketAddr,
    process: Child,
    /// kadmind, where it was asked for.
    kpasswd: Option<(SocketAddr, Child)>,
}

impl TestKdc {
    /// A new realm without any user, answering on TCP.
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("entra-krb5-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        write_config(&folder, address.port());
        run(&folder, "kdb5_util", &["create", "-s", "-W", "-r", REALM, "-P", MASTER_PASSWORD]);
        let process = tool(&folder, "krb5kdc").arg("-n").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let kdc = Self { folder, address, process, kpasswd: None };
        let limit = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < limit, "krb5kdc does not answer: {}", kdc.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        kdc
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts kadmind and gives the address where it takes new passwords. Its policy wants eight characters of two kinds.
    pub fn start_kpasswd(&mut self) -> SocketAddr {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, admin) = (free(), free());
        let config = self.path("kdc.conf");
        let text = std::fs::read_to_string(&config).unwrap();
        let lines = format!("  kadmind_listen = {admin}\n  kpasswd_listen = {address}\n  max_life");
        write(&config, &text.replace("  max_life", &lines));
        write(&self.path("acl"), "");
        self.kadmin("addpol -minlength 8 -minclasses 2 strict");
        let mut command = tool(&self.folder, "kadmind");
        let process = command.arg("-nofork").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.kpasswd = Some((address, process));
        let limit = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < limit, "kadmind does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        address
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn kadmin(&self, command: &str) {
        run(&self.folder, "kadmin.local", &["-r", REALM, "-q", command]);
    }

    /// A user for whom pre-authentication is required, as everywhere in AD.
    pub fn add_user(&self, name: &str, password: &str) {
        self.kadmin(&format!("addprinc +requires_preauth -pw \"{password}\" {name}"));
    }

    /// Makes the account `HOST$` and gives its keytab.
    pub fn machine_keytab(&self) -> PathBuf {
        let path = self.path("keytab");
        self.kadmin("addprinc +requires_preauth -randkey HOST$");
        self.kadmin(&format!("ktadd -k {} HOST$", path.display()));
        path
    }

    /// A ccache of `HOST$` for FAST, as a residual name.
    pub fn machine_ccache(&self) -> String {
        let keytab = self.machine_keytab();
        let path = self.path("machine.ccache");
        entra_krb5::initial_with_keytab(REALM, self.address, None, &keytab, &path, Duration::from_secs(10)).unwrap();
        format!("FILE:{}", path.display())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("kdc.log")).unwrap_or_default()
    }

    /// AS-REQs so far that carried proof of a wrong password.
    pub fn refused_proofs(&self) -> usize {
        self.log().lines().filter(|line| line.contains("AS_REQ") && line.contains("PREAUTH_FAILED")).count()
    }
}

impl Drop for TestKdc {
    fn drop(&mut self) {
        let kadmind = self.kpasswd.take().map(|(_, process)| process);
        if let Some(mut process) = kadmind {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn write_config(folder: &Path, port: u16) {
    let here = folder.display();
    let text = format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n\
         [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n  database_module = db\n }}\n\
         [dbmodules]\n db = {{\n  db_library = db2\n  database_name = {here}/principal\n }}\n\
         [logging]\n kdc = FILE:{here}/kdc.log\n"
    );
    write(&folder.join("krb5.conf"), &text);
    let text = format!(
        "[kdcdefaults]\n kdc_listen = \"\"\n kdc_tcp_listen = 127.0.0.1:{port}\n\
         [realms]\n {REALM} = {{\n  key_stash_file = {here}/stash\n  acl_file = {here}/acl\n\
         \x20 supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal\n\
         \x20 max_life = 10h\n  max_renewable_life = 7d\n }}\n"
    );
    write(&folder.join("kdc.conf"), &text);
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn tool(folder: &Path, name: &str) -> Command {
    let path = ["/usr/sbin", "/usr/bin"]
        .map(|bin| Path::new(bin).join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not installed: install the packages krb5-kdc and krb5-admin-server"));
    let mut command = Command::new(path);
    command.env("KRB5_CONFIG", folder.join("krb5.conf")).env("KRB5_KDC_PROFILE", folder.join("kdc.conf"));
    command
}

fn run(folder: &Path, name: &str, arguments: &[&str]) {
    let output = tool(folder, name).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !words.contains("while ") && !words.contains("not found"),
        "{name} {arguments:?}: {words}"
    );
}
