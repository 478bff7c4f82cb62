//! The errors of starting a simulator and of sending a notification.

use std::{error::Error, fmt, io};

use spki::der;

/// The reason for which a simulator could not start.
#[derive(Debug)]
pub struct StartError(Start);

#[derive(Debug)]
enum Start {
    Listen(io::Error),
    Key,
    Certificate(der::Error),
}

impl StartError {
    pub(super) fn key() -> Self {
        Self(Start::Key)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self(Start::Listen(error))
    }
}

impl From<der::Error> for StartError {
    fn from(error: der::Error) -> Self {
        Self(Start::Certificate(error))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Start::Listen(_) => "can't listen on 127.0.0.1: free a port or a file descriptor",
            Start::Key => "can't make an RSA key: check the system's source of randomness",
            Start::Certificate(_) => "can't write the certificate: this is a bug, report it",
        })
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Start::Listen(error) => Some(error),
            Start::Key => None,
            Start::Certificate(error) => Some(error),
        }
    }
}

/// The reason for which a notification got no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotifyError {
    /// No State Change URL is registered: call [`notify_to`](super::Simulator::notify_to) first.
    NoReceiver,
    /// The receiver did not answer within 30 s.
    TimedOut,
    /// The receiver could not be reached, or broke off.
    Failed(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoReceiver => "no State Change URL is registered: call notify_to first",
            Self::TimedOut => "the receiver did not answer a notification within 30 s",
            Self::Failed(_) => "the receiver could not be reached: check the State Change URL",
        })
    }
}

impl Error for NotifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error.as_ref()),
            Self::NoReceiver | Self::TimedOut => None,
        }
    }
}
