//! Text from elsewhere, made harmless: a terminal obeys control characters, whoever sent them.

/// Control characters become `\n`, `\x1b` and the like; so do the ones that turn the direction of
/// writing or hide themselves, with which a name can pretend to be another one.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            control if control.is_control() && control.is_ascii() => {
                safe.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            control if control.is_control() || deceives(control) => {
                safe.push_str(&format!("\\u{{{:x}}}", u32::from(control)));
            }
            harmless => safe.push(harmless),
        }
    }
    safe
}

/// Direction marks and overrides, isolates, separators of lines, and characters without a width.
const fn deceives(character: char) -> bool {
    matches!(character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        for (text, safe) in [
            ("plain name, ümlaut, 名", "plain name, ümlaut, 名"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("exe\u{202e}txt", "exe\\u{202e}txt"),
            ("\x7f", "\\x7f"),
        ] {
            assert_eq!(printable(text), safe);
        }
    }
}
