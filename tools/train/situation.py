"""Situations of the kernel as sis-explain is asked about them: figures, and the text that a prompt shows of them.

docs/explain.md has the format. guest/llm/explain writes the same bytes in the kernel, which its tests hold both to. Names are no
part of a prompt: operators, channels and servers are o1, c1, s1 ... there, in the order in which they are listed, and
whoever asks puts names for them afterwards.
"""

import dataclasses
import random
import zlib

MAX_OPERATORS = 8
MAX_CHANNELS = 8
MAX_SERVERS = 4
PARTS = 8  # of all structures: one is for the test, one for validation, the others are trained with

COUNT_UNITS = ("", "k", "M")
TIME_UNITS = ("us", "ms", "s")


def two_digits(value):
    """(m, p): m * 10^p is `value` to two digits, a half rounded up; m is 10 to 99, or `value` itself below 10."""
    power = 0
    scale = 1
    while value // scale >= 100:
        scale *= 10
        power += 1
    mantissa = (value + scale // 2) // scale
    return (10, power + 1) if mantissa == 100 else (mantissa, power)


def count(value):
    """0 to 99 as they are, then to two digits: 120, 1.2k, 12k, 120k, 1.2M. At most 990M."""
    mantissa, power = two_digits(min(value, 990_000_000))
    if power == 0:
        return str(mantissa)
    unit = COUNT_UNITS[(power + 1) // 3]
    return (f"{mantissa}0", f"{mantissa // 10}.{mantissa % 10}", str(mantissa))[(power - 1) % 3] + unit


def duration(nanoseconds):
    """To two digits, and to no less than 0.1us: 0.5us, 2.1us, 21us, 210us, 2.1ms. At most 990s."""
    mantissa, power = two_digits((min(nanoseconds, 990_000_000_000) + 50) // 100)
    unit = TIME_UNITS[power // 3]
    return (f"{mantissa // 10}.{mantissa % 10}", str(mantissa), f"{mantissa}0")[power % 3] + unit


def percent(permille):
    """To two digits: 0.0%, 7.1%, 71%. At most 100%."""
    mantissa, power = two_digits(min(permille, 1000))
    return (f"{mantissa // 10}.{mantissa % 10}", str(mantissa), f"{mantissa}0")[power] + "%"


@dataclasses.dataclass
class Operator:
    busy_permille: int  # its processor time in thousandths of its graph's time
    run_ns: int  # the mean of an execution
    max_ns: int
    limit_ns: int  # 0: it has none
    over: int  # executions over the limit
    input: int  # the channel, from 0, that was full most often of those which it reads; -1: it reads none


@dataclasses.dataclass
class Channel:
    writer: int  # operators, from 0
    reader: int
    top: int  # the most it held
    capacity: int
    drops: bool  # what does not fit is lost, else its writer waits
    hits: int  # how often that was


@dataclasses.dataclass
class Server:
    budget_ns: int
    period_ns: int
    jobs: int
    over: int  # jobs that took more than the budget
    misses: int
    throttles: int
    worst_ns: int  # the longest from a job's release to its end


@dataclasses.dataclass
class Situation:
    operators: list
    channels: list
    servers: list
    audit: tuple  # accepted, refused, connections that had one refused
    npu: tuple  # jobs, missed, most at a time; () without one
    llm: tuple  # requests, refused, missed


def line(who, **figures):
    """Each figure with whose it is: " o1.busy 71% o1.run 2.1ms ..."."""
    return "".join(f" {who}.{word} {value}" for word, value in figures.items())


def operator_line(number, op):
    limit = duration(op.limit_ns) if op.limit_ns else "-"
    source = "-" if op.input < 0 else f"c{op.input + 1}"
    return line(f"o{number + 1}", busy=percent(op.busy_permille), run=duration(op.run_ns), max=duration(op.max_ns),
                limit=limit, over=count(op.over), input=source)


def channel_line(number, c):
    return line(f"c{number + 1}", writer=f"o{c.writer + 1}", reader=f"o{c.reader + 1}", top=count(c.top),
                room=count(c.capacity), **{"lost" if c.drops else "stalled": count(c.hits)})


def server_line(number, s):
    return line(f"s{number + 1}", budget=duration(s.budget_ns), period=duration(s.period_ns), jobs=count(s.jobs),
                over=count(s.over), missed=count(s.misses), throttled=count(s.throttles), worst=duration(s.worst_ns))


def context(situation):
    """What a prompt begins with."""
    text = "".join(operator_line(i, o) for i, o in enumerate(situation.operators))
    text += "".join(channel_line(i, c) for i, c in enumerate(situation.channels))
    text += "".join(server_line(i, s) for i, s in enumerate(situation.servers))
    text += line("audit", **dict(zip(("accepted", "refused", "links"), map(count, situation.audit))))
    if situation.npu:
        text += line("npu", **dict(zip(("jobs", "missed", "top"), map(count, situation.npu))))
    if situation.llm:
        text += line("llm", **dict(zip(("asked", "refused", "missed"), map(count, situation.llm))))
    return text


def prompt(situation, question):
    return f"{context(situation)} ? {question} ="


def structure(situation):
    """What is wired to what, what has limits, how much of each there is: numbers apart."""
    return ([(o.limit_ns > 0, o.input) for o in situation.operators],
            [(c.writer, c.reader, c.drops) for c in situation.channels], len(situation.servers))


def part_of(situation):
    """training, validation (which tells when training is done) or test: by its structure alone."""
    return {0: "test", 1: "validation"}.get(zlib.crc32(repr(structure(situation)).encode()) % PARTS, "training")


def spread(chance, low, high):
    """A number whose logarithm is uniform."""
    return int(low * (high / low) ** chance.random())


def some(chance, high, share):
    """0, but with chance `share` from 1 to `high`."""
    return min(high, spread(chance, 1, max(2, high))) if chance.random() < share else 0


def draw_operators(chance, size):
    calm = chance.random() < 0.35
    rate = spread(chance, 2, 400)  # runs a second
    made = []
    for _ in range(size):
        run = spread(chance, 1_000, 60_000_000)
        if chance.random() < 0.5:
            busy = min(980, max(1, run * rate // 1_000_000))
        else:
            busy = spread(chance, 1, 990)
        worst = int(run * (1 + chance.random() * chance.choice((0.1, 1, 4))))
        limit = over = 0
        if chance.random() < 0.7:
            if calm or chance.random() < 0.6:
                limit = int(worst * (1.05 + chance.random() * 2))
            else:
                limit, over = int(worst * (0.3 + 0.65 * chance.random())), spread(chance, 1, 5000)
        made.append(Operator(busy, run, worst, limit, over, -1))
    return made


def draw_channels(chance, size):
    calm = chance.random() < 0.3
    order = list(range(size))
    if chance.random() < 0.5:
        chance.shuffle(order)
    pairs = []
    for i in range(1, size):
        parent = i - 1 if chance.random() < 0.75 else chance.randrange(i)
        pairs.append((order[parent], order[i]))
    if size > 3 and len(pairs) < MAX_CHANNELS and chance.random() < 0.3:
        first, last = sorted(chance.sample(range(size), 2))
        pairs.append((order[first], order[last]))
    if chance.random() < 0.5:
        chance.shuffle(pairs)
    made = []
    for writer, reader in pairs[:MAX_CHANNELS]:
        capacity = chance.choice((1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 100, 128, 256))
        hits = 0 if calm else some(chance, 20_000, 0.5)
        top = capacity if hits or chance.random() < 0.15 else chance.randrange(capacity + 1)
        made.append(Channel(writer, reader, top, capacity, chance.random() < 0.35, hits))
    return made


def draw_server(chance, calm):
    period = spread(chance, 500_000, 1_000_000_000)
    budget = max(10_000, int(period * chance.uniform(0.03, 0.8)))
    jobs = spread(chance, 5, 100_000)
    over = 0 if calm else some(chance, jobs, 0.5)
    throttles = over + chance.randrange(3) if over else (0 if calm else some(chance, 50, 0.15))
    misses = 0 if calm else some(chance, jobs if not over else over, 0.6 if over else 0.3)
    worst = int(period * chance.uniform(1.02, 6)) if misses else int(period * chance.uniform(0.05, 0.98))
    return Server(budget, period, jobs, over, misses, throttles, worst)


def draw_audit(chance):
    kind = chance.random()
    if kind < 0.4:  # somebody tries
        refused = spread(chance, 6, 2000)
        return some(chance, 3 * refused, 0.8), refused, chance.randrange(1, 2 + refused // 4)
    refused = chance.randrange(0, 20) if chance.random() < 0.6 else 0
    return some(chance, 400, 0.9), refused, chance.randrange(1, refused + 1) if refused else 0


def draw(chance, largest=MAX_OPERATORS):
    """A situation of at most `largest` operators; who asks for fewer is learning."""
    size = min(chance.choice((2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8)), largest)
    size = 0 if chance.random() < 0.02 else size
    operators = draw_operators(chance, size)
    channels = draw_channels(chance, size) if size else []
    for number, op in enumerate(operators):
        inputs = [i for i, c in enumerate(channels) if c.reader == number]
        op.input = max(inputs, key=lambda i: channels[i].hits) if inputs else -1
    calm = chance.random() < 0.25
    servers = [draw_server(chance, calm) for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 4)))]
    jobs = spread(chance, 1, 50_000)
    npu = (jobs, some(chance, jobs, 0.5), chance.randrange(1, 17)) if chance.random() < 0.5 else ()
    asked = spread(chance, 1, 5_000)
    llm = (asked, some(chance, asked, 0.5), some(chance, asked, 0.4)) if chance.random() < 0.5 else ()
    return Situation(operators, channels, servers, draw_audit(chance), npu, llm)


def draw_part(chance, part, largest=MAX_OPERATORS):
    """One of the part that is wanted."""
    while True:
        made = draw(chance, largest)
        if part_of(made) == part:
            return made


if __name__ == "__main__":
    print(prompt(draw(random.Random(1)), "which operator is the bottleneck"))
