//! A bare connection to the gateway: sends bytes as they are, reads answers one after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::{Answer, KEY, PATIENCE, Tidegate};

/// A bare connection.
pub struct Raw {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Raw {
    pub fn connect(gateway: &Tidegate) -> Self {
        Self::to(gateway.data_port).expect("the gateway listens")
    }

    /// Connects to a port; `None` where nobody listens.
    pub fn to(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE * 3)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Some(Self { stream, reader })
    }

    /// Sends bytes; false where the other side takes no more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the head of a request with the test key, and its end.
    pub fn request(&mut self, line: &str, headers: &str) -> bool {
        self.send(format!("{line} HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\n{headers}\r\n"))
    }

    /// From now on neither reading nor sending waits longer than this; an answer that does not come is `None`.
    pub fn give_up_after(&self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
        self.stream.set_write_timeout(Some(time)).unwrap();
    }

    /// No more is sent.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The head of the next answer, without its body; `None` where the connection is closed.
    pub fn head(&mut self) -> Option<Answer> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Answer { status, headers, body: Vec::new() })
    }

    /// The next answer with its body; `None` where the connection is closed. Panics where the body breaks off.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if let Some(length) = answer.header("content-length") {
            answer.body = self.read(length.parse().unwrap())?;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk()? {
                answer.body.extend_from_slice(&chunk);
            }
        }
        Some(answer)
    }

    /// The next part of a body; outer `None`: the connection broke off, inner `None`: the body's end.
    #[allow(clippy::option_option, reason = "two different ends")]
    pub fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let bytes = self.read(length)?;
        self.read(2)?;
        Some((length > 0).then_some(bytes))
    }

    fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}
