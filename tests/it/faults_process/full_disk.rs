//! The store's disk is full: strict calls are refused, all others are answered, and space is all that is needed again.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{KEY, Tidegate, Tree, eventually};

/// A file system of its own that is soon full. Unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it; `None` where that is not allowed.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
        let mount = Command::new("mount").args(options).arg(at).output().ok()?;
        if !mount.status.success() {
            println!("skipped: mounting needs root: {}", String::from_utf8_lossy(&mount.stderr));
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Fills what is left of it.
    fn fill(&self) {
        let _ = std::fs::write(self.0.join("ballast"), vec![1; 8 << 20]);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn call(gateway: &Tidegate, code: &str) -> u16 {
    gateway.get(&format!("/data-api/{code}")).status
}

#[test]
fn a_full_disk_refuses_strict_calls_only_and_passes() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER);");
    for (code, audit) in [("strict", "true"), ("buffered", "buffered"), ("off", "false")] {
        tree.interface(&format!(
            "code: {code}\ndatasource_id: lite\naudit: {audit}\nquery_template: SELECT 1 AS n\n"
        ));
    }
    let Some(disk) = SmallDisk::mount(&tree.root().join("small")) else { return };
    let store = format!("sqlite://{}", tree.root().join("small/tidegate.db").display());
    let gateway = tree.serve_with(&["--store-url", &store]);
    assert_eq!(call(&gateway, "strict"), 200);
    disk.fill();
    // What is left in the store's own files may take a few more.
    eventually("strict calls are refused", || call(&gateway, "strict") == 500);
    let refused = gateway.get("/data-api/strict");
    assert_eq!((refused.status, refused.code().as_str()), (500, "INTERNAL_ERROR"));
    assert!(
        !refused.text().contains("full") && !refused.text().contains("\"n\""),
        "{}",
        refused.text()
    );
    assert!(gateway.log().contains("audit record lost"), "{}", gateway.log());
    assert!(gateway.metric("tidegate_audit_failed_total").unwrap() >= 1.0);
    for _ in 0..50 {
        assert_eq!((call(&gateway, "buffered"), call(&gateway, "off")), (200, 200));
    }
    assert_eq!(gateway.admin_get("/readyz").status, 200);

    disk.free();
    eventually("strict calls work again", || call(&gateway, "strict") == 200);
    eventually("what waited is stored", || gateway.metric("tidegate_audit_queue") == Some(0.0));
    let buffered = "SELECT count(*) FROM audit WHERE interface = 'buffered'";
    let connection = rusqlite::Connection::open(tree.root().join("small/tidegate.db")).unwrap();
    let stored: i64 = connection.query_row(buffered, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 50);
    drop(connection);
    // And the next process finds a sound file.
    drop(gateway);
    let next = tree.serve_with(&["--store-url", &store]);
    assert_eq!(next.get_with("/data-api/strict", &[("x-api-key", KEY)]).status, 200);
}
