//! Which local port is free?

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// A port of 127.0.0.1 that nothing listened on a moment ago.
///
/// Another process may take it before the caller does: whoever starts a server on it must be ready to see it fail.
pub fn free() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no local port is free")?;
    Ok(listener.local_addr().context("the port just opened has no address")?.port())
}
