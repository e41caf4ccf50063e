//! Just enough of Rust's lexical structure to tell code from comments, strings and tests.

/// A file with its comments and its `#[cfg(test)]` modules blanked out; lines stay where they are.
pub struct Code {
    /// With the content of string literals blanked, too.
    pub bare: String,
    /// The string literals and the lines on which they begin.
    pub strings: Vec<(usize, String)>,
}

/// Blanks comments, then test modules.
pub fn code(text: &str) -> Code {
    let (bare, strings) = blank_comments(text);
    let tests = test_lines(&bare);
    let is_test = |line: usize| tests.iter().any(|range| range.contains(&line));
    let bare: String = bare
        .lines()
        .enumerate()
        .map(|(index, line)| {
            if is_test(index + 1) {
                "\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    let strings = strings.into_iter().filter(|(line, _)| !is_test(*line)).collect();
    Code { bare, strings }
}

/// How many lines of the file are no test.
pub fn product_lines(text: &str) -> usize {
    let tests: usize = test_lines(&blank_comments(text).0)
        .iter()
        .map(|range| range.clone().count())
        .sum();
    text.lines().count() - tests
}

/// The lines of `#[cfg(test)] mod name { ... }`, from 1.
fn test_lines(bare: &str) -> Vec<std::ops::RangeInclusive<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(offset) = bare[from..].find("#[cfg(test)]") {
        let start = from + offset;
        let end = item_end(bare, start + "#[cfg(test)]".len());
        found.push(line_of(bare, start)..=line_of(bare, end));
        from = end;
    }
    found
}

/// The end of the item that begins here: its closing brace, or its semicolon if it has none.
fn item_end(bare: &str, start: usize) -> usize {
    let mut depth = 0usize;
    for (index, byte) in bare.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return index,
            b'}' => depth -= 1,
            b';' if depth == 0 => return index,
            _ => {}
        }
    }
    bare.len()
}

pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

fn blank_comments(text: &str) -> (String, Vec<(usize, String)>) {
    let mut scanner = Scanner {
        rest: text,
        line: 1,
        bare: String::with_capacity(text.len()),
        strings: Vec::new(),
    };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    (scanner.bare, scanner.strings)
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    bare: String,
    strings: Vec<(usize, String)>,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(end, true);
        } else if self.rest.starts_with("/*") {
            let end = block_comment(self.rest);
            self.take(end, true);
        } else if let Some((open, close)) = raw_string(self.rest).filter(|_| !self.follows_identifier()) {
            let end = self.rest[open..]
                .find(&close)
                .map_or(self.rest.len(), |at| open + at);
            self.string(open, end, close.len());
        } else if self.rest.starts_with('"') {
            let end = string_end(self.rest);
            self.string(1, end, 1);
        } else if let Some(length) = character(self.rest) {
            self.take(length, true);
        } else {
            let length = self.rest.chars().next().map_or(0, char::len_utf8);
            self.take(length, false);
        }
    }

    /// Copies `length` bytes, as blanks if they are no code.
    fn take(&mut self, length: usize, blank: bool) {
        let length = length.min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        for c in taken.chars() {
            self.line += usize::from(c == '\n');
            self.bare.push(if blank && c != '\n' { ' ' } else { c });
        }
        self.rest = rest;
    }

    fn string(&mut self, open: usize, end: usize, close: usize) {
        let end = end.min(self.rest.len());
        self.strings.push((self.line, self.rest[open..end].to_owned()));
        self.take(open, false);
        self.take(end - open, true);
        self.take(close, false);
    }

    /// `br"..."` begins a string, the `r` of `for"..."` does not.
    fn follows_identifier(&self) -> bool {
        self.bare
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let bytes = text.as_bytes();
    let mut index = 0;
    while index + 1 < bytes.len() {
        match &bytes[index..index + 2] {
            b"/*" => (depth, index) = (depth + 1, index + 2),
            b"*/" if depth == 1 => return index + 2,
            b"*/" => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
    }
    text.len()
}

/// The length of `r##"` and what ends it.
fn raw_string(text: &str) -> Option<(usize, String)> {
    let body = text
        .strip_prefix("br")
        .or_else(|| text.strip_prefix("cr"))
        .or_else(|| text.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].starts_with('"').then(|| {
        (
            text.len() - body.len() + hashes + 1,
            format!("\"{}", "#".repeat(hashes)),
        )
    })
}

/// Where the closing quote of the string at the start is.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let skipped = escape.chars().next()?.len_utf8();
        return Some(2 + skipped + escape[skipped..].find('\'')? + 1);
    }
    let c = body.chars().next()?;
    body[c.len_utf8()..].starts_with('\'').then_some(c.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_blanked_and_lines_stay() {
        let code = code("let a = 1; // docker\n/* docker /* nested */ */ let b = 2;\n");
        assert!(!code.bare.contains("docker"));
        assert_eq!(code.bare.lines().count(), 2);
        assert!(code.bare.contains("let b = 2;"));
    }

    #[test]
    fn strings_are_taken_apart_from_code() {
        let code = code(
            r####"let a = "x \" // y"; let b = r#"raw " text"#; let c = 'a'; let d: &'static str = b"z";"####,
        );
        let strings: Vec<&str> = code.strings.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(strings, [r#"x \" // y"#, r#"raw " text"#, "z"]);
        assert!(code.bare.contains("&'static str"));
    }

    #[test]
    fn a_quote_as_a_character_begins_no_string() {
        let code = code("let a = '\"'; let b = '\\''; println!();");
        assert_eq!(code.strings, []);
        assert!(code.bare.contains("println!"));
    }

    #[test]
    fn test_modules_are_not_product_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x { } }\n}\nfn c() {}\n";
        assert_eq!(product_lines(text), 2);
        let bare = code(text).bare;
        assert!(bare.contains("fn c") && !bare.contains("fn b"));
    }

    #[test]
    fn a_test_module_in_its_own_file_costs_one_item() {
        assert_eq!(product_lines("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 1);
    }
}
