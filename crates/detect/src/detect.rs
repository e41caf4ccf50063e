//! The order of the sources.

use agentkernel_types::Command;

use crate::{
    Project, Runtime,
    command::{Verdict, judge, judge_words},
    evidence,
    images::{ALPINE, Image},
    pins::{self, quoted},
    procfile,
};

/// What detection may look at.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// None where a sandbox is created without a command.
    pub command: Option<&'a Command>,
    /// What `[sandbox] runtime` says.
    pub runtime: Option<Runtime>,
    pub project: Option<&'a dyn Project>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Detection {
    /// None for the default image: nothing was recognised.
    pub runtime: Option<Runtime>,
    /// Always a valid image reference.
    pub image: String,
    /// What the project's pin, or the name of the program, asks for. None: the default of the image.
    pub version: Option<String>,
    /// One line for people: what decided, and which hints were not used and why.
    pub reason: String,
    pub source: Source,
}

/// Which source decided, the strongest first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    Command,
    Configuration,
    ProjectFiles,
    Procfile,
    Default,
}

impl Source {
    pub const ALL: [Self; 5] = [
        Self::Command,
        Self::Configuration,
        Self::ProjectFiles,
        Self::Procfile,
        Self::Default,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Configuration => "configuration",
            Self::ProjectFiles => "project files",
            Self::Procfile => "Procfile",
            Self::Default => "default",
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Chooses an image. It always finds one: where nothing is recognised, the default.
pub fn detect(request: &Request<'_>) -> Detection {
    let mut remarks = Vec::new();
    if let Some(command) = request.command {
        let verdict = judge(command.argv());
        if let Some(found) = by_verdict(verdict, request, Source::Command, "the command", &mut remarks) {
            return found;
        }
    }
    if let Some(runtime) = request.runtime {
        let reason = format!("agentkernel.toml sets the runtime {runtime}");
        return choose(
            request,
            Source::Configuration,
            runtime,
            runtime.image(),
            reason,
            remarks,
        );
    }
    if let Some(project) = request.project {
        if let Some((evidence, name)) = evidence::find(project.names()) {
            let reason = format!("the project has {}", quoted(name).replace('"', ""));
            return choose(
                request,
                Source::ProjectFiles,
                evidence.runtime,
                evidence.image,
                reason,
                remarks,
            );
        }
        if let Some(found) = by_procfile(project, request, &mut remarks) {
            return found;
        }
    }
    let reason = joined("nothing names a language".to_owned(), remarks);
    Detection {
        runtime: None,
        image: ALPINE.reference(),
        version: None,
        reason,
        source: Source::Default,
    }
}

fn by_procfile(project: &dyn Project, request: &Request<'_>, remarks: &mut Vec<String>) -> Option<Detection> {
    let there = project.names().iter().any(|name| name == "Procfile");
    let text = there.then(|| project.read("Procfile")).flatten()?;
    let (process, words) = procfile::command(&text)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let what = format!(
        "the process {} of the Procfile",
        quoted(&process).replace('"', "")
    );
    by_verdict(judge_words(&words), request, Source::Procfile, &what, remarks)
}

fn by_verdict(
    verdict: Verdict,
    request: &Request<'_>,
    source: Source,
    what: &str,
    remarks: &mut Vec<String>,
) -> Option<Detection> {
    match verdict {
        Verdict::Tool {
            program,
            tool,
            version,
            note,
        } => {
            let reason = format!("{what} runs {program}");
            let mut own = std::mem::take(remarks);
            own.extend(note.map(str::to_owned));
            let Some(version) = version else {
                return Some(choose(request, source, tool.runtime, tool.image, reason, own));
            };
            // A version in the program's name is no wish: without it the program does not exist.
            match crate::version::Version::parse(&version).and_then(|version| tool.image.pinned(version)) {
                Some((image, version)) => {
                    let (runtime, version) = (Some(tool.runtime), Some(version.to_string()));
                    Some(Detection {
                        runtime,
                        image,
                        version,
                        reason: joined(reason, own),
                        source,
                    })
                }
                None => {
                    own.push(format!("no image known here holds {program}"));
                    *remarks = own;
                    None
                }
            }
        }
        Verdict::WithoutImage { program, advice } => {
            remarks.push(format!("no image known here holds {program}: {advice}"));
            None
        }
        Verdict::Unknown => None,
    }
}

fn choose(
    request: &Request<'_>,
    source: Source,
    runtime: Runtime,
    image: &Image,
    reason: String,
    mut remarks: Vec<String>,
) -> Detection {
    let pinned = pins::apply(runtime, image, request.project);
    remarks.splice(0..0, pinned.remarks);
    let reason = joined(reason, remarks);
    Detection {
        runtime: Some(runtime),
        image: pinned.reference,
        version: pinned.version,
        reason,
        source,
    }
}

fn joined(reason: String, remarks: Vec<String>) -> String {
    std::iter::once(reason)
        .chain(remarks)
        .collect::<Vec<_>>()
        .join("; ")
}
