"""What the interop scripts share: reports, processes, ports, network namespaces, captures, and judging sound."""
import atexit, contextlib, ctypes, json, os, pathlib, shutil, signal, socket, struct, subprocess, sys, tempfile
import threading, time, traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
APUS = os.environ.get("APUS", str(ROOT / ".build/release/apus"))
SPEECH = str(ROOT / "Config/media/speech_48000.wav")
MODES = ("main", "thread", "pool")
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="apus-interop-"))
KEEP = os.environ.get("KEEP")  # set: leave the recordings and logs where they are
if not KEEP:
    atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


# Reports

class Failure(Exception):
    """A check that did not hold: the message says which."""


def check(condition, message):
    if not condition:
        raise Failure(message)


class Report:
    """Runs cases, some at a time, and prints `name: ok` or `name: failed: why` for each.

    APUS_CASES, with a name a line, runs these only: what failed beside others is tried once more by `run`. `is_whole`: cases need one
    another, so all of them run."""

    def __init__(self, is_whole=False):
        self.passed = self.failed = 0
        self.lock = threading.Lock()
        self.wanted = None if is_whole else os.environ.get("APUS_CASES")

    def case(self, name, body, *arguments):
        try:
            note = body(*arguments)
        except Exception as failure:
            known = isinstance(failure, Failure)
            why = str(failure) if known else traceback.format_exc(limit=4).strip().replace("\n", " | ")
            with self.lock:
                self.failed += 1
                print(f"{name}: failed: {why}", flush=True)
            return
        with self.lock:
            self.passed += 1
            print(f"{name}: ok" + (f" ({note})" if note else ""), flush=True)

    def run(self, cases, at_once=1):
        """`cases`: tuples of a name, a function and its arguments."""
        if self.wanted is not None:
            cases = [case for case in cases if case[0] in self.wanted.split("\n")]
        with ThreadPoolExecutor(at_once) as pool:
            try:
                for future in [pool.submit(self.case, *case) for case in cases]:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


# Processes

running = set()


def start(command, log, namespace=None, **options):
    """Starts a program whose output goes to files beside `log`; it ends with this script at the latest."""
    if namespace:
        command = ["ip", "netns", "exec", namespace.name, *command]
    process = subprocess.Popen(
        [str(word) for word in command], stdin=options.pop("stdin", subprocess.DEVNULL), stdout=open(f"{log}.out", "wb"),
        stderr=open(f"{log}.err", "wb"), start_new_session=True, **options)
    process.log = log
    running.add(process)
    return process


def stop(process, patience=5, how=signal.SIGTERM):
    """Ends a process of ours and returns its exit code."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    running.discard(process)
    return process.returncode


atexit.register(lambda: [stop(process, 1) for process in list(running)])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def text(process, stream="err"):
    return pathlib.Path(f"{process.log}.{stream}").read_bytes().decode("utf-8", "replace")


class Result:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def json(self):
        """The one object on standard output."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise Failure(f"exit {self.code}, no JSON on standard output: {self.out[:300]!r}, standard error {self.err[-300:]!r}")


def apus(*arguments, limit=60, namespace=None, folder=None):
    """Runs the program to its end; a limit that passes is a failure."""
    started = time.monotonic()
    folder = folder or fresh("apus")
    process = start([APUS, *arguments], folder / "apus", namespace, cwd=folder)
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        stop(process, 1, signal.SIGKILL)
        raise Failure(f"apus {' '.join(map(str, arguments))} did not end within {limit} s: {text(process)[-300:]!r}")
    running.discard(process)
    result = Result(process.returncode, text(process, "out"), text(process), time.monotonic() - started)
    leak = [line for line in (result.out + result.err).splitlines() if "inline:" in line]
    check(not leak, f"key material in the output: {leak[:1]}")
    return result


def fresh(name):
    """A new empty folder."""
    return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SCRATCH))


port_lock = threading.Lock()
next_port = 20000 + (os.getpid() * 97) % 20000


def free_ports(count=1):
    """The first of `count` neighbouring ports, even, free for UDP and TCP."""
    global next_port
    with port_lock:
        while True:
            first = next_port = next_port + 2
            next_port += count
            if next_port > 60000:
                next_port = 20000
            sockets = []
            try:
                for port in range(first, first + count):
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        sockets.append(socket.socket(socket.AF_INET, kind))
                        sockets[-1].bind(("127.0.0.1", port))
                return first
            except OSError:
                continue
            finally:
                for each in sockets:
                    each.close()


def wait_for(condition, seconds, what):
    """Polls until `condition` is true."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.02)


def is_bound(port, namespace=None):
    """Whether a UDP socket of the namespace has the port."""
    def read():
        return [line for name in ("udp", "udp6") for line in open(f"/proc/thread-self/net/{name}").readlines()[1:]]

    lines = namespace.inside(read) if namespace else read()
    return any(int(line.split()[1].split(":")[1], 16) == port for line in lines)


# Namespaces and captures

libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace of its own, with a loopback and nothing else: what crosses there is ours."""

    count = 0

    def __init__(self):
        with port_lock:
            Namespace.count += 1
            self.name = f"apus-{os.getpid()}-{Namespace.count}"

    def __enter__(self):
        made = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True)
        check(made.returncode == 0, f"no network namespace (are you root?): {made.stderr.strip()}")
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    def inside(self, body):
        """Calls `body` on a thread that is in the namespace, and returns its result."""
        def enter():
            with open(f"/run/netns/{self.name}") as handle:
                if libc.setns(handle.fileno(), 0x40000000) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            return body()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(enter).result()

    def udp_counters(self):
        """The kernel's counters of UDP over IPv4."""
        def read():
            rows = [line.split() for line in open("/proc/thread-self/net/snmp") if line.startswith("Udp:")]
            return dict(zip(rows[0][1:], map(int, rows[1][1:])))

        return self.inside(read)


HOST = "10.77.0.1"


class Network(Namespace):
    """One with an interface beside the loopback, at HOST: ICE leaves loopback addresses out."""

    def __enter__(self):
        super().__enter__()
        for words in (("link", "add", "eth0", "type", "veth", "peer", "name", "eth1"), ("addr", "add", f"{HOST}/24", "dev", "eth0"),
                      ("link", "set", "eth0", "up"), ("link", "set", "eth1", "up")):
            subprocess.run(["ip", "-n", self.name, *words], check=True)
        return self


class Datagram:
    """A UDP datagram that a listener saw."""

    __slots__ = ("time", "source", "target", "payload", "tos")

    def __init__(self, when, source, target, payload, tos=0):
        self.time, self.source, self.target, self.payload, self.tos = when, source, target, payload, tos

    @property
    def is_rtp(self):
        return len(self.payload) >= 12 and 128 <= self.payload[0] < 192 and not self.is_rtcp

    @property
    def is_rtcp(self):
        return len(self.payload) >= 8 and 128 <= self.payload[0] < 192 and 192 <= self.payload[1] <= 223

    @property
    def is_dtls(self):
        return len(self.payload) >= 13 and 20 <= self.payload[0] < 64


class Background:
    """What runs on a thread of its own for as long as its `with` lasts; its `run` ends soon after `is_ended`."""

    def __init__(self):
        self.is_ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_ended = True
        self.thread.join()


class Listener(Background):
    """A passive listener on a namespace's loopback."""

    def __init__(self, namespace):
        def open_socket():
            listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
            listener.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
            listener.bind(("lo", 0x0800))
            return listener

        self.socket = namespace.inside(open_socket)
        self.socket.settimeout(0.1)
        self.datagrams = []
        super().__init__()

    def __exit__(self, *_):
        super().__exit__()
        # PACKET_STATISTICS: packets seen, packets for which there was no room.
        _, self.missed = struct.unpack("II", self.socket.getsockopt(263, 6, 8))
        self.socket.close()

    def run(self):
        while True:
            try:
                packet, address = self.socket.recvfrom(65536)
            except socket.timeout:
                if self.is_ended:
                    return
                continue
            if address[2] != 0 or packet[9] != 17:  # PACKET_HOST: each packet is seen leaving, too
                continue
            start = (packet[0] & 15) * 4
            source, target, length = struct.unpack_from("!HHH", packet, start)
            self.datagrams.append(Datagram(time.monotonic(), source, target, packet[start + 8 : start + length],
                                           packet[1]))

    def sip(self):
        """The SIP messages, in order, each once per transmission."""
        return [each.payload.decode("utf-8", "replace") for each in self.datagrams
                if b"SIP/2.0" in each.payload.split(b"\r\n", 1)[0]]

    def rtp_flows(self):
        """RTP datagrams by source and target port."""
        flows = {}
        for each in self.datagrams:
            if each.is_rtp:
                flows.setdefault((each.source, each.target), []).append(each)
        return flows


# RTP and sound

def rtp_payload(packet):
    """What follows the RTP header: the media in the clear, or ciphertext with its tag."""
    start = 12 + 4 * (packet[0] & 15)
    if packet[0] & 16 and len(packet) >= start + 4:
        start += 4 + 4 * struct.unpack_from("!H", packet, start + 2)[0]
    return packet[start:]


def decode_mu_law(payload):
    """RFC 3551's PCMU, to floats."""
    code = ~np.frombuffer(payload, np.uint8)
    magnitude = (((code & 15).astype(np.int32) << 3) + 132 << ((code & 112) >> 4)) - 132
    return np.where(code & 128, -magnitude, magnitude) / 32768.0


class OpusDecoder:
    """libopus, for payloads that a listener saw; what is no Opus is noise or nothing."""

    def __init__(self):
        self.library = ctypes.CDLL("libopus.so.0")
        self.library.opus_decoder_create.restype = ctypes.c_void_p
        self.state = ctypes.c_void_p(self.library.opus_decoder_create(8000, 1, None))
        self.room = (ctypes.c_int16 * 960)()

    def decode(self, payload):
        count = self.library.opus_decode(self.state, payload, len(payload), self.room, 960, 0)
        return np.array(self.room[: max(0, count)], np.float64) / 32768.0


def decode_all(payloads, codec):
    """8 kHz samples of a flow's payloads."""
    if codec == "pcmu":
        pieces = [decode_mu_law(each) for each in payloads]
    else:
        decoder = OpusDecoder()
        pieces = [decoder.decode(each) for each in payloads]
    return np.concatenate(pieces) if pieces else np.zeros(0)


def load(path, rate):
    """A sound file as mono floats at `rate`."""
    import soundfile
    from math import gcd
    from scipy.signal import resample_poly

    samples, own = soundfile.read(path, dtype="float64", always_2d=True)
    samples = samples.mean(1)
    common = gcd(own, rate)
    return samples if own == rate else resample_poly(samples, rate // common, own // common)


reference_cache = {}


def reference(rate, speech=SPEECH):
    if (rate, speech) not in reference_cache:
        reference_cache[rate, speech] = load(speech, rate)
    return reference_cache[rate, speech]


def tone_share(samples, rate=8000):
    """How much of the sound is its strongest steady tone, from 0 to 1, and the tone's frequency."""
    if len(samples) < rate or not samples.any():
        return 0.0, 0.0
    spectrum = np.abs(np.fft.rfft((samples - samples.mean()) * np.hanning(len(samples)))) ** 2
    peak = int(np.argmax(spectrum))
    width = max(4, len(samples) * 5 // rate)  # 5 Hz to either side
    share = spectrum[max(0, peak - width) : peak + width + 1].sum() / spectrum.sum()
    return float(share), peak * rate / len(samples)


def align(known, heard, rate):
    """The two sounds cut to what they have in common, and how well they agree there, from 0 to 1."""
    from scipy.signal import correlate

    known = known[: len(heard) + 5 * rate]
    products = correlate(heard, known, mode="full", method="fft")
    lag = int(np.argmax(np.abs(products))) - (len(known) - 1)
    if lag >= 0:
        heard = heard[lag:]
    else:
        known = known[-lag:]
    count = min(len(known), len(heard))
    known, heard = known[:count], heard[:count]
    if count < rate or not heard.any():
        return known, heard, 0.0
    return known, heard, float(abs(np.corrcoef(known, heard)[0, 1]))


def speech_share(samples, rate=8000):
    """How well the sound agrees with the speech that is played, from 0 to 1."""
    return align(reference(rate), samples, rate)[2] if len(samples) >= rate else 0.0


def what_is_heard(samples, rate=8000):
    """`tone`, `speech` or `noise`, with the figures."""
    tone, frequency = tone_share(samples, rate)
    speech = speech_share(samples, rate)
    figures = f"tone {tone:.2f} at {frequency:.0f} Hz, speech {speech:.2f}"
    if tone > 0.6:
        return "tone", figures
    return ("speech", figures) if speech > 0.5 else ("noise", figures)


def score(path, codec, speech=SPEECH):
    """PESQ of a recording of the speech: wide-band for opus, narrow-band for G.711."""
    from pesq import pesq

    rate, mode = (16000, "wb") if codec == "opus" else (8000, "nb")
    known, heard, agreement = align(reference(rate, speech), load(path, rate), rate)
    check(len(heard) >= 6 * rate, f"only {len(heard) / rate:.1f} s of {path} can be scored")
    check(agreement > 0.3, f"{path} does not sound like the speech (agreement {agreement:.2f})")
    return float(pesq(rate, known, heard, mode))
