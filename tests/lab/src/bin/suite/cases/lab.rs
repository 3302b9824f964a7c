//! The lab itself: a test bench that is wrong proves nothing.

use entra_lab::accounts::PEOPLE;
use entra_lab::dc;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("lab: the directory holds the accounts that the cases name", accounts),
    ("lab: the limiting proxy keeps Active Directory's limits", limits),
    ("lab: the directory refuses a bind that is not sealed", sealing),
];

const BASE: &str = "DC=aadds,DC=contoso,DC=com";

fn accounts(world: &World) -> Verdict {
    let node = world.dc()?;
    let database = "/var/lib/samba/private/sam.ldb";
    let unit = format!("OU=AADDC Users,{BASE}");
    let attributes = ["objectSid", "sAMAccountName", "userPrincipalName"];
    let mut words = vec!["ldbsearch", "-H", database, "-b", &unit, "(unicodePwd=*)"];
    words.extend(attributes);
    let objects = node.must(&words)?;
    for account in &PEOPLE {
        let sid = format!("objectSid: {}-{}\n", dc::DOMAIN_SID, account.rid);
        let object = objects.split("\n\n").find(|object| format!("{object}\n").contains(&sid));
        let object = object.ok_or_else(|| format!("no user with a password has RID {}", account.rid))?;
        for (attribute, value) in [("sAMAccountName", account.sam), ("userPrincipalName", account.upn)] {
            // Values beyond ASCII come in base64: of those, that they are there has to do.
            let line = if value.is_ascii() { format!("{attribute}: {value}") } else { format!("{attribute}:: ") };
            check::holds(&format!("RID {}", account.rid), object, &line)?;
        }
    }
    for (class, wanted) in [("user", 2000), ("group", 200)] {
        let text = node.must(&["ldbsearch", "-H", database, "-b", &unit, &format!("(objectClass={class})"), "dn"])?;
        let found = text.lines().filter(|line| line.starts_with("dn:")).count();
        check::equal(&format!("objects of class {class}"), &found, &wanted)?;
    }
    Ok(())
}

fn limits(world: &World) -> Verdict {
    let node = world.reference()?;
    node.must(&["kinit", "-k", "SSSD1$"])?;
    let url = format!("ldap://{}", dc::LIMITED_HOST);
    let ask = |options: &[&str]| {
        let mut words =
            vec!["ldapsearch", "-LLL", "-Q", "-Y", "GSSAPI", "-N", "-o", "ldif-wrap=no", "-H", &url, "-b", BASE];
        words.extend(options);
        node.run(&words)
    };
    let count = |text: &str, start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    let first = check::text("members", ask(&["(sAMAccountName=big-5000)", "member"])?)?;
    check::equal("values in the first range", &count(&first, "member;range=0-1499: "), &1500)?;
    check::equal("values outside a range", &count(&first, "member: "), &0)?;
    let last = check::text("members", ask(&["(sAMAccountName=big-5000)", "member;range=4500-*"])?)?;
    check::equal("values in the last range", &count(&last, "member;range=4500-*: "), &500)?;
    let unpaged = ask(&["(objectClass=user)", "cn"])?;
    // 4 = sizeLimitExceeded
    check::status("a search without paging", &unpaged, 4)?;
    check::equal("its entries", &count(&unpaged.stdout, "dn: "), &1000)?;
    let paged = check::text("paged", ask(&["-E", "pr=5000/noprompt", "(objectClass=user)", "cn"])?)?;
    check::that(count(&paged, "dn: ") > 5200, || format!("paged: {} entries", count(&paged, "dn: ")))
}

fn sealing(world: &World) -> Verdict {
    let node = world.reference()?;
    for host in [dc::HOST, dc::LIMITED_HOST] {
        let url = format!("ldap://{host}");
        let output =
            node.run(&["ldapwhoami", "-x", "-N", "-H", &url, "-D", "alice@contoso.com", "-w", "Alice-Pass-1"])?;
        // 8 = strongerAuthRequired
        check::status(&format!("a simple bind to {host}"), &output, 8)?;
    }
    Ok(())
}
