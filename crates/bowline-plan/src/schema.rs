//! The JSON Schema of descriptions, from the types that hold them.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::description::Description;

/// The JSON Schema of descriptions, draft 2020-12, for editors and for other programs that write one.
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    tidy(settings.into_generator().into_root_schema_for::<Description>().to_value())
}

/// The same without references between its parts.
pub(crate) fn inlined() -> Value {
    let settings =
        SchemaSettings::draft2020_12().for_deserialize().with(|settings| settings.inline_subschemas = true);
    tidy(settings.into_generator().into_root_schema_for::<Description>().to_value())
}

/// An optional field may be left out, but one that is there has a value: `caFile:` with nothing behind it is a line that
/// somebody meant to finish. Nor are the raw types' empty values anything to tell an editor about.
fn tidy(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            fields.remove("default");
            fields.remove("format");
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_mut_slice() {
                    let only = only.take();
                    fields.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("enum") {
                choices.retain(|choice| !choice.is_null());
            }
            if let Some(Value::Array(branches)) = fields.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = branches.as_mut_slice() {
                    let only = core::mem::take(only);
                    fields.remove("anyOf");
                    for (key, value) in only {
                        fields.entry(key).or_insert(value);
                    }
                }
            }
            Value::Object(
                core::mem::take(fields).into_iter().map(|(key, value)| (key, tidy(value))).collect(),
            )
        }
        Value::Array(items) => Value::Array(items.drain(..).map(tidy).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether some part of the schema is accepted by `is_match`.
    fn any(schema: &Value, is_match: &dyn Fn(&Value) -> bool) -> bool {
        let inner: Vec<&Value> = match schema {
            Value::Object(fields) => fields.values().collect(),
            Value::Array(items) => items.iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        is_match(schema) || inner.into_iter().any(|value| any(value, is_match))
    }

    #[test]
    fn no_field_may_be_null() {
        let names_null = |value: &Value| value.is_null() || value == "null";
        assert!(!any(&json_schema(), &names_null));
    }

    #[test]
    fn every_field_of_every_mapping_is_explained() {
        let schema = json_schema();
        let mappings: Vec<&Value> = schema["$defs"].as_object().unwrap().values().chain([&schema]).collect();
        let mut fields = 0;
        for (name, field) in mappings.iter().filter_map(|part| part["properties"].as_object()).flatten() {
            let text = field["description"].as_str();
            let reference =
                field["$ref"].as_str().and_then(|path| schema.pointer(path.trim_start_matches('#')));
            let explained = text.or(reference.and_then(|part| part["description"].as_str()));
            assert!(explained.is_some(), "{name} has no comment");
            fields += 1;
        }
        assert!(fields > 80, "only {fields} fields found");
    }

    #[test]
    fn mappings_are_closed() {
        let is_open =
            |value: &Value| value.get("properties").is_some() && value["additionalProperties"] != false;
        assert!(!any(&json_schema(), &is_open));
    }
}
