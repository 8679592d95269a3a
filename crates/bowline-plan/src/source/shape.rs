//! What the JSON Schema of descriptions says, in the few forms it uses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a value has to look like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// A mapping with these fields and no others.
    Fields {
        fields: BTreeMap<String, Shape>,
        required: BTreeSet<String>,
    },
    /// A mapping from any name to the same shape.
    Map(Box<Shape>),
    /// A list of the same shape.
    List(Box<Shape>),
    /// Any text.
    Text,
    /// One of these words.
    Word(Vec<String>),
    /// A whole number in this range, both ends included.
    Integer {
        min: i64,
        max: i64,
    },
    Bool,
    /// A scalar of the first shape or a list of the second.
    ScalarOrList(Box<Shape>, Box<Shape>),
}

impl Shape {
    /// Reads a schema without references. `None` when it uses a form that is not among the above; a test holds that the
    /// schema of descriptions does not.
    pub(crate) fn of(schema: &Value) -> Option<Self> {
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            let [scalar, list] = branches.as_slice() else { return None };
            return Some(Self::ScalarOrList(Self::boxed(scalar)?, Self::boxed(list)?));
        }
        if let Some(words) = words(schema) {
            return Some(Self::Word(words));
        }
        match schema.get("type")?.as_str()? {
            "object" => Self::object(schema),
            "array" => Some(Self::List(Self::boxed(schema.get("items")?)?)),
            "string" => Some(Self::Text),
            "integer" => Some(Self::Integer {
                min: schema.get("minimum").and_then(Value::as_i64).unwrap_or(i64::MIN),
                max: schema.get("maximum").and_then(Value::as_i64).unwrap_or(i64::from(u32::MAX)),
            }),
            "boolean" => Some(Self::Bool),
            _ => None,
        }
    }

    fn boxed(schema: &Value) -> Option<Box<Self>> {
        Self::of(schema).map(Box::new)
    }

    fn object(schema: &Value) -> Option<Self> {
        let others = schema.get("additionalProperties")?;
        if others.is_object() {
            return Some(Self::Map(Self::boxed(others)?));
        }
        let mut fields = BTreeMap::new();
        for (name, field) in schema.get("properties")?.as_object()? {
            fields.insert(name.clone(), Self::of(field)?);
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let required = required.filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self::Fields { fields, required })
    }

    /// What to say one expects.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Fields { .. } | Self::Map(_) => "a mapping".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Word(words) => match words.as_slice() {
                [only] => only.clone(),
                [..] => format!("one of {}", words.join(", ")),
            },
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Bool => "true or false".to_owned(),
            Self::ScalarOrList(scalar, _) => format!("{} or a list", scalar.expected()),
        }
    }

    /// The same in short, to say what a value is not.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Integer { .. } => "a whole number".to_owned(),
            Self::Word(_) => "a word".to_owned(),
            Self::ScalarOrList(scalar, _) => format!("{} or a list", scalar.kind()),
            Self::Fields { .. } | Self::Map(_) | Self::List(_) | Self::Text | Self::Bool => self.expected(),
        }
    }

    /// How to write what is expected.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Fields { .. } => "write its fields as `name: value`, one a line and indented".to_owned(),
            Self::Map(_) => "write `name: value`, one a line and indented".to_owned(),
            Self::List(_) => "write [a, b], or one a line, each behind `- `".to_owned(),
            Self::Text => "write a text, in quotes when in doubt".to_owned(),
            Self::Word(_) | Self::Integer { .. } | Self::Bool | Self::ScalarOrList(..) => {
                format!("write {}", self.expected())
            }
        }
    }
}

/// The words of an enumeration, which the schema gives as `enum` or, when each is explained, as `oneOf` constants.
fn words(schema: &Value) -> Option<Vec<String>> {
    if let Some(Value::Array(words)) = schema.get("enum") {
        return words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
    }
    let branches = schema.get("oneOf")?.as_array()?;
    branches.iter().map(|branch| branch.get("const")?.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_descriptions_has_only_known_forms() {
        let Some(Shape::Fields { fields, required }) = Shape::of(&crate::schema::inlined()) else {
            panic!("the schema uses a form that Shape does not know")
        };
        assert_eq!(required.into_iter().collect::<Vec<_>>(), ["apiVersion", "kind", "spec"]);
        let Some(Shape::Fields { fields, required }) = fields.get("spec") else { panic!("no spec") };
        assert_eq!(required.iter().collect::<Vec<_>>(), ["nodes"]);
        let Some(Shape::Fields { fields, .. }) = fields.get("apiServer") else { panic!("no apiServer") };
        assert_eq!(fields.get("port"), Some(&Shape::Integer { min: 1, max: 65535 }));
    }
}
