//! What goes wrong.

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The process is killed; its guard lives.
    Crash,
    /// The process is killed with its guard.
    CrashUnguarded,
    /// The host loses its power.
    PowerOff,
    /// A planned stop.
    Leave,
    /// The process stands still; its host's kernel does not.
    Hang,
    /// The host stands still, and its clock shows it afterwards.
    Freeze,
    /// The host stands still with its clock, and cannot know.
    Suspend,
    /// A node is cut off, both ways.
    Isolate,
    /// A node is not heard.
    Mute,
    /// A node hears nobody.
    Deafen,
    /// One node does not hear one other.
    OneWay,
    /// A node cannot serve.
    Unable,
    /// No node can serve.
    AllUnable,
    /// A node's workers do not answer.
    Wedge,
    /// A node's interface is down, and it knows.
    LinkDown,
    /// A node's kernel takes its time.
    SlowKernel,
    /// Somebody removes the addresses on a node.
    Remove,
    /// A node gets another configuration.
    Reconfigure,
    /// Somebody on the link sends adverts that must move nothing.
    Spoof,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 19] = [
        Self::Crash,
        Self::CrashUnguarded,
        Self::PowerOff,
        Self::Leave,
        Self::Hang,
        Self::Freeze,
        Self::Suspend,
        Self::Isolate,
        Self::Mute,
        Self::Deafen,
        Self::OneWay,
        Self::Unable,
        Self::AllUnable,
        Self::Wedge,
        Self::LinkDown,
        Self::SlowKernel,
        Self::Remove,
        Self::Reconfigure,
        Self::Spoof,
    ];

    /// Whether a node with it is out of sorts until it ends, so that it gets no second one.
    pub(crate) const fn occupies(self) -> bool {
        match self {
            Self::Remove | Self::Reconfigure | Self::Spoof | Self::OneWay | Self::AllUnable => false,
            Self::Crash
            | Self::CrashUnguarded
            | Self::PowerOff
            | Self::Leave
            | Self::Hang
            | Self::Freeze
            | Self::Suspend
            | Self::Isolate
            | Self::Mute
            | Self::Deafen
            | Self::Unable
            | Self::Wedge
            | Self::LinkDown
            | Self::SlowKernel => true,
        }
    }
}

/// One fault while it lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    pub(crate) node: usize,
    /// The other node of [`Kind::OneWay`].
    pub(crate) other: usize,
    /// The one it is aimed at, where it is aimed at one.
    pub(crate) vip: usize,
}
