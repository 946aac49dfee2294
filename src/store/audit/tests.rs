//! What only a look inside can arrange: a store that is full.

use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::observe::code::Code;

fn record() -> AuditRecord {
    AuditRecord {
        at: jiff::Timestamp::now(),
        request_id: "r".into(),
        interface: "sales".into(),
        version: "1.0.0".into(),
        principal_kind: PrincipalKind::Anonymous,
        principal: "".into(),
        issuer: None,
        roles: vec![],
        ip: None,
        method: "GET".into(),
        path: "/".into(),
        params: Some(format!("\"{}\"", "x".repeat(8000))),
        code: Code::Ok,
        status: 200,
        rows: 0,
        bytes: 0,
        duration_us: 0,
        queue_us: None,
        database_us: None,
        cache: None,
        revision: "1".into(),
        kind: ExecuteKind::Query,
        error: None,
        sql_fingerprint: None,
    }
}

#[tokio::test]
async fn a_full_disk_refuses_strict_records_keeps_buffered_ones_and_heals() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path().join("store.db").to_str().unwrap()).await.unwrap();
    let settings =
        AuditSettings { retention_days: 0, buffer_records: 20, ..AuditSettings::default() };
    let log = AuditLog::start(store.clone(), settings, &Handle::current()).unwrap();
    insert::MAX_PAGES.store(100, Relaxed);

    let mut stored = 0;
    let error = loop {
        match log.strict(record()).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "100 pages cannot hold so many");
    };
    assert!(matches!(&error, AuditError::Store(text) if text.contains("full")), "{error}");
    for _ in 0..3 {
        assert!(matches!(log.strict(record()).await, Err(AuditError::Store(_))));
    }
    let accepted = (0..25).filter(|_| log.buffered(record())).count();
    assert_eq!(accepted, 20);
    assert!(log.flush(Duration::from_millis(20)).await.is_err());
    assert_eq!((log.stats().dropped, log.stats().failed, log.stats().written), (5, 4, stored));

    insert::MAX_PAGES.store(1000, Relaxed);
    log.flush(Duration::from_secs(30)).await.unwrap();
    log.strict(record()).await.unwrap();
    let entries = store.audit_recent(&AuditFilter::default(), MAX_RECENT).await.unwrap();
    assert_eq!(entries.len() as u64, stored + 20 + 1, "what was refused is not there");
}
