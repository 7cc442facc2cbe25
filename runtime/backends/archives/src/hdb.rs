//! TANGO's HDB++ in PostgreSQL.

use fodo_control::{Archive, Cancel, Channel, Reading, Samples, Time, Validity, Value};
use fodo_report::{Diagnostic, Kind, Result};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, Error, NoTls, Row};

/// How often it is looked whether to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// An HDB++ database: `postgres://user@host/hdb`.
pub struct Hdb {
    /// Without a password, for people.
    place: String,
    config: Config,
    runtime: Runtime,
    client: Mutex<Option<Client>>,
}

/// An attribute as the database knows it.
struct Attribute {
    id: i64,
    table: String,
}

impl Hdb {
    /// A database; it is asked when something is wanted.
    ///
    /// # Errors
    /// Kind `facility`: not an address of a database.
    pub fn new(url: &str) -> Result<Hdb> {
        let wrong = |what: String| Box::new(Diagnostic::new(Kind::Facility, what));
        let mut config: Config =
            url.parse().map_err(|error| wrong(format!("the archive's address `{url}`: {error}")))?;
        config.connect_timeout(CONNECT).application_name("fodo");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Diagnostic::new(Kind::Internal, format!("no thread to ask: {error}")))?;
        let place = url.rsplit_once('@').map_or(url, |(_, place)| place).trim_start_matches("postgres://").to_string();
        Ok(Hdb { place, config, runtime, client: Mutex::default() })
    }

    fn failed(&self, error: &Error) -> Box<Diagnostic> {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Diagnostic::new(Kind::Machine, format!("the HDB++ database at {} did not answer: {error}{cause}", self.place))
            .hint("see that it runs, and that `[archive]` in facility.toml has its address and a user that may read")
            .into()
    }

    /// Works with a connection, made anew where there is none; a stop gives it up.
    fn with<T>(&self, cancel: &Cancel, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let work = async {
            let client = match kept.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    // ends when the client is dropped; what goes wrong with it is told to who asks
                    tokio::spawn(async move { _ = connection.await });
                    client
                }
            };
            let done = work(&client).await;
            *kept = Some(client);
            done
        };
        let stop = async {
            while !cancel.is_stopped() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        let ended = self.runtime.block_on(async {
            tokio::select! {
                biased;
                done = work => Some(done),
                () = stop => None,
            }
        });
        match ended {
            None => Err(Diagnostic::new(Kind::Stopped, "stopped by the operator").into()),
            Some(done) => done.map_err(|error| self.failed(&error)),
        }
    }
}

impl Archive for Hdb {
    fn name(&self) -> String {
        format!("HDB++ database at {}", self.place)
    }

    fn samples(&self, channel: &Channel, from: Time, to: Time, cancel: &Cancel) -> Result<Option<Samples>> {
        let name = attribute_name(channel);
        let found = self.with(cancel, async |client| attributes(client, &name).await)?;
        let attribute = match found.as_slice() {
            [] => return Ok(None),
            [(_, attribute)] => attribute,
            several => {
                let names = several.iter().map(|(name, _)| name.clone());
                let message = format!("{} of {} are called {channel}", several.len(), self.name());
                return Err(Diagnostic::new(Kind::Machine, message)
                    .details(names)
                    .hint("ask by the whole name")
                    .into());
            }
        };
        let Some(query) = query(&attribute.table) else {
            let message = format!("{channel} is kept in the table {}, which cannot be read", attribute.table);
            return Err(Diagnostic::new(Kind::Machine, message).into());
        };
        let (from, to) = (system(from), system(to));
        let (unit, rows) = self.with(cancel, async |client| {
            let unit = client.query_opt(UNIT, &[&attribute.id, &to]).await?;
            Ok((unit, client.query(&query, &[&attribute.id, &from, &to]).await?))
        })?;
        let text = attribute.table.contains("devstring");
        let array = attribute.table.contains("_array_");
        let readings = rows.iter().map(|row| reading(row, text, array)).collect::<Result<_, Error>>();
        let readings = readings.map_err(|error| self.failed(&error))?;
        let unit = unit.and_then(|row| row.try_get::<_, Option<String>>(0).ok().flatten()).unwrap_or_default();
        Ok(Some(Samples { unit, readings }))
    }
}

const UNIT: &str = "select unit::text from att_parameter where att_conf_id = $1::int8 and recv_time <= $2 \
                    order by recv_time desc limit 1";

/// `tango://host:10000/A/B/C/Attribute#dbase=no` as `a/b/c/attribute`: TANGO does not tell case apart.
fn attribute_name(channel: &str) -> String {
    let plain = channel.split('#').next().unwrap_or(channel);
    match plain.strip_prefix("tango://") {
        // the host may be written in more than one way
        Some(with_host) => with_host.split_once('/').map_or(with_host, |(_, name)| name),
        None => plain,
    }
    .to_lowercase()
}

async fn attributes(client: &Client, name: &str) -> Result<Vec<(String, Attribute)>, Error> {
    let rows = client
        .query(
            "select att_name::text, att_conf_id::int8, table_name::text from att_conf \
             where lower(att_name) = $1 or right(lower(att_name), length($1) + 1) = '/' || $1",
            &[&name],
        )
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, Attribute { id: row.try_get(1)?, table: row.try_get(2)? }))).collect()
}

/// The question for the samples of a data table; none if its name is not one of a data table.
fn query(table: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !table.starts_with("att_") || !table.bytes().all(plain) {
        return None;
    }
    let many = if table.contains("_array_") { "[]" } else { "" };
    let value = match table {
        text if text.contains("devstring") => format!("value_r::text{many}"),
        truth if truth.contains("devboolean") => format!("value_r::int4{many}::float8{many}"),
        _ => format!("value_r::float8{many}"),
    };
    Some(format!(
        "select data_time, {value}, quality::int4, e.error_desc::text from {table} d \
         left join att_error_desc e on e.att_error_desc_id = d.att_error_desc_id \
         where att_conf_id = $1::int8 and data_time <= $3 and data_time >= coalesce( \
             (select max(data_time) from {table} where att_conf_id = $1::int8 and data_time <= $2), $2) \
         order by data_time"
    ))
}

fn reading(row: &Row, text: bool, array: bool) -> Result<Reading, Error> {
    let time = row.try_get::<_, SystemTime>(0)?;
    let value = match (text, array) {
        (false, false) => row.try_get::<_, Option<f64>>(1)?.map(Value::Number),
        (false, true) => row
            .try_get::<_, Option<Vec<Option<f64>>>>(1)?
            .map(|entries| Value::Vector(entries.into_iter().map(|entry| entry.unwrap_or(f64::NAN)).collect())),
        (true, false) => row.try_get::<_, Option<&str>>(1)?.map(Value::from),
        (true, true) => row
            .try_get::<_, Option<Vec<Option<&str>>>>(1)?
            .map(|texts| Value::Texts(texts.into_iter().map(|text| text.unwrap_or_default().into()).collect())),
    };
    let validity = match (row.try_get::<_, Option<&str>>(3)?, &value, row.try_get::<_, Option<i32>>(2)?) {
        (Some(error), ..) => Validity::Invalid(error.to_string()),
        (None, None, _) => Validity::Invalid("the archive has no value".into()),
        (None, Some(_), Some(0 | 3) | None) => Validity::Good,
        (None, Some(_), Some(2)) => Validity::Alarm("the archive says ATTR_ALARM".into()),
        (None, Some(_), Some(4)) => Validity::Warning("the archive says ATTR_WARNING".into()),
        (None, Some(_), Some(1)) => Validity::Invalid("the archive says ATTR_INVALID".into()),
        (None, Some(_), Some(other)) => Validity::Invalid(format!("the archive says quality {other}")),
    };
    let value = value.unwrap_or(Value::Number(f64::NAN));
    Ok(Reading { value, time: since(time), validity, shot: None })
}

fn system(time: Time) -> SystemTime {
    let span = Duration::from_nanos(time.0.unsigned_abs());
    if time.0 >= 0 { UNIX_EPOCH + span } else { UNIX_EPOCH - span }
}

fn since(time: SystemTime) -> Time {
    match time.duration_since(UNIX_EPOCH) {
        Ok(span) => Time(span.as_nanos() as i64),
        Err(before) => Time(-(before.duration().as_nanos() as i64)),
    }
}
