//! Six languages: their programs and small test suites run in the images that detection chooses for them.
//!
//! The images have what Debian has in place of what Docker Hub has; the names, and thus the way by detection, a
//! mirror, a pull and the root of the sandbox, are the real ones.

use agentkernel_tests::images::debian::{C, JAVA, Language, NODE, PYTHON, RUBY, SHELL};

use crate::setting::Setting;

/// A project of a language: its files, and commands with what they print.
struct Project {
    language: Language,
    files: &'static [(&'static str, &'static str)],
    hello: (&'static [&'static str], &'static str),
    /// What runs its tests, and a word that only their success prints.
    tests: (&'static [&'static str], &'static str),
}

const PROJECTS: [Project; 6] = [
    Project {
        language: PYTHON,
        files: &[
            (
                "hello.py",
                "import sys\nprint('hello from', sys.implementation.name)\n",
            ),
            (
                "word.py",
                "def title(text):\n    return ' '.join(part.capitalize() for part in text.split())\n",
            ),
            (
                "test_word.py",
                "import unittest, json, subprocess, tempfile, hashlib\nfrom word import title\n\n\nclass Words(unittest.TestCase):\n    \
                 def test_title(self):\n        self.assertEqual(title('a small  suite'), 'A Small Suite')\n\n    \
                 def test_files(self):\n        with tempfile.TemporaryFile('w+') as file:\n            \
                 json.dump([1, 2], file)\n            file.seek(0)\n            self.assertEqual(json.load(file), [1, 2])\n\n    \
                 def test_processes(self):\n        self.assertEqual(subprocess.check_output(['sh', '-c', 'echo x']), b'x\\n')\n\n\n\
                 if __name__ == '__main__':\n    unittest.main()\n",
            ),
        ],
        hello: (&["python3", "hello.py"], "hello from cpython\n"),
        tests: (&["python3", "-m", "unittest", "-v"], "OK"),
    },
    Project {
        language: NODE,
        files: &[
            ("hello.js", "console.log('hello from ' + process.release.name);\n"),
            (
                "word.test.js",
                "const test = require('node:test');\nconst assert = require('node:assert');\nconst fs = require('node:fs');\n\
                 test('files', () => { fs.writeFileSync('/tmp/x', 'x'); assert.equal(fs.readFileSync('/tmp/x', 'utf8'), 'x'); });\n\
                 test('promises', async () => { assert.equal(await Promise.resolve(6 * 7), 42); });\n",
            ),
        ],
        hello: (&["node", "hello.js"], "hello from node\n"),
        tests: (&["node", "--test"], "# pass"),
    },
    Project {
        language: C,
        files: &[
            (
                "hello.c",
                "#include <stdio.h>\nint main(void) { puts(\"hello from C\"); return 0; }\n",
            ),
            (
                "check.c",
                "#include <assert.h>\n#include <math.h>\n#include <pthread.h>\n#include <stdio.h>\n#include <string.h>\n\
                 static void *work(void *data) { *(int *)data = 42; return 0; }\n\
                 int main(void) { pthread_t thread; int answer = 0;\n  assert(!pthread_create(&thread, 0, work, &answer));\n  \
                 assert(!pthread_join(thread, 0) && answer == 42);\n  assert(strlen(\"four\") == 4 && sqrt(16.0) == 4.0);\n  \
                 puts(\"all checks passed\"); return 0; }\n",
            ),
            (
                "Makefile",
                "hello: hello.c\n\tgcc -O1 -o $@ $<\nsay: hello\n\t@./hello\ncheck: check.c\n\tgcc -Wall -Werror -o $@ $< -lm -pthread\n\t./check\n",
            ),
        ],
        hello: (&["make", "-s", "say"], "hello from C\n"),
        tests: (&["make", "-B", "check"], "all checks passed"),
    },
    Project {
        language: RUBY,
        files: &[
            ("hello.rb", "puts \"hello from #{RUBY_ENGINE}\"\n"),
            (
                "test_word.rb",
                "require 'minitest/autorun'\nrequire 'json'\nrequire 'set'\nclass TestWord < Minitest::Test\n  \
                 def test_title; assert_equal 'A Suite', 'a suite'.split.map(&:capitalize).join(' '); end\n  \
                 def test_json; assert_equal({ 'a' => 1 }, JSON.parse('{\"a\":1}')); end\n  \
                 def test_processes; assert_equal \"x\\n\", `sh -c 'echo x'`; end\nend\n",
            ),
        ],
        hello: (&["ruby", "hello.rb"], "hello from ruby\n"),
        tests: (
            &["ruby", "test_word.rb"],
            "3 runs, 3 assertions, 0 failures, 0 errors",
        ),
    },
    Project {
        language: JAVA,
        files: &[
            (
                "Hello.java",
                "public class Hello { public static void main(String[] a) { System.out.println(\"hello from Java\"); } }\n",
            ),
            (
                "Check.java",
                "import java.util.*;\nimport java.util.concurrent.*;\npublic class Check { public static void main(String[] a) \
                 throws Exception {\n  boolean on = false; assert on = true; if (!on) throw new Error(\"assertions are off\");\n  \
                 assert List.of(1, 2, 3).stream().mapToInt(x -> x).sum() == 6;\n  var pool = Executors.newFixedThreadPool(4);\n  \
                 assert pool.submit(() -> 6 * 7).get() == 42; pool.shutdown();\n  \
                 var file = java.nio.file.Files.createTempFile(\"x\", \"y\"); java.nio.file.Files.writeString(file, \"z\");\n  \
                 assert java.nio.file.Files.readString(file).equals(\"z\"); System.out.println(\"all checks passed\"); } }\n",
            ),
        ],
        hello: (&["java", "Hello.java"], "hello from Java\n"),
        tests: (&["java", "-ea", "Check.java"], "all checks passed"),
    },
    Project {
        language: SHELL,
        files: &[
            ("hello.sh", "echo \"hello from ${BASH_VERSION:+bash}\"\n"),
            (
                "test.sh",
                "set -euo pipefail\nwords=(a small suite)\n[[ ${#words[@]} == 3 ]]\n[[ $(printf '%s\\n' \"${words[@]}\" | sort -r | head -n 1) == suite ]]\n\
                 diff <(echo x) <(echo x) 2>/dev/null || [[ $(cat <(echo x)) == x ]]\ntrap 'echo all checks passed' EXIT\n",
            ),
        ],
        hello: (&["bash", "hello.sh"], "hello from bash\n"),
        tests: (&["bash", "test.sh"], "all checks passed"),
    },
];

fn journey(setting: Option<Setting>, name: &str) {
    let project = PROJECTS.iter().find(|project| project.language.name == name);
    let project = project.expect("every test has a project");
    let (Some(setting), Some(image)) = (setting, project.language.image()) else {
        return;
    };
    setting.mirror_docker_hub();
    setting.registry.push(project.language.image, &image);
    for (path, content) in project.files {
        setting.home.write(path, content);
    }
    let folder = setting.home.project().display().to_string();
    let run = |command: &[&str]| {
        let flags = ["run", "--mount-cwd", "-w", &folder, "--"];
        setting.home.call([&flags[..], command].concat()).success()
    };
    let (hello, expected) = project.hello;
    let first = run(hello).expect_text(expected);
    assert!(
        !first.errors().contains("host image"),
        "no detected image: {}",
        first.errors()
    );
    // The second time everything is there, and nothing is said.
    assert_eq!(run(hello).expect_text(expected).errors(), "");
    let (tests, expected) = project.tests;
    let outcome = run(tests);
    let said = outcome.text() + &outcome.errors();
    assert!(said.contains(expected), "{said}");
}

macro_rules! languages {
    ($($name:ident, $test:ident, $rootless:ident;)*) => {$(
        #[test]
        fn $test() {
            journey(Setting::new(), stringify!($name));
        }

        #[test]
        fn $rootless() {
            journey(Setting::rootless(), stringify!($name));
        }
    )*};
}

languages! {
    python, python_runs_in_its_image, an_ordinary_users_python_runs_in_its_image;
    node, node_runs_in_its_image, an_ordinary_users_node_runs_in_its_image;
    c, c_runs_in_its_image, an_ordinary_users_c_runs_in_its_image;
    ruby, ruby_runs_in_its_image, an_ordinary_users_ruby_runs_in_its_image;
    java, java_runs_in_its_image, an_ordinary_users_java_runs_in_its_image;
    shell, shell_runs_in_its_image, an_ordinary_users_shell_runs_in_its_image;
}
