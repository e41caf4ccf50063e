//! What people read when a file is wrong, word for word.

mod support;

use agentkernel_types::ErrorKind;
use support::Place;

/// The first line of each problem, in order.
fn titles(message: &str) -> Vec<&str> {
    let starts = |line: &&str| {
        !line.starts_with([' ', '|']) && !line.is_empty() && !line.starts_with(|c: char| c.is_ascii_digit())
    };
    message
        .lines()
        .filter(starts)
        .map(|line| line.trim_start_matches("error: "))
        .collect()
}

#[test]
fn all_unknown_keys_are_reported_at_once_with_their_nearest_neighbours() {
    let place = Place::new().project(
        "[sandbox]\nnmae = \"x\"\nbase_imge = 3\n\n[resorces]\nvcpus = 1\n\n[security]\nmemory_mb = 5\nwhatever = 1\n",
    );
    assert_eq!(
        place.message(),
        "\
unknown key `sandbox.nmae`
 --> DIR/project/agentkernel.toml:2:1
  |
2 | nmae = \"x\"
  | ^^^^
  |
  = help: did you mean `name`?

error: unknown key `sandbox.base_imge`
 --> DIR/project/agentkernel.toml:3:1
  |
3 | base_imge = 3
  | ^^^^^^^^^
  |
  = help: did you mean `base_image`?

error: unknown key `resorces`
 --> DIR/project/agentkernel.toml:5:2
  |
5 | [resorces]
  |  ^^^^^^^^
  |
  = help: did you mean `resources`?

error: unknown key `security.memory_mb`
 --> DIR/project/agentkernel.toml:9:1
  |
9 | memory_mb = 5
  | ^^^^^^^^^
  |
  = help: `memory_mb` is a key of [resources]

error: unknown key `security.whatever`
  --> DIR/project/agentkernel.toml:10:1
   |
10 | whatever = 1
   | ^^^^^^^^
   |
   = help: the keys of [security] are profile, network, mount_cwd, mount_home, pass_env, read_only"
    );
    assert_eq!(place.error().kind(), ErrorKind::InvalidSpec);
    assert_eq!(place.error().hint(), None);
}

#[test]
fn a_loosening_names_the_place_what_it_does_and_both_ways_to_allow_it() {
    let place = Place::new().project("[sandbox]\nname = \"x\"\n[security]\nmount_home = true\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `security.mount_home` loosens: it would let the sandbox read your home folder
 --> DIR/project/agentkernel.toml:4:14
  |
4 | mount_home = true
  |              ^^^^ for you it is false (by the profile moderate)
  |
  = help: to allow it this time: pass `--mount-home`
  = help: to allow it always: write `mount_home = true` under [security] in DIR/config.toml"
    );
    assert_eq!(place.error().kind(), ErrorKind::Denied);
}

#[test]
fn a_higher_limit_than_the_users_is_a_loosening() {
    let place = Place::new()
        .user("[resources]\ntimeout = \"1m\"\n")
        .project("[resources]\ntimeout = 3600\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `resources.timeout` loosens: \"3600s\" is more than \"60s\"
 --> DIR/project/agentkernel.toml:2:11
  |
2 | timeout = 3600
  |           ^^^^ your limit is \"60s\" (DIR/config.toml:2)
  |
  = help: to allow it this time: pass `--timeout 3600s`
  = help: to allow it always: write `timeout = \"3600s\"` under [resources] in DIR/config.toml"
    );
}

#[test]
fn a_syntax_error_shows_where() {
    assert_eq!(
        Place::new().project("[sandbox]\nname = \n").message(),
        "\
not valid TOML: string values must be quoted, expected literal string
 --> DIR/project/agentkernel.toml:2:8
  |
2 | name =
  |        ^"
    );
}

#[test]
fn every_wrong_value_is_named_with_what_would_be_right() {
    let table = [
        ("sandbox = 1", "`sandbox`: expected a table, found an integer"),
        (
            "[sandbox]\nname = 1",
            "`sandbox.name`: expected a string, found an integer",
        ),
        (
            "[sandbox]\nname = \"-x\"",
            "`sandbox.name`: invalid sandbox name \"-x\": use 1 to 63 letters, digits, '_', '.' or '-', starting with a letter or digit",
        ),
        (
            "[sandbox]\nname = \"..\"",
            "`sandbox.name`: invalid sandbox name \"..\": use 1 to 63 letters, digits, '_', '.' or '-', starting with a letter or digit",
        ),
        (
            "[sandbox]\nbase_image = \"a b\"",
            "`sandbox.base_image`: invalid image \"a b\": write 'host' or a reference such as python:3.12-alpine",
        ),
        (
            "[sandbox]\nruntime = \"pyton\"",
            "`sandbox.runtime`: unknown value \"pyton\": did you mean \"python\"? use one of base, node, bun, deno, python, rust, go, ruby, java, kotlin, dotnet, c, php, elixir, terraform, lua, shell",
        ),
        (
            "[sandbox]\nruntime = \"go\"\nrootfs = \"go\"",
            "`sandbox.rootfs` is another name for `runtime`, which is set as well",
        ),
        (
            "[sandbox]\ninit_script = \"x\"",
            "`[sandbox] init_script`: scripts at the start of a sandbox are not supported yet",
        ),
        (
            "[agent]\npreferred = \"claud\"",
            "`agent.preferred`: unknown value \"claud\": did you mean \"claude\"? use one of claude, codex, gemini, copilot, opencode, amp, pi, hermes, symphony",
        ),
        (
            "[resources]\nvcpus = 0",
            "`resources.vcpus`: invalid number of processors \"0\": use 0.01 to 1024, as in 1.5",
        ),
        (
            "[resources]\nvcpus = -1.5",
            "`resources.vcpus`: invalid number of processors \"-1.5\": use 0.01 to 1024, as in 1.5",
        ),
        (
            "[resources]\nvcpus = inf",
            "`resources.vcpus`: invalid number of processors \"inf\": use 0.01 to 1024, as in 1.5",
        ),
        (
            "[resources]\nvcpus = \"2\"",
            "`resources.vcpus`: expected a number, found a string",
        ),
        (
            "[resources]\nmemory_mb = 3",
            "`resources.memory_mb`: 3 is out of range: use 16 to 16777216",
        ),
        (
            "[resources]\nmemory_mb = 512.5",
            "`resources.memory_mb`: expected an integer, found a fraction",
        ),
        (
            "[resources]\nmemory_mb = 99999999999999999999999",
            "`resources.memory_mb`: 99999999999999999999999 is out of range: use 16 to 16777216",
        ),
        (
            "[resources]\npids = -1",
            "`resources.pids`: -1 is out of range: use 2 to 4194304",
        ),
        (
            "[resources]\ndisk_mb = 0",
            "`resources.disk_mb`: 0 is out of range: use 1 to 16777216",
        ),
        (
            "[resources]\ntimeout = \"soon\"",
            "`resources.timeout`: invalid time span \"soon\": write a number with ms, s, m, h or d, as in 30s",
        ),
        (
            "[resources]\ntimeout = 0",
            "`resources.timeout`: invalid time span \"0\": write a number with ms, s, m, h or d, as in 30s",
        ),
        (
            "[resources]\ntimeout = true",
            "`resources.timeout`: expected a time span such as \"30s\", found a boolean",
        ),
        (
            "[security]\nprofile = \"open\"",
            "`security.profile`: unknown value \"open\": use one of permissive, moderate, restrictive",
        ),
        (
            "[security]\nprofile = \"custom\"",
            "`security.profile`: custom profiles are not supported yet: set the keys of [security] one by one",
        ),
        (
            "[security]\nnetwork = \"no\"",
            "`security.network`: expected true or false, found a string",
        ),
        (
            "[security]\nmount_cwd = 1",
            "`security.mount_cwd`: expected true or false, found an integer",
        ),
        (
            "[security]\nmount_home = []",
            "`security.mount_home`: expected true or false, found an array",
        ),
        (
            "[security]\npass_env = {}",
            "`security.pass_env`: expected true or false, found a table",
        ),
        (
            "[security]\nread_only = 2020-01-01",
            "`security.read_only`: expected true or false, found a date",
        ),
        (
            "[security]\nseccomp = \"x\"",
            "`[security] seccomp`: a seccomp filter of one's own is not supported yet",
        ),
        (
            "[security.commands]\nallow = []",
            "`[security] commands`: rules for commands are not supported yet",
        ),
        (
            "[network]\nsubnet = \"172.30.0.0/24\"",
            "`[network] subnet`: named networks are not supported yet",
        ),
        ("[network]\nprots = []", "unknown key `network.prots`"),
        (
            "[build]\ndockerfile = \"../Dockerfile\"",
            "`build.dockerfile`: ../Dockerfile must be relative and beneath the file's folder, without '..'",
        ),
        (
            "[build]\ncontext = \"/\"",
            "`build.context`: / must be relative and beneath the file's folder, without '..'",
        ),
        (
            "[build]\ntarget = \"--privileged\"",
            "`build.target`: invalid stage \"--privileged\"",
        ),
        (
            "[images]\npull = \"always\"",
            "[images] belongs in the user's own file, not in a project's",
        ),
        (
            "[registries.\"docker.io\"]\nmirrors = [\"evil.example\"]",
            "[registries] belongs in the user's own file, not in a project's",
        ),
        (
            "[files]\nsource = \"a\"",
            "`files`: expected a list of tables, found a table",
        ),
        ("[[files]]\nsource = \"a\"", "this `[[files]]` has no `dest`"),
        ("[[files]]\ndest = \"/a\"", "this `[[files]]` has no `source`"),
        (
            "[[files]]\nsource = \"a\"\ndest = \"a\"",
            "`files.dest`: invalid path \"a\" in the sandbox: it must be absolute",
        ),
        (
            "[[files]]\nsource = \"a\"\ndest = \"/a\"\nmode = \"0888\"",
            "`files.mode`: invalid mode \"0888\": use octal digits from \"0000\" to \"0777\"",
        ),
        (
            "[[files]]\nsource = \"a\"\ndest = \"/a\"\nmode = \"4755\"",
            "`files.mode`: invalid mode \"4755\": use octal digits from \"0000\" to \"0777\"",
        ),
        (
            "[[files]]\nsource = \"a\"\ndest = \"/a\"\nmode = 644",
            "`files.mode`: expected a string of octal digits such as \"0644\", found an integer",
        ),
        (
            "[[files]]\nsource = \"a\"\ndest = \"/\"",
            "`files.dest`: the root is not a file",
        ),
        (
            "[[files]]\nsource = \"missing\"\ndest = \"/a\"",
            "`files.source`: cannot use \"missing\": No such file or directory (os error 2)",
        ),
        (
            "[[files]]\nsource = \"../config.toml\"\ndest = \"/a\"",
            "`files.source`: \"../config.toml\" must be relative and beneath the file's folder, without '..'",
        ),
        (
            "[[files]]\nsource = \"/etc/passwd\"\ndest = \"/a\"",
            "`files.source`: \"/etc/passwd\" must be relative and beneath the file's folder, without '..'",
        ),
        (
            "[defaults]\nbackend = \"native\"",
            "[defaults] belongs in the user's own file, not in a project's",
        ),
        (
            "[orchestrator]\nnamespace = \"x\"",
            "not supported yet: [orchestrator]",
        ),
        ("[remote.e2b]\napi_key = \"x\"", "not supported yet: [remote]"),
        ("[[schedule]]\nid = \"x\"", "not supported yet: [schedule]"),
        ("[secrets]\nA = \"b\"", "not supported yet: [secrets]"),
        (
            "[sandbox]\nname = \"a\"\nname = \"b\"",
            "not valid TOML: duplicate key",
        ),
    ];
    for (text, title) in table {
        let message = Place::new().project(text).message();
        assert_eq!(
            titles(&message),
            [title],
            "for {text:?} the whole text was\n{message}"
        );
    }
}

#[test]
fn what_is_wrong_in_the_users_file_is_named_too() {
    let table = [
        (
            "[defaults]\nbackend = \"No Such\"",
            "`defaults.backend`: invalid backend name \"No Such\": use lower-case letters, digits and '-'",
        ),
        (
            "[images]\npull = \"nevr\"",
            "`images.pull`: unknown value \"nevr\": did you mean \"never\"? use one of always, missing, never",
        ),
        (
            "[images]\nparallel_layers = 0",
            "`images.parallel_layers`: 0 is out of range: use 1 to 16",
        ),
        (
            "[registries.\"docker.io\"]\nmirrors = [\"http://mirror\"]",
            "`registries.mirrors`: invalid mirror \"http://mirror\": write HOST[:PORT][/PREFIX]",
        ),
        (
            "[registries.\"docker.io\"]\nca = \"ca.pem\"",
            "`registries.ca`: ca.pem is no absolute path",
        ),
        (
            "[build]\ncontext = \"x\"",
            "[build] belongs in a project's file, not in the user's",
        ),
        (
            "[defaults]\nisolation = \"strong\"",
            "`defaults.isolation`: unknown value \"strong\": use one of remote, container, user-kernel, wasm+vm, vm",
        ),
        ("[defaults]\nimage = \"host\"", "unknown key `defaults.image`"),
        (
            "[sandbox]\nname = \"x\"",
            "`sandbox.name` belongs in a project's file, not in the user's",
        ),
        (
            "[[files]]\nsource = \"x\"\ndest = \"/x\"",
            "[files] belongs in a project's file, not in the user's",
        ),
    ];
    for (text, title) in table {
        let message = Place::new().user(text).message();
        assert_eq!(
            titles(&message),
            [title],
            "for {text:?} the whole text was\n{message}"
        );
    }
}

#[test]
fn both_files_are_reported_together() {
    let message = Place::new().user("a = 1").project("b = 1").message();
    assert_eq!(titles(&message), ["unknown key `a`", "unknown key `b`"]);
}

#[test]
fn not_supported_has_a_kind_of_its_own() {
    assert_eq!(
        Place::new().project("[api]\n").error().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        Place::new().project("[network]\nvsock_cid = 3\n").error().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        Place::new()
            .project("[security]\nprofile = \"custom\"\n")
            .error()
            .kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn only_twenty_problems_are_shown_and_the_rest_is_counted() {
    let text: String = (0..5000).map(|number| format!("key{number} = 1\n")).collect();
    let message = Place::new().project(text).message();
    assert_eq!(message.matches("unknown key").count(), 20);
    assert!(message.ends_with("\n\nand 4980 more"), "{message}");
}

#[test]
fn a_hostile_file_cannot_command_the_terminal() {
    let text = "\"\\u001b[2J\\u009b1m\\u202e\" = 1 # \u{9b}31m \u{202e} \u{200b}\n";
    let message = Place::new().project(text).message();
    let bad = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{200b}'..='\u{202e}'));
    assert!(!message.contains(bad), "{message:?}");
    assert!(
        message.starts_with("unknown key `\u{fffd}[2J\u{fffd}1m\u{fffd}`"),
        "{message:?}"
    );
}

#[test]
fn a_long_line_makes_a_short_message() {
    let text = format!("[sandbox]\nname = \"{}\"\n", "x".repeat(900_000));
    let message = Place::new().project(text).message();
    assert!(message.len() < 2000, "{} bytes", message.len());
}

#[test]
fn the_caret_stands_under_the_value_after_wide_characters() {
    let message = Place::new()
        .project("[sandbox]\nnmae = \"x\" # 日本\n\"日本\" = 1\n")
        .message();
    assert!(message.contains("3 | \"日本\" = 1\n  | ^^^^^^"), "{message}");
}

#[test]
fn colours_come_only_when_asked_for() {
    let error = Place::new().project("a = 1").error();
    assert!(!error.to_string().contains('\u{1b}'));
    assert!(error.coloured().contains('\u{1b}'));
}
