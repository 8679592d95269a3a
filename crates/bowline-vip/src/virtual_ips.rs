//! The handle: starts the threads, and tells them what the daemon wants.

use crate::adverts::Adverts;
use crate::cell::{Cell, Faults};
use crate::closer::Closer;
use crate::counters::Tally;
use crate::event::{Event, Serving, Sink};
use crate::guard::{Guard, GuardCommand};
use crate::keeper::{Hands, Keeper, Kept};
use crate::lane::{Lane, Wiring};
use crate::relief;
use crate::router::{self, Router, StartError, Status};
use crate::shared::{Known, Shared, ToAdverts, ToKeeper, now};
use crate::teller::{SAID_MAX, Teller, Voice};
use crate::wiring;
use bowline_sys::capability::{self, Capability};
use bowline_sys::rtnetlink::{Interfaces, Link, Rtnetlink, VirtualMac, Watch};
use bowline_sys::sched;
use bowline_sys::sock_diag::SockDiag;
use bowline_vrrp::timers::HAND_OVER_MAX;
use bowline_vrrp::{Inquiry, VirtualRouter};
use std::fmt;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// What was said last is told in microseconds; a sink that hangs must not hold up the end.
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// How long a router may take to leave: a hand-over, and then whatever the kernel takes.
const LEAVE_WITHIN: Duration = HAND_OVER_MAX.saturating_add(Duration::from_secs(2));

/// Between two looks at whether one has left.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The virtual routers of this host, at work. Dropping them is [`VirtualIps::leave`].
pub struct VirtualIps {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    known: Mutex<Vec<Registered>>,
    threads: Option<Threads>,
    /// Whether the kernel ends connections of other processes.
    ends_connections: bool,
}

#[derive(Debug)]
struct Registered {
    known: Known,
    router: Router,
}

#[derive(Debug)]
struct Threads {
    adverts: JoinHandle<()>,
    keeper: JoinHandle<()>,
    /// Closed by the advert thread's end.
    adverts_ended: Mutex<Receiver<()>>,
    /// Closed by the teller's.
    teller_ended: Mutex<Receiver<()>>,
}

impl VirtualIps {
    /// Starts `routers`, in the network namespace of the calling thread; none of them can serve until that is said
    /// ([`VirtualIps::set_can_serve`]). Needs `CAP_NET_ADMIN` and `CAP_NET_RAW`; `CAP_SYS_NICE` and `CAP_IPC_LOCK` make it
    /// punctual.
    ///
    /// # Errors
    /// Before anything is changed: see [`StartError`].
    pub fn start(
        routers: Vec<Router>,
        serving: Arc<dyn Serving>,
        sink: Arc<dyn Sink>,
        guard: GuardCommand,
    ) -> Result<Self, StartError> {
        router::check(&routers)?;
        let missing = capability::missing(&[Capability::NetAdmin, Capability::NetRaw])
            .map_err(StartError::system("see what this process may do"))?;
        if !missing.is_empty() {
            return Err(StartError::Capabilities { missing });
        }
        // Before the first look: what changes after it is told.
        let watch = Watch::open().map_err(StartError::system("watch interfaces and addresses"))?;
        take_away_leftovers(sink.as_ref())?;
        let (rtnetlink, interfaces) = look()?;
        let prepared = prepare(&interfaces, routers)?;
        try_virtual_links(&rtnetlink, &prepared, |_| true)?;
        let (shared, retired) = Shared::new().map_err(StartError::system("make wakers"))?;
        let shared = Arc::new(shared);
        let (said, heard) = sync_channel(SAID_MAX);
        let (sock_diag, cannot_end) = match SockDiag::open_to_end() {
            Ok(sock_diag) => (Some(sock_diag), None),
            Err(error) => (None, Some(error)),
        };
        let guard = Guard::start(guard).map_err(StartError::system("start the guard"))?;
        let hands = Hands {
            rtnetlink,
            sock_diag,
            serving: Arc::clone(&serving),
            voice: Voice { said: said.clone(), shared: Arc::clone(&shared) },
        };
        let adverts = Adverts::new(Arc::clone(&shared), serving, said)
            .map_err(StartError::system("wait for adverts"))?;
        let keeper = Keeper::new(Arc::clone(&shared), hands, guard, watch)
            .map_err(StartError::system("wait for the kernel"))?;
        let teller = Teller::new(Arc::clone(&shared), heard, Arc::clone(&sink))
            .map_err(StartError::system("wait for events"))?;
        let closer = Closer::new(Arc::clone(&shared), retired)
            .map_err(StartError::system("wait for sockets to be closed"))?;
        let ends_connections = cannot_end.is_none();
        let mut this = Self { shared, sink, known: Mutex::new(Vec::new()), threads: None, ends_connections };
        if let Some(error) = cannot_end {
            this.sink.event(Event::CannotEndConnections { error: error.to_string() });
        }
        this.add_all(prepared, &interfaces);
        this.threads = Some(this.start_threads(adverts, keeper, teller, closer)?);
        Ok(this)
    }

    fn start_threads(
        &self,
        adverts: Adverts,
        keeper: Keeper,
        teller: Teller,
        closer: Closer,
    ) -> Result<Threads, StartError> {
        let (told, teller_ended) = mpsc::channel::<()>();
        let tell = move || {
            let _told = told;
            teller.run();
        };
        // Not joined: it ends when those have ended who speak, or when the sink lets it.
        drop(spawn("vip-teller", tell)?);
        // Nor is this: what it has not closed by then ends with the process.
        drop(spawn("vip-closer", move || closer.run())?);
        let shared = Arc::clone(&self.shared);
        drop(spawn("vip-relief", move || relief::run(&shared))?);
        let (ended, adverts_ended) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let keep = move || {
            // A renewal that comes too late is as bad as an advert that does; whether it was allowed the other thread says.
            let _ = sched::be_real_time();
            sched::use_stack();
            keeper.run();
        };
        let keeper = spawn("vip-keeper", keep)?;
        let run = move || {
            let _ended = ended;
            sched::use_stack();
            let asked = (sched::be_real_time(), sched::lock_memory());
            // Nobody waits for it when the start has failed.
            let _ = ready.send(asked);
            adverts.run();
        };
        let adverts = match spawn("vip-adverts", run) {
            Ok(adverts) => adverts,
            Err(error) => {
                self.shared.adverts_end();
                let _ = keeper.join();
                return Err(error);
            }
        };
        if let Ok((real_time, locked)) = is_ready.recv() {
            self.sink.event(Event::Punctuality {
                not_real_time: real_time.err().map(|error| error.to_string()),
                not_locked: locked.err().map(|error| error.to_string()),
            });
        }
        let (adverts_ended, teller_ended) = (Mutex::new(adverts_ended), Mutex::new(teller_ended));
        Ok(Threads { adverts, keeper, adverts_ended, teller_ended })
    }

    /// Whether clients of a router would be served here. A router of another name than there is is passed over.
    pub fn set_can_serve(&self, router: &str, can_serve: bool) {
        for registered in self.known().iter().filter(|registered| registered.router.name == router) {
            registered.known.cell.set_can_serve(can_serve);
        }
        self.shared.adverts_waker.wake();
    }

    /// Clients of a router would be served here, as evidence from after its question shows. One of another name than there is, or to
    /// another question than its last, is passed over.
    pub fn confirm(&self, router: &str, inquiry: Inquiry) {
        for registered in self.known().iter().filter(|registered| registered.router.name == router) {
            registered.known.cell.confirm(inquiry);
        }
        self.shared.adverts_waker.wake();
    }

    /// Makes `routers` those of this host: what is the same goes on undisturbed, what has changed goes on as it is now, Active if
    /// it was; what is gone leaves like in [`VirtualIps::leave`]. One that has another interface, family or number leaves first, which may
    /// take seconds. After another number, version, password or interval of version 2, adverts of the former kind count as well, because
    /// the other nodes change later or sooner: whoever sends them is given way to, and followed when it leaves.
    ///
    /// # Errors
    /// As [`VirtualIps::start`]; everything is as before then.
    pub fn reconfigure(&self, routers: Vec<Router>) -> Result<(), StartError> {
        router::check(&routers)?;
        let mut leaving: Vec<(Known, Router)> = Vec::new();
        let mut changed = Vec::new();
        let mut added = routers.clone();
        for registered in self.known().iter().filter(|registered| !registered.known.cell.leaves()) {
            match routers.iter().find(|router| registered.goes_on_as(router)) {
                Some(next) => {
                    added.retain(|router| router.name != next.name);
                    if next.vrrp != registered.router.vrrp {
                        let before = registered.router.vrrp.settings().addresses.clone();
                        changed.push((registered.known.clone(), before, next.clone()));
                    }
                }
                None => leaving.push((registered.known.clone(), registered.router.clone())),
            }
        }
        // Whatever can fail comes first.
        let (rtnetlink, interfaces) = look()?;
        let mut rewired = Vec::new();
        for (known, before, next) in changed {
            let link = find_link(&interfaces, &next)?;
            refuse_taken(&interfaces, &next, |address| !before.contains(address))?;
            let wiring = wiring::open(link, &next.vrrp, next.virtual_link())
                .map_err(StartError::system(opening(&next)))?;
            rewired.push((known, next, wiring));
        }
        let mut added = prepare(&interfaces, added)?;
        let at_work: Vec<_> = self.known().iter().filter_map(|known| known.router.virtual_link()).collect();
        try_virtual_links(&rtnetlink, &added, |of| !at_work.contains(&of))?;

        rewired.into_iter().for_each(|(known, next, wiring)| self.change(&known, next, wiring));
        self.introduce(&leaving, &mut added);
        let leaving: Vec<_> = leaving.into_iter().map(|(known, _)| known.cell).collect();
        leaving.iter().for_each(|cell| cell.leave());
        self.shared.adverts_waker.wake();
        // Also when nothing is added: whoever closes the listeners afterwards would close them to clients of the hand-over.
        self.wait_for(&leaving);
        self.known().retain(|registered| !registered.known.cell.is_over());
        self.add_all(added, &interfaces);
        Ok(())
    }

    /// Has routers that only change their number know each other by both.
    fn introduce(&self, leaving: &[(Known, Router)], added: &mut [Prepared]) {
        for (known, before) in leaving {
            let Some(next) = added.iter_mut().find(|next| before.is_renumbered(&next.router)) else {
                continue;
            };
            let number = |router: &Router| router.vrrp.settings().vrid.get();
            self.sink.event(Event::Renumbered {
                router: next.router.name.as_str().into(),
                before: number(before),
                vrid: number(&next.router),
            });
            next.alias = Some(Box::new(before.vrrp.clone()));
            let next = Box::new(next.router.vrrp.clone());
            self.shared.tell_adverts(ToAdverts::Renumber { id: known.id, next });
        }
    }

    fn change(&self, known: &Known, next: Router, wiring: Wiring) {
        let before = known.cell.config();
        let alias =
            (!router::understand_each_other(&before, &next.vrrp)).then(|| Box::new((*before).clone()));
        if alias.is_some() {
            self.sink.event(Event::SpeaksAnew { router: Arc::clone(&known.cell.name) });
        }
        known.cell.set_config(next.vrrp.clone());
        let config = Box::new(next.vrrp.clone());
        let wiring = Box::new(wiring);
        self.shared.tell_adverts(ToAdverts::Reconfigure { id: known.id, config, alias, wiring });
        self.shared.tell_keeper(ToKeeper::Reconfigured { id: known.id });
        let mut all = self.known();
        if let Some(registered) = all.iter_mut().find(|registered| registered.known.id == known.id) {
            registered.router = next;
        }
    }

    /// Until they are over, or for long enough.
    fn wait_for(&self, leaving: &[Arc<Cell>]) {
        let start = std::time::Instant::now();
        while !leaving.iter().all(|cell| cell.is_over()) && start.elapsed() < LEAVE_WITHIN {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// How each router stands, in the order in which they were given.
    pub fn status(&self) -> Vec<Status> {
        let present = |registered: &&Registered| !registered.known.cell.is_over();
        let status = |registered: &Registered| {
            let settings = registered.router.vrrp.settings();
            Status {
                name: Arc::clone(&registered.known.cell.name),
                interface: registered.router.interface.clone(),
                addresses: settings.addresses.as_slice().to_vec(),
                source: settings.source,
                vrrp: registered.known.cell.status(),
                ends_connections: self.ends_connections,
            }
        };
        self.known().iter().filter(present).map(status).collect()
    }

    /// What each router has counted.
    pub fn counters(&self) -> Vec<(Arc<str>, Tally)> {
        let tally = |registered: &Registered| {
            let cell = &registered.known.cell;
            (Arc::clone(&cell.name), cell.counters.read())
        };
        self.known().iter().map(tally).collect()
    }

    /// Hands everything over and ends: addresses are served until a successor is heard, two seconds at most.
    pub fn leave(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(threads) = self.threads.take() else {
            // Where the start has failed nobody is left who speaks to the teller, and it has to look.
            self.shared.adverts_end();
            self.shared.all_end();
            return self.shared.teller_waker.wake();
        };
        self.known().iter().for_each(|registered| registered.known.cell.leave());
        self.shared.end();
        // Nothing is ever sent: the other end is dropped.
        let adverts_ended = threads.adverts_ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        if adverts_ended.recv_timeout(LEAVE_WITHIN) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.shared.abandon();
        }
        // A thread that has panicked has nothing left to end.
        let _ = threads.adverts.join();
        self.shared.adverts_end();
        let _ = threads.keeper.join();
        self.shared.all_end();
        self.shared.teller_waker.wake();
        let teller_ended = threads.teller_ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        let _ = teller_ended.recv_timeout(TELL_WITHIN);
    }

    fn add_all(&self, added: Vec<Prepared>, interfaces: &Interfaces) {
        for Prepared { router, link, wiring, alias } in added {
            let name: Arc<str> = router.name.as_str().into();
            for &address in router.vrrp.settings().addresses.as_slice() {
                if interfaces.having(address).next().is_some() {
                    self.sink.event(Event::Leftover { router: Arc::clone(&name), address });
                }
            }
            let known = self.register(name, router, &link, interfaces);
            let former = alias.as_ref().map(|alias| alias.settings().vrid);
            let kept = Box::new(Kept::new(known.clone(), &link, former));
            self.shared.tell_keeper(ToKeeper::Add(kept));
            let config = (*known.cell.config()).clone();
            let lane = Box::new(Lane::new(known, config, alias, wiring, now()));
            self.shared.tell_adverts(ToAdverts::Add(lane));
        }
    }

    fn register(&self, name: Arc<str>, router: Router, link: &Link, interfaces: &Interfaces) -> Known {
        let settings = router.vrrp.settings();
        let has_source = interfaces.can_send_from(link.index, settings.source);
        let faults = Faults::default()
            .with(bowline_vrrp::Fault::LinkDown, !(link.up && link.running))
            .with(bowline_vrrp::Fault::NoSource, !has_source);
        let status = VirtualRouter::new(router.vrrp.clone(), now()).status();
        let group = router.group.as_deref().map(Arc::from);
        let cell = Cell::new(name, group, router.virtual_link(), router.vrrp.clone(), link.index, status);
        cell.set_faults(faults);
        let mut all = self.known();
        let id = all.iter().map(|registered| registered.known.id + 1).max().unwrap_or(0);
        let known = Known { id, cell: Arc::new(cell) };
        all.push(Registered { known: known.clone(), router });
        known
    }

    fn known(&self) -> MutexGuard<'_, Vec<Registered>> {
        // Whole entries come and go: no panic leaves one half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// Whether the machine can go on as `router`.
    fn goes_on_as(&self, router: &Router) -> bool {
        self.router.name == router.name
            && self.router.interface == router.interface
            && self.router.group == router.group
            && self.router.virtual_mac == router.virtual_mac
            && self.router.vrrp.can_become(&router.vrrp)
    }
}

impl fmt::Debug for VirtualIps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}

impl Drop for VirtualIps {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(StartError::system(format!("start the thread {name}")))
}

/// What this host has, and whom to ask about it.
fn look() -> Result<(Rtnetlink, Interfaces), StartError> {
    let rtnetlink = Rtnetlink::open().map_err(StartError::system("open a netlink socket"))?;
    let interfaces = rtnetlink.interfaces().map_err(StartError::system("list interfaces and addresses"))?;
    Ok((rtnetlink, interfaces))
}

fn opening(router: &Router) -> String {
    format!("open the sockets of {} on {}", router.name, router.interface)
}

fn find_link<'a>(interfaces: &'a Interfaces, router: &Router) -> Result<&'a Link, StartError> {
    interfaces.by_name(&router.interface).ok_or_else(|| StartError::NoInterface {
        name: router.name.clone(),
        interface: router.interface.clone(),
    })
}

/// A router with everything that can fail behind it.
struct Prepared {
    router: Router,
    link: Link,
    wiring: Wiring,
    /// What it was under another number.
    alias: Option<Box<bowline_vrrp::Config>>,
}

/// Links that killed processes of ours have left; a new one would only find those of its own routers.
fn take_away_leftovers(sink: &dyn Sink) -> Result<(), StartError> {
    let what = "remove the interfaces that a killed process has left";
    let remove = |rtnetlink: Rtnetlink| rtnetlink.remove_stale_virtual_links();
    let leftovers = Rtnetlink::open().and_then(remove).map_err(StartError::system(what))?;
    leftovers.iter().for_each(|of| sink.event(Event::VirtualLinkLeftover { link: of.link_name() }));
    Ok(())
}

/// Whether the links that routers will have while they are Active can be had; those of routers that are at work are left alone.
fn try_virtual_links(
    rtnetlink: &Rtnetlink,
    prepared: &[Prepared],
    is_new: impl Fn(VirtualMac) -> bool,
) -> Result<(), StartError> {
    for Prepared { router, link, .. } in prepared {
        let Some(of) = router.virtual_link().filter(|of| is_new(*of)) else { continue };
        rtnetlink.try_virtual_link(link.index, of).map_err(|source| StartError::VirtualLink {
            name: router.name.clone(),
            interface: link.name.clone(),
            source,
        })?;
    }
    Ok(())
}

/// All or none.
fn prepare(interfaces: &Interfaces, routers: Vec<Router>) -> Result<Vec<Prepared>, StartError> {
    let prepare = |router: Router| {
        let link = find_link(interfaces, &router)?.clone();
        refuse_taken(interfaces, &router, |_| true)?;
        let wiring = wiring::open(&link, &router.vrrp, router.virtual_link())
            .map_err(StartError::system(opening(&router)))?;
        Ok(Prepared { router, link, wiring, alias: None })
    };
    routers.into_iter().map(prepare).collect()
}

/// Refuses addresses that the host has by somebody else's doing, among those that are `new`.
fn refuse_taken(
    interfaces: &Interfaces,
    router: &Router,
    new: impl Fn(IpAddr) -> bool,
) -> Result<(), StartError> {
    for &address in router.vrrp.settings().addresses.as_slice().iter().filter(|address| new(**address)) {
        if let Some(found) = interfaces.having(address).find(|found| !found.is_ours()) {
            let link = interfaces.by_index(found.interface);
            return Err(StartError::Taken {
                name: router.name.clone(),
                address,
                interface: link.map_or_else(|| found.interface.to_string(), |link| link.name.clone()),
            });
        }
    }
    Ok(())
}
