//! One thing that is wrong in a file, and how it is shown: place, excerpt, caret, ways out.
//!
//! The files are not trusted and neither are their names: no byte of them reaches a terminal as a
//! control character, and no text grows with the size of the file.

use std::{ops::Range, path::Path};

use agentkernel_types::ErrorKind;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::file::SourceFile;

/// Problems that are shown in full; the rest is counted.
const MAX_SHOWN: usize = 20;
const MAX_TITLE: usize = 300;

#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub kind: ErrorKind,
    title: String,
    label: Option<String>,
    help: Vec<String>,
    path: String,
    line_number: usize,
    /// The line on which the span begins, without its line feed.
    line: String,
    /// Within `line`.
    span: Range<usize>,
}

impl Problem {
    pub fn new(kind: ErrorKind, file: &SourceFile, span: Range<usize>, title: impl Into<String>) -> Self {
        let text = file.text.as_str();
        let at = floor_boundary(text, span.start);
        let start = text[..at].rfind('\n').map_or(0, |feed| feed + 1);
        let end = text[at..].find('\n').map_or(text.len(), |feed| at + feed);
        let line = text[start..end].trim_end_matches('\r').to_owned();
        let from = (at - start).min(line.len());
        let to = floor_boundary(&line, span.end.saturating_sub(start)).max(from);
        Self {
            kind,
            title: shorten(&title.into()),
            label: None,
            help: Vec::new(),
            path: display(&file.path),
            line_number: file.line_of(at),
            line,
            span: from..to,
        }
    }

    pub fn invalid(file: &SourceFile, span: Range<usize>, title: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidSpec, file, span, title)
    }

    /// What stands beside the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// A way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(shorten(&help.into()));
        self
    }
}

/// All problems below each other. The first has no `error:` in front: whoever prints it adds that.
pub(crate) fn render(problems: &[Problem], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut parts: Vec<String> = Vec::new();
    for (index, problem) in problems.iter().take(MAX_SHOWN).enumerate() {
        parts.push(render_one(&renderer, problem, index == 0, colour));
    }
    if problems.len() > MAX_SHOWN {
        parts.push(format!("and {} more", problems.len() - MAX_SHOWN));
    }
    parts.join("\n\n")
}

fn render_one(renderer: &Renderer, problem: &Problem, first: bool, colour: bool) -> String {
    let level = if first {
        Level::ERROR.no_name()
    } else {
        Level::ERROR
    };
    let (line, path, title) = (
        visible(&problem.line),
        visible(&problem.path),
        visible(&problem.title),
    );
    // `visible` keeps the number of characters but not of bytes, so the span is moved over.
    let moved = |at: usize| visible(&problem.line[..at]).len();
    let span = moved(problem.span.start)..moved(problem.span.end);
    let annotation = AnnotationKind::Primary
        .span(span)
        .label(problem.label.as_deref().map(visible));
    let snippet = Snippet::source(line)
        .path(path)
        .line_start(problem.line_number)
        .annotation(annotation);
    let mut group = level.primary_title(title).element(snippet);
    for help in &problem.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    let text = renderer.render(&[group]);
    let text = if colour { text } else { visible_lines(&text) };
    // Padding at the ends of lines is the renderer's, not ours.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

pub(crate) fn display(path: &Path) -> String {
    path.display().to_string()
}

/// Replaces what could command a terminal or reorder its text, character by character.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c != '\t' && is_hidden(c) { '\u{fffd}' } else { c })
        .collect()
}

fn visible_lines(text: &str) -> String {
    text.chars()
        .map(|c| if c != '\n' && is_hidden(c) { '\u{fffd}' } else { c })
        .collect()
}

fn is_hidden(c: char) -> bool {
    // Control characters, and the marks of bidirectional text (Unicode TR 9, section 2).
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_TITLE {
        return text.to_owned();
    }
    text.chars().take(MAX_TITLE).chain("...".chars()).collect()
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}
