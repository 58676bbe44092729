#!/usr/bin/env python3
"""What a user agent takes that only stands by: a thousand accounts, registered at SIPp."""
import os
import time

from lab import Report, check, wait_for
from peers import ApusRun
from sipp import SIPp, Scenario

ACCOUNTS, SECONDS, WANTED = 1000, 20, 0.005


def seconds_of(process):
    """Processor time that a process has used."""
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stands_by():
    registrar = Scenario("registrar").wants("REGISTER").reply("200 OK", "Expires: 3600", "[last_Contact:]")
    with SIPp(registrar, calls=ACCOUNTS, seconds=60) as sipp:
        lines = "\n".join(f"<sip:user{number}@127.0.0.1:{sipp.port}>;regint=3600;mwi=no" for number in range(ACCOUNTS))
        with ApusRun("pool", "none", "pcmu", account=lines) as agent:
            sipp.finish()
            wait_for(lambda: agent.output().count(": registered") == ACCOUNTS, 10, "every account is registered")
            time.sleep(2)
            before = seconds_of(agent.process)
            time.sleep(SECONDS)
            share = (seconds_of(agent.process) - before) / SECONDS
    check(agent.code == 0, f"exit {agent.code}: {agent.output()[-200:]!r}")
    check(share <= WANTED, f"{100 * share:.2f} % of a processor, at most {100 * WANTED} wanted")
    return f"{100 * share:.2f} % of a processor"


report = Report()
report.run([(f"{ACCOUNTS} accounts that stand by", stands_by)])
report.finish()
