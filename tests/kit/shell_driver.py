"""Types into a shell on a terminal, and says what became of the line: drive.py bash|zsh SCRIPT LINE..."""
import json, os, pty, select, sys, time
shell, script, *lines = sys.argv[1:]
end = "\x18\x10"  # Ctrl-X Ctrl-P
PATIENCE_S = 90
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(PS1="", TERM="dumb", HOME="/nonexistent", LC_ALL="C.UTF-8")
    os.execvp(shell, [shell, "--norc", "--noprofile", "-i"] if shell == "bash" else ["zsh", "-f", "-i"])
def read(until):
    got, deadline = "", time.monotonic() + PATIENCE_S
    while until not in got and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            got += os.read(terminal, 65536).decode(errors="replace")
    return got
def send(text): os.write(terminal, text.encode())
if shell == "bash":
    send(f". {script}; show() {{ echo; echo \"BUF<$READLINE_LINE>FUB\"; }}; bind -x '\"\\C-x\\C-p\": show'; echo RE''ADY\n")
else:
    send(f"autoload -Uz compinit; compinit -u -D; . {script}; show() {{ print; print -r -- \"BUF<$BUFFER>FUB\" }}; zle -N show; bindkey '^X^P' show; print RE''ADY\n")
if "READY" not in read("READY"): sys.exit("no shell")
results = []
for line in lines:
    send("\x15" + line + "\t")
    send(end)
    got = read(">FUB")
    results.append(got.split("BUF<")[-1].split(">FUB")[0])
os.kill(pid, 9)
print(json.dumps(results))
