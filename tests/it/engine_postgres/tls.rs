//! TLS. The tests give the server a certificate of an authority of their own, which takes a superuser.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tidegate::definitions::spec::datasource::{Tls, TlsMode};
use tidegate::engines::{EngineConfig, EngineError, Query};
use tokio::sync::OnceCell;

use super::support::{admin, engine, error, marker, one, query, wait_running};

const ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// Lets the server offer TLS as `localhost`; gives back the file of the authority behind its certificate.
async fn authority() -> &'static str {
    static AUTHORITY: OnceCell<(tempfile::TempDir, PathBuf)> = OnceCell::const_new();
    let (_, file) = AUTHORITY
        .get_or_init(|| async {
            let dir = tempfile::tempdir().unwrap();
            make_certificates(dir.path());
            offer_tls(dir.path()).await;
            let file = dir.path().join("ca.crt");
            (dir, file)
        })
        .await;
    file.to_str().unwrap()
}

fn make_certificates(dir: &Path) {
    let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(dir.join("extensions"), extensions).unwrap();
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=tidegate-test -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out server.crt",
    ] {
        let made = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().unwrap();
        assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
    }
}

async fn offer_tls(dir: &Path) {
    let admin = admin().await;
    for name in ["server.crt", "server.key"] {
        let pem = std::fs::read_to_string(dir.join(name)).unwrap();
        // The program runs in the data directory; nobody else may read the key.
        admin
            .batch_execute(&format!(
                "COPY (SELECT unnest(string_to_array('{pem}', E'\\n'))) \
                 TO PROGRAM 'umask 077; cat > tidegate-test-{name}'"
            ))
            .await
            .unwrap();
    }
    for setting in [
        "ssl_cert_file = 'tidegate-test-server.crt'",
        "ssl_key_file = 'tidegate-test-server.key'",
        "ssl = on",
    ] {
        admin.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
    }
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    let file = dir.join("ca.crt");
    let e = engine(|c| verify(c, file.to_str().unwrap()));
    // The reload takes its time.
    while let (_, Err(error)) = super::support::run(&e, query("SELECT 1")).await {
        assert!(Instant::now() < limit, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn verify(config: &mut EngineConfig, ca_file: &str) {
    config.host = "localhost".into();
    config.tls = Some(Tls { mode: TlsMode::Verify, ca_file: Some(ca_file.into()) });
}

#[tokio::test]
async fn require_encrypts_and_disable_does_not() {
    authority().await;
    for (mode, expected) in [(TlsMode::Require, "true"), (TlsMode::Disable, "false")] {
        let e = engine(|c| c.tls = Some(Tls { mode, ca_file: None }));
        assert_eq!(one(&e, query(ENCRYPTED)).await, expected);
    }
    assert_eq!(one(&engine(|_| {}), query(ENCRYPTED)).await, "false");
}

#[tokio::test]
async fn verify_checks_the_authority_and_the_name() {
    let ca_file = authority().await;
    assert_eq!(one(&engine(|c| verify(c, ca_file)), query(ENCRYPTED)).await, "true");
    let refused = [
        engine(|c| c.tls = Some(Tls { mode: TlsMode::Verify, ca_file: None })),
        engine(|c| verify(c, "/no/such/file.pem")),
        engine(|c| verify(c, file!())),
        engine(|c| {
            verify(c, ca_file);
            // The same server under a name its certificate does not have.
            c.host = "127.1".into();
        }),
    ];
    for e in refused {
        let failed = error(&e, query("SELECT 1")).await;
        assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancels_are_encrypted_too() {
    authority().await;
    let admin = admin().await;
    let e = engine(|c| c.tls = Some(Tls { mode: TlsMode::Require, ca_file: None }));
    let marker = marker();
    let deadline = Instant::now() + Duration::from_millis(200);
    let sql = format!("SELECT pg_sleep(60) /* {marker} */");
    let failed = error(&e, Query { deadline, ..query(&sql) }).await;
    assert!(matches!(failed, EngineError::Timeout), "{failed}");
    wait_running(&admin, &marker, 0).await;
    // The connection has survived its cancel.
    assert_eq!(one(&e, query(ENCRYPTED)).await, "true");
}
