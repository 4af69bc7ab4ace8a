"""Starts a notebook server, runs commands in a kernel and two terminals, and ends it when nobody listens any more."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from jupyter_client import BlockingKernelClient

folder, cell, bang, detached = sys.argv[1:]
config = os.path.join(folder, "config.py")
with open(config, "w") as file:
    # Terminals run the files `terminal` and `other`, whichever is there first.
    shell = f"cd {folder}; mv terminal taken && exec sh taken; exec sh other"
    file.write(f"c.ServerApp.terminado_settings = {{'shell_command': ['/bin/sh', '-c', {shell!r}]}}\n")

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=t"]
server = subprocess.Popen(
    [os.path.join(os.path.dirname(sys.executable), "jupyter-server"), *options, "--config=" + config],
    cwd=folder,
    stderr=subprocess.PIPE,
    text=True,
)
address = next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))


def post(path):
    request = urllib.request.Request(address + path, b"{}", {"Authorization": "token t"})
    # The server tells its address a moment before it listens there, and tells nothing when it does.
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return json.load(reply)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.05)
    sys.exit("the server does not listen")


try:
    kernel = post("api/kernels")["id"]
    client = BlockingKernelClient()
    client.load_connection_file(os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], f"kernel-{kernel}.json"))
    client.start_channels()
    client.wait_for_ready(timeout=30)
    for code in [
        f"import subprocess; subprocess.run({cell.split()!r})",
        f"!{bang}",
        f"subprocess.run(['setsid', '-w', 'env', '-i', *{detached.split()!r}])",
    ]:
        client.execute_interactive(code, timeout=30)
    post("api/terminals")
    post("api/terminals")
    sys.stdin.read()
finally:
    server.terminate()
    server.wait()
