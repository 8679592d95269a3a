//! The command line: what can be asked for, and how it ends.

mod certs;
mod check;
mod endpoints;
mod generate;
mod hosts;
mod import;
mod plan;
mod render;
mod status;

use crate::admin;
use crate::daemon;
use crate::demo;
use crate::failure::Failure;
use crate::logs::{self, LogFormat};
use crate::output::{Format, complain};
use bowline_plan::{AdminListen, Cluster};
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the description lies unless another place is given.
const CONFIG: &str = "/etc/bowline/cluster.yaml";

/// Keeps the Kubernetes API reachable from every place a client can stand.
#[derive(Debug, Parser)]
#[command(name = "bowline", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do this node's part until stopped; reload when the description changes
    Run(RunArgs),
    /// Parse, validate, plan and lint the description, offline
    Check(check::CheckArgs),
    /// Print the plan, one node's, or what changes from another description
    Plan(plan::PlanArgs),
    /// Print which URL each client is to use, the rule that chose it and the rules that lost
    Endpoints(endpoints::EndpointsArgs),
    /// Make a description of another system's: a Kubespray inventory, a Juju bundle
    Import(import::ImportArgs),
    /// Issue certificates with the names the plan asks for, read them, and hold them against the plan
    Certs(certs::CertsArgs),
    /// Print what follows from the plan for others: hosts lines, certificates' names, kubeconfigs, configurations
    Render(render::RenderArgs),
    /// Keep the names of the description in this machine's hosts file
    Hosts(hosts::HostsArgs),
    /// Print what the daemon on this machine is doing
    Status(status::StatusArgs),
    /// Show the whole thing on this machine: stand-in API servers fail in turn, and what a client sees of it
    Demo(demo::Args),
    /// Be a stand-in API server, for `demo` and tests
    #[command(hide = true, disable_help_flag = true)]
    StandIn {
        /// Its own options; a wrong one is answered with its usage
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Outlive the daemon by a moment, to give its virtual IPs away when it was killed
    #[command(hide = true, name = daemon::GUARD)]
    Guard,
    /// Write the schemas and reference pages that this version brings
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
}

/// Which description.
#[derive(Debug, Args)]
struct ConfigArg {
    /// The description of the cluster
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

/// What to print.
#[derive(Debug, Args)]
struct OutputArg {
    /// What to print: text for people, json and yaml for programs
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The node to be, instead of the one with this machine's host name or address
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Where to serve metrics and status, instead of the description's admin.listen
    #[arg(long, value_name = "ADDR", value_parser = admin::parse_listen)]
    admin: Option<AdminListen>,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a reader that has gone away is none either.
            let _unread = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.lines() {
                complain(line);
            }
            ExitCode::from(&failure)
        }
    }
}

fn dispatch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run(args),
        Command::Check(args) => check::check(args),
        Command::Plan(args) => plan::plan(args),
        Command::Endpoints(args) => endpoints::endpoints(args),
        Command::Import(args) => import::import(args),
        Command::Certs(args) => certs::certs(args),
        Command::Render(args) => render::render(args),
        Command::Hosts(args) => hosts::hosts(args),
        Command::Status(args) => status::status(args),
        Command::Demo(args) => demo::run(args),
        Command::StandIn { options } => Ok(bowline_lab::standin::run(options.iter().cloned())?),
        Command::Guard => guard(),
        Command::Generate(args) => generate::generate(args),
    }
}

fn guard() -> Result<(), Failure> {
    bowline_vip::watch_over()
        .map_err(|error| Failure::RunTime(vec![format!("the guard of virtual IPs cannot work: {error}")]))
}

fn run(args: &RunArgs) -> Result<(), Failure> {
    let _flush = logs::start(args.log_format);
    daemon::run(&daemon::Options {
        config: args.config.config.clone(),
        node: args.node.clone(),
        admin: args.admin.clone(),
    })
}

/// The description in `file`, or everything that is wrong with it.
fn load(file: &Path) -> Result<Cluster, Failure> {
    let bytes = daemon::read(file).map_err(|line| Failure::Input(vec![line]))?;
    bowline_plan::load(&file.display().to_string(), &bytes)
        .map_err(|problems| Failure::Input(problems.iter().map(ToString::to_string).collect()))
}

/// The name of the node asked for, or of this machine.
fn own_node(cluster: &Cluster, file: &Path, asked: Option<&str>) -> Result<String, Failure> {
    let is_own = |address| bowline_sys::host::is_own(address).unwrap_or(false);
    bowline_plan::find_node(cluster, asked, &bowline_sys::host::name(), &is_own)
        .map(str::to_owned)
        .map_err(|error| Failure::Input(vec![format!("{}: {error}", file.display())]))
}
