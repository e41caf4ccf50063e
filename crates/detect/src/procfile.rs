//! The command of a Procfile: the `web` process, or else the first one.

/// The words of the command, without leading assignments. Split at white space: the words are only
/// looked at, never run.
pub(crate) fn command(text: &str) -> Option<(String, Vec<String>)> {
    let processes: Vec<(&str, &str)> = text.lines().filter_map(process).collect();
    let chosen = processes
        .iter()
        .find(|(name, _)| *name == "web")
        .or(processes.first())?;
    let words = chosen
        .1
        .split_whitespace()
        .skip_while(|word| is_assignment(word))
        .map(str::to_owned)
        .collect();
    Some((chosen.0.to_owned(), words))
}

fn process(line: &str) -> Option<(&str, &str)> {
    let (name, command) = line.split_once(':')?;
    let valid = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    (valid && !command.trim().is_empty()).then_some((name, command.trim()))
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
