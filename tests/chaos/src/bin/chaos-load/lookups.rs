//! Lookups of every kind, at a steady pace, so that what is measured is the answer and not the machine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use entra_chaos::{Answer, Kind, Tally};

use crate::truth::{self, Known, judge, judge_nobody};
use crate::{Truth, ffi};

/// Pauses after a request: cached, local; in a process of its own; never seen.
const PACES: [Duration; 3] = [Duration::from_millis(2), Duration::from_millis(150), Duration::from_millis(150)];
/// Threads that ask for users that were never seen, and for nobody: each may have to wait for its deadline.
const SLOW_THREADS: usize = 3;
/// Local lookups that take about as long as loading an NSS module and mapping the cache: 1 ms.
const LIKE_A_START: usize = 100;
/// A uid of the domain's range that no user has.
const NOBODY: u32 = 674_150_000;

/// What the threads share.
struct Load<'a> {
    ended: &'a AtomicBool,
    tally: &'a Mutex<Tally>,
}

impl Load<'_> {
    fn count(&self, kind: Kind, what: &str, ask: impl FnOnce() -> Answer) {
        let begun = Instant::now();
        let answer = ask();
        self.add(kind, what, &answer, begun.elapsed());
    }

    fn add(&self, kind: Kind, what: &str, answer: &Answer, took: Duration) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(kind, what, answer, took);
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }
}

/// Asks until `stop` is there.
pub fn until(truth: &Truth, stop: &Path) -> Result<Tally, String> {
    let (known, fresh) = (truth::known(&truth.cached)?, truth::fresh(&truth.uncached)?);
    let (ended, tally) = (AtomicBool::new(false), Mutex::new(Tally::default()));
    let (next, nobody) = (AtomicUsize::new(truth.skip), AtomicUsize::new(0));
    let load = Load { ended: &ended, tally: &tally };
    thread::scope(|scope| {
        scope.spawn(|| {
            while load.goes_on() {
                load.count(Kind::Local, "root", || judge(ffi::user("root"), "root", 0, Some(0)));
                thread::sleep(PACES[0]);
            }
        });
        for half in [0, known.len() / 2] {
            let (load, known) = (&load, &known);
            scope.spawn(move || {
                for user in known.iter().cycle().skip(half).take_while(|_| load.goes_on()) {
                    three(load, user, || thread::sleep(PACES[0]));
                }
            });
        }
        scope.spawn(|| {
            for user in known.iter().cycle().take_while(|_| load.goes_on()) {
                if let Some((answer, took)) = in_new_process(user) {
                    load.add(Kind::CachedAnew, &user.name, &answer, took);
                }
                thread::sleep(PACES[1]);
            }
        });
        for _ in 0..SLOW_THREADS {
            scope.spawn(|| {
                while load.goes_on() {
                    let user = &fresh[next.fetch_add(1, Ordering::Relaxed) % fresh.len()];
                    load.count(Kind::Uncached, &user.name, || judge(ffi::user(&user.name), &user.name, user.uid, None));
                    thread::sleep(PACES[2]);
                }
            });
            scope.spawn(|| {
                while load.goes_on() {
                    ask_for_nobody(&load, nobody.fetch_add(1, Ordering::Relaxed));
                    thread::sleep(PACES[2]);
                }
            });
        }
        while !stop.exists() {
            thread::sleep(Duration::from_millis(20));
        }
        ended.store(true, Ordering::Relaxed);
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.used = next.into_inner();
    Ok(tally)
}

/// What one process of a swarm asks: as quickly as it can.
pub fn brief(truth: &Truth, rounds: usize) -> Result<Tally, String> {
    let (known, fresh) = (truth::known(&truth.cached)?, truth::fresh(&truth.uncached)?);
    let (ended, tally) = (AtomicBool::new(false), Mutex::new(Tally::default()));
    let load = Load { ended: &ended, tally: &tally };
    // What the machine itself delays a process that has just been started, among so many: as much work as loading a
    // module is, so that it is as likely to lose the processor in the middle.
    load.count(Kind::Local, "root", || {
        for _ in 0..LIKE_A_START {
            ffi::user("root");
        }
        judge(ffi::user("root"), "root", 0, Some(0))
    });
    for round in 0..rounds {
        three(&load, &known[round % known.len()], || {});
        let user = &fresh[(truth.skip + round) % fresh.len()];
        load.count(Kind::Uncached, &user.name, || judge(ffi::user(&user.name), &user.name, user.uid, None));
        ask_for_nobody(&load, round * 2);
    }
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Many processes at once, and what they counted in all.
pub fn swarm(truth: &Truth, processes: usize, rounds: usize) -> Result<Tally, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut children = Vec::new();
    for _ in 0..processes {
        let mut command = Command::new(&own);
        command.arg("brief").arg("--cached").arg(&truth.cached).arg("--uncached").arg(&truth.uncached);
        // The same users in all of them: many ask for one that nobody knows yet.
        command.args(["--skip", &truth.skip.to_string(), &rounds.to_string()]).stdout(Stdio::piped());
        children.push(command.spawn().map_err(|error| format!("a process of the swarm: {error}"))?);
    }
    let mut all = Tally::default();
    for child in children {
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        all.merge(serde_json::from_str(&text).map_err(|error| format!("a process of the swarm: {error}: {text}"))?);
    }
    all.used = truth.skip + rounds;
    Ok(all)
}

/// One lookup of a process that was just started.
pub fn once(name: &str, uid: u32) -> String {
    let begun = Instant::now();
    let answer = judge(ffi::user(name), name, uid, None);
    let took = begun.elapsed().as_micros();
    match answer {
        Answer::Right => format!("{took} right"),
        Answer::Unavailable(how) => format!("{took} unavailable {how}"),
        Answer::Wrong(how) => format!("{took} wrong {how}"),
    }
}

fn in_new_process(user: &Known) -> Option<(Answer, Duration)> {
    let own = std::env::current_exe().ok()?;
    let output = Command::new(own).args(["once", &user.name, &user.uid().to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let Some((took, rest)) = text.split_once(' ').filter(|_| output.status.success()) else {
        // A module that ends the process which asks is as wrong as can be.
        return Some((Answer::Wrong(format!("the process ended with {}", output.status)), Duration::ZERO));
    };
    let answer = match rest.split_once(' ') {
        None => Answer::Right,
        Some(("unavailable", how)) => Answer::Unavailable(how.into()),
        Some((_, how)) => Answer::Wrong(how.into()),
    };
    Some((answer, Duration::from_micros(took.parse().ok()?)))
}

fn three(load: &Load<'_>, user: &Known, pause: impl Fn()) {
    for (what, ask) in [
        ("getpwnam", Known::by_name as fn(&Known) -> Answer),
        ("getpwuid", Known::by_id),
        ("getgrouplist", Known::groups),
    ] {
        load.count(Kind::Cached, &format!("{what} {}", user.name), || ask(user));
        pause();
    }
}

fn ask_for_nobody(load: &Load<'_>, number: usize) {
    if number % 4 == 3 {
        let uid = NOBODY + u32::try_from(number % 40_000).unwrap_or_default();
        load.count(Kind::Unknown, &format!("uid {uid}"), || judge_nobody(ffi::user_by_id(uid)));
    } else {
        let name = format!("nobody-{}-{number}", std::process::id());
        load.count(Kind::Unknown, &name, || judge_nobody(ffi::user(&name)));
    }
}
