//! Users by every form of their name and by id.

use entra_lab::accounts::{Account, PEOPLE};
use entra_lab::{Node, dc};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("names: every form of every account's name gives the same line", every_form),
    ("names: in any letter case", any_case),
    ("names: by uid", by_uid),
    ("names: unknown names are not found", unknown),
    ("names: entractl knows users by name, id and SID", entractl),
];

fn every_form(world: &World) -> Verdict {
    let node = world.joined()?;
    each(&PEOPLE, |account| {
        let canonical = account.sam.to_lowercase();
        let wanted = format!("{canonical}:*:{}:{}:", account.uid(), dc::FIRST_ID + 513);
        let tail = format!(":/home/{canonical}:/bin/bash");
        let forms = [
            account.sam.to_owned(),
            account.upn.to_owned(),
            format!("{}\\{}", dc::NETBIOS, account.sam),
            format!("{}@{}", account.sam, dc::DNS_DOMAIN),
        ];
        for form in forms {
            let line = passwd(&node, &form)?;
            check::that(line.starts_with(&wanted) && line.ends_with(&tail), || {
                format!("getent passwd '{form}': wanted {wanted}…{tail}, got {line}")
            })?;
        }
        Ok(())
    })
}

fn any_case(world: &World) -> Verdict {
    let node = world.joined()?;
    let line = passwd(&node, "alice")?;
    for form in ["ALICE", "Alice@Contoso.COM", "aadds\\Alice", "ALICE@AADDS.contoso.com"] {
        check::equal(form, &passwd(&node, form)?, &line)?;
    }
    let line = passwd(&node, "zoë")?;
    check::equal("ZOË", &passwd(&node, "ZOË")?, &line)
}

fn by_uid(world: &World) -> Verdict {
    let node = world.joined()?;
    each(&PEOPLE, |account| {
        let uid = account.uid().to_string();
        let line = passwd(&node, &uid)?;
        check::equal(&uid, &line.split(':').next(), &Some(account.sam.to_lowercase().as_str()))
    })
}

fn unknown(world: &World) -> Verdict {
    let node = world.joined()?;
    for name in
        ["nobody-knows", "nobody@contoso.com", "AADDS\\nobody", "alice@elsewhere.example", "*", "ali*", "674199999"]
    {
        check::status(&format!("getent passwd '{name}'"), &node.run(&["getent", "passwd", name])?, 2)?;
    }
    Ok(())
}

fn entractl(world: &World) -> Verdict {
    let node = world.joined()?;
    let sid = format!("{}-1103", dc::DOMAIN_SID);
    for words in [
        ["entractl", "user", "alice", "--json"].as_slice(),
        &["entractl", "user", "--uid", "674001103", "--json"],
        &["entractl", "user", "--sid", &sid, "--json"],
        &["entractl", "sid", &sid, "--json"],
    ] {
        let text = check::text(&words.join(" "), node.run(words)?)?;
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        check::holds(&words.join(" "), &json.to_string(), &sid)?;
    }
    check::status("entractl user nobody-knows", &node.run(&["entractl", "user", "nobody-knows"])?, 1)
}

fn passwd(node: &Node, name: &str) -> Result<String, String> {
    check::text(&format!("{}: getent passwd '{name}'", node.name()), node.run(&["getent", "passwd", name])?)
}

/// Asks about every account, and tells all that are wrong rather than the first.
fn each(accounts: &[Account], ask: impl Fn(&Account) -> Verdict) -> Verdict {
    let wrong: Vec<String> = accounts.iter().filter_map(|account| ask(account).err()).collect();
    check::that(wrong.is_empty(), || wrong.join("\n"))
}
