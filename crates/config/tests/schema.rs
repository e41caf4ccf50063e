//! The schema, the reference and the reader agree.

mod support;

use std::{fs, path::Path};

use agentkernel_config::{RUNTIMES, json_schema, reference};
use agentkernel_types::{NetworkMode, NetworkRule, PublishedPort};
use proptest::prelude::*;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;
use support::Place;

/// Tables of the user's own file only.
const USER_TABLES: [&str; 3] = ["defaults", "images", "registries"];

/// Whether the key stands in the user's own file only.
fn is_users(table: &str, key: &str) -> bool {
    USER_TABLES.contains(&table) || (table, key) == ("network", "dns")
}

/// Every key of the reference's tables with its example.
fn examples() -> Vec<(String, String, String)> {
    let page = reference();
    let mut table = String::new();
    let mut found = Vec::new();
    for line in page
        .lines()
        .take_while(|line| !line.starts_with("## Environment"))
    {
        if let Some(header) = line.strip_prefix("### `") {
            table = header.trim_end_matches('`').to_owned();
        } else if let Some(row) = line.strip_prefix("| `") {
            let key = row.split('`').next().expect("a name").to_owned();
            let example = row
                .trim_end_matches("` |")
                .rsplit('`')
                .next()
                .expect("an example")
                .to_owned();
            found.push((table.clone(), key, example));
        }
    }
    found
}

#[test]
fn every_key_that_parses_is_in_the_schema_and_its_example_parses() {
    let schema = json_schema();
    let examples = examples();
    assert_eq!(examples.len(), 36);
    for (table, key, example) in examples {
        let header = table.replace("HOST[:PORT]", "localhost:5000");
        let name = header.trim_matches(['[', ']']);
        let name = name.split('.').next().expect("a name");
        let of_table = &schema["properties"][name];
        let properties = match name {
            "files" => &of_table["items"]["properties"],
            "registries" => &of_table["additionalProperties"]["properties"],
            _ => &of_table["properties"],
        };
        assert!(properties[&key].is_object(), "{table} {key} is not in the schema");
        let text = match (name, key.as_str()) {
            ("files", "source") => format!("{table}\nsource = {example}\ndest = \"/x\"\n"),
            ("files", "dest") => format!("{table}\nsource = \"settings/dev.json\"\ndest = {example}\n"),
            ("files", _) => {
                format!("{table}\nsource = \"settings/dev.json\"\ndest = \"/x\"\n{key} = {example}\n")
            }
            _ => format!("{header}\n{key} = {example}\n"),
        };
        let place = if is_users(name, &key) {
            Place::new().user(&text)
        } else {
            Place::new().project(&text)
        };
        fs::create_dir(place.path("project/settings")).expect("a folder");
        fs::write(place.path("project/settings/dev.json"), "{}").expect("a file");
        assert!(place.resolve().is_ok(), "{text}\n{}", place.error());
    }
}

#[test]
fn what_is_not_in_the_schema_is_refused() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    for (name, table) in schema["properties"].as_object().expect("tables") {
        let (object, header) = match name.as_str() {
            _ if table["type"] == "array" => (&table["items"], format!("[[{name}]]")),
            "registries" => (&table["additionalProperties"], format!("[{name}.x]")),
            _ => (table, format!("[{name}]")),
        };
        assert_eq!(object["additionalProperties"], false, "{name}");
        for key in object["properties"].as_object().expect("keys").keys() {
            // A value that no key takes: so the answer is about the value and not about the name.
            let text = format!("{header}\n{key} = [1]\n");
            let place = if is_users(name, key) {
                Place::new().user(text)
            } else {
                Place::new().project(text)
            };
            assert!(
                place.message().contains("expected"),
                "{name}.{key}: {}",
                place.message()
            );
        }
    }
}

#[test]
fn the_examples_of_the_reference_hold_together() {
    let page = reference();
    let mut blocks = page.split("```toml\n").skip(1);
    let mut next = || {
        let block = blocks.next().expect("an example");
        block.split("```").next().expect("it ends").to_owned()
    };
    let place = Place::new().project(next()).user(next());
    let settings = place.settings();
    assert_eq!(settings.network.value.mode, NetworkMode::Allowlist);
    assert_eq!((settings.ports.len(), settings.name_servers.len()), (1, 1));
    assert_eq!(blocks.count(), 0);
}

#[test]
fn rules_and_ports_have_the_patterns_of_their_types() {
    fn pattern<T: JsonSchema>() -> Value {
        T::json_schema(&mut SchemaGenerator::default()).to_value()["pattern"].clone()
    }
    let schema = json_schema();
    let of = |key: &str| schema["properties"]["network"]["properties"][key]["items"]["pattern"].clone();
    assert_eq!(of("allow"), pattern::<NetworkRule>());
    assert_eq!(of("deny"), pattern::<NetworkRule>());
    assert_eq!(of("ports"), pattern::<PublishedPort>());
    let modes = NetworkMode::ALL.map(NetworkMode::as_str);
    assert_eq!(
        schema["properties"]["network"]["properties"]["mode"]["enum"],
        serde_json::json!(modes)
    );
}

#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, reference()).expect("the page can be written");
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/reference/config.md is old: run the tests with UPDATE_DOCS=1"
    );
}

#[test]
fn detection_knows_every_runtime() {
    // The crates do not know each other; both pages are checked against their code.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/concepts/detection.md");
    let page = fs::read_to_string(path).expect("the page of the detection");
    for runtime in RUNTIMES {
        assert!(
            page.contains(&format!("\n| `{runtime}` |")),
            "{runtime} is not on the page"
        );
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    // As deep as 1 MiB can be.
    let deep = 170_000;
    for text in [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{ a = ".repeat(deep)),
        format!("{} = 1", vec!["a"; 520_000].join(".")),
        format!("[{}]", vec!["a"; 520_000].join(".")),
        format!("a = {}{}", "[".repeat(deep), "]".repeat(deep)),
        "[[a]]\n".repeat(170_000),
    ] {
        assert!(Place::new().project(text).resolve().is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Place::new().project(&bytes).user(&bytes).resolve().map_err(|error| error.coloured());
    }

    #[test]
    fn arbitrary_values_of_real_keys_never_panic(
        table in prop_oneof!["sandbox", "agent", "resources", "security", "network", "build", "[files]", "defaults", "images", "registries.x", "registries"],
        key in prop_oneof!["name", "runtime", "vcpus", "pids", "timeout", "profile", "source", "dest", "mode", "mirrors", "pull", "args", "allow", "deny", "ports", "dns", "\\PC{0,8}"],
        value in prop_oneof!["\"\\PC{0,20}\"", "-?[0-9.e_]{1,30}", "\\PC{0,20}", "\\[\\{\\}\\]", "\\[\"[a-z*.:0-9/-]{0,20}\"\\]"],
    ) {
        let text = format!("[{table}]\n{key} = {value}\n");
        let place = Place::new().project(&text).user(&text);
        if let Err(error) = place.resolve() {
            let shown = error.to_string();
            prop_assert!(!shown.contains('\x1b'));
        }
    }
}
