#!/usr/bin/env python3
"""Folders of baresip's own: the one that Debian's baresip makes at its first start, and the examples of its package. Apus
starts in each with warnings only, and calls."""
import pathlib
import re
import subprocess

from lab import APUS, Report, apus, check, fresh, free_ports, is_bound, start, text, wait_for
from peers import ApusRun

EXAMPLES = pathlib.Path("/usr/share/doc/baresip-core/examples")


def made_by_baresip():
    """What baresip writes into an empty folder."""
    folder = fresh("baresip-folder")
    subprocess.run(["baresip", "-f", folder, "-t", "1"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    config = (folder / "config").read_text()
    for line in ("module_path", "stdio.so", "account.so", "menu.so", "auconv.so", "alsa.so"):
        if line not in config:
            config += f"module\t\t\t{line}\n" if line.endswith(".so") else f"{line}\t\t/usr/lib/baresip/modules\n"
    # Its own templates have these commented out.
    for name in ("stdio", "alsa", "auconv"):
        config = re.sub(rf"^#(module\s+{name}\.so)", r"\1", config, flags=re.M)
    (folder / "config").write_text(config)
    return folder


def examples():
    """The package's examples, with the folder of modules and the converter that Debian has."""
    folder = fresh("baresip-folder")
    for name in ("config", "accounts", "contacts"):
        (folder / name).write_text((EXAMPLES / name).read_text())
    with open(folder / "config", "a") as config:
        config.write("module_path\t\t/usr/lib/baresip/modules\nmodule\t\t\tauconv.so\n")
    return folder


def starts(make):
    folder, port = make(), free_ports(2)
    for line in ("stdio.so", "alsa.so", "auconv.so", "module_path"):
        check(re.search(rf"^[^#\n]*{line}", (folder / "config").read_text(), re.M), f"{line} is not switched on")
    # On a port of the test's own, and with one account more, which needs no registrar.
    with open(folder / "config", "a") as config:
        config.write(f"sip_listen\t\t127.0.0.1:{port}\n")
    with open(folder / "accounts", "a") as accounts:
        accounts.write(f"<sip:me@127.0.0.1:{port}>;regint=0;answermode=auto\n")
    checked = apus("check", "-f", folder)
    process = start([APUS, "run", "-f", folder, "-t", 8], folder / "apus", cwd=folder)
    wait_for(lambda: is_bound(port) or process.poll() is not None, 8, "apus is up")
    with ApusRun("main", "none", "pcmu", dial=f"sip:me@127.0.0.1:{port}") as peer:
        peer.wait_for("established")
        peer.command("/hangup")
        peer.wait_for("ended, hangup")
    process.wait(20)
    said = text(process).splitlines()
    check(process.returncode == 0, f"exit {process.returncode}: {said[-3:]}")
    check(checked.code == 0, f"check: exit {checked.code}: {checked.out[-400:]}")
    warnings = [line for line in said if ": warning: " in line]
    others = [line for line in said if line not in warnings and "is listening on" not in line]
    check(warnings and not others, f"not only warnings: {others[:3]}")
    return f"{len(warnings)} warnings"


report = Report()
report.run([
    ("the folder that baresip makes", starts, made_by_baresip),
    ("the examples of baresip's package", starts, examples),
], at_once=2)
report.finish()
