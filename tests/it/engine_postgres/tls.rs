//! TLS. Needs a server that offers it, as the one the test runner starts does.

use tidegate::definitions::spec::datasource::{Tls, TlsMode};
use tidegate::engines::EngineError;

use super::support::{engine, error, one, query};

const ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[tokio::test]
async fn require_encrypts_and_disable_does_not() {
    for (mode, expected) in [(TlsMode::Require, "true"), (TlsMode::Disable, "false")] {
        let e = engine(|c| c.tls = Some(Tls { mode, ca_file: None }));
        assert_eq!(one(&e, query(ENCRYPTED)).await, expected);
    }
    assert_eq!(one(&engine(|_| {}), query(ENCRYPTED)).await, "false");
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
