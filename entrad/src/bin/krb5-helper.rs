//! Executed by the broker of `entrad` alone; see [`entrad::helper`].

fn main() {
    std::process::exit(entrad::helper::main());
}
