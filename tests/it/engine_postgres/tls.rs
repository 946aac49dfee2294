//! TLS. Needs a server that offers it, as the one the test runner starts does.

use std::time::{Duration, Instant};

use tidegate::definitions::spec::datasource::{Tls, TlsMode};
use tidegate::engines::{EngineError, Query};

use super::support::{admin, engine, error, marker, one, query, wait_running};

const ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[tokio::test]
async fn require_encrypts_and_disable_does_not() {
    for (mode, expected) in [(TlsMode::Require, "true"), (TlsMode::Disable, "false")] {
        let e = engine(|c| c.tls = Some(Tls { mode, ca_file: None }));
        assert_eq!(one(&e, query(ENCRYPTED)).await, expected);
    }
    assert_eq!(one(&engine(|_| {}), query(ENCRYPTED)).await, "false");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancels_are_encrypted_too() {
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

#[tokio::test]
async fn verify_refuses_a_certificate_of_an_unknown_authority() {
    let e = engine(|c| c.tls = Some(Tls { mode: TlsMode::Verify, ca_file: None }));
    let failed = error(&e, query("SELECT 1")).await;
    assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
    let e = engine(|c| {
        c.tls = Some(Tls { mode: TlsMode::Verify, ca_file: Some("/no/such/file.pem".into()) });
    });
    let failed = error(&e, query("SELECT 1")).await;
    assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
}
