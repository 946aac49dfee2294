//! The systemd unit agrees with the binary, and stays hardened.

use std::fs;
use std::process::Command;

use crate::support::run;

/// Highest exposure that `systemd-analyze security` may find, in tenths of ten.
const MAX_EXPOSURE: &str = "20";

fn unit() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/tidegate.service");
    fs::read_to_string(path).unwrap()
}

/// The value of a directive that is given once.
fn directive(unit: &str, name: &str) -> String {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(values.next().is_none(), "{name} twice");
    value.to_owned()
}

#[test]
fn its_command_line_is_taken() {
    let unit = unit();
    let command = directive(&unit, "ExecStart");
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/tidegate"));
    assert_eq!(words.next(), Some("serve"));
    let (code, help, error) = run(&["serve", "--help"]);
    assert_eq!(code, 0, "{error}");
    for flag in words.clone().filter(|word| word.starts_with("--")) {
        assert!(help.contains(flag), "{flag} is no flag");
    }
    let after = |flag| words.clone().skip_while(|word| *word != flag).nth(1);
    let state = format!("/var/lib/{}", directive(&unit, "StateDirectory"));
    assert_eq!(after("--data-dir"), Some(state.as_str()));
    assert_eq!(after("--root"), Some("/etc/tidegate"));
}

#[test]
fn it_goes_with_what_the_process_does() {
    let unit = unit();
    for (name, value) in [
        ("Type", "notify"),
        ("NotifyAccess", "all"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("NoNewPrivileges", "yes"),
    ] {
        assert_eq!(directive(&unit, name), value, "{name}");
    }
    let seconds = |name| directive(&unit, name).parse::<u64>().unwrap();
    assert!(seconds("WatchdogSec") >= 10);
    // Drain timeout's default, and what is written at the end.
    assert!(seconds("TimeoutStopSec") >= 30 + 15);
}

#[test]
fn systemd_takes_it_and_finds_it_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("skipped: no systemd-analyze");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidegate.service");
    // It looks whether the command is there.
    fs::write(&path, unit().replace("/usr/local/bin/tidegate", env!("CARGO_BIN_EXE_tidegate")))
        .unwrap();
    let path = path.to_str().unwrap();
    for arguments in [
        vec!["verify", path],
        vec!["security", "--offline=yes", "--threshold", MAX_EXPOSURE, "--no-pager", path],
    ] {
        let output = Command::new("systemd-analyze").args(&arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{arguments:?}: {error}");
    }
}
