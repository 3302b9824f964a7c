//! One file: what it is now, what it is to become, and making it so. All through one descriptor that was opened without
//! following anything, so that nobody can put another file in its place.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, StatxFlags, Uid, XattrFlags, chmod, chownat, getxattr, setxattr, statx,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::acl;
use crate::verbs::idmap::compare::Moves;

/// Capabilities of a program, which a change of its owner takes away (capabilities(7)).
const CAPABILITIES: &str = "security.capability";
/// setuid and setgid, which go likewise.
const SET_ID: u32 = 0o6000;
/// Most bytes of one attribute (XATTR_SIZE_MAX).
const MAX_VALUE: usize = 65_536;

/// A file of a tree, also after a restart: the number of its tree, its inode, and when it was born, as far as the file
/// system tells, because inodes are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Key(pub usize, pub u64, pub i64, pub u32);

/// What a file is now.
pub(super) struct Seen {
    fd: OwnedFd,
    /// Major and minor number of its file system.
    pub device: (u32, u32),
    /// Mount, where the kernel tells (5.8): an overlay shows its files with devices of other file systems.
    pub mount: Option<u64>,
    /// Inode.
    pub inode: u64,
    /// Birth, in seconds and nanoseconds; 0 where nobody knows.
    pub born: (i64, u32),
    /// Names that it has.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    mode: u32,
    /// Kind.
    pub kind: FileType,
}

/// What a file is to become: plain values, so that making it so twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    /// Owner and group before.
    pub from: (u32, u32),
    /// Owner and group afterwards.
    pub to: (u32, u32),
    /// Bits to give back.
    mode: Option<u32>,
    /// Attributes to give back, or to write anew.
    attributes: Vec<(String, Vec<u8>)>,
}

impl Seen {
    /// Looks at an open file.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn of(fd: OwnedFd) -> Result<Self, Errno> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
        let stat = statx(&fd, "", AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW, wanted)?;
        let known = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
        Ok(Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            mount: (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id),
            inode: stat.stx_ino,
            born: if known { (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec) } else { (0, 0) },
            links: stat.stx_nlink,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            mode: u32::from(stat.stx_mode) & 0o7777,
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            fd,
        })
    }

    /// The descriptor, to go on from.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// What the file is to become; `None` where nothing moves.
    ///
    /// # Errors
    /// When an attribute cannot be read.
    pub fn target(&self, moves: &Moves) -> Result<Option<Target>, Errno> {
        let from = (self.uid, self.gid);
        let to = (
            moves.uids.get(&self.uid).copied().unwrap_or(self.uid),
            moves.gids.get(&self.gid).copied().unwrap_or(self.gid),
        );
        let mut target = Target { from, to, mode: None, attributes: Vec::new() };
        if self.kind != FileType::Symlink {
            let lists: &[&str] =
                if self.kind == FileType::Directory { &[acl::ACCESS, acl::DEFAULT] } else { &[acl::ACCESS] };
            for name in lists {
                if let Some(list) = self.attribute(name)?.and_then(|list| acl::moved(&list, moves)) {
                    target.attributes.push(((*name).to_owned(), list));
                }
            }
        }
        if from != to && self.kind == FileType::RegularFile {
            target.mode = (self.mode & SET_ID != 0).then_some(self.mode);
            if let Some(capabilities) = self.attribute(CAPABILITIES)? {
                target.attributes.push((CAPABILITIES.into(), capabilities));
            }
        }
        Ok((from != to || !target.attributes.is_empty()).then_some(target))
    }

    /// Makes it so.
    ///
    /// # Errors
    /// When the kernel refuses; what was done then stays, and is done again the next time.
    pub fn change_to(&self, target: &Target) -> Result<(), Errno> {
        if (self.uid, self.gid) != target.to {
            let (uid, gid) = (Uid::from_raw(target.to.0), Gid::from_raw(target.to.1));
            chownat(&self.fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        }
        let path = self.path();
        for (name, value) in target.attributes.iter().filter(|(name, _)| name != CAPABILITIES) {
            setxattr(&path, name, value, XattrFlags::empty())?;
        }
        if let Some(mode) = target.mode {
            chmod(&path, Mode::from_raw_mode(mode))?;
        }
        for (name, value) in target.attributes.iter().filter(|(name, _)| name == CAPABILITIES) {
            setxattr(&path, name, value, XattrFlags::empty())?;
        }
        Ok(())
    }

    /// Attributes are reached by a path only where the descriptor is O_PATH; this one leads to the open file itself.
    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_fd().as_raw_fd())
    }

    fn attribute(&self, name: &str) -> Result<Option<Vec<u8>>, Errno> {
        let mut value = vec![0; 512];
        loop {
            match getxattr(self.path(), name, &mut value[..]) {
                Ok(length) => {
                    value.truncate(length);
                    return Ok(Some(value));
                }
                Err(Errno::RANGE) if value.len() < MAX_VALUE => value.resize(MAX_VALUE, 0),
                Err(Errno::NODATA | Errno::NOTSUP) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}
