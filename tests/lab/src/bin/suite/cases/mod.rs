//! The cases, one file per part of the product as its user meets it.

mod adapter;
mod ask;
mod at;
mod attempts;
mod booted;
mod capi;
mod capture;
mod cloud_trust;
mod crowd;
mod enrol;
mod failover;
mod faults;
mod filters;
mod groups;
mod idmap;
mod impostor;
mod input;
mod join;
mod join_undo;
mod lab;
mod limits;
mod local;
mod local_wins;
mod login;
mod login_faults;
mod names;
mod nas;
mod nfs;
mod offline;
mod outage;
mod packages;
mod parity;
mod parity_answers;
mod password;
mod programs;
mod proof;
mod rotation;
mod rulers;
mod rules;
mod samba;
mod service_tickets;
mod sessions;
mod shield;
mod shield_profiles;
mod single_sign_on;
mod ssh_keys;
mod states;
mod surroundings;
mod sysusers;
mod tls;

use crate::Case;

/// All of them, in two lanes that take about the same time, each in the order in which a host's life goes. The lanes run
/// beside each other on labs of their own; what the labs share, the machine's time and the kernel's keyrings, is a reason
/// to stand in one lane: what measures stands with what loads (`limits`, `crowd`), and what looks for keys with what has
/// some (`offline`, `sessions`).
pub fn lanes() -> [Vec<Case>; 2] {
    let names_and_logins = [
        lab::CASES,
        adapter::CASES,
        packages::CASES,
        packages::questions::CASES,
        packages::edited::CASES,
        packages::architectures::CASES,
        packages::upgrade::CASES,
        packages::confined::CASES,
        packages::rpm::CASES,
        booted::CASES,
        sysusers::CASES,
        join::CASES,
        join_undo::CASES,
        enrol::CASES,
        rulers::CASES,
        ask::CASES,
        faults::CASES,
        names::CASES,
        capi::CASES,
        nfs::CASES,
        parity::CASES,
        idmap::CASES,
        groups::CASES,
        login::CASES,
        attempts::CASES,
        login_faults::CASES,
        proof::CASES,
        rules::CASES,
        programs::CASES,
        at::CASES,
        ssh_keys::CASES,
        single_sign_on::CASES,
        states::CASES,
        shield::CASES,
        shield_profiles::CASES,
        capture::CASES,
        impostor::CASES,
    ];
    let outages_and_servers = [
        limits::CASES,
        crowd::CASES,
        filters::CASES,
        local::CASES,
        local_wins::CASES,
        input::CASES,
        surroundings::CASES,
        tls::CASES,
        cloud_trust::CASES,
        cloud_trust::share::CASES,
        failover::CASES,
        outage::CASES,
        offline::CASES,
        password::CASES,
        sessions::CASES,
        service_tickets::CASES,
        nas::CASES,
        samba::CASES,
        samba::files::CASES,
        samba::former::CASES,
        samba::ids::CASES,
        rotation::CASES,
        samba::newer::CASES,
    ];
    [names_and_logins.concat(), outages_and_servers.concat()]
}
