//! The text of `docs/concepts/detection.md`, made from the tables that detection uses.

use crate::{
    Runtime,
    evidence::EVIDENCE,
    images::Image,
    pins::PINS,
    tools::{TOOLS, WITHOUT_IMAGE, WRAPPERS},
};

const INTRODUCTION: &str = "\
# Runtime detection

<!-- Generated from crates/detect; a test keeps it current. Do not edit by hand. -->

Without `--image` and without `base_image` in `agentkernel.toml`, the image is detected. `run --explain` says
what was chosen and why. The sources are asked in this order, and the first that recognises something decides:

1. **The command**: the name of its program. `env`, `nice`, `nohup`, `setsid`, `stdbuf`, `time`, `timeout`, `sudo` and
   `doas` are looked through. A program with a path counts only in the usual folders (`/usr/bin` and the like):
   `./tool` is the project's own, except for the wrapper scripts below. Of `sh -c SCRIPT` only the shell is looked at.
2. **`runtime`** in `[sandbox]` of `agentkernel.toml`.
3. **The project's files**, in the current folder: the first row of the table below that has a file there.
4. **The Procfile**: the program of its `web` process, or else of its first one.
5. **The default**: `DEFAULT`.

A version that the project pins chooses the tag, whichever source chose the image. Only plain versions with an
image that is known to exist are used; what is not used is named in the reason.
The project's files are not trusted: at most 10,000 names are listed, files above 64 KiB and symbolic links are not
read, and nothing but checked digits and dots gets into an image's name.

";

/// The whole page.
pub fn page() -> String {
    let mut page = INTRODUCTION.replace("DEFAULT", &Runtime::Base.image().reference());
    let mut table = |title: &str, header: &[&str], rows: Vec<Vec<String>>| {
        let rule = "---|".repeat(header.len());
        page.push_str(&format!("## {title}\n\n| {} |\n|{rule}\n", header.join(" | ")));
        for row in rows {
            page.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        page.push('\n');
    };
    table(
        "Runtimes",
        &["runtime", "what", "image", "holds"],
        Runtime::ALL.iter().map(|it| runtime_row(*it)).collect(),
    );
    let tools = TOOLS.iter().chain([&WRAPPERS]);
    table(
        "Commands",
        &["commands", "runtime", "image", "holds"],
        tools
            .map(|tool| row(tool.commands, tool.runtime, tool.image))
            .collect(),
    );
    let without = |(name, advice): &(&str, &str)| vec![format!("`{name}`"), (*advice).to_owned()];
    table(
        "Commands that no known image holds",
        &["command", "instead"],
        WITHOUT_IMAGE.iter().map(without).collect(),
    );
    let evidence = |it: &crate::evidence::Evidence| row(it.names, it.runtime, it.image);
    table(
        "Project files",
        &["files", "runtime", "image", "holds"],
        EVIDENCE.iter().map(evidence).collect(),
    );
    let pin = |pin: &crate::pins::PinFile| {
        vec![
            format!("`{}`", pin.runtime),
            format!("`{}`", pin.file),
            pin.part.to_owned(),
        ]
    };
    table(
        "Version pins",
        &["runtime", "file", "what is read"],
        PINS.iter().map(pin).collect(),
    );
    page.truncate(page.trim_end().len());
    page + "\n"
}

fn runtime_row(runtime: Runtime) -> Vec<String> {
    let image = runtime.image();
    let what = runtime.title().to_owned();
    vec![
        format!("`{runtime}`"),
        what,
        format!("`{}`", image.reference()),
        image.fact.to_owned(),
    ]
}

fn row(names: &[&str], runtime: Runtime, image: &Image) -> Vec<String> {
    let names = names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    vec![
        names,
        format!("`{runtime}`"),
        format!("`{}`", image.reference()),
        image.fact.to_owned(),
    ]
}
