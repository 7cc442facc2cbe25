//! From the name of a channel to a device and something of it.

use std::sync::Arc;

/// Where a channel is found: `dev/ice/1/current` and its kin.
///
/// | written | is |
/// |---|---|
/// | `dev/ice/1/current` | an attribute of a device, by the database of `TANGO_HOST` |
/// | `tango://host:10000/dev/ice/1/current` | by another database |
/// | `tango://host:11000/dev/ice/1/current#dbase=no` | of a device server at that port, without database |
/// | `dev/ice/1/Reset()` | a command |
/// | `dev/ice/1/properties/size` | a property of the device |
///
/// A name of another form, such as `A:B:C`, is one that [`crate::TangoOutlet`] serves under another: the
/// last part is the attribute, the one before it the member, all before that the family, joined by `_`,
/// and the domain is `fodo`: `fodo/A/B/C`. What is missing is called `channel`. Characters that TANGO
/// keeps for itself become `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The device, as libtango takes it.
    pub device: Arc<str>,
    /// What of it.
    pub what: What,
}

/// What of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An attribute.
    Attribute(String),
    /// A command, without its parentheses.
    Command(String),
    /// A property.
    Property(String),
}

impl Address {
    /// Reads the name of a channel; `home` is the database of names without host, `host:port`, or with
    /// `#dbase=no` behind it a device server; none leaves it to `TANGO_HOST`.
    ///
    /// # Errors
    /// A text that says what is wrong with the name.
    pub fn parse(channel: &str, home: Option<&str>) -> Result<Address, String> {
        let (path, host) = match channel.strip_prefix("tango://") {
            None => (channel, home.map(split_flag)),
            Some(rest) => {
                let (rest, flag) = split_flag(rest);
                let (host, path) = rest.split_once('/').ok_or_else(|| wrong(channel))?;
                (path, Some((host, flag)))
            }
        };
        let (path, flag) = split_flag(path);
        let owned;
        let path = if path.contains('/') {
            path
        } else {
            owned = served_path(path);
            &owned
        };
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(wrong(channel));
        }
        let (device, what) = match parts[..] {
            [a, b, c, last] => (format!("{a}/{b}/{c}"), command_or_attribute(last)),
            [a, b, c, "properties", name] => (format!("{a}/{b}/{c}"), What::Property(name.into())),
            _ => return Err(wrong(channel)),
        };
        let device = match host {
            Some((host, home_flag)) => {
                let flag = if flag.is_empty() { home_flag } else { flag };
                format!("tango://{host}/{device}{flag}")
            }
            None => format!("{device}{flag}"),
        };
        Ok(Address { device: device.into(), what })
    }

    /// Device and attribute under which a plant's channel is served, without host.
    ///
    /// # Errors
    /// A text that says what is wrong with the name.
    pub fn served(channel: &str) -> Result<(String, String), String> {
        let plain = match channel.strip_prefix("tango://") {
            Some(rest) => rest.split_once('/').ok_or_else(|| wrong(channel))?.1,
            None => channel,
        };
        match Address::parse(split_flag(plain).0, None)? {
            Address { device, what: What::Attribute(attribute) } => Ok((device.to_string(), attribute)),
            _ => Err(format!("`{channel}` is not the name of an attribute")),
        }
    }
}

fn wrong(channel: &str) -> String {
    format!("`{channel}` is not a TANGO name; write it as domain/family/member/attribute")
}

/// A name and what follows it from `#` on.
fn split_flag(name: &str) -> (&str, &str) {
    name.split_at(name.find('#').unwrap_or(name.len()))
}

fn command_or_attribute(last: &str) -> What {
    match last.strip_suffix("()") {
        Some(command) => What::Command(command.into()),
        None => What::Attribute(last.into()),
    }
}

/// `A:B:C` as `fodo/A/B/C`.
fn served_path(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_-.()".contains(c) { c } else { '_' };
    let clean = |part: &str| part.chars().map(allowed).collect::<String>();
    let mut parts: Vec<String> = name.split(':').map(clean).collect();
    let attribute = parts.pop().unwrap_or_default();
    let member = parts.pop().unwrap_or_else(|| "channel".into());
    let family = if parts.is_empty() { "channel".into() } else { parts.join("_") };
    format!("fodo/{family}/{member}/{attribute}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(channel: &str, home: Option<&str>) -> (String, What) {
        let address = Address::parse(channel, home).unwrap_or_else(|why| panic!("{why}"));
        (address.device.to_string(), address.what)
    }

    fn attribute(name: &str) -> What {
        What::Attribute(name.into())
    }

    #[test]
    fn names_with_and_without_host_and_database() {
        assert_eq!(parsed("a/b/c/d", None), ("a/b/c".into(), attribute("d")));
        assert_eq!(parsed("a/b/c/d", Some("h:1")), ("tango://h:1/a/b/c".into(), attribute("d")));
        let alone = "tango://h:1/a/b/c#dbase=no".to_string();
        assert_eq!(parsed("a/b/c/d", Some("h:1#dbase=no")), (alone.clone(), attribute("d")));
        assert_eq!(parsed("tango://h:1/a/b/c/d#dbase=no", None), (alone.clone(), attribute("d")));
        assert_eq!(parsed("tango://h:1/a/b/c/d#dbase=no", Some("i:2#dbase=no")), (alone, attribute("d")));
        assert_eq!(parsed("tango://h:1/a/b/c/d", None), ("tango://h:1/a/b/c".into(), attribute("d")));
    }

    #[test]
    fn commands_and_properties() {
        assert_eq!(parsed("a/b/c/On()", None).1, What::Command("On".into()));
        assert_eq!(parsed("a/b/c/properties/size", None), ("a/b/c".into(), What::Property("size".into())));
    }

    #[test]
    fn names_of_other_systems() {
        let home = Some("h:1#dbase=no");
        let address = ("tango://h:1/fodo/HCOR_001/Cm#dbase=no".into(), attribute("set"));
        assert_eq!(parsed("HCOR_001:Cm:set", home), address);
        assert_eq!(parsed("TUNE", None), ("fodo/channel/channel".into(), attribute("TUNE")));
        assert_eq!(parsed("A:B", None), ("fodo/channel/A".into(), attribute("B")));
        assert_eq!(parsed("A:B:C:D{x}", None), ("fodo/A_B/C".into(), attribute("D_x_")));
        assert_eq!(Address::served("A:B:C"), Ok(("fodo/A/B".into(), "C".into())));
        assert_eq!(Address::served("tango://h:1/a/b/c/d#dbase=no"), Ok(("a/b/c".into(), "d".into())));
    }

    #[test]
    fn wrong_names() {
        for name in ["a/b/c", "a/b/c/d/e", "a//c/d", "tango://h:1", "tango://h:1/a/b"] {
            assert!(Address::parse(name, None).is_err_and(|why| why.contains(name)), "{name}");
        }
        assert!(Address::served("a/b/c/On()").is_err());
    }
}
