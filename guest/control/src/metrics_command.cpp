// metrics: the kernel's figures under flat names, in an answer or on the console.
#include "graph_common.hpp"
#include "metrics.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Makes numbers of all, and hands on those whose names begin with the prefix.
class Flat : public MetricSink {
 public:
  explicit Flat(std::string_view prefix) : prefix_(prefix) {}

  void count(std::string_view name, std::uint64_t value) final { take(name, value); }
  void level(std::string_view name, std::uint64_t value) final { take(name, value); }
  void times(std::string_view name, const kernel::Histogram& histogram) final {
    using kernel::Percentile;
    take_part(name, "total_ns", histogram.sum());
    constexpr struct {
      std::string_view name;
      Percentile percentile;
    } kPercentiles[] = {{"p50_ns", Percentile::P50}, {"p95_ns", Percentile::P95}, {"p99_ns", Percentile::P99}};
    for (const auto& [part, percentile] : kPercentiles) {
      if (const auto value = histogram.percentile(percentile)) {
        take_part(name, part, *value);
      }
    }
    if (histogram.count() != 0) {
      take_part(name, "max_ns", histogram.max());
    }
  }

 protected:
  ~Flat() = default;
  virtual void on_number(std::string_view name, std::uint64_t value) = 0;

 private:
  void take(std::string_view name, std::uint64_t value) {
    if (name.starts_with(prefix_)) {
      on_number(name, value);
    }
  }
  void take_part(std::string_view name, std::string_view part, std::uint64_t value) {
    kernel::FixedText<kMaxMetricName> whole;
    kernel::format_to(whole, "{}_{}", name, part);
    take(whole.view(), value);
  }

  std::string_view prefix_;
};

class Page final : public Flat {
 public:
  Page(std::string_view prefix, std::uint64_t skip, std::uint64_t count, ResultMap& into)
      : Flat(prefix), skip_(skip), count_(count), into_(into) {}
  [[nodiscard]] std::uint64_t left_off() const { return seen_ > skip_ + taken_ ? seen_ - skip_ - taken_ : 0; }

 private:
  void on_number(std::string_view name, std::uint64_t value) override {
    if (seen_++ >= skip_ && taken_ < count_) {
      into_.add(name, value);
      ++taken_;
    }
  }

  std::uint64_t skip_;
  std::uint64_t count_;
  std::uint64_t seen_ = 0;
  std::uint64_t taken_ = 0;
  ResultMap& into_;
};

class Counted final : public Flat {
 public:
  using Flat::Flat;
  std::uint64_t numbers = 0;

 private:
  void on_number(std::string_view, std::uint64_t) override { ++numbers; }
};

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
