//! The broker's loop: one thread, one poll, bounds on everything.

use std::collections::VecDeque;
use std::io::{ErrorKind, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::broker::child::{Helper, Progress};
use crate::broker::follow::Follower;
use crate::broker::queue::{Queue, Waiting, Weight};
use crate::broker::refusals::Refusals;
use crate::broker::seqpacket::{self, Interest, MAX_MESSAGE};
use crate::broker::{Policy, frame};
use crate::helper::version::{self, Wrong};
use crate::helper::{Failure, Job, Reply, Request};
use crate::keyring;

/// Most answers that wait for the worker to take them; beyond that nothing more is read from it.
const MAX_ANSWERS: usize = 512;
/// How long a helper may live after the time that its requester gave: it keeps that time itself, so that its answer
/// says what happened.
const GRACE: Duration = Duration::from_millis(500);
/// How often ended helpers that have not died yet are looked at.
const REAP: Duration = Duration::from_millis(50);
/// Longest sleep.
const IDLE: Duration = Duration::from_secs(60);

/// What the broker works with; none of it comes from the worker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is let through.
    pub policy: Policy,
    /// The helper's program.
    pub program: PathBuf,
    /// The machine keytab.
    pub keytab: PathBuf,
    /// Where the machine's ticket is kept.
    pub machine_ccache: PathBuf,
    /// uid and gid of the worker.
    pub worker: (u32, u32),
    /// Most helpers at once, beside one that gets the machine's ticket.
    pub helpers: usize,
    /// Most requests that wait for a helper, those for the machine's ticket aside.
    pub queue: usize,
}

/// Serves until the worker's end of `socket` is closed, then kills what still runs.
///
/// # Errors
/// When the socket or poll fails.
pub fn serve(socket: OwnedFd, settings: Settings) -> Result<()> {
    let _reserved = seqpacket::reserve_descriptors()?;
    let queue = Queue::new(settings.queue);
    let (running, dying, answers) = (Vec::new(), Vec::new(), VecDeque::new());
    let refusals = Refusals::default();
    // Before any helper: in a keyring that others have too nothing is kept.
    let keyring = keyring::own_session().map_err(|error| error.to_string());
    let follower = Follower::default();
    let mut broker = Broker { socket, settings, follower, running, dying, queue, answers, refusals, keyring };
    let outcome = broker.run();
    // Not waited for: init inherits them when this process ends.
    broker.dying.extend(broker.running.drain(..).map(Helper::kill));
    outcome
}

struct Broker {
    socket: OwnedFd,
    settings: Settings,
    /// Keeps the policy to what the configuration says now.
    follower: Follower,
    running: Vec<Helper>,
    /// Killed or ended, and not yet reaped. They count as running: a helper that hangs in the kernel takes a place.
    dying: Vec<Child>,
    queue: Queue,
    answers: VecDeque<Vec<u8>>,
    refusals: Refusals,
    /// Whether this process and its helpers have a session keyring of their own, else why not.
    keyring: std::result::Result<(), String>,
}

impl Broker {
    fn run(&mut self) -> Result<()> {
        loop {
            self.start_helpers();
            let ready = self.wait()?;
            let (channel, outputs) = ready.split_first().map_or((false, &[][..]), |(first, rest)| (*first, rest));
            let outputs = outputs.to_vec();
            self.read_helpers(&outputs);
            self.end_late(Instant::now());
            self.dying.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            self.send_answers()?;
            if channel && self.answers.len() < MAX_ANSWERS && !self.take_requests()? {
                return Ok(());
            }
        }
    }

    fn wait(&self) -> Result<Vec<bool>> {
        let mut interests = vec![Interest {
            descriptor: self.socket.as_fd(),
            readable: self.answers.len() < MAX_ANSWERS,
            writable: !self.answers.is_empty(),
        }];
        for helper in &self.running {
            interests.push(Interest { descriptor: helper.output(), readable: true, writable: false });
        }
        let deadlines = self.running.iter().map(|helper| helper.deadline).chain(self.queue.deadline());
        let next = deadlines.min().map_or(IDLE, |next| next.saturating_duration_since(Instant::now()));
        let next = if self.dying.is_empty() { next } else { next.min(REAP) };
        seqpacket::wait(&interests, next.min(IDLE))
    }

    /// Takes what the worker sent. `false` when it is gone.
    fn take_requests(&mut self) -> Result<bool> {
        let mut buffer = vec![0; MAX_MESSAGE];
        // Bounded, so that a worker that floods cannot keep answers from leaving.
        for _ in 0..self.settings.queue.max(1) {
            match seqpacket::receive(self.socket.as_fd(), &mut buffer) {
                Ok(received) if received.length == 0 => return Ok(false),
                Ok(received) => self.take(&buffer[..received.length], received.descriptors),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::InvalidData => self.log_refusal("it is too long"),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.answers.len() >= MAX_ANSWERS {
                break;
            }
        }
        Ok(true)
    }

    fn take(&mut self, message: &[u8], passwords: Vec<OwnedFd>) {
        let Some((id, body)) = frame::split(message) else {
            return self.log_refusal("it has no id");
        };
        let Ok(request) = postcard::from_bytes::<Request>(body) else {
            self.log_refusal("it is none");
            return self.answer(id, &Reply::Failed(Failure::Refused("not a request".into())));
        };
        self.follower.look(&mut self.settings.policy);
        if let Err(reason) = self.settings.policy.check(&request, passwords.len()) {
            self.log_refusal(reason);
            return self.answer(id, &Reply::Failed(Failure::Refused(reason.into())));
        }
        if let (Request::KeepPassword { .. }, Err(why)) = (&request, &self.keyring) {
            let why = format!("the kernel's keys cannot be used here (keyctl): {why}");
            return self.answer(id, &Reply::Failed(Failure::Internal(why)));
        }
        let deadline = Instant::now() + request.whole() + GRACE;
        if !self.queue.push(Waiting { id, request, passwords, deadline }) {
            self.answer(id, &Reply::Failed(Failure::Busy));
        }
    }

    fn log_refusal(&mut self, reason: &str) {
        if let Some(line) = self.refusals.line(reason, Instant::now()) {
            log::warn!("{line}");
        }
    }

    fn start_helpers(&mut self) {
        while let Some(waiting) = self.next() {
            let id = waiting.id;
            match self.start_helper(waiting) {
                Ok(helper) => self.running.push(helper),
                Err(error) => {
                    let program = self.settings.program.display();
                    log::error!("the helper {program} cannot be started: {error}");
                    self.answer(id, &Reply::Failed(Failure::Ended(format!("{program}: {error}"))));
                }
            }
        }
    }

    fn next(&mut self) -> Option<Waiting> {
        let running: Vec<Weight> = self.running.iter().map(|helper| helper.weight).collect();
        self.queue.next(&running, self.dying.len(), self.settings.helpers)
    }

    fn start_helper(&self, waiting: Waiting) -> Result<Helper> {
        let settings = &self.settings;
        // What others' turns took is gone for the helper, as far as the request had no time for them.
        let now = Instant::now();
        let mut request = waiting.request;
        let left = waiting.deadline.saturating_duration_since(now).saturating_sub(GRACE).min(request.timeout());
        let weight = Weight::of(&request);
        request.set_timeout(left);
        let job = Job {
            request,
            keytab: settings.keytab.clone(),
            machine_ccache: settings.machine_ccache.clone(),
            worker: settings.worker,
        };
        let bytes = version::join(&job).map_err(std::io::Error::other)?;
        Helper::start(&settings.program, &bytes, waiting.passwords, waiting.id, now + left + GRACE, weight)
    }

    fn read_helpers(&mut self, ready: &[bool]) {
        // From the back, so that those that end do not move the ones still to be read.
        for at in (0..self.running.len()).rev() {
            if !ready.get(at).copied().unwrap_or_default() {
                continue;
            }
            let Some(helper) = self.running.get_mut(at) else { continue };
            let answer = match helper.read() {
                Progress::Pending => continue,
                Progress::Ended(answer) => answer,
                Progress::Broken => Vec::new(),
            };
            let helper = self.running.swap_remove(at);
            let id = helper.id;
            self.dying.push(helper.kill());
            let reply = version::split(&answer).unwrap_or_else(|wrong| {
                let why = match wrong {
                    Wrong::Version => {
                        let program = self.settings.program.display();
                        format!("{program} is of another version than the running daemon: restart entrad")
                    }
                    Wrong::Text => "the Kerberos helper ended without an answer".into(),
                };
                log::error!("{why}");
                Reply::Failed(Failure::Ended(why))
            });
            self.answer(id, &reply);
        }
    }

    /// Ends helpers past their deadline, and turns away what waited too long for one.
    fn end_late(&mut self, now: Instant) {
        for at in (0..self.running.len()).rev() {
            if self.running.get(at).is_some_and(|helper| helper.deadline <= now) {
                let helper = self.running.swap_remove(at);
                let id = helper.id;
                self.dying.push(helper.kill());
                log::warn!("a helper was ended at its deadline");
                let late = "the Kerberos helper did not end in time".into();
                self.answer(id, &Reply::Failed(Failure::Offline(late)));
            }
        }
        while let Some(waiting) = self.queue.late(now) {
            self.answer(waiting.id, &Reply::Failed(Failure::Busy));
        }
    }

    fn answer(&mut self, id: u64, reply: &Reply) {
        match frame::join(id, reply) {
            Ok(message) => self.answers.push_back(message),
            Err(error) => log::error!("an answer that cannot be written: {error}"),
        }
    }

    fn send_answers(&mut self) -> Result<()> {
        while let Some(message) = self.answers.front() {
            match seqpacket::send(self.socket.as_fd(), message, &[]) {
                Ok(()) => {
                    self.answers.pop_front();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The worker is gone; reading says so next.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    self.answers.clear();
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
