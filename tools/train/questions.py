"""What sis-explain is asked about a situation, in many wordings, and the one answer that is right.

Answers name each figure that they rest on. Where the question says whose figures matter, they come before what follows
from them; else first comes the one that was found.

Of figures that look the same in a prompt the first one listed counts. The last wordings of each kind, HELD_OUT_WORDINGS
of them, are never trained with.
"""

from situation import context, two_digits

HELD_OUT_WORDINGS = 2
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
        words = context(situation).split()
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


# kind: (what it names, its weight in training, the answer, wordings)
KINDS = {
    "bottleneck": ("", 12, bottleneck, (
        "which operator is the bottleneck and why", "what is the bottleneck", "where is the bottleneck",
        "which op is the bottleneck", "who is the bottleneck", "which operator is holding the graph back",
        "what limits the throughput", "why is the graph slow", "which operator is busy the most",
        "what takes most of the time", "who uses the most processor time", "find the bottleneck",
        "what holds the pipeline back", "why is the pipeline so slow", "which stage is the bottleneck",
        "which operator is the bottleneck", "tell me the bottleneck of this graph")),
    "slowest": ("", 8, slowest, (
        "which operator is the slowest", "what is the slowest operator", "which op is slowest",
        "which operator takes the longest", "which operator needs the most time for a run", "slowest operator",
        "who takes the longest", "which op takes longest a run", "name the slowest op",
        "which of the operators is the slowest one", "which stage is slowest")),
    "compare": ("oo", 12, compare, (
        "why was op {} slower than op {}", "why is {} slower than {}", "why was operator {} slower than operator {}",
        "is {} slower than {}", "why does {} take longer than {}", "does op {} take longer than op {}",
        "compare {} with {}", "was {} slower than {}", "is op {} slower than op {}", "why did {} take longer than {}",
        "why is op {} slower than op {}", "how come {} is slower than {}")),
    "any deadline": ("", 9, any_deadline, (
        "why was a deadline missed", "why were deadlines missed", "which server missed its deadline",
        "was a deadline missed", "who missed a deadline", "which server is late", "why are we late",
        "which server missed the most deadlines", "did anybody miss a deadline", "what missed its deadline and why",
        "why did a server miss its deadline", "was any deadline missed and why")),
    "server deadline": ("s", 7, server_deadline, (
        "why did {} miss its deadline", "did {} miss a deadline", "why is {} late", "was {} late",
        "why did server {} miss deadlines", "how many deadlines did {} miss", "did server {} miss its deadline",
        "why does {} miss deadlines", "why was server {} late", "how often was {} late")),
    "any budget": ("", 8, any_budget, (
        "which server is over budget", "is any server over budget", "who is over budget",
        "which server took more than its budget", "which server overruns its budget", "who used too much time",
        "which servers are over their budget", "is a server over its budget", "what server overran",
        "which server needs more than its budget", "is there a server over budget")),
    "server budget": ("s", 6, server_budget, (
        "is {} over budget", "is server {} over its budget", "did {} overrun its budget", "does {} need more budget",
        "is the budget of {} enough", "did {} take more than its budget", "does server {} keep to its budget",
        "is the budget of server {} too small", "is {} within its budget")),
    "any channel": ("", 8, any_channel, (
        "which channel is saturated", "is any channel saturated", "is a channel full", "which channel is full",
        "which channel is too small", "where do tensors pile up", "which channel stalled the most",
        "are there full channels", "what channel is saturated and why", "which queue is full",
        "is there a channel that is full")),
    "channel": ("c", 7, channel, (
        "is channel {} saturated", "is {} saturated", "is {} full", "was channel {} full", "how full is {}",
        "how full was channel {}", "is channel {} too small", "did {} stall", "is channel {} full", "was {} saturated")),
    "lost": ("", 5, lost, (
        "why were tensors lost", "which channel lost tensors", "where were tensors dropped", "were tensors dropped",
        "which channel drops tensors", "did we lose data", "why is data lost", "where do we lose tensors",
        "why are tensors dropped", "which channel dropped the most")),
    "guessing": ("", 8, guessing, (
        "does the audit log look like token guessing", "is somebody guessing tokens", "is this token guessing",
        "are we under attack", "does somebody guess tokens", "does the audit look like an attack",
        "is anyone trying to guess a token", "who tries tokens", "are there too many refused hellos",
        "is the audit log suspicious", "does this look like somebody guessing tokens")),
    "change": ("", 10, change, (
        "what should i change", "what should be changed", "what can i do", "how do i fix it", "what to change",
        "what do you recommend", "how can i make it better", "what should i do", "how to improve this",
        "what would help", "what is to be changed", "how can this be improved")),
    "any limit": ("", 6, any_limit, (
        "which operator is over its limit", "is an operator over its limit", "which op took more than its limit",
        "did any operator exceed its limit", "which operator exceeds its wcet", "is any op over its wcet",
        "which operator went over its limit", "who exceeds the limit", "which op is over its limit")),
    "limit": ("o", 5, one_limit, (
        "is {} over its limit", "is op {} within its limit", "does {} keep to its limit", "did {} exceed its limit",
        "is operator {} over its wcet", "does op {} exceed its limit", "is {} within its limit",
        "did operator {} go over its limit")),
    "time": ("o", 7, time_of, (
        "how long does {} take", "how long does op {} take", "why is {} slow", "why is op {} so slow", "how slow is {}",
        "tell me about {}", "how busy is {}", "what about op {}", "is {} slow", "how busy is operator {}",
        "why is operator {} slow")),
    "throttles": ("s", 4, throttles, (
        "how often was {} throttled", "was {} throttled", "is server {} throttled", "why is {} throttled",
        "how often was server {} throttled", "why was {} throttled", "is {} throttled")),
    "npu": ("", 3, npu, (
        "did the npu miss deadlines", "how is the npu", "is the npu late", "was the npu too slow",
        "did the npu miss a deadline", "did npu jobs miss their deadline", "are npu jobs late")),
    "llm": ("", 3, llm, (
        "were llm requests refused", "why were requests of the llm refused", "how is the llm", "did the llm refuse requests",
        "did the llm miss deadlines", "how many requests did the llm refuse", "how many llm requests were refused")),
    "other": ("", 3, other, (
        "what is the weather", "who are you", "how old is the earth", "tell me a story", "what is my name",
        "hello", "what time is it", "sing a song", "who wrote the kernel", "what is two and two", "is it raining",
        "what is the capital of france", "how are you", "write a poem", "where do you live", "what is the meaning of life")),
}

# What has to be found first: learnt last.
SEARCHES = ("bottleneck", "slowest", "any deadline", "any budget", "any channel", "lost", "change", "any limit")


def places_for(chance, situation, names):
    """Which operators, channels or servers a question names; None where there are too few."""
    listed = {"o": situation.operators, "c": situation.channels, "s": situation.servers}
    if any(names.count(n) > len(listed[n]) for n in names):
        return None
    return chance.sample(range(len(listed[names[0]])), len(names)) if names else []


def ask(chance, situation, kind, new_wording=False):
    """(question, answer) of this kind; None where the situation has nothing that could be named."""
    names, _, answer, wordings = KINDS[kind]
    places = places_for(chance, situation, names)
    if places is None:
        return None
    choices = wordings[-HELD_OUT_WORDINGS:] if new_wording else wordings[:-HELD_OUT_WORDINGS]
    labels = [f"{name}{place + 1}" for name, place in zip(names, places)]
    return chance.choice(choices).format(*labels), answer(situation, Cited(situation), places)
