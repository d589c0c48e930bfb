#include "vmm/scenario/boot_archive.hpp"

#include <libfdt.h>

#include <algorithm>

#include "abi/boot_config.hpp"
#include "cpio_writer.hpp"
#include "graphs_tree.hpp"
#include "llm_tree.hpp"
#include "observe_tree.hpp"
#include "tree_writer.hpp"
#include "vmm/scenario/files.hpp"

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
    tree.text(names::kProgram, archive_name(NamedFile::Use::Program, load->file));
    std::string arguments;
    for (const std::string& argument : load->arguments) arguments.append(argument).push_back('\0');
    if (!arguments.empty()) tree.bytes(names::kArguments, std::as_bytes(std::span(arguments)));
    tree.u64(names::kMemoryBytes, load->memory_bytes);
    if (load->llm) {
      tree.text(names::kTaskLlmModel, load->llm->model);
      tree.u32(names::kTaskLlmMaxTokens, load->llm->max_tokens);
      tree.u32(names::kTaskLlmRights, static_cast<std::uint32_t>(load->llm->rights));
    }
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
  if (run.control_seed) tree.bytes(names::kControlSeed, std::as_bytes(std::span(*run.control_seed)));
  if (scenario.test_services) tree.bytes(names::kControlTestServices, {});
  if (scenario.legacy_socket) tree.bytes(names::kControlLegacySocket, {});
  tree.end();
  if (scenario.scheduler != Scheduler{} || !scenario.tasks.empty()) write_scheduler(tree, scenario);
  write_graphs(tree, scenario);
  write_llm(tree, scenario.llm, scenario.scheduler.servers);
  write_observe(tree, scenario);
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
  const auto files = read_files(scenario);
  if (!files) return std::unexpected(files.error());
  for (const auto& [name, bytes] : *files) {
    if (auto added = archive.add(name, std::as_bytes(std::span(bytes))); !added) {
      return std::unexpected(std::move(added.error()));
    }
  }
  return std::move(archive).finish();
}

}  // namespace vmm::scenario
