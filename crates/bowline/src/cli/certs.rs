//! `bowline certs`: issue certificates, read them, and hold them against the plan.

mod text;

use super::{ConfigArg, OutputArg, load};
use crate::certs::{
    Authority, CertificateFacts, CertsInspect, FetchError, InspectedCertificate, IssueError, Issued, KeyType,
    Leaf, NewFile, Server, StoreError, Wanted, certificates, fetch, now, write_new,
};
use crate::certs::{ReadError, check as hold};
use crate::failure::Failure;
use crate::output::{print, print_as};
use bowline_plan::{Cluster, NodeRole, Sans};
use clap::{Args, Subcommand, ValueEnum};
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};

/// What kubeadm gives a serving certificate.
const DAYS: u32 = 365;
/// What kubeadm gives a CA.
const CA_DAYS: u32 = 3650;
/// A hundred years: more is a slip of the finger.
const DAYS_MAX: i64 = 36_500;
/// Enough for whoever renews monthly to come by once more.
const WARN_DAYS: u32 = 30;

#[derive(Debug, Args)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Issue a certificate with the names the plan asks for, by a given CA or a new one
    Issue(IssueArgs),
    /// Print what is in files of certificates
    Inspect(InspectArgs),
    /// Hold a served or stored certificate against the plan
    Check(CheckArgs),
}

/// Whose certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Kind {
    /// Of an API server
    Apiserver,
    /// Of an etcd member
    Etcd,
    /// Of a new CA
    Ca,
}

/// Whose certificate a server shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Serving {
    /// Of an API server
    Apiserver,
    /// Of an etcd member
    Etcd,
}

#[derive(Debug, Args)]
struct IssueArgs {
    /// Whose certificate
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
    #[command(flatten)]
    config: ConfigArg,
    /// For this node alone, without the names and addresses of the others that serve the same
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The CA that signs, PEM or DER; without one a new CA is made
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    ca_key: Option<PathBuf>,
    /// Which key to make
    #[arg(long, value_enum, value_name = "TYPE", default_value = "ec")]
    key_type: KeyType,
    /// For how many days it is valid: 365, a CA 3650, unless given; never longer than its CA
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    days: Option<u32>,
    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct InspectArgs {
    /// Files of certificates, PEM or DER
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArg,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// `https://HOST:PORT`, or a file with the certificate and what leads from it to the CA
    #[arg(value_name = "URL|FILE")]
    target: String,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    output: OutputArg,
    /// Whose names it has to hold
    #[arg(long = "for", value_enum, value_name = "KIND", default_value = "apiserver")]
    serving: Serving,
    /// The node it is for, instead of the one it names or is asked for by
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The CA that clients trust, instead of the description's caFile
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Warn when it is valid for fewer days than this
    #[arg(long, value_name = "N", default_value_t = WARN_DAYS)]
    days: u32,
}

pub(super) fn certs(args: &CertsArgs) -> Result<(), Failure> {
    match &args.command {
        Command::Issue(args) => issue(args),
        Command::Inspect(args) => inspect(args),
        Command::Check(args) => check(args),
    }
}

fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let now = now();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in &args.files {
        match inspect_file(path, now) {
            Ok(certificates) => found.extend(certificates),
            Err(line) => problems.push(line),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Input(problems));
    }
    let document = CertsInspect::new(found);
    Ok(print_as(args.output.output, &document, || text::inspected(&document.certificates))?)
}

fn inspect_file(path: &Path, now: i64) -> Result<Vec<InspectedCertificate>, String> {
    let file = path.display().to_string();
    let found = certificates(path).map_err(|error| error.to_string())?;
    let facts = found.iter().enumerate().map(|(index, der)| {
        let number = index + 1;
        let facts = CertificateFacts::of(der, now).map_err(|error| {
            format!("{file}: certificate {number} cannot be understood: {error}; issue it anew")
        })?;
        Ok(InspectedCertificate { file: file.clone(), number, facts })
    });
    facts.collect()
}

fn issue(args: &IssueArgs) -> Result<(), Failure> {
    let now = now();
    let serving = match args.kind {
        Kind::Ca => return issue_ca(args, now),
        Kind::Apiserver => Serving::Apiserver,
        Kind::Etcd => Serving::Etcd,
    };
    let cluster = load(&args.config.config)?;
    let node = args.node.as_deref().map(|node| find(&cluster, node, serving)).transpose()?;
    let names = serving.of(wanted_sans(&cluster, node));
    if cluster.with_role(serving.role()).next().is_none() {
        let role = serving.role_name();
        return Err(input(format!("{}: no node has the role {role}; give it to one", cluster.file())));
    }
    let (authority, new) = match (&args.ca_cert, &args.ca_key) {
        (Some(certificate), Some(key)) => (Authority::load(certificate, key, now)?, None),
        _ => {
            let days = args.days.unwrap_or(CA_DAYS).max(CA_DAYS);
            let (authority, issued) = Authority::new(serving.ca_name(), args.key_type, days, now)?;
            (authority, Some(issued))
        }
    };
    let common_name = match serving {
        Serving::Apiserver => "kube-apiserver",
        Serving::Etcd => node.unwrap_or("etcd"),
    };
    let issued = authority.issue(
        &Leaf {
            common_name,
            sans: &names,
            is_client: serving == Serving::Etcd,
            key_type: args.key_type,
            days: args.days.unwrap_or(DAYS),
        },
        now,
    )?;
    let mut files = new.as_ref().map(|new| pair("ca", new)).unwrap_or_default();
    files.extend(pair(serving.file_name(), &issued));
    write(args, &files)?;
    Ok(print(&text::shortened(&issued))?)
}

fn issue_ca(args: &IssueArgs, now: i64) -> Result<(), Failure> {
    if args.ca_cert.is_some() || args.node.is_some() {
        return Err(input(
            "a new CA is for all nodes and signed by itself; leave out --node, --ca-cert and --ca-key"
                .to_owned(),
        ));
    }
    let days = args.days.unwrap_or(CA_DAYS);
    let (_, issued) = Authority::new(Serving::Apiserver.ca_name(), args.key_type, days, now)?;
    write(args, &pair("ca", &issued))
}

fn pair(name: &str, issued: &Issued) -> Vec<NewFile> {
    vec![
        NewFile { name: format!("{name}.crt"), content: issued.certificate.clone(), is_key: false },
        NewFile { name: format!("{name}.key"), content: issued.key.clone(), is_key: true },
    ]
}

fn write(args: &IssueArgs, files: &[NewFile]) -> Result<(), Failure> {
    let written = write_new(&args.out, files, args.force)?;
    let lines: String = written.iter().map(|path| format!("wrote {}\n", path.display())).collect();
    Ok(print(&lines)?)
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let now = now();
    let server = is_url(&args.target).then(|| Server::parse(&args.target)).transpose().map_err(input)?;
    let cluster = load(&args.config.config)?;
    let asked_node = args.node.as_deref().map(|node| find(&cluster, node, args.serving)).transpose()?;
    let authorities = match ca_file(args, &cluster) {
        Some(path) => certificates(&path)?,
        None => Vec::new(),
    };
    let chain = match &server {
        Some(server) => fetch(server)?,
        None => certificates(Path::new(&args.target))?,
    };
    let broken = |error| {
        let line = format!("{}: cannot be understood: {error}; issue it anew", args.target);
        if server.is_some() { Failure::RunTime(vec![line]) } else { Failure::Input(vec![line]) }
    };
    let host = server.as_ref().map(|server| server.host.as_str());
    let node = match asked_node {
        Some(node) => Some(node),
        None => meant(&cluster, args.serving, host, &chain, now).map_err(broken)?,
    };
    let wanted = Wanted {
        target: args.target.clone(),
        node: node.map(str::to_owned),
        sans: args.serving.of(wanted_sans(&cluster, node)),
        advertised: args.serving.of(bowline_plan::advertised_sans(&cluster)).into_iter().collect(),
        asked: server.as_ref().map(|server| server.host.clone()),
        warn_days: i64::from(args.days),
    };
    let document = hold(&chain, &authorities, &wanted, now).map_err(broken)?;
    print_as(args.output.output, &document, || text::checked(&document))?;
    if document.is_failed() { Err(Failure::Denied) } else { Ok(()) }
}

fn is_url(target: &str) -> bool {
    target.contains("://")
}

/// The CA to hold a chain against; the description's is relative to the description.
fn ca_file(args: &CheckArgs, cluster: &Cluster) -> Option<PathBuf> {
    let described = match args.serving {
        Serving::Apiserver => &cluster.api_server().ca_file,
        Serving::Etcd => &cluster.etcd().ca_file,
    };
    let folder = args.config.config.parent().unwrap_or(Path::new(""));
    args.ca.clone().or_else(|| described.as_ref().map(|file| folder.join(file)))
}

/// The node that a certificate is meant for: the one it was asked for by, or the only one that it names. `None` is all.
fn meant<'a>(
    cluster: &'a Cluster,
    serving: Serving,
    host: Option<&str>,
    chain: &[CertificateDer<'_>],
    now: i64,
) -> Result<Option<&'a str>, String> {
    let nodes = || cluster.with_role(serving.role());
    let address = host.and_then(|host| host.parse().ok());
    let is_host = |node: &bowline_plan::Node| {
        let addresses = node.addresses.iter().copied().chain(node.access_address).chain(node.public_address);
        host.is_some_and(|host| node.name.eq_ignore_ascii_case(host))
            || addresses.into_iter().any(|own| Some(own) == address)
    };
    // A machine that is a balancer as well may answer for any of them.
    let is_alone = |node: &&bowline_plan::Node| !node.roles.contains(&NodeRole::LoadBalancer);
    if let Some(node) = nodes().filter(is_alone).find(|node| is_host(node)) {
        return Ok(Some(&node.name));
    }
    let Some(leaf) = chain.first() else { return Ok(None) };
    let facts = CertificateFacts::of(leaf, now)?;
    let mut named = nodes().filter(|node| {
        facts.covers(&node.name) || node.access_address.is_some_and(|own| facts.addresses.contains(&own))
    });
    Ok(match (named.next(), named.next()) {
        (Some(node), None) => Some(&node.name),
        (None | Some(_), _) => None,
    })
}

fn wanted_sans(cluster: &Cluster, node: Option<&str>) -> Sans {
    match node {
        Some(node) => bowline_plan::node_sans(cluster, node),
        None => bowline_plan::plan(cluster, 1).sans,
    }
}

/// The node that is called `asked` and serves what is asked about.
fn find<'a>(cluster: &'a Cluster, asked: &str, serving: Serving) -> Result<&'a str, Failure> {
    let found = bowline_plan::find_node(cluster, Some(asked), "", &|_| false)
        .map_err(|error| input(format!("{}: {error}", cluster.file())))?;
    if cluster.with_role(serving.role()).any(|node| node.name == found) {
        return Ok(found);
    }
    let role = serving.role_name();
    Err(input(format!("{}: {found} has not the role {role}; name a node that has", cluster.file())))
}

impl Serving {
    fn of(self, sans: Sans) -> Vec<String> {
        match self {
            Self::Apiserver => sans.apiserver,
            Self::Etcd => sans.etcd,
        }
    }

    const fn role(self) -> NodeRole {
        match self {
            Self::Apiserver => NodeRole::ControlPlane,
            Self::Etcd => NodeRole::Etcd,
        }
    }

    fn role_name(self) -> &'static str {
        self.role().as_str()
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Apiserver => "apiserver",
            Self::Etcd => "etcd",
        }
    }

    /// As kubeadm calls them.
    const fn ca_name(self) -> &'static str {
        match self {
            Self::Apiserver => "kubernetes",
            Self::Etcd => "etcd-ca",
        }
    }
}

fn input(line: String) -> Failure {
    Failure::Input(vec![line])
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        input(error.to_string())
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Library(_) => Self::RunTime(vec![error.to_string()]),
            IssueError::Read(_)
            | IssueError::Key { .. }
            | IssueError::KeyMismatch { .. }
            | IssueError::Unfit { .. }
            | IssueError::Name { .. } => input(error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists { .. } | StoreError::NotAFolder { .. } => input(error.to_string()),
            StoreError::Io { .. } => Self::RunTime(vec![error.to_string()]),
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::RunTime(vec![error.to_string()])
    }
}
