//! Machines that are named beside the files, because the files do not know of them.

use super::Place;
use crate::description::{Node, Role};
use crate::problem::Problem;

/// A machine, as `NAME=ADDRESS`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// A DNS name.
    pub name: String,
    /// At least one.
    pub addresses: Vec<String>,
    /// What it does.
    pub role: MachineRole,
}

/// What a machine does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MachineRole {
    /// It runs an API server.
    ControlPlane,
    /// It takes connections for the API servers.
    LoadBalancer,
    /// It runs pods.
    Worker,
}

impl Machine {
    /// Reads `NAME=ADDRESS`, or several addresses with commas between them.
    ///
    /// # Errors
    /// It has not that form.
    pub fn parse(text: &str, role: MachineRole) -> Result<Self, String> {
        let named =
            text.split_once('=').filter(|(name, addresses)| !name.is_empty() && !addresses.is_empty());
        let Some((name, addresses)) = named else {
            return Err(format!(
                "{} is not NAME=ADDRESS, such as cp1=10.0.0.11",
                crate::source::excerpt(text)
            ));
        };
        let addresses = addresses.split(',').map(str::to_owned).collect();
        Ok(Self { name: name.to_owned(), addresses, role })
    }
}

impl MachineRole {
    /// The option that names such machines.
    pub fn option(self) -> &'static str {
        match self {
            Self::ControlPlane => "--control-plane",
            Self::LoadBalancer => "--load-balancer",
            Self::Worker => "--worker",
        }
    }
}

impl From<MachineRole> for Role {
    fn from(role: MachineRole) -> Self {
        match role {
            MachineRole::ControlPlane => Self::ControlPlane,
            MachineRole::LoadBalancer => Self::LoadBalancer,
            MachineRole::Worker => Self::Worker,
        }
    }
}

/// Nodes with where they came from, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    nodes: Vec<(Node, Place)>,
}

impl Nodes {
    /// The machines named beside the files.
    pub(super) fn new(machines: &[Machine]) -> Self {
        let mut nodes = Self::default();
        for machine in machines {
            let place = Place::new(machine.role.option(), None);
            let addresses: Vec<&str> = machine.addresses.iter().map(String::as_str).collect();
            nodes.add_named(&machine.name, &addresses, machine.role.into(), &place);
        }
        nodes
    }

    /// Adds a role to the node of that name, or of one of the addresses, or adds a node. Addresses that it has not are added
    /// to it.
    pub(super) fn add(&mut self, name: &str, addresses: &[&str], role: Role, place: &Place) {
        let by_name = self.position(|node| node.name.as_deref() == Some(name));
        let has_address = |node: &Node| addresses.iter().any(|own| node.addresses.iter().any(|ip| ip == own));
        let position = by_name.or_else(|| self.position(has_address));
        self.add_to(position, name, addresses, role, place);
    }

    /// The same where the name is the node's own: another node with one of the addresses stays another, and loading finds
    /// that two have the same.
    pub(super) fn add_named(&mut self, name: &str, addresses: &[&str], role: Role, place: &Place) {
        let position = self.position(|node| node.name.as_deref() == Some(name));
        self.add_to(position, name, addresses, role, place);
    }

    fn position(&self, is_it: impl Fn(&Node) -> bool) -> Option<usize> {
        self.nodes.iter().position(|(node, _)| is_it(node))
    }

    fn add_to(&mut self, position: Option<usize>, name: &str, addresses: &[&str], role: Role, place: &Place) {
        let position = position.unwrap_or(self.nodes.len());
        if position == self.nodes.len() {
            let node = Node { name: Some(name.to_owned()), ..Node::default() };
            self.nodes.push((node, place.clone()));
        }
        let Some((node, _)) = self.nodes.get_mut(position) else { return };
        for address in addresses {
            if !node.addresses.iter().any(|own| own == address) {
                node.addresses.push((*address).to_owned());
            }
        }
        let roles = node.roles.get_or_insert_default();
        if !roles.contains(&role) {
            roles.push(role);
        }
    }

    pub(super) fn find_address(&self, address: &str) -> Option<&Node> {
        let found = self.nodes.iter().find(|(node, _)| node.addresses.iter().any(|own| own == address));
        found.map(|(node, _)| node)
    }

    pub(super) fn find_name(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|(node, _)| node.name.as_deref() == Some(name)).map(|(node, _)| node)
    }

    pub(super) fn with_role(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .map(|(node, _)| node)
            .filter(move |node| node.roles.as_ref().is_some_and(|roles| roles.contains(&role)))
    }

    /// A name that no node has yet: the word and the first number that is free.
    pub(super) fn free_name(&self, word: &str) -> String {
        let mut numbers = 1_usize..;
        let is_free = |name: &String| self.find_name(name).is_none();
        numbers.by_ref().map(|number| format!("{word}-{number}")).find(is_free).unwrap_or_default()
    }

    /// A problem unless somebody runs an API server.
    pub(super) fn require_control_plane(&self, place: &Place) -> Option<Problem> {
        let has_none = self.with_role(Role::ControlPlane).next().is_none();
        has_none.then(|| {
            let remedy =
                "name the machines that run an API server: --control-plane NAME=ADDRESS, once for each";
            place.problem("no machine is known to run an API server", remedy)
        })
    }

    /// Puts them into a draft.
    pub(super) fn write(self, draft: &mut super::Draft) {
        for (index, (_, place)) in self.nodes.iter().enumerate() {
            draft.came_from(format!("spec.nodes[{index}]"), place);
        }
        draft.spec.nodes = Some(self.nodes.into_iter().map(|(node, _)| node).collect());
    }
}
