//! Asking a web server for one page over plain HTTP/1.1, in a way that can be stopped.

use fodo_control::Cancel;
use fodo_report::{Diagnostic, Kind, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How often it is looked whether to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// How long a server may stay silent.
const SILENCE: Duration = Duration::from_secs(30);

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A server and the folder of it that is asked, from `http://host:port/folder`.
#[derive(Clone, Debug)]
pub struct Server {
    host: String,
    folder: String,
}

/// What a server answered.
pub struct Answer {
    /// 200 if all is well.
    pub status: u16,
    /// The page.
    pub body: Vec<u8>,
}

impl Server {
    /// Reads an address.
    pub fn parse(url: &str) -> Result<Server> {
        let wrong = |what: &str| Diagnostic::new(Kind::Facility, format!("the archive's address `{url}` {what}"));
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            wrong("must begin with http://")
                .hint("https is not built in; an archive inside the control network has http")
        })?;
        let (host, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("names no host").hint("it looks like http://archiver:17668/retrieval").into());
        }
        let host = if host.contains(':') { host.to_string() } else { format!("{host}:80") };
        Ok(Server { host, folder: folder.trim_end_matches('/').to_string() })
    }

    /// Gets a page of the folder.
    pub fn get(&self, page: &str, cancel: &Cancel) -> Result<Answer> {
        let slash = if self.folder.is_empty() { "" } else { "/" };
        let request = format!(
            "GET {slash}{}/{page} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            self.folder, self.host
        );
        let bytes = self.exchange(request.as_bytes(), cancel)?;
        split(&bytes).ok_or_else(|| self.failed("its answer is cut off or not HTTP").into())
    }

    fn failed(&self, what: impl std::fmt::Display) -> Diagnostic {
        Diagnostic::new(Kind::Machine, format!("the archive at {} did not answer: {what}", self.host))
            .hint("see that it runs, and that `[archive]` in facility.toml has its address")
    }

    fn exchange(&self, request: &[u8], cancel: &Cancel) -> Result<Vec<u8>> {
        let mut stream = self.connect().map_err(|error| self.failed(error))?;
        let ready = stream.set_read_timeout(Some(GLANCE)).and_then(|()| stream.write_all(request));
        ready.map_err(|error| self.failed(error))?;
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 1 << 16]);
        let mut heard = Instant::now();
        loop {
            cancel.check().map_err(|_| Diagnostic::new(Kind::Stopped, "stopped by the operator"))?;
            match stream.read(&mut piece) {
                Ok(0) => return Ok(bytes),
                Ok(count) => {
                    bytes.extend_from_slice(&piece[..count]);
                    heard = Instant::now();
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if heard.elapsed() > SILENCE {
                        return Err(self.failed(format!("nothing for {} s", SILENCE.as_secs())).into());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error).into()),
            }
        }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let mut failure = std::io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in self.host.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// An answer as it came over the line; none if a part is missing.
fn split(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let (mut length, mut chunked) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse::<usize>().ok()?),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let body = match (chunked, length) {
        (true, _) => unchunked(body)?,
        (false, Some(length)) => body.get(..length)?.to_vec(),
        (false, None) => body.to_vec(),
    };
    Some(Answer { status, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(rest.len());
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

/// A text inside an address.
pub fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_are_whole_or_none() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n";
        let answer = split(chunked).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"abcde".as_slice()));
        let head = "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\n";
        assert_eq!(split(format!("{head}gone").as_bytes()).unwrap().status, 404);
        assert!(split(format!("{head}gon").as_bytes()).is_none());
        assert!((50..chunked.len() - 5).all(|end| split(&chunked[..end]).is_none()));
    }

    #[test]
    fn addresses_are_told_apart() {
        assert!(Server::parse("http://archiver:17668/retrieval").is_ok());
        let secure = Server::parse("https://archiver").unwrap_err();
        assert!(secure.hints[0].contains("https is not built in"), "{secure:?}");
        assert!(Server::parse("http:///retrieval").is_err());
        assert_eq!(escaped("SR:C1{a}.VAL"), "SR%3AC1%7Ba%7D.VAL");
    }
}
