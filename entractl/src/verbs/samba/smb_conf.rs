//! smb.conf(5) as text: where our settings are included, and which of the present ones contradict them.

use std::path::Path;

/// First line of what is put into smb.conf.
const BEGIN: &str = "# BEGIN entra (`entractl samba configure --remove` takes this out)";
/// Its last line.
const END: &str = "# END entra";

/// One setting of `[global]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verbs) struct Setting {
    /// Name as Samba writes it.
    pub key: String,
    /// Value.
    pub value: String,
}

impl Setting {
    /// A setting of ours.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Names are the same without their blanks, in any letter case (smb.conf(5), "FILE FORMAT").
    pub fn is(&self, key: &str) -> bool {
        bare(&self.key) == bare(key)
    }

    /// Whether both give the same value.
    fn agrees(&self, other: &Self) -> bool {
        plain(&self.value) == plain(&other.value)
    }
}

/// Values that packages ship, and that nobody chose: they give way without a word.
const SHIPPED: [(&str, &[&str]); 4] = [
    ("workgroup", &["workgroup", "samba", "mygroup"]),
    ("server role", &["standalone server", "standalone", "auto"]),
    ("security", &["user", "auto"]),
    ("idmap config * : backend", &["tdb"]),
];

/// The settings of `[global]` in what `testparm -s` prints: files that are included are read already, and names are
/// written in one way.
pub(in crate::verbs) fn globals(printed: &str) -> Vec<Setting> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in printed.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = section.eq_ignore_ascii_case("global");
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with('#')) {
            found.push(Setting::new(key.trim(), value.trim()));
        }
    }
    found
}

/// The value of a setting.
pub(in crate::verbs) fn value<'a>(settings: &'a [Setting], key: &str) -> Option<&'a str> {
    settings.iter().rev().find(|setting| setting.is(key)).map(|setting| setting.value.as_str())
}

/// Those of ours that do not count, by what `testparm -sv` printed.
pub(in crate::verbs) fn lost<'a>(ours: &'a [Setting], counting: &'a [Setting]) -> impl Iterator<Item = &'a Setting> {
    let counts = |own: &Setting| counting.iter().rev().find(|it| it.is(&own.key)).is_some_and(|it| it.agrees(own));
    ours.iter().filter(move |own| !counts(own))
}

/// Present settings that ours would overrule: somebody chose them.
pub(in crate::verbs) fn conflicts<'a>(present: &'a [Setting], ours: &[Setting]) -> Vec<(&'a Setting, String)> {
    let overruled = |setting: &'a Setting| {
        let own = ours.iter().find(|own| own.is(&setting.key))?;
        let shipped =
            SHIPPED.iter().any(|(key, values)| setting.is(key) && values.contains(&plain(&setting.value).as_str()));
        (!shipped && !own.agrees(setting)).then(|| (setting, own.value.clone()))
    };
    present.iter().filter_map(overruled).collect()
}

/// The ranges of ids that `idmap config NAME : range` gives to anybody, with the name.
pub(in crate::verbs) fn ranges(settings: &[Setting]) -> Vec<(String, (u32, u32))> {
    let range = |setting: &Setting| {
        let key = setting.key.to_lowercase();
        let name = key.strip_prefix("idmap config")?.trim_start().strip_suffix("range")?.trim_end();
        let name = name.strip_suffix(':')?.trim().to_owned();
        let (low, high) = setting.value.split_once('-')?;
        Some((name, (low.trim().parse().ok()?, high.trim().parse().ok()?)))
    };
    settings.iter().filter_map(range).collect()
}

/// The text with `include = file` at the end of `[global]`, where what it says counts. A text that has the lines already
/// gets them anew.
pub(in crate::verbs) fn with_include(text: &str, file: &Path) -> String {
    let bare = without_include(text).unwrap_or_else(|| text.to_owned());
    let lines: Vec<&str> = bare.split_inclusive('\n').collect();
    let headers: Vec<(usize, bool)> = lines
        .iter()
        .enumerate()
        // A line that ends in a backslash goes on in the next one, whatever stands there.
        .filter(|(at, _)| *at == 0 || !lines[at - 1].trim_end().ends_with('\\'))
        .filter_map(|(at, line)| Some((at, section(line)?.eq_ignore_ascii_case("global"))))
        .collect();
    let global = headers.iter().rposition(|(_, global)| *global);
    // What stands before the first section belongs to [global] too.
    let end = headers.get(global.map_or(0, |at| at + 1)).map_or(lines.len(), |(at, _)| *at);
    let (before, after) = lines.split_at(end);
    // Comments behind the last setting speak of what follows.
    let says = |line: &&str| !matches!(line.trim().chars().next(), None | Some('#' | ';'));
    let kept = before.iter().rposition(says).map_or(0, |at| at + 1);
    let (before, blank) = before.split_at(kept);
    let mut edited = before.concat();
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    // The section's head is ours too where nothing belongs to [global] yet.
    let head = if global.is_none() && before.is_empty() { "[global]\n" } else { "" };
    let include = format!("   include = {}", file.display());
    edited.extend([BEGIN, "\n", head, &include, "\n", END, "\n"]);
    edited.push_str(&blank.concat());
    edited.push_str(&after.concat());
    edited
}

/// The text without our lines; `None` where it has none.
pub(in crate::verbs) fn without_include(text: &str) -> Option<String> {
    let mut ours = false;
    let mut found = false;
    let kept = text.split_inclusive('\n').filter(|line| {
        let line = line.trim();
        if line == BEGIN {
            (ours, found) = (true, true);
        }
        let keep = !ours;
        ours &= line != END;
        keep
    });
    let kept: String = kept.collect();
    found.then_some(kept)
}

fn section(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

fn bare(key: &str) -> String {
    key.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

fn plain(value: &str) -> String {
    let words: Vec<_> = value.split_whitespace().map(str::to_lowercase).collect();
    match words.join(" ").as_str() {
        "true" | "1" | "on" => "yes".into(),
        "false" | "off" => "no".into(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/etc/samba/entra.conf";

    fn included(text: &str) -> String {
        with_include(text, Path::new(FILE))
    }

    #[test]
    fn the_include_is_the_last_word_of_global_and_comes_out_without_a_trace() {
        let block = format!("{BEGIN}\n   include = {FILE}\n{END}\n");
        for (text, expected) in [
            ("[global]\n  a = 1\n\n[homes]\n", format!("[global]\n  a = 1\n{block}\n[homes]\n")),
            (
                "[Global]\na = 1\n[x]\n[global]\nb = 2\n[y]\n",
                format!("[Global]\na = 1\n[x]\n[global]\nb = 2\n{block}[y]\n"),
            ),
            ("a = 1\n[homes]\n", format!("a = 1\n{block}[homes]\n")),
            ("[global]\n", format!("[global]\n{block}")),
            ("[global]\npath = x\\\n[no section]\n[z]\n", format!("[global]\npath = x\\\n[no section]\n{block}[z]\n")),
        ] {
            let edited = included(text);
            assert_eq!(edited, expected);
            assert_eq!(without_include(&edited).as_deref(), Some(text));
            assert_eq!(included(&edited), edited, "a second time changes nothing");
        }
        let whole = format!("{BEGIN}\n[global]\n   include = {FILE}\n{END}\n");
        for text in ["", "[homes]\n"] {
            assert_eq!(included(text), format!("{whole}{text}"));
            assert_eq!(without_include(&included(text)).as_deref(), Some(text));
        }
        assert_eq!(without_include("[global]\n"), None);
    }

    #[test]
    fn what_somebody_chose_is_a_conflict_and_what_a_package_ships_is_none() {
        let printed = "# Global parameters\n[global]\n\tworkgroup = WORKGROUP\n\tserver role = standalone server\n\
                       \tmachine password timeout = 604800\n\tkerberos method = Secrets  and keytab\n\
                       \tidmap config corp : range = 10000-20000\n\n[homes]\n\trealm = X\n";
        let present = globals(printed);
        assert_eq!(present.len(), 5);
        let ours = [
            Setting::new("workgroup", "AADDS"),
            Setting::new("server role", "member server"),
            Setting::new("Machine Password timeout", "0"),
            Setting::new("kerberos method", "secrets and keytab"),
            Setting::new("realm", "AADDS.CONTOSO.COM"),
        ];
        let seen: Vec<_> = conflicts(&present, &ours).into_iter().map(|(it, own)| (it.key.as_str(), own)).collect();
        assert_eq!(seen, [("machine password timeout", "0".to_owned())]);
        assert_eq!(ranges(&present), [("corp".to_owned(), (10_000, 20_000))]);
        assert_eq!(value(&present, "SERVERROLE"), Some("standalone server"));
    }
}
