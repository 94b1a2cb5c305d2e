//! A small SMTP server that keeps the mails that it gets, for the demonstration. Like others, it sometimes asks to come back later, and
//! sometimes breaks off after it has taken a mail.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A mail as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The receiver.
    pub to: String,
    /// Its header lines, and its text.
    pub text: String,
}

/// The server. It ends with its runtime.
pub struct Sink {
    address: SocketAddr,
    inbox: Arc<Mutex<Inbox>>,
}

#[derive(Default)]
struct Inbox {
    mails: Vec<Mail>,
    /// The number of the mail among those with other ids, in the order in which they were tried first, and the number of attempts.
    tried: HashMap<String, (usize, u32)>,
}

impl Mail {
    /// Returns the value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.text.lines().take_while(|line| !line.is_empty());
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_default()
    }
}

impl Sink {
    /// Listens on a free port of this machine.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, inbox) = (listener.local_addr()?, Arc::<Mutex<Inbox>>::default());
        let receiver = Arc::clone(&inbox);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inbox = Arc::clone(&receiver);
                // A conversation that breaks off is the other side's to take up again.
                tokio::spawn(async move { drop(converse(stream, &inbox).await) });
            }
        });
        Ok(Self { address, inbox })
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The mails that came in, from the one with this number on.
    pub fn mails(&self, from: usize) -> Vec<Mail> {
        let inbox = locked(&self.inbox);
        inbox.mails.get(from..).unwrap_or_default().to_vec()
    }
}

fn locked(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ways in which a mail is answered.
enum Answer {
    Taken,
    Later,
    BreaksOff,
}

impl Inbox {
    fn answer(&mut self, mail: Mail) -> Answer {
        let others = self.tried.len();
        let id = mail.header("Message-ID").to_owned();
        let (number, attempts) = self.tried.entry(id).or_insert((others, 0));
        *attempts += 1;
        match (*number % 10, *attempts) {
            (4, 1) => return Answer::Later,
            (8, 1) => {
                self.mails.push(mail);
                return Answer::BreaksOff;
            }
            _ => {}
        }
        self.mails.push(mail);
        Answer::Taken
    }
}

async fn converse(stream: TcpStream, inbox: &Mutex<Inbox>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut to = String::new();
    write.write_all(b"220 sink.example ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let command = line.to_ascii_uppercase();
        let reply = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-sink.example\r\n250 8BITMIME",
            "HELO" | "MAIL" | "NOOP" | "RSET" => "250 OK",
            "RCPT" if command.contains("<NOBODY@") => "550 5.1.1 no such mailbox",
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1);
                to = address.unwrap_or_default().to_owned();
                "250 OK"
            }
            "DATA" => {
                write.write_all(b"354 end with a dot\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    text += line.strip_prefix('.').unwrap_or(&line);
                    text.push('\n');
                }
                let to = to.clone();
                let answer = locked(inbox).answer(Mail { to, text });
                match answer {
                    Answer::Taken => "250 OK",
                    Answer::Later => "451 4.3.2 come back later",
                    Answer::BreaksOff => return Ok(()),
                }
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 5.5.1 not known here",
        };
        write.write_all(reply.as_bytes()).await?;
        write.write_all(b"\r\n").await?;
    }
    Ok(())
}
