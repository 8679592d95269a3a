//! How a command ends that does not succeed.

use std::process::ExitCode;

/// Why a command did not succeed, with everything that is to be said about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The command did its work, and what it found is denied or did not pass. Nothing is left to be said.
    Denied,
    /// The input or the usage is wrong; one line each.
    Input(Vec<String>),
    /// Something failed that is no fault of the input; one line each.
    RunTime(Vec<String>),
}

impl Failure {
    /// A failure at run time with one line; `error` with all its causes.
    pub fn run_time(error: &anyhow::Error) -> Self {
        Self::RunTime(vec![format!("{error:#}")])
    }

    /// What is to be printed on standard error.
    pub fn lines(&self) -> &[String] {
        match self {
            Self::Denied => &[],
            Self::Input(lines) | Self::RunTime(lines) => lines,
        }
    }

    /// The exit code scripts rely on.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Denied => 1,
            Self::Input(_) => 2,
            Self::RunTime(_) => 3,
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::run_time(&error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::RunTime(vec![format!("cannot write to standard output: {error}")])
    }
}
