//! Builds the admin page with Node and has it put into the binary. Without Node the binary has a page that says how to get one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Where the page's sources are.
const SOURCES: &str = "src/admin/ui";
/// Of them: what the page is made of.
const PARTS: [&str; 7] = [
    "package.json",
    "package-lock.json",
    "index.html",
    "vite.config.ts",
    "tsconfig.json",
    "src",
    "public",
];
/// Set, the page is left out.
const WITHOUT: &str = "TIDEGATE_WITHOUT_UI";

fn main() {
    println!("cargo:rerun-if-env-changed={WITHOUT}");
    for part in PARTS {
        println!("cargo:rerun-if-changed={SOURCES}/{part}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names it"));
    let page = if env::var_os(WITHOUT).is_some_and(|value| !value.is_empty()) {
        Err(format!("{WITHOUT} is set"))
    } else {
        build(&out.join("ui"))
    };
    let files = match page {
        Ok(dist) => files(&dist).expect("what was built can be read"),
        Err(reason) => {
            println!("cargo:warning=the admin page is left out: {reason}");
            Vec::new()
        }
    };
    fs::write(out.join("page.rs"), table(&files)).expect("cargo's directory can be written to");
}

/// Builds the page in a directory of cargo's; the sources stay as they are.
fn build(at: &Path) -> Result<PathBuf, String> {
    let said = |error: io::Error| error.to_string();
    fs::create_dir_all(at).map_err(said)?;
    for part in PARTS {
        let (from, to) = (Path::new(SOURCES).join(part), at.join(part));
        if to.is_dir() {
            fs::remove_dir_all(&to).map_err(said)?;
        }
        copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    npm(at, &["ci", "--no-audit", "--no-fund", "--prefer-offline"])?;
    npm(at, &["run", "build"])?;
    Ok(at.join("dist"))
}

fn npm(at: &Path, arguments: &[&str]) -> Result<(), String> {
    let out = Command::new("npm").args(arguments).current_dir(at).output().map_err(|error| {
        format!("Node 20 with npm is needed to build it, and `npm` cannot be run ({error}); install it and build again")
    })?;
    if out.status.success() {
        return Ok(());
    }
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>();
    let last = last[last.len().saturating_sub(5)..].join(" / ");
    Err(format!("`npm {}` failed: {last}", arguments.join(" ")))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The files below a directory, sorted.
fn files(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else if let Ok(name) = path.strip_prefix(dir) {
                found.push((name.to_string_lossy().replace('\\', "/"), path.clone()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The files as a table of names and bytes.
fn table(files: &[(String, PathBuf)]) -> String {
    let mut text = "static FILES: &[(&str, &[u8])] = &[\n".to_owned();
    for (name, path) in files {
        let _ = writeln!(text, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    text + "];\n"
}
