//! Lines of the log about requests that were refused. Whoever has taken the worker over may send as many as he likes;
//! the log gets a few a minute and the number of the others.

use std::time::{Duration, Instant};

/// Most lines in one span, and how long a span is.
const MOST: u32 = 5;
const SPAN: Duration = Duration::from_secs(60);

/// What was refused in the current span.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    begun: Option<Instant>,
    seen: u32,
}

impl Refusals {
    /// Counts one that was refused for `reason`; gives the line to write, where there is one.
    pub(super) fn line(&mut self, reason: &str, now: Instant) -> Option<String> {
        let mut before = 0;
        if self.begun.is_none_or(|begun| now.saturating_duration_since(begun) >= SPAN) {
            before = self.seen.saturating_sub(MOST);
            *self = Self { begun: Some(now), seen: 0 };
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen > MOST {
            return None;
        }
        let further = if before > 0 { format!(" ({before} more were refused before this)") } else { String::new() };
        Some(format!("a request of the worker is refused: {reason}{further}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let begin = Instant::now();
        let mut refusals = Refusals::default();
        let lines = (0..1000).filter_map(|_| refusals.line("why", begin)).count();
        assert_eq!(lines, MOST as usize);
        let next = refusals.line("why", begin + SPAN).unwrap();
        assert!(next.contains("why") && next.contains("995 more"), "{next}");
        assert_eq!(refusals.line("other", begin + SPAN).unwrap(), "a request of the worker is refused: other");
    }
}
