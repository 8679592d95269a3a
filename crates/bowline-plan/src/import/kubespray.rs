//! Kubespray's inventories, and those of Kargo, which is what it was called first.
//!
//! An inventory is Ansible's: YAML, INI, or the JSON of `ansible-inventory --list`, with `group_vars` and `host_vars`
//! beside it. What the variables mean is Kubespray's, and differs between its editions.
//!
//! ```text
//! Files --files--> ini, yaml --> Groups --scope--> what a variable is for a host
//!                                                     |
//!                                        settings: types and defaults
//!                                          |                      |
//!                               explain: what Kubespray did    describe: a draft of ours
//! ```

use crate::import::{Draft, Files, ImportFailed, Imported, Remark};
use crate::problem::Problem;

mod carried;
mod defects;
mod describe;
mod explain;
mod facts;
mod files;
mod groups;
mod ini;
mod literal;
mod range;
mod scope;
mod settings;
mod template;
mod value;
mod yaml;

use explain::current::Rules;
use explain::documents::{self, Table};
pub use explain::{Current, Document, DocumentHost, Explained, Host};
use files::Loader;
use groups::Groups;

/// Which rules an inventory was written for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edition {
    /// The code of today (2.28 and later).
    Current,
    /// The document of December 2019.
    Doc2019,
    /// The document of October 2016.
    Kargo,
}

/// An inventory that was read.
#[derive(Debug)]
pub struct Inventory {
    root: String,
    groups: Groups,
    /// What was noticed while reading.
    remarks: Vec<Remark>,
}

/// What Kubespray would have decided, and what there is to say about it.
#[derive(Debug)]
pub struct Explanation {
    /// The decisions.
    pub explained: Explained,
    /// Defects that they show, and what was assumed or not understood.
    pub remarks: Vec<Remark>,
}

impl Edition {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("current", Self::Current), ("doc2019", Self::Doc2019), ("kargo", Self::Kargo)];

    fn table(self) -> Option<Table> {
        match self {
            Self::Current => None,
            Self::Doc2019 => Some(Table::Doc2019),
            Self::Kargo => Some(Table::Kargo),
        }
    }
}

/// Reads an inventory. `facts` is the name and content of a file `{HOST: {hostname, fqdn, default_ipv4, default_ipv6}}`.
///
/// # Errors
/// Everything in the files that cannot be read.
pub fn read(files: &Files, facts: Option<(&str, &[u8])>) -> Result<Inventory, ImportFailed> {
    let mut loader = Loader::new(files, facts.map(|(name, _)| name));
    loader.inventories();
    if loader.problems.is_empty() {
        let place = crate::import::Place::new(files.root(), None);
        let result = loader.groups.add_group(groups::ALL, &place).and_then(|_| loader.groups.resolve());
        let result = result.and_then(|()| loader.groups.add_cluster_group());
        loader.problems.extend(result.err());
        loader.variables();
        if let Some((file, bytes)) = facts {
            let result = facts::add(file, bytes, &mut loader.groups, &mut loader.remarks);
            loader.problems.extend(result.err().unwrap_or_default());
        }
        // Priorities can be among the variables.
        let result = if loader.problems.is_empty() { loader.groups.resolve() } else { Ok(()) };
        loader.problems.extend(result.err());
    }
    let Loader { groups, mut remarks, problems, .. } = loader;
    defects::of_reading(&groups, &mut remarks);
    if problems.is_empty() {
        Ok(Inventory { root: files.root().to_owned(), groups, remarks })
    } else {
        Err(failed(problems, remarks))
    }
}

/// What Kubespray would have decided.
///
/// # Errors
/// What its rules need is not there or cannot be told.
pub fn explain(inventory: &Inventory, edition: Edition) -> Result<Explanation, ImportFailed> {
    let Inventory { root, groups, remarks } = inventory;
    let mut remarks = remarks.clone();
    let explained = match edition.table() {
        None => Rules::new(groups, root).and_then(|rules| {
            let explained = rules.explain()?;
            defects::of_rules(groups, &rules, &explained, &mut remarks)?;
            Ok(Explained::Current(explained))
        }),
        Some(table) => documents::explain(groups, root, table).map(|(document, found)| {
            remarks.extend(found);
            Explained::Document(document)
        }),
    };
    match explained {
        Ok(explained) => {
            remarks.sort();
            remarks.dedup();
            Ok(Explanation { explained, remarks })
        }
        Err(problems) => Err(failed(problems, remarks)),
    }
}

/// The inventory as a description.
///
/// # Errors
/// What a description needs is not there, cannot be told, or makes no sense.
pub fn import(inventory: &Inventory, edition: Edition) -> Result<Imported, ImportFailed> {
    let Inventory { root, groups, .. } = inventory;
    let explanation = explain(inventory, edition)?;
    let mut draft = Draft::new();
    draft.remarks(explanation.remarks);
    let mut not_carried = Vec::new();
    carried::report(groups, &mut not_carried);
    draft.remarks(not_carried);
    if let Err(problems) = describe::describe(groups, root, edition, &explanation.explained, &mut draft) {
        problems.into_iter().for_each(|problem| draft.problem(problem));
    }
    draft.finish(root)
}

fn failed(mut problems: Vec<Problem>, mut remarks: Vec<Remark>) -> ImportFailed {
    problems.sort();
    problems.dedup();
    remarks.sort();
    remarks.dedup();
    ImportFailed { problems, remarks }
}
