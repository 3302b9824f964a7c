//! Asks glibc for users and groups, as an application does, with `files entra` as the sources of passwd and group. A
//! process of its own, so that whatever a scenario does to it (fork, closed descriptors, chroot) stays there.
//!
//! `nss-driver WORD…` does the words one after the other and prints a line for each:
//!
//! | Word | Does |
//! |---|---|
//! | `sources=SOURCES` | other sources from here on (`files` asks for longer buffers than `entra` does) |
//! | `buffer=N` `step=N` | size of the first buffer of what follows; bytes that each next try has more (0: double) |
//! | `pwnam=NAME` `pwuid=UID` `grnam=NAME` `grgid=GID` | one lookup |
//! | `grouplist=NAME,GID,ROOM` | `getgrouplist` with room for so many ids |
//! | `pwent` `grent` | the enumeration, from the start to the end |
//! | `pwent-unset` | one user without `setpwent` before |
//! | `threads=N,COUNT,NAME` | so many threads, each with so many lookups of the name and its uid |
//! | `fork=NAME` | forks while other threads look the name up; the child looks it up |
//! | `fork-enumeration` | forks in the middle of an enumeration; both go on |
//! | `closed=NAME` | a lookup with descriptors 0 to 2 closed; says which descriptors are open before and after, and which of 0 to 2 the module used |
//! | `chroot=FOLDER,NAME` | a lookup after chroot, in a user namespace where that is needed |
//! | `signals=NAME,COUNT,MICROS` | so many lookups under a storm of signals, one every so many microseconds, that interrupt system calls |
//! | `direct=MODULE,NAME` | calls the module's own `getpwnam_r`: status, errnop, and whether errno was left alone |
//! | `lose` `leave-open` | no lookup: loses memory, leaves a descriptor open (what the checks for both must see) |
//! | `quiet=COUNT,WORD,WORD…` | the lookups (`pwnam=NAME` and its like), once; then all of them COUNT times without any system call: whether that gave the same |
//! | `pace=MODULE,NAME,UID,GROUP,GID` | nanoseconds of each of the module's own entries, called in a loop |
//! | `calls=ENTRY,COUNT,MODULE,NAME,UID,GROUP,GID` | one of these entries, so many times: its last status |
//! | `secure` | whether the kernel gave this program rights that its caller lacks (AT_SECURE) |
//! | `serve=SOCKET,FILE` | no lookup: answers every connection with the file's bytes until it is ended |

// A test's program: what it cannot do ends the test with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ffi;
mod lookups;
mod pace;
mod scenarios;

use lookups::Buffer;
use pace::Asked;

fn main() {
    ffi::configure("files entra");
    let mut buffer = Buffer { first: 1024, step: 0 };
    for word in std::env::args().skip(1) {
        let (verb, argument) = word.split_once('=').unwrap_or((&word, ""));
        let parts: Vec<&str> = argument.split(',').collect();
        let line = match (verb, &parts[..]) {
            ("buffer", [size]) => {
                buffer.first = size.parse().unwrap();
                continue;
            }
            ("step", [size]) => {
                buffer.step = size.parse().unwrap();
                continue;
            }
            ("sources", _) => {
                ffi::configure(argument);
                continue;
            }
            ("pwnam", [name]) => lookups::user_by_name(name, buffer),
            ("pwuid", [uid]) => lookups::user_by_uid(uid.parse().unwrap(), buffer),
            // A group's name may hold a comma.
            ("grnam", _) => lookups::group_by_name(argument, buffer),
            ("grgid", [gid]) => lookups::group_by_gid(gid.parse().unwrap(), buffer),
            ("grouplist", [name, gid, room]) => lookups::group_list(name, gid.parse().unwrap(), room.parse().unwrap()),
            ("pwent", _) => lookups::all_users(buffer),
            ("pwent-unset", _) => lookups::next_user(buffer),
            ("grent", _) => lookups::all_groups(buffer),
            ("threads", [threads, count, name]) => {
                scenarios::threads(threads.parse().unwrap(), count.parse().unwrap(), name)
            }
            ("fork", [name]) => scenarios::fork_among_threads(name),
            ("fork-enumeration", _) => scenarios::fork_in_enumeration(),
            ("closed", [name]) => scenarios::closed_descriptors(name),
            ("chroot", [folder, name]) => scenarios::chroot(folder, name),
            ("signals", [name, count, micros]) => {
                scenarios::signals(name, count.parse().unwrap(), micros.parse().unwrap())
            }
            ("lose", _) => scenarios::lose_memory(),
            ("leave-open", _) => scenarios::leave_a_descriptor(),
            ("serve", [socket, file]) => scenarios::serve(socket, file),
            ("quiet", [count, words @ ..]) => scenarios::quiet(count.parse().unwrap(), words),
            ("pace", [module, name, uid, group, gid]) => {
                let (uid, gid) = (uid.parse().unwrap(), gid.parse().unwrap());
                pace::of(module, &Asked { name, uid, group, gid })
            }
            ("calls", [entry, count, module, name, uid, group, gid]) => {
                let (uid, gid) = (uid.parse().unwrap(), gid.parse().unwrap());
                pace::calls(entry, count.parse().unwrap(), module, &Asked { name, uid, group, gid })
            }
            ("secure", _) => ffi::started_with_other_rights().to_string(),
            ("direct", [module, name]) => scenarios::direct(module, name),
            _ => panic!("{word}: no such word"),
        };
        println!("{line}");
    }
}
