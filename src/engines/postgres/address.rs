//! Where a server is, and how a cancel request gets there: to the very address of the connection it is meant for.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Most bytes read while waiting for the server to close a cancel request.
const MAX_GOODBYE_BYTES: u64 = 64 * 1024;

/// Why a request could not be sent. It is only ever repeated, so nobody asks for more.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One address of a server.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// All addresses of `host`: those of its name, or its socket where it is a path.
    ///
    /// # Errors
    /// Where the name is not known.
    pub(super) async fn resolve(host: &str, port: u16) -> std::io::Result<Vec<Self>> {
        if host.starts_with('/') {
            return Ok(vec![Self::Unix(format!("{host}/.s.PGSQL.{port}").into())]);
        }
        Ok(tokio::net::lookup_host((host, port)).await?.map(Self::Tcp).collect())
    }

    /// The IP address, where it is one.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// Asks the server to cancel what the connection of `token` is running. When this returns, the server has sent its
    /// signal: what starts later is not hit.
    pub(super) async fn cancel(
        &self,
        token: &CancelToken,
        host: &str,
        tls: Option<&MakeRustlsConnect>,
    ) -> Result<(), Failure> {
        match (self, tls) {
            (Self::Unix(path), _) => cancel_plain(token, UnixStream::connect(path).await?).await,
            (Self::Tcp(address), None) => {
                cancel_plain(token, TcpStream::connect(address).await?).await
            }
            (Self::Tcp(address), Some(tls)) => {
                let stream = TcpStream::connect(address).await?.into_std()?;
                // The driver keeps the stream it is given; its twin sees the server close it.
                let twin = TcpStream::from_std(stream.try_clone()?)?;
                let stream = TcpStream::from_std(stream)?;
                let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls.clone(), host)?;
                token.cancel_query_raw(stream, tls).await?;
                wait_for_close(twin).await
            }
        }
    }
}

async fn cancel_plain<S>(token: &CancelToken, mut stream: S) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    token.cancel_query_raw(&mut stream, NoTls).await?;
    wait_for_close(stream).await
}

/// The server closes a cancel request once it has sent the signal.
async fn wait_for_close(stream: impl AsyncRead + Unpin) -> Result<(), Failure> {
    tokio::io::copy(&mut stream.take(MAX_GOODBYE_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}
