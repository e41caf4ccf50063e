//! The JSON schema of both files, made from the table of keys.

use serde_json::{Map, Value as Json, json};

use crate::keys::{Form, Scope, TABLES, Table, keys_of};

/// JSON Schema 2020-12, for editors and `config schema`. It has exactly the keys that are accepted.
pub fn json_schema() -> Json {
    let tables: Map<String, Json> = TABLES
        .iter()
        .map(|table| (table.name.to_owned(), table_schema(table)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "agentkernel.toml",
        "description": "The configuration of agentkernel: a project's file or the user's own.",
        "type": "object",
        "additionalProperties": false,
        "properties": tables,
    })
}

fn table_schema(table: &Table) -> Json {
    let mut properties = Map::new();
    for key in keys_of(table.name) {
        let mut schema = key.shape.schema();
        let place = match key.scope {
            Scope::Both => "",
            Scope::Project => " Only in a project's file.",
            Scope::User => " Only in the user's own file.",
        };
        schema["description"] = json!(format!("{}{place}", key.summary));
        if let Some(alias) = key.alias {
            properties.insert(alias.to_owned(), schema.clone());
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    match table.form {
        Form::Single => {
            object["description"] = json!(table.summary);
            object
        }
        Form::List(required) => {
            object["required"] = json!(required);
            json!({ "type": "array", "description": table.summary, "items": object })
        }
        Form::Named => {
            json!({ "type": "object", "description": table.summary, "additionalProperties": object })
        }
    }
}
