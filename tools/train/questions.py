"""What sis-explain is asked about a situation, in many wordings, and the one answer that is right.

Of figures that look the same in a prompt the first one listed counts. The last wordings of each kind, HELD_OUT_WORDINGS
of them, are never trained with.
"""

from situation import count, duration, percent, two_digits

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


def pressure(c, number):
    """What a channel's figures say of its reader."""
    if c.hits == 0:
        return f"its input c{number + 1} was never too full."
    return f"its input c{number + 1} {'lost' if c.drops else 'stalled'} {count(c.hits)} times."


def feeding(situation, op):
    return "it is a source." if op.input < 0 else pressure(situation.channels[op.input], op.input)


def bottleneck(s, _):
    at = largest([o.busy_permille for o in s.operators])
    if at is None:
        return "no operator runs."
    op = s.operators[at]
    return f"o{at + 1} is the bottleneck: busy {percent(op.busy_permille)}, {duration(op.run_ns)} a run; {feeding(s, op)}"


def slowest(s, _):
    at = largest([tenths(o.run_ns) for o in s.operators])
    if at is None:
        return "no operator runs."
    op = s.operators[at]
    return f"o{at + 1} is the slowest: {duration(op.run_ns)} a run, at most {duration(op.max_ns)}."


def limit_of(number, op):
    """What an operator's limit says of it."""
    if op.limit_ns == 0:
        return f"o{number + 1} has no limit."
    if op.over == 0:
        return f"o{number + 1} is within its limit {duration(op.limit_ns)}, at most {duration(op.max_ns)}."
    return f"o{number + 1} is over its limit {duration(op.limit_ns)}, {count(op.over)} times, at most {duration(op.max_ns)}."


def compare(s, places):
    a, b = (s.operators[p] for p in places)
    first, second = (f"o{p + 1}" for p in places)
    if shown(tenths(a.run_ns)) > shown(tenths(b.run_ns)):
        return f"{first} is slower: {duration(a.run_ns)} a run, {second} {duration(b.run_ns)}; {limit_of(places[0], a)}"
    return f"no, {first} is not slower: {duration(a.run_ns)} a run, {second} {duration(b.run_ns)}."


def cause(number, s):
    """Why a server missed deadlines."""
    text = f"s{number + 1} missed {count(s.misses)} of {count(s.jobs)}: "
    if s.over:
        return text + f"{count(s.over)} jobs took more than its budget {duration(s.budget_ns)}, throttled {count(s.throttles)} times."
    return text + f"no job took more than its budget {duration(s.budget_ns)}, but the worst took {duration(s.worst_ns)}."


def any_deadline(s, _):
    at = largest([x.misses for x in s.servers])
    return "no deadline was missed." if at is None else cause(at, s.servers[at])


def server_deadline(s, places):
    server = s.servers[places[0]]
    if server.misses == 0:
        return f"no, s{places[0] + 1} missed none of {count(server.jobs)}, the worst took {duration(server.worst_ns)}."
    return cause(places[0], server)


def excess(number, s):
    return (f"s{number + 1} is over budget: {count(s.over)} of {count(s.jobs)} jobs took more than {duration(s.budget_ns)}, "
            f"throttled {count(s.throttles)} times.")


def any_budget(s, _):
    at = largest([x.over for x in s.servers])
    return "no server is over budget." if at is None else excess(at, s.servers[at])


def server_budget(s, places):
    server = s.servers[places[0]]
    if server.over == 0:
        return f"no, s{places[0] + 1} is within its budget {duration(server.budget_ns)}, 0 of {count(server.jobs)} jobs."
    return excess(places[0], server)


def saturation(number, c):
    what = "lost" if c.drops else "stalled"
    return f"c{number + 1} is saturated: it {what} {count(c.hits)} times, at most {count(c.top)} of {count(c.capacity)}."


def any_channel(s, _):
    at = largest([c.hits for c in s.channels])
    return "no channel is saturated." if at is None else saturation(at, s.channels[at])


def channel(s, places):
    c = s.channels[places[0]]
    if c.hits == 0:
        return f"no, c{places[0] + 1} is not saturated: at most {count(c.top)} of {count(c.capacity)}."
    return saturation(places[0], c)


def lost(s, _):
    at = largest([c.hits if c.drops else 0 for c in s.channels])
    if at is None:
        return "no channel lost tensors."
    c = s.channels[at]
    return f"c{at + 1} lost {count(c.hits)} times: its reader o{c.reader + 1} takes {duration(s.operators[c.reader].run_ns)} a run."


def guessing(s, _):
    accepted, refused, links = s.audit
    figures = f"{count(refused)} refused, {count(accepted)} accepted, {count(links)} links."
    if refused >= GUESSES and shown(refused) > shown(accepted):
        return "yes, it looks like token guessing: " + figures
    return "no, it does not look like token guessing: " + figures


def change(s, _):
    """The first that helps: a budget, the reader of a channel that is full, an operator over its limit."""
    at = largest([x.over for x in s.servers])
    if at is not None:
        server = s.servers[at]
        return f"raise the budget {duration(server.budget_ns)} of s{at + 1}: {count(server.over)} jobs took more."
    at = largest([c.hits for c in s.channels])
    if at is not None:
        c = s.channels[at]
        what = "lost" if c.drops else "stalled"
        return f"make o{c.reader + 1} faster: its input c{at + 1} {what} {count(c.hits)} times."
    at = largest([o.over for o in s.operators])
    if at is not None:
        op = s.operators[at]
        return f"make o{at + 1} faster: it is over its limit {duration(op.limit_ns)}, {count(op.over)} times."
    return "nothing: no budget, channel or limit is exceeded."


def any_limit(s, _):
    at = largest([o.over for o in s.operators])
    return "no operator is over its limit." if at is None else limit_of(at, s.operators[at])


def one_limit(s, places):
    return limit_of(places[0], s.operators[places[0]])


def time_of(s, places):
    op = s.operators[places[0]]
    return (f"o{places[0] + 1} takes {duration(op.run_ns)} a run, at most {duration(op.max_ns)}, "
            f"busy {percent(op.busy_permille)}; {feeding(s, op)}")


def throttles(s, places):
    server = s.servers[places[0]]
    return (f"s{places[0] + 1} was throttled {count(server.throttles)} times: "
            f"budget {duration(server.budget_ns)}, period {duration(server.period_ns)}.")


def npu(s, _):
    if not s.npu:
        return "there is no npu."
    jobs, missed, top = map(count, s.npu)
    return f"the npu missed {missed} of {jobs}, at most {top} at a time." if s.npu[1] else f"no, the npu missed none of {jobs}."


def llm(s, _):
    if not s.llm:
        return "there is no llm."
    asked, refused, missed = map(count, s.llm)
    return f"the llm refused {refused} of {asked} and missed {missed}."


def other(_, __):
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
    return chance.choice(choices).format(*labels), answer(situation, places)
