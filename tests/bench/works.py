"""One function a line of the table: it measures, and returns lines for the report."""

import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from harness import (ALL, CONNECTIONS, KEY, MYSQL, POSTGRES, ROUNDS, ROWS, SECONDS, YARDSTICK, Program, call, free_port,
                     in_turn, load, make_tree, mariadb, median, ratio, scalar_script, tidegate, yardstick)

#: Callers that do not fill the machine.
FEW = 2


@dataclass
class Line:
    """A line of the report: what Tidegate did, what the yardstick did, and what was promised of the two."""
    work: str
    ours: str
    yardstick: str
    value: float
    #: `>= 0.80` for ratios, `<= 100` for figures with a unit.
    promise: str
    unit: str = ""
    note: str = ""

    def is_kept(self):
        if not self.promise:
            return None
        sign, bound = self.promise.split()
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


def rate(results):
    figure = median(run.rps for run in results)
    bad = sum(run.bad for run in results)
    refused = f"**{bad:,} not answered with 200**, " if bad else ""
    return f"{refused}{figure:,.0f}/s, p50 {median(r.p50_ms for r in results):.2f}, p99 {median(r.p99_ms for r in results):.2f} ms, " \
           f"{median(r.cpu_us for r in results):.1f} µs CPU"


def check(results):
    """Broken connections make figures worthless; refused calls are shown beside theirs."""
    for name, runs in results.items():
        for run in runs:
            if run.errors:
                raise SystemExit(f"{name}: {run.errors}")


def nginx(folder, head, body):
    """nginx that returns the same bytes."""
    port = free_port()
    fields = [line.split(": ", 1) for line in head.splitlines()[1:]]
    own = {"date", "content-length", "connection", "content-type", "server"}
    headers = "".join(f"add_header {name} '{value}';\n" for name, value in fields if name.lower() not in own)
    answer = body.replace("'", "\\'")
    conf = Path(folder) / "nginx.conf"
    conf.write_text(f"""
daemon off; master_process on; worker_processes auto; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port} reuseport; location / {{ default_type application/json; {headers} return 200 '{answer}'; }} }} }}
""")
    return Program("nginx", port, ["nginx", "-c", conf, "-p", folder])


def cached(bench):
    """A cached answer with key, rate limit and metrics, without and with audit."""
    path = "/data-api/cached?top=3"
    with tidegate(bench.tree) as ours:
        call(ours.port, path)
        text = subprocess.run(["curl", "-si", "-H", f"X-API-Key: {KEY}", f"http://127.0.0.1:{ours.port}{path}"],
                              capture_output=True, text=True, check=True).stdout.replace("\r\r\n", "\r\n")
        raw = subprocess.run(["curl", "-si", "-H", f"X-API-Key: {KEY}", f"http://127.0.0.1:{ours.port}{path}"],
                             capture_output=True, check=True).stdout
        answer = bench.folder / "answer"
        answer.write_bytes(raw)
        head, body = text.replace("\r\n", "\n").split("\n\n", 1)
        for code in ("cached_audited", "cached_buffered"):
            call(ours.port, f"/data-api/{code}?top=3")
        with yardstick("bare", answer) as bare, nginx(bench.folder, head, body) as front:
            results = in_turn({
                "bare": lambda: load(bare, path),
                "cached": lambda: load(ours, path),
                "audited": lambda: load(ours, "/data-api/cached_audited?top=3"),
                "buffered": lambda: load(ours, "/data-api/cached_buffered?top=3"),
                "nginx": lambda: load(front, path),
            })
    check(results)
    of = lambda name: ratio(results, name, "bare", lambda run: run.rps)
    bare = f"bare hyper on pingora's stream: {rate(results['bare'])}"
    size = f"answer of {len(raw)} bytes"
    return [
        Line("cached GET, with key, rate limit, metrics", rate(results["cached"]), bare, of("cached"), ">= 0.80", note=size),
        Line("the same with `audit: true`", rate(results["audited"]), bare, of("audited"), ">= 0.60"),
        Line("the same with `audit: buffered`", rate(results["buffered"]), bare, of("buffered"), ""),
        Line("nginx `return` of the same bytes, for comparison", rate(results["nginx"]), bare, of("nginx"), ""),
    ]


def scalar(bench, kind, target, extra=None):
    """A row by its primary key, uncached, by 64 callers."""
    script = scalar_script(bench.folder)
    runs = {}
    with tidegate(bench.tree) as ours, yardstick(kind, target) as other:
        path = f"/data-api/{kind}_item"
        left, right = call(ours.port, path + "?id=7"), call(other.port, "/?id=7")
        if left != right:
            raise SystemExit(f"two answers to one question:\n{left}\n{right}")
        runs["hand-written"] = lambda: load(other, "/", script=script)
        runs["tidegate"] = lambda: load(ours, path, script=script)
        runs["hand-written, few"] = lambda: load(other, "/", script=script, connections=FEW)
        runs["few"] = lambda: load(ours, path, script=script, connections=FEW)
        for name, run in (extra(bench, ours, script) if extra else {}).items():
            runs[name] = run
        results = in_turn(runs)
    check({name: results[name] for name in results if name != "pgbench"})
    return results


def by_key(name, driver, results):
    """The lines of a row by its primary key: by the usual callers, and by few, who leave the processors time to sleep."""
    of = lambda ours, other: ratio(results, ours, other, lambda run: run.rps)
    return [
        Line(f"{name}: row by primary key", rate(results["tidegate"]), f"{driver}: {rate(results['hand-written'])}",
             of("tidegate", "hand-written"), ">= 0.90"),
        Line(f"{name}: the same by {FEW} callers", rate(results["few"]), f"{driver}: {rate(results['hand-written, few'])}",
             of("few", "hand-written, few"), ""),
    ]


def postgres(bench):
    """PostgreSQL: a row by its primary key, uncached, by 64 callers."""

    def extra(bench, ours, script):
        file = bench.folder / "item.pgbench"
        file.write_text(f"\\set id random(1, {ROWS})\n{ALL} WHERE id = :id;\n")
        command = ["pgbench", "-n", "-M", "prepared", "-f", file, "-c", str(CONNECTIONS), "-j", "2", "-T",
                   str(max(1, round(SECONDS))), POSTGRES]

        def pgbench():
            text = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
            return float(re.search(r"tps = ([\d.]+)", text).group(1))
        return {"governed": lambda: load(ours, "/data-api/governed_item", script=script), "pgbench": pgbench}

    results = scalar(bench, "postgres", POSTGRES, extra)
    other = f"hyper + tokio-postgres, pipelined: {rate(results['hand-written'])}"
    of = lambda name: ratio(results, name, "hand-written", lambda run: run.rps)
    pgbench = median(results["pgbench"])
    return [
        *by_key("PostgreSQL", "hyper + tokio-postgres, pipelined", results),
        Line("PostgreSQL: the same under a row filter (governed)", rate(results["governed"]), other, of("governed"), ""),
        Line("PostgreSQL: `pgbench -M prepared`, without HTTP, for comparison", f"{pgbench:,.0f}/s", other,
             median(b / h.rps for b, h in zip(results["pgbench"], results["hand-written"])), ""),
    ]


def mysql(bench):
    """MySQL: a row by its primary key, uncached, by 64 callers."""
    return by_key("MySQL", "hyper + mysql_async", scalar(bench, "mysql", MYSQL))


def sqlite(bench):
    """SQLite: a row by its primary key, uncached, by 64 callers."""
    return by_key("SQLite", "hyper + rusqlite", scalar(bench, "sqlite", bench.lite))


def timed(command):
    started = time.monotonic()
    with open(os.devnull, "wb") as nowhere:
        subprocess.run([str(part) for part in command], stdout=nowhere, check=True)
    return time.monotonic() - started


def rows(bench):
    """100 000 rows in each form; how much memory they take."""
    lines = []
    with tidegate(bench.tree) as ours:
        def fetch(source, form):
            url = f"http://127.0.0.1:{ours.port}/data-api/{source}_all?format={form}"
            return lambda: timed(["curl", "-sf", "-H", f"X-API-Key: {KEY}", url])
        select = f"\\copy ({ALL}) to stdout csv"
        lite = ["python3", "-c", "import sqlite3,csv,sys; w=csv.writer(sys.stdout); "
                f"w.writerows(sqlite3.connect(sys.argv[1]).execute('{ALL}'))", bench.lite]
        works = {
            "PostgreSQL": ("psql `\\copy`", lambda: timed(["psql", "-q", POSTGRES, "-c", select]), "postgres", ">= 0.80"),
            "MySQL": ("`mariadb -B -q`", lambda: timed([*mariadb(), "-B", "-q", "-e", ALL]), "mysql", ""),
            "SQLite": ("Python's sqlite3 and csv", lambda: timed(lite), "sqlite", ""),
        }
        for name, (other, run, source, promise) in works.items():
            runs = {"other": run} | {form: fetch(source, form) for form in ("json", "csv", "ndjson", "xlsx")}
            results = in_turn(runs)
            for form in ("json", "csv", "ndjson", "xlsx"):
                ours_text = f"{ROWS / median(results[form]):,.0f} rows/s"
                other_text = f"{other}: {ROWS / median(results['other']):,.0f} rows/s"
                lines.append(Line(f"{name}: {ROWS:,} rows as {form.upper()}", ours_text, other_text,
                                  ratio(results, form, "other", lambda seconds: 1 / seconds),
                                  promise if form in ("json", "csv") else ""))
        lines += memory(ours)
    return lines


def memory(ours):
    """How much more memory an answer of 100 000 rows takes than one of 1 000, while it is read."""
    def peak(path):
        top, stop = [ours.resident_bytes()], threading.Event()

        def watch():
            while not stop.wait(0.002):
                top[0] = max(top[0], ours.resident_bytes())
        watcher = threading.Thread(target=watch)
        watcher.start()
        call(ours.port, path)
        stop.set()
        watcher.join()
        return top[0]
    before = peak("/data-api/postgres_item?id=7")
    grown = max(peak("/data-api/postgres_all?format=csv") - before for _ in range(3))
    return [Line(f"memory that {ROWS:,} rows add while they leave", f"{grown / 1e6:.1f} MB", "", grown / 1e6, "<= 8", "MB")]


SWAPPED = "tidegate_config_last_reload_success_timestamp_seconds"


def many(bench):
    """10 000 interfaces and 1 000 consumers: load, swap, memory, look-up."""
    count, consumers = 10_000, 1_000
    root = make_tree(bench.folder / "many", bench.lite)
    for i in range(count):
        (root / f"definitions/many_{i:05}.yaml").write_text(f"""kind: interface
code: many_{i:05}
name: Interface {i}
datasource_id: postgres
rate_limit: {{rps: 1000000, burst: 1000000}}
audit: false
parameters:
  - {{name: id, type: integer, required: true, minimum: 1}}
query_template: |
  SELECT id, name, email, city, score, balance FROM item WHERE id = :id AND score <> {i}
""")
    text = "\n---\n".join(
        f"kind: consumer\nname: consumer_{i}\nroles: [all]\napi_keys: [{{id: a, sha256: '{i:064x}'}}]" for i in range(consumers))
    (root / "policies/many.yaml").write_text(text)
    lines = []
    script = scalar_script(bench.folder)
    with tidegate(bench.tree) as few, tidegate(root) as ours:
        status = lambda: metric(ours, "tidegate_config_last_reload_duration_seconds")
        results = in_turn({
            "few": lambda: load(few, "/data-api/postgres_item", script=script),
            "many": lambda: load(ours, "/data-api/many_05000", script=script),
        })
        check(results)
        lines.append(Line(f"a row by its key among {count:,} interfaces", rate(results["many"]),
                          f"among few: {rate(results['few'])}", ratio(results, "many", "few", lambda run: run.rps), ">= 0.90"))
        each = (ours.resident_bytes() - few.resident_bytes()) / count
        lines.append(Line("memory of an interface", f"{each / 1e3:.1f} KB", "", each / 1e3, "<= 20", "KB",
                          f"with {consumers:,} consumers beside them"))
        quiet, swapped = [], []
        for n in range(ROUNDS):
            for runs, beside in ((quiet, [look, ours]), (swapped, [change, ours, root, n])):
                beside = threading.Timer(SECONDS / 3, *beside[:1], beside[1:])
                beside.start()
                runs.append(load(ours, "/data-api/many_05000", script=script, connections=8))
                beside.join()
        seconds = status()
        lines.append(Line(f"reload of {count:,} interfaces, one changed", f"{seconds * 1e3:.0f} ms", "", seconds, "<= 1", "s"))
        lines.append(Line("p99 while they are swapped", f"{median(r.p99_ms for r in swapped):.2f} ms",
                          f"without a swap: {median(r.p99_ms for r in quiet):.2f} ms",
                          median(a.p99_ms / b.p99_ms for a, b in zip(swapped, quiet)), "<= 1.50", "×"))
    starts = []
    for _ in range(3):
        started = time.monotonic()
        with tidegate(root):
            starts.append(time.monotonic() - started)
    lines.append(Line(f"start with {count:,} interfaces", f"{median(starts) * 1e3:.0f} ms", "", median(starts), "<= 1", "s"))
    return lines


def change(ours, root, n):
    """Changes one interface and waits until it serves."""
    file = root / "definitions/many_00001.yaml"
    text = re.sub(r"^name: .*$", f"name: Interface 1, changed {n}", file.read_text(), flags=re.M)
    before = metric(ours, SWAPPED)
    beside = file.with_suffix(".tmp~")
    beside.write_text(text)
    os.replace(beside, file)
    end = time.monotonic() + 30
    while metric(ours, SWAPPED) == before:
        if time.monotonic() > end:
            raise SystemExit("the change was never taken over")
        time.sleep(0.05)


def look(ours):
    """Asks as often as `change` does in half a second, which has a price of its own."""
    for _ in range(10):
        metric(ours, SWAPPED)
        time.sleep(0.05)


def metric(program, name):
    text = call(program.admin, "/metrics", key=None).decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def idle(bench):
    """Start and memory of the demo at the root of the repository."""
    starts, sizes = [], []
    demo = bench.demo()
    for _ in range(max(ROUNDS, 5)):
        started = time.monotonic()
        with tidegate(demo) as ours:
            starts.append(time.monotonic() - started)
            time.sleep(1)
            sizes.append(ours.resident_bytes())
    start, size = median(starts), median(sizes)
    return [
        Line("start of the demo, until it listens", f"{start * 1e3:.0f} ms", "", start * 1e3, "<= 100", "ms"),
        Line("resident memory of the idle demo", f"{size / 1e6:.1f} MB", "", size / 1e6, "<= 40", "MB"),
    ]


def overload(bench):
    """A source that is offered more than it can do: what is admitted stays fast, the rest hears so early."""
    lines = []
    cases = [("postgres_item", "PostgreSQL, row by primary key"), ("mysql_item", "MySQL, row by primary key")]
    script = scalar_script(bench.folder)
    with tidegate(bench.tree) as ours:
        for code, title in cases:
            path = f"/data-api/{code}"
            results = in_turn({
                "peak": lambda: load(ours, path, script=script),
                "twice": lambda: load(ours, path, script=script, connections=2 * CONNECTIONS),
                "eight times": lambda: load(ours, path, script=script, connections=8 * CONNECTIONS),
            })
            peak = median(r.good_rps for r in results["peak"])
            before = ours.resident_bytes()
            for name in ("twice", "eight times"):
                runs = results[name]
                bound = (">= 0.90", "<= 3") if name == "twice" else ("", "")
                good = median(r.good_rps for r in runs)
                refused = median(r.bad / max(1, r.bad + r.good_rps * SECONDS) for r in runs)
                lines.append(Line(f"{title}: {name} the callers, admitted work", f"{good:,.0f}/s, {refused:.0%} refused",
                                  f"at the peak: {peak:,.0f}/s", ratio(results, name, "peak", lambda r: r.good_rps), bound[0]))
                lines.append(Line(f"{title}: {name} the callers, p99", f"{median(r.p99_ms for r in runs):.2f} ms",
                                  f"at the peak: {median(r.p99_ms for r in results['peak']):.2f} ms",
                                  ratio(results, name, "peak", lambda r: r.p99_ms), bound[1], "×"))
            lines.append(Line(f"{title}: memory afterwards", f"{ours.resident_bytes() / 1e6:.0f} MB",
                              f"before: {before / 1e6:.0f} MB", ours.resident_bytes() / before, "<= 1.5", "×"))
    return lines


def stages(bench):
    """Where the time of a request goes: each stage of the request path in one process, without a socket."""
    targets = ["/data-api/cached?top=3", "/data-api/sqlite_item?id=7", "/data-api/postgres_item?id=7", "/data-api/mysql_item?id=7"]
    command = [YARDSTICK, "stages", bench.tree, *targets]
    text = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
    found = {}
    for target, stage, ns in (line.split("\t") for line in text.splitlines() if line.count("\t") == 2):
        found.setdefault(stage, {})[target] = int(ns)
    names = [re.search(r"/data-api/(\w+)", target).group(1) for target in targets]
    rows = [f"| stage | {' | '.join(names)} |", "| --- |" + " ---: |" * len(targets)]
    rows += [f"| {stage} | " + " | ".join(f"{ns[target]:,} ns" for target in targets) + " |" for stage, ns in found.items()]
    return "\n".join(rows)


WORKS = {work.__name__: work for work in (idle, cached, postgres, mysql, sqlite, rows, many, overload, stages)}
