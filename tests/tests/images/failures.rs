//! A pull that fails says why in one line, and the way out in another.

use agentkernel_tests::registry::{Answer, Stub, refused_port};

use crate::setting::{Setting, plain, unfinished};

#[test]
fn a_failed_pull_says_why_and_the_way_out() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let limited = Stub::new(|_| {
        Answer::new("429 Too Many Requests")
            .header("Retry-After", "0")
            .body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#)
    });
    let broken = Stub::new(|_| Answer::new("500 Internal Server Error"));
    let nonsense = Stub::new(|_| Answer::new("200 OK").body("<html>a portal of some hotel</html>"));
    let dead = refused_port().to_string();
    let hosts = [
        limited.host(),
        broken.host(),
        nonsense.host(),
        dead.clone(),
        setting.registry.host(),
    ];
    let settings: String = hosts.iter().map(|host| plain(host)).collect();
    setting
        .home
        .write_user_settings(&(settings + &plain("no-such-registry.invalid")));
    let cases = [
        (
            setting.registry.name("no/such:1"),
            &["no/such", "check the name"][..],
        ),
        (format!("{dead}/team/tool:1"), &["refused"]),
        (
            "no-such-registry.invalid/team/tool:1".to_owned(),
            &["no-such-registry.invalid", "network"],
        ),
        (format!("{}/team/tool:1", limited.host()), &["docker login"]),
        (format!("{}/team/tool:1", broken.host()), &["500"]),
        (format!("{}/team/tool:1", nonsense.host()), &["manifest"]),
    ];
    for (name, words) in cases {
        for outcome in [setting.pull(&name), setting.run(&name, &["true"])] {
            let outcome = outcome.refused(words[0]);
            let errors = outcome.errors();
            for word in words {
                assert!(errors.contains(word), "{name}: {word:?} is not in {errors}");
            }
            let lines = |start: &str| errors.lines().filter(|line| line.starts_with(start)).count();
            assert_eq!(lines("error"), 1, "{name}: {errors}");
            assert!(
                lines("hint") + lines("  hint") >= 1,
                "{name}: no way out: {errors}"
            );
        }
    }
    assert_eq!(unfinished(&setting.home), [""; 0]);
}

#[test]
fn a_registry_that_recovers_is_asked_again() {
    let (Some(setting), Some(image)) = (Setting::new(), agentkernel_tests::images::Image::busybox()) else {
        return;
    };
    let failures = std::sync::atomic::AtomicU32::new(3);
    let stub = Stub::new(move |asked| {
        use std::sync::atomic::Ordering::Relaxed;
        match failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Answer::new("503 Service Unavailable"),
            Err(_) => Answer::from_image(&image, asked),
        }
    });
    setting.home.write_user_settings(&plain(&stub.host()));
    setting.pull(&format!("{}/team/tool:1", stub.host())).success();
}
