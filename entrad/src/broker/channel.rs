//! The worker's side of the broker: [`Kdc`] over the socket.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use entra_core::Error;
use entra_core::auth::{
    AuthAnswer, AuthRequest, CcacheTarget, ChangeRequest, ChangeVerdict, FetchRequest, Kdc, Kept, MachineTicket,
    PasswordPipe, RenewRequest, RotateRequest, TicketTimes,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::seqpacket::{self, MAX_MESSAGE};
use super::{copy, frame};
use crate::helper::{Failure, Reply, Request};

/// Most requests that are under way: what the broker lets wait, verifiers for later among them, and what it works at.
const MAX_REQUESTS: usize = 640;
/// How long a machine ticket may take.
const MACHINE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a verifier may take to be made, its turn included: nobody waits for it.
const MAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a password may take to be compared with one, once it is its turn: somebody waits at a prompt.
const CHECK_TIMEOUT: Duration = Duration::from_secs(6);
/// How long it may take to keep or forget a password: somebody waits, and the kernel does not.
const KEPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the removal of a ccache may take: the end of a session waits for it.
const DESTROY_TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer than the request's own time is waited: helper and broker keep that time themselves, and say why.
const MARGIN: Duration = Duration::from_secs(2);

/// The next request's id. One count for all channels of this process: after a reload the answer to a request of the
/// channel before must never be taken for that to another one.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Asks the broker; any number of requests at once.
pub struct Channel {
    inner: Arc<Inner>,
    reader: tokio::task::JoinHandle<()>,
}

struct Inner {
    socket: AsyncFd<OwnedFd>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
}

impl Channel {
    /// Takes the worker's end of the socket. `lost` is called once when the broker is gone: without it nobody can log
    /// in, so the worker should end and be started anew.
    ///
    /// # Errors
    /// When the descriptor cannot be watched, or outside of a tokio runtime's context.
    pub fn new(socket: OwnedFd, lost: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let socket = seqpacket::watch(socket)?;
        let inner = Arc::new(Inner { socket, waiting: Mutex::default() });
        let reading = Arc::clone(&inner);
        let reader = tokio::spawn(async move {
            reading.read_answers().await;
            reading.waiting().clear();
            lost();
        });
        Ok(Self { inner, reader })
    }

    async fn authenticated(&self, request: Request, passwords: Vec<OwnedFd>) -> Result<AuthAnswer, Error> {
        match self.call(&request, passwords).await? {
            Reply::Authenticated { answer, note } => {
                if let (Some(note), Request::Authenticate(request) | Request::TicketFromKept(request)) =
                    (note, &request)
                {
                    log::warn!("login of {}: {note}", request.principal);
                }
                Ok(answer)
            }
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn kept(&self, request: Request, passwords: Vec<OwnedFd>) -> Result<(), Error> {
        match self.call(&request, passwords).await? {
            Reply::Kept => Ok(()),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn change(&self, request: Request, passwords: Vec<OwnedFd>) -> Result<ChangeVerdict, Error> {
        match self.call(&request, passwords).await? {
            Reply::Change(verdict) => Ok(verdict),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn call(&self, request: &Request, passwords: Vec<OwnedFd>) -> Result<Reply, Error> {
        let limit = request.whole() + MARGIN;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let message = frame::join(id, request).map_err(Error::Config)?;
        let (sender, receiver) = oneshot::channel();
        let _waiting = self.inner.wait_for(id, sender)?;
        let answer = async {
            self.inner.send(&message, passwords).await?;
            receiver.await.map_err(|_| Error::Io("the broker has ended; restart entrad".into()))
        };
        tokio::time::timeout(limit, answer)
            .await
            .map_err(|_| Error::Offline("the Kerberos helper gave no answer in time".into()))?
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[async_trait]
impl Kdc for Channel {
    async fn machine_ticket(&self, realm: &str, kdc: SocketAddr) -> Result<MachineTicket, Error> {
        let request = Request::MachineTgt { realm: realm.to_owned(), kdc, timeout: MACHINE_TIMEOUT };
        match self.call(&request, Vec::new()).await? {
            Reply::MachineTicket(ticket) => Ok(ticket),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn authenticate(&self, request: AuthRequest, password: PasswordPipe) -> Result<AuthAnswer, Error> {
        self.authenticated(Request::Authenticate(request), vec![password.0]).await
    }

    async fn renew(&self, request: RenewRequest) -> Result<TicketTimes, Error> {
        match self.call(&Request::Renew(request), Vec::new()).await? {
            Reply::Renewed(times) => Ok(times),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn fetch(&self, request: FetchRequest) -> Result<TicketTimes, Error> {
        match self.call(&Request::Fetch(request), Vec::new()).await? {
            Reply::Fetched(times) => Ok(times),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn keep_password(&self, kept: Kept, life: Duration, password: PasswordPipe) -> Result<(), Error> {
        self.kept(Request::KeepPassword { kept, life, timeout: KEPT_TIMEOUT }, vec![password.0]).await
    }

    async fn ticket_from_kept(&self, request: AuthRequest) -> Result<AuthAnswer, Error> {
        self.authenticated(Request::TicketFromKept(request), Vec::new()).await
    }

    async fn forget_password(&self, kept: Kept) -> Result<(), Error> {
        self.kept(Request::ForgetPassword { kept, timeout: KEPT_TIMEOUT }, Vec::new()).await
    }

    async fn destroy_ccache(&self, ccache: CcacheTarget) -> Result<(), Error> {
        let request = Request::DestroyCcache { ccache, timeout: DESTROY_TIMEOUT };
        match self.call(&request, Vec::new()).await? {
            Reply::Destroyed => Ok(()),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn rotate_keytab(&self, request: RotateRequest) -> Result<Option<u32>, Error> {
        match self.call(&Request::RotateKeytab(request), Vec::new()).await? {
            Reply::Rotated(kvno) => Ok(kvno),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    fn copy(&self, password: PasswordPipe) -> Result<(PasswordPipe, Option<PasswordPipe>), Error> {
        let (password, copy) = copy::of(password.0)?;
        Ok((PasswordPipe(password), copy.map(PasswordPipe)))
    }

    async fn prove_for_change(&self, request: ChangeRequest, old: PasswordPipe) -> Result<ChangeVerdict, Error> {
        self.change(Request::ChangePassword { request, change: false }, vec![old.0]).await
    }

    async fn change_password(
        &self,
        request: ChangeRequest,
        old: PasswordPipe,
        new: PasswordPipe,
    ) -> Result<ChangeVerdict, Error> {
        self.change(Request::ChangePassword { request, change: true }, vec![old.0, new.0]).await
    }

    async fn make_verifier(&self, password: PasswordPipe) -> Result<String, Error> {
        match self.call(&Request::MakeVerifier { timeout: MAKE_TIMEOUT }, vec![password.0]).await? {
            Reply::Verifier(verifier) => Ok(verifier),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }

    async fn check_verifier(&self, verifier: &str, password: PasswordPipe, turn: Duration) -> Result<bool, Error> {
        let request = Request::CheckVerifier { verifier: verifier.to_owned(), turn, timeout: CHECK_TIMEOUT };
        match self.call(&request, vec![password.0]).await? {
            Reply::Matches(matches) => Ok(matches),
            Reply::Failed(failure) => Err(as_error(failure)),
            _ => Err(mixed_up()),
        }
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Reply>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, id: u64, sender: oneshot::Sender<Reply>) -> Result<Entry<'_>, Error> {
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_REQUESTS {
            return Err(busy());
        }
        waiting.insert(id, sender);
        Ok(Entry { inner: self, id })
    }

    async fn send(&self, message: &[u8], passwords: Vec<OwnedFd>) -> Result<(), Error> {
        let send = |socket: &OwnedFd| {
            let descriptors: Vec<_> = passwords.iter().map(AsFd::as_fd).collect();
            seqpacket::send(socket.as_fd(), message, &descriptors)
        };
        self.socket
            .async_io(Interest::WRITABLE, send)
            .await
            .map_err(|error| Error::Io(format!("the broker cannot be reached: {error}; restart entrad")))
    }

    /// Brings answers to their requests until the broker is gone.
    async fn read_answers(&self) {
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let received = self
                .socket
                .async_io(Interest::READABLE, |socket| seqpacket::receive(socket.as_fd(), &mut buffer))
                .await;
            let length = match received {
                Ok(received) if received.length > 0 => received.length,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::InvalidData) => continue,
                _ => return,
            };
            let Some((id, body)) = frame::split(&buffer[..length]) else { continue };
            let sender = self.waiting().remove(&id);
            match (sender, postcard::from_bytes(body)) {
                // The requester may be gone meanwhile.
                (Some(sender), Ok(reply)) => drop(sender.send(reply)),
                (Some(_), Err(error)) => log::error!("an answer of the broker cannot be read: {error}"),
                (None, _) => {}
            }
        }
    }
}

/// Forgets a request whose future is dropped.
struct Entry<'a> {
    inner: &'a Inner,
    id: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.inner.waiting().remove(&self.id);
    }
}

fn as_error(failure: Failure) -> Error {
    match failure {
        Failure::Offline(why) => Error::Offline(why),
        Failure::Machine(why) => Error::MachineUnauthorized(why),
        Failure::Busy => busy(),
        Failure::Refused(why) => Error::Config(format!("the broker refuses the request: {why}")),
        Failure::Internal(why) => Error::Io(why),
        Failure::Ended(why) => Error::Interrupted(why),
    }
}

/// Not `Offline`: being flooded is no reason to fall back to what an outage allows.
fn busy() -> Error {
    Error::Busy("logins; try again".into())
}

fn mixed_up() -> Error {
    Error::Protocol("the broker answered another question".into())
}
