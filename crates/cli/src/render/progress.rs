//! What happens while an image comes: a bar a layer on a terminal, lines otherwise, nothing where nobody wants it.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkernel_types::{Digest, ImageEvent, LayerState};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{note, safe};

/// So many redraws a second at most.
const REDRAWS: u8 = 10;

/// Shows the events that its listener gets.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Mutex<Display>>);

#[derive(Debug)]
enum Display {
    Silent,
    Lines {
        said: HashMap<Digest, &'static str>,
    },
    /// The bars come with the first event: a run that fetches nothing draws nothing.
    Bars {
        all: Option<MultiProgress>,
        layers: HashMap<Digest, ProgressBar>,
    },
}

impl Progress {
    pub fn new(silent: bool) -> Self {
        let display = if silent {
            Display::Silent
        } else if rustix::termios::isatty(io::stderr()) {
            Display::Bars {
                all: None,
                layers: HashMap::new(),
            }
        } else {
            Display::Lines { said: HashMap::new() }
        };
        Self(Arc::new(Mutex::new(display)))
    }

    pub fn listener(&self) -> agentkernel_control::Progress {
        let display = Arc::clone(&self.0);
        agentkernel_control::Progress::new(move |event| {
            display
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .show(&event);
        })
    }

    /// Leaves the terminal as it was, with what was drawn above.
    pub fn finish(&self) {
        let mut display = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Display::Bars { all, layers } = &mut *display {
            for bar in layers.drain() {
                bar.1.abandon();
            }
            *all = None;
        }
    }
}

impl Display {
    fn show(&mut self, event: &ImageEvent) {
        match self {
            Self::Silent => {}
            Self::Lines { said } => lines(said, event),
            Self::Bars { all, layers } => {
                let target = || MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
                bars(all.get_or_insert_with(target), layers, event);
            }
        }
    }
}

fn lines(said: &mut HashMap<Digest, &'static str>, event: &ImageEvent) {
    match event {
        ImageEvent::Asking { image, source } => note(&format!("getting {image} from {source}")),
        ImageEvent::Found { layers, .. } => {
            let bytes: u64 = layers.iter().map(|(_, bytes)| bytes).sum();
            note(&format!("{} layers, {}", layers.len(), super::human::size(bytes)));
        }
        ImageEvent::Layer { digest, state } => {
            // Once a state, not once a kilobyte.
            let word = word(*state);
            if said.insert(digest.clone(), word) != Some(word) {
                note(&format!("{} {word}", digest.short()));
            }
        }
        other => rare(other),
    }
}

fn rare(event: &ImageEvent) {
    match event {
        ImageEvent::Retry {
            what,
            reason,
            pause_ms,
        } => note(&format!(
            "{what}: {reason}; trying again in {:?}",
            Duration::from_millis(*pause_ms)
        )),
        ImageEvent::Said { text } => {
            // Not ours: said as it is, but harmless.
            let _ = writeln!(io::stderr().lock(), "{}", safe(text));
        }
        ImageEvent::Ready { image, id } => note(&format!("{image} is {}", id.short())),
        ImageEvent::Asking { .. } | ImageEvent::Found { .. } | ImageEvent::Layer { .. } => {}
    }
}

fn bars(all: &MultiProgress, layers: &mut HashMap<Digest, ProgressBar>, event: &ImageEvent) {
    match event {
        ImageEvent::Found { layers: found, .. } => {
            for (digest, bytes) in found {
                let bar = layers
                    .entry(digest.clone())
                    .or_insert_with(|| all.add(ProgressBar::new(*bytes)));
                bar.set_style(style("{prefix} {msg}"));
                bar.set_prefix(digest.short().to_owned());
                bar.set_message("waiting");
            }
        }
        ImageEvent::Layer { digest, state } => {
            let Some(bar) = layers.get(digest) else { return };
            if let LayerState::Downloading { bytes, total } = state {
                bar.set_style(style(
                    "{prefix} [{bar:24}] {bytes:>10} / {total_bytes:10} {bytes_per_sec}",
                ));
                bar.set_length(*total);
                bar.set_position(*bytes);
            } else {
                bar.set_style(style("{prefix} {msg}"));
                bar.set_message(word(*state));
            }
            if matches!(state, LayerState::Done | LayerState::Present) {
                bar.abandon();
            }
        }
        other => all.suspend(|| match other {
            ImageEvent::Asking { image, source } => note(&format!("getting {image} from {source}")),
            other => rare(other),
        }),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are constants")
        .progress_chars("=> ")
}

const fn word(state: LayerState) -> &'static str {
    match state {
        LayerState::Present => "is here",
        LayerState::Waiting => "is fetched by another process",
        LayerState::Downloading { .. } => "downloading",
        LayerState::Unpacking => "unpacking",
        LayerState::Done => "done",
    }
}
