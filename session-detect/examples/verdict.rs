//! Tells as one line of JSON what was seen of this process and which session it is.
//!
//! `verdict` prints; `verdict FILE` writes there; `verdict FILE OTHER` then stays until it could read all of the other
//! file, so that somebody can look at the process from outside.

use std::io::{Read, Write};
use std::{env, fs, io};

use serde_json::json;
use session_detect::{Facts, classify};

fn main() -> io::Result<()> {
    let facts = Facts::capture();
    let session = classify(&facts);
    let line = json!({
        "kind": session.kind,
        "link": session.link,
        "place": session.place,
        "user": session.user,
        "host": session.host,
        "leader": session.pid,
        "key": session.key,
        "mux": session.mux,
        "container": session.container,
        "agent": session.agent,
        "sandbox": session.sandbox,
        "confidence": session.confidence,
        "interactive": session.interactive,
        "remote_ip": session.connection.map(|ends| ends.remote_ip),
        "facts": facts,
    });
    let mut files = env::args_os().skip(1);
    let (file, other) = (files.next(), files.next());
    // Opened before anything is told, so that whoever reads it may end this at once.
    let other = other.map(fs::File::open).transpose()?;
    match file {
        Some(file) => {
            writeln!(fs::File::options().write(true).create(true).truncate(true).open(file)?, "{line}")?
        }
        None => writeln!(io::stdout(), "{line}")?,
    }
    if let Some(mut other) = other {
        other.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}
