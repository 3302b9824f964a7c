//! What only shows between several options, or between this parser and the modules' scanner.

use std::fmt::Write;

use entra_wire::ranges::Ranges;

use super::error::Problem;
use super::parse::Placed;
use super::{Domain, IdBlock, IdMapping, Preset};
use crate::idmap::SLICE_SIZE;

/// Most domains: the modules keep no more ranges.
const MAX_DOMAINS: usize = 16;

pub(super) fn all(domains: &[Placed], text: &str) -> Result<(), Problem> {
    if let Some(extra) = domains.get(MAX_DOMAINS) {
        return Err(Problem::new(format!("more than {MAX_DOMAINS} domains; remove some"), extra.name.clone()));
    }
    for placed in domains {
        one(placed)?;
    }
    for (at, second) in domains.iter().enumerate() {
        for first in &domains[..at] {
            pair(first, second)?;
        }
    }
    modules_agree(domains, text)
}

fn one(placed: &Placed) -> Result<(), Problem> {
    let Domain { id_range: (low, high), id_slice, id_mapping, preset, .. } = placed.domain;
    if id_mapping == IdMapping::Rfc2307 && preset == Preset::EntraDs {
        return Err(Problem::new(
            "a managed domain has no uidNumber and gidNumber; use id_mapping = \"sssd\" or \"rid\"",
            placed.id_mapping.clone(),
        ));
    }
    blocks(placed)?;
    if id_mapping != IdMapping::Sssd {
        return match id_slice {
            Some(_) => Err(Problem::new(
                "id_slice means something with id_mapping = \"sssd\" only; remove it",
                placed.id_slice.clone(),
            )),
            None => Ok(()),
        };
    }
    let slices = (high - low + 1) / SLICE_SIZE;
    if slices == 0 {
        return Err(Problem::new(
            format!(
                "a range of {} ids holds no slice of {SLICE_SIZE}; widen it, or use id_mapping = \"rid\"",
                high - low + 1
            ),
            placed.id_range.clone(),
        ));
    }
    match id_slice {
        Some(slice) if slice >= slices => Err(Problem::new(
            format!(
                "id_slice {slice} is outside the id range, which has slices 0 to {}; choose one of these",
                slices - 1
            ),
            placed.id_slice.clone(),
        )),
        _ => Ok(()),
    }
}

/// Blocks lie in the range, and neither RID nor id stands in two of them.
fn blocks(placed: &Placed) -> Result<(), Problem> {
    let Domain { id_range: (low, high), id_blocks: ref blocks, id_mapping, .. } = placed.domain;
    let wrong = |message: String| Err(Problem::new(message, placed.id_blocks.clone()));
    if !blocks.is_empty() && id_mapping != IdMapping::Rid {
        return wrong("id_blocks means something with id_mapping = \"rid\" only; remove it".into());
    }
    for (at, block) in blocks.iter().enumerate() {
        if block.first_id < low || block.last_id > high {
            return wrong(format!("the block {block} lies outside of id_range {low}-{high}; widen that"));
        }
        let span = block.last_id - block.first_id;
        let clashes = |other: &&IdBlock| {
            let rids = block.first_rid <= other.first_rid + (other.last_id - other.first_id)
                && other.first_rid <= block.first_rid + span;
            rids || block.first_id <= other.last_id && other.first_id <= block.last_id
        };
        if let Some(other) = blocks[..at].iter().find(clashes) {
            return wrong(format!("the blocks {other} and {block} have RIDs or ids in common; each is given once"));
        }
    }
    Ok(())
}

fn pair(first: &Placed, second: &Placed) -> Result<(), Problem> {
    let (one, two) = (&first.domain, &second.domain);
    if one.name == two.name {
        return Err(Problem::new(format!("{} stands here twice; remove one", two.name), second.name.clone()));
    }
    let both_sssd = one.id_mapping == IdMapping::Sssd && two.id_mapping == IdMapping::Sssd;
    if both_sssd && one.id_range == two.id_range {
        // Slices of one range keep these two apart, if nobody pins the same one twice.
        return match two.id_slice {
            Some(slice) if one.id_slice == Some(slice) => Err(Problem::new(
                format!("{} has slice {slice} already; choose another one", one.name),
                second.id_slice.clone(),
            )),
            _ => Ok(()),
        };
    }
    if one.id_range.0 <= two.id_range.1 && two.id_range.0 <= one.id_range.1 {
        let (low, high) = one.id_range;
        return Err(Problem::new(
            format!(
                "the id range of {} overlaps that of {} ({low}-{high}); give each an id_range of its own",
                two.name, one.name
            ),
            second.id_range.clone().or_else(|| second.name.clone()),
        ));
    }
    Ok(())
}

/// The modules read the ranges with a scanner of their own and drop every id outside what it finds: it must find what
/// this parser found, no less and no more.
fn modules_agree(domains: &[Placed], text: &str) -> Result<(), Problem> {
    let mut stated: Vec<_> = domains.iter().filter_map(|placed| Some((placed.id_range.clone()?, placed))).collect();
    stated.sort_by_key(|(span, _)| span.start);
    let mut plain = String::new();
    for placed in domains.iter().filter(|placed| placed.id_range.is_none()) {
        let _ = writeln!(plain, "[domains.\"{}\"]", placed.domain.name);
    }
    for (_, placed) in &stated {
        let (low, high) = placed.domain.id_range;
        let _ = writeln!(plain, "[domains.\"{}\"]\nid_range = \"{low}-{high}\"", placed.domain.name);
    }
    if Ranges::parse(text) == Ranges::parse(&plain) {
        return Ok(());
    }
    let place = stated
        .first()
        .map(|(span, _)| span.clone())
        .or_else(|| domains.first().and_then(|d| d.name.clone()))
        .or(Some(0..0));
    Err(Problem::new(
        "the NSS and PAM modules would read the id ranges of this file differently; write each domain as a table of its \
         own, [domains.\"NAME\"], with id_range = \"LOW-HIGH\" on a line of its own, and the word id_range nowhere else",
        place,
    ))
}
