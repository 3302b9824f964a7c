//! The structs of `entra.h`, beside `struct entra_sid`, which is [`crate::sid::Sid`].

use std::ffi::c_char;

/// `struct entra_id`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Id {
    pub(crate) kind: u32,
    pub(crate) id: u32,
}

/// `struct entra_mapping`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Mapping {
    pub(crate) status: i32,
    pub(crate) kind: u32,
    pub(crate) id: u32,
}

/// `struct entra_user`
#[repr(C)]
pub(crate) struct User {
    pub(crate) name: *const c_char,
    pub(crate) gecos: *const c_char,
    pub(crate) home: *const c_char,
    pub(crate) shell: *const c_char,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// `struct entra_group`
#[repr(C)]
pub(crate) struct Group {
    pub(crate) name: *const c_char,
    pub(crate) members: *const *const c_char,
    pub(crate) member_count: usize,
    pub(crate) gid: u32,
    pub(crate) reserved: u32,
}

/// `struct entra_health`
#[repr(C)]
pub(crate) struct Health {
    pub(crate) daemon: u32,
    pub(crate) cache: u32,
    pub(crate) domains: u32,
    pub(crate) online: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Kind;
    use crate::sid::Sid;

    /// `entra.h` is kept by hand: the sizes that its structs have by the rules of C.
    #[test]
    fn structs_have_the_sizes_of_the_header() {
        let pointer = size_of::<*const c_char>();
        assert_eq!((size_of::<Sid>(), size_of::<Id>(), size_of::<Mapping>(), size_of::<Health>()), (68, 8, 12, 16));
        assert_eq!((size_of::<User>(), size_of::<Group>()), (4 * pointer + 8, 3 * pointer + 8));
        assert_eq!((Kind::User as u32, Kind::Group as u32), (1, 2));
    }
}
