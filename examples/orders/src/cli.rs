//! The command line.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind, Write as _, stderr};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::play::{Play, Progress};
use crate::sink::Sink;
use crate::table::Table;
use crate::{Shop, ShopError};

const EXAMPLES: &str = "\
Examples:
  orders                          play 200 orders into orders.db; again, and they are only shown
  orders --orders 500             300 more
  orders --smtp 127.0.0.1:2525    send the mails to a server of your own

Exit status: 0 done, 1 failed, 2 not understood.";

/// A shop whose orders are reserved, paid and shipped, or undone.
///
/// Plays scripted orders, some of which go wrong, or finishes those that an earlier run has left, and prints what became
/// of each. Mails go to a small server of its own, and are printed as they come in.
#[derive(Debug, Parser)]
#[command(name = "orders", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The file with everything
    #[arg(long, value_name = "FILE", default_value = "orders.db")]
    file: PathBuf,
    /// The number of orders
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    orders: u32,
    /// The SMTP server that takes the mails, without TLS
    #[arg(long, value_name = "ADDRESS")]
    smtp: Option<SocketAddr>,
}

impl Cli {
    /// Plays the orders, and says what became of them.
    pub async fn run(self) -> ExitCode {
        let printed = self
            .play()
            .await
            .and_then(|text| match io::stdout().write_all(text.as_bytes()) {
                // The reader, such as `head`, has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                written => Ok(written?),
            });
        let Err(error) = printed else {
            return ExitCode::SUCCESS;
        };
        let _ = writeln!(stderr(), "error: {}", error.line());
        ExitCode::FAILURE
    }

    async fn play(self) -> Result<String, ShopError> {
        let (smtp, inbox) = match self.smtp {
            Some(smtp) => (smtp, None),
            None => {
                let sink = Sink::start().await?;
                (sink.address(), Some(sink))
            }
        };
        let shop = Shop::open(&self.file, smtp).await?;
        let mut mails = Mails::default();
        // Unlike `eprintln`, this does not panic when nobody listens any more.
        let tell = |progress: Progress| {
            if let Some(sink) = &inbox {
                mails.print(sink);
            }
            let _ = writeln!(stderr(), "{progress}");
        };
        Play::of(self.orders)?.play(&shop, tell).await?;
        let orders = shop.orders().await?;
        shop.close().await?;
        let table = Table { orders: &orders };
        Ok(match inbox {
            Some(_) => format!("{table}\n{mails}\n"),
            None => table.to_string(),
        })
    }
}

/// The mails that were printed.
#[derive(Default)]
struct Mails {
    printed: usize,
    ids: BTreeSet<String>,
}

impl Mails {
    /// Prints those that came in meanwhile.
    fn print(&mut self, sink: &Sink) {
        for mail in sink.mails(self.printed) {
            self.printed += 1;
            let (to, subject, id) = (&mail.to, mail.header("Subject"), mail.header("Message-ID"));
            let again = if self.ids.insert(id.to_owned()) { "" } else { " (again)" };
            let _ = writeln!(stderr(), "mail to {to}: {subject} {id}{again}");
        }
    }
}

impl fmt::Display for Mails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = self.printed - self.ids.len();
        write!(
            f,
            "{} mails came in now, {again} of them again, under the id that they had",
            self.printed
        )
    }
}
