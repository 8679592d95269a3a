//! Hosts, groups, and who is in what, as Ansible works it out.

use std::collections::{BTreeMap, BTreeSet};

use super::range::HOSTS_LIMIT;
use super::value::{Value, Variables};
use crate::import::Place;
use crate::problem::Problem;

/// Groups of one inventory: a dozen of Kubespray's, and some hundred of locations.
const GROUPS_LIMIT: usize = 10_000;

/// Hosts in groups, counted once for each group that a host is in, directly or through others.
const MEMBERSHIPS_LIMIT: usize = 2_000_000;

pub(super) const ALL: &str = "all";
pub(super) const CONTROL_PLANE: &str = "kube_control_plane";
pub(super) const NODES: &str = "kube_node";
pub(super) const ETCD: &str = "etcd";
pub(super) const CLUSTER: &str = "k8s_cluster";
pub(super) const ROUTE_REFLECTORS: &str = "calico_rr";

/// Names that Kubespray's groups had until they had to be identifiers.
const ALIASES: [(&str, &str); 4] = [
    ("kube-master", CONTROL_PLANE),
    ("kube-node", NODES),
    ("k8s-cluster", CLUSTER),
    ("calico-rr", ROUTE_REFLECTORS),
];

/// Position in [`Groups::hosts`].
pub(super) type HostId = usize;
/// Position in [`Groups::groups`].
pub(super) type GroupId = usize;

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Box<str>,
    /// Where it is named first.
    pub(super) place: Place,
    /// Of the inventory itself.
    pub(super) inventory: Variables,
    /// Of `host_vars`.
    pub(super) files: Variables,
    /// Gathered; nothing overrides them.
    pub(super) facts: Variables,
    /// The groups it is in, those whose variables count for less first.
    pub(super) groups: Vec<GroupId>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Box<str>,
    pub(super) place: Place,
    /// Named in it directly.
    hosts: Vec<HostId>,
    children: Vec<(GroupId, Place)>,
    /// Of the inventory itself.
    pub(super) inventory: Variables,
    /// Of `group_vars`.
    pub(super) files: Variables,
    /// All that are in it: its own first, then those of its children.
    pub(super) members: Vec<HostId>,
}

/// An inventory.
#[derive(Default, Debug)]
pub(super) struct Groups {
    pub(super) hosts: Vec<Host>,
    pub(super) groups: Vec<Group>,
    host_ids: BTreeMap<Box<str>, HostId>,
    group_ids: BTreeMap<Box<str>, GroupId>,
    /// Old names that were met, and where.
    pub(super) aliases: BTreeMap<&'static str, Place>,
}

/// The name that a group has today.
pub(super) fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
}

/// The name that a group had before, if it had one.
pub(super) fn former(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(_, new)| *new == name).map(|(old, _)| *old)
}

impl Groups {
    pub(super) fn group(&self, name: &str) -> Option<&Group> {
        self.group_ids.get(name).and_then(|id| self.groups.get(*id))
    }

    pub(super) fn group_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id)
    }

    pub(super) fn group_id(&self, name: &str) -> Option<GroupId> {
        self.group_ids.get(canonical(name)).copied()
    }

    pub(super) fn host_id(&self, name: &str) -> Option<HostId> {
        self.host_ids.get(name).copied()
    }

    /// In the order of the group; none if there is no such group.
    pub(super) fn members(&self, name: &str) -> &[HostId] {
        self.group(name).map_or(&[], |group| group.members.as_slice())
    }

    /// # Errors
    /// There are too many.
    pub(super) fn add_group(&mut self, name: &str, place: &Place) -> Result<GroupId, Problem> {
        if let Some((old, _)) = ALIASES.iter().find(|(old, _)| *old == name) {
            self.aliases.entry(old).or_insert_with(|| place.clone());
        }
        let name = canonical(name);
        if let Some(id) = self.group_ids.get(name) {
            return Ok(*id);
        }
        let id = self.groups.len();
        if id >= GROUPS_LIMIT {
            let message = format!("more than {GROUPS_LIMIT} groups");
            return Err(place.problem(message, "is it the inventory of one cluster?"));
        }
        self.group_ids.insert(name.into(), id);
        self.groups.push(Group {
            name: name.into(),
            place: place.clone(),
            hosts: Vec::new(),
            children: Vec::new(),
            inventory: Variables::new(),
            files: Variables::new(),
            members: Vec::new(),
        });
        Ok(id)
    }

    /// # Errors
    /// There are too many.
    pub(super) fn add_host(&mut self, name: &str, place: &Place, group: GroupId) -> Result<HostId, Problem> {
        let next = self.hosts.len();
        let id = *self.host_ids.entry(name.into()).or_insert(next);
        if id == next {
            if next >= HOSTS_LIMIT {
                let message = format!("more than {HOSTS_LIMIT} hosts");
                return Err(place.problem(message, "is it the inventory of one cluster?"));
            }
            self.hosts.push(Host {
                name: name.into(),
                place: place.clone(),
                inventory: Variables::new(),
                files: Variables::new(),
                facts: Variables::new(),
                groups: Vec::new(),
            });
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.hosts.push(id);
        }
        Ok(id)
    }

    pub(super) fn add_child(&mut self, parent: GroupId, child: GroupId, place: &Place) {
        if let Some(parent) = self.groups.get_mut(parent)
            && !parent.children.iter().any(|(there, _)| *there == child)
        {
            parent.children.push((child, place.clone()));
        }
    }

    /// Adds the group that Kubespray makes of control planes, nodes and route reflectors.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(super) fn add_cluster_group(&mut self) -> Result<(), Problem> {
        let parts = [CONTROL_PLANE, NODES, ROUTE_REFLECTORS];
        let inside: BTreeSet<HostId> = self.members(CLUSTER).iter().copied().collect();
        let missing: Vec<HostId> = parts
            .iter()
            .flat_map(|part| self.members(part))
            .filter(|id| !inside.contains(id))
            .copied()
            .collect();
        let place = self.group(CONTROL_PLANE).map(|group| group.place.clone());
        let Some(place) = place.filter(|_| !missing.is_empty()) else { return Ok(()) };
        let cluster = self.add_group(CLUSTER, &place)?;
        if let Some(cluster) = self.groups.get_mut(cluster) {
            cluster.hosts.extend(missing);
        }
        self.resolve()
    }

    /// Works out members, and the order in which the variables of groups count.
    ///
    /// # Errors
    /// A group is within itself, or there are too many members.
    pub(super) fn resolve(&mut self) -> Result<(), Problem> {
        let (depths, order) = self.depths()?;
        let mut memberships = 0_usize;
        let mut members = Vec::with_capacity(self.groups.len());
        for id in 0..self.groups.len() {
            let found = self.members_of(id);
            memberships = memberships.saturating_add(found.len());
            if memberships > MEMBERSHIPS_LIMIT {
                let place = self.groups.get(id).map(|group| group.place.clone());
                let message =
                    format!("more than {MEMBERSHIPS_LIMIT} hosts in groups, each counted once a group");
                return Err(place
                    .unwrap_or_else(|| Place::new("", None))
                    .problem(message, "nest groups less"));
            }
            members.push(found);
        }
        for (group, members) in self.groups.iter_mut().zip(members) {
            group.members = members;
        }
        let mut order = order;
        order.sort_by_key(|id| {
            let group = self.groups.get(*id);
            let depth = depths.get(*id).copied().unwrap_or_default();
            (depth, group.map(priority).unwrap_or_default(), group.map(|group| group.name.clone()))
        });
        for host in &mut self.hosts {
            host.groups.clear();
        }
        for id in order {
            let Some(group) = self.groups.get(id) else { continue };
            if *group.name == *ALL {
                self.hosts.iter_mut().for_each(|host| host.groups.push(id));
                continue;
            }
            for member in &group.members {
                if let Some(host) = self.hosts.get_mut(*member) {
                    host.groups.push(id);
                }
            }
        }
        Ok(())
    }

    /// How far below `all` each group is at most, and the groups from the top down.
    fn depths(&self) -> Result<(Vec<usize>, Vec<GroupId>), Problem> {
        let count = self.groups.len();
        let mut parents_left = vec![0_usize; count];
        for (child, _) in self.groups.iter().flat_map(|group| &group.children) {
            if let Some(left) = parents_left.get_mut(*child) {
                *left = left.saturating_add(1);
            }
        }
        let mut depths: Vec<usize> =
            self.groups.iter().map(|group| usize::from(*group.name != *ALL)).collect();
        let mut order: Vec<GroupId> = (0..count).filter(|id| parents_left.get(*id) == Some(&0)).collect();
        let mut next = 0;
        while let Some(id) = order.get(next).copied() {
            next = next.saturating_add(1);
            let depth = depths.get(id).copied().unwrap_or_default().saturating_add(1);
            for (child, _) in self.groups.get(id).map(|group| group.children.as_slice()).unwrap_or_default() {
                if let Some(there) = depths.get_mut(*child) {
                    *there = depth.max(*there);
                }
                if let Some(left) = parents_left.get_mut(*child) {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        order.push(*child);
                    }
                }
            }
        }
        if order.len() == count { Ok((depths, order)) } else { Err(self.cycle(&parents_left)) }
    }

    /// The groups that are within themselves: walks from one that was never reached, until one comes again.
    fn cycle(&self, parents_left: &[usize]) -> Problem {
        let in_cycle = |id: GroupId| parents_left.get(id).is_some_and(|left| *left > 0);
        // Every group left has a parent that is left: going up leads into the cycle.
        let parent = |child: GroupId| {
            (0..self.groups.len()).find(|id| {
                in_cycle(*id)
                    && self
                        .groups
                        .get(*id)
                        .is_some_and(|group| group.children.iter().any(|(c, _)| *c == child))
            })
        };
        let mut walked = Vec::new();
        let mut at = (0..self.groups.len()).find(|id| in_cycle(*id));
        while let Some(id) = at.filter(|id| !walked.contains(id)) {
            walked.push(id);
            at = parent(id);
        }
        let start = at.and_then(|id| walked.iter().position(|there| *there == id)).unwrap_or_default();
        let ring: Vec<GroupId> = walked.split_off(start.min(walked.len()));
        let names: Vec<&str> =
            ring.iter().rev().filter_map(|id| self.groups.get(*id)).map(|group| &*group.name).collect();
        let place = ring
            .iter()
            .filter_map(|id| self.groups.get(*id))
            .flat_map(|group| &group.children)
            .find(|(child, _)| ring.contains(child))
            .map_or_else(|| Place::new("", None), |(_, place)| place.clone());
        let message =
            format!("groups within each other: {} > {}", names.join(" > "), names.first().unwrap_or(&""));
        place.problem(message, "a group cannot be within itself: remove one of these `children`")
    }

    /// The group's own hosts, then those of its children level by level, each once, as Ansible lists them.
    fn members_of(&self, id: GroupId) -> Vec<HostId> {
        if self.groups.get(id).is_some_and(|group| *group.name == *ALL) {
            return (0..self.hosts.len()).collect();
        }
        let mut groups = vec![id];
        let mut seen = BTreeSet::from([id]);
        let mut next = 0;
        while let Some(group) = groups.get(next).and_then(|id| self.groups.get(*id)) {
            next = next.saturating_add(1);
            let fresh = group.children.iter().map(|(child, _)| *child).filter(|child| seen.insert(*child));
            groups.extend(fresh.collect::<Vec<_>>());
        }
        let hosts = groups.iter().filter_map(|id| self.groups.get(*id)).flat_map(|group| &group.hosts);
        let mut seen = BTreeSet::new();
        hosts.copied().filter(|host| seen.insert(*host)).collect()
    }
}

/// Among groups of one depth those with a higher priority count for more.
fn priority(group: &Group) -> i64 {
    let given = group.inventory.get("ansible_group_priority").or(group.files.get("ansible_group_priority"));
    match given.map(|variable| &variable.value) {
        Some(Value::Int(priority)) => *priority,
        Some(Value::Text(text)) => text.parse().unwrap_or(1),
        Some(Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Sealed(_)) | None => 1,
    }
}
