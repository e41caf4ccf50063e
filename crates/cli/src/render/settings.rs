//! The settings in force, for `config show`.

use agentkernel_config::Origin;
use serde_json::{Value, json};

use super::human::table;

type Row = (String, String, Origin);

pub fn settings(rows: &[Row], origin: bool) -> String {
    if origin {
        let rows = rows
            .iter()
            .map(|(key, value, origin)| [key.clone(), value.clone(), origin.to_string()]);
        return table(["KEY", "VALUE", "ORIGIN"], rows);
    }
    table(
        ["KEY", "VALUE"],
        rows.iter().map(|(key, value, _)| [key.clone(), value.clone()]),
    )
}

pub fn settings_json(rows: &[Row]) -> Value {
    let settings = rows
        .iter()
        .map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": origin.to_string() }));
    json!({ "settings": settings.collect::<Vec<_>>() })
}
