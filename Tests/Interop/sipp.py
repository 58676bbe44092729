"""SIPp scenarios, written step by step, and their runs. What a step checks on the wire fails SIPp's call, and so the case."""
from xml.sax.saxutils import quoteattr

from lab import Failure, fresh, free_ports, is_bound, start, stop, text, wait_for

SDP = """v=0
o=sipp 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a={direction}
"""


def sdp(direction="sendrecv", version=1):
    return "application/sdp", SDP.format(direction=direction, version=version)


class Scenario:
    """`request` and `reply` send, `wants` receives; the dialog's headers are SIPp's own."""

    def __init__(self, name):
        self.name, self.steps, self.variables, self.invite = name, [], [], 0

    def request(self, method, cseq, *headers, body=None, first=False, branch="[branch]", tag="[peer_tag_param]", **how):
        """A request of the caller: the first goes to the service, later ones into the dialog. With `branch` INVITE it is
        part of the last INVITE's transaction."""
        if method == "INVITE":
            self.invite = len(self.steps)
        if branch == "INVITE":
            branch = f"[branch-{len(self.steps) - self.invite}]"
        target = "sip:[service]@[remote_ip]:[remote_port]"
        way = target if first else "[next_url]"
        lines = [f"{method} {way} SIP/2.0", f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}"]
        lines += [] if first else ["[routes]"]
        lines += ["From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]",
                  f"To: <{target}>" + ("" if first else tag), "Call-ID: [call_id]", f"CSeq: {cseq} {method}",
                  "Contact: <sip:sipp@[local_ip]:[local_port]>", "Max-Forwards: 70", *headers]
        return self.send(lines, body, retrans="" if method == "ACK" else "500", **how)

    def reply(self, status, *headers, body=None, tag=";tag=[pid]SIPp[call_number]", cseq="[last_CSeq:]", via="[last_Via:]",
              **how):
        """A response to the last request; `tag` is put behind a To that has none."""
        lines = [f"SIP/2.0 {status}", via, "[last_From:]", f"[last_To:]{tag}", "[last_Call-ID:]", cseq,
                 "Contact: <sip:sipp@[local_ip]:[local_port]>", *headers]
        return self.send(lines, body, **how)

    def send(self, lines, body, retrans="", lost=None):
        lines = list(lines)
        if body:
            lines += [f"Content-Type: {body[0]}", "Content-Length: [len]", "", body[1]]
        else:
            lines += ["Content-Length: 0", ""]
        attributes = (f' retrans="{retrans}"' if retrans else "") + (f' lost="{lost}"' if lost is not None else "")
        self.steps.append(f"<send{attributes}><![CDATA[\n" + "\n".join(lines) + "\n]]></send>")
        return self

    def wants(self, what, *checks, optional=False, **attributes):
        """A response by its number or a request by its method; `checks` are expressions that the message must match,
        `name=expression` in them keeps the first group."""
        kind = "response" if str(what).isdigit() else "request"
        if kind == "response" and not optional:
            attributes.setdefault("rrs", "true")
        if kind == "request" and what == "INVITE":
            attributes.setdefault("rrs", "true")
        words = "".join(f" {name}={quoteattr(str(value))}" for name, value in attributes.items())
        actions = ""
        for expression in checks:
            self.variables.append(f"v{len(self.variables) + 1}")
            actions += f'<ereg regexp={quoteattr(expression)} search_in="msg" check_it="true" assign_to="{self.variables[-1]}"/>'
        actions = f"<action>{actions}</action>" if actions else ""
        self.steps.append(f'<recv {kind}="{what}"{" optional=" + chr(34) + "true" + chr(34) if optional else ""}{words}>'
                          f"{actions}</recv>")
        return self

    def maybe(self, *responses):
        for response in responses:
            self.wants(response, optional=True)
        return self

    def raw(self, step, *variables):
        self.steps.append(step)
        self.variables += variables
        return self

    def pause(self, milliseconds):
        return self.raw(f'<pause milliseconds="{milliseconds}"/>')

    def call(self, *headers, body=None):
        """An INVITE of ours, answered and acknowledged."""
        self.request("INVITE", 1, *headers, body=body or sdp(), first=True).maybe(100, 180, 183)
        return self.wants(200).request("ACK", 1)

    def hang_up(self, cseq):
        return self.request("BYE", cseq).wants(200)

    def text(self):
        known = f'<Reference variables="{",".join(self.variables)}"/>' if self.variables else ""
        return ('<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
                f"<scenario name={quoteattr(self.name)}>\n" + "\n".join(self.steps) + f"\n{known}</scenario>\n")


class SIPp:
    """One run of a scenario: towards `target`, or, without one, waiting for calls at its port."""

    def __init__(self, scenario, target=None, calls=1, seconds=15, options=(), service="bob"):
        self.folder, self.port, self.seconds = fresh("sipp"), free_ports(2), seconds
        if isinstance(scenario, Scenario):
            (self.folder / "scenario.xml").write_text(scenario.text())
            kind = ["-sf", self.folder / "scenario.xml"]
        else:
            kind = ["-sn", scenario]
        self.process = start(
            ["sipp", *([f"127.0.0.1:{target}"] if target else []), *kind, "-s", service, "-m", calls, "-i", "127.0.0.1", "-p",
             self.port, "-mp", free_ports(4), "-nostdin", "-timeout", seconds, "-timeout_error", "-trace_err", "-error_file",
             self.folder / "errors", *options], self.folder / "sipp", cwd=self.folder)
        self.uri = f"sip:sipp@127.0.0.1:{self.port}"

    def __enter__(self):
        wait_for(lambda: is_bound(self.port) or self.process.poll() is not None, 5, "SIPp is up")
        return self

    def __exit__(self, *_):
        stop(self.process, 1)

    def finish(self):
        """Waits for its end; what it did not like is the failure."""
        try:
            self.process.wait(self.seconds + 5)
        except Exception:
            raise Failure("SIPp did not end")
        path = self.folder / "errors"
        errors = path.read_text("utf-8", "replace") if path.exists() else text(self.process)
        if self.process.returncode != 0:
            raise Failure(f"SIPp ended with {self.process.returncode}: {errors[:900]!r}")
