//! Source text line by line, as code and as comments: so that a rule about code does not stumble over a string that
//! looks like it.

/// One line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The line with comments, and the insides of strings and characters, left out.
    pub code: String,
    /// The text of its comments.
    pub comment: String,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    BlockComment(usize),
    Text { hashes: Option<usize> },
}

/// The lines of a Rust file.
pub fn lines(text: &str) -> Vec<Line> {
    let characters: Vec<char> = text.chars().collect();
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let starts = |wanted: &str| wanted.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c));
        if rest[0] == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        let (next, length) = match state {
            State::Code if starts("//") => (State::LineComment, 2),
            State::Code if starts("/*") => (State::BlockComment(1), 2),
            State::Code => {
                if let Some((hashes, length)) = opening(rest, &line.code) {
                    line.code.push('"');
                    (State::Text { hashes }, length)
                } else if let Some(length) = character_length(rest) {
                    line.code.push_str("' '");
                    (State::Code, length)
                } else {
                    line.code.push(rest[0]);
                    (State::Code, 1)
                }
            }
            State::LineComment => {
                line.comment.push(rest[0]);
                (State::LineComment, 1)
            }
            State::BlockComment(depth) if starts("/*") => (State::BlockComment(depth + 1), 2),
            State::BlockComment(1) if starts("*/") => (State::Code, 2),
            State::BlockComment(depth) if starts("*/") => (State::BlockComment(depth - 1), 2),
            State::BlockComment(depth) => {
                line.comment.push(rest[0]);
                (State::BlockComment(depth), 1)
            }
            // The character after a backslash is part of the text, unless it ends the line.
            State::Text { hashes: None } if rest[0] == '\\' => (state, if rest.get(1) == Some(&'\n') { 1 } else { 2 }),
            State::Text { hashes } if closes(rest, hashes.unwrap_or(0)) => {
                line.code.push('"');
                (State::Code, 1 + hashes.unwrap_or(0))
            }
            State::Text { .. } => (state, 1),
        };
        state = next;
        at += length;
    }
    lines
}

/// A string begins here: the count of hashes where it is a raw one, and the length of its opening.
fn opening(rest: &[char], before: &str) -> Option<(Option<usize>, usize)> {
    if rest[0] == '"' {
        return Some((None, 1));
    }
    let in_a_word = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    if rest[0] != 'r' || (in_a_word && !before.ends_with(['b', 'c'])) {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(1 + hashes) == Some(&'"')).then_some((Some(hashes), 2 + hashes))
}

fn closes(rest: &[char], hashes: usize) -> bool {
    rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes
}

/// The length of a character literal that begins here (a lifetime is none).
fn character_length(rest: &[char]) -> Option<usize> {
    if rest[0] != '\'' {
        return None;
    }
    match rest.get(1)? {
        '\\' => rest.iter().skip(3).take(12).position(|c| *c == '\'').map(|at| at + 4),
        _ => (rest.get(2) == Some(&'\'')).then_some(3),
    }
}

/// Whether `word` stands in `code` as a word of its own.
pub fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part))
}

/// The first line (from 0) of the file's unit tests, which stand at its end by convention; its length where it has
/// none.
pub fn tests_begin(lines: &[Line]) -> usize {
    lines
        .windows(2)
        .position(|pair| pair[0].code.trim() == "#[cfg(test)]" && pair[1].code.trim_start().starts_with("mod "))
        .unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn strings_and_comments_are_no_code() {
        assert_eq!(code("let a = \"unsafe // {\"; // unsafe"), ["let a = \"\"; "]);
        assert_eq!(code("a /* b /* c */ d */ e"), ["a  e"]);
        assert_eq!(code("let r = r#\"a \"quoted\" unsafe\"#;"), ["let r = \"\";"]);
        assert_eq!(code("let b = br\"\\\"; unsafe"), ["let b = b\"\"; unsafe"]);
        assert_eq!(code("\"a\nb\"; c"), ["\"", "\"; c"]);
        assert_eq!(code("\"a \\\" unsafe\"; c"), ["\"\"; c"]);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        assert_eq!(
            code("match c { '\"' => x, '\\'' => y, '\\u{7f}' => z }"),
            ["match c { ' ' => x, ' ' => y, ' ' => z }"]
        );
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), ["fn f<'a>(x: &'a str) {}"]);
    }

    #[test]
    fn comments_are_kept_apart() {
        assert_eq!(lines("x(); // SAFETY: fine")[0].comment, " SAFETY: fine");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("unsafe { x }", "unsafe") && has_word("a(unsafe)", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe") && !has_word("notunsafe", "unsafe"));
    }

    #[test]
    fn the_tests_of_a_file_are_found() {
        assert_eq!(tests_begin(&lines("fn a() {}\n#[cfg(test)]\nmod tests {\n}")), 1);
        assert_eq!(tests_begin(&lines("fn a() {}\n")), 2);
    }
}
