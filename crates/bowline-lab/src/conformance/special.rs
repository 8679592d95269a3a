//! Interval 0, passwords, unicast, noise.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::stand::{GRACE, Side};
use super::{Check, HIGHER, Stand, Variant, Verdict, always};
use crate::wire::{Content, Forge, Mark, Sum};

pub(super) const CHECKS: &[Check] = &[
    Check {
        number: 45,
        name: "interval_0_does_not_trigger_a_takeover",
        applies: |variant| !variant.is_v2(),
        run: interval_0_does_not_trigger_a_takeover,
    },
    Check { number: 46, name: "v2_password_is_sent", applies: Variant::is_v2, run: password_is_sent },
    Check { number: 46, name: "v2_password_is_demanded", applies: Variant::is_v2, run: password_is_demanded },
    Check { number: 47, name: "unicast_goes_to_the_peers", applies: always, run: unicast_goes_to_the_peers },
    Check { number: 47, name: "unicast_backup_stays_quiet", applies: always, run: unicast_backup },
    Check { number: 47, name: "multicast_when_unicast", applies: always, run: multicast_when_unicast },
    Check {
        number: 48,
        name: "survives_10000_random_packets",
        applies: always,
        run: survives_random_packets,
    },
];

const PASSWORD: &str = "sesame";

fn interval_0_does_not_trigger_a_takeover(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let mark = stand.tap().mark();
    let mut zero = stand.better();
    zero.interval = 0;
    stand.send(&zero)?;
    std::thread::sleep(stand.setup.interval);
    // What was believed would be forgotten with the next right advert; what was done would show.
    stand.lead(&stand.better(), stand.setup.interval, 3)?;
    let sent = stand.adverts(mark).len();
    Ok(Verdict::of(sent == 0, format!("{sent} adverts after it")))
}

fn password_is_sent(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.setup.password = Some(PASSWORD.to_owned());
    stand.start()?;
    let advert = stand.wait_active(Mark::default())?.frame.advert().context("no advert")?;
    let mut padded = PASSWORD.as_bytes().to_vec();
    padded.resize(8, 0);
    let right = advert.fifth_byte == 1 && advert.authentication == padded;
    Ok(Verdict::of(right, format!("type {}, {:?}", advert.fifth_byte, advert.authentication)))
}

fn password_is_demanded(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.setup.password = Some(PASSWORD.to_owned());
    // `backup` fails unless adverts with the right one are accepted.
    let last = stand.backup()?;
    let mark = stand.tap().mark();
    let wrong = stand.better().with_password("simsim");
    std::thread::sleep(stand.setup.interval / 2);
    stand.lead(&wrong, stand.setup.interval, stand.adverts_in(stand.down_interval()))?;
    Ok(stand.takeover(mark, last + stand.setup.down_interval(stand.setup.interval)))
}

/// A subject that is told of one peer: the host with the higher address.
fn unicast(stand: &mut Stand<'_>) -> anyhow::Result<()> {
    stand.setup.unicast = vec![stand.planned_address(Side::High)];
    Ok(())
}

fn unicast_goes_to_the_peers(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    unicast(stand)?;
    stand.start()?;
    let captured = stand.wait_active(Mark::default())?;
    let Content::Vrrp(packet) = &captured.frame.content else { unreachable!("an advert is VRRP") };
    let peer = stand.sender(Side::High);
    let right =
        packet.destination == peer.reached(stand.setup.is_v6()) && captured.frame.destination == peer.mac();
    Ok(Verdict::of(right, format!("to {} with TTL {}", packet.destination, packet.hop_limit)))
}

fn unicast_backup(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    unicast(stand)?;
    stand.backup()?;
    let mark = stand.tap().mark();
    stand.lead(&stand.better(), stand.setup.interval, stand.adverts_in(stand.down_interval() * 2))?;
    let sent = stand.adverts(mark).len();
    Ok(Verdict::of(sent == 0 && !stand.has_any(), format!("{sent} adverts under a unicast router")))
}

fn multicast_when_unicast(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    unicast(stand)?;
    stand.backup()?;
    let mark = stand.tap().mark();
    let host = stand.sender(Side::High);
    let source = host.source(stand.setup.is_v6());
    let mut forge =
        Forge::new(stand.setup.version, stand.setup.vrid, HIGHER, source, host.mac(), &stand.setup.addresses);
    forge.interval = stand.setup.interval_field();
    let adverts = stand.adverts_in(stand.down_interval() + stand.setup.interval * 2);
    std::thread::sleep(stand.setup.interval);
    stand.lead(&forge, stand.setup.interval, adverts)?;
    let accepted = stand.adverts(mark).is_empty();
    Ok(Verdict::Reported(if accepted { "accepted" } else { "ignored" }.to_owned()))
}

fn survives_random_packets(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    const PACKETS: usize = 10_000;
    /// Poured at once: few enough that none waits for long, for what waits behind them is what holds it in Backup.
    const VOLLEY: usize = 100;
    const PAUSE: Duration = Duration::from_millis(10);
    stand.backup()?;
    let mark = stand.tap().mark();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..PACKETS / VOLLEY {
        for _ in 0..VOLLEY {
            stand.pour(&noise.packet(&stand.better()))?;
        }
        stand.send(&stand.better())?;
        std::thread::sleep(PAUSE);
    }
    // A busy machine may have let it wait too long for one among the adverts that held it; these bring it back.
    let during = stand.adverts(mark).len();
    stand.lead(&stand.better(), stand.setup.interval, 3)?;
    let mark = stand.tap().mark();
    stand.lead(&stand.better(), stand.setup.interval, stand.adverts_in(stand.down_interval()))?;
    let (alive, sent) = (stand.running().alive(), stand.adverts(mark).len());
    if !alive || sent > 0 {
        return Ok(Verdict::Failed(format!(
            "alive: {alive}, {sent} adverts under a better router afterwards"
        )));
    }
    // Still at work: it takes over from a router that dies now.
    let mark = stand.tap().mark();
    let last = stand.send(&stand.better())?;
    let due = last + stand.setup.down_interval(stand.setup.interval);
    let deadline: Instant = due + stand.patience() + GRACE;
    let late = stand.advert_until(mark, deadline).map(|first| first.at.saturating_duration_since(due));
    Ok(Verdict::of(late.is_some(), format!("{during} adverts meanwhile; in Backup; took over {late:?} late")))
}

/// Numbers without meaning, the same in each run (xorshift, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A packet whose body is noise after the first byte, of any length up to 63 bytes; its checksum is right in one of 65,536.
    fn packet(&mut self, model: &Forge) -> Vec<u8> {
        let mut forge = model.clone();
        forge.addresses.clear();
        forge.keep = Some(usize::try_from(self.next() % 64).unwrap_or_default());
        forge.tail = (0..64).map(|_| u8::try_from(self.next() & 0xff).unwrap_or_default()).collect();
        let [kind, vrid, priority, count, fifth, ..] = self.next().to_be_bytes();
        (forge.vrid, forge.priority, forge.count, forge.fifth_byte) =
            (vrid, priority, Some(count), fifth & 0x0f);
        (forge.version, forge.kind) = (kind >> 4, kind & 0x0f);
        let sum = u16::try_from(self.next() & 0xffff).unwrap_or_default();
        forge.sum = Some(Sum::Value(sum));
        forge.frame()
    }
}
