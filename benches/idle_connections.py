#!/usr/bin/env python3
"""Measures the cost of idle connections to the gateway. scripts/idle-connections runs it.

    python3 benches/idle_connections.py [COUNT] [PATH OF THE GATEWAY]

Opens COUNT (9,000) connections to a gateway in a process of its own, of several kinds in turn: without a byte,
with half a request head, with half an HTTP/2 preface, and idle after one request. Prints for each kind the
gateway's resident bytes per connection, the time until the gateway had closed the last one, and the memory and
descriptors that remain; and the latency of requests during the whole run. Exits with 1 when a connection stays
open or a request fails.
Linux only: it reads /proc.
"""

import http.client
import os
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 9_000
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PROGRAM = sys.argv[2] if len(sys.argv) > 2 else os.path.join(ROOT, "target/release/superoffice-gateway")
# The gateway's time-out is 20 s; the rest is slack for a busy machine.
LONGEST = 40


def resident(pid, name="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Requests(threading.Thread):
    """Sends valid requests, each on a connection of its own, until `stop` is set."""

    def __init__(self, host, port):
        super().__init__(daemon=True)
        self.host, self.port = host, port
        self.stop = threading.Event()
        self.times, self.failures = [], []

    def run(self):
        while not self.stop.wait(0.05):
            begin = time.monotonic()
            try:
                connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
                connection.request("GET", "/healthz")
                status = connection.getresponse().status
                connection.close()
                if status != 200:
                    self.failures.append(f"status {status}")
            except OSError as error:
                self.failures.append(repr(error))
            self.times.append(time.monotonic() - begin)


def open_all(host, port, payloads):
    opened = []
    for index in range(COUNT):
        connection = socket.create_connection((host, port), timeout=30)
        connection.sendall(payloads[index % len(payloads)])
        connection.setblocking(False)
        opened.append(connection)
    return opened


def wait_until_closed(opened, begin):
    """Returns the seconds until the gateway closed the last one, and how many are open at the limit."""
    selector = selectors.DefaultSelector()
    for connection in opened:
        selector.register(connection, selectors.EVENT_READ)
    last, left = begin, len(opened)
    while left and time.monotonic() - begin < LONGEST:
        for key, _ in selector.select(timeout=1):
            try:
                if key.fileobj.recv(65536):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            selector.unregister(key.fileobj)
            key.fileobj.close()
            last, left = time.monotonic(), left - 1
    return last - begin, left


def main():
    # The gateway inherits the limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = COUNT + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"the limit of open files is {hard}, but {wanted} are needed: raise it (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    command = [PROGRAM, "--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:9", "--any-audience"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as gateway:
        try:
            line = gateway.stdout.readline()
            host, port = line.split("//")[1].strip().split(":")
            sys.exit(measure(gateway.pid, host, int(port)))
        finally:
            gateway.kill()


def measure(pid, host, port):
    requests = Requests(host, port)
    requests.start()
    time.sleep(1)
    kinds = [
        ("silent", [b""]),
        ("half a head", [b"POST /NotifyCustomerStateChange HTTP/1.1\r\nHost: a\r\nX: "]),
        ("half a preface of HTTP/2", [b"PRI * HTTP/2"]),
        ("one request", [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"]),
        # The allocator reuses what it kept from the first wave, unless something leaks.
        ("half a head, once more", [b"POST /NotifyCustomerStateChange HTTP/1.1\r\nHost: a\r\nX: "]),
    ]
    bad = False
    for name, payloads in kinds:
        before, files = resident(pid), descriptors(pid)
        begin = time.monotonic()
        opened = open_all(host, port, payloads)
        took = time.monotonic() - begin
        time.sleep(1)
        during, files_during = resident(pid), descriptors(pid)
        # Counted from the last one opened: the first may be closed while others are opened.
        seconds, left = wait_until_closed(opened, time.monotonic())
        for connection in opened:
            connection.close()
        time.sleep(1)
        after, files_after = resident(pid), descriptors(pid)
        bad |= left > 0 or files_after > files + 10
        print(
            f"{COUNT} x {name}: opened in {took:.1f} s; {files_during - files} held, "
            f"{(during - before) / COUNT:.0f} resident bytes each ({before >> 10} -> {during >> 10} KiB); "
            f"the last closed {seconds:.1f} s after that, {left} left; "
            f"afterwards {after >> 10} KiB, {files_after - files} descriptors more than before",
            flush=True,
        )
    requests.stop.set()
    requests.join(15)
    times = sorted(requests.times)
    bad |= bool(requests.failures)
    print(
        f"requests during the run: {len(times)} answered in {times[len(times) // 2] * 1e3:.1f} ms (median), "
        f"{times[len(times) * 99 // 100] * 1e3:.1f} ms (99 %), {times[-1] * 1e3:.1f} ms (slowest); "
        f"{len(requests.failures)} failed {requests.failures[:3]}"
    )
    print(f"highest resident: {resident(pid, 'VmHWM') >> 10} KiB")
    return 1 if bad else 0


main()
