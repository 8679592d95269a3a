//! Text with references to variables. Ansible's templates are a language; plain references are all of it that is read.

/// A piece of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    /// `{{ name }}`.
    Reference(&'t str),
}

/// The pieces of a text; `None` when something in it would have to be computed.
pub(super) fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let Some(start) = rest.find("{{") else {
            if has_statement(rest) {
                return None;
            }
            if !rest.is_empty() || pieces.is_empty() {
                pieces.push(Piece::Text(rest));
            }
            return Some(pieces);
        };
        let (before, opened) = rest.split_at_checked(start)?;
        if has_statement(before) {
            return None;
        }
        let (inner, after) = opened.get(2..)?.split_once("}}")?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Reference(name(inner)?));
        rest = after;
    }
}

/// Whether there is anything in the text beyond the text itself.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || has_statement(text)
}

fn has_statement(text: &str) -> bool {
    text.contains("{%") || text.contains("{#")
}

/// The name, if that is all there is between the braces.
fn name(inner: &str) -> Option<&str> {
    let name = inner.trim();
    let is_start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = is_start && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Words of the language itself, which are no variables.
    let is_word = matches!(name, "true" | "True" | "false" | "False" | "none" | "None" | "omit");
    (is_name && !is_word).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::Piece::{Reference, Text};
    use super::*;

    #[test]
    fn plain_references_are_read() {
        assert_eq!(pieces("10.0.0.1"), Some(vec![Text("10.0.0.1")]));
        assert_eq!(pieces(""), Some(vec![Text("")]));
        assert_eq!(pieces("{{ip}}"), Some(vec![Reference("ip")]));
        assert_eq!(
            pieces("api.{{ cluster_name }}:{{ p }}"),
            Some(vec![Text("api."), Reference("cluster_name"), Text(":"), Reference("p")])
        );
    }

    #[test]
    fn whatever_is_more_is_not() {
        for text in [
            "{{ a | default('b') }}",
            "{{ a.b }}",
            "{{ groups['kube_node'][0] }}",
            "{{ 1 }}",
            "{{ a",
            "{{}}",
            "{% if a %}b{% endif %}",
            "{{ a }}{# b #}",
            "{{ true }}",
        ] {
            assert_eq!(pieces(text), None, "{text}");
            assert!(is_template(text));
        }
    }
}
