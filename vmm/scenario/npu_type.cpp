#include "npu_type.hpp"

#include "items.hpp"
#include "section.hpp"

namespace vmm::scenario {
namespace {

using npu::Fault;
using npu::Options;
using std::chrono_literals::operator""ns;

constexpr int kMostNumber = 1'000'000'000;

/// A fault has what its kind needs, and nothing else.
void check_fault(Problems& problems, const std::string& key, const Node& node, const Fault& fault) {
  const auto check = [&](const char* part, bool given, bool wanted, const char* kind) {
    if (given == wanted) return;
    problems.add(given ? place(node, part) : node.at, key + '.' + part, given ? "one" : "nothing",
                 std::string(part) + " with " + kind + (wanted ? "" : ", and no other fault"));
  };
  check("delay", fault.delay.has_value(), fault.kind == Fault::Kind::DelayJob, "delay-job");
  check("command", fault.command.has_value(), fault.kind == Fault::Kind::FailCommand, "fail-command");
}

TypePtr<Fault> fault_type() {
  return section<Fault>(
      {
          option(
              "fault", &Fault::kind,
              choice<Fault::Kind>({{"drop-interrupt", Fault::Kind::DropInterrupt},
                                   {"delay-job", Fault::Kind::DelayJob},
                                   {"fail-command", Fault::Kind::FailCommand}}),
              "drop-interrupt: an interrupt of the job queue is lost. delay-job: a job takes longer. fail-command: a "
              "command of a job fails (status injected).",
              Presence::Required),
          option("number", &Fault::number, integer<unsigned>(1, kMostNumber),
                 "Which interrupt or job, counted from 1 since the machine's start.", Presence::Required),
          option("delay", &Fault::delay, maybe(fine_duration(1ns, npu::kMaxDelay)),
                 "Of delay-job: how much longer its last command takes."),
          option("command", &Fault::command, maybe(integer<unsigned>(0, kMostNumber)),
                 "Of fail-command: which one of the job, counted from 0."),
      },
      check_fault);
}

TypePtr<Options> options_type() {
  return section<Options>({
      option("threads", &Options::threads, integer<unsigned>(1, npu::kMaxThreads),
             "Threads of the host that compute. Results do not depend on it."),
      option("timing", &Options::timing,
             choice<npu::Timing>({{"host", npu::Timing::Host}, {"modelled", npu::Timing::Modelled}}),
             "When jobs end. host: when they are done. modelled: no sooner than the modelled device takes."),
      option("faults", &Options::faults, list(fault_type(), 0, npu::kMaxFaults),
             "What goes wrong on purpose, each once."),
  });
}

class NpuType final : public Type<std::optional<Options>> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, std::optional<Options>& out) const override {
    if (node.kind == Node::Kind::Map) return options_->read(problems, key, node, out.emplace());
    const bool is_text = node.kind == Node::Kind::Plain || node.kind == Node::Kind::Quoted;
    if (!is_text || (node.text != kOn && node.text != kOff)) {
      problems.add(node.at, key, found(node), allowed());
    } else if (node.text == kOn) {
      out.emplace();
    }
  }
  [[nodiscard]] OrderedJson write(const std::optional<Options>& value) const override {
    return value ? options_->write(*value) : OrderedJson(kOff);
  }
  [[nodiscard]] OrderedJson schema() const override {
    // Parsers of YAML 1.1, which editors may use, read on and off as truth values.
    return {{"if", {{"type", "object"}}}, {"then", options_->schema()}, {"else", {{"enum", {kOn, kOff, true, false}}}}};
  }
  [[nodiscard]] std::string allowed() const override { return "on, off, or " + options_->allowed(); }
  void document(const std::string& key, std::vector<OptionRow>& rows) const override { options_->document(key, rows); }

 private:
  static constexpr char kOn[] = "on";
  static constexpr char kOff[] = "off";
  TypePtr<Options> options_ = options_type();
};

}  // namespace

TypePtr<std::optional<Options>> npu_type() { return std::make_shared<NpuType>(); }

}  // namespace vmm::scenario
