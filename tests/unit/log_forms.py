# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms in which consoles reach people: a kernel's lines -> the lines of such a log."""

import html
import json

# A template for one line; fields() has what may stand in it.
Form = str
START = 1234.5


def fields(number: int, text: str) -> dict[str, str]:
    """What a form may say of a line: times that go on, and the text in several notations."""
    seconds = START + number / 1000
    return {
        "text": text,
        "json": json.dumps(text),
        "html": html.escape(text),
        "yaml": text.replace("'", "''"),
        "json_line": json.dumps(f"{text}\n"),
        # As /dev/kmsg escapes it.
        "kmsg": "".join(char if " " <= char <= "~" and char != "\\" else f"\\x{ord(char):02x}" for char in text),
        "number": f"{900 + number}",
        "stamp": f"{seconds:12.6f}",
        "seconds": f"{seconds:.6f}",
        "whole": f"{int(seconds):5}",
        "micros": f"{seconds * 1e6:.0f}",
        "millis": f"{number % 1000:03}",
        "second": f"{number % 60:02}",
        "clock": f"10:{number // 60 % 60:02}:{number % 60:02}",
    }


STAMPED: dict[str, Form] = {
    "console": "[{stamp}] {text}",
    "console-caller": "[{stamp}][ T3919] {text}",
    "dmesg-caller": "[{stamp}] [   T3919] {text}",
    "dmesg-raw": "<4>[{stamp}] {text}",
    "dmesg-decode": "kern  :warn  : [{stamp}] {text}",
    "task-in-bracket": "[{stamp}] [   T3919] [cat] {text}",
    "kmsg": "4,{number},{micros},-;{kmsg}",
    "kmsg-in-a-viewer": "{number}   \u2502 4,{number},{micros},-;{kmsg}",
    "kmsg-caller": "4,{number},{micros},-,caller=T3919;{kmsg}",
    "netconsole-release": "6.12.0-rc1+,4,{number},{micros},-,caller=C0;{kmsg}",
    "colours": "\x1b[32m[{stamp}] \x1b[0m\x1b[33m{text}\x1b[0m\r",
    "colours-of-cat-v": "^[[32m[{stamp}] ^[[0m{text}",
    "colours-without-escape": "[32m[{stamp}] [0m{text}",
    "mainframe-terminal": "\u00a2{stamp}! {text}",
    "mainframe-terminal-german": "\u00dd{stamp}\u00a8 {text}",
    "mainframe-terminal-in-a-raw-mail": "> =C2=A2{stamp}! {text}",
    "mediatek": "<4>[{stamp}]-(1)[312:cat]{text}",
    "samsung": "<4>[{stamp}]  [2:            cat:  312] {text}",
    "samsung-level": "<4>[{stamp}]I[2:            cat:  312] {text}",
    "mediatek-file": "<4>[{stamp}]-(1)[312:cat][name:traps&]{text}",
    "huawei": "<4>[{stamp}s][2025:11:01 {clock}][pid:312,cpu2,cat]{text}",
    "huawei-in-irq": "<4>[{stamp}s][pid:312,cpu2,in irq]{text}",
    "qualcomm": "[{stamp}] c2    312 {text}",
    "qualcomm-task": "[{stamp}] (CPU:2-pid:312:cat) {text}",
    "web-page": "[{stamp}] {html}",
    "rsyslog": "Nov  1 {clock} host kernel: [{stamp}] {text}",
    "logread": "Sat Nov  1 {clock} 2025 kern.alert kernel: [{stamp}] {text}",
    "ram-console-date": "  {stamp}:   <6> (01-28 {clock}.265420763) {text}",
    "facility-first": "kern: kern.warn: Nov  1 {clock} kernel: [{stamp}] {text}",
    "busybox": "Nov  1 {clock} router kern.warn kernel: [{stamp}] {text}",
    "netconsole-syslog": "Nov  1 {clock} 192.0.2.7 [{stamp}] {text}",
    "netconsole-extended-syslog": "Nov  1 {clock} box 4,{number},{micros},-,caller=C1;{kmsg}",
    "short-monotonic": "[{stamp}] host kernel: {text}",
}

UNSTAMPED: dict[str, Form] = {
    "plain": "{text}",
    "caller-only": "[    T1] {text}",
    "dmesg-T": "[Sat Nov  1 {clock} 2025] {text}",
    "dmesg-T-caller": "[Sat Nov  1 {clock} 2025] [   T3919] {text}",
    "dmesg-T-portuguese": "[sáb nov  1 {clock} 2025] {text}",
    "dmesg-T-japanese": "[土 11月  1 {clock} 2025] {text}",
    "dmesg-T-thai": "[ส. พ.ย.  1 {clock} 2025] {text}",
    "dmesg-T-hindi": "[शनि नवम्बर  1 {clock} 2025] {text}",
    "crash-T": "[Sat Nov 01 {clock} UTC 2025] {text}",
    "dmesg-H-date": "[Nov 1 10:{second}] {text}",
    "dmesg-H-date-spanish": "[1 nov 10:{second}] {text}",
    "dmesg-H-date-finnish": "[marras 1 10:{second}] {text}",
    "dmesg-H": "[  +0.000{millis}] {text}",
    "dmesg-H-french": "[  +0,000{millis}] {text}",
    "dmesg-d": "[{stamp} <    0.001000>] {text}",
    "dmesg-d-T": "[Sat Nov  1 {clock} 2025 <    0.001000>] {text}",
    "dmesg-d-t": "[<    0.001000>] {text}",
    "dmesg-iso": "2025-11-01T{clock},123456+01:00 {text}",
    "dmesg-x-T": "kern  :err   : [Sat Nov  1 {clock} 2025] {text}",
    "dmesg-json": '         "msg": {json}',
    "short": "Nov 01 {clock} host kernel: {text}",
    "short-no-host": "Nov 01 {clock} kernel: {text}",
    "short-german": "Mär 01 {clock} host kernel: {text}",
    "short-spanish": "1 de nov {clock} host kernel: {text}",
    "short-turkish": "Şub 01 {clock} host kernel: {text}",
    "short-greek": "Νοε 01 {clock} host kernel: {text}",
    "short-korean": "11월 01 {clock} host kernel: {text}",
    "short-arabic": "نوفمبر 01 {clock} host kernel: {text}",
    "short-iso": "2025-11-01T{clock}+0100 host kernel: {text}",
    "short-iso-precise": "2025-11-01T{clock}.123456+01:00 host kernel: {text}",
    "short-full": "Sat 2025-11-01 {clock} CET host kernel: {text}",
    "short-full-japanese": "土 2025-11-01 {clock} JST host kernel: {text}",
    "short-full-no-host": "Sat 2025-11-01 {clock} +03 kernel: {text}",
    "short-unix": "1761987600.{millis}000 host kernel: {text}",
    "short-delta": "[{stamp} <    0.001000 >] host kernel: {text}",
    "with-unit": "Sat 2025-11-01 {clock} CET host kernel[n/a]: {text}",
    "journal-json": '{{"PRIORITY": "4", "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": {json}, "_HOSTNAME": "box"}}',
    "rfc3164": "<4>Nov  1 {clock} host kernel: {text}",
    "rfc5424": "<4>1 2025-11-01T{clock}.123456+01:00 host kernel - - - {text}",
    "rfc5424-data": '<12>1 2025-11-01T{clock}Z host kernel - - [meta sequenceId="{number}"] \ufeff{text}',
    "rfc5424-file": "1 2025-11-01T{clock}Z host kernel - - - {text}",
    "syslog-ip6": "Nov  1 {clock} fe80::1:2 kernel: {text}",
    "netconsole-plain-syslog": "Nov  1 {clock} 192.0.2.7 {text}",
    "tag-only": "kernel: {text}",
    "wall": "\nMessage from syslogd@box at Nov  1 {clock} ...\n kernel:{text}",
    "ts": "Nov 01 {clock} {text}",
    "ts-seconds": "{clock} {text}",
    "lava": "2025-11-01T{clock}.123456 {text}",
    "github": "2025-11-01T{clock}.1234567Z {text}",
    "github-job": "boot test\tRun make test\t2025-11-01T{clock}.1234567Z {text}",
    "gitlab": "2025-11-01T{clock}.123456Z 01O {text}",
    "jenkins": "[2025-11-01T{clock}.123Z] {text}",
    "minicom": "[2025-11-01 {clock}] {text}",
    "tio": "[{clock}.123] {text}",
    "grabserial": "[{seconds} 0.000100] {text}",
    "docker": '{{"log": {json_line}, "stream": "stdout", "time": "2025-11-01T{clock}Z"}}',
    "cri": "2025-11-01T{clock}.123456789Z stdout F {text}",
    "compose": "guest_1  | {text}",
    "lava-yaml": '- {{"dt": "2025-11-01T{clock}", "lvl": "target", "msg": {json}}}',
    "quoted": "> {text}",
    "quoted-twice": ">> {text}",
    "robot": "| {text}",
    "xen": "(XEN) {text}",
    "xen-guest": "(d3) {text}",
    "logcat": "11-01 {clock}.123     0     0 W {text}",
    "amlogic": "[{stamp}@2]  {text}",
    "no-fraction": "[{whole}.] {text}",
    "grep": "dmesg.txt:{number}:{text}",
    "epoch": "1761987{number} {text}",
    "clock-in-parentheses": "(10:00:{second}) {text}",
    "short-vietnamese": "Thg 11 01 {clock} host kernel: {text}",
    "short-japanese": " 9月 01 {clock} host kernel: {text}",
    "date-japanese": "2025年11月1日 {clock} {text}",
    "lava-old-yaml": "- {{dt: '2025-11-01T{clock}', lvl: target, msg: '{yaml}'}}",
    "spaces-of-a-web-page": "[Sat\xa0Nov\xa0\xa01\xa0{clock}\xa02025]\xa0{text}",
    "talos": "kern: warning: [2025-11-01T{clock}.123456789Z]: {text}",
    "talos-indented": " kern: warning: [2025-11-01T{clock}.123456789Z]: {text}",
    "talos-node": "node-5.example.org: kern:    crit: [2025-11-01T{clock}.123456789Z]: {text}",
    "date-in-stamp": "[{stamp} / 11-01 {clock}.524][1] {text}",
}  # fmt: skip

ALL = STAMPED | UNSTAMPED

# These are known only by the line before.
MARGINS: dict[str, Form] = {
    "indented": "    {text}",
    "quoted-indented": ">     {text}",
    "syslog-two-spaces": "Nov  1 {clock} host kernel:  {text}",
    "netconsole-syslog-name": "Nov  1 {clock} box {text}",
    "numbered": "  {number}: {text}",
    "numbered-tab": "  {number}\t{text}",
    "viewer": " {number}   \u2502 {text}",
    "viewer-without-numbers": "\u2502 {text}",
    "in-bracket": "[exp] {text}",
    "in-wide-bracket": "[ vm1 ]  {text}",
    "initials": "JD> {text}",
    "bullets": "* {text}",
}

# What is put around any of them.
OUTER: dict[str, Form] = {
    name: UNSTAMPED[name]
    for name in ("github", "github-job", "lava", "lava-yaml", "gitlab", "jenkins", "minicom", "docker", "cri", "quoted",
                 "robot", "compose")
}  # fmt: skip

# What a log daemon or /dev/kmsg has of a program that quotes the kernel.
PROGRAMS: dict[str, Form] = {
    "short": "Nov 01 {clock} host sshd[12]: {text}",
    "short-no-host": "Nov 01 {clock} myprog[12]: {text}",
    "short-name-only": "Nov 01 {clock} host myprog: {text}",
    "short-own-stamp": "Nov 01 {clock} host qemu[12]: [{stamp}] {text}",
    "short-own-stamp-name-only": "Nov 01 {clock} host qemu: [{stamp}] {text}",
    "short-iso": "2025-11-01T{clock}+0100 host myprog[1]: {text}",
    "short-full": "Sat 2025-11-01 {clock} CET host my.unit[12]: {text}",
    "short-unix": "1761987600.{millis}000 host myprog[1]: {text}",
    "short-monotonic": "[{stamp}] host myprog[1]: {text}",
    "short-polish": "sty 01 {clock} host myprog[1]: {text}",
    "rfc3164": "<12>Nov  1 {clock} host myprog[7]: {text}",
    "rfc5424": "<12>1 2025-11-01T{clock}Z host myprog 7 - - {text}",
    "rfc5424-own-stamp": "<12>1 2025-11-01T{clock}Z host qemu 7 - - [{stamp}] {text}",
    "logread": "Sat Nov  1 {clock} 2025 user.notice myprog: {text}",
    "journal-json": '{{"PRIORITY": "4", "SYSLOG_IDENTIFIER": "myprog", "MESSAGE": {json}, "_HOSTNAME": "box"}}',
    "kmsg": "12,{number},{micros},-;{kmsg}",
    "kmsg-tag": "4,{number},{micros},-;myprog[5]: {kmsg}",
    "dmesg-raw": "<12>[{stamp}] {text}",
    "dmesg-decode": "user  :warn  : [{stamp}] {text}",
    "console": "[{stamp}] myprog[5]: {text}",
    "console-caller": "[{stamp}][ T3919] myprog: {text}",
    "console-own-stamp": "[{stamp}] qemu[5]: [{stamp}] {text}",
    "talos": "node-5.example.org: user: warning: [2025-11-01T{clock}.123456789Z]: {text}",
    "level": "2025-11-01 {clock},123 ERROR {text}",
    "sentence": "the log has: {text}",
    "quoted-text": 'time="2025-11-01T{clock}" level=warning msg="{text}"',
}


def wrapped(form: Form, lines: list[str]) -> list[str]:
    return "\n".join(form.format_map(fields(number, text)) for number, text in enumerate(lines)).split("\n")
