//! keepalived.conf, as far as it moves addresses.

use super::{Place, Remark, RemarkKind};
use crate::problem::Problem;
use crate::source::excerpt;

mod blocks;

use blocks::Block;

/// What one machine's file says.
#[derive(Debug, Default)]
pub(super) struct Keepalived {
    /// What the machine calls itself.
    pub(super) router_id: Option<String>,
    pub(super) instances: Vec<Instance>,
    /// Names of groups that move together, with their members.
    pub(super) groups: Vec<(String, Vec<String>)>,
}

/// A virtual router on one machine.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) place: Place,
    /// As written, without prefix lengths, with the link that each is put on if it is named.
    pub(super) addresses: Vec<(String, Option<String>, Place)>,
    pub(super) interface: Option<String>,
    pub(super) vrid: Option<(u8, Place)>,
    pub(super) priority: Option<(u8, Place)>,
    pub(super) version: u8,
    /// Between adverts, in milliseconds.
    pub(super) interval: Option<(u64, Place)>,
    pub(super) password: Option<(String, Place)>,
    pub(super) has_preempt: bool,
    /// In seconds.
    pub(super) preempt_delay: Option<(u64, Place)>,
    pub(super) unicast_source: Option<String>,
    pub(super) unicast_peers: Vec<String>,
    pub(super) has_virtual_mac: bool,
    /// Adverts come and go by the interface itself.
    sends_from_base: Option<Place>,
}

/// Blocks of the file that do not move addresses, and ones whose words are read where they are used.
const KNOWN: [&str; 5] =
    ["global_defs", "vrrp_instance", "vrrp_sync_group", "vrrp_script", "static_ipaddress"];
/// Of an instance, what only says how loudly, or is done by bowline in its own way without loss.
const IRRELEVANT: [&str; 14] = [
    "smtp_alert",
    "notify",
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
    "notify_master_rx_lower_pri",
    "debug",
    "dont_track_primary",
    "linkbeat_use_polling",
    "skip_check_adv_addr",
    "accept",
    "promote_secondaries",
    "strict_mode",
];

/// Reads a file.
pub(super) fn read(file: &str, bytes: &[u8], remarks: &mut Vec<Remark>) -> Result<Keepalived, Vec<Problem>> {
    let lines = super::cursor::lines(file, bytes).map_err(|problem| vec![problem])?;
    let root = blocks::parse(file, &lines).map_err(|problem| vec![problem])?;
    let mut reader = Reader { remarks, problems: Vec::new(), version: 2 };
    let mut keepalived = Keepalived::default();
    for block in root.iter().filter(|block| block.is("global_defs")) {
        reader.global(block, &mut keepalived);
    }
    let scripts: Vec<&Block> =
        root.iter().filter(|block| block.is("vrrp_script") || block.is("vrrp_track_process")).collect();
    for block in &root {
        match block.keyword() {
            "vrrp_instance" => {
                let instance = reader.instance(block, &scripts);
                keepalived.instances.push(instance);
            }
            "vrrp_sync_group" => {
                let group = block.children.iter().find(|child| child.is("group"));
                let members =
                    group.iter().flat_map(|group| &group.children).flat_map(|child| child.words.clone());
                keepalived.groups.push((block.argument().to_owned(), members.collect()));
            }
            keyword if KNOWN.contains(&keyword) => {}
            keyword if keyword.starts_with(['$', '@']) || keyword.starts_with("include") => {
                let message = format!("{}: write it out for the import", excerpt(&block.words.join(" ")));
                let remedy = "give a file without variables, conditions and includes";
                reader.problems.push(block.place.problem(message, remedy));
            }
            keyword => {
                let message = format!("{} is not looked at", excerpt(keyword));
                reader.remarks.push(block.place.remark(RemarkKind::NotUnderstood, message));
            }
        }
    }
    if keepalived.instances.is_empty() && reader.problems.is_empty() {
        let remedy = "give a keepalived.conf with virtual routers; is it the right file?";
        reader.problems.push(Place::new(file, None).problem("no vrrp_instance", remedy));
    }
    if reader.problems.is_empty() { Ok(keepalived) } else { Err(reader.problems) }
}

struct Reader<'r> {
    remarks: &'r mut Vec<Remark>,
    problems: Vec<Problem>,
    /// Of VRRP, unless an instance says otherwise.
    version: u8,
}

impl Reader<'_> {
    fn global(&mut self, block: &Block, keepalived: &mut Keepalived) {
        for child in &block.children {
            match child.keyword() {
                "router_id" => keepalived.router_id = Some(child.argument().to_owned()),
                "vrrp_version" => self.version = self.version(child),
                _ => {}
            }
        }
    }

    fn version(&mut self, block: &Block) -> u8 {
        match block.argument() {
            "3" => 3,
            "2" => 2,
            other => {
                let message = format!("{} is no version of VRRP", excerpt(other));
                self.problems.push(block.place.problem(message, "write 2 or 3"));
                2
            }
        }
    }

    fn instance(&mut self, block: &Block, scripts: &[&Block]) -> Instance {
        let mut instance = Instance {
            name: block.argument().to_owned(),
            place: block.place.clone(),
            addresses: Vec::new(),
            interface: None,
            vrid: None,
            priority: None,
            version: self.version,
            interval: None,
            password: None,
            has_preempt: true,
            preempt_delay: None,
            unicast_source: None,
            unicast_peers: Vec::new(),
            has_virtual_mac: false,
            sends_from_base: None,
        };
        let mut state = "";
        for child in &block.children {
            match child.keyword() {
                "state" => state = child.argument(),
                "virtual_ipaddress" | "virtual_ipaddress_excluded" => self.addresses(child, &mut instance),
                "track_script" | "track_process" => self.tracked(child, scripts),
                "authentication" => self.authentication(child, &mut instance),
                _ => self.field(child, &mut instance),
            }
        }
        if instance.version == 3
            && let Some((_, place)) = instance.password.take()
        {
            let message = "VRRP 3 has no authentication: keepalived passes over it, and so does bowline";
            self.remarks.push(place.remark(RemarkKind::SourceDefect, message));
        }
        if let Some(place) = &instance.sends_from_base
            && instance.has_virtual_mac
            && instance.unicast_peers.is_empty()
        {
            let message = "adverts come from the virtual MAC, which a keepalived with vmac_xmit_base does not hear: remove it from \
                           those that stay beside";
            self.remarks.push(place.remark(RemarkKind::Differs, message));
        }
        if state == "MASTER" && !instance.has_preempt {
            let message =
                "nopreempt has no effect beside state MASTER: keepalived takes the address when it starts";
            self.remarks.push(instance.place.remark(RemarkKind::SourceDefect, message));
        }
        instance
    }

    fn field(&mut self, child: &Block, instance: &mut Instance) {
        let text = child.argument();
        let place = || child.place.clone();
        match child.keyword() {
            "interface" => instance.interface = Some(text.to_owned()),
            "virtual_router_id" => instance.vrid = self.number(child, 1, 255).map(|number| (number, place())),
            "priority" => instance.priority = self.number(child, 1, 255).map(|number| (number, place())),
            "version" => instance.version = self.version(child),
            "advert_int" => instance.interval = self.seconds(child).map(|interval| (interval, place())),
            "nopreempt" => instance.has_preempt = false,
            "preempt" => instance.has_preempt = true,
            "preempt_delay" => {
                let delay = self.seconds(child);
                instance.preempt_delay = delay.map(|delay| (delay.div_ceil(1_000), place()));
            }
            "unicast_src_ip" => instance.unicast_source = Some(text.to_owned()),
            "unicast_peer" => {
                let peers = child.children.iter().map(|peer| peer.keyword().to_owned());
                instance.unicast_peers = peers.collect();
            }
            "use_vmac" => {
                instance.has_virtual_mac = true;
                if !text.is_empty() {
                    let message = "the interface with the virtual MAC has the name and the address that follow from the VRID";
                    self.remarks.push(child.place.remark(RemarkKind::Differs, message));
                }
            }
            "vmac_xmit_base" => instance.sends_from_base = Some(place()),
            keyword if IRRELEVANT.contains(&keyword) => {}
            keyword if keyword.starts_with("garp_") || keyword.starts_with("vrrp_garp_") => {}
            keyword => {
                let message = format!("{} of {} is not looked at", excerpt(keyword), excerpt(&instance.name));
                self.remarks.push(child.place.remark(RemarkKind::NotUnderstood, message));
            }
        }
    }

    fn number(&mut self, child: &Block, min: u8, max: u8) -> Option<u8> {
        let number = child.argument().parse::<u8>().ok().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let message = format!("{} {} is out of range", child.keyword(), excerpt(child.argument()));
            self.problems.push(child.place.problem(message, format!("write a number from {min} to {max}")));
        }
        number
    }

    /// In milliseconds.
    fn seconds(&mut self, child: &Block) -> Option<u64> {
        let text = child.argument();
        let time = milliseconds(text);
        if time.is_none() {
            let message = format!("{} is not a number of seconds", excerpt(text));
            self.problems.push(child.place.problem(message, "write one such as 1 or 0.1"));
        }
        time
    }

    /// `10.0.0.100/24 dev eth0 label eth0:1`
    fn addresses(&mut self, block: &Block, instance: &mut Instance) {
        for child in &block.children {
            let address = child.keyword();
            if address.starts_with(['$', '@']) {
                let remedy = "write the address out; variables are not evaluated";
                self.problems
                    .push(child.place.problem(format!("{} is a variable", excerpt(address)), remedy));
                continue;
            }
            let address = address.split('/').next().unwrap_or_default().to_owned();
            let device = child.words.iter().skip_while(|word| *word != "dev").nth(1).cloned();
            instance.addresses.push((address, device, child.place.clone()));
        }
    }

    fn tracked(&mut self, block: &Block, scripts: &[&Block]) {
        for child in &block.children {
            let name = child.keyword();
            let script = scripts.iter().find(|script| script.argument() == name);
            let command = script.and_then(|script| script.children.iter().find(|child| child.is("script")));
            let message = match command {
                Some(command) => format!(
                    "{} decides who may hold the address today; here it is whether the machine reaches an API server (track: \
                     api-server)",
                    excerpt(&command.words.get(1..).unwrap_or_default().join(" "))
                ),
                None => format!("the script {} is not in the file", excerpt(name)),
            };
            let kind = if command.is_some() { RemarkKind::Differs } else { RemarkKind::NotUnderstood };
            self.remarks.push(child.place.remark(kind, message));
        }
    }

    fn authentication(&mut self, block: &Block, instance: &mut Instance) {
        for child in &block.children {
            match (child.keyword(), child.argument()) {
                ("auth_type", "PASS") => {}
                ("auth_type", other) => {
                    let message = format!("auth_type {} is not spoken by bowline", excerpt(other));
                    let remedy = "change it to PASS on all machines before they move over";
                    self.problems.push(child.place.problem(message, remedy));
                }
                // The protocol carries eight bytes, and keepalived cuts what is longer.
                ("auth_pass", pass) => {
                    let mut kept = pass;
                    while kept.len() > 8 {
                        let end = kept.char_indices().next_back().map_or(0, |(end, _)| end);
                        kept = kept.get(..end).unwrap_or_default();
                    }
                    if kept.len() < pass.len() {
                        let message = "auth_pass is cut to its first 8 bytes, as keepalived does";
                        self.remarks.push(child.place.remark(RemarkKind::SourceDefect, message));
                    }
                    instance.password = Some((kept.to_owned(), child.place.clone()));
                }
                (other, _) => {
                    let message = format!("{} is not looked at", excerpt(other));
                    self.remarks.push(child.place.remark(RemarkKind::NotUnderstood, message));
                }
            }
        }
    }
}

/// Of seconds with at most three digits behind the point.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_number(part) {
        return None;
    }
    let thousandths = part.bytes().chain(core::iter::repeat(b'0')).take(3);
    let part = thousandths.fold(0_u64, |sum, digit| sum * 10 + u64::from(digit.saturating_sub(b'0')));
    Some(u64::from(whole.parse::<u32>().ok()?) * 1_000 + part)
}

#[cfg(test)]
mod tests;
