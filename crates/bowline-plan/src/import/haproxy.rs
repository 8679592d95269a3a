//! haproxy.cfg, as far as it puts TCP in front of API servers.

use core::net::IpAddr;
use core::str::FromStr;

use super::{Place, Remark, RemarkKind};
use crate::problem::Problem;
use crate::source::excerpt;

mod words;

/// What stands between clients and one set of servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Front {
    /// Of the section.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) binds: Vec<Bind>,
    pub(super) servers: Vec<Server>,
    pub(super) settings: Settings,
}

/// Where it listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bind {
    /// `None`: on every address.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) place: Place,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    /// An address or a name.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) place: Place,
}

/// How connections are spread and judged; what a section does not say it has from the `defaults` before it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Settings {
    mode: Option<String>,
    /// Algorithm and its arguments.
    pub(super) balance: Option<(String, Place)>,
    pub(super) timeout_client: Option<(String, Place)>,
    pub(super) timeout_server: Option<(String, Place)>,
    /// The `option` that says how servers are checked.
    pub(super) check: Option<(String, Place)>,
    pub(super) maxconn: Option<(u32, Place)>,
    pub(super) rise: Option<u32>,
    pub(super) fall: Option<u32>,
    /// As written: `2s`, `500`.
    pub(super) inter: Option<(String, Place)>,
    /// Whether servers are checked at all.
    pub(super) is_checked: bool,
}

/// What the file holds.
#[derive(Debug, Default)]
pub(super) struct Haproxy {
    pub(super) fronts: Vec<Front>,
    pub(super) maxconn: Option<(u32, Place)>,
}

/// Sections that have no part in where connections go.
const IRRELEVANT: [&str; 11] = [
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "program",
    "ring",
    "cache",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-store",
];

#[derive(Clone, Default)]
struct Section {
    kind: String,
    name: String,
    place: Option<Place>,
    binds: Vec<Bind>,
    servers: Vec<Server>,
    settings: Settings,
    default_backend: Option<(String, Place)>,
}

/// Reads a file.
pub(super) fn read(file: &str, bytes: &[u8], remarks: &mut Vec<Remark>) -> Result<Haproxy, Vec<Problem>> {
    let lines = super::cursor::lines(file, bytes).map_err(|problem| vec![problem])?;
    let mut reader = Reader {
        remarks,
        problems: Vec::new(),
        haproxy: Haproxy::default(),
        sections: Vec::new(),
        defaults: Settings::default(),
    };
    for (index, line) in lines.into_iter().enumerate() {
        let place = Place::new(file, u32::try_from(index.saturating_add(1)).ok());
        match words::split(line) {
            Ok(words) => reader.line(&words, &place),
            Err(message) => reader.problems.push(place.problem(message, "close the quotes")),
        }
    }
    reader.finish(file)
}

struct Reader<'r> {
    remarks: &'r mut Vec<Remark>,
    problems: Vec<Problem>,
    haproxy: Haproxy,
    sections: Vec<Section>,
    defaults: Settings,
}

impl Reader<'_> {
    fn line(&mut self, words: &[String], place: &Place) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => {}
            [kind @ ("global" | "defaults" | "listen" | "frontend" | "backend"), rest @ ..] => {
                self.section(kind, rest, place);
            }
            [kind, ..] if IRRELEVANT.contains(kind) => self.section(kind, &[], place),
            [
                keyword
                @ (".if" | ".elif" | ".else" | ".endif" | ".notice" | ".warning" | ".alert" | ".diag"),
                ..,
            ] => {
                let message = format!("{keyword}: conditions are not evaluated, all lines are taken");
                self.remarks.push(place.remark(RemarkKind::NotEvaluated, message));
            }
            _ => self.directive(&words, place),
        }
    }

    fn section(&mut self, kind: &str, rest: &[&str], place: &Place) {
        let mut section = Section { kind: kind.to_owned(), place: Some(place.clone()), ..Section::default() };
        section.name = rest.first().map(|name| (*name).to_owned()).unwrap_or_default();
        section.settings = if kind == "defaults" { Settings::default() } else { self.defaults.clone() };
        // `listen NAME ADDRESS:PORT` is how it was written long ago.
        if let (true, Some(address)) = (matches!(kind, "listen" | "frontend"), rest.get(1)) {
            self.bind(&mut section, address, place);
        }
        self.sections.push(section);
    }

    fn directive(&mut self, words: &[&str], place: &Place) {
        let Some(mut section) = self.sections.pop() else {
            let remedy = "begin with a section: global, defaults, listen, frontend or backend";
            self.problems.push(place.problem("a line before the first section", remedy));
            return;
        };
        match words {
            ["bind", addresses, params @ ..] => {
                addresses.split(',').for_each(|address| self.bind(&mut section, address, place));
                if params.contains(&"ssl") {
                    let message = "TLS ends here today; bowline passes it through to the API servers, with their certificates";
                    self.remarks.push(place.remark(RemarkKind::Differs, message));
                }
                if params.contains(&"accept-proxy") {
                    let message = "accept-proxy: bowline does not read the PROXY protocol";
                    self.remarks.push(place.remark(RemarkKind::NotUnderstood, message));
                }
            }
            ["server", name, address, params @ ..] => self.server(&mut section, name, address, params, place),
            ["server-template", ..] => {
                let message = "server-template asks the name service: its servers are left out";
                self.remarks.push(place.remark(RemarkKind::NotEvaluated, message));
            }
            ["default-server", params @ ..] => params_of(&mut section.settings, params, place),
            ["default_backend", name] => section.default_backend = Some(((*name).to_owned(), place.clone())),
            [
                "use_backend" | "tcp-request" | "tcp-response" | "acl" | "stick" | "stick-table" | "source",
                ..,
            ] => {
                let message = format!("`{}` has no counterpart", excerpt(&words.join(" ")));
                self.remarks.push(place.remark(RemarkKind::NotUnderstood, message));
            }
            _ => setting(&mut section.settings, words, place),
        }
        if section.kind == "defaults" {
            self.defaults = section.settings.clone();
        }
        if section.kind == "global" {
            self.haproxy.maxconn = section.settings.maxconn.clone();
        }
        self.sections.push(section);
    }

    fn bind(&mut self, section: &mut Section, text: &str, place: &Place) {
        if text.starts_with('/')
            || text.starts_with("unix@")
            || text.starts_with("abns@")
            || text.starts_with("fd@")
        {
            let message = format!("{}: bowline listens on addresses and ports alone", excerpt(text));
            self.remarks.push(place.remark(RemarkKind::NotUnderstood, message));
            return;
        }
        let address = text.trim_start_matches("ipv4@").trim_start_matches("ipv6@").trim_start_matches("tcp@");
        let parsed = address.rsplit_once(':').and_then(|(address, port)| {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
            let is_any = matches!(address, "" | "*" | "0.0.0.0" | "::");
            let address = if is_any { None } else { Some(IpAddr::from_str(address).ok()?) };
            Some(Bind { address, port, place: place.clone() })
        });
        match parsed {
            Some(bind) => section.binds.push(bind),
            None => {
                let remedy =
                    "write ADDRESS:PORT with an IP address and one port; variables are not evaluated";
                self.problems
                    .push(place.problem(format!("{} is not an address and port", excerpt(text)), remedy));
            }
        }
    }

    fn server(&mut self, section: &mut Section, name: &str, address: &str, params: &[&str], place: &Place) {
        params_of(&mut section.settings, params, place);
        for param in ["send-proxy", "send-proxy-v2", "backup", "disabled"] {
            if params.contains(&param) {
                let message = match param {
                    "backup" => "a backup server: bowline uses all API servers alike".to_owned(),
                    "disabled" => {
                        "a disabled server: bowline uses it, and finds out itself whether it can".to_owned()
                    }
                    _ => format!(
                        "{param}: API servers do not read the PROXY protocol, and bowline does not send it"
                    ),
                };
                self.remarks.push(place.remark(RemarkKind::Differs, message));
            }
        }
        if params
            .iter()
            .position(|param| *param == "weight")
            .and_then(|at| params.get(at.saturating_add(1)))
            .is_some()
        {
            self.remarks.push(place.remark(RemarkKind::Differs, "weights have no counterpart"));
        }
        match super::kubeadm::host_and_port(address) {
            Some((host, Some(port))) => section.servers.push(Server {
                name: name.to_owned(),
                host: host.to_owned(),
                port,
                place: place.clone(),
            }),
            // HAProxy would use the port that the client connected to.
            Some((host, None)) => {
                let port = section.binds.first().map_or(0, |bind| bind.port);
                let server =
                    Server { name: name.to_owned(), host: host.to_owned(), port, place: place.clone() };
                section.servers.push(server);
            }
            None => {
                let remedy = "write ADDRESS:PORT, an IPv6 address in brackets; variables are not evaluated";
                self.problems
                    .push(place.problem(format!("{} is not an address and port", excerpt(address)), remedy));
            }
        }
    }

    /// Brings frontends and backends together.
    fn finish(mut self, file: &str) -> Result<Haproxy, Vec<Problem>> {
        let backends: Vec<Section> =
            self.sections.iter().filter(|section| section.kind == "backend").cloned().collect();
        for section in core::mem::take(&mut self.sections) {
            if !matches!(section.kind.as_str(), "listen" | "frontend") {
                continue;
            }
            let place = section.place.clone().unwrap_or(Place::new(file, None));
            let mut settings = section.settings;
            let mut servers = section.servers;
            if let Some((name, at)) = &section.default_backend {
                match backends.iter().find(|backend| backend.name == *name) {
                    Some(backend) => {
                        servers.extend(backend.servers.iter().cloned());
                        settings = backend.settings.clone().over(settings);
                    }
                    None => {
                        let remedy = "write the section, or correct the name";
                        self.problems
                            .push(at.problem(format!("no backend is named {}", excerpt(name)), remedy));
                    }
                }
            }
            let name = section.name;
            if settings.mode.as_deref() == Some("http") {
                let message = format!("{name} is in mode http: it is left out");
                self.remarks.push(place.remark(RemarkKind::NotUnderstood, message));
                continue;
            }
            for server in servers.iter_mut().filter(|server| server.port == 0) {
                server.port = section.binds.first().map_or(0, |bind| bind.port);
            }
            let binds = section.binds;
            self.haproxy.fronts.push(Front { name, place, binds, servers, settings });
        }
        if self.problems.is_empty() { Ok(self.haproxy) } else { Err(self.problems) }
    }
}

impl Settings {
    /// These, and where they say nothing the others.
    fn over(self, other: Self) -> Self {
        Self {
            mode: self.mode.or(other.mode),
            balance: self.balance.or(other.balance),
            timeout_client: other.timeout_client.or(self.timeout_client),
            timeout_server: self.timeout_server.or(other.timeout_server),
            check: self.check.or(other.check),
            maxconn: other.maxconn.or(self.maxconn),
            rise: self.rise.or(other.rise),
            fall: self.fall.or(other.fall),
            inter: self.inter.or(other.inter),
            is_checked: self.is_checked || other.is_checked,
        }
    }
}

fn setting(settings: &mut Settings, words: &[&str], place: &Place) {
    let said = |text: &str| Some((text.to_owned(), place.clone()));
    match words {
        ["mode", mode] => settings.mode = Some((*mode).to_owned()),
        ["balance", rest @ ..] => settings.balance = said(&rest.join(" ")),
        ["timeout", "client", time] => settings.timeout_client = said(time),
        ["timeout", "server", time] => settings.timeout_server = said(time),
        ["option", check @ ("ssl-hello-chk" | "httpchk" | "tcp-check"), ..] => settings.check = said(check),
        ["maxconn", number] => settings.maxconn = number.parse().ok().map(|number| (number, place.clone())),
        _ => {}
    }
}

fn params_of(settings: &mut Settings, params: &[&str], place: &Place) {
    let value = |name: &str| {
        let at = params.iter().position(|param| *param == name)?;
        params.get(at.saturating_add(1)).copied()
    };
    settings.is_checked |= params.contains(&"check");
    settings.rise = value("rise").and_then(|number| number.parse().ok()).or(settings.rise);
    settings.fall = value("fall").and_then(|number| number.parse().ok()).or(settings.fall);
    if let Some(inter) = value("inter") {
        settings.inter = Some((inter.to_owned(), place.clone()));
    }
}
