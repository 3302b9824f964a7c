//! On a tree of real files. They need root, as the verb does: another user can give no file away.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::*;
use crate::host::file::tests::Folder;

const ONE: u32 = 674_001_103;
const TWO: u32 = 674_001_104;
const OTHER: u32 = 700_000_000;

/// A tree and a plan by which two ids swap.
struct Tree(Folder);

impl Tree {
    /// `None` where the tests do not run as root.
    fn new() -> Option<Self> {
        if crate::host::effective_uid() != 0 {
            return None;
        }
        let tree = Self(Folder::new());
        fs::create_dir_all(tree.path("tree")).unwrap();
        let swap = BTreeMap::from([(ONE, TWO), (TWO, ONE)]);
        Moves { uids: swap.clone(), gids: swap }.save(&tree.path("plan")).unwrap();
        Some(tree)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.0.join(name)
    }

    fn file(&self, name: &str, uid: u32, gid: u32) -> PathBuf {
        let path = self.path("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        lchown(&path, Some(uid), Some(gid)).unwrap();
        path
    }

    fn run(&self, apply: bool) -> Result<Answer, Failure> {
        run(&IdmapChown { plan: self.path("plan"), trees: vec![self.path("tree")], apply })
    }
}

fn owner(path: &Path) -> (u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn owners_swap_once_and_nothing_else_changes() {
    let Some(tree) = Tree::new() else { return };
    let (one, two) = (tree.file("a/one", ONE, TWO), tree.file("a/two", TWO, OTHER));
    let other = tree.file("b", 0, OTHER);
    let outside = tree.path("outside");
    fs::write(&outside, "").unwrap();
    lchown(&outside, Some(ONE), Some(ONE)).unwrap();
    let link = tree.path("tree/link");
    symlink(&outside, &link).unwrap();
    lchown(&link, Some(ONE), Some(ONE)).unwrap();
    fs::hard_link(&one, tree.path("tree/z-again")).unwrap();

    let listed = tree.run(false).unwrap();
    assert_eq!(listed.json["files"], 3, "{}", listed.text);
    assert_eq!(owner(&one), (ONE, TWO), "a list changed something");
    assert_eq!(tree.run(true).unwrap().json["files"], 3);
    assert_eq!((owner(&one), owner(&two)), ((TWO, ONE), (ONE, OTHER)));
    assert_eq!((owner(&link), owner(&outside), owner(&other)), ((TWO, TWO), (ONE, ONE), (0, OTHER)));
    assert!(tree.run(true).unwrap_err().error.contains("carried out"));
    assert_eq!(owner(&one), (TWO, ONE));
}

#[test]
fn access_lists_setuid_bits_and_capabilities_stay_with_the_file() {
    let Some(tree) = Tree::new() else { return };
    let file = tree.file("f", ONE, OTHER);
    let folder = tree.path("tree/d");
    fs::create_dir(&folder).unwrap();
    let list = |one: u32, two: u32| {
        let no = u32::MAX;
        acl::tests::list(&[(1, 7, no), (2, 6, one), (2, 4, two), (4, 5, no), (8, 5, one), (16, 7, no), (32, 0, no)])
    };
    let sorted = acl::tests::list(&[
        (1, 7, u32::MAX),
        (2, 4, ONE),
        (2, 6, TWO),
        (4, 5, u32::MAX),
        (8, 5, TWO),
        (16, 7, u32::MAX),
        (32, 0, u32::MAX),
    ]);
    setxattr(&file, acl::ACCESS, &list(ONE, TWO), XattrFlags::empty()).unwrap();
    setxattr(&folder, acl::DEFAULT, &list(ONE, TWO), XattrFlags::empty()).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o6770)).unwrap();
    // cap_net_raw+ep, version 2 (linux/capability.h).
    let capabilities = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    setxattr(&file, "security.capability", &capabilities, XattrFlags::empty()).unwrap();

    assert_eq!(tree.run(true).unwrap().json["files"], 2);
    let read = |path: &Path, name: &str| {
        let mut value = vec![0; 256];
        let length = getxattr(path, name, &mut value[..]).unwrap();
        value.truncate(length);
        value
    };
    assert_eq!(owner(&file), (TWO, OTHER));
    assert_eq!(read(&file, acl::ACCESS), sorted);
    assert_eq!(read(&folder, acl::DEFAULT), sorted);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o6770);
    assert_eq!(read(&file, "security.capability"), capabilities);
}

#[test]
fn a_change_that_was_cut_off_goes_on_and_maps_nothing_twice() {
    let Some(tree) = Tree::new() else { return };
    let files: Vec<PathBuf> = (0..300).map(|number| tree.file(&format!("f{number}"), ONE, TWO)).collect();
    let trees = vec![tree.path("tree").canonicalize().unwrap()];
    let moves = Moves::read(&tree.path("plan")).unwrap();
    // The first batches are written down; of these, some files are changed, and then the power is gone.
    let journal = tree.path("plan").join(JOURNAL);
    let mut change =
        Change { moves, journal: Some(Journal::open(&journal, &trees).unwrap()), trees, found: Found::default() };
    let mut seen = 0;
    let cut = change.each(|journal, _, (key, _, file, target)| {
        seen += 1;
        journal.as_mut().unwrap().begin(std::iter::once((&key, &target))).unwrap();
        if seen % 2 == 0 {
            file.change_to(&target).unwrap();
        }
        if seen < 200 { Ok(()) } else { Err("cut off".into()) }
    });
    assert_eq!(cut, Err("cut off".into()));
    drop(change);
    // A line that was cut off in its middle says nothing.
    let mut text = fs::read(&journal).unwrap();
    text.extend(b"{\"key\":[0,1");
    fs::write(&journal, text).unwrap();

    assert_eq!(files.iter().filter(|file| owner(file) == (TWO, ONE)).count(), 100);
    tree.run(true).unwrap();
    assert_eq!(files.iter().filter(|file| owner(file) == (TWO, ONE)).count(), 300);
}

#[test]
fn a_journal_is_of_its_trees_and_a_plan_gives_nothing_to_root() {
    let Some(tree) = Tree::new() else { return };
    let journal = tree.path("plan").join(JOURNAL);
    drop(Journal::open(&journal, &[tree.path("tree")]).unwrap());
    assert!(Journal::open(&journal, &[tree.path("other")]).err().unwrap().contains("name the same"));
    fs::write(tree.path("plan/moves.json"), "{\"uids\":{\"5\":0},\"gids\":{}}").unwrap();
    assert!(tree.run(false).unwrap_err().error.contains("no file is given to the id 0"));
}
