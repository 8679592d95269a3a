//! What a variable is for one host: which of its many definitions counts, and what the references in it come to.

use std::borrow::Cow;

use super::groups::{Group, Groups, Host, HostId};
use super::template::{Piece, is_template, pieces};
use super::value::{Value, Variable};
use crate::import::Place;
use crate::problem::Problem;
use crate::source::excerpt;

/// References to references.
const REFERENCES_LIMIT: usize = 32;

/// Defaults of Kubespray's own roles that values refer to.
const ROLE_DEFAULTS: [(&str, &str); 6] = [
    ("cluster_name", "cluster.local"),
    ("kube_apiserver_port", "6443"),
    ("kube_apiserver_bind_address", "::"),
    ("kube_service_addresses", "10.233.0.0/18"),
    ("kube_vip_address", ""),
    ("loadbalancer_apiserver_type", "nginx"),
];

/// The variables of one host.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    groups: &'a Groups,
    pub(super) host: &'a Host,
}

/// Why a value cannot be told.
pub(super) type Unknown = Problem;

impl<'a> Scope<'a> {
    pub(super) fn new(groups: &'a Groups, id: HostId) -> Option<Self> {
        groups.hosts.get(id).map(|host| Self { groups, host })
    }

    /// The definition that counts: facts, then `host_vars`, then the host's own in the inventory, then `group_vars` and
    /// the inventory's variables of groups, of each the deepest group first.
    pub(super) fn definition(&self, name: &str) -> Option<&'a Variable> {
        let host = self.host;
        let own = [&host.facts, &host.files, &host.inventory];
        let groups = || host.groups.iter().rev().filter_map(|id| self.groups.groups.get(*id));
        let files = |group: &'a Group| group.files.get(name);
        let inventory = |group: &'a Group| group.inventory.get(name);
        own.into_iter()
            .find_map(|variables| variables.get(name))
            .or_else(|| groups().find_map(files))
            .or_else(|| groups().find_map(inventory))
    }

    /// The value with its references resolved; `None` when it is not defined, or defined as nothing.
    pub(super) fn get(&self, name: &str) -> Result<Option<Cow<'a, Variable>>, Unknown> {
        let Some(definition) = self.definition(name) else { return Ok(None) };
        let resolved = self.resolve(definition, &mut vec![name.to_owned()])?;
        Ok(Some(resolved).filter(|variable| !is_nothing(variable)))
    }

    /// A field of a mapping, or an item of a list, with its references resolved. `name` is for messages.
    pub(super) fn value<'v>(
        &self,
        name: &str,
        variable: &'v Variable,
    ) -> Result<Option<Cow<'v, Variable>>, Unknown>
    where
        'a: 'v,
    {
        let resolved = self.resolve(variable, &mut vec![name.to_owned()])?;
        Ok(Some(resolved).filter(|variable| !is_nothing(variable)))
    }

    /// A scalar as text.
    pub(super) fn text(&self, name: &str) -> Result<Option<(String, Place)>, Unknown> {
        self.get(name)?.map(|variable| scalar(name, &variable)).transpose()
    }

    /// A port.
    pub(super) fn port(&self, name: &str) -> Result<Option<(u16, Place)>, Unknown> {
        self.get(name)?.map(|variable| port(name, &variable)).transpose()
    }

    /// Whether Ansible takes the value for true, and where that is said. Text is true unless it is empty: `"false"` is.
    pub(super) fn switch(&self, name: &str) -> Result<Option<(bool, Place)>, Unknown> {
        let Some(definition) = self.definition(name) else { return Ok(None) };
        let variable = self.resolve(definition, &mut vec![name.to_owned()])?;
        let is_on = match &variable.value {
            Value::Null => false,
            Value::Bool(is_on) => *is_on,
            Value::Int(number) => *number != 0,
            // What a reference comes to has a type of its own only where the whole text is the reference.
            Value::Text(text) => !text.is_empty(),
            Value::List(_) | Value::Map(_) | Value::Sealed(_) => {
                return Err(variable.place.problem(format!("{name} is not a switch"), "write true or false"));
            }
        };
        Ok(Some((is_on, variable.place.clone())))
    }

    fn resolve<'v>(&self, variable: &'v Variable, via: &mut Vec<String>) -> Result<Cow<'v, Variable>, Unknown>
    where
        'a: 'v,
    {
        let text = match &variable.value {
            Value::Text(text) if is_template(text) => text,
            Value::Sealed(tag) => return Err(not_evaluated(variable, via, tag)),
            Value::Text(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::List(_)
            | Value::Map(_) => return Ok(Cow::Borrowed(variable)),
        };
        let Some(pieces) = pieces(text) else { return Err(not_evaluated(variable, via, text)) };
        let value = match pieces.as_slice() {
            [Piece::Reference(name)] => self.reference(name, variable, via)?,
            pieces => {
                let mut whole = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => whole.push_str(text),
                        Piece::Reference(name) => {
                            let value = self.reference(name, variable, via)?;
                            let part = Variable::new(variable.place.clone(), value);
                            whole.push_str(&scalar(name, &part)?.0);
                        }
                    }
                }
                Value::Text(whole.into())
            }
        };
        Ok(Cow::Owned(Variable::new(variable.place.clone(), value)))
    }

    fn reference(&self, name: &str, from: &Variable, via: &mut Vec<String>) -> Result<Value, Unknown> {
        if via.iter().any(|there| there == name) || via.len() > REFERENCES_LIMIT {
            let message = format!("{name} refers to itself: {} > {name}", via.join(" > "));
            return Err(from.place.problem(message, "write the value out in one of them"));
        }
        if let Some(definition) = self.definition(name) {
            via.push(name.to_owned());
            let value = self.resolve(definition, via).map(|variable| variable.value.clone());
            via.pop();
            return value;
        }
        if name == "dns_domain" {
            return self.reference("cluster_name", from, via);
        }
        let own = match name {
            "inventory_hostname" => Some(&*self.host.name),
            "inventory_hostname_short" => self.host.name.split('.').next(),
            _ => ROLE_DEFAULTS.iter().find(|(default, _)| *default == name).map(|(_, value)| *value),
        };
        let own = own.ok_or_else(|| {
            let message = format!("refers to {}, which is not defined for {}", excerpt(name), self.host.name);
            from.place.problem(message, "define it in the inventory, or write the value out")
        })?;
        Ok(Value::Text(own.into()))
    }
}

fn is_nothing(variable: &Variable) -> bool {
    match &variable.value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::Bool(_) | Value::Int(_) | Value::List(_) | Value::Map(_) | Value::Sealed(_) => false,
    }
}

fn not_evaluated(variable: &Variable, via: &[String], what: &str) -> Unknown {
    let name = via.last().map(|name| format!("{name}: ")).unwrap_or_default();
    let message = format!("{name}{} is not evaluated", excerpt(what));
    variable.place.problem(message, "write the value out; of templates plain {{ name }} references are read")
}

/// A scalar as text.
pub(super) fn scalar(name: &str, variable: &Variable) -> Result<(String, Place), Unknown> {
    let text = variable.text().ok_or_else(|| {
        let message = format!("{name} is a list or a mapping");
        variable.place.problem(message, "write a single value")
    })?;
    Ok((text, variable.place.clone()))
}

/// A port.
pub(super) fn port(name: &str, variable: &Variable) -> Result<(u16, Place), Unknown> {
    let (text, place) = scalar(name, variable)?;
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok((port, place)),
        Ok(_) | Err(_) => {
            let message = format!("{name} is not a port: {}", excerpt(&text));
            Err(place.problem(message, "write a number from 1 to 65535"))
        }
    }
}
