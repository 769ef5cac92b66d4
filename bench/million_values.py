#!/usr/bin/env python3
"""One client whose points have an attribute with a million values, in messages of 50,000, and another client beside it.

    bench/million_values.py dist/alumet-relay

Prints one line of JSON when all rows are stored: rows, CPU time in s, the longest write of the other client, and memory in MiB.
"""
import json, os, shutil, socket, subprocess, sys, tempfile, threading, time
from many_hosts import Process, frame, greet, register, text, varint

VALUES, STEP, BESIDE, PATIENCE_S = 1_000_000, 50_000, 500, 90


def message(name, first, end):
    points = [varint(1) + varint(1700000000) + varint(i) + b"\1" + varint(i) + text("local_machine") + text("") +
              text("process") + text("1") + b"\1" + text("id") + b"\3" + text(f"value-{name}-{i:09d}")
              for i in range(first, end)]
    return frame(text(name) + b"\3" + varint(end - first) + b"".join(points))


def main():
    folder = tempfile.mkdtemp()
    store = os.path.join(folder, "out.csv")
    server = Process(sys.argv[1:], folder, f'[plugins.csv]\noutput_path = "{store}"\n', "server")

    def connect(name):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.settimeout(120)
        s.sendall(greet(name))
        s.recv(4096)
        s.sendall(register(name))
        return s

    other, stranger = connect("other"), connect("stranger")
    beside, stop, sent, longest = message("other", 0, BESIDE), threading.Event(), 0, 0.0

    def write_beside():
        nonlocal sent, longest
        while not stop.is_set():
            began = time.time()
            other.sendall(beside)
            sent += BESIDE
            longest = max(longest, time.time() - began)
            time.sleep(0.2)

    thread = threading.Thread(target=write_beside)
    thread.start()
    for first in range(0, VALUES, STEP):
        stranger.sendall(message("stranger", first, first + STEP))
    stop.set()
    thread.join()
    last, want = time.time(), VALUES + sent

    def rows():
        return int(subprocess.check_output(["wc", "-l", store]).split()[0]) - 1

    while (n := rows()) < want and time.time() - last < PATIENCE_S:
        time.sleep(0.3)
    print(json.dumps({
        "rows": n, "sent": want, "cpu_s": round(server.cpu(), 2), "longest_write_beside_s": round(longest, 2),
        "peak_mib": round(server.memory_mb("VmHWM")), "anon_mib": round(server.memory_mb("RssAnon")), "exit": server.stop(),
    }))
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if n == want else 1


sys.exit(main())
