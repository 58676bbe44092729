#!/usr/bin/env python3
"""Where names lead (RFC 3263): NAPTR, SRV and A of a name server of ours, and failover between two Kamailios under one name.

Needs a build with the trait CAres; of the build without it this shows what it says."""
import json
import os
import re
import socket
import time

from kamailio import PASSWORDS, Kamailio, make_certificates
from lab import Report, apus, check, stop, text, wait_for
from name_server import A, NAPTR, SRV, NameServer, a, naptr, srv
from peers import ApusRun


def zone(*ports, transport="udp", pointer=True):
    """phones.test with a server for each port, the first preferred."""
    service = f"_sip._{transport}.phones.test"
    records = {service: [srv(10 * place, 0, port, f"server{place}.phones.test") for place, port in enumerate(ports, 1)]}
    records |= {f"server{place}.phones.test": [a("127.0.0.1")] for place in range(1, len(ports) + 1)}
    records["phones.test"] = [naptr(10, 10, "SIP+D2" + transport[0].upper(), service)] if pointer else []
    return records


def agent(user, servers, parameters=""):
    account = f"<sip:{user}@phones.test{parameters}>;auth_pass={PASSWORDS[user]};regint=8;answermode=auto"
    extra = "".join(f"dns_server {server.address}\n" for server in servers)
    return ApusRun("main", "none", "pcmu", account=account + ";audio_codecs=pcmu", extra=extra, options=("-s",))


def rungs(each):
    """The SIP ladder: titles, peer's ports and messages."""
    pieces = re.split(r"^ *[\d.]+ s  127\.0\.0\.1:\d+ (?:<--|---) (.+) (?:-->|---) 127\.0\.0\.1:(\d+)$", each.output(),
                      flags=re.M)
    return [(pieces[at], int(pieces[at + 1]), pieces[at + 2]) for at in range(1, len(pieces), 3)]


def registrar_of(each):
    """The port that last granted a registration."""
    granted = [port for title, port, message in rungs(each)
               if title == "200 OK" and re.search(r"^CSeq: \d+ REGISTER", message, re.M)]
    return granted[-1] if granted else None


def call(alice, bob, parameters=""):
    alice.command(f"/dial sip:bob@phones.test{parameters}")
    for who in (alice, bob):
        wait_for(lambda: text(who.process, "out").count(": established") > who.ended, 15, "the call stands")
    time.sleep(0.5)
    alice.command("/hangup")
    for who in (alice, bob):
        wait_for(lambda: text(who.process, "out").count("ended, hangup") > who.ended, 10, "the call ends")
        who.ended += 1


def failover(transport, pointer):
    """Two servers under one name: the first is used while it is there, the second when it is not, and the first again."""
    parameters = "" if pointer else f";transport={transport}"
    with Kamailio() as first, Kamailio() as second:
        ports = [one.ports[transport] for one in (first, second)]
        with NameServer(zone(*ports, transport=transport, pointer=pointer)) as names:
            with agent("alice", [names], parameters) as alice, agent("bob", [names], parameters) as bob:
                for each in (alice, bob):
                    each.ended = 0
                    each.wait_for("registered")
                check([registrar_of(alice), registrar_of(bob)] == [ports[0]] * 2, "the first server was not the one")
                call(alice, bob, parameters)
                for gone, port in ((first, ports[1]), (second, ports[0])):
                    stop(gone.process)
                    wait_for(lambda: [registrar_of(alice), registrar_of(bob)] == [port] * 2, 40, "both moved")
                    call(alice, bob, parameters)
                    gone.up()
    kinds = {kind for _, kind in names.questions}
    check(kinds >= ({NAPTR, SRV, A} if pointer else {SRV, A}), f"asked {names.questions[:8]}")


def silent_server():
    """A name server that does not answer is passed over for the next."""
    with Kamailio() as proxy, NameServer({}, is_silent=True) as silent, NameServer(zone(proxy.ports["udp"])) as names:
        with agent("alice", [silent, names]) as alice:
            alice.wait_for("registered", 20)
    check(silent.questions and names.questions, "one of the two was not asked")


def silent_registrar():
    """A server that is there and says nothing: the next is tried after the transaction's 32 s."""
    with Kamailio() as proxy, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        with NameServer(zone(hole.getsockname()[1], proxy.ports["udp"])) as names, agent("alice", [names]) as alice:
            began = time.monotonic()
            wait_for(lambda: registrar_of(alice) == proxy.ports["udp"], 60, "alice is registered at the second")
            return f"after {time.monotonic() - began:.0f} s"


def without_srv():
    """A build without the trait asks for addresses only, and says that the name has none."""
    result = apus("call", "sip:bob@phones.test", "--seconds", 1, limit=40)
    check(result.code == 69 and "phones.test" in result.err, f"exit {result.code}: {result.err[-300:]!r}")
    return result.err.strip().splitlines()[-1]


make_certificates()
report = Report()
has_names = any(row["name"] == "dns" and row["kinds"] for row in json.loads(apus("modules", "--json").out))
check(has_names or "APUS_TRAITS" not in os.environ, "the program has no names, though it was built with every trait")
report.run([
    ("failover by NAPTR and SRV, udp", failover, "udp", True),
    ("failover by NAPTR and SRV, tcp", failover, "tcp", True),
    ("failover by SRV, tcp", failover, "tcp", False),
    ("a silent name server", silent_server),
    ("a silent registrar", silent_registrar),
] if has_names else [("a build without names", without_srv)], at_once=5)
report.finish()
