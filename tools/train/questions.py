"""What sis-explain is asked about a situation (in wordings.py's words), and the one answer that is right.

Answers name each figure that they rest on. Where the question says whose figures matter, they come before what follows
from them; else first comes the one that was found.

Of figures that look the same in a prompt the first one listed counts.
"""

import phrasing
from situation import context, two_digits

GUESSES = 10  # refused hellos that may be guessing, if they are also more than the accepted ones


def shown(value):
    mantissa, power = two_digits(value)
    return mantissa * 10**power


def tenths(nanoseconds):
    """Tenths of a microsecond, as durations are shown."""
    return (nanoseconds + 50) // 100


def largest(values):
    """The index of the first of the largest, as they are shown; None where all are 0 or there is none."""
    best = None
    for index, value in enumerate(map(shown, values)):
        if value > 0 and (best is None or value > shown(values[best])):
            best = index
    return best


class Cited:
    """The figures of a situation as a prompt has them, by their words."""

    def __init__(self, situation):
        self.context = context(situation)
        words = self.context.split()
        self.figures = dict(zip(words[0::2], words[1::2]))

    def __call__(self, whose, *words):
        return ", ".join(f"{whose}.{word} {self.figures[f'{whose}.{word}']}" for word in words)

    def hits(self, whose):
        """How often a channel was full: it has one of two words for it."""
        return self(whose, "lost" if f"{whose}.lost" in self.figures else "stalled")


def with_input(cited, whose):
    """What an operator reads, and how full that was."""
    read = cited.figures[f"{whose}.input"]
    return cited(whose, "input") + ("" if read == "-" else ", " + cited.hits(read))


def bottleneck(s, cited, _):
    at = largest([o.busy_permille for o in s.operators])
    if at is None:
        return "no operator runs."
    return f"o{at + 1} is the bottleneck: {cited(f'o{at + 1}', 'busy', 'run')}, {with_input(cited, f'o{at + 1}')}."


def slowest(s, cited, _):
    at = largest([tenths(o.run_ns) for o in s.operators])
    if at is None:
        return "no operator runs."
    return f"o{at + 1} is the slowest: {cited(f'o{at + 1}', 'run', 'max')}."


def compare(s, cited, places):
    first, second = (f"o{p + 1}" for p in places)
    a, b = (shown(tenths(s.operators[p].run_ns)) for p in places)
    figures = f"{cited(first, 'run')}, {cited(second, 'run')}"
    if a > b:
        return f"{figures}: {first} is slower, {cited(first, 'limit', 'over')}."
    return f"{figures}: {first} is not slower."


def cause(s, cited, at):
    """Why a server missed deadlines."""
    figures = cited(f"s{at + 1}", "missed", "jobs", "over", "budget", "worst")
    return figures + (": jobs took more than the budget." if s.servers[at].over else ": no job took more than the budget.")


def any_deadline(s, cited, _):
    at = largest([x.misses for x in s.servers])
    return "no deadline was missed." if at is None else cause(s, cited, at)


def server_deadline(s, cited, places):
    whose = f"s{places[0] + 1}"
    if s.servers[places[0]].misses:
        return cause(s, cited, places[0])
    return f"{cited(whose, 'missed', 'jobs', 'worst')}: {whose} missed none."


def any_budget(s, cited, _):
    at = largest([x.over for x in s.servers])
    if at is None:
        return "no server is over budget."
    return f"s{at + 1} is over budget: {cited(f's{at + 1}', 'over', 'jobs', 'budget', 'throttled')}."


def server_budget(s, cited, places):
    whose = f"s{places[0] + 1}"
    stance = "over budget" if s.servers[places[0]].over else "within its budget"
    return f"{cited(whose, 'over', 'jobs', 'budget')}: {whose} is {stance}."


def any_channel(s, cited, _):
    at = largest([c.hits for c in s.channels])
    if at is None:
        return "no channel is saturated."
    return f"c{at + 1} is saturated: {cited.hits(f'c{at + 1}')}, {cited(f'c{at + 1}', 'top', 'room')}."


def channel(s, cited, places):
    whose = f"c{places[0] + 1}"
    stance = "is saturated" if s.channels[places[0]].hits else "is not saturated"
    return f"{cited.hits(whose)}, {cited(whose, 'top', 'room')}: {whose} {stance}."


def lost(s, cited, _):
    at = largest([c.hits if c.drops else 0 for c in s.channels])
    if at is None:
        return "no channel lost tensors."
    return f"c{at + 1} lost tensors: {cited(f'c{at + 1}', 'lost', 'reader')}, {cited(f'o{s.channels[at].reader + 1}', 'run')}."


def guessing(s, cited, _):
    accepted, refused, _ = s.audit
    looks = refused >= GUESSES and shown(refused) > shown(accepted)
    return cited("audit", "refused", "accepted", "links") + (": it looks" if looks else ": it does not look") + " like token guessing."


def change(s, cited, _):
    """The first that helps: a budget, the reader of a channel that is full, an operator over its limit."""
    at = largest([x.over for x in s.servers])
    if at is not None:
        return f"{cited(f's{at + 1}', 'over', 'budget')}: raise the budget of s{at + 1}."
    at = largest([c.hits for c in s.channels])
    if at is not None:
        return f"{cited.hits(f'c{at + 1}')}, {cited(f'c{at + 1}', 'reader')}: make o{s.channels[at].reader + 1} faster."
    at = largest([o.over for o in s.operators])
    if at is not None:
        return f"{cited(f'o{at + 1}', 'over', 'limit')}: make o{at + 1} faster."
    return "nothing: no budget, channel or limit is exceeded."


def any_limit(s, cited, _):
    at = largest([o.over for o in s.operators])
    if at is None:
        return "no operator is over its limit."
    return f"o{at + 1} is over its limit: {cited(f'o{at + 1}', 'over', 'limit', 'max')}."


def one_limit(s, cited, places):
    op = s.operators[places[0]]
    stance = "is over its limit" if op.over else "is within its limit" if op.limit_ns else "has no limit"
    return f"{cited(f'o{places[0] + 1}', 'limit', 'over', 'max')}: o{places[0] + 1} {stance}."


def time_of(s, cited, places):
    whose = f"o{places[0] + 1}"
    return f"{cited(whose, 'run', 'max', 'busy')}, {with_input(cited, whose)}."


def throttles(s, cited, places):
    return cited(f"s{places[0] + 1}", "throttled", "budget", "period") + "."


def npu(s, cited, _):
    return cited("npu", "missed", "jobs", "top") + "." if s.npu else "there is no npu."


def llm(s, cited, _):
    return cited("llm", "refused", "missed", "asked") + "." if s.llm else "there is no llm."


def other(*_):
    return "the figures do not say."


# kind: (what it names, its weight in training among those that search for nothing, the answer)
KINDS = {
    "bottleneck": ("", 0, bottleneck), "slowest": ("", 0, slowest), "compare": ("oo", 12, compare),
    "any deadline": ("", 0, any_deadline), "server deadline": ("s", 7, server_deadline),
    "any budget": ("", 0, any_budget), "server budget": ("s", 7, server_budget),
    "any channel": ("", 0, any_channel), "channel": ("c", 7, channel), "lost": ("", 0, lost),
    "guessing": ("", 8, guessing), "change": ("", 0, change), "any limit": ("", 0, any_limit), "limit": ("o", 6, one_limit),
    "time": ("o", 7, time_of), "throttles": ("s", 5, throttles), "npu": ("", 4, npu), "llm": ("", 4, llm), "other": ("", 7, other),
}

# What has to be found first, among all there is: learnt last.
SEARCHES = tuple(kind for kind, (_, weight, _) in KINDS.items() if weight == 0)


def places_for(chance, situation, names):
    """Which operators, channels or servers a question names; None where there are too few."""
    listed = {"o": situation.operators, "c": situation.channels, "s": situation.servers}
    if any(names.count(n) > len(listed[n]) for n in names):
        return None
    return chance.sample(range(len(listed[names[0]])), len(names)) if names else []


def ask(chance, situation, kind, words="trained", cited=None):
    """(question, answer) of this kind; None where the situation has nothing that could be named.

    @param words  of which wordings: trained, validation or test
    @param cited  Cited(situation), if there is one
    """
    names, _, answer = KINDS[kind]
    places = places_for(chance, situation, names)
    if places is None:
        return None
    labels = [f"{name}{place + 1}" for name, place in zip(names, places)]
    return phrasing.drawn(chance, kind, words).format(*labels), answer(situation, cited or Cited(situation), places)
