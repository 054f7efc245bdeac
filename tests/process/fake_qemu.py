# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands in for qemu-system-*: the real argv, real sockets, a real SSH server, and a guest that follows a scenario.

FAKE_QEMU_SCENARIO names a JSON file: {"boots": [STEPS, ...], "runs": [STEPS, ...], "answers": {PART: TEXT},
"serial": BOOL, "stranger": BOOL, "sysrq": {KEY: TEXT}, "restores": STEPS, "saving": STATUS, "refuses": WHAT,
"state": STATE, "mutants": {"refuses": [NUMBER, ...], "passed": {NUMBER: COUNT}, "runs": {NUMBER: STEPS}},
"loads": {WORKLOAD: STEPS}}.
The first guest follows the first of `boots` and, when somebody
runs a workload, the first of `runs`, the second the next; the last is for all the rest.
A workload that is named in `loads` follows that, and none of `runs`.
A guest that is restored follows `restores`, and not `boots`; `saving` is how a migration ends,
or "stuck" where it completes and the guest does not go on.
QEMU refuses to start at all ("all") or with a kernel ("kernel") where that is what `refuses` says, and `state` is what
it does with a guest that runs.
A guest that is told that it is a mutant whose number is in `refuses` keeps the number that it has; one whose number
is in the `runs` of `mutants` follows that; all of them say that the places in `passed` were passed.
A step is a list of a verb (a method of Guest below) and its arguments. Marks and process ids are files beside the JSON.
"""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

PROMPT = "patchrig# "
# Verbs of what runs in an SSH session.
_OF_A_RUN = ("say", "loop", "exit", "kernel_has")
STATE = "the state of a fake guest\n"
MEMORY = b"the memory of a fake guest\n"
USERNET = (
    "Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[HOST_FORWARD]   8       127.0.0.1 {port}       10.0.2.15    22     0     0\r\n"
)
GREETING = {
    "QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "fake"}, "capabilities": ["oob"]}
}


class Guest:
    """The machine's argv, its sockets, and what the scenario lets the guest do."""

    def __init__(self, argv: list[str], scenario: dict[str, Any], folder: Path) -> None:
        self.option = dict(pairwise(argv))
        self.scenario = scenario
        self.folder = folder
        self.memory = dict(part.partition("=")[::2] for part in options(self.option.get("-object", "")))
        self.running = threading.Event()
        self.chardev = dict(part.split("=", 1) for part in options(self.option["-chardev"])[1:])
        self.given = dict(part.split("=", 1) for part in options(self.option["-add-fd"]))
        assert self.chardev["logfile"] == f"/dev/fdset/{self.given['set']}"
        self.handed_in = -1  # by getfd
        self.files = dict(archive_files(Path(self.option["-initrd"]).read_bytes())) if "-initrd" in argv else {}
        # In the sandbox it is a port of the guest's own network; outside of it the host picks one.
        asked = re.search(r"hostfwd=tcp:127\.0\.0\.1:(\d+)-", self.option.get("-netdev", ""))
        self.ssh = socket.create_server(("127.0.0.1", int(asked[1]) if asked else 0))
        self.port: int = self.ssh.getsockname()[1]
        self.lock = threading.Lock()
        self.serial: list[socket.socket] = []
        self.sessions: list[Any] = []
        self.breaks = 0
        self.mutants = scenario.get("mutants") or {}
        self.mutant = "0"
        self.told = 0

    def follow(self, steps: list[list[Any]], channel: Any = None) -> None:
        for verb, *arguments in steps:
            getattr(self, verb)(*arguments, **({"channel": channel} if verb in _OF_A_RUN else {}))

    def console(self, text: str) -> None:
        """The guest prints on its console: into the log, and to whoever is connected."""
        data = f"{text}\n".replace("\n", "\r\n").encode()
        with self.lock:
            os.write(int(self.given["fd"]), data)

    def run_steps(self, command: str) -> list[list[Any]]:
        """What a workload does, where it is not the guest's number that says so; `command`: run-workload's."""
        own: dict[str, list[list[Any]]] = self.mutants.get("runs", {})
        if self.mutant in own:
            return own[self.mutant]
        named = re.search(r" -- ([\w-]+) --seconds ", command)
        loads: dict[str, list[list[Any]]] = self.scenario.get("loads", {})
        return loads.get(named[1], []) if named else []

    def facts(self) -> dict[str, str]:
        return {
            "cpus": self.option["-smp"].partition(",")[0],
            "memory_kib": str(int(self.option["-m"].removesuffix("M")) * 970),
            "speed": "200.0",
        }

    def machine(self) -> dict[str, str]:
        """As its options and its kernel's config make it."""
        config = Path(self.option["-kernel"]).with_name("config").read_text(encoding="utf-8", errors="replace")
        words = self.option.get("-append", "").split()
        sizes = {"CONFIG_ARM64_16K_PAGES=y": "16", "CONFIG_ARM64_64K_PAGES=y": "64"}
        return {
            "page_kib": next((kib for symbol, kib in sizes.items() if symbol in config), "4"),
            "nodes": str(max(1, sys.argv.count("-numa"))),
            "memcg": "v1" if "patchrig.memcg=v1" in words else "v2",
            "thp": "always" if "transparent_hugepage=always" in words else "never",
        }

    def ready(self, changes: dict[str, str] | None = None) -> None:
        config = Path(self.option["-kernel"]).with_name("config").read_bytes()
        facts = self.facts() | self.machine() | {"config": f"{zlib.crc32(config):08x}{len(config):08x}"}
        said = " ".join(f"{key}={value}" for key, value in (facts | (changes or {})).items())
        self.console(f"[    1.204117][   T41] patchrig: ready {said}")
        self.console("[    1.304117][   T41] patchrig: settled")

    def tell(self, text: str, stream: str = "said") -> None:
        """What guest-scripts/job.c does with what the workload prints, piece by piece."""
        data = text.encode()
        for at in range(0, len(data), 540):
            piece = data[at : at + 540]
            words = f"{stream} {self.told} {zlib.crc32(piece):08x} {base64.b64encode(piece).decode()}"
            self.console(f"[    2.{self.told:06}][   T57] patchrig: {words}")
            self.told += 1

    def say(self, line: str, *, channel: Any) -> None:
        channel.sendall(f"{line}\n".encode())

    def loop(self, line: str, *, channel: Any) -> None:
        """Say the line for ever, {n} in it counting up."""
        count = 0
        while True:
            count += 1
            self.say(line.replace("{n}", str(count)), channel=channel)
            self.sleep(0.02)

    def exit(self, status: int, *, channel: Any) -> None:
        channel.send_exit_status(status)
        channel.close()

    def kernel_has(self, text: str, steps: list[list[Any]], others: list[list[Any]], *, channel: Any) -> None:
        """One thing or another, by whether the kernel's image has the text in it."""
        has = text.encode() in Path(self.option["-kernel"]).read_bytes()
        self.follow(steps if has else others, channel)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def mark(self, name: str) -> None:
        own_file(self.folder).rename(self.folder / name)

    def await_mark(self, name: str) -> None:
        while not (self.folder / name).exists():
            time.sleep(0.01)

    def hang(self) -> None:
        signal.pause() if threading.current_thread() is threading.main_thread() else threading.Event().wait()

    def die(self, status: int) -> None:
        """QEMU ends, as it does with -no-reboot when the guest resets."""
        os._exit(status)

    def die_of(self, number: int) -> None:
        os.kill(os.getpid(), number)
        self.hang()

    def complain(self, text: str) -> None:
        """QEMU itself says something, which goes to its log."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def cut(self) -> None:
        """SSH is gone; the guest is not."""
        self.ssh.shutdown(socket.SHUT_RDWR)
        self.ssh.close()
        for session in self.sessions:
            session.close()

    def answer(self, command: str) -> str:
        answers: dict[str, str] = self.scenario.get("answers", {})
        for key in re.findall(r"echo (\w) > /proc/sysrq-trigger", command):
            self.sysrq(key)
        if said := next((text for part, text in answers.items() if part in command), ""):
            return said
        if told := re.search(r"echo (\d+) > \S+/patchrig_mutant", command):
            self.mutant = self.mutant if int(told[1]) in self.mutants.get("refuses", ()) else told[1]
            return f"{self.mutant}\n"
        if "/proc/patchrig_reached" in command:
            passed: dict[str, int] = self.mutants.get("passed", {})
            return "".join([f"{self.mutant}\n", *(f"{number} {count}\n" for number, count in passed.items())])
        return self.renewed(command) if "/patchrig/reseed" in command else ""

    def renewed(self, command: str) -> str:
        """The guest got a time and entropy, kept beside the scenario, and says what it is."""
        (self.folder / f"renewed.{os.getpid()}").write_text(command)
        return " ".join(f"{key}={value}" for key, value in self.facts().items())

    def serve_qmp(self, server: socket.socket) -> None:
        while True:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                self._qmp_session(client)

    def _qmp_session(self, client: socket.socket) -> None:
        def send(value: object) -> None:
            client.sendall(f"{json.dumps(value)}\r\n".encode())

        send(GREETING)
        for asked, descriptors in messages(client):
            said: object = {}
            if asked["execute"] == "getfd":
                (self.handed_in,) = descriptors
            elif asked["execute"] in ("migrate", "cont", "migrate-incoming", "query-migrate", "query-status"):
                said = self._migration(asked["execute"], asked.get("arguments", {}).get("uri", ""))
            elif asked["execute"] == "human-monitor-command":
                said = self._monitor(asked["arguments"]["command-line"])
            elif asked["execute"] == "chardev-send-break":
                assert asked["arguments"]["id"] == self.chardev["id"]
                self.breaks += 1
            elif asked["execute"] == "dump-guest-memory":
                os.write(self.handed_in, b"\x7fELF")
            stuck = asked["execute"] == "cont" and self.scenario.get("saving") == "stuck"
            answer = {"error": {"class": "GenericError", "desc": "it stands still"}} if stuck else {"return": said}
            send(answer | ({"id": asked["id"]} if "id" in asked else {}))

    def _migration(self, command: str, uri: str) -> dict[str, str]:
        """What goes to a file that was handed in and comes from one, without the memory."""
        assert command not in ("migrate", "migrate-incoming") or uri == "fd:handed-in"
        ended = self.scenario.get("saving", "completed").replace("stuck", "completed")
        if command == "migrate" and ended == "completed":
            os.write(self.handed_in, STATE.encode())
            with Path(self.memory["mem-path"]).open("r+b") as memory:
                memory.write(MEMORY)
        elif command == "migrate-incoming":
            if os.read(self.handed_in, 1 << 16).decode() != STATE:
                sys.stderr.write("fake QEMU: load of migration failed: Invalid argument\n")
                sys.stderr.flush()
                self.die(1)
            assert Path(self.memory["mem-path"]).read_bytes().startswith(MEMORY)
            self.running.set()
        if command == "query-migrate":
            return {"status": ended}
        if command != "query-status":
            return {}
        waits = "-incoming" in self.option and not self.running.is_set()
        return {"status": "inmigrate" if waits else self.scenario.get("state", "running")}

    def _monitor(self, command: str) -> str:
        if command == "info usernet":
            return USERNET.format(port=self.port)
        return "\r\nCPU#0\r\nRAX=0000000000000000\r\n" if command.startswith("info registers") else ""

    def serve_serial(self, server: socket.socket) -> None:
        """A shell on the console that echoes what is typed, as a terminal does, or nobody; and sysrq after a break."""
        while True:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                self._serial_session(client)

    def _serial_session(self, client: socket.socket) -> None:
        line = ""
        while data := client.recv(1):
            if self.breaks:
                self.breaks -= 1
                self.sysrq(data.decode())
                continue
            line += data.decode()
            if line.endswith("\n"):
                self._typed(client, line)
                line = ""

    def _typed(self, client: socket.socket, line: str) -> None:
        if not self.scenario.get("serial", True):
            client.shutdown(socket.SHUT_RDWR)
            return
        client.sendall(f"{line}{self.answer(line)}{PROMPT}".replace("\n", "\r\n").encode())

    def sysrq(self, key: str) -> None:
        """The kernel says on the console what it was asked, whoever asked."""
        said: dict[str, str] = self.scenario.get("sysrq", {})
        if key in said:
            self.console(said[key])

    def serve_ssh(self, number: int) -> None:
        # Imported late: the guest's first lines should not wait for it.
        from tests.process.fake_sshd import serve

        runs: list[list[list[Any]]] = self.scenario["runs"]
        serve(self, runs[min(number, len(runs) - 1)], stranger=self.scenario.get("stranger", False))


def options(argument: str) -> list[str]:
    """The parts of an option, in which a comma of a value is doubled, as QEMU reads them."""
    return [part.replace("\0", ",") for part in argument.replace(",,", "\0").split(",")]


def messages(client: socket.socket) -> Iterator[tuple[Any, list[int]]]:
    """The JSON values that a client sends, which need no line ends between them, with the files it handed in before."""
    text = ""
    descriptors: list[int] = []
    while True:
        data, more, _, _ = socket.recv_fds(client, 65536, 4)
        if not data:
            return
        descriptors += more
        text = (text + data.decode()).lstrip()
        while text:
            try:
                value, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                break  # the rest is still on its way
            text = text[end:].lstrip()
            yield value, descriptors
            if value["execute"] == "getfd":
                descriptors.clear()


def archive_files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of joined newc archives, in order; a later one of the same path replaces an earlier one."""
    at = 0
    while (at := archive.find(b"070701", at)) >= 0:
        numbers = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = numbers[6], numbers[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        data_at = -(-(at + 110 + name_size) // 4) * 4
        yield name, archive[data_at : data_at + size]
        at = -(-(data_at + size) // 4) * 4


def private_seed(dropbear_key: bytes) -> bytes:
    """The 32 bytes that an ed25519 key is made of, from dropbear's key file."""
    name_size = int.from_bytes(dropbear_key[:4], "big")
    assert dropbear_key[4 : 4 + name_size] == b"ssh-ed25519"
    key = dropbear_key[8 + name_size :]
    assert int.from_bytes(dropbear_key[4 + name_size : 8 + name_size], "big") == len(key) == 64
    return key[:32]


def authorized(line: bytes) -> bytes:
    """The key of an authorized_keys line, as it goes over the wire."""
    return base64.b64decode(line.split()[1])


def own_file(folder: Path) -> Path:
    """A file with our process id, to be given its name when it is whole."""
    file = folder / f".{os.getpid()}"
    file.write_text(str(os.getpid()))
    return file


def start_number(folder: Path) -> int:
    """How many guests were started before this one."""
    number, file = 0, own_file(folder)
    while True:
        try:
            (folder / f"qemu.{number}").hardlink_to(file)
            return number
        except FileExistsError:
            number += 1


def unix_server(path: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen()
    return server


def main() -> None:
    argv = sys.argv[1:]
    if "--version" in argv:
        sys.stdout.write("QEMU emulator version 7.2.22 (a fake for tests)\n")
        return
    if "kvm" in argv:
        sys.exit("fake QEMU: no KVM here")
    path = Path(os.environ["FAKE_QEMU_SCENARIO"])
    scenario = json.loads(path.read_text())
    if scenario.get("refuses") == "all" or (scenario.get("refuses") == "kernel" and "-kernel" in argv):
        sys.exit("fake QEMU: \x1b[31mthis can't be started\x1b[0m")
    guest = Guest(argv, scenario, path.parent)
    qmp = options(guest.option["-qmp"].removeprefix("unix:"))[0]
    if "-kernel" not in argv:
        guest.serve_qmp(unix_server(qmp))
    number = start_number(path.parent)
    services = (
        (guest.serve_qmp, unix_server(qmp)),
        (guest.serve_ssh, number),
        # A deterministic guest's serial line has no other end.
        *(((guest.serve_serial, unix_server(guest.chardev["path"])),) if "path" in guest.chardev else ()),
    )
    for serve, argument in services:
        threading.Thread(target=serve, args=(argument,), daemon=True).start()
    boots = scenario["boots"]
    if "-incoming" in guest.option:
        guest.running.wait()
        guest.follow(scenario.get("restores", []))
    else:
        guest.follow(boots[min(number, len(boots) - 1)])
    guest.hang()


if __name__ == "__main__":
    main()
