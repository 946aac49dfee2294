"""What the works share: processes, load by wrk, medians, and the tree that Tidegate serves."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("TIDEGATE_BENCH_TARGET", ROOT / "target")) / "release"
TIDEGATE = TARGET / "tidegate"
YARDSTICK = TARGET / "examples" / "yardstick"
POSTGRES = os.environ["TIDEGATE_TEST_POSTGRES_URL"]
MYSQL = os.environ["TIDEGATE_TEST_MYSQL_URL"]
KEY = "bench-key"
CONNECTIONS = 64
ROWS = 100_000
ROUNDS = int(os.environ.get("TIDEGATE_BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("TIDEGATE_BENCH_SECONDS", "3"))
START_SECONDS = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port, process=None):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process and process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.005)
    raise SystemExit(f"nothing listens on {port}")


class Program:
    """A process that serves a port, until the `with` ends."""

    def __init__(self, name, port, command, **options):
        self.name, self.port = name, port
        self.log = tempfile.TemporaryFile()
        # A group of its own, so that its children go with it.
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdout=self.log, stderr=self.log, start_new_session=True, **options)
        try:
            wait_for(port, self.process)
        except SystemExit:
            self.log.seek(0)
            print(self.log.read().decode())
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def cpu_seconds(self):
        """Processor time so far, of the process and the children it has."""
        total = 0
        for pid in [self.process.pid, *children(self.process.pid)]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def children(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


class Load:
    """What one run of wrk found."""

    def __init__(self, text, cpu_seconds):
        number = lambda pattern: float(re.search(pattern, text).group(1))
        self.rps = number(r"Requests/sec:\s+([\d.]+)")
        requests = number(r"(\d+) requests in")
        self.p50_ms = milliseconds(re.search(r"\n +50% +(\S+)", text).group(1))
        self.p99_ms = milliseconds(re.search(r"\n +99% +(\S+)", text).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        broken = re.search(r"Socket errors: (.*)", text)
        self.bad = int(bad.group(1)) if bad else 0
        self.good_rps = self.rps * (requests - self.bad) / max(requests, 1)
        self.errors = broken.group(1) if broken else ""
        self.cpu_us = cpu_seconds * 1e6 / max(requests, 1)


def milliseconds(text):
    value, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def load(program, path, *, script=None, connections=CONNECTIONS, seconds=SECONDS, key=KEY):
    """Calls a program by wrk, as fast as it answers."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s"]
    if key:
        command += ["-H", f"X-API-Key: {key}"]
    if script:
        command += ["-s", str(script)]
    before = program.cpu_seconds()
    done = subprocess.run([*command, f"http://127.0.0.1:{program.port}{path}"],
                          capture_output=True, text=True, check=True)
    return Load(done.stdout, program.cpu_seconds() - before)


def in_turn(runs, rounds=ROUNDS):
    """Runs each of `runs` (name → function) once to warm up and then in turn; name → results."""
    results = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            results[name].append(run())
    return results


def median(values):
    return statistics.median(values)


def ratio(results, name, yardstick, figure):
    """Median of the ratios of each round: what both met in the same seconds."""
    return median(figure(a) / figure(b) for a, b in zip(results[name], results[yardstick]))


def call(port, path, key=KEY, headers=None):
    headers = dict(headers or {})
    if key:
        headers["X-API-Key"] = key
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def scalar_script(folder):
    """A script for wrk: `?id=` of one row after another, in an order that repeats late."""
    text = """
local calls = {}
local seed = 1
for i = 1, 4096 do
  seed = (seed * 1103515245 + 12345) % 2147483648
  calls[i] = nil
  calls[i] = "?id=" .. (seed % %ROWS% + 1)
end
local i, base = 0, nil
local requests = {}
init = function(args)
  base = wrk.path
  for n, query in ipairs(calls) do requests[n] = wrk.format(nil, base .. query) end
end
request = function()
  i = i % #requests + 1
  return requests[i]
end
""".replace("%ROWS%", str(ROWS))
    path = Path(folder) / "scalar.lua"
    path.write_text(text)
    return path


def server(url):
    at = urlparse(url)
    return {"host": at.hostname, "port": at.port, "database": at.path.strip("/"),
            "username": at.username, "password": at.password}


def item_rows():
    """The rows of the table `item`, as tuples."""
    cities = ["Hangzhou", "Shanghai", "Ningbo", "Xiamen", "Qingdao", "Shenzhen"]
    for i in range(1, ROWS + 1):
        yield (i, f"Customer {i:06}", f"customer.{i}@example.com", cities[i % len(cities)],
               i * 7919 % 1_000_003, i % 9973 + 0.25)


def make_tables(folder):
    """`item` on the three databases; the file of SQLite's."""
    import sqlite3
    columns = "id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, email VARCHAR(60) NOT NULL, " \
              "city VARCHAR(20) NOT NULL, score BIGINT NOT NULL, balance DOUBLE PRECISION NOT NULL"
    data = Path(folder) / "item.csv"
    data.write_text("".join(",".join(map(str, row)) + "\n" for row in item_rows()))
    subprocess.run(["psql", "-q", POSTGRES, "-c", "DROP TABLE IF EXISTS item",
                    "-c", f"CREATE TABLE item ({columns})", "-c", f"\\copy item FROM '{data}' csv",
                    "-c", "VACUUM ANALYZE item"], check=True, capture_output=True)
    sql = f"DROP TABLE IF EXISTS item; CREATE TABLE item ({columns}); " \
          f"LOAD DATA LOCAL INFILE '{data}' INTO TABLE item FIELDS TERMINATED BY ','; ANALYZE TABLE item;"
    subprocess.run([*mariadb(), "--local-infile=1", "-e", sql], check=True, capture_output=True)
    file = Path(folder) / "item.db"
    with sqlite3.connect(file) as lite:
        lite.execute("PRAGMA journal_mode=WAL")
        lite.execute(f"CREATE TABLE item ({columns})")
        lite.executemany("INSERT INTO item VALUES (?,?,?,?,?,?)", item_rows())
    lite.close()
    return file


def mariadb():
    at = server(MYSQL)
    return ["mariadb", "--no-defaults", "-h", at["host"], "-P", str(at["port"]), "-u", at["username"],
            f"-p{at['password']}", at["database"]]


ITEM = "SELECT id, name, email, city, score, balance FROM item WHERE id = :id"
ALL = "SELECT id, name, email, city, score, balance FROM item"


def make_tree(folder, lite):
    """A tree with an interface for each work, everything on: key, rate limit, metrics."""
    root = Path(folder) / "tree"
    for name in ("datasources", "definitions", "policies"):
        (root / name).mkdir(parents=True)
    write = lambda path, document: (root / path).write_text(json.dumps(document))
    limits = {"max_rows": ROWS * 10}
    for kind, url in (("postgres", POSTGRES), ("mysql", MYSQL)):
        at = server(url)
        secret = root / f"{kind}.secret"
        secret.write_text(at["password"])
        write(f"datasources/{kind}.yaml", {"kind": "datasource", "id": kind, "type": kind, **at,
                                           "password": {"file": str(secret)}, "limits": limits})
    at = server(POSTGRES)
    write("datasources/governed.yaml",
          {"kind": "datasource", "id": "governed", "type": "postgres", **at, "governed": True,
           "password": {"file": str(root / "postgres.secret")}, "limits": limits})
    write("datasources/sqlite.yaml",
          {"kind": "datasource", "id": "sqlite", "type": "sqlite", "path": str(lite), "limits": limits})
    rate = {"rps": 1_000_000, "burst": 1_000_000}
    one = {"parameters": [{"name": "id", "type": "integer", "required": True, "minimum": 1}]}

    def interface(code, source, query, **more):
        write(f"definitions/{code}.yaml", {"kind": "interface", "code": code, "datasource_id": source,
                                           "query_template": query, "rate_limit": rate, "audit": False, **more})

    for source in ("postgres", "mysql", "sqlite", "governed"):
        interface(f"{source}_item", source, ITEM, **one)
        if source != "governed":
            interface(f"{source}_all", source, ALL, safe_mode=False, timeout_ms=60_000)
    cached = {"cache": {"enabled": True, "ttl_seconds": 3600}}
    interface("cached", "sqlite", ALL + " WHERE id <= :top ORDER BY id LIMIT 3", **cached,
              parameters=[{"name": "top", "type": "integer", "default": 3}])
    interface("cached_audited", "sqlite", ALL + " WHERE id <= :top ORDER BY id LIMIT 3", **cached, audit=True,
              parameters=[{"name": "top", "type": "integer", "default": 3}])
    interface("cached_buffered", "sqlite", ALL + " WHERE id <= :top ORDER BY id LIMIT 3", **cached, audit="buffered",
              parameters=[{"name": "top", "type": "integer", "default": 3}])
    role = {"kind": "role", "name": "all", "interfaces": ["*"],
            "data": [{"datasource": "governed", "table": "item",
                      "rows": "score >= 0"}]}
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    consumer = {"kind": "consumer", "name": "bench", "roles": ["all"],
                "api_keys": [{"id": "a", "sha256": digest}]}
    write("policies/all.yaml", role)
    write("policies/bench.yaml", consumer)
    return root


def tidegate(root, *flags):
    """Tidegate serving a tree; its data directory is new."""
    port, admin = free_port(), free_port()
    data = root.parent / f"data-{port}"
    command = [TIDEGATE, "serve", "--root", root, "--data-dir", data, "--listen", f"127.0.0.1:{port}",
               "--admin-listen", f"127.0.0.1:{admin}", "--max-auth-failures-per-minute", "0", *flags]
    program = Program("tidegate", port, command)
    program.admin, program.data = admin, data
    return program


def yardstick(kind, target):
    port = free_port()
    return Program(kind, port, [YARDSTICK, kind, port, target])


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
