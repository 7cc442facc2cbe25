//! Messages of the language server protocol over standard streams: a header with the length, then JSON.

use serde_json::Value;
use std::io::{self, BufRead, Write};

/// A longer message is none of an editor.
const LONGEST: usize = 64 << 20;

/// What came.
pub enum Incoming {
    /// A message.
    Message(Value),
    /// Something that is no JSON.
    Garbage,
    /// The other side has closed.
    End,
}

/// Reads the next message; what is between messages and no header is passed over.
pub fn read(input: &mut impl BufRead) -> io::Result<Incoming> {
    let mut length = None;
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(Incoming::End);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        match (line.is_empty(), length) {
            (true, Some(length)) => return body(input, length),
            (true, None) => {}
            (false, _) => {
                let value = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                length = value.and_then(|(_, value)| value.trim().parse().ok()).filter(|n| *n <= LONGEST).or(length);
            }
        }
    }
}

fn body(input: &mut impl BufRead, length: usize) -> io::Result<Incoming> {
    let mut bytes = vec![0; length];
    match input.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Incoming::End),
        Err(error) => return Err(error),
    }
    Ok(serde_json::from_slice(&bytes).map_or(Incoming::Garbage, Incoming::Message))
}

/// Sends a message.
pub fn send(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let text = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut input = text.as_bytes();
        let mut found = Vec::new();
        loop {
            match read(&mut input).unwrap() {
                Incoming::Message(value) => found.push(value.to_string()),
                Incoming::Garbage => found.push("garbage".into()),
                Incoming::End => return found,
            }
        }
    }

    #[test]
    fn garbage_between_messages_is_passed_over() {
        assert_eq!(all("Content-Length: 2\r\n\r\n{}Content-Type: x\r\ncontent-length: 3\r\n\r\n[1]"), ["{}", "[1]"]);
        assert_eq!(all("what?\r\n\r\nContent-Length: 2\r\n\r\n{}"), ["{}"]);
        assert_eq!(all("Content-Length: 3\r\n\r\n{]}Content-Length: 2\r\n\r\n{}"), ["garbage", "{}"]);
        assert_eq!(all("Content-Length: 99\r\n\r\n{}"), [""; 0]);
        assert_eq!(all("Content-Length: 99999999999\r\n\r\nContent-Length: 2\r\n\r\n{}"), ["{}"]);
    }

    #[test]
    fn the_length_counts_bytes() {
        let mut out = Vec::new();
        send(&mut out, &serde_json::json!("größe")).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "Content-Length: 9\r\n\r\n\"größe\"");
    }
}
