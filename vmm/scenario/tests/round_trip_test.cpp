// Random scenarios survive being written and read. The seed is in the failure's message; SIS_SEED repeats it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "vmm/scenario/load.hpp"

namespace vmm::scenario {
namespace {

using Json = nlohmann::json;

/// Texts that YAML could take for something else, and characters of every kind.
const std::vector<std::string>& tricky_texts() {
  static const std::vector<std::string> kTricky = {"true",
                                                   "No",
                                                   "null",
                                                   "~",
                                                   "5",
                                                   "05",
                                                   "1e3",
                                                   ".inf",
                                                   "0x1f",
                                                   "5s",
                                                   "64MiB",
                                                   "- a",
                                                   "a: b",
                                                   "#x",
                                                   "a #x",
                                                   "'",
                                                   "\"",
                                                   "\\",
                                                   "!tag",
                                                   "&a",
                                                   "*a",
                                                   "<<",
                                                   "? x",
                                                   "[",
                                                   "{",
                                                   "%YAML",
                                                   "---",
                                                   "...",
                                                   " lead",
                                                   "end ",
                                                   "\n",
                                                   "\t",
                                                   "a\nb\n",
                                                   "\r\n",
                                                   "@",
                                                   "`",
                                                   "|",
                                                   ">",
                                                   "a,b",
                                                   "=",
                                                   "12:30",
                                                   "1_000",
                                                   "0o7",
                                                   "\x01",
                                                   "\x7f",
                                                   "\xC2\x85",
                                                   "\xE2\x80\xA8",
                                                   "\xEF\xBB\xBF",
                                                   "\xF0\x9F\x98\x80",
                                                   "caf\xC3\xA9",
                                                   "\xEF\xBF\xBF",
                                                   "\xC2\xA0",
                                                   std::string(1, '\0')};
  return kTricky;
}

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : engine_(seed) {}

  Scenario scenario() {
    Scenario s;
    s.name = name(64);
    if (coin()) s.description = text(40);
    s.machine = machine();
    if (coin()) s.npu = npu_options();
    s.verbosity = static_cast<Verbosity>(number(0, 2));
    if (coin()) s.kernel = "/" + name(20);
    s.test_services = coin();
    s.audit = coin();
    if (coin()) s.observe.emplace();
    if (coin()) s.legacy_socket = coin() ? LegacySocket{.unix_path = name(20)} : LegacySocket{.tcp = "127.0.0.1:4000"};
    s.scheduler = scheduler();
    for (std::uint64_t i = number(0, 4); i > 0; --i) s.tasks.push_back(task(s));
    for (std::uint64_t i = number(0, 3); i > 0; --i) s.schemas.push_back(schema(s.schemas.size()));
    for (std::uint64_t i = number(0, 2); i > 0; --i) s.graphs.push_back(graph(s));
    if (coin()) s.llm = llm();
    for (std::uint64_t i = number(0, 6); i > 0; --i) s.steps.push_back(step());
    for (std::uint64_t i = number(0, 3); i > 0; --i) {
      s.expect.metrics.push_back({"metric_" + std::to_string(i), condition()});
      s.expect.console.push_back({text(20), coin()});
      s.expect.console_order.push_back(text(20));
      if (s.audit) s.expect.audit.push_back({.op = condition(), .count = condition()});
      if (s.observe) s.expect.trace.push_back({i == 1 ? "switch" : i == 2 ? "npu-end" : "llm-end", condition()});
      if (s.observe) s.expect.trace_order.emplace_back(coin() ? "wake" : "op-end");
    }
    if (coin()) s.expect.guest_exit_code = static_cast<int>(number(0, 255));
    if (coin()) s.expect.end = static_cast<End>(number(0, 2));
    s.timeouts = {duration(), duration(), duration()};
    return s;
  }

 private:
  std::uint64_t number(std::uint64_t min, std::uint64_t max) {
    return std::uniform_int_distribution<std::uint64_t>(min, max)(engine_);
  }
  bool coin() { return number(0, 1) == 1; }
  Llm llm() {
    // RFC 8032, TEST 1.
    static constexpr const char* kKeys[] = {"", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"};
    Llm llm{.public_key = kKeys[number(0, 1)], .allow_unsigned = coin()};
    if (llm.public_key.empty() && !llm.allow_unsigned) return llm;
    for (std::uint64_t i = number(0, 3); i > 0; --i) {
      llm.models.push_back({.file = "/m/model" + std::to_string(i) + ".gguf"});
      if (coin()) llm.models.back().min_revision = static_cast<unsigned>(number(1, 0xffff'ffff));
      llm.models.back().load = coin();
    }
    llm.requests = static_cast<unsigned>(number(1, 256));
    llm.in_flight = static_cast<unsigned>(number(1, llm.requests));
    llm.queue = static_cast<unsigned>(number(1, llm.requests));
    llm.requests_per_owner = static_cast<unsigned>(number(1, llm.requests));
    llm.prompt_bytes = number(1, 256 << 10);
    llm.session_bytes = number(0, 1 << 30);
    llm.period = std::chrono::nanoseconds(number(1'000'000, 1'000'000'000'000));
    llm.tokens_per_period = number(0, 1 << 20);
    llm.cycles_per_period = number(0, std::uint64_t{1} << 62);
    if (coin()) llm.classes = {{.name = "rest"}, {.name = "ours", .in_flight = 1, .members = {"shell", "token:a:b"}}};
    return llm;
  }
  std::chrono::milliseconds duration() {
    const std::uint64_t unit[] = {1, 1000, 60'000, 3'600'000};
    return std::chrono::milliseconds(number(1, 24) * unit[number(0, 3)]);
  }

  std::string name(std::size_t max) {
    static constexpr std::string_view kChars = "aZ09._-";
    std::string out(1, kChars[number(0, 3)]);
    for (std::uint64_t n = number(0, max - 1); n > 0; --n) out += kChars[number(0, kChars.size() - 1)];
    // A name that is a number is written in quotes, and stays a text.
    return out;
  }

  /// A random text, often with something of tricky_texts() in it.
  std::string text(std::size_t max) {
    const auto& tricky = tricky_texts();
    if (coin()) return tricky[number(0, tricky.size() - 1)];
    std::string out;
    for (std::uint64_t n = number(1, max); n > 0; --n) {
      out += number(0, 4) == 0 ? tricky[number(0, tricky.size() - 1)]
                               : std::string(1, static_cast<char>(number(0x20, 0x7E)));
    }
    return out;
  }

  npu::Options npu_options() {
    npu::Options options{.threads = static_cast<unsigned>(number(1, npu::kMaxThreads)),
                         .timing = coin() ? npu::Timing::Host : npu::Timing::Modelled,
                         .faults = {}};
    for (std::uint64_t i = number(0, 3); i > 0; --i) {
      npu::Fault fault{.kind = static_cast<npu::Fault::Kind>(number(0, 2)),
                       .number = static_cast<unsigned>(number(1, 9))};
      if (fault.kind == npu::Fault::Kind::DelayJob) fault.delay = std::chrono::nanoseconds(number(1, 1'000'000'000));
      if (fault.kind == npu::Fault::Kind::FailCommand) fault.command = static_cast<unsigned>(number(0, 9));
      options.faults.push_back(fault);
    }
    return options;
  }

  Machine machine() {
    Machine m;
    m.cpus = static_cast<unsigned>(number(1, 8));
    m.memory_bytes = number(32, 32 * 1024) * (2ull << 20);
    m.backend = coin() ? Backend::Auto : Backend::Qemu;
    m.accel = coin() ? Accel::Auto : Accel::Tcg;
    if (coin()) m.cpu = "cortex-a" + std::to_string(number(53, 76));
    m.huge_pages = coin();
    m.gic_version = static_cast<unsigned>(number(2, 3));
    if (coin()) m.icount_shift = static_cast<unsigned>(number(0, 10));
    return m;
  }

  /// A whole number of ns, us, ms or s.
  std::chrono::nanoseconds time(std::uint64_t min_us, std::uint64_t max_us) {
    const std::chrono::microseconds value(number(min_us, max_us));
    return coin() ? value : value + std::chrono::nanoseconds(number(1, 999));
  }

  Scheduler scheduler() {
    Scheduler s;
    s.start = coin() ? Start::Boot : Start::Manual;
    s.bound_ppm = static_cast<unsigned>(number(1, 1'000'000));
    for (std::uint64_t i = number(0, 3); i > 0; --i) {
      Server server{.name = "s" + std::to_string(i), .budget = time(1, 9), .period = time(100, 1'000'000)};
      if (coin()) server.deadline = time(10, 99);
      if (coin()) server.cpu = 0;
      if (coin()) server.reservation = Reservation::Soft;
      server.reclaim = coin();
      s.servers.push_back(server);
    }
    return s;
  }

  Task task(const Scenario& of) {
    Task t{.name = "t" + std::to_string(of.tasks.size()) + name(20)};
    if (coin() && !of.scheduler.servers.empty()) {
      t.server = of.scheduler.servers.front().name;
    } else if (coin()) {
      t.cpu = 0;
    }
    switch (number(0, 2)) {
      case 0:
        t.periodic = PeriodicLoad{.period = time(10, 1'000'000), .work = time(1, 9), .offset = time(0, 99)};
        if (coin()) t.periodic->deadline = time(1, 99);
        if (coin()) t.periodic->jobs = static_cast<unsigned>(number(1, 1'000'000'000));
        break;
      case 1:
        t.greedy = GreedyLoad{.start = time(0, 99)};
        if (coin()) t.greedy->length = time(1, 99);
        break;
      default:
        t.program = program(of.tasks.size());
    }
    return t;
  }

  UserProgram program(std::size_t index) {
    UserProgram p{.file = "/a b/p" + std::to_string(index) + name(20), .memory_bytes = number(64, 1 << 18) * 4096};
    for (std::uint64_t n = number(0, 7); n > 0; --n) {
      std::string argument = text(30).substr(0, 60);
      std::erase(argument, '\0');
      if (!argument.empty()) p.arguments.push_back(argument);
    }
    return p;
  }

  Schema schema(std::size_t index) {
    static const char* const kNames[] = {"5s", "1e3", "true", ".", "-", "3000"};
    Schema s{.name = coin() ? kNames[index] : "schema." + std::to_string(index)};
    if (coin()) s.id = static_cast<unsigned>(4294967295 - index);
    return s;
  }

  SchemaName schema_name(const Scenario& of) {
    if (coin() || of.schemas.empty()) return {.name = coin() ? "" : "text"};
    return {.name = of.schemas[number(0, of.schemas.size() - 1)].name};
  }

  /// A line of operators, each with a channel to the next.
  Graph graph(const Scenario& of) {
    Graph g{.name = "g" + std::to_string(of.graphs.size()) + name(16)};
    g.memory_bytes = number(1, 1 << 18) * 4096;
    g.tensors = static_cast<unsigned>(number(1, 65535));
    if (coin()) g.server = GraphServer{.budget = time(1, 9), .period = time(100, 1'000'000)};
    if (g.server && coin()) g.server->deadline = time(10, 99);
    if (g.server && coin()) g.server->reservation = Reservation::Soft;
    if (coin()) g.start = GraphStart::Manual;
    if (coin()) g.steps = static_cast<unsigned>(number(1, 1'000'000'000));
    const std::uint64_t count = number(1, 5);
    for (unsigned i = 0; i < count; ++i) {
      Operator op{.id = i + 1, .name = "o" + std::to_string(i), .kind = "kind-" + std::to_string(number(0, 9))};
      op.stage = static_cast<Stage>(number(0, 4));
      op.priority = static_cast<unsigned>(number(0, 255));
      if (coin()) op.wcet = time(0, 9) + std::chrono::nanoseconds(1);
      if (i > 0) op.in = {65534 - i + 1};
      if (i + 1 < count) op.out = {65534 - i};
      op.in_schema = schema_name(of);
      op.out_schema = schema_name(of);
      op.parameters = parameters();
      g.operators.push_back(op);
      if (op.out.empty()) continue;
      g.channels.push_back({.id = 65534 - i,
                            .capacity = static_cast<unsigned>(number(1, 65535)),
                            .policy = static_cast<ChannelPolicy>(number(0, 2)),
                            .schema = schema_name(of)});
    }
    return g;
  }

  OperatorParameters parameters() {
    OperatorParameters p;
    for (std::uint64_t n = number(0, 7); n > 0; --n) {
      std::string value =
          coin() ? text(20).substr(0, 64) : std::to_string(static_cast<std::int64_t>(number(0, UINT64_MAX)));
      std::erase_if(value, [](char c) { return (c >= 0 && c < ' ') || c == 127; });
      if (!value.empty()) p.values.push_back({"p_" + std::to_string(n), value});
    }
    if (coin()) p.file = "/a b/shapes.pgm";
    return p;
  }

  Json value(unsigned depth) {
    switch (number(0, depth == 0 ? 5 : 7)) {
      case 0:
        return static_cast<std::int64_t>(number(0, UINT64_MAX));
      case 1:
        return number(0, UINT64_MAX);
      case 2:
        return coin();
      case 3:
        return std::uniform_real_distribution<double>(-1e6, 1e6)(engine_) *
               std::pow(10.0, static_cast<double>(number(0, 40)));
      case 4:
        return static_cast<double>(number(0, 100));
      case 5:
        return text(12);
      case 6: {
        Json list = Json::array();
        for (std::uint64_t n = number(0, 3); n > 0; --n) list.push_back(coin() ? Json() : value(depth - 1));
        return list;
      }
      default:
        return map(depth - 1);
    }
  }

  Json map(unsigned depth) {
    Json out = Json::object();
    for (std::uint64_t n = number(0, 4); n > 0; --n) out[text(10)] = value(depth);
    return out;
  }

  Condition condition() {
    Condition c;
    switch (number(0, 4)) {
      case 0:
        c.equals = value(2);
        break;
      case 1:
        c.not_equals = value(2);
        c.contains = value(1);
        break;
      case 2:
        c.min = -5;
        c.max = number(0, UINT64_MAX);
        break;
      case 3:
        c.matches = "^[a-z]+ \\d{1,3}\"'$";
        c.exists = true;
        break;
      default:
        c.exists = false;
    }
    return c;
  }

  Request request() {
    Request r;
    r.name = "r" + std::to_string(++requests_) + (coin() ? " with words" : "");
    r.op = name(20);
    r.args = map(3);
    r.timeout = duration();
    r.repeat = static_cast<unsigned>(number(1, 1000));
    r.expect_error = coin();
    if (r.expect_error && coin()) r.error_code = "bad-argument";
    if (coin()) r.expect.push_back({r.expect_error ? "message" : "result.a.0.b", condition()});
    if (coin()) r.expect.push_back({"status", condition()});
    return r;
  }

  Step step() {
    Step s;
    for (std::uint64_t n = coin() ? 1 : number(1, 4); n > 0; --n) s.requests.push_back(request());
    return s;
  }

  std::mt19937_64 engine_;
  unsigned requests_ = 0;
};

void forget_places(Scenario& scenario) {
  for (Step& step : scenario.steps) {
    for (Request& request : step.requests) request.line = 0;
  }
  for (Task& task : scenario.tasks) {
    if (task.program) task.program->place.clear();
  }
  for (Graph& graph : scenario.graphs) {
    for (Operator& op : graph.operators) op.parameters.place.clear();
  }
  for (Model& model : scenario.llm.models) model.place.clear();
}

void expect_round_trip(std::uint64_t seed) {
  const Scenario scenario = Generator(seed).scenario();
  const std::string yaml = to_yaml(scenario);
  auto again = load_text(yaml, "again.yaml");
  ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().message << '\n' << yaml;
  forget_places(*again);
  ASSERT_TRUE(*again == scenario) << "seed " << seed << '\n' << yaml << "\nbecame\n" << to_yaml(*again);
  ASSERT_EQ(to_yaml(*again), yaml) << "seed " << seed;
}

TEST(RoundTripTest, random_scenarios_survive) {
  if (const char* seed = std::getenv("SIS_SEED")) {
    expect_round_trip(std::strtoull(seed, nullptr, 10));
    return;
  }
  for (std::uint64_t seed = 1; seed <= 100 && !HasFatalFailure(); ++seed) expect_round_trip(seed);
}

}  // namespace
}  // namespace vmm::scenario
