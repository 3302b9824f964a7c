//! The module under valgrind: scenes of the other files, each run again with its inner process watched.
//!
//! That process is libpam, the module, the test and the daemon that it plays in one: nothing in it may touch memory that
//! is not its own, and nothing may be definitely lost.

use std::process::Command;
use std::time::Duration;

use entra_plugin_tests::child;
use entra_plugin_tests::folder::Folder;
use entra_plugin_tests::valgrind::{self, Leaks};

/// Set for a scene that is to run under valgrind: the words to put before its inner process, one per line.
const WATCHED: &str = "ENTRA_PAM_VALGRIND";

const DEADLINE: Duration = Duration::from_secs(300);

/// Words to put before the inner process of a scene; none in an ordinary run.
pub fn words() -> Vec<String> {
    std::env::var(WATCHED).map_or(Vec::new(), |words| words.lines().map(str::to_owned).collect())
}

/// Whether this scene runs under valgrind.
pub fn is_watched() -> bool {
    std::env::var_os(WATCHED).is_some()
}

/// Runs a scene again, under valgrind; what was found there.
fn watch(scene: &str, leaks: Leaks) -> String {
    let logs = Folder::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([scene, "--exact", "--nocapture"]);
    command.env(WATCHED, valgrind::words(logs.path(), leaks).join("\n"));
    let (status, text) = child::finish(&mut command, DEADLINE);
    // The scene leaves descriptors open: its daemon listens until the process ends.
    let findings = valgrind::in_logs(logs.path(), false);
    if status.success() && text.contains("1 passed") {
        findings
    } else {
        format!("{scene}: {status}\n{text}\n{findings}")
    }
}

fn all_clean(scenes: &[&str]) {
    let findings: Vec<String> =
        scenes.iter().map(|scene| watch(scene, Leaks::Count)).filter(|findings| !findings.is_empty()).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn logins_and_their_sentences() {
    all_clean(&[
        "a_login_goes_through_every_group",
        "every_outcome_has_its_code",
        "who_is_not_ours_is_left_alone_in_every_group_without_a_request",
        "the_person_reads_one_sentence_unless_silence_is_asked_for",
        "use_first_pass_never_prompts",
    ]);
}

#[test]
fn outages_hostile_answers_and_impossible_passwords() {
    all_clean(&[
        "without_a_daemon_a_directory_user_meets_an_outage",
        "answers_that_break_the_protocol_are_an_outage",
        "a_daemon_that_hangs_is_an_outage_after_the_deadline",
        "passwords_that_cannot_be_right_are_refused_without_a_request",
        "a_person_who_hangs_up_is_a_failed_conversation",
    ]);
}

#[test]
fn threads_forks_closed_descriptors_chroot_and_signals() {
    all_clean(&["process::eight_threads_log_in_at_once"]);
    // These act in a child of a process in which the daemon's threads run.
    for scene in [
        "process::a_child_goes_on_with_the_login_of_its_parent",
        "process::forks_among_busy_threads_do_not_hang",
        "process::none_of_the_descriptors_0_to_2_is_taken_while_they_are_closed",
        "process::after_chroot_nobody_is_ours",
        "process::interrupted_system_calls_lose_no_login",
    ] {
        let findings = watch(scene, Leaks::Ignore);
        assert!(findings.is_empty(), "{findings}");
    }
}
