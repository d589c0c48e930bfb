#include "guest/graph/graph.hpp"
#include "handlers.hpp"
#include "metrics.hpp"
#include "watch_arguments.hpp"

namespace guest::control {
namespace {

using abi::control::Rights;
using Spec = ArgumentSpec;
constexpr auto kInteger = ArgumentType::Integer;
constexpr auto kText = ArgumentType::Text;
constexpr auto kTextOrBytes = ArgumentType::TextOrBytes;
constexpr auto kChoice = ArgumentType::Choice;
constexpr auto kWords = ArgumentType::Words;

constexpr Spec kBench[] = {
    {.name = "name", .type = kText, .min = 1, .max = 32, .help = "of one benchmark; all unless given"}};
constexpr Spec kPing[] = {
    {.name = "payload", .type = kTextOrBytes, .max = 32768, .help = "text or bytes that come back, up to 32768 bytes"}};
constexpr std::uint64_t kMaxMicroseconds = 1'000'000'000;  // sched::kMaxPeriod
constexpr Spec kDet[] = {
    {.name = "action", .type = kChoice, .choices = "on|off|status|reset|admit|remove", .help = "status unless given"},
    {.name = "name", .type = kText, .min = 1, .max = 32, .help = "admit, remove: of the server"},
    {.name = "budget_us", .type = kInteger, .min = 1, .max = kMaxMicroseconds, .help = "admit: in each period"},
    {.name = "period_us", .type = kInteger, .min = 1, .max = kMaxMicroseconds, .help = "admit"},
    {.name = "deadline_us",
     .type = kInteger,
     .min = 1,
     .max = kMaxMicroseconds,
     .help = "admit: after each release; the period unless given"},
    {.name = "cpu", .type = kInteger, .max = 7, .help = "admit: the first that it fits on unless given"},
    {.name = "reservation",
     .type = kChoice,
     .choices = "hard|soft",
     .help = "admit: hard waits for its next period when its budget is used up; hard unless given"},
    {.name = "reclaim",
     .type = ArgumentType::Bool,
     .help = "admit: its budget lasts longer while other servers leave theirs; no unless given"}};
constexpr Spec kEcho[] = {{.name = "text", .type = kWords, .max = 32768, .help = "what to print"}};
constexpr Spec kHelp[] = {{.name = "command", .type = kWords, .min = 1, .max = 32, .help = "name of a command"}};
constexpr Spec kGraphName = {
    .name = "graph", .type = kText, .required = true, .min = 1, .max = graph::kMaxGraphName, .help = "name of a graph"};
constexpr Spec kGraph[] = {kGraphName};
constexpr Spec kGraphCreate[] = {
    kGraphName,
    {.name = "memory",
     .type = kInteger,
     .min = 4096,
     .max = graph::GraphSpec::kMaxMemory,
     .help = "bytes for its tensors, 1 MiB unless given"},
    {.name = "tensors",
     .type = kInteger,
     .min = 1,
     .max = graph::TensorArena::kMaxTensors,
     .help = "at a time, 256 unless given"},
    {.name = "budget_us", .type = kInteger, .min = 1, .max = kMaxMicroseconds, .help = "in each period, on each CPU"},
    {.name = "period_us", .type = kInteger, .min = 1, .max = kMaxMicroseconds, .help = "with budget_us"},
    {.name = "deadline_us",
     .type = kInteger,
     .min = 1,
     .max = kMaxMicroseconds,
     .help = "after each release; the period unless given"},
    {.name = "reservation", .type = kChoice, .choices = "hard|soft", .help = "hard unless given"}};
constexpr Spec kGraphAddChannel[] = {
    kGraphName,
    {.name = "id", .type = kInteger, .required = true, .max = graph::kNoChannel - 1, .help = "of the channel"},
    {.name = "capacity",
     .type = kInteger,
     .required = true,
     .min = 1,
     .max = graph::Channel::kMaxCapacity,
     .help = "tensors"},
    {.name = "policy",
     .type = kChoice,
     .choices = "block|drop-oldest|drop-newest",
     .help = "when it is full; block unless given"},
    {.name = "schema",
     .type = kText,
     .min = 1,
     .max = 32,
     .help = "name or number; the first who says so unless given"}};
constexpr Spec kGraphAddOperator[] = {
    kGraphName,
    {.name = "id", .type = kInteger, .required = true, .min = 1, .max = 0xffff'ffff, .help = "of the operator"},
    {.name = "name", .type = kText, .required = true, .min = 1, .max = graph::kMaxName, .help = "of the operator"},
    {.name = "kind", .type = kText, .required = true, .min = 1, .max = 32, .help = "'graph kinds' lists them"},
    {.name = "inputs", .type = kText, .max = 64, .help = "ids of channels, \"1,2\""},
    {.name = "outputs", .type = kText, .max = 64, .help = "ids of channels"},
    {.name = "priority", .type = kInteger, .max = 255, .help = "the larger goes first, 0 unless given"},
    {.name = "stage",
     .type = kChoice,
     .choices = "acquire|clean|explore|model|explain",
     .help = "acquire unless given"},
    {.name = "wcet_ns",
     .type = kInteger,
     .max = kMaxMicroseconds * 1000,
     .help = "of an execution; not stated unless given"},
    {.name = "cpu", .type = kInteger, .max = 7, .help = "0 unless given"},
    {.name = "in_schema",
     .type = kText,
     .min = 1,
     .max = 32,
     .help = "of its inputs, name or number; any unless given"},
    {.name = "out_schema", .type = kText, .min = 1, .max = 32, .help = "of its outputs"},
    {.name = "parameters", .type = kText, .max = 640, .help = "of the kind, \"width=32,height=32\""}};
constexpr Spec kGraphSchema[] = {
    {.name = "name", .type = kText, .required = true, .min = 1, .max = 32, .help = "of a schema: a-z 0-9 . _ -"},
    {.name = "id",
     .type = kInteger,
     .min = 1,
     .max = 0xffff'ffff,
     .help = "the lowest free one from 2000 unless given"}};
constexpr Spec kGraphStart[] = {kGraphName,
                                {.name = "steps",
                                 .type = kInteger,
                                 .min = 1,
                                 .max = 1'000'000'000'000,
                                 .help = "executions of each source; for ever unless given"}};
constexpr Spec kGraphExport[] = {
    kGraphName, {.name = "format", .type = kChoice, .choices = "json|dot", .help = "json unless given"}};
constexpr Spec kLog[] = {
    {.name = "level", .type = kChoice, .choices = "quiet|info|debug", .help = "what the console shows from now on"}};
constexpr Spec kPanic[] = {{.name = "kind",
                            .type = kText,
                            .required = true,
                            .min = 1,
                            .max = 32,
                            .help = "which fault; 'help panic' lists them"}};
constexpr Spec kShutdown[] = {
    {.name = "code", .type = kInteger, .max = 255, .help = "exit code from 0 to 255 that the monitor reports"}};
constexpr Spec kSched[] = {
    {.name = "server", .type = kText, .min = 1, .max = 32, .help = "name of one; all unless given"}};
constexpr Spec kShell[] = {
    {.name = "line", .type = kText, .required = true, .max = 4096, .help = "a line as typed into the shell"}};
constexpr Spec kSleep[] = {
    {.name = "ms", .type = kInteger, .required = true, .max = 3'600'000, .help = "milliseconds, up to one hour"}};
constexpr Spec kSelftest[] = {
    {.name = "rounds", .type = kInteger, .min = 1, .max = 1000, .help = "how often, from 1 to 1000"}};
constexpr Spec kTop[] = {
    {.name = "ms", .type = kInteger, .min = 10, .max = 60'000, .help = "milliseconds to watch, 1000 unless given"}};
// So many that an answer, and what the shell makes of it, fits: 100 bytes an event there, 160 here.
constexpr Spec kTrace[] = {
    {.name = "action", .type = kChoice, .choices = "on|off|dump|clear|status", .help = "status unless given"},
    {.name = "count",
     .type = kInteger,
     .min = 1,
     .max = 256,
     .help = "dump: newest events to show, from 1 to 256, 64 unless given"},
    {.name = "skip",
     .type = kInteger,
     .max = 32768,
     .help = "dump: newest events to pass over, to read a trace in pieces"}};

constexpr Command kTable[] = {
    {.name = "bench",
     .help = "measure what the kernel's parts cost",
     .details = "1000 samples of each benchmark after 64 to warm up. What costs little is done many times in a sample.",
     .arguments = kBench,
     .rights = Rights::Admin,
     .handler = handle_bench,
     .render = render_bench},
    {.name = "clear",
     .help = "clear the terminal",
     .details = "",
     .arguments = {},
     .rights = Rights::None,
     .handler = handle_clear,
     .render = render_clear},
    {.name = "counters",
     .help = "every counter of the kernel",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_counters},
    {.name = "cpus",
     .help = "CPUs: online or why not, interrupts taken, interrupts between CPUs, heartbeats, stolen time",
     .details =
         "left_off: CPUs of the machine that the kernel has no room for. Heartbeats are the watchdog's: with "
         "one CPU there "
         "are none, and while all CPUs are idle there are no new ones. stolen_ns: for so long the hypervisor let "
         "the CPU wait that wanted to run; not there where none tells.",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_cpus},
    {.name = "det",
     .help = "the real-time servers and tasks: on, off, what is promised",
     .details =
         "on: promises every server its budget and starts every task, or refuses with the arithmetic. off: ends the "
         "tasks.\nadmit: declares a server, which has its promise while the set is on. reset: forgets what was "
         "measured.",
     .arguments = kDet,
     .rights = Rights::Admin,
     .handler = handle_det},
    {.name = "echo",
     .help = "print a text",
     .details = "",
     .arguments = kEcho,
     .rights = Rights::None,
     .handler = handle_echo,
     .render = render_echo},
    {.name = "graph add-channel",
     .help = "add a channel to a graph",
     .details = "",
     .arguments = kGraphAddChannel,
     .rights = Rights::Admin,
     .handler = handle_graph_add_channel},
    {.name = "graph add-operator",
     .help = "add an operator to a graph, between channels that are there",
     .details =
         "Each channel has one producer and one consumer. The first operator that names a schema binds the channel.",
     .arguments = kGraphAddOperator,
     .rights = Rights::Admin,
     .handler = handle_graph_add_operator},
    {.name = "graph create",
     .help = "make an empty graph",
     .details = "With a budget and a period it runs in a server of its own on each CPU that its operators are on.",
     .arguments = kGraphCreate,
     .rights = Rights::Admin,
     .handler = handle_graph_create},
    {.name = "graph destroy",
     .help = "remove a graph that does not run",
     .details = "",
     .arguments = kGraph,
     .rights = Rights::Admin,
     .handler = handle_graph_destroy},
    {.name = "graph drain",
     .help = "let a graph end: its sources begin nothing more",
     .details = "",
     .arguments = kGraph,
     .rights = Rights::Submit,
     .handler = handle_graph_drain},
    {.name = "graph export",
     .help = "what a graph is made of, to make it again",
     .details = "json: what 'sisctl graph import' takes. dot: for Graphviz.",
     .arguments = kGraphExport,
     .rights = Rights::Observe,
     .handler = handle_graph_export,
     .render = render_graph_export},
    {.name = "graph kinds",
     .help = "the kinds of operators, with their ports and parameters",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_graph_kinds},
    {.name = "graph list",
     .help = "the graphs, and the schemas",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_graph_list},
    {.name = "graph pause",
     .help = "hold a graph that runs",
     .details = "Executions that are under way end.",
     .arguments = kGraph,
     .rights = Rights::Submit,
     .handler = handle_graph_pause},
    {.name = "graph resume",
     .help = "go on with a graph that was paused",
     .details = "",
     .arguments = kGraph,
     .rights = Rights::Submit,
     .handler = handle_graph_resume},
    {.name = "graph schema",
     .help = "register a schema",
     .details = "",
     .arguments = kGraphSchema,
     .rights = Rights::Admin,
     .handler = handle_graph_schema},
    {.name = "graph show",
     .help = "a graph: its state, channels and operators",
     .details = "",
     .arguments = kGraph,
     .rights = Rights::Observe,
     .handler = handle_graph_show},
    {.name = "graph start",
     .help = "run a graph",
     .details = "Answers when it runs; 'graph wait' answers when it has ended.",
     .arguments = kGraphStart,
     .rights = Rights::Submit,
     .handler = handle_graph_start},
    {.name = "graph stats",
     .help = "what was measured of a graph's operators, channels and tensors",
     .details =
         "Percentiles are upper bounds, at most 12.5 % too large, and are left out where there are too few samples.",
     .arguments = kGraph,
     .rights = Rights::Observe,
     .handler = handle_graph_stats},
    {.name = "graph stop",
     .help = "end a graph's run at once; what is in its channels is dropped",
     .details = "",
     .arguments = kGraph,
     .rights = Rights::Submit,
     .handler = handle_graph_stop},
    {.name = "graph wait",
     .help = "answer when a graph does not run any more, with how that came",
     .details = "",
     .arguments = kGraph,
     .rights = Rights::Observe,
     .handler = handle_graph_wait},
    {.name = "help",
     .help = "list the commands, or explain one",
     .details = "",
     .arguments = kHelp,
     .rights = Rights::None,
     .handler = handle_help,
     .render = render_help},
    {.name = "history",
     .help = "lines typed on the console",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_history,
     .render = render_history},
    {.name = "info",
     .help = "what machine and kernel this is",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_info},
    {.name = "irq",
     .help = "interrupts: handlers and how often each ran",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_irq},
    {.name = "locks",
     .help = "spin locks: how often taken, waited for, how long held",
     .details = "By the locks' name, since boot. Only kernels of the build 'guest-debug' measure that.",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_locks},
    {.name = "log",
     .help = "show or set the console's verbosity",
     .details = "Without a level it shows the present one.",
     .arguments = kLog,
     .rights = Rights::Admin,
     .handler = handle_log},
    {.name = "mem",
     .help = "pages and heap",
     .details = "Sizes in bytes, as handed out.",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_mem},
    {.name = "metrics",
     .help = "figures of the kernel, its servers and graphs, by flat names",
     .details =
         "left_off: those behind the last one shown. Percentiles are upper bounds, at most 12.5 % too large, and are "
         "left out where there are too few samples.",
     .arguments = kMetricsArguments,
     .rights = Rights::Observe,
     .handler = handle_metrics},
    {.name = "panic",
     .help = "provoke a fault, to see the report",
     .details = "The machine prints the report and powers off; the monitor exits with 4.",
     .arguments = kPanic,
     .rights = Rights::Admin,
     .handler = handle_panic},
    {.name = "ping",
     .help = "answer with the payload and the time",
     .details = "",
     .arguments = kPing,
     .rights = Rights::Observe,
     .handler = handle_ping},
    {.name = "pmu",
     .help = "performance monitors: cycles, instructions, events of each CPU",
     .details = "Counted since the CPU came online. Counters of 32 bits start over; 'wrapped' tells that one has.",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_pmu},
    {.name = "ps",
     .help = "threads: CPU, server, state, processor time",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_ps},
    {.name = "reboot",
     .help = "reset the machine",
     .details = "The answer is delivered first.",
     .arguments = {},
     .rights = Rights::Admin,
     .handler = handle_reboot,
     .render = render_nothing},
    {.name = "sched",
     .help = "servers and tasks: budgets, misses, histograms of times",
     .details =
         "Percentiles are upper bounds, at most 12.5 % too large, and are left out where there are too few samples.",
     .arguments = kSched,
     .rights = Rights::Observe,
     .handler = handle_sched},
    {.name = "selftest",
     .help = "test the heap: blocks of every size class",
     .details = "",
     .arguments = kSelftest,
     .rights = Rights::Admin,
     .handler = handle_selftest},
    {.name = "shell",
     .help = "run a line as if typed into the shell",
     .details = "Answers with what it printed and the status of its last command: 0, or 1 for a refusal.",
     .arguments = kShell,
     .rights = Rights::None,
     .handler = handle_shell,
     .where = Where::ControlOnly},
    {.name = "shutdown",
     .help = "power the machine off",
     .details = "The answer is delivered first.",
     .arguments = kShutdown,
     .rights = Rights::Admin,
     .handler = handle_shutdown,
     .render = render_nothing},
    {.name = "sleep",
     .help = "answer after a while",
     .details = "",
     .arguments = kSleep,
     .rights = Rights::Submit,
     .handler = handle_sleep,
     .render = render_nothing},
    {.name = "top",
     .help = "what processor time each thread gets in the next while",
     .details = "Typed on the console without ms it goes on, second by second, until q or Ctrl-C.",
     .arguments = kTop,
     .rights = Rights::Observe,
     .handler = handle_top,
     .watched = true},
    {.name = "trace",
     .help = "record what happens on each CPU, and show it",
     .details = "Each CPU keeps its newest 4096 events. 'on' takes the memory for them, which stays taken.",
     .arguments = kTrace,
     .rights = Rights::Admin,
     .handler = handle_trace},
    {.name = "uptime",
     .help = "time since reset",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_uptime},
    {.name = "version",
     .help = "version and build id of the kernel",
     .details = "",
     .arguments = {},
     .rights = Rights::Observe,
     .handler = handle_version},
    {.name = "watch trace",
     .help = "what happens on each CPU, as it happens",
     .details =
         "Of a trace that is on. An event of 'watch trace' holds up to 64 of the trace; count is of the trace's.",
     .arguments = kWatchTraceArguments,
     .rights = Rights::Admin,
     .handler = handle_watch_trace,
     .render_event = render_trace_events},
};

constexpr bool is_well_formed() {
  for (std::size_t i = 0; i < std::size(kTable); ++i) {
    if (kTable[i].arguments.size() > kMaxArguments || (i > 0 && kTable[i - 1].name >= kTable[i].name)) {
      return false;
    }
  }
  return true;
}
static_assert(is_well_formed(), "the table is sorted by name, and arguments fit");

/// "graph show", of two words.
bool is_name(std::string_view name, std::string_view first, std::string_view second) {
  return name.size() == first.size() + 1 + second.size() && name.starts_with(first) && name[first.size()] == ' ' &&
         name.ends_with(second);
}

}  // namespace

std::span<const Command> command_table() { return kTable; }

const Command* find_command(std::string_view name) {
  for (const Command& command : kTable) {
    if (command.name == name) {
      return &command;
    }
  }
  return nullptr;
}

std::optional<FoundCommand> find_command(std::span<const std::string_view> words) {
  if (words.size() > 1) {
    for (const Command& command : kTable) {
      if (is_name(command.name, words[0], words[1])) {
        return FoundCommand{.command = &command, .words = 2};
      }
    }
  }
  const Command* const command = find_command(words[0]);
  return command == nullptr ? std::nullopt : std::optional(FoundCommand{.command = command, .words = 1});
}

}  // namespace guest::control
