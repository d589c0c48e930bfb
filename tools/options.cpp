#include "tools/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <expected>
#include <optional>
#include <string_view>
#include <vector>

#include "tools/json_input.hpp"
#include "tools/llm_words.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

constexpr char kDescription[] =
    "sisctl - command line for a running SIS guest\n"
    "\n"
    "Sends requests to the control server of a guest that `sisvmm run` started, over its vsock, and prints the\n"
    "replies. Every request ends in exactly one of: a reply, a refusal by the guest, or an error that says why none\n"
    "came.";

constexpr char kFooter[] =
    "Exit status:\n"
    "  0  the guest did what was asked\n"
    "  1  the guest, or its monitor, refused, or a shell command failed; `audit verify` found a line that is not as "
    "it\n"
    "     was written; the reason is printed\n"
    "  2  wrong arguments, or several machines run and none was named\n"
    "  3  cannot connect: no such machine, connection refused, or no permission; the message says which\n"
    "  4  no reply: none in time, or the connection was lost before one came\n"
    "  5  the peer broke the protocol\n"
    "  130  interrupted, as a shell shows it: Ctrl-C ends `top` on a terminal, q ends it with 0; `watch` ends with 0;\n"
    "       of `llm` what the guest has not done is ended\n"
    "\n"
    "Files:\n"
    "  A machine's run directory holds vsock.sock, to which sisctl connects, and control.key (mode 0600), under which\n"
    "  it makes its token, and into which it writes the new one after `sisctl ctlkey rotate`. Machines are found by "
    "name through links in $XDG_RUNTIME_DIR/sis/machines, or in\n"
    "  /tmp/sis-UID/machines without XDG_RUNTIME_DIR.\n"
    "\n"
    "Examples:\n"
    "  sisctl ping -n 1000                            round trips of the only machine that runs\n"
    "  sisctl --machine demo shell 'mem; irq'         one line for the guest's shell\n"
    "  sisctl call ping --args '{\"payload\": \"x\"}'     any op, with its arguments\n"
    "  sisctl --socket run/vsock.sock info --json     a machine by its socket\n"
    "  sisctl watch log --last 100                    lines of the kernel's log, those that come too\n"
    "  sisctl snapshot saved                          save it; `sisvmm restore saved` goes on from there\n";

/// Memory is written to a disk.
constexpr std::chrono::milliseconds kSnapshotTimeout = std::chrono::minutes(10);
/// A model says what it says token by token.
constexpr std::chrono::milliseconds kModelTimeout = std::chrono::minutes(10);
constexpr std::chrono::milliseconds kMaxTimeout = std::chrono::hours(24);
/// So many calls of a connection may wait in the guest (docs/control-protocol.md).
constexpr std::size_t kMaxPipeline = 32;
constexpr int kMaxArgsDepth = 7;  ///< of the guest's 8 the request itself takes one

/// A problem that CLI11's own types do not cover.
std::string check_time(const std::string& text) {
  std::chrono::milliseconds ignored{};
  if (parse_time(text, ignored)) return {};
  return "found '" + printable(text) + "', allowed: a time such as 10, 0.5 (seconds), 250ms, 3s or 2m, up to a day";
}

std::string check_not_empty(const std::string& text) { return text.empty() ? "must not be empty" : ""; }

/// Strings that the parser fills and that need a second look.
struct Raw {
  std::string timeout;
  std::string args;
  std::string interval;
  Ping ping;
  Shutdown shutdown;
  Top top;
  Call call;
  Snapshot snapshot;
  Batch batch;
  Metrics metrics;
  std::vector<std::string> words;  ///< behind a command that passes them on
};

void add_global_options(CLI::App& app, Options& options, Raw& raw) {
  auto* machine = app.add_option("-m,--machine", options.machine, "The machine; default: the only one that runs")
                      ->type_name("NAME")
                      ->check(check_not_empty);
  auto* socket = app.add_option("--socket", options.socket_path, "The machine's vsock.sock, instead of its name")
                     ->type_name("PATH")
                     ->check(check_not_empty);
  machine->excludes(socket);
  auto* key = app.add_option("--key", options.key_path, "The machine's key; default: control.key beside the socket")
                  ->type_name("FILE")
                  ->check(check_not_empty);
  app.add_option("--token", options.token,
                 "A token instead of the key, in hexadecimal or in a file; default: SIS_TOKEN of the environment")
      ->type_name("HEX|@FILE")
      ->check(check_not_empty)
      ->excludes(key);
  app.add_option("--timeout", raw.timeout,
                 "Longest wait for the connection, and for each reply: seconds, or with ms, s or m; default: 10")
      ->type_name("TIME")
      ->check(check_time);
  app.add_flag("--json", options.json, "Print the reply as JSON, and errors as {\"error\": {...}} too");
  app.set_version_flag("--version", "sisctl " SIS_VERSION);
}

/// Commands of the guest's own that are passed on in words. Which arguments each has, the guest says.
struct GuestName {
  const char* name;
  const char* help;
};
constexpr GuestName kGuestNames[] = {
    {.name = "ai_bench", .help = "Measure inferences on the NPU and on the CPU"},
    {.name = "ask", .help = "Ask a model about the kernel's figures, and see what its answer rests on"},
    {.name = "audit", .help = "Print who was let in, who was not, and what was done"},
    {.name = "bench", .help = "Measure what parts of the kernel cost"},
    {.name = "counters", .help = "Print every counter of the kernel"},
    {.name = "cpus", .help = "Print the CPUs"},
    {.name = "ctladmin", .help = "The ADMIN token of protocol version 0: rotate, off, or one in hexadecimal"},
    {.name = "ctlembed", .help = "Make a token with one right, for a program"},
    {.name = "ctlhex", .help = "What the control server answers to bytes in hexadecimal"},
    {.name = "ctlkey", .help = "The machine's key: its fingerprint, or rotate"},
    {.name = "ctlsubmit", .help = "The SUBMIT token of protocol version 0: rotate, off, or one in hexadecimal"},
    {.name = "det", .help = "Real-time servers and tasks: on, off, admit, remove, reset"},
    {.name = "graph",
     .help = "Dataflow graphs: create, add-channel, add-operator, start, wait, show, stats, export, ..."},
    {.name = "histograms", .help = "Print times as they were counted, in buckets"},
    {.name = "infdemo", .help = "Run one inference, layer by layer"},
    {.name = "irq", .help = "Print the interrupts"},
    {.name = "llm", .help = "Models and requests to them: load, load-pkg, list, infer, stream, poll, cancel, ..."},
    {.name = "mem", .help = "Print pages and heap"},
    {.name = "mldemo", .help = "Run a network over many images, and count what it knows"},
    {.name = "npu", .help = "The NPU: status, jobs, counters, bench, power, reset"},
    {.name = "npudemo", .help = "Run one job of the NPU, step by step"},
    {.name = "pmu", .help = "Print the performance monitors"},
    {.name = "ps", .help = "Print the threads"},
    {.name = "sched", .help = "Print servers and tasks"},
    {.name = "token", .help = "Tokens: new, list, revoke"},
    {.name = "trace", .help = "Record events, and print them"},
    {.name = "watch", .help = "Print what happens until Ctrl-C: audit, log, trace, channel, metrics, history"},
};

constexpr char kLlmFooter[] =
    "llm load-pkg FILE [--manifest FILE] [--id ID]   brings a model and its manifest, which is NAME.sig beside "
    "NAME.gguf\n"
    "                                               unless given; the guest verifies and loads it. How far it is is\n"
    "                                               shown on a terminal\n"
    "llm infer [--stream] MODEL PROMPT ...          asks a model; --stream prints the answer as it comes. PROMPT -:\n"
    "                                               the standard input, without a line feed at its end; @FILE: a file\n"
    "llm load, unload, list, status, budget, audit, stream, graph, poll, cancel, release, stats, summary, json, hash,\n"
    "verify                                         the guest's llmctl load, ..., llmctl audit, and llmstream, ...\n"
    "\n"
    "Arguments follow in the order in which `sisctl shell help llminfer` lists them, or as --name VALUE. Of sisctl's\n"
    "options --json may come behind the action, too. What a model has to say is waited for 10 minutes, unless\n"
    "--timeout is given; Ctrl-C ends the request.";

/// What is said behind the help of a command.
std::string more_help(std::string_view name) {
  if (name == "audit") {
    return "\n\naudit verify FILE                  checks the hashes of a run's audit.jsonl, or of a saved\n"
           "                                   answer of `sisctl --json audit`; asks no machine";
  }
  if (name == "graph") {
    return "\n\ngraph feed GRAPH OPERATOR TEXT|@FILE [--end]   gives a control-source a tensor\n"
           "graph export NAME [--json|--dot]   prints a graph as JSON, or for Graphviz\n"
           "graph import FILE                  makes the graph of such JSON, or nothing\n"
           "The guest's own are listed by `sisctl shell help`.";
  }
  return {};
}

void add_guest_commands(CLI::App& app) {
  for (const auto& [name, help] : kGuestNames) {
    auto* const command = app.add_subcommand(name, help);
    if (std::string_view(name) == "llm") {
      command->footer(kLlmFooter);
      command->fallthrough(false)->prefix_command();
      continue;
    }
    command->footer(std::string("Arguments follow in the order in which `sisctl shell help ") + name +
                    "` lists them, or as --name VALUE. Options of\nsisctl come before the command." + more_help(name));
    command->fallthrough(false)->prefix_command();
  }
}

/// Of a command of two words that wants a file and nothing else.
std::string expected_file(const std::vector<std::string>& words) {
  std::string found;
  for (std::size_t i = 2; i < words.size(); ++i) found += (i == 2 ? ", found '" : " ") + printable(words[i]);
  return words[0] + " " + words[1] + ": expected FILE" + found + (found.empty() ? "" : "'");
}

/// graph export, graph import and audit verify are more than a request, or none.
std::optional<decltype(Options::command)> own_command(const std::vector<std::string>& words, std::string& problem) {
  if (words[0] == "audit" && words[1] == "verify") {
    if (words.size() == 3) return AuditVerify{.file = words[2]};
    problem = expected_file(words);
  }
  if (words[0] != "graph") return std::nullopt;
  if (words[1] == "import") {
    if (words.size() == 3) return GraphImport{.file = words[2]};
    problem = expected_file(words);
  } else if (words[1] == "export") {
    const auto is_format = [](const std::string& word) { return word == "--dot" || word == "--json"; };
    const auto format = std::find_if(words.begin() + 2, words.end(), is_format);
    const auto name = std::find_if_not(words.begin() + 2, words.end(), is_format);
    const std::size_t needed = format == words.end() ? 3 : 4;
    if (words.size() == needed && name != words.end()) {
      return GraphExport{.graph = *name, .dot = format != words.end() && *format == "--dot"};
    }
    problem = "graph export: expected NAME, and --json, --dot or nothing";
  }
  return std::nullopt;
}

void add_batch(CLI::App& app, Raw& raw) {
  auto* batch = app.add_subcommand("batch", "Send requests from a file, or from the standard input: batch FILE|-");
  batch->add_option("FILE", raw.batch.file, "The file; - is the standard input")
      ->required()
      ->type_name("")
      ->check(check_not_empty);
  batch->add_flag("--keep-going", raw.batch.keep_going, "Go on behind a request that failed");
  batch->add_option("--pipeline", raw.batch.pipeline, "Wait for the replies to so many at a time; default: 1")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMaxPipeline).description(""));
  batch->footer(
      "A line is one request: the words of a guest's command, quoted as in its shell, or {\"op\": ..., \"args\": "
      "...}.\n"
      "Blank lines and comments (#) are passed over. Each request has one line of output, in the order of the file:\n"
      "the number of its line, and ok with the reply or error with the reason; with --json an object. A file is\n"
      "checked before anything is sent. Without --keep-going nothing is sent behind a request that failed, but what\n"
      "--pipeline has sent before is answered. The exit status is that of the first that failed.");
}

void add_metrics(CLI::App& app, Raw& raw) {
  auto* metrics = app.add_subcommand("metrics", "Print the figures of the kernel, its servers and graphs by name");
  metrics->add_option("PREFIX", raw.metrics.prefix, "Only names that begin so")->type_name("");
  metrics->add_option("--graph", raw.metrics.graph, "Only those of one graph")
      ->type_name("NAME")
      ->check(check_not_empty);
  auto* console =
      metrics->add_flag("--console", raw.metrics.console, "Have the guest print METRIC lines on its console instead");
  auto* watch = metrics->add_flag("--watch", raw.metrics.watch, "Print again and again what has changed");
  watch->excludes(console);
  metrics->add_option("--interval", raw.interval, "With --watch: how often, 100ms to an hour; default: 1 s")
      ->type_name("TIME")
      ->check(check_time)
      ->needs(watch);
  metrics->add_option("-n,--count", raw.metrics.count, "With --watch: how many times; default: until Ctrl-C")
      ->type_name("N")
      ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{100'000'000}).description(""))
      ->needs(watch);
  metrics->footer(
      "With --watch a line for each that has changed: its value, by how much, and that in a second of the guest's\n"
      "time; with --json an object for each interval.");
}

void add_commands(CLI::App& app, Raw& raw) {
  auto* ping = app.add_subcommand("ping", "Measure round trips of empty requests");
  ping->add_option("-n,--count", raw.ping.count, "How many, one after the other; default: 1")
      ->type_name("N")
      ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{100'000'000}).description(""));
  ping->add_option("--payload", raw.ping.payload, "Text that each reply must bring back")->type_name("TEXT");
  ping->footer(
      "Each of up to 20 round trips is printed, then minimum, median, percentiles and maximum. A percentile\n"
      "is the nearest rank and is printed only if the samples suffice: 20 for the 95th, 100 for the 99th.");
  app.add_subcommand("info", "Print what the guest knows about its machine");
  auto* shell = app.add_subcommand("shell", "Run a line in the guest's shell and print its output: shell COMMAND...");
  shell->footer(
      "A single COMMAND is the line as it stands, with the shell's own quotes and ';'. Several words are quoted\n"
      "one by one, so that each arrives as one argument. Options of sisctl come before `shell`: everything\n"
      "after it goes to the guest.");
  // From the first word on nothing is parsed here.
  shell->fallthrough(false)->prefix_command();
  auto* shutdown = app.add_subcommand("shutdown", "Shut the guest down");
  shutdown->add_option("--code", raw.shutdown.code, "The guest's exit code, 0 to 255; default: 0")
      ->type_name("N")
      ->check(CLI::Range(0U, 255U).description(""));
  auto* top =
      app.add_subcommand("top", "Watch CPUs, servers, operators, channels and threads; full screen on a terminal");
  top->add_option("MS", raw.top.ms, "Watch so many milliseconds and show it once")
      ->type_name("")
      ->check(CLI::Range(10U, 60'000U).description(""));
  top->footer(
      "On a terminal, without MS, it is drawn again every second. Keys: q or Ctrl-C ends it, 1 to 5 or left and\n"
      "right choose what is shown, up, down, Page Up and Page Down scroll. Where the output is no terminal, or\n"
      "TERM is \"dumb\", it is one picture as text, of a second or of MS; with --json as JSON. NO_COLOR is honoured.");
  auto* call = app.add_subcommand("call", "Send any request; `sisctl shell help` lists the guest's ops");
  call->add_option("OP", raw.call.op, "Name of the op")->required()->type_name("")->check(check_not_empty);
  call->add_option("--args", raw.args, "Its arguments: a JSON object")->type_name("JSON");
  add_batch(app, raw);
  add_metrics(app, raw);
  auto* snapshot = app.add_subcommand("snapshot", "Save the running machine to a new folder; the machine runs on");
  snapshot->add_option("FOLDER", raw.snapshot.folder, "For `sisvmm restore`; must not exist, or be empty")
      ->required()
      ->type_name("")
      ->check(check_not_empty);
  snapshot->footer(
      "Machines of the KVM back end only. The guest stands still while its memory is written and does not notice;\n"
      "the folder appears when it is complete. Waits 10 minutes, unless --timeout is given.");
  add_guest_commands(app);
  app.add_subcommand("ls", "List machines, those that run and those that have ended");
}

std::expected<json, std::string> parse_args(const std::string& text) {
  if (text.empty()) return json::object();
  auto args = parse_json(text, kMaxArgsDepth);
  if (!args) return std::unexpected("--args: found '" + printable(text) + "': " + args.error());
  if (!args->is_object()) {
    return std::unexpected("--args: found '" + printable(text) +
                           "', expected a JSON object such as {\"payload\": \"x\"}");
  }
  if (const auto found = find_fraction(*args, "")) {
    return std::unexpected("--args: " + printable(*found) + ", allowed: integers of up to 64 bits");
  }
  return args;
}

std::string line_of(const std::vector<std::string>& words) {
  if (words.size() == 1) return words.front();
  std::string line;
  for (const auto& word : words) line += (line.empty() ? "" : " ") + shell_quoted(word);
  return line;
}

Parsed usage_error(const std::string& message) {
  return {.options = {}, .text = "sisctl: " + message + "\nTry `sisctl --help`.\n", .exit_code = ExitCode::Usage};
}

/// What to say when no command was recognised.
std::string missing_command(const CLI::App& app) {
  std::string known;
  for (const auto* command : app.get_subcommands(nullptr)) known += (known.empty() ? "" : ", ") + command->get_name();
  const auto words = app.remaining();
  return (words.empty() ? "a command is missing" : "unknown command '" + printable(words.front()) + "'") +
         ", allowed: " + known;
}

bool is_help(const std::vector<std::string>& words) {
  return !words.empty() && (words.front() == "--help" || words.front() == "-h");
}

Parsed finish(const CLI::App& app, Options options, Raw raw) {
  if (!raw.timeout.empty()) parse_time(raw.timeout, options.timeout);
  if (app.got_subcommand("ping")) options.command = std::move(raw.ping);
  if (app.got_subcommand("info")) options.command = Info{};
  if (app.got_subcommand("shell")) {
    if (is_help(raw.words)) return {.options = {}, .text = app.get_subcommand("shell")->help()};
    if (!raw.words.empty() && raw.words.front() == "--") raw.words.erase(raw.words.begin());
    if (raw.words.empty()) return usage_error("shell: COMMAND is missing");
    options.command = Shell{.line = line_of(raw.words)};
  }
  for (const auto& [name, help] : kGuestNames) {
    if (!app.got_subcommand(name)) continue;
    std::vector<std::string> words = raw.words;
    words.insert(words.begin(), name);
    // Behind "--" words are arguments, whatever they look like.
    const auto options_end = std::ranges::find(words, "--");
    if (is_help(raw.words) || std::find(words.begin(), options_end, "--help") != options_end) {
      return {.options = {}, .text = app.get_subcommand(name)->help(), .exit_code = ExitCode::Ok};
    }
    if (words[0] == "llm") {
      if (const auto read = read_llm_words(raw.words, options, raw.timeout.empty() ? kModelTimeout : options.timeout);
          !read)
        return usage_error(read.error());
      continue;
    }
    std::string problem;
    const auto own = words.size() > 1 ? own_command(words, problem) : std::nullopt;
    if (!problem.empty()) return usage_error(problem);
    if (words[0] == "ask" && raw.timeout.empty()) options.timeout = kModelTimeout;
    options.command = own ? *own : GuestCommand{.words = std::move(words)};
  }
  if (app.got_subcommand("shutdown")) options.command = raw.shutdown;
  if (app.got_subcommand("top")) {
    options.command = raw.top;
    if (raw.timeout.empty()) options.timeout += std::chrono::milliseconds(raw.top.ms);
  }
  if (app.got_subcommand("ls")) options.command = List{};
  if (app.got_subcommand("batch")) options.command = std::move(raw.batch);
  if (app.got_subcommand("metrics")) {
    if (!raw.interval.empty()) parse_time(raw.interval, raw.metrics.interval);
    options.command = std::move(raw.metrics);
  }
  if (app.got_subcommand("snapshot")) {
    options.command = std::move(raw.snapshot);
    if (raw.timeout.empty()) options.timeout = kSnapshotTimeout;
  }
  if (app.got_subcommand("call")) {
    auto args = parse_args(raw.args);
    if (!args) return usage_error(args.error());
    options.command = Call{.op = std::move(raw.call.op), .args = std::move(*args)};
  }
  return {.run = true, .options = std::move(options), .text = {}};
}

}  // namespace

bool parse_time(const std::string& text, std::chrono::milliseconds& out) {
  struct Unit {
    std::string_view name;
    double ms;
  };
  // Digits and one point at most: strtod() alone would take "inf", "0x10" and blanks. (macOS has no from_chars for
  // floating point.)
  const std::size_t unit_at = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string digits = text.substr(0, unit_at);
  if (std::ranges::count(digits, '.') > 1 || digits.find_first_not_of('.') == std::string::npos) return false;
  const double number = std::strtod(digits.c_str(), nullptr);
  const std::string_view unit = std::string_view(text).substr(unit_at);
  for (const Unit& known : {Unit{"", 1e3}, Unit{"s", 1e3}, Unit{"ms", 1}, Unit{"m", 60e3}}) {
    if (unit != known.name) continue;
    const double ms = std::ceil(number * known.ms);
    if (!(ms >= 1 && ms <= static_cast<double>(kMaxTimeout.count()))) return false;
    out = std::chrono::milliseconds(static_cast<std::int64_t>(ms));
    return true;
  }
  return false;
}

namespace {

/// How many arguments are for the parser: all, or those up to and with a command that passes on the others. (The parser
/// would drop a "--" among them.)
int own_arguments(const CLI::App& app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto* option = app.get_option_no_throw(word);
    if (option != nullptr && option->get_items_expected_max() > 0) {
      ++i;  // its value
    } else if (!word.starts_with('-')) {
      const auto is_word = [&](const GuestName& guest) { return word == guest.name; };
      const bool passes_on = word == "shell" || std::ranges::any_of(kGuestNames, is_word);
      return passes_on ? i + 1 : argc;
    }
  }
  return argc;
}

}  // namespace

Parsed parse_options(int argc, const char* const* argv) {
  Options options;
  Raw raw;
  CLI::App app(kDescription, "sisctl");
  app.footer(kFooter);
  app.get_formatter()->column_width(26);
  app.fallthrough();
  app.require_subcommand(1);
  add_global_options(app, options, raw);
  add_commands(app, raw);
  const int own = own_arguments(app, argc, argv);
  raw.words.assign(argv + own, argv + argc);
  try {
    app.parse(own, argv);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    return {.options = {}, .text = chosen.empty() ? app.help() : chosen.front()->help(), .exit_code = ExitCode::Ok};
  } catch (const CLI::CallForVersion& version) {
    return {.options = {}, .text = std::string(version.what()) + "\n", .exit_code = ExitCode::Ok};
  } catch (const CLI::ParseError& error) {
    if (app.get_subcommands().empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
      return usage_error(missing_command(app));
    }
    return usage_error(error.what());
  }
  return finish(app, std::move(options), std::move(raw));
}

}  // namespace sisctl
