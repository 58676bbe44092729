#!/usr/bin/env python3
"""Apus, Debian's baresip and linphonec registered at one Kamailio: calls each way, hold, digits, blind and attended
transfer with Apus at every end, in each receive mode. What is heard is judged by the packets of each flow."""
import re
import sys
import time
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.signal import correlate

from kamailio import PASSWORDS, Kamailio, make_certificates
from lab import MODES, Failure, Listener, Report, check, decode_mu_law, reference, rtp_payload, text, wait_for
from linphone import Linphone, Network
from peers import Baresip

# How long a flow is listened to, and how much of it must be the speech, from 0 to 1.
SECONDS, AGREEMENT = 1.8, 0.7


def agreement(packets):
    """How well a piece of PCMU agrees with some piece of the speech, which may begin again at its end."""
    heard, known = decode_mu_law(b"".join(rtp_payload(each.payload) for each in packets)), np.tile(reference(8000), 2)
    if len(heard) < 8000 or not heard.any():
        return 0.0
    at = int(np.argmax(np.abs(correlate(known, heard, mode="valid", method="fft"))))
    return float(abs(np.corrcoef(known[at : at + len(heard)], heard)[0, 1]))


class Stage:
    """One receive mode's Kamailio with everybody registered: alice and dave are Apus, bob is baresip, carol linphonec."""

    def __init__(self, mode, network):
        self.mode, self.listener = mode, Listener(network)
        self.kamailio = Kamailio(namespace=network, port=5060)  # the default: linphonec leaves the port out of a Refer-To
        self.kamailio.up()
        self.alice = self.kamailio.apus("alice", "udp", mode)
        self.dave = self.kamailio.apus("dave", "udp", mode)
        account = f"<{self.uri('bob')}>;auth_pass={PASSWORDS['bob']};regint=600"
        self.bob = Baresip("none", "pcmu", 300, account=account, namespace=network)
        self.carol = Linphone(network, "none", True, ("carol", PASSWORDS["carol"], self.kamailio.ports["udp"]))

    def __enter__(self):
        self.listener.__enter__()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: one.__enter__(), (self.alice, self.dave, self.bob, self.carol)))
        self.ports = {user: self.media_ports(user) for user in ("alice", "dave", "bob", "carol")}
        for apus in (self.alice, self.dave):
            apus.wait_for("registered")
        for user in ("bob", "carol"):
            wait_for(lambda: any(message.startswith("SIP/2.0 200") and f"<sip:{user}@" in message and "REGISTER" in message
                                 for message in self.listener.sip()), 20, f"{user} is registered")
        return self

    def __exit__(self, *_):
        for one in (self.alice, self.dave, self.bob, self.carol, self.kamailio, self.listener):
            one.__exit__()

    def uri(self, user):
        return self.kamailio.address(user, "udp").replace(";transport=udp", "")

    def media_ports(self, user):
        if user == "carol":
            return range(Linphone.RTP, Linphone.RTP + 32)  # a port further for each call
        folder = getattr(self, user).folder
        first, last = re.search(r"rtp_ports (\d+)-(\d+)", (folder / "config").read_text()).groups()
        return range(int(first), int(last) + 1)

    def flow(self, source, target, since):
        seen = self.listener.datagrams
        sources, targets = self.ports[source], self.ports[target]
        return [each for each in seen[bisect_left(seen, since, key=lambda each: each.time):]
                if each.source in sources and each.target in targets and each.is_rtp]

    def told(self, since, *users):
        """What tells why these don't talk: who has sent how much to whom, the last SIP, and what they print."""
        sent = {f"{one} to {other}": len(self.flow(one, other, since)) for one in self.ports for other in self.ports}
        return {"sent": {pair: count for pair, count in sent.items() if count},
                "last SIP": [message.split("\r\n")[0] for message in self.listener.sip()][-12:],
                **{user: getattr(self, user).output()[-300:] for user in users}}

    def talk(self, one, other):
        """That both hear the speech: from now on, for so many seconds."""
        since = time.monotonic()
        try:
            wait_for(lambda: all(self.flow(*pair, since) for pair in ((one, other), (other, one))), 20,
                     f"{one} and {other} send to each other")
        except Failure as failure:
            raise Failure(f"{failure}; {self.told(since, one, other)}") from failure
        since = time.monotonic()
        time.sleep(SECONDS)
        heard = []
        for pair in ((one, other), (other, one)):
            packets = self.flow(*pair, since)
            share = agreement(packets)
            check(len(packets) > 35 * SECONDS and share > AGREEMENT,
                  f"{pair[0]} to {pair[1]}: {len(packets)} packets agree with the speech by {share:.2f}")
            heard.append(f"{pair[1]} heard {share:.2f}")
        return ", ".join(heard)

    def silent(self, source, target, what):
        """That nothing flows any more."""
        time.sleep(0.3)
        since = time.monotonic()
        time.sleep(0.7)
        packets = self.flow(source, target, since)
        check(not packets, f"{what}: {source} still sends to {target}")

    def clear(self):
        """Ends whatever stands."""
        for apus in (self.alice, self.dave):
            apus.command("/hangupall")
        for _ in range(2):
            self.bob.command("hangup")
        self.carol.command("terminate all")
        since = time.monotonic() + 0.3
        wait_for(lambda: time.monotonic() > since + 0.4 and not any(
            each.is_rtp and each.time > time.monotonic() - 0.4 for each in self.listener.datagrams[-200:]), 8, "quiet")
        for apus in (self.alice, self.dave):
            seen = Seen(apus)
            apus.command("/listcalls")
            seen.wait(r"Active calls \(0\)")


class Seen:
    """What one Apus prints from now on."""

    def __init__(self, apus):
        self.apus, self.start = apus, len(text(apus.process, "out"))

    def text(self):
        return text(self.apus.process, "out")[self.start:]

    def wait(self, words, seconds=12):
        wait_for(lambda: re.search(words, self.text()), seconds, f"apus prints {words!r} (it printed {self.text()[-300:]!r})")


# Calls

def dials(stage, caller, callee, state=Linphone.FREE):
    seen = Seen(stage.alice)
    if caller == "bob":
        stage.bob.command("dial", stage.uri(callee))
    elif caller == "carol":
        # While a call is not over for it, linphonec makes no other.
        stage.carol.until(state)
        stage.carol.command(f"call {stage.uri(callee)}")
    else:
        getattr(stage, caller).command(f"/dial {stage.uri(callee)}")
    if "alice" in (caller, callee):
        seen.wait("established")
    return seen


def hangs_up(stage, who):
    if who == "bob":
        stage.bob.command("hangup")
    elif who == "carol":
        stage.carol.command("terminate")
    else:
        stage.alice.command("/hangup")


def call(stage, caller, callee, ender):
    seen = dials(stage, caller, callee)
    heard = stage.talk(caller, callee)
    hangs_up(stage, ender)
    # linphonec sends STUN to the media ports.
    dropped = r"\d{1,2}" if "carol" in (caller, callee) else "0"
    seen.wait(rf"ended, hangup; [\d.]+ s, sent \d{{2,}}, received \d{{2,}}, lost 0, dropped {dropped}\b")
    return heard


def hold(stage, peer):
    """Each holds the other once: who is held sends nothing, and both go on afterwards."""
    seen = dials(stage, "alice", peer)
    stage.talk("alice", peer)
    stage.alice.command("/hold")
    stage.silent(peer, "alice", "alice holds")
    stage.alice.command("/resume")
    stage.talk("alice", peer)
    hold, resume = ("hold", "resume") if peer == "bob" else ("pause", "resume")
    peers = getattr(stage, peer)
    peers.command(hold)
    seen.wait("held by the peer")
    stage.silent("alice", peer, f"{peer} holds")
    peers.command(resume)
    seen.wait("resumed by the peer")
    heard = stage.talk("alice", peer)
    hangs_up(stage, "alice")
    seen.wait("ended, hangup")
    return heard


def digits(stage, peer):
    seen = dials(stage, "alice", peer)
    seen.wait("the peer is heard")
    stage.alice.command("/sndcode 159#")
    for digit in "42*":
        if peer == "bob":
            stage.bob.command("sndcode", digit)
        else:
            stage.carol.command(digit)
        time.sleep(0.4)
    seen.wait(r"digit \*")
    heard = re.findall(r"digit (.)", seen.text())
    check("".join(heard) == "42*", f"apus heard {heard}")
    wait_for(lambda: received(stage, peer)[-4:] == "159#", 5, f"{peer} hears 159#, not {received(stage, peer)!r}")
    hangs_up(stage, "alice")
    seen.wait("ended, hangup")


def received(stage, peer):
    """The digits that a peer says came in."""
    if peer == "bob":
        return "".join(re.findall(r"received (?:DTMF )?event: '(.)'.*?\(end=0\)", stage.bob.output())
                       or re.findall(r"Received DTMF[^\n]*?'?([\d*#])'?", stage.bob.output()))
    return "".join(re.findall(r"Receiving tone (.)", stage.carol.output()))


# Transfers

def blind(stage, transferor, transferee, target):
    """`transferor` is called by `transferee`, and sends it to `target`."""
    seen = Seen(stage.alice)
    dials(stage, transferee, transferor)
    stage.talk(transferee, transferor)
    if transferor == "bob":
        stage.bob.command("transfer", stage.uri(target))
    elif transferor == "carol":
        stage.carol.until(Linphone.TALKING)
        stage.carol.command(f"transfer {stage.uri(target)}")
    else:
        stage.alice.command(f"/transfer {stage.uri(target)}")
    heard = stage.talk(transferee, target)
    if transferor == "alice":
        seen.wait("ended, hangup")
    stage.silent(transferee, transferor, "transferred")
    stage.clear()
    return heard


def attended(stage, transferee, target):
    """Alice talks to both, and connects them by Replaces."""
    seen = dials(stage, "alice", transferee)
    stage.talk("alice", transferee)
    second = Seen(stage.alice)
    stage.alice.command(f"/atransferstart {stage.uri(target)}")
    second.wait("established")
    stage.talk("alice", target)
    stage.alice.command("/atransferexec")
    heard = stage.talk(transferee, target)
    wait_for(lambda: len(re.findall("ended, ", seen.text())) == 2, 10, f"both calls of alice end: {seen.text()[-300:]!r}")
    stage.clear()
    return heard


def attended_by_linphone(stage):
    """Carol calls dave, then alice, and connects the two."""
    seen = Seen(stage.alice)
    dials(stage, "carol", "dave")
    stage.talk("carol", "dave")
    stage.carol.command("pause")
    dials(stage, "carol", "alice", Linphone.PAUSED)
    stage.talk("carol", "alice")
    first, second = re.findall(r"assigned id (\d+)", stage.carol.output())[-2:]
    stage.carol.command(f"transfer {first} --to-call {second}")
    heard = stage.talk("alice", "dave")
    seen.wait("ended, ")
    stage.clear()
    return heard


TALKING = [
    ("alice calls bob", call, "alice", "bob", "bob"),
    ("bob calls alice", call, "bob", "alice", "alice"),
    ("alice calls carol", call, "alice", "carol", "alice"),
    ("carol calls alice", call, "carol", "alice", "carol"),
    ("hold with bob", hold, "bob"),
    ("hold with carol", hold, "carol"),
    ("digits with bob", digits, "bob"),
    ("digits with carol", digits, "carol"),
]
TRANSFERS = [
    ("alice transfers bob to carol", blind, "alice", "bob", "carol"),
    ("alice transfers carol to bob", blind, "alice", "carol", "bob"),
    ("bob transfers alice to carol", blind, "bob", "alice", "carol"),
    ("carol transfers alice to bob", blind, "carol", "alice", "bob"),
    ("bob transfers carol to alice", blind, "bob", "carol", "alice"),
    ("attended, alice connects carol with dave", attended, "carol", "dave"),
    ("attended, alice connects dave with carol", attended, "dave", "carol"),
    ("attended, carol connects alice with dave", attended_by_linphone),
]


def all_of(cases, mode):
    """Every case on one stage; what fails is cleared away, for the next begins with nothing."""
    def run(body, arguments):
        try:
            return body(stage, *arguments)
        except Exception:
            stage.clear()
            raise

    with Network() as network, Stage(mode, network) as stage:
        report.run([(f"{name}, {mode}", run, body, arguments) for name, body, *arguments in cases
                    if not words or any(word in name for word in words)])
    for apus in (stage.alice, stage.dave):
        check(apus.code == 0, f"apus run ended with {apus.code}: {apus.output()[-300:]!r}")


make_certificates()
report = Report(is_whole=True)
modes = [mode for mode in MODES if mode in sys.argv] or MODES
words = [word for word in sys.argv[1:] if word not in MODES]
report.run([(f"{name} end well, {mode}", all_of, cases, mode) for mode in modes
            for name, cases in (("calls", TALKING), ("transfers", TRANSFERS))], at_once=6)
report.finish()
