"""A chart as SVG: lines over a number of calls, with axes, a legend, and its name at the end of each line.

Dark on a white ground of its own, so that it can be read on any page; a line is told from the others by colour, and by a dash and
a hollow mark."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 470
# Where the lines are.
LEFT, RIGHT, TOP, BOTTOM = 78, 700, 92, 410
INK, FAINT = "#222222", "#d9d9d9"
# Pixels that a name at the end of a line needs, and a number below the lines.
NAME_HEIGHT, NUMBER_WIDTH = 15, 34


class Line:
    """One line: its points are pairs of numbers in the order of the first."""

    def __init__(self, name, colour, points, dashed=False):
        self.name, self.colour, self.points, self.dashed = name, colour, points, dashed

    def svg(self, places):
        dash = ' stroke-dasharray="7 4"' if self.dashed else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        marks = "".join(self.mark(x, y) for x, y in places)
        return f'<polyline points="{path}" fill="none" stroke="{self.colour}" stroke-width="2"{dash}/>{marks}'

    def mark(self, x, y):
        fill = "white" if self.dashed else self.colour
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="{self.colour}" stroke-width="1.5"/>'


def number(value):
    """As people write it: 1,000 and 0.25."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


class Linear:
    """From zero to what the greatest figure needs, in steps of 1, 2 or 5."""

    def __init__(self, values):
        most = max(values, default=0) or 1
        rough = most / 6
        power = 10 ** math.floor(math.log10(rough))
        step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * 0.999)
        count = math.ceil(most / step * 0.999)
        self.top = step * count
        self.ticks = [(self.share(step * index), number(round(step * index, 9))) for index in range(count + 1)]

    def share(self, value):
        """How far up the axis it is, from 0 to 1."""
        return value / self.top


class Logarithmic:
    """Powers of ten; zero, where there is one, has a place of its own at the foot."""

    def __init__(self, values):
        positive = [value for value in values if value > 0]
        least, most = min(positive, default=1), max(positive, default=1)
        self.low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
        self.count = max(1, high - self.low)
        self.foot = 0.1 if len(positive) < len(values) else 0.0
        self.ticks = [(0.0, "0")] if self.foot else []
        for index in range(self.count + 1):
            power = 10.0 ** (self.low + index)
            self.ticks.append((self.share(power), number(power)))

    def share(self, value):
        """How far up the axis it is, from 0 to 1."""
        if value <= 0:
            return 0.0
        return self.foot + (1 - self.foot) * (math.log10(value) - self.low) / self.count


def spread(wanted, gap, low, high):
    """Places as near to those that are wanted as they can be, `gap` apart, between `low` and `high`; in the same order."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = [0.0] * len(wanted)
    for position, index in enumerate(order):
        before = places[order[position - 1]] + gap if position else low
        places[index] = max(wanted[index], before)
    limit = high
    for index in reversed(order):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
    return places


def text(x, y, words, anchor="start", size=12, colour=INK, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{more}>'
            f"{escape(words)}</text>")


def rule(x1, y1, x2, y2, colour=INK, width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def axes(across, up, x_title, y_title):
    parts = []
    for share, words in up.ticks:
        y = BOTTOM - share * (BOTTOM - TOP)
        parts += [rule(LEFT, y, RIGHT, y, FAINT), rule(LEFT - 5, y, LEFT, y), text(LEFT - 9, y + 4, words, "end")]
    free = 0
    for x, words in across:
        parts.append(rule(x, BOTTOM, x, BOTTOM + 5))
        if x >= free:
            parts.append(text(x, BOTTOM + 20, words, "middle"))
            free = x + NUMBER_WIDTH
    parts += [rule(LEFT, TOP, LEFT, BOTTOM, width=1.5), rule(LEFT, BOTTOM, RIGHT, BOTTOM, width=1.5)]
    parts.append(text((LEFT + RIGHT) / 2, BOTTOM + 44, x_title, "middle", 13))
    turn = f' transform="rotate(-90 20 {(TOP + BOTTOM) / 2:.1f})"'
    parts.append(text(20, (TOP + BOTTOM) / 2, y_title, "middle", 13, more=turn))
    return parts


def legend(lines):
    parts, width, rows = [], (WIDTH - LEFT) // 3, math.ceil(len(lines) / 3)
    for index, line in enumerate(lines):
        x, y = LEFT + index // rows * width, 48 + index % rows * 18
        parts += [line.svg([(x, y), (x + 34, y)]), text(x + 44, y + 4, line.name)]
    return parts


def names(lines, ends):
    """Each line's name beside its last point; one that had to make room is joined to it."""
    wanted = [y for _, y in ends]
    parts = []
    for line, (x, y), place in zip(lines, ends, spread(wanted, NAME_HEIGHT, TOP, BOTTOM)):
        if abs(place - y) > 1 or x < RIGHT - 1:
            parts.append(rule(x + 5, y, RIGHT + 8, place, line.colour, 0.7))
        parts.append(text(RIGHT + 11, place + 4, line.name, colour=line.colour, more=' font-weight="bold"'))
    return parts


def svg(title, x_title, y_title, lines, logarithmic=False):
    """The whole picture. Lines without points are left out; up to six find room in the legend."""
    lines = [line for line in lines if line.points]
    values = [y for line in lines for _, y in line.points]
    up = Logarithmic(values) if logarithmic else Linear(values)
    counts = sorted({x for line in lines for x, _ in line.points})
    most = max(counts, default=1)

    def place(point):
        return LEFT + point[0] / most * (RIGHT - LEFT), BOTTOM - up.share(point[1]) * (BOTTOM - TOP)

    places = [[place(point) for point in line.points] for line in lines]
    across = [(LEFT, "0")] + [(LEFT + count / most * (RIGHT - LEFT), number(count)) for count in counts]
    parts = [text(LEFT, 26, title, size=16, more=' font-weight="bold"')]
    parts += legend(lines) + axes(across, up, x_title, y_title)
    parts += [line.svg(points) for line, points in zip(lines, places)]
    parts += names(lines, [points[-1] for points in places])
    if not lines:
        parts.append(text((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, "nothing was measured", "middle", 13))
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="Helvetica, Arial, sans-serif" role="img"><title>{escape(title)}</title>')
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>"]) + "\n"
