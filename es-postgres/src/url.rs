//! Reads what tokio-postgres does not know of a connection string: the parameters about TLS.

use std::path::PathBuf;

use es_runtime::{StoreError, StoreErrorKind};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;

use crate::tls::TlsSettings;

/// Reads a URL, or a list of `name=value`.
///
/// No error repeats a part of the text: where it cannot be read, a password may stand anywhere.
pub(crate) fn parse(text: &str) -> Result<(Config, TlsSettings), StoreError> {
    let mut settings = TlsSettings::default();
    let rest = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        of_url(text, &mut settings)?
    } else {
        of_pairs(text, &mut settings)?
    };
    // The source may quote the text.
    let config = rest.parse().map_err(|_| {
        rejected(
            "the URL of the database cannot be read: write it like postgres://user:password@host:5432/database?sslmode=verify-full, \
             with special characters of the password percent-encoded",
        )
    })?;
    Ok((config, settings))
}

fn of_url(url: &str, settings: &mut TlsSettings) -> Result<String, StoreError> {
    let Some((address, query)) = url.split_once('?') else {
        return Ok(url.to_owned());
    };
    let mut others = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| rejected("a parameter of the URL of the database is not UTF-8"))?;
        if !take(name, &value, settings)? {
            others.push(pair);
        }
    }
    Ok(format!("{address}?{}", others.join("&")))
}

fn of_pairs(text: &str, settings: &mut TlsSettings) -> Result<String, StoreError> {
    let mut others = String::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, behind)) = rest.split_once('=') else {
            return Err(rejected(
                "the connection string of the database is no URL, and no list of name=value",
            ));
        };
        let (value, length) = value(behind.trim_start());
        let behind = behind.trim_start();
        if !take(name.trim(), &value, settings)? {
            others.extend([name.trim(), "=", &behind[..length], " "]);
        }
        rest = behind[length..].trim_start();
    }
    Ok(others)
}

/// The value at the start of the text, and how many bytes it takes there: up to a blank, or quoted by `'`; `\` takes the next
/// character as it is.
fn value(text: &str) -> (String, usize) {
    let mut value = String::new();
    let quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            '\'' if quoted => return (value, at + 1),
            blank if !quoted && blank.is_whitespace() => return (value, at),
            other => value.push(other),
        }
    }
    (value, text.len())
}

/// Takes a parameter about TLS. Gives `false` for any other.
fn take(name: &str, value: &str, settings: &mut TlsSettings) -> Result<bool, StoreError> {
    match name {
        "sslmode" => settings.mode = Some(value.parse()?),
        "sslrootcert" => settings.root_cert = Some(PathBuf::from(value)),
        "sslcert" => settings.client_cert = Some(PathBuf::from(value)),
        "sslkey" => settings.client_key = Some(PathBuf::from(value)),
        "sslpassword" | "sslcrl" | "sslcrldir" => {
            return Err(rejected(format!(
                "`{name}` is not supported: leave it out only if the connection is as safe without it"
            )));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn rejected(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::SslMode;

    #[test]
    fn all_modes_are_read_from_urls_and_pairs() {
        for (text, mode) in [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ] {
            let url = format!("postgres://u:p%40@h/d?sslmode={text}&application_name=a&sslrootcert=%2Fa%20b.pem");
            let pairs = format!(
                "host=h user=u password='p@' dbname = d sslmode={text} application_name=a sslrootcert='/a b.pem'"
            );
            for source in [url, pairs] {
                let (config, settings) = parse(&source).unwrap();
                assert_eq!(settings.mode, Some(mode));
                assert_eq!(settings.root_cert, Some(PathBuf::from("/a b.pem")));
                assert_eq!(config.get_dbname(), Some("d"));
                assert_eq!(config.get_password(), Some(&b"p@"[..]));
                assert_eq!(config.get_application_name(), Some("a"));
            }
        }
    }

    #[test]
    fn an_error_never_shows_the_password() {
        for source in [
            "postgres://u:secret@h:port/d",
            "postgres://u:secret/@h/d?x=y",
            "host=h password=secret nonsense=1",
            "password=secret x",
            "postgres://u:secret@h/d?sslmode=verify",
        ] {
            let error = parse(source).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
