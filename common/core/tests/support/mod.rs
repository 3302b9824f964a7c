//! A directory and a KDC in memory: fakes that keep state, for the use cases' tests.
#![allow(dead_code, missing_docs, clippy::unwrap_used)] // Test code; each file uses its own part.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use entra_core::Error;
use entra_core::auth::{
    AuthAnswer, AuthRequest, CcacheTarget, ChangeRequest, ChangeVerdict, FetchRequest, Kdc, KdcVerdict, Kept,
    MachineTicket, PasswordPipe, RenewRequest, TicketTimes,
};
use entra_core::config::{self, Config};
use entra_core::directory::{Batches, ChangeMark, Directory, DomainInfo, Health, Key};
use entra_core::idmap::IdMapper;
use entra_core::lookup::{Allowance, Clock, DomainContext, Lookup, Settings};
use entra_core::store::{IdentityStore, SliceStore};
use entra_core::types::{AccountState, Entry, GroupEntry, Sid, UserEntry, fold};

pub const DOMAIN: &str = "aadds.contoso.com";
pub const DOMAIN_SID: &str = "S-1-5-21-3623811015-3361044348-30300820";
pub const ALICE_UID: u32 = 674_001_103;

pub fn sid(rid: u32) -> Sid {
    DOMAIN_SID.parse::<Sid>().unwrap().with_rid(rid).unwrap()
}

#[derive(Default)]
pub struct FakeDirectory {
    pub users: Mutex<Vec<UserEntry>>,
    pub groups: Mutex<Vec<GroupEntry>>,
    /// (member's DN, group's RID)
    pub member_of: Mutex<Vec<(String, u32)>>,
    /// (user's DN, filter that it matches)
    pub matching: Mutex<Vec<(String, String)>>,
    pub away: AtomicBool,
    pub searches: AtomicU64,
    pub slow: Mutex<Duration>,
    running: AtomicU64,
    most: AtomicU64,
    /// uSNChanged by RID; 0 where nothing is said.
    pub changed: Mutex<HashMap<u32, u64>>,
    /// Which database the server has.
    pub database: Mutex<Vec<u8>>,
    /// The enumerations of users so far: everything, or what changed since.
    pub passes: Mutex<Vec<Option<u64>>>,
}

impl FakeDirectory {
    pub fn with_people() -> Arc<Self> {
        let directory = Self::default();
        directory.add_user(1103, "Alice", Some("Alice@contoso.com"));
        directory.add_user(1104, "bob", None);
        directory.add_group(513, "Domain Users");
        directory.add_group(1200, "Linux Admins");
        directory.add_group(1201, "sudo");
        directory.join("Alice", 1200);
        Arc::new(directory)
    }

    pub fn add_user(&self, rid: u32, sam: &str, upn: Option<&str>) {
        self.users.lock().unwrap().push(UserEntry {
            sid: Some(sid(rid)),
            former_sids: Vec::new(),
            guid: vec![rid as u8; 16],
            dn: format!("CN={sam}"),
            sam: sam.into(),
            upn: upn.map(Into::into),
            gecos: format!("{sam} Example"),
            primary_group_rid: 513,
            posix: None,
            ssh_keys: Vec::new(),
            state: AccountState { control: 0x200, password_last_set: 1, ..AccountState::default() },
        });
    }

    pub fn add_group(&self, rid: u32, sam: &str) {
        self.groups.lock().unwrap().push(GroupEntry {
            sid: Some(sid(rid)),
            former_sids: Vec::new(),
            guid: vec![rid as u8; 16],
            dn: format!("CN={sam}"),
            sam: sam.into(),
            group_type: i32::MIN | 2,
            gid_number: None,
        });
    }

    pub fn join(&self, sam: &str, group: u32) {
        self.member_of.lock().unwrap().push((format!("CN={sam}"), group));
    }

    pub fn leave(&self, sam: &str, group: u32) {
        self.member_of.lock().unwrap().retain(|(dn, rid)| (dn.as_str(), *rid) != (&format!("CN={sam}"), group));
    }

    /// The user had this SID before.
    pub fn came_from(&self, sam: &str, former: &Sid) {
        let mut users = self.users.lock().unwrap();
        users.iter_mut().find(|user| user.sam == sam).unwrap().former_sids.push(former.clone());
    }

    pub fn set_state(&self, sam: &str, state: AccountState) {
        let mut users = self.users.lock().unwrap();
        users.iter_mut().find(|user| user.sam == sam).unwrap().state = state;
    }

    pub fn cut(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    pub fn searches(&self) -> u64 {
        self.searches.load(Ordering::SeqCst)
    }

    /// Most searches that were answered at the same time.
    pub fn most_at_once(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }

    async fn search(&self) -> Result<(), Error> {
        self.searches.fetch_add(1, Ordering::SeqCst);
        let slow = *self.slow.lock().unwrap();
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(slow).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) { Err(Error::Offline("the link is cut".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Directory for FakeDirectory {
    async fn domain_info(&self) -> Result<DomainInfo, Error> {
        self.search().await?;
        Ok(DomainInfo {
            sid: DOMAIN_SID.parse().unwrap(),
            netbios: "AADDS".into(),
            dns_name: DOMAIN.into(),
            base_dn: "DC=aadds,DC=contoso,DC=com".into(),
        })
    }

    async fn kdc(&self) -> Result<SocketAddr, Error> {
        if self.away.load(Ordering::SeqCst) {
            Err(Error::Offline("cut".into()))
        } else {
            Ok(([127, 0, 0, 1], 88).into())
        }
    }

    fn health(&self) -> Health {
        Health { searches: self.searches(), online: !self.away.load(Ordering::SeqCst), ..Health::default() }
    }

    async fn user(&self, key: &Key) -> Result<Option<UserEntry>, Error> {
        self.search().await?;
        let matches = |user: &UserEntry| match key {
            Key::Sam(name) => fold(&user.sam) == fold(name),
            Key::Upn(name) => user.upn.as_deref().is_some_and(|upn| fold(upn) == fold(name)),
            Key::SamOrUpn { sam, upn } => {
                fold(&user.sam) == fold(sam) || user.upn.as_deref().is_some_and(|own| fold(own) == fold(upn))
            }
            Key::Sid(sid) => user.sid.as_ref() == Some(sid),
            Key::FormerSid(sid) => user.former_sids.contains(sid),
            Key::PosixId(_) => false,
        };
        let users = self.users.lock().unwrap();
        // As the real adapter: an explicit UPN goes before the one that a sAMAccountName implies.
        let explicit = users.iter().find(|user| match key {
            Key::SamOrUpn { upn, .. } => user.upn.as_deref().is_some_and(|own| fold(own) == fold(upn)),
            _ => false,
        });
        Ok(explicit.or_else(|| users.iter().find(|user| matches(user))).cloned())
    }

    async fn group(&self, key: &Key) -> Result<Option<GroupEntry>, Error> {
        self.search().await?;
        let matches = |group: &GroupEntry| match key {
            Key::Sam(name) => fold(&group.sam) == fold(name),
            Key::Sid(sid) => group.sid.as_ref() == Some(sid),
            Key::FormerSid(sid) => group.former_sids.contains(sid),
            _ => false,
        };
        Ok(self.groups.lock().unwrap().iter().find(|group| matches(group)).cloned())
    }

    async fn token_groups(&self, dn: &str, _: &Sid) -> Result<Vec<Sid>, Error> {
        self.search().await?;
        let mut groups = vec!["S-1-5-32-545".parse().unwrap(), sid(513)];
        groups
            .extend(self.member_of.lock().unwrap().iter().filter(|(member, _)| member == dn).map(|(_, rid)| sid(*rid)));
        Ok(groups)
    }

    async fn matches(&self, dn: &str, _: &Sid, filter: &str) -> Result<bool, Error> {
        self.search().await?;
        Ok(self.matching.lock().unwrap().contains(&(dn.into(), filter.into())))
    }

    async fn groups_by_sids(&self, sids: &[Sid]) -> Result<Vec<GroupEntry>, Error> {
        self.search().await?;
        let groups = self.groups.lock().unwrap();
        let wanted = groups.iter().filter(|group| group.sid.as_ref().is_some_and(|sid| sids.contains(sid)));
        Ok(wanted.cloned().collect())
    }

    async fn members(&self, dn: &str, _: &Sid) -> Result<Vec<Entry>, Error> {
        self.search().await?;
        let group = self.groups.lock().unwrap().iter().find(|group| group.dn == dn).unwrap().sid.clone().unwrap();
        let members = self.member_of.lock().unwrap();
        let dns: Vec<_> = members.iter().filter(|(_, rid)| *rid == group.rid()).map(|(dn, _)| dn.clone()).collect();
        let users = self.users.lock().unwrap();
        Ok(users.iter().filter(|user| dns.contains(&user.dn)).map(|user| Entry::User(Box::new(user.clone()))).collect())
    }

    async fn change_mark(&self) -> Result<ChangeMark, Error> {
        self.search().await?;
        let changed = self.changed.lock().unwrap();
        let usn = changed.values().copied().max().unwrap_or_default();
        Ok(ChangeMark { database: self.database.lock().unwrap().clone(), usn })
    }

    async fn list_users(&self, since: Option<u64>, batches: Batches<UserEntry>) -> Result<(), Error> {
        self.search().await?;
        self.passes.lock().unwrap().push(since);
        let changed = self.changed.lock().unwrap().clone();
        let changes = |user: &UserEntry| changed.get(&user.sid.as_ref().unwrap().rid()).copied().unwrap_or_default();
        let users: Vec<_> = self.users.lock().unwrap().clone();
        for user in users.into_iter().filter(|user| since.is_none_or(|since| changes(user) > since)) {
            // A directory that gives them one by one, with a rest between.
            let slow = *self.slow.lock().unwrap();
            tokio::time::sleep(slow).await;
            batches.send(vec![user]).await.map_err(|_| Error::Io("nobody listens".into()))?;
        }
        Ok(())
    }

    async fn list_groups(&self, since: Option<u64>, batches: Batches<GroupEntry>) -> Result<(), Error> {
        self.search().await?;
        let groups = if since.is_none() { self.groups.lock().unwrap().clone() } else { Vec::new() };
        batches.send(groups).await.map_err(|_| Error::Io("nobody listens".into()))
    }
}

/// A KDC that answers what it is told to, and a helper that knows verifiers by the password inside them.
/// How long a loaded host takes for one Argon2id.
pub const COMPARING: Duration = Duration::from_millis(300);

pub struct FakeKdc {
    pub answer: Mutex<Result<AuthAnswer, Error>>,
    pub asked: Mutex<Vec<AuthRequest>>,
    /// How many verifiers were made and compared.
    pub made: AtomicU64,
    pub compared: AtomicU64,
    /// Whether the helper fails.
    pub broken: AtomicBool,
    /// Whether comparing takes [`COMPARING`], two at once.
    pub slow: AtomicBool,
    pub hands: tokio::sync::Semaphore,
    /// What comes of a proof, and of a change.
    pub proof: Mutex<Result<ChangeVerdict, Error>>,
    pub change: Mutex<Result<ChangeVerdict, Error>>,
    pub changes: Mutex<Vec<ChangeRequest>>,
    /// What comes of a renewal; what was renewed and removed.
    pub renewal: Mutex<Result<TicketTimes, Error>>,
    pub renewed: Mutex<Vec<RenewRequest>>,
    pub destroyed: Mutex<Vec<CcacheTarget>>,
    /// Service tickets that were asked for; services whose tickets cannot be had.
    pub fetched: Mutex<Vec<FetchRequest>>,
    pub refused_services: Mutex<Vec<(&'static str, Error)>>,
    /// The passwords that the kernel keeps, by uid, and how long; attempts with them.
    pub kept: Mutex<HashMap<u32, Duration>>,
    pub tried: Mutex<Vec<AuthRequest>>,
}

impl FakeKdc {
    pub fn saying(verdict: KdcVerdict) -> Arc<Self> {
        let kdc = Self {
            answer: Mutex::new(Err(Error::Io("never told".into()))),
            asked: Mutex::new(Vec::new()),
            made: AtomicU64::new(0),
            compared: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            hands: tokio::sync::Semaphore::new(2),
            proof: Mutex::new(Ok(ChangeVerdict::Proven)),
            change: Mutex::new(Ok(ChangeVerdict::Changed)),
            changes: Mutex::new(Vec::new()),
            renewal: Mutex::new(Err(Error::Io("never told".into()))),
            renewed: Mutex::new(Vec::new()),
            destroyed: Mutex::new(Vec::new()),
            fetched: Mutex::new(Vec::new()),
            refused_services: Mutex::new(Vec::new()),
            kept: Mutex::default(),
            tried: Mutex::default(),
        };
        kdc.say(verdict);
        Arc::new(kdc)
    }

    pub fn say(&self, verdict: KdcVerdict) {
        let ccache = (verdict == KdcVerdict::Success).then(|| "FILE:/tmp/krb5cc_other".to_owned());
        *self.answer.lock().unwrap() = Ok(AuthAnswer { verdict, ccache, times: None });
    }

    fn verifier(password: &PasswordPipe) -> String {
        // A second opening of the same file: the descriptor's own position stays.
        let text = std::fs::read_to_string(format!("/proc/self/fd/{}", password.0.as_raw_fd())).unwrap();
        format!("$argon2id$v=19$m=65536,t=3,p=1${text}")
    }
}

/// A password as the use cases get it; a file here, because nobody in these tests reads it twice.
pub fn pipe(password: &str) -> PasswordPipe {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let path = std::env::temp_dir().join(format!("entra-password-{}-{number}", std::process::id()));
    std::fs::write(&path, password).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    PasswordPipe(file.into())
}

#[async_trait]
impl Kdc for FakeKdc {
    async fn machine_ticket(&self, _: &str, _: SocketAddr) -> Result<MachineTicket, Error> {
        Ok(MachineTicket { expires: SystemTime::now() })
    }

    async fn authenticate(&self, request: AuthRequest, _: PasswordPipe) -> Result<AuthAnswer, Error> {
        self.asked.lock().unwrap().push(request);
        self.answer.lock().unwrap().clone()
    }

    async fn renew(&self, request: RenewRequest) -> Result<TicketTimes, Error> {
        self.renewed.lock().unwrap().push(request);
        self.renewal.lock().unwrap().clone()
    }

    async fn fetch(&self, request: FetchRequest) -> Result<TicketTimes, Error> {
        let refused = self.refused_services.lock().unwrap();
        let answer = refused.iter().find(|(service, _)| *service == request.service);
        let answer = answer.map_or(Ok(TicketTimes { ends: 1, renew_till: 1 }), |(_, error)| Err(error.clone()));
        drop(refused);
        self.fetched.lock().unwrap().push(request);
        answer
    }

    async fn keep_password(&self, kept: Kept, life: Duration, _: PasswordPipe) -> Result<(), Error> {
        self.kept.lock().unwrap().insert(kept.uid, life);
        Ok(())
    }

    async fn ticket_from_kept(&self, request: AuthRequest) -> Result<AuthAnswer, Error> {
        let target = request.ccache.clone().unwrap();
        self.tried.lock().unwrap().push(request);
        let answer = self.answer.lock().unwrap().clone()?;
        // It is there for one attempt; the real one writes where it was told to.
        let known = self.kept.lock().unwrap().remove(&target.uid);
        known.ok_or_else(|| Error::Io("no password is kept any more".into()))?;
        let ccache = answer.ccache.is_some().then_some(target.name);
        let times = Some(TicketTimes { ends: 2_000_000_000, renew_till: 2_000_000_000 });
        Ok(AuthAnswer { ccache, times, ..answer })
    }

    async fn forget_password(&self, kept: Kept) -> Result<(), Error> {
        self.kept.lock().unwrap().remove(&kept.uid);
        Ok(())
    }

    async fn destroy_ccache(&self, ccache: CcacheTarget) -> Result<(), Error> {
        self.destroyed.lock().unwrap().push(ccache);
        Ok(())
    }

    fn copy(&self, password: PasswordPipe) -> Result<(PasswordPipe, Option<PasswordPipe>), Error> {
        let copy = PasswordPipe(password.0.try_clone().unwrap());
        Ok((password, Some(copy)))
    }

    async fn prove_for_change(&self, _: ChangeRequest, _: PasswordPipe) -> Result<ChangeVerdict, Error> {
        self.proof.lock().unwrap().clone()
    }

    async fn change_password(
        &self,
        request: ChangeRequest,
        _: PasswordPipe,
        _: PasswordPipe,
    ) -> Result<ChangeVerdict, Error> {
        self.changes.lock().unwrap().push(request);
        self.change.lock().unwrap().clone()
    }

    async fn make_verifier(&self, password: PasswordPipe) -> Result<String, Error> {
        self.made.fetch_add(1, Ordering::SeqCst);
        Ok(Self::verifier(&password))
    }

    async fn check_verifier(&self, verifier: &str, password: PasswordPipe, turn: Duration) -> Result<bool, Error> {
        self.compared.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::Interrupted("the helper ended without an answer".into()));
        }
        if self.slow.load(Ordering::SeqCst) {
            // Two hands and a crowd: somebody's turn comes late, and not at all where it may not.
            let place = tokio::time::timeout(turn, self.hands.acquire()).await;
            let Ok(Ok(place)) = place else { return Err(Error::Busy("logins; try again".into())) };
            tokio::time::sleep(COMPARING).await;
            drop(place);
        }
        Ok(verifier == Self::verifier(&password))
    }
}

/// A host with one domain, its files in a folder of its own.
pub struct Host {
    pub folder: PathBuf,
    pub directory: Arc<FakeDirectory>,
    pub time: Arc<AtomicU64>,
    pub config: Config,
    pub unknown: Allowance,
}

impl Host {
    pub fn new(directory: Arc<FakeDirectory>, options: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("entra-core-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("passwd"), "root:x:0:0::/root:/bin/sh\nlocal:x:1000:1000::/:/bin/sh\n").unwrap();
        std::fs::write(folder.join("group"), "root:x:0:\nstaff:x:50:\n").unwrap();
        let config = config::parse(&format!("[domains.\"{DOMAIN}\"]\n{options}")).unwrap();
        let unknown = Allowance::default();
        Self { folder, directory, time: Arc::new(AtomicU64::new(1_800_000_000)), config, unknown }
    }

    /// Starts the lookups, as a daemon does; again over the same files for a restart.
    pub fn start(&self) -> Arc<Lookup> {
        let slices = SliceStore::open(&self.file("idmap.db")).unwrap();
        let mapper = IdMapper::open(slices, &self.config.domains).unwrap();
        let store = Arc::new(IdentityStore::open(&self.file("identity.db")).unwrap());
        let directory: Arc<dyn Directory> = self.directory.clone();
        let domains = vec![DomainContext::new(self.config.domains[0].clone(), directory)];
        let settings = Settings {
            cache_ttl: self.config.cache_ttl,
            negative_ttl: self.config.negative_ttl,
            deadline: Duration::from_millis(500),
            unknown: self.unknown,
            reserved_groups: self.config.reserved_groups.clone(),
            passwd: self.file("passwd"),
            group: self.file("group"),
            known_domains: self.file("domains.json"),
        };
        let time = Arc::clone(&self.time);
        let clock: Clock = Arc::new(move || time.load(Ordering::SeqCst));
        Lookup::new(domains, mapper, store, settings, clock).unwrap()
    }

    pub fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
