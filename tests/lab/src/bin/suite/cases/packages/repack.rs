//! Other versions and architectures of the packages, made from those that are installed.

use entra_lab::Node;

use crate::check;

/// Where an installation leaves the package files in the node.
const ORIGINALS: &str = "/var/cache/lab-packages";

/// `repack FOLDER NAME FROM TO ARCHITECTURE`: of the packages whose file begins with NAME, ones with FROM replaced by TO
/// in their control file, for ARCHITECTURE where that is given.
const SCRIPT: &str = r#"
set -e
folder=$1 name=$2 from=$3 to=$4 architecture=$5
mkdir -p "$folder"
for file in "$6"/${name}*_amd64.deb; do
    rm -rf /tmp/repack
    dpkg-deb --raw-extract "$file" /tmp/repack
    [ -z "$from" ] || sed -i "s/$from/$to/g" /tmp/repack/DEBIAN/control
    if [ "$architecture" ]; then
        sed -i "s/^Architecture:.*/Architecture: $architecture/; /^Depends:/d" /tmp/repack/DEBIAN/control
        (cd /tmp/repack && find . -type d -name x86_64-linux-gnu -prune | while read -r old; do
            mv "$old" "${old%/*}/$architecture-linux-gnu"; done; rm -f DEBIAN/md5sums)
    fi
    file=${file##*/}
    dpkg-deb -Znone --root-owner-group --build /tmp/repack "$folder/${file%amd64.deb}${architecture:-amd64}.deb" >/dev/null
done"#;

/// Packages of a version behind the one that is installed; gives the version and the folder.
pub fn newer(node: &Node) -> Result<(String, &'static str), String> {
    let version = node.must(&["dpkg-query", "--show", "--showformat=${Version}", "entrad"])?;
    let next = format!("{version}+lab1");
    run(node, &["/var/cache/lab-newer", "", &version.replace('.', r"\."), &next, ""])?;
    Ok((next, "/var/cache/lab-newer"))
}

/// The packages whose name begins with `name` as those of a foreign architecture, without dependencies, whose packages
/// no host of another kind needs to install; gives the folder.
pub fn foreign(node: &Node, name: &str, architecture: &str) -> Result<&'static str, String> {
    run(node, &["/var/cache/lab-foreign", name, "", "", architecture])?;
    Ok("/var/cache/lab-foreign")
}

fn run(node: &Node, arguments: &[&str]) -> Result<(), String> {
    let mut all = arguments.to_vec();
    all.push(ORIGINALS);
    check::text("repacking", node.sh(SCRIPT, &all)?).map(drop)
}
