#include "vmm/scenario/boot_archive.hpp"

#include <libfdt.h>

#include <algorithm>

#include "abi/boot_config.hpp"
#include "cpio_writer.hpp"
#include "vmm/scenario/programs.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

const char* word(Verbosity verbosity) {
  switch (verbosity) {
    case Verbosity::Quiet:
      return "quiet";
    case Verbosity::Info:
      return "info";
    case Verbosity::Debug:
      return "debug";
  }
  return "quiet";
}

/// libfdt's sequential writer, which keeps the first error: the calls after it do nothing.
class TreeWriter {
 public:
  explicit TreeWriter(std::vector<std::byte>& buffer) : tree_(buffer.data()) {
    step(fdt_create(tree_, static_cast<int>(buffer.size())));
    step(error_ == 0 ? fdt_finish_reservemap(tree_) : 0);
  }

  void begin(const char* name) { step(error_ == 0 ? fdt_begin_node(tree_, name) : 0); }
  void end() { step(error_ == 0 ? fdt_end_node(tree_) : 0); }
  void text(const char* name, const std::string& value) {
    bytes(name, std::as_bytes(std::span(value.c_str(), value.size() + 1)));
  }
  void u64(const char* name, std::uint64_t value) { step(error_ == 0 ? fdt_property_u64(tree_, name, value) : 0); }
  void u32(const char* name, std::uint32_t value) { step(error_ == 0 ? fdt_property_u32(tree_, name, value) : 0); }
  void ns(const char* name, std::chrono::nanoseconds value) { u64(name, static_cast<std::uint64_t>(value.count())); }
  void bytes(const char* name, std::span<const std::byte> value) {
    step(error_ == 0 ? fdt_property(tree_, name, value.data(), static_cast<int>(value.size())) : 0);
  }

  /// Completes the tree. 0, or libfdt's error.
  int finish() {
    step(error_ == 0 ? fdt_finish(tree_) : 0);
    return error_;
  }

 private:
  void step(int result) {
    if (error_ == 0) error_ = result;
  }

  void* tree_;
  int error_ = 0;
};

void write_server(TreeWriter& tree, std::size_t index, const Server& server) {
  tree.begin((names::kServerNode + std::to_string(index)).c_str());
  tree.text(names::kItemName, server.name);
  tree.ns(names::kBudgetNs, server.budget);
  tree.ns(names::kPeriodNs, server.period);
  tree.ns(names::kDeadlineNs, server.deadline.value_or(server.period));
  if (server.cpu) tree.u32(names::kCpu, *server.cpu);
  if (server.reservation == Reservation::Soft) tree.bytes(names::kSoft, {});
  if (server.reclaim) tree.bytes(names::kReclaim, {});
  tree.end();
}

void write_task(TreeWriter& tree, std::size_t index, const Task& task, const std::vector<Server>& servers) {
  tree.begin((names::kTaskNode + std::to_string(index)).c_str());
  tree.text(names::kItemName, task.name);
  if (!task.server.empty()) {
    const auto server = std::ranges::find(servers, task.server, &Server::name);
    tree.u32(names::kTaskServer, static_cast<std::uint32_t>(server - servers.begin()));
  }
  if (task.cpu) tree.u32(names::kCpu, *task.cpu);
  if (const auto& load = task.periodic) {
    tree.ns(names::kPeriodNs, load->period);
    tree.ns(names::kWorkNs, load->work);
    tree.ns(names::kOffsetNs, load->offset);
    tree.ns(names::kDeadlineNs, load->deadline.value_or(load->period));
    if (load->jobs) tree.u32(names::kJobs, *load->jobs);
  }
  if (const auto& load = task.greedy) {
    tree.bytes(names::kGreedy, {});
    tree.ns(names::kStartNs, load->start);
    if (load->length) tree.ns(names::kLengthNs, *load->length);
  }
  if (const auto& load = task.program) {
    tree.text(names::kProgram, archive_name(*load));
    std::string arguments;
    for (const std::string& argument : load->arguments) arguments.append(argument).push_back('\0');
    if (!arguments.empty()) tree.bytes(names::kArguments, std::as_bytes(std::span(arguments)));
    tree.u64(names::kMemoryBytes, load->memory_bytes);
  }
  tree.end();
}

void write_scheduler(TreeWriter& tree, const Scenario& scenario) {
  tree.begin(names::kSchedulerNode);
  tree.u32(names::kBoundPpm, scenario.scheduler.bound_ppm);
  if (scenario.scheduler.start == Start::Manual) tree.bytes(names::kManual, {});
  for (std::size_t i = 0; i < scenario.scheduler.servers.size(); ++i) {
    write_server(tree, i, scenario.scheduler.servers[i]);
  }
  tree.end();
  if (scenario.tasks.empty()) return;
  tree.begin(names::kTasksNode);
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    write_task(tree, i, scenario.tasks[i], scenario.scheduler.servers);
  }
  tree.end();
}

int write_tree(std::vector<std::byte>& buffer, const Scenario& scenario, const RunValues& run) {
  TreeWriter tree(buffer);
  tree.begin("");
  tree.text("compatible", names::kCompatible);
  tree.text(names::kName, scenario.name);
  if (run.unix_time_ns != 0) tree.u64(names::kUnixTimeNs, run.unix_time_ns);
  tree.begin(names::kBootNode);
  tree.text(names::kVerbosity, word(scenario.verbosity));
  tree.end();
  tree.begin(names::kControlNode);
  tree.bytes(names::kControlKey, std::as_bytes(std::span(run.control_key)));
  if (scenario.test_services) tree.bytes(names::kControlTestServices, {});
  tree.end();
  if (scenario.scheduler != Scheduler{} || !scenario.tasks.empty()) write_scheduler(tree, scenario);
  tree.end();
  return tree.finish();
}

}  // namespace

Result<std::vector<std::byte>> make_tree(const Scenario& scenario, const RunValues& run) {
  static constexpr std::size_t kFirstSize = 4096;
  for (std::size_t size = kFirstSize; size <= names::kMaxTreeBytes; size *= 2) {
    std::vector<std::byte> buffer(size);
    const int error = write_tree(buffer, scenario, run);
    if (error == 0) {
      const void* tree = buffer.data();  // aligned by the allocator
      buffer.resize(fdt_totalsize(tree));
      return buffer;
    }
    if (error != -FDT_ERR_NOSPACE) {
      return fail(std::string("cannot write the scenario as a device tree: ") + fdt_strerror(error));
    }
  }
  return fail("the scenario does not fit a device tree of " + std::to_string(names::kMaxTreeBytes) + " bytes");
}

Result<std::vector<std::byte>> make_archive(const Scenario& scenario, const RunValues& run) {
  auto tree = make_tree(scenario, run);
  if (!tree) return tree;
  CpioWriter archive;
  if (auto added = archive.add(names::kScenarioFile, *tree); !added) return std::unexpected(std::move(added.error()));
  const auto programs = read_programs(scenario);
  if (!programs) return std::unexpected(programs.error());
  for (const auto& [name, bytes] : *programs) {
    if (auto added = archive.add(name, std::as_bytes(std::span(bytes))); !added) {
      return std::unexpected(std::move(added.error()));
    }
  }
  return std::move(archive).finish();
}

}  // namespace vmm::scenario
