//! Groups of two makes, judged by what they sent, by who had the address, and by what each of them counted as wrong.

use super::{among_its_own, among_others, possible, skip};
use bowline_lab::interop::{Dialect, Story, Told};
use bowline_lab::peer::{Frr, Keepalived, Subject};

/// A pair and what it goes through; the first one has the lower address.
type Tale<'a> = (Dialect, Story, [&'a dyn Subject; 2]);

/// Tells all tales at the same time, each on a segment of its own.
fn tell(tales: &[Tale<'_>]) {
    let subjects: Vec<&dyn Subject> = tales.iter().flat_map(|(.., subjects)| *subjects).collect();
    if !possible(&subjects) {
        return;
    }
    let told: Vec<Told> = std::thread::scope(|scope| {
        let told =
            tales.iter().map(|(dialect, story, subjects)| scope.spawn(|| story.tell(*dialect, *subjects)));
        let told: Vec<_> = told.collect();
        told.into_iter().map(|one| one.join().expect("a story without panic")).collect()
    });
    let mut wrong = Vec::new();
    for ((dialect, story, subjects), told) in tales.iter().zip(told) {
        let names = subjects.map(Subject::name).join(" and ");
        let what = format!("{story:?} of {names} in {}", dialect.name());
        match told {
            Told::AsItShould => println!("{what}: as it should be"),
            Told::Disturbed(error) => skip(&format!("{what}: {error:#}")),
            Told::Otherwise(error) => wrong.push(format!("{what}: {error:#}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every story of the two, in both orders.
fn all<'a>(dialect: Dialect, ours: &'a dyn Subject, theirs: &'a dyn Subject) -> Vec<Tale<'a>> {
    let both = [[ours, theirs], [theirs, ours]];
    both.into_iter().flat_map(|pair| Story::ALL.map(|story| (dialect, story, pair))).collect()
}

#[test]
fn it_agrees_with_keepalived() {
    tell(&all(Dialect::V3Fast, &among_others(), &Keepalived));
}

#[test]
fn it_agrees_with_frr_and_with_its_own_kind() {
    let (others, own) = (among_others(), among_its_own());
    let (life, equals) = (Story::Life { better: 0 }, Story::Equals { cut: 1 });
    tell(&[
        (Dialect::V3Fast, life, [&others, &Frr]),
        (Dialect::V3Fast, life, [&Frr, &others]),
        (Dialect::V3Fast, life, [&own, &own]),
        (Dialect::V3Fast, equals, [&own, &own]),
        (Dialect::V3Ipv6, life, [&others, &Keepalived]),
        (Dialect::V3Unicast, life, [&Keepalived, &others]),
    ]);
}

#[test]
fn with_virtual_macs_it_agrees_with_others_and_with_its_own_kind() {
    let (others, own) = (among_others(), among_its_own());
    let (life, equals) = (Story::Life { better: 0 }, Story::Equals { cut: 1 });
    let mut tales = all(Dialect::V3VirtualMac, &others, &Keepalived);
    tales.push((Dialect::V3VirtualMacIpv6, life, [&others, &Keepalived]));
    tales.push((Dialect::V3VirtualMac, life, [&others, &Frr]));
    tales.push((Dialect::V3VirtualMac, equals, [&Frr, &others]));
    tales.push((Dialect::V3VirtualMacUnicast, life, [&others, &Keepalived]));
    tales.push((Dialect::V3VirtualMacUnicast, life, [&Keepalived, &others]));
    tales.push((Dialect::V3VirtualMac, equals, [&own, &own]));
    tell(&tales);
}

#[test]
#[ignore = "takes minutes: intervals of a second; the shortest dialects are told in every run"]
fn it_agrees_with_keepalived_in_every_dialect() {
    for dialect in Dialect::ALL {
        tell(&all(dialect, &among_others(), &Keepalived));
    }
}

#[test]
#[ignore = "takes a minute; two of these stories are told in every run"]
fn it_agrees_with_frr_in_every_story() {
    tell(&all(Dialect::V3Fast, &among_others(), &Frr));
}
