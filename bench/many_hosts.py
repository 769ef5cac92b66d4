#!/usr/bin/env python3
"""Load as a cluster makes it: many hosts, each with hundreds of series of its own, polled every few seconds.

    bench/many_hosts.py --relay dist/alumet-relay --hosts 300 --series 740 --every 2 --rounds 15 --output csv [--hop] [--churn 0.01]

Starts a server (with --hop, a hop in front of it), connects one client of the real protocol per host, sends each round one
message of `series` points per host, spread over `every` seconds, and waits until every row is stored. Prints one line of JSON:
CPU per point (over all, and over the second half of the rounds), share of a core, peak memory, seconds that the rows came after
the last byte, rows. --churn: share of each host's series that are new in each round (processes come and go).
Loopback only; ends by itself.
"""
import argparse, json, os, resource, shutil, signal, socket, sqlite3, struct, subprocess, sys, tempfile, time


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


def greet(name):
    return frame(text(name) + b"\0" + text("0.9.5") + text("0.6.0") + varint(2))


def register(name):
    body = text(name) + b"\2" + varint(len(METRICS))
    for number, metric, is_u64, unit in METRICS:
        body += varint(number) + text(metric) + bytes([is_u64]) + text(unit) + text("")
    return frame(body)


def point(metric, value, seconds, nanos, pid, kind):
    body = varint(metric) + varint(seconds) + varint(nanos)
    body += b"\1" + varint(value) if metric % 2 else b"\0" + struct.pack("<d", value * 1.5)
    return body + text("local_machine") + text("") + text("process") + text(str(pid)) + b"\1" + text("kind") + b"\3" + text(kind)


class Process:
    def __init__(self, command, folder, config, name):
        self.port = free_port()
        self.log = os.path.join(folder, name + ".log")
        path = os.path.join(folder, name + ".toml")
        with open(path, "w") as f:
            f.write(f'[plugins.relay-server]\naddress = "127.0.0.1:{self.port}"\n')
            f.write("[plugins.relay-server.limits]\nconnections_per_address = 20000\n" + config)
        self.p = subprocess.Popen(command + ["--config", path, "--state-dir", os.path.join(folder, name)],
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
        f = open(f"/proc/{self.pid()}/stat").read().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self):
        return next(int(l.split()[1]) // 1024 for l in open(f"/proc/{self.pid()}/status") if l.startswith("VmHWM"))

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


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--relay", default="./denow run -A main.ts")
    a.add_argument("--hosts", type=int, default=300)
    a.add_argument("--series", type=int, default=740)
    a.add_argument("--every", type=float, default=2)
    a.add_argument("--rounds", type=int, default=15)
    a.add_argument("--output", choices=["csv", "sqlite"], default="csv")
    a.add_argument("--hop", action="store_true")
    a.add_argument("--churn", type=float, default=0)
    a.add_argument("--patience", type=float, default=60)
    o = a.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    folder = tempfile.mkdtemp()
    command = o.relay.split()
    store = os.path.join(folder, "out." + o.output)
    key = "output_path" if o.output == "csv" else "path"
    server = Process(command, folder, f'[plugins.{o.output}]\n{key} = "{store}"\n', "server")
    entry = server
    if o.hop:
        entry = Process(command, folder, f'[plugins.relay-client]\nrelay_server = "127.0.0.1:{server.port}"\n', "hop")
    ends = [server] if entry is server else [entry, server]
    names = [f"node-{i:05d}" for i in range(o.hosts)]
    kinds = ["user", "system", "resident", "shared"]
    fresh = 0

    def message(host, seconds):
        nonlocal fresh
        first = [pids[host][i] for i in range(len(pids[host]))]
        count = int(len(first) * o.churn + (1 if (host * 7919) % 1000 < (len(first) * o.churn % 1) * 1000 else 0))
        for i in range(count):
            fresh += 1
            pids[host][(fresh * 31) % len(first)] = 100_000 + fresh
        body, n = [], 0
        for pid in pids[host]:
            for j in range(10):
                if n == o.series:
                    break
                body.append(point(j, pid % 977 + j, seconds, n, pid, kinds[j % 4]))
                n += 1
        return frame(text(names[host]) + b"\3" + varint(n) + b"".join(body))

    pids = [[1000 + i for i in range((o.series + 9) // 10)] for _ in names]
    begin = int(time.time())
    ready = [message(h, begin) for h in range(o.hosts)]
    sockets = []
    for name in names:
        s = socket.create_connection(("127.0.0.1", entry.port))
        s.settimeout(120)
        s.sendall(greet(name))
        sockets.append(s)
    for name, s in zip(names, sockets):
        s.recv(4096)
        s.sendall(register(name))
    start_cpu = [p.cpu() for p in ends]
    t0, sent, behind, half = time.time(), 0, 0.0, None
    for r in range(o.rounds):
        if r == o.rounds // 2:
            half = ([p.cpu() for p in ends], sent)
        for h, s in enumerate(sockets):
            due = t0 + (r + h / o.hosts) * o.every - time.time()
            if due > 0.002:
                time.sleep(due)
            behind = max(behind, -due)
            s.sendall(message(h, begin + r) if o.churn else ready[h])
            sent += o.series
    t1, last_cpu = time.time(), [p.cpu() for p in ends]

    def rows():
        try:
            if o.output == "csv":
                return int(subprocess.check_output(["wc", "-l", store]).split()[0]) - 1
            with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
                return db.execute("SELECT count(*) FROM points").fetchone()[0]
        except (sqlite3.Error, subprocess.CalledProcessError):
            return 0

    while (n := rows()) < sent and time.time() - t1 < o.patience:
        time.sleep(0.25)
    t2, end_cpu = time.time(), [p.cpu() for p in ends]
    result = {
        "hosts": o.hosts, "series": o.hosts * o.series, "points_per_s": round(sent / (t1 - t0)), "output": o.output,
        "us_per_point": [round((e - s) / sent * 1e6, 2) for s, e in zip(start_cpu, end_cpu)],
        "us_per_point_second_half": [round((e - s) / max(1, sent - half[1]) * 1e6, 2) for s, e in zip(half[0], last_cpu)],
        "core_percent": [round((e - s) / (t2 - t0) * 100) for s, e in zip(start_cpu, end_cpu)],
        "peak_mb": [p.peak_mb() for p in ends], "sender_behind_s": round(behind, 2),
        "rows_after_s": round(t2 - t1, 2), "rows": n, "sent": sent,
    }
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


sys.exit(main())
