//! A list of calls as a program for the kernel's classic BPF machine (seccomp(2), `linux/filter.h`).
//!
//! By hand and not by a library: the kernel's answer depends on the call (ENOSYS for some), the filter is installed with
//! SECCOMP_FILTER_FLAG_LOG, and what is needed is six instructions.

use libc::{c_long, sock_filter};

use super::Condition;

/// AUDIT_ARCH_* of `linux/audit.h`: what a call's numbers mean.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_003E);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_00B7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Last call that was known when the list was made: cachestat, Linux 6.5, the same number on both architectures.
const LAST_KNOWN: u32 = 451;
/// `__X32_SYSCALL_BIT`: calls of x86-64's other ABI, refused with all that is above [`LAST_KNOWN`].
#[cfg(test)]
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`: the call, its architecture, its arguments of eight bytes.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Answers clone3(2) as a kernel that does not have it; every other call is left to the filters after it.
pub fn without_clone3() -> Option<Vec<sock_filter>> {
    let architecture = ARCHITECTURE?;
    Some(vec![
        load(ARCH),
        jump(libc::BPF_JEQ, architecture, 0, 3),
        load(NUMBER),
        jump(libc::BPF_JEQ, number(libc::SYS_clone3), 0, 1),
        answer(Answer::Unknown),
        answer(Answer::Allowed),
    ])
}

/// The program for this architecture; `None` where it has none.
pub fn build(calls: &[(c_long, Condition)]) -> Option<Vec<sock_filter>> {
    let architecture = ARCHITECTURE?;
    let mut program = vec![
        load(ARCH),
        // 32-bit programs' calls have other numbers.
        jump(libc::BPF_JEQ, architecture, 1, 0),
        answer(Answer::Refused),
        load(NUMBER),
        jump(libc::BPF_JGT, LAST_KNOWN, 0, 1),
        answer(Answer::Unknown),
    ];
    for (call, condition) in calls {
        let body = body(*condition);
        program.push(jump(libc::BPF_JEQ, number(*call), 0, body.len() as u8));
        program.extend(body);
    }
    program.push(answer(Answer::Refused));
    Some(program)
}

#[derive(Clone, Copy)]
enum Answer {
    Allowed,
    /// EPERM.
    Refused,
    /// ENOSYS.
    Unknown,
}

/// What follows once the call is the right one. Ends with an answer, so that the loaded number may be lost.
fn body(condition: Condition) -> Vec<sock_filter> {
    let [allowed, refused] = [Answer::Allowed, Answer::Refused].map(answer);
    match condition {
        Condition::Always => vec![allowed],
        Condition::OneOf(argument, values) => {
            let mut body = vec![load(low(argument))];
            for value in values {
                body.extend([jump(libc::BPF_JEQ, *value, 0, 1), allowed]);
            }
            body.push(refused);
            body
        }
        Condition::All(argument, bits) => {
            vec![load(low(argument)), and(bits), jump(libc::BPF_JEQ, bits, 0, 1), allowed, refused]
        }
        Condition::NotAll(argument, bits) => {
            vec![load(low(argument)), and(bits), jump(libc::BPF_JEQ, bits, 1, 0), allowed, refused]
        }
        Condition::Null(argument) => vec![
            load(low(argument)),
            jump(libc::BPF_JEQ, 0, 0, 3),
            load(low(argument) + 4),
            jump(libc::BPF_JEQ, 0, 0, 1),
            allowed,
            refused,
        ],
    }
}

/// Offset of an argument's low half: both architectures are little-endian.
fn low(argument: u32) -> u32 {
    ARGUMENTS + 8 * argument
}

fn number(call: c_long) -> u32 {
    call as u32
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn and(bits: u32) -> sock_filter {
    statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits)
}

/// Skips `then` instructions where the comparison holds, and `otherwise` where not.
fn jump(comparison: u32, value: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { jt: then, jf: otherwise, ..statement(libc::BPF_JMP | comparison | libc::BPF_K, value) }
}

fn answer(answer: Answer) -> sock_filter {
    let value = match answer {
        Answer::Allowed => libc::SECCOMP_RET_ALLOW,
        Answer::Refused => libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        Answer::Unknown => libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
    };
    statement(libc::BPF_RET | libc::BPF_K, value)
}

fn statement(code: u32, value: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k: value }
}

#[cfg(test)]
mod tests {
    use super::super::calls::ALLOWED;
    use super::*;

    /// What the kernel's machine answers: `Ok`, or the error of the call.
    fn run(program: &[sock_filter], architecture: u32, call: u32, arguments: [u64; 6]) -> Result<(), i32> {
        let mut data = [call, architecture, 0, 0].map(u32::to_le_bytes).concat();
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let (mut at, mut accumulator) = (0, 0u32);
        loop {
            let line = program[at];
            let code = u32::from(line.code);
            at += 1;
            let skip = |holds: bool| usize::from(if holds { line.jt } else { line.jf });
            if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                let offset = line.k as usize;
                accumulator = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
            } else if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K {
                accumulator &= line.k;
            } else if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K {
                at += skip(accumulator == line.k);
            } else if code == libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K {
                at += skip(accumulator > line.k);
            } else {
                assert_eq!(code, libc::BPF_RET | libc::BPF_K);
                let error = (line.k & libc::SECCOMP_RET_DATA) as i32;
                return match line.k & libc::SECCOMP_RET_ACTION_FULL {
                    libc::SECCOMP_RET_ALLOW => Ok(()),
                    libc::SECCOMP_RET_ERRNO => Err(error),
                    other => panic!("{other:#x}"),
                };
            }
        }
    }

    /// Both filters: the kernel takes the one that refuses.
    fn ask(call: c_long, arguments: [u64; 6]) -> Result<(), i32> {
        let [list, first] = [build(&ALLOWED), without_clone3()]
            .map(|program| run(&program.unwrap(), ARCHITECTURE.unwrap(), call as u32, arguments));
        list.and(first)
    }

    fn with(position: usize, value: u64) -> [u64; 6] {
        let mut arguments = [0; 6];
        arguments[position] = value;
        arguments
    }

    #[test]
    fn what_the_list_names_goes_through() {
        for (call, condition) in &ALLOWED {
            if *condition == Condition::Always && *call != libc::SYS_clone3 {
                assert_eq!(ask(*call, [u64::MAX; 6]), Ok(()), "{call}");
            }
        }
    }

    #[test]
    fn a_call_stands_on_the_list_once() {
        let mut calls = ALLOWED.map(|(call, _)| call);
        calls.sort_unstable();
        assert!(calls.windows(2).all(|pair| pair[0] != pair[1]), "a second condition would never be asked");
    }

    #[test]
    fn what_could_lead_out_is_refused() {
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_kill,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_chroot,
            libc::SYS_setuid,
            libc::SYS_setresuid,
            libc::SYS_setgroups,
            libc::SYS_capset,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_listen,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_seccomp,
            libc::SYS_init_module,
            libc::SYS_reboot,
        ] {
            assert_eq!(ask(call, [0; 6]), Err(libc::EPERM), "{call}");
        }
    }

    #[test]
    fn later_calls_do_not_exist_here() {
        for call in [i64::from(LAST_KNOWN) + 1, i64::from(X32), i64::from(X32) | libc::SYS_read, libc::SYS_clone3] {
            assert_eq!(ask(call, [0; 6]), Err(libc::ENOSYS), "{call}");
        }
    }

    #[test]
    fn numbers_of_another_architecture_mean_something_else() {
        // i386, where 11 is execve.
        assert_eq!(run(&build(&ALLOWED).unwrap(), 0x4000_0003, libc::SYS_read as u32, [0; 6]), Err(libc::EPERM));
    }

    #[test]
    fn arguments_decide() {
        let refused = Err(libc::EPERM);
        let thread = libc::CLONE_THREAD as u64 | libc::CLONE_VM as u64 | libc::CLONE_SIGHAND as u64;
        assert_eq!(ask(libc::SYS_clone, with(0, thread)), Ok(()));
        assert_eq!(ask(libc::SYS_clone, with(0, libc::SIGCHLD as u64)), refused, "fork");
        for (family, outcome) in [
            (libc::AF_UNIX, Ok(())),
            (libc::AF_INET6, Ok(())),
            (libc::AF_PACKET, refused),
            (libc::AF_VSOCK, refused),
            (libc::AF_ALG, refused),
        ] {
            assert_eq!(ask(libc::SYS_socket, with(0, family as u64)), outcome, "{family}");
        }
        let [read, write, execute] = [libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC].map(|bits| bits as u64);
        assert_eq!(ask(libc::SYS_mmap, with(2, read | execute)), Ok(()), "dlopen");
        assert_eq!(ask(libc::SYS_mmap, with(2, read | write)), Ok(()));
        assert_eq!(ask(libc::SYS_mmap, with(2, read | write | execute)), refused);
        assert_eq!(ask(libc::SYS_mprotect, with(2, read | execute)), refused);
        assert_eq!(ask(libc::SYS_ioctl, with(1, libc::TIOCSTI)), refused);
        assert_eq!(ask(libc::SYS_prctl, with(0, libc::PR_SET_DUMPABLE as u64)), refused);
        assert_eq!(ask(libc::SYS_prlimit64, [0; 6]), Ok(()));
        for pointer in [8, 1 << 32] {
            assert_eq!(ask(libc::SYS_prlimit64, with(2, pointer)), refused, "a limit that is set");
        }
    }
}
