//! What a pull shows: plain lines in a pipe, a living display on a terminal, events for programs, nothing with `-q`.

use agentkernel_tests::{
    cli::{Terminal, mentions},
    images::{Compression, Image, Layer},
    registry::Gate,
};

use crate::{
    pull::noise,
    setting::{Setting, plain},
};

/// An image whose second layer takes a while: 3 MiB at 2 MiB a second.
fn slow() -> Option<(Setting, Gate, Image)> {
    let (setting, image) = (Setting::new()?, Image::busybox()?);
    let image = image.layer(
        Layer::new().file("noise", 0o644, noise(3 << 20, 3)),
        Compression::Gzip,
    );
    setting.registry.push("team/slow:1", &image);
    let gate = Gate::before(setting.registry.address()).slow(2 << 20);
    setting.home.write_user_settings(&plain(&gate.host()));
    Some((setting, gate, image))
}

#[test]
fn in_a_pipe_there_are_plain_lines_and_the_result() {
    let Some((setting, gate, image)) = slow() else {
        return;
    };
    let outcome = setting.pull(&format!("{}/team/slow:1", gate.host())).success();
    let errors = outcome.errors();
    assert!(!errors.contains('\x1b') && !errors.contains('\r'), "{errors:?}");
    for layer in &image.layers {
        assert!(
            errors.contains(&layer.hex()[..12]),
            "no line for {}: {errors}",
            layer.digest
        );
    }
    assert!(errors.lines().count() < 40, "a line for every byte: {errors}");
    let text = outcome.text() + &errors;
    assert!(
        text.contains(&image.id()["sha256:".len()..][..12]),
        "the image is not named: {text}"
    );
}

#[test]
fn quiet_is_quiet() {
    let Some((setting, gate, _image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    let outcome = setting.home.call(["image", "pull", "-q", &name]).success();
    assert_eq!(outcome.errors(), "");
    assert!(outcome.text().lines().count() <= 1, "{}", outcome.text());
}

#[test]
fn a_run_shows_its_pull_on_stderr_only() {
    let Some((setting, gate, _image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    let outcome = setting.run(&name, &["echo", "only this"]).success();
    assert_eq!(outcome.text(), "only this\n");
    assert!(
        outcome.errors().contains("slow"),
        "nothing was shown: {}",
        outcome.errors()
    );
    let again = setting.run(&name, &["echo", "only this"]).success();
    assert_eq!(again.errors(), "");
}

#[test]
fn programs_get_a_document_and_nothing_else() {
    let Some((setting, gate, image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    let outcome = setting.home.call(["image", "pull", "--json", &name]).success();
    assert!(mentions(&outcome.json(), &image.id()), "{}", outcome.text());
    assert_eq!(outcome.errors(), "");
}

#[test]
fn on_a_terminal_the_display_lives() {
    let Some((setting, gate, image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    let mut terminal = Terminal::open(&setting.home, &["image", "pull", &name], 24, 80);
    terminal.expect("/s");
    assert!(terminal.wait().success(), "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(screen.contains(&image.layers[1].hex()[..12]), "{screen:?}");
    assert!(
        screen.contains('\x1b') || screen.contains('\r'),
        "nothing moves: {screen:?}"
    );
    assert!(
        screen.contains("MB") || screen.contains("MiB"),
        "no bytes: {screen:?}"
    );
}

#[test]
fn a_narrow_terminal_is_not_overrun() {
    let Some((setting, gate, _image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    let mut terminal = Terminal::open(&setting.home, &["image", "pull", &name], 10, 30);
    assert!(terminal.wait().success(), "{}", terminal.screen());
}
