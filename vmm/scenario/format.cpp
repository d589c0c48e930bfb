#include "format.hpp"

#include "abi/boot_config.hpp"
#include "expect_type.hpp"
#include "graphs_type.hpp"
#include "llm_type.hpp"
#include "npu_type.hpp"
#include "observe_type.hpp"
#include "section.hpp"
#include "tasks_type.hpp"

namespace vmm::scenario {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""h;

constexpr char kApiVersion[] = "sis/v1";

/// A key with one value that sets nothing.
class VersionType final : public Type<Scenario> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, Scenario& /*out*/) const override {
    const bool is_text = node.kind == Node::Kind::Plain || node.kind == Node::Kind::Quoted;
    if (!is_text || node.text != kApiVersion) problems.add(node.at, key, found(node), allowed());
  }
  [[nodiscard]] OrderedJson write(const Scenario& /*value*/) const override { return kApiVersion; }
  [[nodiscard]] OrderedJson schema() const override { return {{"const", kApiVersion}}; }
  [[nodiscard]] std::string allowed() const override { return kApiVersion; }
};

/// One request, or {parallel: [requests]}.
class StepType final : public Type<Step> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, Step& out) const override {
    const bool parallel = node.kind == Node::Kind::Map &&
                          std::ranges::any_of(node.entries, [](const Node::Entry& e) { return e.key == kParallel; });
    if (parallel) {
      parallel_->read(problems, key, node, out);
    } else {
      request_type()->read(problems, key, node, out.requests.emplace_back());
    }
  }
  [[nodiscard]] OrderedJson write(const Step& value) const override {
    return value.requests.size() == 1 ? request_type()->write(value.requests[0]) : parallel_->write(value);
  }
  [[nodiscard]] OrderedJson schema() const override {
    OrderedJson parallel = parallel_->schema();
    parallel["properties"][kParallel]["items"] = {{"$ref", "#/definitions/request"}};
    // if/then and not oneOf, so that an editor's complaint is about the kind of step that the user is writing.
    return {{"if", {{"required", {kParallel}}}},
            {"then", std::move(parallel)},
            {"else", {{"$ref", "#/definitions/request"}}}};
  }
  [[nodiscard]] std::string allowed() const override { return request_type()->allowed() + "; or with parallel"; }
  void document(const std::string& key, std::vector<OptionRow>& rows) const override {
    request_type()->document(key, rows);
    rows.push_back(
        {key + '.' + kParallel, requests_->allowed(), "",
         "Instead of the keys above: requests that are sent at the same time, each over its own connection. The "
         "step ends when all of them have ended."});
  }

 private:
  static constexpr char kParallel[] = "parallel";
  static constexpr std::size_t kMaxParallel = 64;

  TypePtr<std::vector<Request>> requests_ = list(request_type(), 1, kMaxParallel);
  TypePtr<Step> parallel_ =
      section<Step>({option(kParallel, &Step::requests, requests_,
                            "Requests that are sent at the same time, each over its own connection.")});
};

TypePtr<Machine> make_machine_type() {
  static constexpr std::uint64_t kMiB = 1ull << 20;
  return section<Machine>(
      {
          option("cpus", &Machine::cpus, integer<unsigned>(1, 8), "Number of CPUs."),
          option("memory", &Machine::memory_bytes, size(64 * kMiB, 64 * 1024 * kMiB, 2 * kMiB),
                 "Size of the guest's RAM."),
          option("backend", &Machine::backend,
                 choice<Backend>({{"auto", Backend::Auto}, {"qemu", Backend::Qemu}, {"kvm", Backend::Kvm}}),
                 "What runs the machine. auto: the best that this host can (sisvmm doctor tells)."),
          option("accel", &Machine::accel,
                 choice<Accel>({{"auto", Accel::Auto}, {"tcg", Accel::Tcg}, {"kvm", Accel::Kvm}, {"hvf", Accel::Hvf}}),
                 "How QEMU runs the CPUs: emulated (tcg), or on an ARM64 host its hypervisor. auto: the fastest."),
          option("cpu", &Machine::cpu,
                 text({.max_bytes = 128,
                       .pattern = "[A-Za-z0-9][A-Za-z0-9._=,+-]*",
                       .words = "a CPU model of QEMU (A-Z a-z 0-9 . _ = , + -)"}),
                 "CPU model, as cortex-a53, cortex-a72, cortex-a76, max. Without it: the back end's choice."),
          option("huge_pages", &Machine::huge_pages, boolean(),
                 "The host gives the guest's memory in pages of 2 MiB, which must be reserved (Linux: "
                 "/proc/sys/vm/nr_hugepages)."),
          option("gic_version", &Machine::gic_version, integer<unsigned>(2, 3), "Version of the interrupt controller."),
          option(
              "icount_shift", &Machine::icount_shift, maybe(integer<unsigned>(0, 10)),
              "Deterministic time: each instruction takes 2^shift nanoseconds of guest time. TCG only. Without it: the "
              "host's time."),
      },
      [](Problems& problems, const std::string& key, const Node& node, Machine& machine) {
        check_machine(problems, key, node, machine);
      });
}

TypePtr<Scenario> boot_type() {
  return section<Scenario>({
      option("kernel", &Scenario::kernel, path(),
             "Kernel image, relative to the scenario's file. Without it: the one built with the monitor."),
      option("verbosity", &Scenario::verbosity,
             choice<Verbosity>({{"quiet", Verbosity::Quiet}, {"info", Verbosity::Info}, {"debug", Verbosity::Debug}}),
             "How much the kernel writes to its console."),
  });
}

TypePtr<LegacySocket> legacy_socket_type() {
  // The port in the pattern, so that editors check it as well.
  static constexpr char kAddress[] =
      "127\\.0\\.0\\.1:"
      "(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
  return section<LegacySocket>(
      {option("unix", &LegacySocket::unix_path, path(),
              "Path of a Unix socket with mode 0600; a relative one lies in the run directory."),
       option("tcp", &LegacySocket::tcp,
              text({.max_bytes = 15,
                    .pattern = kAddress,
                    .words = "127.0.0.1:PORT with a port from 0 to 65535, since no other host may connect"}),
              "Every user of the host can connect. Port 0: a free one, which the run prints.")},
      [](Problems& problems, const std::string& key, const Node& node, LegacySocket& socket) {
        if (socket.unix_path.empty() == socket.tcp.empty()) {
          problems.add(node.at, key, socket.tcp.empty() ? "neither unix nor tcp" : "both unix and tcp", "one of them");
        }
      });
}

TypePtr<Scenario> control_type() {
  return section<Scenario>({
      option("test_services", &Scenario::test_services, boolean(),
             "The guest also listens on the vsock ports 7 (echo), 9 (discard), 19 (chargen)."),
      option(
          "legacy_socket", &Scenario::legacy_socket, maybe(legacy_socket_type()),
          "A socket for clients of version 0 of the control protocol, who need no CONNECT line; it accepts the fixed "
          "development token. docs/control-protocol-v0.md."),
      option("audit", &Scenario::audit, boolean(),
             "The monitor writes the guest's audit log into audit.jsonl of the run directory. docs/audit.md."),
  });
}

TypePtr<Timeouts> timeouts_type() {
  const auto limit = duration(1ms, 24h);
  return section<Timeouts>({
      option("boot", &Timeouts::boot, limit, "From the start until the control server answers."),
      option("run", &Timeouts::run, limit,
             "From the start until the last step has ended. Without steps there is no limit."),
      option("stop", &Timeouts::stop, limit, "From the request to stop until the machine is killed."),
  });
}

TypePtr<Scenario> make_scenario_type() {
  return section<Scenario>(
      {
          group<Scenario>("apiVersion", std::make_shared<VersionType>(), "Version of this format.", Presence::Required),
          option(
              "name", &Scenario::name,
              text({.max_bytes = 64, .pattern = "[A-Za-z0-9][A-Za-z0-9._-]*", .words = "a name of A-Z a-z 0-9 . _ -"}),
              "Name in reports, and of the machine unless --name gives another. Without it: the file's name."),
          option("description", &Scenario::description, text({.max_bytes = 4096, .words = "a text"}), "For readers."),
          option("machine", &Scenario::machine, machine_type(), "The virtual machine."),
          option("npu", &Scenario::npu, npu_type(),
                 "The machine's NPU (docs/npu-device.md). on: with the defaults below."),
          group("boot", boot_type(), "What is booted, and how."),
          group("control", control_type(), "The guest's services on vsock."),
          option("scheduler", &Scenario::scheduler, scheduler_type(),
                 "What is promised of the CPUs' time, and to whom. A machine that cannot promise it refuses to start."),
          option("tasks", &Scenario::tasks, tasks_type(), "Loads to try the scheduler with."),
          option("schemas", &Scenario::schemas, schemas_type(), "What tensors mean, by name, for graphs."),
          option("graphs", &Scenario::graphs, graphs_type(),
                 "Dataflow graphs. A machine that cannot build one refuses to start."),
          option("llm", &Scenario::llm, llm_type(),
                 "Models, who is trusted to sign them (docs/models.md), and the service that runs them "
                 "(docs/llm.md)."),
          option("observe", &Scenario::observe, maybe(observe_type()),
                 "What is recorded of the run (docs/observation.md). With an empty map: with the defaults below. "
                 "Without it: nothing."),
          option(
              "autorun", &Scenario::autorun, autorun_type(),
              "Lines of the shell that the guest runs by itself, in this order, before its control server can be "
              "reached: nothing comes from outside meanwhile. One that fails ends the machine. What is recorded ends "
              "with the last."),
          option("steps", &Scenario::steps, list<Step>(std::make_shared<StepType>(), 0, 1000),
                 "Control requests, in this order. Without any, the machine runs until it is stopped."),
          option("expect", &Scenario::expect, expect_type(), "What must hold when the steps are done."),
          option("timeouts", &Scenario::timeouts, timeouts_type(), "How long things may take."),
      },
      [](Problems& problems, const std::string& /*key*/, const Node& node, Scenario& scenario) {
        check_tasks(problems, node, scenario);
        check_graphs(problems, node, scenario);
        check_llm_server(problems, node, scenario);
        check_autorun(problems, node, scenario);
        check_expectations(problems, node, scenario);
      });
}

}  // namespace

const TypePtr<Machine>& machine_type() {
  static const TypePtr<Machine> type = make_machine_type();
  return type;
}

const TypePtr<Scenario>& scenario_type() {
  static const TypePtr<Scenario> type = make_scenario_type();
  return type;
}

void check_machine(Problems& problems, const std::string& key, const Node& node, const Machine& machine) {
  const auto place = [&](std::string_view option) {
    const auto entry = std::ranges::find(node.entries, option, &Node::Entry::key);
    return entry == node.entries.end() ? node.at : entry->value.at;
  };
  if (machine.backend == Backend::Kvm && (machine.accel == Accel::Tcg || machine.accel == Accel::Hvf)) {
    problems.add(place("accel"), key + ".accel",
                 machine.accel == Accel::Tcg ? "tcg with backend kvm" : "hvf with backend kvm",
                 "auto or kvm, or backend qemu");
  }
  if (machine.icount_shift &&
      (machine.backend == Backend::Kvm || machine.accel == Accel::Kvm || machine.accel == Accel::Hvf)) {
    problems.add(place("icount_shift"), key + ".icount_shift",
                 std::to_string(*machine.icount_shift) + " with a hypervisor that runs on the real CPU",
                 "icount_shift only with accel tcg or auto, and backend qemu or auto");
  }
}

}  // namespace vmm::scenario
