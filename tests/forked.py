"""`deepcheck` as a program that starts in milliseconds: each start is a fork of one that has imported everything.

For scripts that call it many times, where how it starts is not what is tested. Arguments, folder, environment and the
three streams are those of the caller; SIGINT and SIGTERM are passed on, and the exit code comes back.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import json, os, signal, socket, sys
from deepcheck.__main__ import main
from deepcheck.cli import bench, conduct, progress, scan_delivery, scan_outputs, scan_watch
from deepcheck.engine import train
from deepcheck.scanner import run, watch

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that the dead need no burial
while True:
    caller, _ = listener.accept()
    if os.fork():
        caller.close()
        continue
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    message, streams, *_ = socket.recv_fds(caller, 1 << 16, 3)
    while not message.endswith(b"\\n"):
        message += caller.recv(1 << 16)
    arguments, folder, environment = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    caller.send(str(os.getpid()).encode())
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    caller.send(str(code).encode())
    os._exit(code)
"""

CALLER = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n"
sent = socket.send_fds(server, [told], [0, 1, 2])
server.sendall(told[sent:])
pid = int(server.recv(64))
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os.kill(pid, number))
sys.exit(int(server.recv(64) or 1))
"""


@contextmanager
def serving(folder: Path) -> Iterator[Path]:
    """The path of the program, in a folder that holds nothing else."""
    folder.joinpath("bin").mkdir()
    program, address = folder / "bin" / "deepcheck", folder / "socket"
    program.write_text(CALLER.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield program
        finally:
            server.terminate()
