//! What is measured, a file per state in which the products must be for it.

#![allow(clippy::unnecessary_wraps, reason = "all parts have one type, and some can fail beside their products")]

mod cold;
mod enumeration;
mod full;
mod list;
mod login;
mod start;
mod warm;

use entra_lab::{Error, Lab, Result};

use crate::products::{PRODUCTS, Product, Who};
use crate::results::{Results, Size};

/// How often and how long.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Rounds in which the products are asked in turn.
    pub rounds: usize,
    /// Length of one warm measurement.
    pub millis: u64,
    /// Calls or logins of one round.
    pub calls: usize,
    /// Longest time that a product gets to answer for every user once.
    pub seconds: u64,
}

/// The whole of it.
pub const FULL: Effort = Effort { rounds: 5, millis: 60, calls: 100, seconds: 40 };
/// A look at whether it works.
pub const QUICK: Effort = Effort { rounds: 1, millis: 30, calls: 20, seconds: 10 };

/// One directory with the three products, and what was seen.
pub struct Bench<'a> {
    pub lab: &'a Lab,
    pub size: Size,
    pub effort: Effort,
    pub products: Vec<Product>,
    /// Names of all plain users.
    pub users: Vec<String>,
    pub results: &'a mut Results,
    /// What went wrong in the part that runs.
    pub failures: Vec<String>,
}

type Part = fn(&mut Bench) -> Result<()>;

/// The parts in the order in which they run: the later ones leave more behind.
pub const PARTS: [(&str, Part); 10] = [
    ("start", start::run),
    ("cold", cold::run),
    ("members", cold::members),
    ("disk", cold::disk),
    ("warm", warm::direct),
    ("glibc", warm::through_glibc),
    ("list", list::run),
    ("login", login::run),
    ("distinct", full::run),
    ("enumeration", enumeration::run),
];

impl Bench<'_> {
    /// Runs `measure` for each product in turn, `rounds` times. One that fails is not asked again here, the others are:
    /// its reason stands in `failures`.
    fn in_turn(&mut self, rounds: usize, mut measure: impl FnMut(&mut Self, &Product, usize) -> Result<()>) {
        let products = std::mem::take(&mut self.products);
        let mut failed: Vec<Who> = Vec::new();
        for round in 0..rounds {
            for product in &products {
                if failed.contains(&product.who) {
                    continue;
                }
                if let Err(error) = measure(self, product, round) {
                    failed.push(product.who);
                    self.failures.push(format!("{}: {error}", product.who.name()));
                }
            }
        }
        self.products = products;
    }

    fn add(&mut self, row: &str, who: Who, sample: f64) {
        self.results.add(self.size, row, who, sample);
    }

    /// The product itself, for what only one of them is asked.
    fn product(&self, who: Who) -> Result<&Product> {
        self.products.iter().find(|product| product.who == who).ok_or_else(|| Error::new("a product is missing"))
    }
}

/// All three products of a lab.
///
/// # Errors
/// When one cannot be prepared.
pub fn products(lab: &Lab, built: &std::path::Path, users: &[String]) -> Result<Vec<Product>> {
    PRODUCTS.into_iter().map(|who| Product::prepare(lab, who, built, users)).collect()
}
