#!/usr/bin/env python3
"""aiortc, a WebRTC stack with ICE, DTLS, SRTP and RTP of its own, calls Apus and is called by it, in every receive mode: ICE,
DTLS-SRTP, rtcp-mux and BUNDLE, each end with a tone that the other has to hear."""
import json
import re
import subprocess
import sys
import time

import numpy as np

from foreign import PROFILES
from lab import HERE, HOST, MODES, Network, Report, check, free_ports, fresh, is_bound, load, start, stop, text, tone_share, wait_for
from peers import MODULES, ApusRun

OTHER = "10.77.0.2"  # aiortc has a candidate there, too
SECONDS = 2.5
APUS_TONE, AIORTC_TONE = 1000, 600
APUS_LEVEL, AIORTC_LEVEL = 10 ** (-12 / 20) / 2 ** 0.5, 0.5 / 2 ** 0.5  # a sine's RMS


class Aiortc:
    """The peer program, in a namespace."""

    def __init__(self, namespace, dial=None, **how):
        self.port, self.folder, self.namespace = free_ports(2), fresh("aiortc"), namespace
        self.uri = f"sip:aiortc@{HOST}:{self.port}"
        wanted = {"port": self.port, "host": HOST, "dial": dial, "tone": AIORTC_TONE, "record": str(self.folder / "heard.wav"), **how}
        self.process = start([sys.executable, HERE / "aiortc_peer.py", json.dumps(wanted)], self.folder / "aiortc", namespace)

    def __enter__(self):
        wait_for(lambda: is_bound(self.port, self.namespace) or self.process.poll() is not None, 20, "aiortc is up")
        return self

    def __exit__(self, *_):
        stop(self.process)

    def wait_for(self, words, seconds=20):
        wait_for(lambda: words in text(self.process) or self.process.poll() is not None, seconds, f"aiortc says {words!r}")
        check(words in text(self.process), f"aiortc ended with {self.process.poll()}: {text(self.process)[-300:]!r}")

    def seen(self):
        """What it saw, when the call is over."""
        check(self.process.wait(20) == 0, f"aiortc ended with {self.process.returncode}: {text(self.process)[-300:]!r}")
        return json.loads(text(self.process, "out"))


def apus(mode, namespace, codec, bundle, lite, **more):
    return ApusRun(mode, "dtls_srtp", codec, namespace=namespace, host=HOST, modules=MODULES + ("ice",),
                   parameters=";answermode=auto;medianat=ice;rtcp_mux=yes", source=f"ausine,{APUS_TONE}",
                   extra=f"avt_bundle {'yes' if bundle else 'no'}\nice_lite {'yes' if lite else 'no'}\n", **more)


def call(caller, codec, setup=None, profile=None, ends="apus", bundle=True, holds=None, restarts=False, lite=False,
         mode="thread"):
    """`setup`: Apus's DTLS role. `ends`: `apus`, or how aiortc does it (`bye`, `close`). `holds`: who does, for a second.
    `restarts`: Apus offers other ICE credentials, which aiortc has no ear for. `lite`: Apus only answers checks."""
    of_aiortc = {"setup": setup, "profile": profile and PROFILES[profile][0], "ends": None if ends == "apus" else ends,
                 "holds": holds == "aiortc", "seconds": SECONDS + 2 * (holds == "apus")}
    with Network() as namespace:
        subprocess.run(["ip", "-n", namespace.name, "addr", "add", f"{OTHER}/24", "dev", "eth0"], check=True)
        if caller == "aiortc":
            with apus(mode, namespace, codec, bundle, lite) as us, Aiortc(namespace, dial=us.uri, **of_aiortc) as peer:
                seen = finish(us, peer, ends, holds)
        else:
            with Aiortc(namespace, **of_aiortc) as peer, apus(mode, namespace, codec, bundle, lite, dial=peer.uri) as us:
                seen = finish(us, peer, ends, holds, restarts)
    offered(seen, holds, restarts)
    return judge(us, peer, seen, caller, setup, profile, ends, bundle, holds, lite)


def finish(us, peer, ends, holds, restarts=False):
    peer.wait_for("the call is up")
    us.wait_for("the peer is heard")
    for command in ("/hold", "/resume") * (holds == "apus") + ("/icerestart",) * restarts:
        time.sleep(1)
        us.command(command)
    if ends == "apus":
        time.sleep(SECONDS)
        us.command("/hangup")
    us.wait_for("ended, ")
    return peer.seen()


def judge(us, peer, seen, caller, setup, profile, ends, bundle, holds, lite):
    said = us.output()
    found = re.findall(r"ended, hangup; [\d.]+ s, sent (\d+), received (\d+), lost 0, dropped 0", said)
    check(us.code == 0, f"apus exits with {us.code}: {said[-300:]!r}")
    check(len(found) == 1, f"no call went well: {said[-300:]!r}")
    check(not seen["surprises"], f"requests that were not expected: {seen['surprises']}")
    check(not setup or seen["role"] == {"active": "server", "passive": "client"}[setup], f"aiortc is the DTLS {seen['role']}")
    used = next(name for name, names in PROFILES.items() if names[0] == seen["profile"])
    check(used == (profile or used) and f"secured by {used}\n" in said, f"aiortc uses {used}: {said[-300:]!r}")
    check(seen["ice"] == ("controlling" if lite or caller == "aiortc" else "controlled"), f"aiortc is {seen['ice']}")
    check(("\na=ice-lite" in (seen["answer"] if caller == "aiortc" else seen["offer"])) == lite, f"apus says {seen['offer']}")
    described(seen["offer"], seen["answer"], caller, bundle)
    counted(seen["stats"], *map(int, found[0]), ends, holds)
    check(holds != "aiortc" or 0 < said.find("held by the peer") < said.find("resumed by the peer"), f"not held: {said[-300:]!r}")
    ours = hears("apus", us.recording(), AIORTC_TONE, AIORTC_LEVEL, holds)
    theirs = hears("aiortc", peer.folder / "heard.wav", APUS_TONE, APUS_LEVEL, holds)
    return f"{1000 * seen['connected']:.0f} ms, {used}, {found[0][0]} and {found[0][1]} packets, apus heard {ours}, aiortc {theirs}"


def offered(seen, holds, restarts):
    """That Apus has offered again what it should."""
    first, *again = [re.search("a=ice-ufrag:(.*)", sdp)[1] for sdp in (seen["offer"], *seen["reoffers"])]
    check(len(again) == (2 if holds == "apus" else restarts), f"{len(again)} more offers")
    check(all((each != first) == restarts for each in again), f"user fragments {first}, {again}")


def described(offer, answer, caller, bundle):
    """That both ends spoke of all that this is about."""
    words = ("UDP/TLS/RTP/SAVPF", "a=ice-ufrag:", "a=candidate:", "a=rtcp-mux", "a=fingerprint:sha-256 ")
    check(all(each in sdp for sdp in (offer, answer) for each in words), f"offer {offer!r}, answer {answer!r}")
    theirs, ours = (offer, answer) if caller == "aiortc" else (answer, offer)
    check(("a=group:BUNDLE" in ours) == bundle, f"apus says {ours!r}")
    check(theirs.count("a=candidate:") == 2, f"aiortc says {theirs!r}")


def counted(statistics, sent, received, ends, holds):
    """That what one sent is what the other received, but for the last moments: aiortc counts before its own BYE leaves, and after
    Apus's has come. After some seconds there are reports of Apus's, which aiortc could open and which tell of no loss."""
    theirs, ours = statistics["inbound-rtp"], statistics["outbound-rtp"]["packetsSent"]
    # What comes while aiortc wants nothing, as around the two answers, it discards before it counts, and then misses.
    missed, late = 3 if holds == "aiortc" else 0, 30 if ends == "close" else 15
    check(theirs["packetsLost"] <= missed and -1 <= sent - theirs["packetsReceived"] <= late,
          f"apus sent {sent}, aiortc received {theirs}")
    check(abs(received - ours) <= 15, f"aiortc sent {ours}, apus received {received}")
    held = {None: 0, "apus": sent - received, "aiortc": received - sent}[holds]
    check(abs(held - (50 if holds else 0)) <= 30, f"apus sent {sent} and received {received}")
    reported, told = statistics.get("remote-inbound-rtp"), statistics.get("remote-outbound-rtp")
    check(reported or not holds, "no report of Apus's")
    check(not reported or reported["packetsLost"] == 0, f"apus reports {reported}")
    check(not told or 0 < told["packetsSent"] <= sent, f"apus reports {told}, and sent {sent}")


def hears(who, path, frequency, level, holds):
    """The tone, and most of its level: all the time, or in the last second after a hold."""
    samples = load(path, 8000)
    check(len(samples) >= 8000 * (SECONDS - 0.5), f"{who} heard {len(samples) / 8000:.1f} s")
    samples = samples[-8000:] if holds else samples[4000:]
    share, found = tone_share(samples)
    rms = float(np.sqrt(np.mean(samples**2)))
    check(share > 0.9 and abs(found - frequency) < 3, f"{who} heard {share:.2f} of {found:.0f} Hz, wanted {frequency} Hz")
    check(0.8 < rms / level < 1.2, f"{who} heard {rms:.3f} RMS, wanted {level:.3f}")
    return f"{found:.0f} Hz at {rms:.3f}"


KINDS = {
    "aiortc calls, opus, apus is the DTLS client, AEAD_AES_256_GCM, aiortc hangs up":
        dict(caller="aiortc", codec="opus", setup="active", profile="AEAD_AES_256_GCM", ends="bye"),
    "aiortc calls, pcmu, apus is the DTLS server, AES_CM_128_HMAC_SHA1_80, apus hangs up":
        dict(caller="aiortc", codec="pcmu", setup="passive", profile="AES_CM_128_HMAC_SHA1_80"),
    "apus calls, pcmu, apus is the DTLS server, AEAD_AES_128_GCM, aiortc hangs up":
        dict(caller="apus", codec="pcmu", setup="passive", profile="AEAD_AES_128_GCM", ends="bye"),
    "apus calls, opus, apus is the DTLS client, AES_CM_128_HMAC_SHA1_80, apus hangs up":
        dict(caller="apus", codec="opus", setup="active", profile="AES_CM_128_HMAC_SHA1_80"),
}
cases = [(f"{name}, {mode}", lambda mode=mode, how=how: call(mode=mode, **how)) for mode in MODES for name, how in KINDS.items()]
cases += [("aiortc calls as it likes, without BUNDLE", lambda: call("aiortc", "opus", bundle=False)),
          ("apus calls as it likes, without BUNDLE", lambda: call("apus", "pcmu", bundle=False, ends="bye")),
          ("aiortc closes its connection before its BYE", lambda: call("aiortc", "opus", ends="close")),
          ("aiortc calls, and apus is lite", lambda: call("aiortc", "opus", lite=True)),
          ("apus calls, and is lite", lambda: call("apus", "pcmu", ends="bye", lite=True)),
          ("aiortc holds and resumes", lambda: call("aiortc", "opus", ends="bye", holds="aiortc")),
          ("apus holds and resumes", lambda: call("apus", "opus", ends="bye", holds="apus")),
          ("apus offers an ICE restart, and aiortc has none", lambda: call("apus", "opus", ends="bye", restarts=True))]
report = Report()
report.run(cases, at_once=5)
report.finish()
