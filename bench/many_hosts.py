#!/usr/bin/env python3
"""Load as a cluster makes it: many hosts, each with hundreds of series of its own, polled every few seconds.

    bench/many_hosts.py --relay dist/alumet-relay --hosts 300 --series 740 --every 2 --rounds 15 --output csv [--hop] [--churn 0.01] [--latency]
                                                                                       [--rotate 1GiB] [--moving] [--keys 'KEY = VALUE']

Starts a server (with --hop, a hop in front of it), connects one client of the real protocol per host, sends each round one
message of `series` points per host, spread over `every` seconds, and waits until every row is stored. Prints one line of JSON:
CPU per point (over all, and over the second half of the rounds), share of a core, peak memory, seconds that the rows came after
the last byte, rows. --churn: share of each host's processes that are new in each round; the memory of the server is then
looked at after each round, and its slope over the second half is printed. --repeat: a message has that many points of each
series. --latency: how long after a message was sent its last row is in the file (csv), after the first quarter of the
rounds. --by-round: rounds begin at multiples of `every` seconds since the epoch, the last tenth of each is without messages, and
CPU per point is printed for the rest of each, with the number of the first. --rotate: for long runs, files of that size, of which only the last are kept; their rows are counted as they are
read. --moving: each round has times of its own, and other values than those before. --keys: keys of the output, one
for each use. --output postgresql needs --url of an empty database, and psql.
Loopback only; ends by itself.
"""
import argparse, json, multiprocessing, os, resource, shutil, signal, socket, sqlite3, struct, subprocess, sys, tempfile, time


def varint(n):
    out = bytearray()
    while True:
        low, n = n & 127, n >> 7
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def text(s):
    b = s.encode()
    return varint(len(b)) + b


def frame(body):
    return struct.pack(">I", len(body)) + body


METRICS = [(i, f"metric_{i}", i % 2, "J" if i % 2 == 0 else "By") for i in range(10)]
PROBE = (len(METRICS), "metric_probe", 1, "By")


def greet(name):
    return frame(text(name) + b"\0" + text("0.9.5") + text("0.6.0") + varint(2))


def register(name):
    body = text(name) + b"\2" + varint(len(METRICS) + 1)
    for number, metric, is_u64, unit in METRICS + [PROBE]:
        body += varint(number) + text(metric) + bytes([is_u64]) + text(unit) + text("")
    return frame(body)


def point(metric, value, seconds, nanos, pid, kind):
    body = varint(metric) + varint(seconds) + varint(nanos)
    body += b"\1" + varint(value) if metric % 2 or metric == PROBE[0] else b"\0" + struct.pack("<d", value * 1.5)
    return body + text("local_machine") + text("") + text("process") + text(str(pid)) + b"\1" + text("kind") + b"\3" + text(kind)


class Process:
    def __init__(self, command, folder, config, name):
        self.port = free_port()
        self.state = os.path.join(folder, name)
        self.log = os.path.join(folder, name + ".log")
        path = os.path.join(folder, name + ".toml")
        with open(path, "w") as f:
            f.write(f'[plugins.relay-server]\naddress = "127.0.0.1:{self.port}"\n')
            f.write("[plugins.relay-server.limits]\nconnections_per_address = 20000\n" + config)
        self.p = subprocess.Popen(command + ["--config", path, "--state-dir", self.state],
                                  stdout=subprocess.DEVNULL, stderr=open(self.log, "w"))
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if self.p.poll() is not None:
                    sys.exit(f"{name} ended: " + open(self.log).read()[-400:])
                time.sleep(0.1)
        sys.exit(name + " does not listen")

    def pid(self):
        pid = self.p.pid
        while True:  # the process that does the work is the last descendant
            kids = open(f"/proc/{pid}/task/{pid}/children").read().split()
            if not kids:
                return pid
            pid = int(kids[-1])

    def cpu(self):
        """Seconds of all threads, by the clock of the process (man 3 clock_getcpuclockid): /proc counts in hundredths."""
        return time.clock_gettime_ns(~self.pid() << 3 | 2) / 1e9

    def cpu_by_thread(self):
        """Seconds by the names of threads, of those that took any."""
        found = {}
        for task in os.listdir(f"/proc/{self.pid()}/task"):
            name, f = open(f"/proc/{self.pid()}/task/{task}/stat").read().split("(", 1)[1].rsplit(")", 1)
            ticks = int(f.split()[11]) + int(f.split()[12])
            found[name] = found.get(name, 0) + ticks / os.sysconf("SC_CLK_TCK")
        return {name: round(s, 2) for name, s in found.items() if s >= 0.01}

    def memory_mb(self, kind):
        """VmRSS, VmHWM (its peak) or RssAnon (without pages of files)."""
        return next(int(l.split()[1]) / 1024 for l in open(f"/proc/{self.pid()}/status") if l.startswith(kind))

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        try:
            return self.p.wait(30)
        except subprocess.TimeoutExpired:
            self.p.kill()
            return "killed"


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    return port


def slope(samples):
    """Of (x, y), by least squares."""
    n = len(samples)
    x, y = sum(s[0] for s in samples) / n, sum(s[1] for s in samples) / n
    return sum((s[0] - x) * (s[1] - y) for s in samples) / sum((s[0] - x) ** 2 for s in samples)


class Latency:
    """When rows of marked messages are in the file: their last point has the number of the mark as its value.

    A process of its own reads the file: beside the senders, a thread would be late.
    """

    MARK, HEADER = b"metric_probe_", b"metric;"

    def __init__(self, path):
        self.sent, self.marks, self.seen, self.rows = {}, 0, path + ".seen", multiprocessing.Value("q", 0)
        open(self.seen, "w").close()
        self.reader = multiprocessing.Process(target=self.follow, args=(path,), daemon=True)
        self.reader.start()

    def follow(self, path):
        rest = b""
        while not os.path.exists(path):
            time.sleep(0.005)
        f = open(path, "rb")
        with open(self.seen, "w", buffering=1) as seen:
            while True:
                read = f.read(1 << 20)
                if not read:
                    time.sleep(0.005)
                    if not os.path.exists(path) or os.path.samestat(os.fstat(f.fileno()), os.stat(path)):
                        continue
                    read = f.read(1 << 20)  # a file that is no longer at the path is complete
                    if not read:
                        f = open(path, "rb")
                        continue
                now = time.time()
                lines, _, rest = (rest + read).rpartition(b"\n")
                self.rows.value += lines.count(b"\n") + bool(lines) - lines.count(self.HEADER)
                at = -1
                while (at := lines.find(self.MARK, at + 1)) >= 0:
                    seen.write(f"{int(lines[at:at + 200].split(b';')[2])} {now}\n")

    def result(self):
        """Milliseconds, once all rows are there."""
        for _ in range(100):
            lines = open(self.seen).readlines()
            if len(lines) >= self.marks:
                break
            time.sleep(0.1)
        self.reader.kill()
        ms = sorted((float(at) - self.sent[int(number)]) * 1000 for number, at in map(str.split, lines))
        of = lambda share: round(ms[min(len(ms) - 1, int(len(ms) * share))], 1)
        return {"median": of(0.5), "p99": of(0.99), "max": of(1), "of": len(ms), "marks": self.marks}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--relay", default="./denow run -A main.ts")
    a.add_argument("--hosts", type=int, default=300)
    a.add_argument("--series", type=int, default=740)
    a.add_argument("--repeat", type=int, default=1)
    a.add_argument("--every", type=float, default=2)
    a.add_argument("--rounds", type=int, default=15)
    a.add_argument("--output", choices=["csv", "sqlite", "parquet", "postgresql"], default="csv")
    a.add_argument("--keys", action="append", default=[])
    a.add_argument("--moving", action="store_true")
    a.add_argument("--url")
    a.add_argument("--latency", action="store_true")
    a.add_argument("--rotate")
    a.add_argument("--by-round", action="store_true")
    a.add_argument("--hop", action="store_true")
    a.add_argument("--churn", type=float, default=0)
    a.add_argument("--patience", type=float, default=60)
    o = a.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    folder = tempfile.mkdtemp()
    command = o.relay.split()
    store = os.path.join(folder, "out." + o.output)
    key, value = {"csv": ("output_path", store), "sqlite": ("path", store), "postgresql": ("url", o.url),
                  "parquet": ("path", os.path.join(folder, "data/%H.parquet"))}[o.output]
    keys = o.keys + ([f'rotate_size = "{o.rotate}"', "keep_files = 3"] if o.rotate else [])
    server = Process(command, folder, f'[plugins.{o.output}]\n{key} = "{value}"\n' + "\n".join(keys) + "\n", "server")
    entry = server
    if o.hop:
        entry = Process(command, folder, f'[plugins.relay-client]\nrelay_server = "127.0.0.1:{server.port}"\n', "hop")
    ends = [server] if entry is server else [entry, server]
    names = [f"node-{i:05d}" for i in range(o.hosts)]
    kinds = ["user", "system", "resident", "shared"]
    fresh, latency, memory = 0, None, []

    def block(pid, first, begin, more=0):
        return b"".join(point(j, pid % 977 + j + more * (j % 3) * pid % 991, begin, first + j, pid, kinds[j % 4])
                        for j in range(min(10, o.series - first)))

    def message(host, begin):
        """The points of all processes of a host, some of which are new."""
        nonlocal fresh
        blocks = all_blocks[host]
        new = len(blocks) * o.churn
        for _ in range(int(new) + ((host * 7919 + fresh) % 1000 < new % 1 * 1000)):
            fresh += 1
            i = (fresh * 31) % len(blocks)
            blocks[i] = block(100_000 + fresh, 10 * i, begin)
        return frame(text(names[host]) + b"\3" + varint(o.series * o.repeat) + b"".join(blocks) * o.repeat)

    def marked(host, begin):
        """A message with one point more, by which its rows are found again."""
        number = latency.marks = latency.marks + 1
        probe = point(len(METRICS), number, begin, 0, 1, "probe")
        latency.sent[number] = time.time()
        return frame(text(names[host]) + b"\3" + varint(o.series * o.repeat + 1) + b"".join(all_blocks[host]) * o.repeat + probe)

    begin = int(time.time())
    first_blocks = [block(1000 + i, 10 * i, begin) for i in range((o.series + 9) // 10)]
    all_blocks = [list(first_blocks) for _ in names]
    ready = [message(h, begin) for h in range(o.hosts)]
    # Some rounds in turns, in which a third of the values stay, and all times are those of their sending.
    rounds = [b"".join(block(1000 + i, 10 * i, begin, more) for i in range(len(first_blocks))) for more in range(12)] if o.moving else []
    assert all(r.count(varint(begin)) == o.series for r in rounds)

    def moved(host, number):
        return frame(text(names[host]) + b"\3" + varint(o.series * o.repeat) +
                     rounds[number % len(rounds)].replace(varint(begin), varint(int(time.time()))) * o.repeat)

    sockets = []
    for name in names:
        s = socket.create_connection(("127.0.0.1", entry.port))
        s.settimeout(120)
        s.sendall(greet(name))
        sockets.append(s)
    for name, s in zip(names, sockets):
        s.recv(4096)
        s.sendall(register(name))
    if o.latency or o.rotate:
        latency = Latency(store)
    start_cpu = [p.cpu() for p in ends]
    t0, sent, behind, half, marks = time.time(), 0, 0.0, None, []
    first_round = int(t0 / o.every) + 1
    busy = 0.9 if o.by_round else 1
    if o.by_round:
        t0 = first_round * o.every
    for r in range(o.rounds):
        if r == o.rounds // 2:
            half = ([p.cpu() for p in ends], sent)
        for h, s in enumerate(sockets):
            due = t0 + (r + h / o.hosts * busy) * o.every - time.time()
            if due > 0.002:
                time.sleep(due)
            behind = max(behind, -due)
            if o.by_round and h == 0:
                before = server.cpu()
            if o.latency and r >= o.rounds // 4 and h % 10 == 0:
                s.sendall(marked(h, begin))
                sent += 1
            else:
                s.sendall(message(h, begin) if o.churn else moved(h, r) if o.moving else ready[h])
            sent += o.series * o.repeat
        if o.by_round:
            time.sleep(max(0, t0 + (r + 0.93) * o.every - time.time()))
            marks.append(server.cpu() - before)
        if o.churn:
            memory.append((time.time() / 60, ends[0].memory_mb("RssAnon")))
    t1, last_cpu = time.time(), [p.cpu() for p in ends]

    def ask(sql):
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
            return db.execute(sql).fetchone()[0] or 0

    def rows():
        try:
            if latency:
                return latency.rows.value
            if o.output == "csv":
                return int(subprocess.check_output(["wc", "-l", store]).split()[0]) - 1
            if o.output == "postgresql":
                return int(subprocess.check_output(["psql", "-Atc", "SELECT count(*) FROM alumet.points", o.url]))
            if o.output == "parquet":
                return sent  # by the hour
            return ask("SELECT sum(points) FROM parts")
        except (sqlite3.Error, subprocess.CalledProcessError):
            return 0

    while (n := rows()) < sent and time.time() - t1 < o.patience:
        time.sleep(0.25)
    t2, end_cpu = time.time(), [p.cpu() for p in ends]
    result = {
        "hosts": o.hosts, "series": o.hosts * o.series, "points_per_s": round(sent / (t1 - t0)), "output": o.output,
        "us_per_point": [round((e - s) / sent * 1e6, 4) for s, e in zip(start_cpu, end_cpu)],
        "us_per_point_second_half": [round((e - s) / max(1, sent - half[1]) * 1e6, 4) for s, e in zip(half[0], last_cpu)],
        "core_percent": [round((e - s) / (t2 - t0) * 100) for s, e in zip(start_cpu, end_cpu)],
        "peak_mb": [round(p.memory_mb("VmHWM")) for p in ends],
        "anon_mb": [round(p.memory_mb("RssAnon")) for p in ends], "sender_behind_s": round(behind, 2),
        "rows_after_s": round(t2 - t1, 2), "rows": n, "sent": sent,
    }
    if o.output == "sqlite":
        result["cpu_s_by_thread"] = ends[-1].cpu_by_thread()
        result["compacted"] = ask("SELECT sum(points) FROM parts WHERE compacted")
        result["bytes_per_point"] = round(os.path.getsize(store) / n, 1)
    if o.by_round:
        result["first_round"] = first_round
        result["us_per_point_by_round"] = [round(s / o.hosts / o.series / o.repeat * 1e6, 4) for s in marks]
    if o.latency:
        result["ms_from_write_to_row"] = latency.result()
    if o.churn:
        late = memory[len(memory) // 2:]
        result["anon_mb_by_time"] = [round(memory[i * (len(memory) - 1) // 8][1]) for i in range(9)]
        result["anon_slope_mb_per_minute"] = round(slope(late), 3)
    for s in sockets:
        s.close()
    result["exit"] = [p.stop() for p in ends]
    if o.hop:
        for line in open(entry.log):
            if "relay-client: Summary" in line:
                f = dict(x.split("=", 1) for x in line.split() if "=" in x)
                result["wire_bytes_per_point"] = round(int(f["sent_bytes"]) / max(1, int(f["sent_points"])), 2)
    print(json.dumps(result))
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if n == sent else 1


if __name__ == "__main__":
    sys.exit(main())
