//! What the kernel says of a helper that is at work.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use entra_core::auth::{AuthRequest, Kdc, PasswordPipe};

use super::{Channel, Stage};

/// Starts a scene as a careless program would start the daemon.
pub const WITH_MORE: &str = "ENTRA_TEST_LEFT=here exec \"$0\" \"$@\" 9</dev/null";

/// As root, beside the daemon: looks at the helper `$1` until it has shed what it was born with, and writes what it saw
/// last to `$2`. It is not to be asked the moment that it begins.
const LOOK: &str = r#"
for step in $(seq 200); do
    for pid in $(pgrep -x krb5-helper); do
        [ "$(readlink /proc/$pid/exe)" = "$1" ] || continue
        {
            echo descriptors $(ls /proc/$pid/fd)
            echo environment $(tr '\0' ' ' </proc/$pid/environ)
            echo folder $(readlink /proc/$pid/cwd)
            echo core $(sed -n 's/^Max core file size//p' /proc/$pid/limits)
            grep -E 'NoNewPrivs|CapBnd' /proc/$pid/status
        } >"$2.new" 2>/dev/null
        grep -qx 'core 0 0 bytes' "$2.new" && grep -qx 'descriptors 0 1 2 3' "$2.new" && break 2
    done
    sleep 0.02
done
mv "$2.new" "$2"
"#;

/// No variable, no descriptor but its job, its answer, nowhere and the password, no core file, no new rights.
pub fn inherits_nothing(stage: &Stage) {
    let (settings, seen) = (stage.settings(), stage.path("seen"));
    let mut look = Command::new("sh");
    look.arg("-c").arg(format!("({LOOK}) &")).arg("sh").arg(&settings.program).arg(&seen).stdin(Stdio::null());
    assert!(look.status().unwrap().success());
    Stage::play(settings, async |channel: std::sync::Arc<Channel>| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let request = AuthRequest { timeout: Duration::from_secs(20), ..stage.login() };
        // Waits for its password for as long as it is looked at.
        let login = tokio::spawn(async move { channel.authenticate(request, PasswordPipe(reader.into())).await });
        let limit = Instant::now() + Duration::from_secs(15);
        while !seen.exists() {
            assert!(Instant::now() < limit, "nobody looked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let said = fs::read_to_string(&seen).unwrap();
        for line in
            ["descriptors 0 1 2 3", "environment ENTRA_NSS_OFF=1", "folder /", "core 0 0 bytes", "NoNewPrivs:\t1"]
        {
            assert!(said.lines().any(|one| one == line), "no {line:?} in\n{said}");
        }
        writer.write_all(b"wrong").unwrap();
        drop(writer);
        let answer = login.await.unwrap().unwrap();
        assert_eq!(answer.verdict, entra_core::auth::KdcVerdict::WrongPassword);
    });
}
