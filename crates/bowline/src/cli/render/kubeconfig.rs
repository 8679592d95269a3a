//! `bowline render kubeconfig`: which server a client is to use, as its kubeconfig has it.

use crate::cli::{ConfigArg, load};
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::replace::replace;
use anyhow::Context;
use bowline_plan::render::{Kubeconfig, client_url, new_kubeconfig};
use bowline_plan::{Class, Cluster};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct KubeconfigArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Whose endpoint
    #[arg(long, value_enum, default_value = "external")]
    class: ClientClass,
    /// On which node, where it matters
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The cluster in the kubeconfig, instead of the current context's or the only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Print this kubeconfig with the server of the plan
    #[arg(long, value_name = "FILE", conflicts_with_all = ["write", "check"])]
    from: Option<PathBuf>,
    /// Give this kubeconfig the server of the plan
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    write: Option<PathBuf>,
    /// End with exit code 1 when this kubeconfig has another server
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ClientClass {
    /// kubectl and other outsiders
    External,
    /// kubelet and kube-proxy on a node that is no control plane
    Node,
    /// kubelet, scheduler and controllers on a control plane
    ControlPlane,
    /// Whatever asks for one host and port for all nodes
    Pod,
}

pub(super) fn kubeconfig(args: &KubeconfigArgs) -> Result<(), Failure> {
    let config = &args.config.config;
    let cluster = load(config)?;
    let url = url(args, &cluster)?;
    let asked = args.cluster.as_deref();
    match (&args.from, &args.write, &args.check) {
        (Some(file), _, _) => Ok(print(&rewritten(file, &read(file)?, asked, &url)?)?),
        (None, Some(file), _) => {
            let old = read(file)?;
            let new = rewritten(file, &old, asked, &url)?;
            let outcome = if new.as_bytes() == old { "has already" } else { "has now" };
            if new.as_bytes() != old {
                replace(file, new.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
            }
            Ok(print(&format!("{} {outcome} the server {url}\n", file.display()))?)
        }
        (None, None, Some(file)) => check(file, asked, &url),
        (None, None, None) => Ok(print(&new_kubeconfig(&cluster, &url))?),
    }
}

fn url(args: &KubeconfigArgs, cluster: &Cluster) -> Result<String, Failure> {
    let class = match args.class {
        ClientClass::External => Class::External,
        ClientClass::Node => Class::Node,
        ClientClass::ControlPlane => Class::ControlPlane,
        ClientClass::Pod => Class::Pod,
    };
    let config = args.config.config.display();
    client_url(cluster, class, args.node.as_deref())
        .map_err(|error| Failure::Input(vec![format!("{config}: {error}")]))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file)
        .map_err(|error| Failure::Input(vec![format!("{}: {error}; name a kubeconfig", file.display())]))
}

fn rewritten(file: &Path, bytes: &[u8], cluster: Option<&str>, url: &str) -> Result<String, Failure> {
    let name = file.display().to_string();
    let text = Kubeconfig::read(&name, bytes, cluster).and_then(|found| found.with_server(url));
    text.map_err(|problem| Failure::Input(vec![problem.to_string()]))
}

fn check(file: &Path, cluster: Option<&str>, url: &str) -> Result<(), Failure> {
    let (name, bytes) = (file.display().to_string(), read(file)?);
    let found = Kubeconfig::read(&name, &bytes, cluster)
        .map_err(|problem| Failure::Input(vec![problem.to_string()]))?;
    if found.server() == url {
        return Ok(());
    }
    complain(&format!(
        "{name}: the server is {}, and {url} in the plan; --write {name} puts it right",
        found.server()
    ));
    Err(Failure::Denied)
}
