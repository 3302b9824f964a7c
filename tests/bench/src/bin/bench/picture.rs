//! The picture: a bar for each product in a few rows that users feel, on a logarithmic scale of time.

use std::fmt::Write as _;

use crate::products::{PRODUCTS, Who};
use crate::results::{Results, Size};
use crate::rows::{self, Unit};

/// Rows of the picture and their labels.
const SHOWN: [(&str, &str); 8] = [
    ("direct-getpwnam", "getpwnam, cached"),
    ("direct-initgroups-150", "150 groups, cached"),
    ("direct-absent-name", "no such user, cached"),
    ("cold-getpwnam", "getpwnam, not cached"),
    ("cold-id-60", "id, 60 groups, not cached"),
    ("cold-id-2800", "id, 2,800 groups, not cached"),
    ("cold-getgrnam-5200", "group of 5,200, not cached"),
    ("login", "login"),
];

const WIDTH: f64 = 760.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 56.0;
const BAR: f64 = 12.0;
const GAP: f64 = 14.0;
/// Ends of the scale, in nanoseconds: powers of ten.
const SCALE: (i32, i32) = (1, 11);

/// Draws it.
pub fn draw(results: &Results) -> String {
    let size = if results.has(Size::Large) { Size::Large } else { Size::Small };
    let rows: Vec<_> = SHOWN
        .iter()
        .filter_map(|(id, label)| Some((rows::find(id)?, *label)))
        .filter(|(row, _)| results.shown(size, row, Who::Entrad).is_some())
        .collect();
    let block = BAR * PRODUCTS.len() as f64 + GAP;
    let bottom = TOP + block * rows.len() as f64;
    let height = bottom + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"15\">Time of one call, {} users (logarithmic: shorter is faster)</text>\n",
        size.name()
    );
    for (number, who) in PRODUCTS.into_iter().enumerate() {
        let x = LEFT + 90.0 * number as f64;
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"32\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{}\" y=\"41\">{}</text>",
            colour(who),
            x + 15.0,
            who.name()
        );
    }
    for power in SCALE.0..=SCALE.1 {
        let x = place(10f64.powi(power));
        let _ = writeln!(text, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>");
        if power % 2 == 1 {
            let _ = writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
                bottom + 18.0,
                words(10f64.powi(power))
            );
        }
    }
    for (at, (row, label)) in rows.into_iter().enumerate() {
        let y = TOP + GAP / 2.0 + block * at as f64;
        let middle = y + BAR * PRODUCTS.len() as f64 / 2.0 + 4.0;
        let _ = writeln!(text, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{label}</text>", LEFT - 10.0);
        for (number, who) in PRODUCTS.into_iter().enumerate() {
            // winbind's answer has no members: its bar would be of other work.
            if who == Who::Winbind && row.part == "members" {
                continue;
            }
            let Some(shown) = results.shown(size, row, who) else { continue };
            let nanos = shown * nanos_of(row.unit);
            let (y, x) = (y + BAR * number as f64, place(nanos));
            let _ = writeln!(
                text,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"10\">{}</text>",
                (x - LEFT).max(1.0),
                BAR - 1.0,
                colour(who),
                x + 4.0,
                y + BAR - 3.0,
                words(nanos)
            );
        }
    }
    text.push_str("</svg>\n");
    text
}

/// Where a time lies on the scale.
fn place(nanos: f64) -> f64 {
    let share = (nanos.log10() - f64::from(SCALE.0)) / f64::from(SCALE.1 - SCALE.0);
    LEFT + (WIDTH - LEFT - RIGHT) * share.clamp(0.0, 1.0)
}

fn colour(who: Who) -> &'static str {
    match who {
        Who::Entrad => "#1b7f5c",
        Who::Sssd => "#c2702a",
        Who::Winbind => "#5b6fb5",
        Who::Bare | Who::BareSssd => "#888",
    }
}

/// Nanoseconds of one of the unit.
fn nanos_of(unit: Unit) -> f64 {
    match unit {
        Unit::Micros => 1e3,
        Unit::Millis => 1e6,
        _ => 1e9,
    }
}

/// A time in words.
fn words(nanos: f64) -> String {
    let (value, sign) = match nanos {
        small if small < 1e3 => (nanos, "ns"),
        small if small < 1e6 => (nanos / 1e3, "µs"),
        small if small < 1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    let digits = usize::from(value < 10.0 && value.fract() > 0.0);
    format!("{value:.digits$} {sign}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_product_has_a_longer_bar() {
        assert!(place(100.0) < place(1e3) && place(1e3) < place(1e9));
        assert!((place(1e12) - place(1e11)).abs() < 0.01, "a bar ends at the end of the scale");
    }

    #[test]
    fn only_rows_that_were_measured_are_drawn() {
        let mut results = Results::default();
        results.add(Size::Small, "login", Who::Entrad, 20e6);
        results.add(Size::Small, "login", Who::Sssd, 30e6);
        let text = draw(&results);
        assert!(text.contains("20 ms") && text.contains("30 ms") && !text.contains("getpwnam"), "{text}");
    }
}
