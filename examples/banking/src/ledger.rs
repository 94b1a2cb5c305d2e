use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use es_runtime::{ParseTimestampError, Timestamp};

use crate::account::Open;
use crate::entry::Entry;
use crate::{Cents, ParseAccountNumberError, ParseCentsError};

const COLUMNS: [&str; 7] = ["reference", "time", "kind", "account", "to", "amount", "owner"];

/// A CSV file of requests to the bank, read line by line.
pub(crate) struct Ledger {
    name: String,
    bytes: u64,
    csv: csv::Reader<Box<dyn Read + Send>>,
    record: StringRecord,
    last_reference: String,
}

/// A line of a ledger.
#[derive(Debug)]
pub(crate) enum Row {
    Line(Line),
    Malformed(Malformed),
}

/// A line that can be read.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from 1, the header.
    pub(crate) number: u64,
    pub(crate) reference: String,
    pub(crate) time: Timestamp,
    pub(crate) entry: Entry,
}

/// A line that cannot be read.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Counted from 1, the header.
    pub(crate) number: u64,
    pub(crate) why: Flaw,
}

/// A mistake in a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it has {found} fields instead of {}", COLUMNS.len())]
    FieldCount { found: u64 },
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` must be empty for this kind")]
    NotEmpty(&'static str),
    #[error("`{0}` is not a kind: it is open, deposit, withdraw or transfer")]
    Kind(String),
    #[error("reference `{reference}` does not come after `{last}`: references must rise, so that each is used once")]
    Reference { reference: String, last: String },
    #[error(transparent)]
    Time(#[from] ParseTimestampError),
    #[error(transparent)]
    Account(#[from] ParseAccountNumberError),
    #[error(transparent)]
    Amount(#[from] ParseCentsError),
}

/// Why a ledger cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("cannot open `{}`: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read `{name}`: {source}")]
    Read { name: String, source: csv::Error },
    #[error("`{name}` is not a ledger: its first line is `{found}` instead of `{}`", COLUMNS.join(","))]
    Header { name: String, found: String },
}

impl Ledger {
    /// The ledger that comes with the program.
    pub(crate) fn shipped() -> Result<Self, LedgerError> {
        let text = include_str!("../data/ledger.csv");
        Self::new("ledger.csv".to_owned(), text.len() as u64, Box::new(text.as_bytes()))
    }

    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let refuse = |source| LedgerError::Open {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(refuse)?;
        let bytes = file.metadata().map_err(refuse)?.len();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::new(name.into_owned(), bytes, Box::new(file))
    }

    fn new(name: String, bytes: u64, input: Box<dyn Read + Send>) -> Result<Self, LedgerError> {
        let mut csv = csv::Reader::from_reader(input);
        let header = match csv.headers() {
            Ok(header) => header.iter().collect::<Vec<_>>().join(","),
            Err(source) => return Err(LedgerError::Read { name, source }),
        };
        if header != COLUMNS.join(",") {
            return Err(LedgerError::Header { name, found: header });
        }
        Ok(Self {
            name,
            bytes,
            csv,
            record: StringRecord::new(),
            last_reference: String::new(),
        })
    }

    /// Returns its name: that of its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of bytes read.
    pub(crate) fn read(&self) -> u64 {
        self.csv.position().byte()
    }

    /// The next line, `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Row>, LedgerError> {
        let number = self.csv.position().line();
        let why = match self.csv.read_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) => match self.line() {
                Ok(line) => return Ok(Some(Row::Line(line))),
                Err(why) => why,
            },
            Err(error) => match error.kind() {
                csv::ErrorKind::UnequalLengths { len, .. } => Flaw::FieldCount { found: *len },
                csv::ErrorKind::Utf8 { .. } => Flaw::NotText,
                _ => {
                    return Err(LedgerError::Read {
                        name: self.name.clone(),
                        source: error,
                    });
                }
            },
        };
        let number = self.record.position().map_or(number, csv::Position::line);
        Ok(Some(Row::Malformed(Malformed { number, why })))
    }

    fn line(&mut self) -> Result<Line, Flaw> {
        let fields = Fields(&self.record);
        let reference = fields.required(0)?.to_owned();
        let time = fields.required(1)?.parse()?;
        let entry = fields.entry()?;
        if reference <= self.last_reference {
            let last = self.last_reference.clone();
            return Err(Flaw::Reference { reference, last });
        }
        self.last_reference.clone_from(&reference);
        Ok(Line {
            number: self.record.position().map_or(0, csv::Position::line),
            reference,
            time,
            entry,
        })
    }
}

/// The fields of a line, by their place in [`COLUMNS`].
struct Fields<'a>(&'a StringRecord);

impl<'a> Fields<'a> {
    fn entry(&self) -> Result<Entry, Flaw> {
        let kind = self.required(2)?;
        let account = || Ok::<_, Flaw>(self.required(3)?.parse()?);
        let amount = || Ok::<_, Flaw>(self.required(5)?.parse()?);
        match kind {
            "open" => {
                self.empty([4, 5])?;
                Ok(Entry::Open {
                    account: account()?,
                    open: Open {
                        owner: self.required(6)?.to_owned(),
                        joint: Vec::new(),
                        overdraft: Cents::ZERO,
                    },
                })
            }
            "deposit" => {
                self.empty([4, 6])?;
                Ok(Entry::Deposit {
                    account: account()?,
                    amount: amount()?,
                })
            }
            "withdraw" => {
                self.empty([4, 6])?;
                Ok(Entry::Withdraw {
                    account: account()?,
                    amount: amount()?,
                })
            }
            "transfer" => {
                self.empty([6])?;
                Ok(Entry::Transfer {
                    from: account()?,
                    to: self.required(4)?.parse()?,
                    amount: amount()?,
                })
            }
            other => Err(Flaw::Kind(other.to_owned())),
        }
    }

    fn required(&self, column: usize) -> Result<&'a str, Flaw> {
        match self.0.get(column).map(str::trim) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(Flaw::Missing(COLUMNS[column])),
        }
    }

    fn empty<const N: usize>(&self, columns: [usize; N]) -> Result<(), Flaw> {
        match columns.into_iter().find(|column| self.0.get(*column) != Some("")) {
            Some(column) => Err(Flaw::NotEmpty(COLUMNS[column])),
            None => Ok(()),
        }
    }
}
