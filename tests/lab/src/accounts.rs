//! Accounts of the filled directory that tests name, as `data/fill.py` makes them.

/// What hinders an account from logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Fit,
    /// userAccountControl says disabled.
    Disabled,
    /// accountExpires lies in the past.
    Expired,
    /// Too many wrong passwords.
    Locked,
    /// pwdLastSet is 0.
    MustChange,
}

/// A user of the directory.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// sAMAccountName as it is written in the directory.
    pub sam: &'static str,
    /// userPrincipalName.
    pub upn: &'static str,
    /// displayName, empty where it has none.
    pub display: &'static str,
    /// Its password.
    pub password: &'static str,
    /// Last part of its SID.
    pub rid: u32,
    /// Whether it can log in.
    pub state: State,
}

impl Account {
    /// The uid that the default mapping gives.
    pub const fn uid(&self) -> u32 {
        crate::dc::FIRST_ID + self.rid
    }
}

const fn user(
    sam: &'static str,
    upn: &'static str,
    display: &'static str,
    password: &'static str,
    rid: u32,
    state: State,
) -> Account {
    Account { sam, upn, display, password, rid, state }
}

/// The administrator who may join computers: a member of AAD DC Administrators, not a domain administrator.
pub const JOINER: Account = user("dcadmin", "dcadmin@contoso.com", "Joins computers", "Join-Pass-1!", 1122, State::Fit);

/// The user of most tests.
pub const ALICE: Account = PEOPLE[0];

/// Every user with a password, in the order of their RIDs.
pub const PEOPLE: [Account; 20] = [
    user("alice", "alice@contoso.com", "Alice Example", "Alice-Pass-1", 1103, State::Fit),
    user("bob", "bob@contoso.com", "Bob Builder", "Bob-Pass-1", 1104, State::Fit),
    user("carol", "carol@aadds.contoso.com", "", "Carol-Pass-1", 1105, State::Fit),
    user("dave", "dave@contoso.com", "", "Dave-Pass-1", 1106, State::Disabled),
    user("erin", "erin@contoso.com", "", "Erin-Pass-1", 1107, State::Expired),
    user("frank", "frank@contoso.com", "", "Frank-Pass-1", 1108, State::Locked),
    user("grace", "grace@contoso.com", "", "Grace-Pass-1", 1109, State::MustChange),
    user("ivan", "ivan.petrov@contoso.com", "Ivan Petrov", "Ivan-Pass-1", 1110, State::Fit),
    user("many", "many@contoso.com", "Member of 150 Groups", "Many-Pass-1", 1111, State::Fit),
    user("nested", "nested@contoso.com", "Member five levels down", "Nested-Pass-1", 1112, State::Fit),
    user("zoë", "zoë@contoso.com", "Zoë Ångström", "Zoe-Pass-1", 1113, State::Fit),
    user("ünal", "ünal@contoso.com", "Ünal", "Unal-Pass-1", 1114, State::Fit),
    user("日本", "日本@contoso.com", "日本 太郎", "Nihon-Pass-1", 1115, State::Fit),
    user("o'hara", "o'hara@contoso.com", "", "Ohara-Pass-1", 1116, State::Fit),
    user("jane doe", "jane.doe@contoso.com", "", "Jane-Pass-1", 1117, State::Fit),
    user("paul (ext)", "paul.ext@contoso.com", "", "Paul-Pass-1", 1118, State::Fit),
    user("backslash", "backslash@contoso.com", "Back\\slash", "Back-Pass-1", 1119, State::Fit),
    user("MixedCase", "Mixed.Case@Contoso.com", "", "Mixed-Pass-1", 1120, State::Fit),
    user("twentycharactersname", "twentycharactersname@contoso.com", "", "Twenty-Pass-1", 1121, State::Fit),
    JOINER,
];
