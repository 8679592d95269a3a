//! What a description means for this machine: read, validated, planned, its node found, its files loaded.

use crate::probe::{Credentials, Files};
use bowline_plan::{AdminListen, Cluster, NodePlan, SIZE_LIMIT};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One node's part of a description, ready to be put in force.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) cluster: Cluster,
    pub(super) node: String,
    pub(super) plan: NodePlan,
    pub(super) credentials: Arc<Credentials>,
    pub(super) admin: AdminListen,
    pub(super) digest: Digest,
}

/// Tells one content of the description from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Where the description lies, and what the command line says beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The description.
    pub config: PathBuf,
    /// The node to be, instead of the one found by host name or address.
    pub node: Option<String>,
    /// The admin listener, instead of the description's.
    pub admin: Option<AdminListen>,
}

/// The description's bytes; a file that is too large is not read.
pub(crate) fn read(config: &Path) -> Result<Vec<u8>, String> {
    let name = config.display();
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>| -> std::io::Result<u64> {
        let file = std::fs::File::open(config)?;
        let size = file.metadata()?.len();
        file.take(SIZE_LIMIT as u64 + 1).read_to_end(bytes)?;
        // What is no regular file has no size before it is read.
        Ok(size.max(bytes.len() as u64))
    };
    let size = read(&mut bytes)
        .map_err(|error| format!("{name}: cannot be read: {error}; give the path of a description"))?;
    if size > SIZE_LIMIT as u64 {
        let (size, limit) = (size.div_ceil(1 << 20), SIZE_LIMIT >> 20);
        return Err(format!(
            "{name}: {size} MiB are no description; at most {limit} MiB are read; is it the right file?"
        ));
    }
    Ok(bytes)
}

/// Everything that follows from the description's `bytes`, or everything that is wrong with it, one line each.
pub(super) fn prepare(options: &Options, bytes: &[u8], generation: u64) -> Result<Part, Vec<String>> {
    let file = options.config.display().to_string();
    let cluster = bowline_plan::load(&file, bytes).map_err(|problems| lines(&problems))?;
    let unserved = bowline_plan::unserved(&cluster);
    if !unserved.is_empty() {
        return Err(lines(&unserved));
    }
    // An address that cannot be asked about, for want of the family, is not ours.
    let is_own = |address: IpAddr| bowline_sys::host::is_own(address).unwrap_or(false);
    let host_name = bowline_sys::host::name();
    let node = bowline_plan::find_node(&cluster, options.node.as_deref(), &host_name, &is_own)
        .map_err(|error| vec![format!("{file}: {error}")])?
        .to_owned();
    let credentials = Arc::new(load_credentials(options, &cluster)?);
    let mut plan = bowline_plan::plan(&cluster, generation);
    let shared = bowline_plan::ports_in_use(&cluster, &plan, &node);
    if !shared.is_empty() {
        return Err(shared.iter().map(ToString::to_string).collect());
    }
    let plan = plan.nodes.remove(&node).unwrap_or_default();
    let admin = options.admin.clone().unwrap_or_else(|| cluster.admin().clone());
    Ok(Part { node, plan, credentials, admin, digest: Digest::of(bytes), cluster })
}

fn load_credentials(options: &Options, cluster: &Cluster) -> Result<Credentials, Vec<String>> {
    let folder = options.config.parent().unwrap_or(Path::new(""));
    let path = |file: &Option<String>| file.as_ref().map(|file| folder.join(file));
    let api = cluster.api_server();
    let files = Files {
        ca: path(&api.ca_file),
        client_certificate: path(&api.client_cert_file),
        client_key: path(&api.client_key_file),
        token: path(&api.token_file),
    };
    Credentials::load(files).map_err(|problems| {
        let references = cluster.files();
        problems
            .into_iter()
            .map(|problem| {
                let field = format!("spec.apiServer.{}", problem.field);
                match references.iter().find(|reference| reference.path() == field) {
                    Some(reference) => reference.problem(problem.message, problem.remedy).to_string(),
                    None => problem.to_string(),
                }
            })
            .collect()
    })
}

fn lines(problems: &[bowline_plan::Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}
