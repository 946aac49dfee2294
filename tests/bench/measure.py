"""Runs the works that are named, or all, and writes RESULTS.md. Started by `run`, which starts the databases."""

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
from works import WORKS

HERE = Path(__file__).resolve().parent


class Bench:
    """What the works need: tables, and the tree that Tidegate serves."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.lite = harness.make_tables(folder)
        self.tree = harness.make_tree(folder, self.lite)

    def demo(self):
        """A copy of the demo: a start must not find the data of another one."""
        copy = self.folder / "demo"
        if not copy.exists():
            copy.mkdir()
            for name in ("datasources", "definitions", "policies", "demo"):
                if (harness.ROOT / name).exists():
                    shutil.copytree(harness.ROOT / name, copy / name)
        return copy


def table(lines):
    if isinstance(lines, str):
        return lines
    rows = ["| work | Tidegate | beside it | value | promised | |", "| --- | --- | --- | --- | --- | --- |"]
    for line in lines:
        kept = {True: "kept", False: "**not kept**", None: ""}[line.is_kept()]
        unit = f" {line.unit}" if line.unit else ""
        note = f" ({line.note})" if line.note else ""
        bound = line.promise.replace(">=", "≥").replace("<=", "≤")
        rows.append(f"| {line.work}{note} | {line.ours} | {line.yardstick} | {line.value:.2f}{unit} | {bound} | {kept} |")
    return "\n".join(rows)


def version(*command):
    text = subprocess.run(command, capture_output=True, text=True).stdout
    text += subprocess.run(command, capture_output=True, text=True).stderr if not text else ""
    return text.strip().splitlines()[0] if text.strip() else "not there"


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) >> 20
    commit = version("git", "-C", str(harness.ROOT), "describe", "--always", "--dirty")
    return "\n".join([
        f"* {datetime.date.today()}, commit `{commit}`, {harness.ROUNDS} rounds of {harness.SECONDS:g} s, "
        f"{harness.CONNECTIONS} connections of wrk, medians",
        f"* {os.cpu_count()} cores ({cpu.group(1) if cpu else platform.machine()}), {memory} GiB, Linux {platform.release()}; "
        "load, server and database share them",
        f"* {version('rustc', '--version')}; {version('psql', '--version')}; {version('mariadb', '--version')}; "
        f"{version('nginx', '-v')}; {version('wrk', '-v')}",
    ])


def main(names):
    if names == ["--list"]:
        print("\n".join(f"{name}: {work.__doc__}" for name, work in WORKS.items()))
        return 0
    unknown = [name for name in names if name not in WORKS]
    if unknown:
        raise SystemExit(f"no such work: {', '.join(unknown)}; there are: {', '.join(WORKS)}")
    results = harness.TARGET.parent / "bench"
    results.mkdir(exist_ok=True)
    failed = 0
    folder = tempfile.mkdtemp(prefix="tidegate-bench.")
    try:
        bench = Bench(folder)
        for name in names or WORKS:
            print(f"{name}: {WORKS[name].__doc__}", flush=True)
            lines = WORKS[name](bench)
            failed += sum(line.is_kept() is False for line in lines if not isinstance(lines, str))
            print(table(lines), "\n", flush=True)
            (results / f"{name}.md").write_text(f"{table(lines)}\n")
    finally:
        harness.remove(folder)
    report(results)
    return 1 if failed else 0


def report(results):
    """All that was measured, the works in their order; those not run now keep what they found before."""
    parts = [f"## {work.__doc__}\n\n{(results / f'{name}.md').read_text()}"
             for name, work in WORKS.items() if (results / f"{name}.md").exists()]
    head = "# What was measured\n\nWritten by `tests/bench/run`; [README.md](README.md) says how to read it.\n\n"
    (HERE / "RESULTS.md").write_text(f"{head}{machine()}\n\n" + "\n".join(parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
