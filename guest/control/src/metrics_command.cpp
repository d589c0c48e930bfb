// metrics: the kernel's figures under flat names, in an answer or on the console.
#include "flat_metrics.hpp"
#include "graph_common.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

class Printed final : public Flat {
 public:
  Printed(std::string_view prefix, kernel::Log& log) : Flat(prefix), log_(log) {}
  std::uint64_t lines = 0;

 private:
  void on_number(std::string_view name, std::uint64_t value) override {
    log_.metric(name, value);
    ++lines;
  }

  kernel::Log& log_;
};

/// All or none: what is printed may be what a scenario waits for.
HandlerResult print(const Services& services, const Arguments& arguments, const graph::Graph* only, ResultMap& result) {
  if (!abi::control::allows(services.caller.rights, abi::control::Rights::Admin)) {
    return refuse(error::kForbidden, "console", "printing on the console needs rights {:#x}, the token gives {:#x}",
                  static_cast<unsigned>(abi::control::Rights::Admin), static_cast<unsigned>(services.caller.rights));
  }
  for (const std::string_view name : {"count", "skip"}) {
    if (arguments.has(name)) {
      return refuse(error::kBadArgument, name, "{}: not with console, which prints all that match", name);
    }
  }
  const std::string_view prefix = arguments.text("prefix");
  Counted counted(prefix);
  gather_metrics(services, only, counted);
  if (counted.numbers > kMaxConsoleMetrics) {
    return refuse(error::kTooLarge, "console",
                  "console: {} metrics match, allowed: at most {}; ask for one graph, or for a longer prefix",
                  counted.numbers, kMaxConsoleMetrics);
  }
  // Behind the shell's prompt it would be no line of its own, and nobody would take it for a metric.
  if (services.log.in_line()) {
    services.log.write("\n");
  }
  Printed printed(prefix, services.log);
  gather_metrics(services, only, printed);
  result.add("printed", printed.lines);
  return Handled::Now;
}

}  // namespace

HandlerResult handle_metrics(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const graph::Graph* only = nullptr;
  if (arguments.has("graph")) {
    const auto entry = find_graph(arguments);
    if (!entry) {
      return std::unexpected(entry.error());
    }
    only = (*entry)->graph.get();
  }
  if (arguments.flag("console")) {
    return print(services, arguments, only, result);
  }
  ResultMap metrics(result.key_for("metrics"));
  Page page(arguments.text("prefix"), arguments.number("skip"), arguments.number("count", kMaxMetrics), metrics);
  gather_metrics(services, only, page);
  metrics.finish();
  result.add("left_off", page.left_off());
  return Handled::Now;
}

}  // namespace guest::control
