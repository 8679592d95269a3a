//! What Ansible gathers from machines, given in a file: `{HOST: {hostname, fqdn, default_ipv4, default_ipv6}}`.

use std::sync::Arc;

use super::groups::Groups;
use super::value::{Value, Variable};
use super::yaml::entries;
use crate::import::{Remark, RemarkKind};
use crate::problem::Problem;
use crate::source::{excerpt, read_foreign};

/// Fields of the file, and the facts they are.
const FACTS: [(&str, &str); 4] = [
    ("hostname", "ansible_hostname"),
    ("fqdn", "ansible_fqdn"),
    ("default_ipv4", "ansible_default_ipv4"),
    ("default_ipv6", "ansible_default_ipv6"),
];

/// Gives every host its facts.
///
/// # Errors
/// The file is none of facts.
pub(super) fn add(
    file: &str,
    bytes: &[u8],
    groups: &mut Groups,
    remarks: &mut Vec<Remark>,
) -> Result<(), Vec<Problem>> {
    let name: Arc<str> = file.into();
    let about_file = crate::import::Place::new(Arc::clone(&name), None);
    let text = core::str::from_utf8(bytes)
        .map_err(|_| vec![about_file.problem("not UTF-8 text", "is it the right file?")])?;
    let foreign = read_foreign(file, text).map_err(|problem| vec![problem])?;
    let hosts = foreign
        .documents
        .first()
        .and_then(entries)
        .ok_or_else(|| vec![about_file.problem("not a mapping of hosts to facts", REMEDY)])?;
    let mut problems = Vec::new();
    for entry in hosts {
        let (_, variable) = Variable::field_of(&name, entry);
        let Some(id) = groups.host_id(&entry.key) else {
            let message = format!("facts of {}, which the inventory has not", excerpt(&entry.key));
            remarks.push(variable.place.remark(RemarkKind::NotUnderstood, message));
            continue;
        };
        let Value::Map(fields) = variable.value else {
            let message = format!("the facts of {} are not a mapping", excerpt(&entry.key));
            problems.push(variable.place.problem(message, REMEDY));
            continue;
        };
        let Some(host) = groups.hosts.get_mut(id) else { continue };
        for (field, variable) in fields {
            let Some((_, fact)) = FACTS.iter().find(|(known, _)| **known == *field) else {
                let message = format!("{} is no fact that is looked at", excerpt(&field));
                remarks.push(variable.place.remark(RemarkKind::NotUnderstood, message));
                continue;
            };
            host.facts.insert((*fact).into(), fact_of(fact, variable));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

const REMEDY: &str = "write {HOST: {hostname, fqdn, default_ipv4, default_ipv6}}";

/// Addresses are facts with fields of their own.
fn fact_of(fact: &str, variable: Variable) -> Variable {
    if !fact.starts_with("ansible_default") || matches!(variable.value, Value::Null | Value::Map(_)) {
        return variable;
    }
    let place = variable.place.clone();
    Variable::new(place, Value::Map(vec![("address".into(), variable)]))
}
