"""Runs a program on a terminal: terminal.py COLUMNS ROWS STEPS PROGRAM ARGUMENT...

STEPS is JSON: a list of pairs, what to wait for (a regular expression, in what came since the last pair) and what to type
then. Prints JSON: the exit code, and everything that came.
"""
import codecs, fcntl, json, os, pty, re, select, struct, sys, termios, time

PATIENCE_S = 90
columns, rows, steps, command = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.execvp(command[0], command)
parts, fresh, end = [], "", time.monotonic() + PATIENCE_S
# A character may come in two pieces.
decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")


def read():
    """Takes what comes next; nothing at the end."""
    text = ""
    while text == "":
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        if not ready:
            sys.exit("not in time: " + repr("".join(parts)[-2000:]))
        try:
            got = os.read(terminal, 65536)
        except OSError:
            got = b""
        if got == b"":
            break
        text = decoder.decode(got)
    return text


for pattern, keys in steps:
    while not re.search(pattern, fresh):
        text = read()
        if text == "":
            sys.exit("ended before " + pattern + ": " + repr("".join(parts)[-2000:]))
        parts.append(text)
        fresh += text
    fresh = ""
    os.write(terminal, keys.encode())
while True:
    text = read()
    if text == "":
        break
    parts.append(text)
_, status = os.waitpid(pid, 0)
print(json.dumps({"code": os.waitstatus_to_exitcode(status), "text": "".join(parts)}))
