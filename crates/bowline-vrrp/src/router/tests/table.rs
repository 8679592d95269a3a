//! Rung 1: every state, every kind of input, what it leads to and what is waited for then.

use super::*;
use std::fmt::Write as _;

type Start = fn() -> Subject;

const STATES: [(&str, Start); 9] = [
    ("Initialize", || Subject::new(settings())),
    ("Backup of a higher one", || Subject::backup(settings(), 1, 254)),
    ("Backup of one that cannot serve", || Subject::backup(settings(), 1, 126)),
    ("Backup that asks", fallen),
    ("Backup that knows", || {
        let mut subject = fallen();
        subject.step(Input::Confirmed(Inquiry::FIRST), subject.now());
        subject
    }),
    ("Active, addresses asked for", || {
        let mut subject = Subject::started(settings());
        subject.timeout();
        subject
    }),
    ("Active", || Subject::active(settings())),
    ("HandingOver", || {
        let mut subject = Subject::active(settings());
        let now = subject.now();
        subject.step(Input::Leave, now);
        subject
    }),
    ("Fault", || {
        let mut subject = Subject::backup(settings(), 1, 254);
        subject.step(Input::Fault(Fault::LinkDown), ms(0));
        subject
    }),
];

/// A Backup that was well for longer than it takes, and hears its holder fall.
fn fallen() -> Subject {
    let mut subject = Subject::backup(settings(), 1, 254);
    for at in 1..=30 {
        subject.step(heard(1, 254), ms(100 * at));
    }
    subject.step(heard(1, 126), ms(3_100));
    subject
}

fn inputs(subject: &Subject) -> Vec<(&'static str, Input)> {
    let tenure = subject.status().tenure.unwrap_or(Tenure::FIRST);
    let conflict = Conflict { address: ip(100), hardware: [2, 0, 0, 0, 0, 9], planned_peer: false };
    let config = |settings| Input::Reconfigure(Config::new(settings).unwrap().into());
    vec![
        ("Start", Input::Start),
        ("advert 254", heard(1, 254)),
        ("advert 126 (cannot serve)", heard(1, 126)),
        ("advert 250, higher address", heard(3, 250)),
        ("advert 250, lower address", heard(1, 250)),
        ("advert 246", heard(3, 246)),
        ("advert 118 (cannot serve)", heard(3, 118)),
        ("advert 0 of the holder", heard(1, 0)),
        ("advert 0 of another", heard(3, 0)),
        ("cannot serve", Input::CanServe(false)),
        ("can serve", Input::CanServe(true)),
        ("confirmed", Input::Confirmed(Inquiry::FIRST)),
        ("confirmed, another question", Input::Confirmed(Inquiry::FIRST.next())),
        ("fault", Input::Fault(Fault::LinkDown)),
        ("recovered", Input::Recovered(Fault::LinkDown)),
        ("held", Input::Held(tenure)),
        ("not held", Input::NotHeld(tenure)),
        ("lost", Input::Lost(tenure, Loss::Removed)),
        ("released", Input::Released(tenure)),
        ("stalled", Input::Stalled),
        ("conflict", Input::Conflict(conflict)),
        ("the group takes over", Input::TakeOver),
        ("Leave", Input::Leave),
        ("other priority", config(with(|s| s.priority = Priority::new(200).unwrap()))),
        ("other addresses", config(with(|s| s.addresses = Addresses::new(vec![ip(101)]).unwrap()))),
        ("timeout before its time", Input::Timeout),
    ]
}

fn describe(said: &[Said]) -> String {
    let word = |said: &Said| match said {
        Said::Advert(priority) => format!("advert {priority}"),
        Said::Acquire => "acquire".to_owned(),
        Said::Release(reason) => format!("release ({})", reason.as_str()),
        Said::Announce => "announce".to_owned(),
        Said::Inquire => "inquire".to_owned(),
        Said::Event(event) => match event {
            Event::Transition { to, reason, .. } => format!("{} ({})", to.as_str(), reason.as_str()),
            Event::PriorityChanged { to, .. } => format!("priority {to}"),
            Event::HolderChanged { holder } => {
                holder.map_or("no holder".to_owned(), |holder| format!("holder {holder}"))
            }
            Event::PeerHeard { .. } => "peer heard".to_owned(),
            Event::AddressesDiffer { .. } => "addresses differ".to_owned(),
            Event::TwoOwners { .. } => "two owners".to_owned(),
            Event::OtherActive { peer, .. } => format!("{peer} active too"),
            Event::HolderFell { holder } => format!("{holder} fell"),
            Event::Confirmed { .. } => "confirmed".to_owned(),
            Event::Held { .. } => "held".to_owned(),
            Event::NotHeld => "not held".to_owned(),
            Event::AddressLost { .. } => "address lost".to_owned(),
            Event::SuccessorHeard { .. } => "successor heard".to_owned(),
            Event::DuplicateAddress(_) => "duplicate address".to_owned(),
            Event::Stalled { .. } => "stalled".to_owned(),
            Event::ReconfigureRefused => "refused".to_owned(),
        },
    };
    said.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A line: what went in, what came out, and how long it waits then.
fn line(name: &str, subject: &Subject, said: &[Said]) -> String {
    let wait = subject
        .router
        .get()
        .poll_timeout()
        .map_or("for ever".to_owned(), |due| format!("{:?}", due.since(subject.now())));
    let outcome = if said.is_empty() { "-".to_owned() } else { describe(said) };
    format!("  {name:<28} {outcome}; waits {wait}\n")
}

#[test]
fn table() {
    let mut table = String::new();
    for (name, start) in STATES {
        writeln!(table, "{name}").unwrap();
        for (input_name, input) in inputs(&start()) {
            let mut subject = start();
            let now = subject.now() + Duration::from_millis(30);
            let said = subject.step(input, now);
            table.push_str(&line(input_name, &subject, &said));
        }
        let mut subject = start();
        if subject.router.get().poll_timeout().is_some() {
            let (_, said) = subject.timeout();
            table.push_str(&line("timeout", &subject, &said));
        }
    }
    insta::assert_snapshot!(table);
}
