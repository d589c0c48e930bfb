#include "guest/graph/operators/services.hpp"
#include "routing.hpp"

namespace guest::graph {
namespace {

/// Passes on what it gets, after a while.
class Load final : public OperatorCode {
 public:
  Load(std::uint64_t work_ns, ProcessorTime& processor) : work_ns_(work_ns), processor_(processor) {}

  kernel::Outcome fire(Firing& firing) override {
    const std::uint64_t before_ns = processor_.used_ns();
    while (processor_.used_ns() - before_ns < work_ns_) {
      processor_.spin();
    }
    firing.send(0, std::move(firing.input(0)));
    return {};
  }

 private:
  std::uint64_t work_ns_;
  ProcessorTime& processor_;
};

}  // namespace

MadeOperator make_load(const Parameters& parameters) {
  ProcessorTime* const processor = operator_services().processor;
  if (processor == nullptr) {
    return kernel::fail("graph-unavailable", "this kernel does not measure the processor time of operators");
  }
  return make_code<Load>(static_cast<std::uint64_t>(parameters.integer("us")) * 1000, *processor);
}

}  // namespace guest::graph
