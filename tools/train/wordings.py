"""In which words sis-explain is asked, of each kind: those that it is trained with, and two sets that it never is.

TRAINED are patterns: "(a|b|)" is one of these texts, "{}" a label that the question names. VALIDATION and TEST are plain
questions, written apart: the first ones tell when training is done, the last ones are for the measurement at its end.
Whatever a pattern makes that is one of theirs is not trained with (questions.py).
"""

_ANY = "(which|what)"
_OP = "(operator|op|operator|op|stage|node)"
_OPS = "(operators|ops|stages)"
_THE_OP = "(|op |operator |stage )"
_SERVER = "(|server |task )"
_GRAPH = "(graph|pipeline|system|whole thing)"
_SOMEBODY = "(somebody|someone|anybody|anyone)"

TRAINED = {
    "bottleneck": (
        f"{_ANY} {_OP} is (the|our|a|my) bottleneck(| and why| here| now)", "(what|where|who) (is|s) (the|our|my) bottleneck(| here| and why)",
        "(find|show|name|explain|identify) (|me )(the|our) bottleneck(| operator| op)", "bottleneck(| operator| op)",
        f"{_ANY} {_OP} (is holding|holds|keeps) the {_GRAPH} back", f"{_ANY} (holds|keeps) the {_GRAPH} back",
        "(what|which op|who) (limits|reduces|hurts) (the|our) (throughput|speed|rate|performance)(| most| the most)",
        f"why is (the|this|my|our) {_GRAPH} (slow|so slow|this slow|not faster)",
        f"{_ANY} {_OP} is (busy the most|the busiest|busiest|most busy|busy most of the time)", "who is (the busiest|busiest|most busy)",
        "what (takes|needs|eats|uses) (most|the most) (of the|) (time|cpu|processor time|cpu time)",
        "who (uses|takes|needs|eats|burns) (the most|most) (processor time|cpu|cpu time|processor|time of all)",
        f"{_ANY} {_OP} (uses|takes|needs|eats|has) (the most|most|the largest share of the|the biggest share of) (cpu|cpu time|processor time|processor)",
        f"(where does|where is) (all |)(the|our) (cpu time|processor time|time|cpu) (go|going|gone|spent)",
        f"{_ANY} {_OP} (has|is under) the (highest|most|biggest|heaviest|largest) (load|busy share|utilization|share)",
        f"what (makes|made) (the|my) {_GRAPH} (slow|so slow)", f"{_ANY} {_OP} makes (the {_GRAPH}|everything|it all) slow",
        f"{_ANY} {_OP} (loads|occupies) the (cpu|processor) (the most|most)", "is there a bottleneck", f"does (the|my) {_GRAPH} have a bottleneck",
        f"{_ANY} part of the {_GRAPH} is the (bottleneck|busiest)",
    ),
    "slowest": (
        f"{_ANY} {_OP} is (the|) slowest(| one| now| of all)", f"(what|who) (is|s) the slowest(| {_OP}| one| of them)", f"slowest {_OP}",
        f"{_ANY} {_OP} (takes|needs|runs|took) (the longest|longest|the most time)(| for a run| a run| per run| for one run| to run| to execute)",
        "who (takes|needs|runs|took) (the longest|longest)(| for a run| per run| a run)", f"(name|show|find|list) (|me )the slowest {_OP}",
        f"{_ANY} of the {_OPS} is (the slowest|slowest|slowest of all)(| one)", f"{_ANY} {_OP} has the (longest|slowest|largest) (run|runs|run time|execution|execution time|mean run)",
        f"whose (run|runs|execution) (is|are|takes) (the longest|longest|slowest)", f"{_ANY} (run|execution) (is|takes) the (longest|slowest)",
        f"{_ANY} {_OP} (needs|takes) the (most|longest) time (per|for a|for each|each|a) (run|execution)", f"{_ANY} {_OP} (executes|runs|works) (slowest|the slowest)",
        f"{_ANY} one is (the slowest|slowest)", "who is (slowest|the slowest)(| of all| of them)",
    ),
    "compare": (
        f"why (was|is) {_THE_OP}{{}} (|so much |that much |a lot )slower than {_THE_OP}{{}}", f"(is|was) {_THE_OP}{{}} (really |)slower than {_THE_OP}{{}}",
        f"why (does|did) {_THE_OP}{{}} (take|need|run|last) (longer|more time) than {_THE_OP}{{}}",
        f"(does|did) {_THE_OP}{{}} (take|need|run) (longer|more time) than {_THE_OP}{{}}",
        f"compare {_THE_OP}{{}} (with|to|and|against) {_THE_OP}{{}}", f"how come {_THE_OP}{{}} is slower than {_THE_OP}{{}}",
        f"what makes {_THE_OP}{{}} slower than {_THE_OP}{{}}", f"explain why {_THE_OP}{{}} is slower than {_THE_OP}{{}}",
        f"{_THE_OP}{{}} (seems|looks) slower than {_THE_OP}{{}}(| why)", f"{_THE_OP}{{}} (versus|vs|against|or) {_THE_OP}{{}}",
        f"how does {_THE_OP}{{}} compare (with|to) {_THE_OP}{{}}", f"how much slower is {_THE_OP}{{}} than {_THE_OP}{{}}",
        f"what is the reason that {_THE_OP}{{}} is slower than {_THE_OP}{{}}",
    ),
    "any deadline": (
        "why (was|is) (a|the|that|our|this) deadline (missed|not met|not kept)", "why were (deadlines|some deadlines|the deadlines) (missed|not met|not kept)",
        f"(which|what) (server|task) (missed|misses|did not meet|failed|exceeded) (its|a|the|any) (deadline|deadlines)(| and why)",
        "(was|is|has) (a|any) deadline (missed|been missed)(| and why)", "were (any |some |)deadlines (missed|not met)(| and why)",
        f"(who|what) (missed|misses|failed to meet|did not keep) (a|its|the|their|any) deadline(|s)(| and why)",
        f"(which|what) (server|task) (is|was|runs) (late|too late)(| and why| most often)", "(why are|are) (we|things|jobs) late", "who (is|was) late(| and why| the most)",
        f"(which|what) (server|task) (missed|misses) (the most|most|more) deadlines", f"did {_SOMEBODY} miss (a|any|their) deadline(|s)",
        f"why (did|does) (a|any|some|the) (server|task) miss (its|a) deadline", "(are there|were there|any) (missed deadlines|deadline misses|late jobs)",
        "(explain|show|why) (the|these|) (missed deadlines|deadline misses|deadline miss|missed deadline)", "(deadlines|deadline misses|missed deadlines)",
        "why (are|were) (some |)jobs (late|too late)", "(do|did) all (servers|tasks) (meet|keep|make) (their|the) deadlines",
        "which (servers|tasks) (missed|miss) (their |)deadlines",
    ),
    "server deadline": (
        f"why (did|does) {_SERVER}{{}} miss (its|a|the|) (deadline|deadlines)", f"(did|does) {_SERVER}{{}} (miss|miss any of) (its|a|any|) (deadline|deadlines)",
        f"(why |)(is|was) {_SERVER}{{}} (late|too late|so late|always late)", f"how (many|often) (deadlines |)(did|does) {_SERVER}{{}} (miss|miss a deadline)",
        f"how often (is|was) {_SERVER}{{}} late", f"(does|did) {_SERVER}{{}} (meet|keep|make|hold) (its|all|every) (deadline|deadlines)",
        f"(has|had) {_SERVER}{{}} (missed|ever missed) (a|any|its) deadline(|s)", f"deadline misses of {_SERVER}{{}}", f"why (is|was) the deadline of {_SERVER}{{}} missed",
        f"(how many|which) jobs of {_SERVER}{{}} (were|are) late", f"(is|was) {_SERVER}{{}} (on time|in time)", f"what (made|makes) {_SERVER}{{}} (late|miss its deadline)",
        f"deadlines of {_SERVER}{{}}",
    ),
    "any budget": (
        "(which|what) (server|task) is (over|above|beyond|out of) (|its |the )budget", "(is|are) (any|a|some) (server|task|servers) (over|above|beyond) (|its |their |the )budget",
        "who (is|was|went) (over|above) (|their |its |the )budget", "(which|what) (server|task) (took|takes|used|uses|needs|needed) more (time |cpu |)than its budget",
        "(which|what) (server|task) (overruns|overran|exceeds|exceeded|breaks|blows) (its|the|their) budget", "who (used|uses|took|takes) too much (time|budget)",
        "which (servers|tasks) (are|were) over (their |the |)budget", "(which|what) (server|task) (overran|overruns|exceeded it)", "(is|are) there (|a |any )(server|servers|task) (over|above) budget",
        "(any|were there|are there) (budget |)overruns", "(did|does) (any|a|some) (server|task) (exceed|overrun|break) (its|the) budget", f"did {_SOMEBODY} (exceed|overrun|go over) (their|its|the|a) budget",
        "(which|what) (server|task) (went|goes|ran) over (|its |the )budget", "who (exceeds|exceeded|overruns|overran) (the|their|its) budget", "(which|whose) budget (is|was) (exceeded|too small|not enough|overrun)",
        "budget overruns", "(which|what) (server|task) (has|had) (the most|most) overruns", "(which|what) (server|task) needs more budget",
    ),
    "server budget": (
        f"is {_SERVER}{{}} (over|above|beyond|within|inside|in|under) (its |the |)budget", f"(did|does) {_SERVER}{{}} (overrun|exceed|keep|keep to|keep within|stay within|break|stay in) (its|the) budget",
        f"does {_SERVER}{{}} need (more|a larger|a bigger) budget", f"is the budget of {_SERVER}{{}} (enough|too small|sufficient|exceeded|large enough|big enough|ok|right)",
        f"(did|does) {_SERVER}{{}} (take|use|need) more (|time )than its budget", f"how often (did|does) {_SERVER}{{}} (exceed|overrun|go over) its budget",
        f"(was|were) (the budget of |){_SERVER}{{}} (overrun|exceeded|over budget)", f"budget of {_SERVER}{{}}", f"(did|does) {_SERVER}{{}} (go|run) over (its |)budget",
        f"how is the budget of {_SERVER}{{}}", f"(does|did) {_SERVER}{{}} have (enough|too little) budget", f"overruns of {_SERVER}{{}}",
        f"how many jobs of {_SERVER}{{}} (took more than|exceeded|were over) (its|the) budget",
    ),
    "any channel": (
        "(which|what) (channel|queue) is (saturated|full|the fullest|too small|overloaded|too full)(| and why| now)", "(is|are) (any|a|some) (channel|queue|channels|queues) (saturated|full|too small|too full)",
        "(which|what) (channel|queue) (stalled|stalls|is full|was full|fills|filled|blocks|backs) (the most|most|most often|up)(| most)", "where do (tensors|things|data|items) (pile up|queue up|wait|jam|back up)",
        "(are|were) there (any |)(full|saturated|blocked|stalled) (channels|queues)", "is there (a|any) (full|saturated|stalled) (channel|queue)", "is there (a|any) (channel|queue) that is (full|saturated|too small)",
        "(which|what) (channels|queues) (are|were) (full|saturated)", "(which|what) (channel|queue) (makes|made|lets) its writer wait", "(where|which channel) is the (back pressure|backpressure|jam|congestion)",
        "(full|saturated) (channels|queues|channel)", "(which|what) (channel|queue) (needs|should have) (more|a larger) (room|capacity|space)", "do (writers|operators) (wait|have to wait) for (channels|a channel|room)",
        "(why|where) do writers (stall|wait)", "do any (channels|queues) (fill up|stall|run full)",
    ),
    "channel": (
        "(is|was) (channel |){} (saturated|full|too small|overloaded|too full|ever full|blocked)", "how full (is|was|did) (channel |){}(| get)", "(did|does) (channel |){} (stall|fill up|fill|run full|block)",
        "how often (was|did) (channel |){} (full|stall|saturated)", "is (the |)(queue|channel) {} (full|saturated|too small)", "(does|is) (channel |){} (have|has) (enough |)room", "tell me about channel {}",
        "what (about|is with|is wrong with) channel {}", "(is|was) there room in (channel |){}", "how (is|was) channel {}", "(do|did) tensors (pile up|wait) in (channel |){}", "channel {}",
    ),
    "lost": (
        "why (were|are|was|is) (tensors|data|some tensors|frames|items) (lost|dropped|missing|thrown away)", "(which|what) (channel|queue) (lost|loses|drops|dropped|is losing|is dropping) (tensors|data|frames|items|anything)(| the most| most)",
        "(where|were|are) (were|are|) (|any |some |the )(tensors|data|frames) (dropped|lost|being lost|being dropped)", "(did|do) (we|you|channels|any channels) (lose|drop) (|any |some )(data|tensors|frames|anything)",
        "(where|why) do (we|i) (lose|drop) (tensors|data|frames)", "(which|what) (channel|queue) (drops|dropped|loses|lost) (the most|most)", "(is|was) (any |)(data|something|anything) (lost|dropped)",
        "(lost|dropped) (tensors|data|frames)", "(are there|were there|any) (|any )(losses|drops|lost tensors|dropped tensors)", "(does|did) (a|any|some) channel (lose|drop) (tensors|data|something)", "what (was|got|is) (lost|dropped)",
        "why (does|did) (a|the|some) channel (lose|drop) (tensors|data)", "(where|why) does data get (lost|dropped)",
    ),
    "guessing": (
        "does the audit (|log )look like (token guessing|an attack|guessing|somebody guesses tokens|an intrusion)", f"is {_SOMEBODY} (guessing|trying|attacking|brute forcing) (|our |the |a )(tokens|token|us|this)",
        "(is this|does this look like|was there|is there) (|any )(token guessing|an attack|guessing of tokens)", "are we (|being )(under attack|attacked|hacked|safe)", f"(does|did) {_SOMEBODY} (guess|try|try to guess) (|a |our |the )(tokens|token)",
        f"is {_SOMEBODY} trying to (guess|find|steal|break) (|a |the |our )(token|tokens|in)", "who (tries|guesses|guessed|tried) (|our |the )tokens", "(are|were) there (too many|many|suspicious) (refused|failed|rejected|bad|wrong) (hellos|logins|tokens|attempts)",
        "is the audit(| log) (suspicious|strange|ok|clean|fine|normal)", "(why|how many) (were|are) (|so many )hellos (refused|rejected)", "does (the|our) (audit log|log|audit) (show|hint at|contain) (an attack|attacks|token guessing|guessing)",
        "(does|do) (the|these) (refused|failed|rejected) hellos (look|seem) (suspicious|like an attack|like guessing)", "(audit|audit log|token guessing|security)", "is (the|our|this) (system|kernel|machine) (under attack|attacked|secure)",
        f"(has|did) {_SOMEBODY} (tried|try) (wrong|bad|many|random) tokens", "(anything|something) suspicious in the (audit|log|audit log)", "(do|does) (you see|it look like) an (attack|intrusion)(| here)",
    ),
    "change": (
        "what (should|shall|can|could|must|would) (i|we|you) (change|do|fix|improve|tune|adjust)(| now| first| here| about it)", "what (should|has to|needs to|must) be (changed|done|fixed|improved|tuned)", "what (to|is to be) (change|changed|do|fix|improve|tune|done)(| first)",
        "how (do|can|should|could) (i|we) (fix|improve|change|tune|repair|speed up) (it|this|that|things|the graph|the system)", "how (can|could|to) (i make it|we make it|make it|i make this|make this) (better|faster|work)", "what (do|would|can) you (recommend|suggest|advise|propose|change)",
        "what would (help|improve it|make it faster|make it better)", "(give|make) (me |)(a|some) (suggestion|recommendation|advice)", "how (can|could|should) (this|it|the graph|the system) be (improved|fixed|made faster|made better|tuned)", "any (advice|suggestions|recommendations|idea|ideas)(| what to change)",
        "(is there|what is|do we have) (something|anything|there) to (change|fix|improve)", "(what|which) change (would|will|could) help(| most| the most)", "what is (the best|the next|the first|your) (fix|change|step|advice)", "(recommend|suggest|propose) (something|a change|a fix|changes)",
        "what (is|s) wrong(| here| and how to fix it)", "(help|fix it|improve it|improve this)", "what do (i|we) (do|change)(| now)",
    ),
    "any limit": (
        f"{_ANY} {_OP} (is|went|was|runs|goes) (over|above|beyond) (its|the) (limit|wcet|time limit)", f"(is|was) (an|any|some) {_OP} (over|above|beyond) (its|the) (limit|wcet)", f"{_ANY} {_OP} (took|takes|needs|needed|ran) (more|longer) than its (limit|wcet)",
        f"(did|does) (any|an|some) {_OP} (exceed|break|violate|overrun|go over) (its|the) (limit|wcet)", f"{_ANY} {_OP} (exceeds|exceeded|breaks|violates|violated|overruns|overran) (its|the) (limit|wcet|worst case)", "who (exceeds|exceeded|violates|breaks|is over) (the|their|its) (limit|wcet|limits)",
        f"(which|are any|are) {_OPS} (are |)over (their|the) (limit|limits|wcet)", f"(are|were) (any |)(limits|wcets) (exceeded|violated|broken)", f"{_ANY} (limit|wcet) (is|was) (exceeded|violated|broken|too small)", "(limits|wcet) (exceeded|violations|overruns)",
        f"do all {_OPS} (keep|stay within|hold|meet) (their|the) (limits|limit|wcet)", f"{_ANY} {_OP} (is|runs) over (its |)limit (the most|most often)",
    ),
    "limit": (
        f"is {_THE_OP}{{}} (over|above|within|beyond|inside|under) (its|the) (limit|wcet|time limit)", f"(does|did|will) {_THE_OP}{{}} (keep to|exceed|stay within|keep|break|violate|hold|go over|overrun) (its|the) (limit|wcet)",
        f"how often (did|does|was) {_THE_OP}{{}} (exceed|over|go over|overrun) its (limit|wcet)", f"(was|is) the (limit|wcet) of {_THE_OP}{{}} (exceeded|kept|ok|too small|violated|enough)", f"what is the (limit|wcet) of {_THE_OP}{{}}",
        f"(does|did) {_THE_OP}{{}} (take|need|run) (longer|more) than its (limit|wcet)", f"(limit|wcet) of {_THE_OP}{{}}", f"(does|has) {_THE_OP}{{}} (have |)(a|any) (limit|wcet)", f"how (many|often) (runs of |){_THE_OP}{{}} (were|was) over (its|the) limit",
    ),
    "time": (
        f"how (long|much time) (does|did) {_THE_OP}{{}} (take|run|need)(| for a run| per run)", f"(why |)(is|was) {_THE_OP}{{}} (slow|so slow|this slow|that slow|very slow)", f"how (slow|busy|fast) (is|was) {_THE_OP}{{}}",
        f"(tell me|explain|what|what do you know) about {_THE_OP}{{}}", f"(show|describe|explain) (me |){_THE_OP}{{}}", f"what (is|s) (the run time|the time|the execution time|wrong|up|the matter) (of|with) {_THE_OP}{{}}", f"how (is|does) {_THE_OP}{{}} (doing|perform|do|run)",
        f"(what|how much) does {_THE_OP}{{}} (do|take|cost|use)", f"(run time|time|load|statistics) of {_THE_OP}{{}}", f"how much (cpu|processor time|cpu time) does {_THE_OP}{{}} (use|need|take)", f"what makes {_THE_OP}{{}} (slow|so slow)",
        f"what about {_THE_OP}{{}}",
    ),
    "throttles": (
        f"how (often|many times) (was|is|were|did) {_SERVER}{{}} (throttled|throttle|get throttled)", f"(why |)(was|is|did|does) {_SERVER}{{}} (throttled|get throttled|throttle)(| so often)", f"has {_SERVER}{{}} (been |ever been |)throttled",
        f"(throttles|throttling) of {_SERVER}{{}}", f"how many (throttles|throttlings) (did|does|has) {_SERVER}{{}} (have|had)", f"did (the kernel|you|it) throttle {_SERVER}{{}}", f"was {_SERVER}{{}} (stopped|paused|held back) (by throttling|for its budget)",
    ),
    "npu": (
        "(did|does) the npu miss (|any |its |a )(deadlines|deadline|jobs)", "how (is|was|busy is) the npu(| doing)", "(is|was|why is) the npu (late|too slow|slow|ok|busy|overloaded|on time)", "(did|do|are|were) (any |)npu jobs (miss their deadline|late|missed|miss deadlines|too late)",
        "how many (npu jobs|jobs of the npu|jobs on the npu) (were late|were there|missed their deadline|missed|ran)", "(tell me about|what about|show me|explain) the npu", "(npu|npu jobs|npu deadlines|the npu)", "is there (an|a) npu", "how many (jobs|deadlines) did the npu (run|miss|have|get)",
        "what (does|did) the npu do",
    ),
    "llm": (
        "(were|are|why were|how many) llm requests (|were |are )(refused|rejected|denied|late)", "why (were|are) (requests|some requests) (of|to|for) the llm (refused|rejected|denied)", "how (is|was|busy is) the (llm|language model)(| doing)", "(did|does|why did) the llm (refuse|reject|deny|miss) (|any |some )(requests|deadlines)",
        "how many requests (did|does) the (llm|language model) (refuse|reject|get|miss|have)", "(tell me about|what about|show me|explain) the (llm|language model)", "(llm|llm requests|the llm|refused requests)", "is there an llm", "(were|are) (|any )requests (refused|rejected)(| by the llm)", "how many (llm requests|requests) (were|are) (refused|rejected|late)",
        "(is|was) the llm (late|too slow|ok|overloaded|slow)", "(why|when) (were|was) (llm requests|a request|requests) (refused|rejected)",
    ),
    "other": (
        "what is the (weather|time|date|answer|capital of france|meaning of life|name of the author|temperature|price of gold|color of the sky|version|address of the kernel)", "who (are you|am i|wrote the kernel|is your author|is the president|won|made you|built this|is there)", "how old (is the earth|are you|am i|is the kernel)",
        "(tell|write|sing|read) (me |)(a|the) (story|joke|poem|song|book|letter|news)", "(hello|hi|good morning|thanks|bye|good night|ok|yes|no)", "what (time is it|day is it|is my name|is your name|is two and two|is love|should i eat|shall we cook)", "is it (raining|cold|hot|monday|dark)(| outside| today)", "how are (you|things|your children)",
        "where (do you live|are you|am i|is paris|is my key|is the cat)", "how (hot|warm|cold|tall|far|heavy) is (the cpu|it|the moon|the house|the disk)", "how much (memory|money|disk|power|water|energy) (is free|do we have|is left|is used|does it use)", "(which|what) (file|user|disk|color|animal|country|language|bug|memory page) is (the largest|the best|broken|open|red)",
        "can you (dance|sing|fly|translate this|speak french|count to ten|cook)", "(why is|is) the (sky blue|grass green|sea salt|network down|disk full|moon round)", "do you (like music|know me|sleep|love me|speak german)", "(when|where) (was|is) (the kernel|linux|the war|rome|the meeting|lunch)(| built| over)", "what (does|did) (my mother|the user|the disk|he|she) (say|want|do)",
        "(play|open|delete|print|stop|start) (music|the file|the door|everything|the machine|a game)", "who is (the fastest runner|the best singer|your father)", "how many (users|files|people|cats|pages|cores|interrupts) (are there|do we have|exist)", "what is (the|a) (kernel|computer|hypervisor|cat|number)",
    ),
}

VALIDATION = {
    "bottleneck": ("which operator is the bottleneck", "tell me the bottleneck of this graph", "where does the pipeline lose its speed", "which op takes up the cpu"),
    "slowest": ("which of the operators is the slowest one", "which stage is slowest", "who needs the most time per run", "show me the operator with the slowest runs"),
    "compare": ("why is op {} slower than op {}", "how come {} is slower than {}", "tell me why {} takes more time than {}", "so is operator {} slower than {} or not"),
    "any deadline": ("why did a server miss its deadline", "was any deadline missed and why", "tell me which task was too late", "what is the reason for the missed deadlines"),
    "server deadline": ("why was server {} late", "how often was {} late", "did task {} finish too late", "tell me why {} missed deadlines"),
    "any budget": ("what server overran", "is there a server over budget", "tell me who overran the budget", "does a server use more than it may"),
    "server budget": ("is the budget of server {} too small", "is {} within its budget", "was {} over its budget", "has {} exceeded its budget"),
    "any channel": ("which queue is full", "is there a channel that is full", "which channel ran full most often", "where is a queue too small"),
    "channel": ("is channel {} full", "was {} saturated", "was channel {} ever full", "does {} fill up"),
    "lost": ("why are tensors dropped", "which channel dropped the most", "were any frames lost", "where did we lose data"),
    "guessing": ("is the audit log suspicious", "does this look like somebody guessing tokens", "is someone guessing passwords or tokens", "do the refused hellos mean an attack"),
    "change": ("what is to be changed", "how can this be improved", "what would you change", "tell me what to do first"),
    "any limit": ("who exceeds the limit", "which op is over its limit", "was a wcet exceeded", "does an operator run longer than its limit"),
    "limit": ("is {} within its limit", "did operator {} go over its limit", "has {} exceeded its wcet", "was op {} over the limit"),
    "time": ("how busy is operator {}", "why is operator {} slow", "how long are the runs of {}", "tell me how slow {} is"),
    "throttles": ("why was {} throttled", "is {} throttled", "how many times has {} been throttled", "did {} get throttled often"),
    "npu": ("did npu jobs miss their deadline", "are npu jobs late", "has the npu missed a deadline", "were any jobs of the npu late"),
    "llm": ("how many requests did the llm refuse", "how many llm requests were refused", "has the llm refused anything", "why did the llm reject a request"),
    "other": ("where do you live", "what is the meaning of life", "what should i cook tonight", "how many planets are there"),
}

TEST = {
    "bottleneck": ("which operator slows the whole graph down", "what is the bottleneck in my pipeline right now", "who is eating all the cpu time", "what keeps my graph from going faster", "which one is the bottleneck op"),
    "slowest": ("what operator has the longest running time", "which is the slowest of all operators", "who takes longest for one run", "tell me the slowest stage", "which operator runs longest"),
    "compare": ("why was {} so much slower than {}", "does {} run longer than {}", "why is it that {} takes longer than {}", "is stage {} slower than stage {}", "is {} the slower one compared to {}"),
    "any deadline": ("why did we miss a deadline", "which tasks missed deadlines", "who was late and why", "what caused the deadline misses", "has any server missed a deadline"),
    "server deadline": ("why has {} missed its deadline", "is server {} ever late", "how many times did {} miss its deadline", "did {} keep all its deadlines", "what is the reason that {} was late"),
    "any budget": ("which of the servers is over its budget", "does any server go over its budget", "who needed more than the budget", "was a budget exceeded", "tell me which server is over budget"),
    "server budget": ("did server {} go over its budget", "is {} still within budget", "does {} use more than its budget", "is {} out of budget", "how often was {} over budget"),
    "any channel": ("which channels are saturated", "what queue is too full", "are any queues saturated", "where are tensors piling up", "which channel has no room left"),
    "channel": ("is the channel {} saturated", "did channel {} ever get full", "how often was {} full", "is {} too full", "has channel {} stalled"),
    "lost": ("did any tensors get lost", "which channel is losing tensors", "are we losing data anywhere", "where have tensors been dropped", "why was data dropped"),
    "guessing": ("is anybody trying to guess our tokens", "does the audit show token guessing", "could this be somebody guessing tokens", "is someone attacking us", "are the refused hellos suspicious"),
    "change": ("what should i do to improve it", "what change do you recommend", "how do we make this faster", "tell me what i should change", "what needs changing"),
    "any limit": ("which operators exceed their limit", "is there an operator over its limit", "did an op take longer than its wcet", "which op broke its limit", "has any operator exceeded its wcet"),
    "limit": ("does operator {} stay within its limit", "how often was {} over its limit", "is op {} over its wcet", "did {} take longer than its limit", "is the limit of {} exceeded"),
    "time": ("how much time does operator {} need", "how long is a run of {}", "why is {} so slow today", "what can you tell me about {}", "how busy was {}"),
    "throttles": ("how many times was {} throttled", "did server {} get throttled", "has {} been throttled a lot", "why does {} get throttled", "tell me how often {} was throttled"),
    "npu": ("were there npu deadline misses", "is the npu keeping up", "how many jobs of the npu missed their deadline", "tell me how the npu is doing", "was the npu ever late"),
    "llm": ("did the llm turn requests down", "are llm requests being refused", "how many requests has the llm refused", "were there refused llm requests", "tell me about the llm requests"),
    "other": ("what is the weather like in berlin", "who won the game yesterday", "can you tell me a joke", "how do i bake bread", "what is your favorite color"),
}
