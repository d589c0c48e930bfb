#include "tools/commands.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <ostream>
#include <vector>

#include "tools/audit_file.hpp"
#include "tools/batch.hpp"
#include "tools/follow.hpp"
#include "tools/graph_file.hpp"
#include "tools/guest_words.hpp"
#include "tools/llm_answer.hpp"
#include "tools/load_package.hpp"
#include "tools/metrics.hpp"
#include "tools/session.hpp"
#include "tools/statistics.hpp"
#include "tools/target.hpp"
#include "tools/text.hpp"
#include "tools/top.hpp"
#include "vmm/machine/monitor_client.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/observe/distribution.hpp"

namespace sisctl {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

/// Up to this many pings each have a line of their own; of more, only the figures are of use to a reader.
constexpr std::uint32_t kMaxPingLines = 20;

/// The figures of the pings that were answered; none if none was.
json ping_figures(const std::vector<std::int64_t>& samples_ns, std::uint32_t sent) {
  json figures = {{"sent", sent}, {"received", samples_ns.size()}, {"clock_resolution_ns", clock_resolution_ns()}};
  if (samples_ns.empty()) return figures;
  const vmm::observe::Distribution summary = vmm::observe::distribution_of(samples_ns);
  json& rtt = figures["rtt_ns"];
  rtt = {{"min", summary.min}, {"median", summary.median}, {"max", summary.max}};
  if (summary.p95) rtt["p95"] = *summary.p95;
  if (summary.p99) rtt["p99"] = *summary.p99;
  return figures;
}

void print_ping_figures(std::ostream& out, const json& figures) {
  out << figures["sent"] << " sent, " << figures["received"] << " received\n";
  const auto rtt = figures.find("rtt_ns");
  if (rtt == figures.end()) return;
  out << "round trip:";
  for (const char* name : {"min", "median", "p95", "p99", "max"}) {
    if (rtt->contains(name)) out << " " << name << " " << duration((*rtt)[name].get<std::int64_t>()) << ",";
  }
  out << " clock resolution " << duration(figures["clock_resolution_ns"].get<std::int64_t>()) << "\n";
}

ExitCode run(const Context& context, const Ping& ping) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  const json args = ping.payload.empty() ? json::object() : json{{"payload", ping.payload}};
  std::vector<std::int64_t> samples_ns;
  std::uint32_t sent = 0;
  std::optional<Failure> failure;
  while (sent < ping.count && !failure) {
    ++sent;
    const auto start = steady_clock::now();
    const auto result = session->call("ping", args);
    const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now() - start).count();
    if (!result) {
      failure = result.error();
    } else if (!ping.payload.empty() && result->value("payload", json()) != ping.payload) {
      failure = session->wrong_reply("the reply to ping has another payload: " + result->dump());
    } else {
      samples_ns.push_back(took);
      if (ping.count <= kMaxPingLines && !context.options.json) {
        context.out << "reply from '" << session->name() << "': number " << sent << ", " << duration(took) << "\n";
      }
    }
  }
  json figures = ping_figures(samples_ns, sent);
  if (!context.options.json) print_ping_figures(context.out, figures);
  if (failure) return report(context, *failure);
  if (context.options.json) context.out << json_line(figures);
  return ExitCode::Ok;
}

/// Sends one request and prints the map that comes back.
ExitCode call_and_print(const Context& context, const std::string& op, const json& args) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  const auto result = session->call(op, args);
  if (!result) return report(context, result.error());
  context.out << (context.options.json ? json_line(*result) : table(*result));
  return ExitCode::Ok;
}

/// A result for people: those that are lists of records as columns, of what is of use to a reader.
std::string readable(const std::string& op, const json& result) {
  struct List {
    const char* op;
    const char* key;
    std::vector<std::string> columns;
  };
  static const List kLists[] = {
      {"ask", "figures", {"said", "holds", "of", "figure", "value", "is"}},
      {"audit", "records", {"sequence", "time_ns",      "event",    "caller",   "connection", "token",        "subject",
                            "op",       "code",         "status",   "rights",   "bytes",      "model",        "request",
                            "tokens",   "submitted_ns", "began_ns", "ended_ns", "fits_at_ns", "prompt_sha256"}},
      {"llmctl list",
       "models",
       {"id", "state", "bytes", "signed", "revision", "quantisation", "context", "name", "error"}},
      {"llmsummary", "last", {"id", "model", "state", "stop", "tokens", "took_ns"}},
      {"token list",
       "tokens",
       {"id", "rights", "expires_unix_ns", "made_here", "revoked", "uses", "made_with", "name"}}};
  const auto list = std::ranges::find(kLists, op == "llmctl audit" ? "audit" : op, &List::op);
  if (list == std::end(kLists) || !result.is_object() || !result.contains(list->key)) return table(result);
  json rest = result;
  rest.erase(list->key);
  return columns(result[list->key], list->columns) + (rest.empty() ? "" : table(rest));
}

ExitCode run(const Context& context, const Info&) { return call_and_print(context, "info", json::object()); }

/// Puts what comes from the standard input where "-" says so.
Outcome<void> read_stdin_argument(const GuestCommand& command, Request& request) {
  const auto found = command.stdin_argument.empty() ? request.args.end() : request.args.find(command.stdin_argument);
  if (found == request.args.end() || *found != "-") return {};
  auto bytes = read_bytes(std::cin, command.stdin_argument, "the standard input");
  if (!bytes) return std::unexpected(bytes.error());
  // A line that was typed or echoed ends with a line feed, which is no part of it.
  if (auto& all = bytes->get_binary(); !all.empty() && all.back() == '\n') all.pop_back();
  *found = std::move(*bytes);
  return {};
}

/// The guest says which arguments its command has: no list of them is here, to be out of date.
ExitCode run(const Context& context, const GuestCommand& command) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  auto request =
      request_of(command.words, [&](const std::string& name) { return session->call("help", {{"command", name}}); });
  if (!request) return report(context, request.error());
  if (auto read = read_stdin_argument(command, *request); !read) return report(context, read.error());
  if (sends_events(*request)) return follow(context, *session, *request);
  auto result = session->call(request->op, request->args);
  if (result && asks_model(*request)) result = whole_answer(*session, std::move(*result));
  if (!result) return report(context, result.error());
  if (asks_model(*request)) return print_answer(context, *result);
  context.out << (context.options.json ? json_line(*result) : readable(request->op, *result));
  return ExitCode::Ok;
}

ExitCode run(const Context& context, const GraphExport& command) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  if (command.dot) {
    const auto drawn = session->call("shell", {{"line", "graph export " + shell_quoted(command.graph) + " dot"}});
    if (!drawn) return report(context, drawn.error());
    if (drawn->value("status", 1) == 0) {
      context.out << printable(drawn->value("output", ""));
      return ExitCode::Ok;
    }
    // Asked once more, so that the refusal has its code.
  }
  const auto result = session->call("graph export", {{"graph", command.graph}});
  if (!result) return report(context, result.error());
  if (!result->contains("structure")) return report(context, session->wrong_reply("graph export: " + result->dump()));
  context.out << (*result)["structure"].dump(2, ' ', true) << "\n";
  return ExitCode::Ok;
}

ExitCode run(const Context& context, const GraphImport& command) {
  const auto requests = read_graph_file(command.file);
  if (!requests) return report(context, requests.error());
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  bool created = false;
  std::string schemas;
  for (const Request& request : requests->requests) {
    const auto result = session->call(request.op, request.args);
    if (!result) {
      // Nothing half-made stays, but what cannot be taken back.
      if (created) (void)session->call("graph destroy", {{"graph", requests->graph}});
      Failure failure = result.error();
      if (!schemas.empty()) failure.message += "; these schemas stay registered: " + printable(schemas);
      return report(context, failure);
    }
    created = created || request.op == "graph create";
    if (request.op == "graph schema") schemas += (schemas.empty() ? "" : ", ") + request.args.value("name", "");
  }
  const json made = {{"graph", requests->graph}, {"requests", requests->requests.size()}};
  context.out << (context.options.json ? json_line(made) : table(made));
  return ExitCode::Ok;
}

ExitCode run(const Context& context, const LoadPackage& command) { return run_load_package(context, command); }

ExitCode run(const Context& context, const AuditVerify& command) {
  std::error_code ignored;
  std::ifstream file(command.file, std::ios::binary);
  const bool opened = file.is_open() && !std::filesystem::is_directory(command.file, ignored);
  const auto verified = opened ? verify_audit(file) : std::expected<AuditSummary, AuditProblem>();
  if (!opened || file.bad()) {
    return report(
        context,
        {.exit_code = ExitCode::Usage, .kind = "usage", .message = "cannot read the file " + printable(command.file)});
  }
  if (!verified) {
    const AuditProblem& problem = verified.error();
    return report(context, {.exit_code = ExitCode::Refused,
                            .kind = problem.kind,
                            .message = printable(command.file) + ", line " + std::to_string(problem.line) + ": " +
                                       problem.kind + ": " + problem.message});
  }
  const json summary = {{"records", verified->records}, {"starts", verified->starts}, {"first", verified->first},
                        {"last", verified->last},       {"hash", verified->hash},     {"end", verified->end}};
  context.out << (context.options.json ? json_line(summary) : table(summary));
  return ExitCode::Ok;
}

ExitCode run(const Context& context, const Call& call) { return call_and_print(context, call.op, call.args); }

ExitCode run(const Context& context, const Top& top) { return run_top(context, top); }

ExitCode run(const Context& context, const Batch& batch) { return run_batch(context, batch); }

ExitCode run(const Context& context, const Metrics& metrics) { return run_metrics(context, metrics); }

ExitCode run(const Context& context, const Shutdown& shutdown) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  const auto result = session->call("shutdown", {{"code", shutdown.code}});
  if (!result) return report(context, result.error());
  context.out << (context.options.json
                      ? json_line(*result)
                      : "'" + session->name() + "' shuts down with code " + std::to_string(shutdown.code) + "\n");
  return ExitCode::Ok;
}

ExitCode run(const Context& context, const Shell& shell) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  const auto result = session->call("shell", {{"line", shell.line}});
  if (!result) return report(context, result.error());
  if (shell.line.find("ctlkey") != std::string::npos) {
    if (const auto kept = session->keep_printed_key(result->value("output", "")); !kept) {
      return report(context, kept.error());
    }
  }
  const auto output = result->find("output");
  const auto status = result->find("status");
  if (output == result->end() || !output->is_string() || status == result->end() || !status->is_number_integer()) {
    return report(context, session->wrong_reply("the reply to shell is not {output, status}: " + result->dump()));
  }
  if (context.options.json) {
    context.out << json_line(*result);
  } else {
    const std::string text = printable(output->get<std::string>());
    context.out << text << (text.empty() || text.ends_with('\n') ? "" : "\n");
  }
  if (*status == 0) return ExitCode::Ok;
  context.err << "sisctl: the guest's shell reports status " << *status << "\n";
  return ExitCode::Refused;
}

ExitCode run(const Context& context, const List&) {
  const auto machines = vmm::machine::list_machines();
  if (!machines) {
    return report(context,
                  {.exit_code = ExitCode::CannotConnect, .kind = "registry", .message = machines.error().message});
  }
  if (context.options.json) {
    json list = json::array();
    for (const auto& entry : *machines) {
      json item = {{"name", entry.name}, {"alive", entry.alive}, {"run_dir", entry.run_dir.string()}};
      if (entry.alive) item["pid"] = entry.pid;
      list.push_back(std::move(item));
    }
    context.out << json_line(list);
    return ExitCode::Ok;
  }
  json rows = json::object();
  for (const auto& entry : *machines) {
    rows[entry.name] = (entry.alive ? "runs, process " + std::to_string(entry.pid) : std::string("has ended")) + ", " +
                       entry.run_dir.string();
  }
  context.out << (rows.empty() ? "no machines\n" : table(rows));
  return ExitCode::Ok;
}

ExitCode run(const Context& context, const Snapshot& snapshot) {
  const auto target = find_target(context.options);
  if (!target) return report(context, target.error());
  auto monitor = vmm::machine::MonitorClient::connect(target->monitor_path);
  if (!monitor) {
    return report(context,
                  {.exit_code = ExitCode::CannotConnect, .kind = "no-monitor", .message = monitor.error().message});
  }
  const std::string folder = std::filesystem::absolute(snapshot.folder).lexically_normal().string();
  const auto answer = monitor->ask({{"op", "snapshot"}, {"folder", folder}}, context.options.timeout);
  if (!answer) {
    return report(context, {.exit_code = ExitCode::NoReply, .kind = "no-reply", .message = answer.error().message});
  }
  if (answer->value("status", "") != "saved") {
    const std::string why = answer->value("message", answer->dump());
    return report(context, {.exit_code = ExitCode::Refused, .kind = "refused", .message = printable(why)});
  }
  context.out << (context.options.json ? json_line({{"folder", folder}})
                                       : "'" + target->name + "' is saved in " + printable(folder) + "\n");
  return ExitCode::Ok;
}

}  // namespace

ExitCode run_command(const Options& options, std::ostream& out, std::ostream& err, bool terminal) {
  const Context context{.options = options, .out = out, .err = err, .terminal = terminal};
  return std::visit([&](const auto& command) { return run(context, command); }, options.command);
}

}  // namespace sisctl
