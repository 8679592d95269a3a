//! A control group whose processes together get a hundredth of a CPU (cgroups(7)), of either version.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Pid;

/// A hundredth: so many microseconds...
const QUOTA: &str = "1000";
/// ... in so many.
const PERIOD: &str = "100000";
/// What its real-time threads may use of a second, in microseconds: without a share of its own a group of version 1 takes none in
/// where the kernel schedules real-time threads by groups. Several groups at a time have room in what the whole machine has.
const REAL_TIME: &str = "50000";
/// Names of groups begin with this; the process that made it follows.
const PREFIX: &str = "bowline-quota-";
/// A process that was killed is out of its group a moment later.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Where control groups of the CPU are, and which version they have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hierarchy {
    One(PathBuf),
    Two(PathBuf),
}

impl Hierarchy {
    /// By the text of `/proc/self/mountinfo` (proc(5)). The first version where both are there: then it has the controller.
    fn find(mounts: &str) -> Option<Self> {
        let mut two = None;
        for line in mounts.lines() {
            let Some((place, kind)) = line.split_once(" - ") else { continue };
            let Some(path) = place.split(' ').nth(4).map(PathBuf::from) else { continue };
            let mut kind = kind.split(' ');
            match (kind.next(), kind.nth(1)) {
                (Some("cgroup"), Some(options)) if options.split(',').any(|one| one == "cpu") => {
                    return Some(Self::One(path));
                }
                (Some("cgroup2"), _) => two = Some(Self::Two(path)),
                _ => {}
            }
        }
        two
    }

    fn root(&self) -> &Path {
        match self {
            Self::One(root) | Self::Two(root) => root,
        }
    }

    /// Files of a group, and what is written into them.
    fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::One(root) => {
                let mut settings =
                    vec![("cpu.cfs_period_us", PERIOD.into()), ("cpu.cfs_quota_us", QUOTA.into())];
                if root.join("cpu.rt_runtime_us").exists() {
                    settings.push(("cpu.rt_runtime_us", REAL_TIME.into()));
                }
                settings
            }
            Self::Two(_) => vec![("cpu.max", format!("{QUOTA} {PERIOD}"))],
        }
    }
}

/// The group. When it is dropped its processes are where they were, with all of the CPU, and the group is gone.
#[derive(Debug)]
pub(super) struct Quota {
    group: PathBuf,
    root: PathBuf,
}

impl Quota {
    /// Why there can be none here, `None` when there can.
    pub(super) fn missing() -> Option<String> {
        Self::new().err().map(|error| format!("no CPU quota can be set: {error:#}"))
    }

    /// A group without processes.
    ///
    /// # Errors
    /// Without privileges, or where the kernel's controller is not to be had.
    pub(super) fn new() -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
        let hierarchy = Hierarchy::find(&mounts).context("no control groups are mounted")?;
        let root = hierarchy.root();
        sweep(root);
        if let Hierarchy::Two(_) = hierarchy {
            // Giving a controller to the groups below is the administrator's decision.
            let passed = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
            if !passed.split_whitespace().any(|one| one == "cpu") {
                bail!("the cpu controller is not enabled for groups in {}", root.display());
            }
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let group = root.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&group).with_context(|| format!("making {}", group.display()))?;
        let quota = Self { group, root: root.to_owned() };
        for (file, value) in hierarchy.settings() {
            quota.write(file, &value)?;
        }
        Ok(quota)
    }

    /// Takes a process in, with all its threads.
    ///
    /// # Errors
    /// When it has ended, or the group takes none of its kind.
    pub(super) fn take(&self, process: Pid) -> anyhow::Result<()> {
        self.write("cgroup.procs", &process.as_raw_nonzero().to_string())
    }

    fn write(&self, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.group.join(file);
        fs::write(&path, value).with_context(|| format!("writing {value} into {}", path.display()))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        remove(&self.group, &self.root);
    }
}

/// Lets everybody out of the group and removes it; bounded, and what is left then is swept by the next one.
fn remove(group: &Path, root: &Path) {
    let deadline = Instant::now() + LEAVE_LIMIT;
    loop {
        let inside = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        for process in inside.lines() {
            // One that has ended meanwhile is out.
            drop(fs::write(root.join("cgroup.procs"), process));
        }
        if fs::remove_dir(group).is_ok() || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// Removes groups whose maker was killed before it could.
fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker).exists()) {
            remove(&entry.path(), root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_controller_is_found_wherever_it_is() {
        let one = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n\
                   35 31 0:32 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n";
        let two = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let found = |mounts: &str| Hierarchy::find(mounts);
        let first = Hierarchy::One("/sys/fs/cgroup/cpu,cpuacct".into());
        assert_eq!(found(&format!("{two}{one}")), Some(first.clone()));
        assert_eq!(found(&format!("{one}{two}")), Some(first));
        assert_eq!(found(two), Some(Hierarchy::Two("/sys/fs/cgroup/unified".into())));
        assert_eq!(found("22 1 0:20 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn a_process_is_in_its_group_and_out_of_it_and_the_group_is_gone() {
        let quota = match Quota::new() {
            Ok(quota) => quota,
            Err(error) => return println!("skipped: {error:#}"),
        };
        let mut child = Command::new("sleep").arg("600").spawn().expect("a process");
        quota.take(Pid::from_child(&child)).expect("taken in");
        let groups = || fs::read_to_string(format!("/proc/{}/cgroup", child.id())).expect("its groups");
        assert!(groups().contains(PREFIX), "{}", groups());
        let group = quota.group.clone();
        drop(quota);
        assert!(!groups().contains(PREFIX) && !group.exists(), "{}", groups());
        child.kill().expect("kill");
        child.wait().expect("its end");
    }

    #[test]
    fn a_group_whose_maker_is_gone_is_removed_by_the_next() {
        let quota = match Quota::new() {
            Ok(quota) => quota,
            Err(error) => return println!("skipped: {error:#}"),
        };
        let mut gone = Command::new("true").spawn().expect("a process");
        gone.wait().expect("its end");
        let left = quota.root.join(format!("{PREFIX}{}-0", gone.id()));
        fs::create_dir(&left).expect("a group");
        drop(Quota::new().expect("another"));
        assert!(!left.exists() && quota.group.exists());
    }
}
