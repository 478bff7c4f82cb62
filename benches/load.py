#!/usr/bin/env python3
"""Measures the gateway's forwarding under load, in turn with nginx's `proxy_pass`. scripts/load runs it.

One nginx is the upstream of both proxies and answers each call with 512 bytes. Idle connections stand at both
proxies during the whole run, and are opened again when a proxy closes them; the gateway has readers of
`/events` and, each second, of `/metrics` besides. `wrk` sends the calls, for 64 tenants in turn, to one proxy
after the other in rounds. Prints the medians of the rounds, and the gateway's resident memory over time.
Exits with 1 when a call failed, when the gateway has less than half of nginx's throughput, or when its memory
grew by more than a tenth between the run's second and last quarter.
Linux only: it reads /proc.
"""

import argparse
import http.client
import os
import re
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SCRIPT = """
local n = 0
request = function()
  n = (n + 1) % 64
  return wrk.format("GET", "/Cust" .. (20000 + n) .. "/api/v1/Contact/" .. n)
end
done = function(summary, latency, requests)
  io.write(string.format("figures %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.errors.status, latency:percentile(50), latency:percentile(99)))
end
"""

NGINX = """
worker_processes auto;
error_log stderr error;
pid {directory}/nginx.pid;
daemon off;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 20s;
  {server}
}}
"""

UPSTREAM = 'server {{ listen 127.0.0.1:{port} backlog=4096; return 200 "{body}"; }}'

PROXY = """
  upstream superoffice {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /live {{ return 200 "live"; }}
    location / {{
      proxy_pass http://superoffice;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $proxy_host;
    }}
  }}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"port {port} does not listen")


def start_nginx(directory, name, server):
    home = os.path.join(directory, name)
    os.mkdir(home)
    path = os.path.join(home, "nginx.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(NGINX.format(directory=home, server=server))
    return subprocess.Popen(["nginx", "-e", "stderr", "-p", home, "-c", path])


def hold(port, count):
    """Keeps `count` connections at `port` that asked once, in a process of its own, until it is killed."""
    request = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    selector = selectors.DefaultSelector()

    def connect():
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.sendall(request)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)

    for index in range(count):
        connect()
        # Spread, so that they do not end all at once.
        if index % 10 == 0:
            time.sleep(0.01)
    print("held", flush=True)
    while True:
        for key, _ in selector.select():
            try:
                if key.fileobj.recv(4096):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            selector.unregister(key.fileobj)
            key.fileobj.close()
            connect()


def read_events(port):
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                while connection.recv(65536):
                    pass
        except OSError:
            pass
        time.sleep(0.1)


def scrape(port, failures):
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                failures.append(response.status)
            connection.close()
        except OSError as error:
            failures.append(repr(error))
        time.sleep(1)


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def processor(pids):
    """Seconds of processor time of these processes and their children that still run."""
    ticks = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(entry) in pids or int(fields[1]) in pids:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run_wrk(script, port, calls, seconds):
    command = ["wrk", "-t1", f"-c{calls}", f"-d{seconds}s", "--timeout", "10s", "-s", script]
    output = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True
    ).stdout
    figures = re.search(r"figures (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    requests, duration, errors, statuses, median, slow = map(int, figures.groups())
    return {
        "rate": requests / (duration / 1e6),
        "requests": requests,
        "failed": errors + statuses,
        "median": median / 1e3,
        "p99": slow / 1e3,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--round", type=int, default=15, help="seconds of a round")
    options = parser.parse_args()

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The gateway reckons two files for a connection, because its call may take one too. A full one closes idle
    # connections, which is not what is measured here.
    idle = min(options.idle, (hard - 200) // 2 - options.calls)
    if idle < options.idle:
        print(f"the limit of open files, {hard}, allows {idle} idle connections in place of {options.idle}")
        options.idle = idle
    upstream, nginx, proxy = (free_port() for _ in range(3))
    failures, children = [], []
    with tempfile.TemporaryDirectory() as directory:
        try:
            script = os.path.join(directory, "calls.lua")
            with open(script, "w", encoding="ascii") as file:
                file.write(SCRIPT)
            server = UPSTREAM.format(port=upstream, body="x" * 512)
            children.append(start_nginx(directory, "upstream", server))
            peer = start_nginx(directory, "proxy", PROXY.format(port=nginx, upstream=upstream))
            children.append(peer)
            gateway = subprocess.Popen(
                [options.gateway, "--listen", f"127.0.0.1:{proxy}", "--any-audience"]
                + ["--base-url", "http://127.0.0.1:9", "--upstream", f"http://127.0.0.1:{upstream}"]
                + ["--max-connections", str(options.idle + options.calls + 1000)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            children.append(gateway)
            for port in (upstream, nginx, proxy):
                wait_for(port)
            for port in (proxy, nginx):
                command = [sys.executable, __file__, "--hold", str(port), str(options.idle)]
                holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                children.append(holder)
                holder.stdout.readline()
            for _ in range(4):
                threading.Thread(target=read_events, args=(proxy,), daemon=True).start()
            threading.Thread(target=scrape, args=(proxy, failures), daemon=True).start()
            return measure(options, script, (gateway.pid, proxy), (peer.pid, nginx), failures)
        finally:
            for child in reversed(children):
                child.terminate()
            for child in children:
                child.wait()


def measure(options, script, gateway, peer, failures):
    rounds = {"gateway": [], "nginx": []}
    memory = []
    begin = time.monotonic()
    for pid, port in (gateway, peer):
        run_wrk(script, port, options.calls, 3)
    while not rounds["nginx"] or time.monotonic() - begin < options.minutes * 60:
        for name, (pid, port) in (("gateway", gateway), ("nginx", peer)):
            used = processor({pid})
            figures = run_wrk(script, port, options.calls, options.round)
            figures["processor"] = (processor({pid}) - used) / figures["requests"] * 1e6
            rounds[name].append(figures)
        memory.append(resident(gateway[0]))
        minutes = (time.monotonic() - begin) / 60
        print(
            f"{minutes:5.1f} min: gateway {rounds['gateway'][-1]['rate']:6.0f} calls/s, "
            f"nginx {rounds['nginx'][-1]['rate']:6.0f}; gateway {memory[-1]} KiB",
            flush=True,
        )

    def median(name, what):
        return statistics.median(figures[what] for figures in rounds[name])

    for name in rounds:
        print(
            f"{name}: {median(name, 'rate'):.0f} calls/s, {median(name, 'median'):.1f} ms (median), "
            f"{median(name, 'p99'):.1f} ms (99 %), {median(name, 'processor'):.1f} us of processor time a call, "
            f"{sum(figures['failed'] for figures in rounds[name])} failed"
        )
    pairs = zip(rounds["gateway"], rounds["nginx"])
    ratio = statistics.median(ours["rate"] / theirs["rate"] for ours, theirs in pairs)
    print(f"ratio of throughput: {ratio:.2f} ({len(rounds['nginx'])} rounds in turn)")
    quarter = max(len(memory) // 4, 1)
    early = statistics.median(memory[quarter : 2 * quarter] or memory)
    late = statistics.median(memory[-quarter:])
    print(f"memory: {early:.0f} KiB in the second quarter, {late:.0f} KiB in the last")
    failed = sum(figures["failed"] for figures in rounds["gateway"])
    if failures:
        print(f"/metrics failed {len(failures)} times: {failures[:3]}")
    return 1 if failed or failures or ratio < 0.5 or late > early * 1.1 else 0


if sys.argv[1:2] == ["--hold"]:
    hold(int(sys.argv[2]), int(sys.argv[3]))
else:
    sys.exit(main())
