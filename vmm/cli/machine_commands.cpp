// ls and stop: what is done with machines of other monitors.
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "text_output.hpp"
#include "vmm/cli/format.hpp"
#include "vmm/machine/monitor_client.hpp"
#include "vmm/machine/registry.hpp"

namespace vmm::cli {
namespace {

using nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr milliseconds kAnswerTime{2000};
/// Beyond the guest's time to stop: the monitor writes its files.
constexpr milliseconds kReportTime{15000};
constexpr milliseconds kDefaultStopWait{60000};
constexpr milliseconds kProgressInterval{250};

/// What its monitor says of a machine; only "name", "state" and "run_dir" if it does not answer or is dead.
ordered_json describe(const machine::MachineEntry& entry) {
  ordered_json row{{"name", entry.name}, {"state", entry.alive ? "unresponsive" : "dead"}};
  if (entry.alive) {
    row["pid"] = entry.pid;
    auto client = machine::MonitorClient::connect(entry.path_of(machine::file::kMonitorSocket));
    const auto status = client ? client->ask({{"op", "status"}}, kAnswerTime) : std::unexpected(client.error());
    if (status && status->value("status", "") == "ok") {
      for (const char* key : {"state", "scenario", "backend", "backend_version", "accel", "cpus", "memory_bytes",
                              "uptime_ns", "legacy_socket"}) {
        if (status->contains(key)) row[key] = (*status)[key];
      }
    }
  }
  row["run_dir"] = entry.run_dir.string();
  return row;
}

std::string text(const ordered_json& row, const char* key) {
  if (!row.contains(key)) return "-";
  return row[key].is_string() ? row[key].get<std::string>() : row[key].dump();
}

std::string uptime(const ordered_json& row) {
  if (!row.contains("uptime_ns")) return "-";
  return format_duration(std::chrono::nanoseconds(row["uptime_ns"].get<std::int64_t>()));
}

std::string memory(const ordered_json& row) {
  return row.contains("memory_bytes") ? format_bytes(row["memory_bytes"].get<std::uint64_t>()) : "-";
}

void print_table(const std::vector<ordered_json>& rows) {
  std::vector<std::vector<std::string>> table{
      {"NAME", "STATE", "PID", "BACKEND", "ACCEL", "CPUS", "MEMORY", "UPTIME", "RUN DIRECTORY"}};
  for (const auto& row : rows) {
    table.push_back({text(row, "name"), text(row, "state"), text(row, "pid"), text(row, "backend"), text(row, "accel"),
                     text(row, "cpus"), memory(row), uptime(row), text(row, "run_dir")});
  }
  std::vector<std::size_t> widths(table.front().size());
  for (const auto& row : table) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : table) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] + 2 - row[i].size(), ' ');
    }
    std::puts(line.c_str());
  }
}

/// Removes the entry of a machine that is dead; says so.
int forget(const machine::MachineEntry& entry) {
  if (auto forgotten = machine::forget_dead_machine(entry.name); !forgotten) return report(forgotten.error());
  std::printf("%s did not run: its monitor was killed; its entry is removed, its files are in %s\n", entry.name.c_str(),
              entry.run_dir.c_str());
  return 0;
}

/// The monitor's last answer; on a terminal, how long it has been waited for.
Result<nlohmann::json> wait_until_stopped(machine::MonitorClient& client, const std::string& name,
                                          milliseconds timeout) {
  TextOutput output(STDOUT_FILENO, {});
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited >= std::chrono::seconds(1)) output.set_status(name + " stops: " + format_seconds(waited));
    const auto left = std::chrono::ceil<milliseconds>(timeout - waited);
    auto answer = client.next(std::min(left, kProgressInterval));
    if (answer || answer.error().exit_code != abi::ExitCode::TimedOut || left <= kProgressInterval) return answer;
  }
}

}  // namespace

int list(const ListOptions& options) {
  const auto machines = machine::list_machines();
  if (!machines) return report(machines.error());
  std::vector<ordered_json> rows;
  for (const auto& entry : *machines) rows.push_back(describe(entry));
  if (options.json) {
    std::puts(ordered_json(rows).dump(2, ' ', false, ordered_json::error_handler_t::replace).c_str());
  } else if (rows.empty()) {
    std::puts("no machines");
  } else {
    print_table(rows);
  }
  return 0;
}

int stop(const StopOptions& options) {
  const auto entry = machine::find_machine(options.name);
  if (!entry) return report(entry.error());
  if (!entry->alive) return forget(*entry);
  auto client = machine::MonitorClient::connect(entry->path_of(machine::file::kMonitorSocket));
  if (!client) return report(client.error());
  nlohmann::json request{{"op", "stop"}};
  milliseconds wait = kDefaultStopWait;
  if (options.timeout_s) {
    wait = std::chrono::duration_cast<milliseconds>(std::chrono::duration<double>(*options.timeout_s));
    request["timeout_ms"] = static_cast<std::uint64_t>(wait.count());
  }
  const auto accepted = client->ask(request, kAnswerTime);
  if (!accepted) {
    auto error = accepted.error();
    error.message += "; if it hangs, end it with `kill -9 " + std::to_string(entry->pid) + "`, QEMU goes with it";
    return report(error);
  }
  if (accepted->value("status", "") != "stopping")
    return report({.message = "the monitor refused: " + accepted->dump()});
  const auto stopped = wait_until_stopped(*client, entry->name, wait + kReportTime);
  if (!stopped) return report(stopped.error());
  const bool killed = stopped->value("killed", false);
  std::printf("%s stopped%s, exit code %d, files in %s\n", entry->name.c_str(), killed ? " (it had to be killed)" : "",
              stopped->value("exit_code", -1), entry->run_dir.c_str());
  return 0;
}

}  // namespace vmm::cli
