//! Public keys for sshd, as the directory holds them: a value is a line of an `authorized_keys` file (sshd(8)), and
//! only its key counts. Options before a key (`command=`, `environment=`, …) would run programs on this host at the word
//! of whoever may write the attribute, so a value that has any is no key.

use base64ct::{Base64, Encoding};

/// What stands before a key where an attribute holds other things as well (altSecurityIdentities).
const MARK: &str = "SSHKey:";
/// Most keys of one user.
const MOST: usize = 64;
/// Longest value that is looked at, in bytes: an RSA key of 16,384 bits, which is sshd's limit, takes 2,800.
const LONGEST: usize = 4096;
/// Types of keys that sshd takes; certificates are an authority's word, which is not the directory's to give.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The well-formed keys among an attribute's values, each once, as lines without their end; at most 64.
pub fn lines<'a>(values: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in values.into_iter().filter_map(|value| line(value)) {
        if lines.len() < MOST && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// One value as a line: type, key, and the comment where it is plain text. `None` where it is no key.
fn line(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST)?.trim();
    let text = text.strip_prefix(MARK).unwrap_or(text).trim_start();
    let (kind, rest) = text.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    let (key, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    if !TYPES.contains(&kind) || !is_key(kind, &Base64::decode_vec(key).ok()?) {
        return None;
    }
    let comment = comment.trim();
    let plain = !comment.is_empty() && !comment.chars().any(char::is_control);
    Some(if plain { format!("{kind} {key} {comment}") } else { format!("{kind} {key}") })
}

/// Whether the bytes are strings with their lengths in front, of which the first one is the type (RFC 4253 6.6), and
/// nothing else.
fn is_key(kind: &str, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut parts = 0;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let Some((part, behind)) = behind.split_at_checked(u32::from_be_bytes(*length) as usize) else { return false };
        if part.is_empty() || (parts == 0 && part != kind.as_bytes()) {
            return false;
        }
        parts += 1;
        rest = behind;
    }
    rest.is_empty() && parts > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn one(value: &str) -> Option<String> {
        line(value.as_bytes())
    }

    #[test]
    fn a_key_is_taken_with_and_without_its_mark() {
        assert_eq!(one(KEY).as_deref(), Some(KEY));
        assert_eq!(one(&format!("SSHKey:{KEY} alice@laptop\n")), Some(format!("{KEY} alice@laptop")));
        assert_eq!(one(&format!("SSHKey: {KEY}")).as_deref(), Some(KEY));
    }

    #[test]
    fn options_and_second_lines_are_refused() {
        for prefix in
            ["command=\"sh\" ", "no-pty ", "cert-authority ", "restrict,command=\"x\" ", "# ", "SSHKey:from=\"*\" "]
        {
            assert_eq!(one(&format!("{prefix}{KEY}")), None, "{prefix}");
        }
        // A comment never begins a line of its own.
        assert_eq!(one(&format!("{KEY} me\ncommand=\"sh\" {KEY}")).as_deref(), Some(KEY));
        assert_eq!(one(&format!("{KEY}\ncommand=\"sh\"")), None);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let blob = KEY.split(' ').nth(1).unwrap();
        for value in [
            String::new(),
            "ssh-ed25519".into(),
            "ssh-ed25519 !!!!".into(),
            format!("ssh-rsa {blob}"),
            format!("ssh-ed25519-cert-v01@openssh.com {blob}"),
            format!("ssh-ed25519 {}", &blob[..blob.len() - 4]),
            format!("ssh-ed25519 {blob}AAAA"),
            "X509:<I>DC=com,CN=CA<S>CN=alice".into(),
            "Kerberos:alice@EXAMPLE.COM".into(),
            format!("{KEY} {}", "x".repeat(LONGEST)),
        ] {
            assert_eq!(one(&value), None, "{value:.60}");
        }
    }

    #[test]
    fn there_are_at_most_so_many_and_each_once() {
        let values: Vec<Vec<u8>> = (0..200).map(|at| format!("{KEY} {at}").into_bytes()).collect();
        assert_eq!(lines(&values).len(), MOST);
        assert_eq!(lines([KEY.as_bytes().to_vec(), KEY.as_bytes().to_vec()].iter()), [KEY]);
    }
}
