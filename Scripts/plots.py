"""Behind Scripts/plots: runs `apus load` at steps of calls, keeps what it prints in load.json, and draws it and writes the table."""
import argparse, datetime, json, os, pathlib, platform, subprocess, sys, time

import chart

ROOT = pathlib.Path(__file__).resolve().parent.parent
APUS = os.environ.get("APUS") or str(ROOT / ".build/release/apus")
MODES = ("main", "thread", "pool")
ENCRYPTIONS = ("none", "dtls_srtp")
STEPS = (100, 200, 400, 600, 800, 1000)
COLOURS = {"main": "#0072b2", "thread": "#c44e00", "pool": "#00795c"}
# Samples of a packet of PCMU.
PERIOD = 160


# Options

class Parser(argparse.ArgumentParser):
    def error(self, message):
        fail(64, f"Scripts/plots: {message}: --help explains.")


def fail(code, sentence):
    print(sentence, file=sys.stderr)
    sys.exit(code)


def choice(*allowed):
    """Some of these words, with commas between them."""
    def parse(words):
        chosen = words.split(",")
        unknown = [word for word in chosen if word not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(allowed)}")
        return [word for word in allowed if word in chosen]
    return parse


def counts(words):
    try:
        steps = sorted({int(word) for word in words.split(",")})
    except ValueError:
        steps = []
    if not steps or steps[0] < 1:
        raise argparse.ArgumentTypeError(f"{words!r} is no list of numbers of calls, as 100,200,400")
    return steps


def positive(word):
    try:
        value = int(word)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number from 1 on")
    return value


def options():
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--calls", type=counts, default=list(STEPS))
    parser.add_argument("--rxmode", type=choice(*MODES), default=list(MODES))
    parser.add_argument("--mediaenc", type=choice(*ENCRYPTIONS), default=list(ENCRYPTIONS))
    parser.add_argument("--seconds", type=positive, default=20)
    parser.add_argument("--rate", type=positive, default=50)
    parser.add_argument("--from", dest="source", type=pathlib.Path)
    parser.add_argument("--to", dest="folder", type=pathlib.Path, default=ROOT / "Docs/plots")
    return parser.parse_args()


# Measuring

def output(*command):
    """What a command prints; nothing where it can't."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def machine():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": len(os.sched_getaffinity(0)), "model": models[0] if models else platform.machine(),
        "system": f"{platform.system()} {platform.release()}", "load": [round(each, 2) for each in os.getloadavg()],
    }


def command(mode, encryption, calls, chosen):
    return ["load", "--json", "--codec", "pcmu", "--mediaenc", encryption, "--rxmode", mode, "--calls", str(calls),
            "--rate", str(chosen.rate), "--seconds", str(chosen.seconds)]


def run(mode, encryption, calls, chosen):
    """One run of `apus load`: its summary without the histograms, or why there is none."""
    words = command(mode, encryption, calls, chosen)
    result = {"rxmode": mode, "mediaenc": encryption, "calls": calls, "command": "apus " + " ".join(words)}
    limit = calls / chosen.rate + chosen.seconds + 180
    try:
        process = subprocess.run([APUS, *words], capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {**result, "error": f"it did not end within {limit:.0f} s"}
    try:
        summary = json.loads(process.stdout)["summary"]
    except (ValueError, KeyError):
        last = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return {**result, "error": last}
    for figure in summary.values():
        if isinstance(figure, dict):
            figure.pop("histogram", None)
    return {**result, "summary": summary}


def measure(chosen):
    """All runs, kept in load.json after each: what was measured until then can be drawn, whatever comes."""
    if not os.access(APUS, os.X_OK):
        fail(69, f"Scripts/plots: there is no program {APUS}.")
    chosen.folder.mkdir(parents=True, exist_ok=True)
    cases = [(mode, encryption, calls) for mode in chosen.rxmode for encryption in chosen.mediaenc for calls in chosen.calls]
    commit = output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    data = {"date": datetime.date.today().isoformat(), "commit": commit or "unknown", "machine": machine(),
            "seconds": chosen.seconds, "rate": chosen.rate, "runs": []}
    started = time.monotonic()
    for index, (mode, encryption, calls) in enumerate(cases):
        print(f"{index + 1} of {len(cases)}, {time.monotonic() - started:.0f} s: {mode}, {encryption}, {calls} calls",
              file=sys.stderr, flush=True)
        result = run(mode, encryption, calls, chosen)
        data["runs"].append(result)
        print("  " + gist(result), file=sys.stderr, flush=True)
        keep(data, chosen.folder / "load.json")
    return data


def gist(result):
    if "summary" not in result:
        return f"no figures: {result['error']}"
    of = result["summary"]
    return (f"{of['established']} established, CPU {decimal(of['cpu_ms_per_leg_s'])} ms a leg and second, lost {percent(of, 'lost')}, "
            f"late {percent(of, 'late')}, added delay p99 {short(delay(of))} ms")


def keep(data, path):
    """A line for each run."""
    runs = ",\n".join(json.dumps(result) for result in data["runs"])
    head = json.dumps({key: value for key, value in data.items() if key != "runs"})
    write(path, f'{head[:-1]}, "runs": [\n{runs}\n]}}\n')


def read(path):
    try:
        data = json.loads(path.read_text())
        for result in data["runs"]:
            cells(result)
        introduction(data)
        return data
    except OSError as error:
        fail(66, f"Scripts/plots: {path}: {error.strerror}.")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fail(65, f"Scripts/plots: {path} is not what Scripts/plots wrote: {error!r}.")


def write(path, words):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(words)
    draft.replace(path)


# Figures; each is of a run's summary, None where it has none

def share(name):
    """Percent of all packets that came, or should have come in time."""
    def of(summary):
        missing = summary["lost"] + summary["late"]
        packets = summary["decoded_samples"] / PERIOD + missing
        return 100 * summary[name] / packets if packets else None
    return of


def delay(summary):
    """Milliseconds."""
    value = summary["rx_delay_us"]["p99"]
    return None if value is None else value / 1000


PLOTS = (
    ("cpu", "CPU of a leg", "ms of CPU a leg and second", lambda summary: summary["cpu_ms_per_leg_s"], False),
    ("lost", "Packets lost", "% of all packets", share("lost"), True),
    ("late", "Packets too late for the jitter buffer", "% of all packets", share("late"), True),
    ("delay", "Added delay, kernel's receive to jitter buffer", "ms, 99th percentile", delay, True),
    ("memory", "Memory of a leg", "KiB resident a leg", lambda summary: summary["rss_kib_per_leg"], False),
)


def lines(data, figure):
    for mode in MODES:
        for encryption in ENCRYPTIONS:
            points = []
            for result in data["runs"]:
                if (result["rxmode"], result["mediaenc"]) == (mode, encryption) and "summary" in result:
                    value = figure(result["summary"])
                    if value is not None:
                        points.append((result["calls"], value))
            yield chart.Line(f"{mode}, {encryption}", COLOURS[mode], sorted(points), dashed=encryption != "none")


# The table

HEADINGS = ("rxmode", "mediaenc", "calls", "established", "CPU, ms a leg and second", "lost", "late", "dropped",
            "added delay, ms: p50, p99", "INVITE to first secured RTP, ms: p50, p99", "KiB a leg")


def decimal(value, digits=2):
    return "-" if value is None else f"{value:,.{digits}f}"


def short(value):
    """Three digits, or all before the point."""
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(summary, name):
    value = share(name)(summary)
    return f"{summary[name]:,}" + (f" ({short(value)} %)" if value else "")


def percentiles(figures, scale=1):
    return ", ".join(short(None if figures[name] is None else figures[name] / scale) for name in ("p50", "p99"))


def cells(result):
    """A row of the table."""
    name = [result["rxmode"], result["mediaenc"], f"{result['calls']:,}"]
    if "summary" not in result:
        return name + [f"no figures: {result['error']}".replace("|", "/")] + [""] * (len(HEADINGS) - 4)
    summary = result["summary"]
    return name + [
        f"{summary['established']:,}", decimal(summary["cpu_ms_per_leg_s"]), percent(summary, "lost"),
        percent(summary, "late"), f"{summary['dropped']:,}", percentiles(summary["rx_delay_us"], 1000),
        percentiles(summary["secure_ms"]), decimal(summary["rss_kib_per_leg"], 0),
    ]


def introduction(data):
    of = data["machine"]
    load = ", ".join(f"{each:.2f}" for each in of["load"])
    return f"""# Many calls: what `apus load` measured

`Scripts/plots` wrote this page and its pictures; `load.json` has the figures. On {data["date"]}, commit {data["commit"]}, release build, {of["system"]},
{of["cores"]} cores ({of["model"]}), load average at the start {load} (1, 5 and 15 minutes). Both legs of each call are in one process:

```
apus load --json --codec pcmu --mediaenc MEDIAENC --rxmode RXMODE --calls CALLS --rate {data["rate"]} --seconds {data["seconds"]}
```

Each figure's meaning is in [performance.md](../performance.md). Lost and late packets are of all legs, from first to last; in percent of those that were
decoded, lost or late.
"""


def page(data):
    pictures = "\n".join(f"![{title}, {unit}, against calls]({name}.svg)\n" for name, title, unit, _, _ in PLOTS)
    rows = [HEADINGS, ["---"] * len(HEADINGS)] + [cells(result) for result in data["runs"]]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"{introduction(data)}\n{pictures}\n{table}\n"


def draw(data, folder):
    for name, title, unit, figure, logarithmic in PLOTS:
        write(folder / f"{name}.svg", chart.svg(title, "calls, both legs in one process", unit, lines(data, figure), logarithmic))
    write(folder / "load.md", page(data))
    print(f"{folder}: load.md, {', '.join(name + '.svg' for name, *_ in PLOTS)}", file=sys.stderr)


def main():
    chosen = options()
    try:
        draw(read(chosen.source) if chosen.source else measure(chosen), chosen.folder)
    except OSError as error:
        fail(73, f"Scripts/plots: {error.filename}: {error.strerror}.")
    except KeyboardInterrupt:
        sys.exit(130)


main()
