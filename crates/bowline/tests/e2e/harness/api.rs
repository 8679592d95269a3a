//! Stand-in API servers as processes of their own: they can be killed, frozen and told to misbehave.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use bowline_lab::certs::{Authority, Validity};

use super::{PATIENCE, Scratch, free_port, loopback, signal, wait_for};

/// Times another port is tried when somebody took the one that was free.
const PORTS_TRIED: usize = 10;

/// One stand-in, on an address of its own.
pub(crate) struct Api {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    files: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Some stand-ins with one port and one certificate authority, as the API servers of a cluster have.
pub(crate) struct Fleet {
    pub(crate) apis: Vec<Api>,
    pub(crate) port: u16,
    pub(crate) authority: Authority,
    /// The authority's certificate.
    pub(crate) ca_file: PathBuf,
}

impl Fleet {
    /// `count` servers, named cp1, cp2, ..., on loopback addresses.
    pub(crate) fn start(scratch: &Scratch, count: u8) -> Fleet {
        Fleet::start_with(scratch, count, Validity::Current)
    }

    /// The same with certificates of this validity.
    pub(crate) fn start_with(scratch: &Scratch, count: u8, validity: Validity) -> Fleet {
        let addresses: Vec<IpAddr> = (1..=count).map(|last| loopback(1, last)).collect();
        for _ in 0..PORTS_TRIED {
            let mut fleet = Fleet::stopped(scratch, &addresses, free_port(&addresses), validity);
            if fleet.apis.iter_mut().all(Api::try_start) {
                return fleet;
            }
        }
        panic!("no port for the stand-ins after {PORTS_TRIED} trials");
    }

    /// Servers that are still to be started, on these addresses.
    pub(crate) fn stopped(scratch: &Scratch, addresses: &[IpAddr], port: u16, validity: Validity) -> Fleet {
        let authority = Authority::new("test").expect("make a certificate authority");
        let ca_file = scratch.file("ca.crt", &authority.pem());
        let api = |(index, address): (usize, &IpAddr)| {
            let name = format!("cp{}", index + 1);
            let names = ["kubernetes", "localhost", &name];
            let identity =
                authority.server(&name, &[*address], &names, validity).expect("make a certificate");
            scratch.file(&format!("{name}.crt"), &identity.certificate);
            scratch.file(&format!("{name}.key"), &identity.key);
            Api {
                name,
                address: SocketAddr::new(*address, port),
                files: scratch.path().to_owned(),
                running: None,
            }
        };
        let apis = addresses.iter().enumerate().map(api).collect();
        Fleet { apis, port, authority, ca_file }
    }

    /// The server of that name.
    pub(crate) fn named(&mut self, name: &str) -> &mut Api {
        self.apis.iter_mut().find(|api| api.name == name).unwrap_or_else(|| panic!("a server named {name}"))
    }
}

impl Api {
    /// Starts it (again) on its address.
    pub(crate) fn start(&mut self) {
        wait_for(&format!("{} on its address", self.name), PATIENCE, || self.try_start().then_some(()));
    }

    /// False when its address is taken.
    fn try_start(&mut self) -> bool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
        command.args([
            "stand-in",
            "--name",
            &self.name,
            "--listen",
            &self.address.to_string(),
            "--certificate",
        ]);
        command.arg(self.files.join(format!("{}.crt", self.name)));
        command.arg("--key").arg(self.files.join(format!("{}.key", self.name)));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start a stand-in");
        let stdout = child.stdout.take().expect("the standard output of a stand-in");
        let mut running = Running { child, lines: BufReader::new(stdout).lines() };
        let started = matches!(running.lines.next(), Some(Ok(line)) if line.starts_with("listening "));
        self.running = started.then_some(running);
        started
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).child.id()
    }

    /// Tells it to behave otherwise (`bowline_lab::standin::Command` has the words) and waits until it does.
    pub(crate) fn tell(&mut self, word: &str) {
        let running = self.running.as_mut().unwrap_or_else(|| panic!("{} does not run", self.name));
        let stdin = running.child.stdin.as_mut().expect("the standard input of a stand-in");
        writeln!(stdin, "{word}").unwrap_or_else(|error| panic!("tell {} {word}: {error}", self.name));
        let answer = running.lines.next().unwrap_or_else(|| panic!("{} ended at {word}", self.name));
        assert_eq!(answer.expect("read a stand-in's answer"), format!("done {word}"));
    }

    /// As when its machine loses power, but for its kernel, which still answers.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Its kernel goes on accepting, the server does nothing.
    pub(crate) fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// Ends [`Api::freeze`].
    pub(crate) fn thaw(&self) {
        signal(self.pid(), "CONT");
    }
}
