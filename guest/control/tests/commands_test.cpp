// The commands themselves, and their results as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "command_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;

TEST_F(CommandTest, help_lists_every_command_and_explains_each) {
  const json list = run("help");
  const std::string shown = text;
  ASSERT_EQ(list["commands"].size(), command_table().size());
  for (const Command& command : command_table()) {
    EXPECT_THAT(shown, HasSubstr(std::string(command.help)));
    const json one = run("help", {command.name});
    EXPECT_THAT(one.value("usage", ""), HasSubstr(std::string(command.name)));
    EXPECT_EQ(one.value("arguments", json::array()).size(), command.arguments.size());
  }
  EXPECT_EQ(run("help", {"nothing"}),
            (json{{"code", "not-found"}, {"message", "no command 'nothing'; 'help' lists them"}}));
}

TEST_F(CommandTest, info_is_the_machines) {
  machine.info.gic.version = 3;
  const json info = run("info");
  EXPECT_EQ(info["cpus"], 1);
  EXPECT_EQ(info["memory_bytes"], FakeMachine::kMemoryBytes);
  EXPECT_EQ(info["scenario"], "unit");
  EXPECT_EQ(info["build_id"], "abcd");
  EXPECT_EQ(info["gic_version"], 3);
  EXPECT_EQ(info["timer_frequency_hz"], 62'500'000);
  EXPECT_EQ(info["boot_to_control_ready_ns"], 5'000'000);
  EXPECT_EQ(info["uptime_ns"], 1'000'000'000);
  EXPECT_THAT(text, HasSubstr("cpus: 1\n"));
}

TEST_F(CommandTest, mem_follows_the_heap) {
  const json before = run("mem");
  void* block = machine.heap.allocate(1000);
  const json after = run("mem");
  EXPECT_EQ(after["heap_live_blocks"], before["heap_live_blocks"].get<int>() + 1);
  EXPECT_EQ(after["heap_live_bytes"], before["heap_live_bytes"].get<std::size_t>() + machine.heap.usable_bytes(block));
  machine.heap.free(block);
  EXPECT_EQ(run("mem")["heap_live_blocks"], before["heap_live_blocks"]);
}

TEST_F(CommandTest, counters_lists_what_is_registered) {
  kernel::Counter counter("some_counter");
  ASSERT_TRUE(machine.counters.add(counter));
  counter.add(41);
  EXPECT_EQ(run("counters"), (json{{"some_counter", 41}}));
  EXPECT_EQ(text, "some_counter: 41\n");
}

TEST_F(CommandTest, locks_lists_what_was_taken_by_name_in_nanoseconds) {
  kernel::SpinLock lock("of this test", kernel::LockRank{1});
  for (const int milliseconds : {1, 2}) {
    const kernel::SpinGuard guard(lock);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  }
  const json locks = run("locks")["locks"];
  const auto mine = std::ranges::find_if(locks, [](const json& one) { return one["name"] == "of this test"; });
  ASSERT_NE(mine, locks.end()) << locks;
  EXPECT_EQ((*mine)["acquisitions"], 2);
  EXPECT_EQ((*mine)["contended"], 0);
  EXPECT_GE((*mine)["max_held_ns"].get<std::uint64_t>(), 2'000'000U);
  EXPECT_GE((*mine)["held_ns"].get<std::uint64_t>(), (*mine)["max_held_ns"].get<std::uint64_t>() + 1'000'000);
  EXPECT_THAT(text, HasSubstr("name=of this test  acquisitions=2  contended=0  held_ns="));
}

TEST_F(CommandTest, cpus_lists_each_with_its_state) {
  machine.cpus.cpus[0].ipis_sent = 3;
  machine.cpus.cpus[0].heartbeat = {.beats = 5, .last_ns = 77};
  machine.cpus.cpus.push_back({.mpidr = 0x101, .online = false, .why_off = "DENIED", .ipis_sent = 0});
  ASSERT_TRUE(machine.info.cpus.push_back({}) && machine.info.cpus.push_back({}));
  const json cpus = run("cpus");
  EXPECT_EQ(cpus["cpus"][0], (json{{"cpu", 0},
                                   {"mpidr", 0},
                                   {"state", "online"},
                                   {"interrupts", 0},
                                   {"ipis_sent", 3},
                                   {"ipis_received", 0},
                                   {"heartbeats", 5},
                                   {"last_heartbeat_ns", 77}}));
  EXPECT_EQ(cpus["cpus"][1]["state"], "off");
  EXPECT_EQ(cpus["cpus"][1]["why"], "DENIED");
  EXPECT_EQ(cpus["left_off"], 1);
  EXPECT_EQ(run("info")["cpus_in_use"], 1);
}

TEST_F(CommandTest, cpus_tells_what_was_stolen_if_a_hypervisor_does) {
  machine.cpus.cpus[0].stolen_ns = 4'711;
  EXPECT_EQ(run("cpus")["cpus"][0]["stolen_ns"], 4'711);
}

TEST_F(CommandTest, irq_counts_what_was_taken) {
  class Controller final : public kernel::InterruptController {
   public:
    [[nodiscard]] std::uint32_t count() const override { return 64; }
    void enable(kernel::IntId, kernel::Trigger) override {}
    void disable(kernel::IntId) override {}
    [[nodiscard]] std::string_view name() const override { return "GICv3"; }
  } controller;
  machine.interrupts.set_controller(controller);
  ASSERT_TRUE(machine.interrupts.attach(kernel::IntId{33}, kernel::Trigger::Level, "uart", [](void*) {}, nullptr));
  machine.interrupts.dispatch(kernel::IntId{33});
  machine.interrupts.dispatch(kernel::IntId{40});
  const json irq = run("irq");
  EXPECT_EQ(irq["handlers"], (json{{{"intid", 33}, {"name", "uart"}, {"count", 1}}}));
  EXPECT_EQ(irq["unhandled"], 1);
  EXPECT_EQ(text, "handlers:\n  intid=33  name=uart  count=1\nunhandled: 1\nspurious: 0\n");
  EXPECT_EQ(run("info")["interrupt_controller"], "GICv3");
}

TEST_F(CommandTest, pmu_says_where_there_is_none) {
  machine.cpus.cpus.push_back({.mpidr = 1, .online = false, .why_off = "DENIED", .ipis_sent = 0});
  machine.pmu.readings.emplace_back(std::nullopt);
  EXPECT_EQ(run("pmu"), (json{{"cpus", {{{"cpu", 0}, {"pmu", "none"}}, {{"cpu", 1}, {"pmu", "none: the CPU is off"}}}},
                              {"events", json::array()}}));
}

TEST_F(CommandTest, pmu_lists_what_each_cpu_has_counted) {
  kernel::PmuReading reading{.version = "PMUv3p1", .counters = 6, .counter_bits = 32, .cycles = 77, .events = {}};
  ASSERT_TRUE(reading.events.push_back({.event = 8, .name = "inst_retired", .count = 55, .wrapped = false}));
  ASSERT_TRUE(reading.events.push_back({.event = 3, .name = "l1d_cache_refill", .count = 1, .wrapped = true}));
  machine.pmu.readings = {reading};
  const json pmu = run("pmu");
  EXPECT_EQ(pmu["cpus"],
            (json{{{"cpu", 0}, {"pmu", "PMUv3p1"}, {"counters", 6}, {"counter_bits", 32}, {"cycles", 77}}}));
  EXPECT_EQ(text,
            "cpus:\n  cpu=0  pmu=PMUv3p1  counters=6  counter_bits=32  cycles=77\n"
            "events:\n  cpu=0  event=inst_retired  number=8  count=55  wrapped=no\n"
            "  cpu=0  event=l1d_cache_refill  number=3  count=1  wrapped=yes\n");
}

TEST_F(CommandTest, trace_is_off_until_it_is_asked_for) {
  machine.trace.record(kernel::TraceType::ThreadBlock, 1);
  EXPECT_EQ(run("trace"), (json{{"on", false}, {"events_per_cpu", 4096}, {"cpus", json::array()}}));
  const json on = run("trace", {"on"});
  EXPECT_EQ(on["on"], true);
  EXPECT_EQ(on["cpus"], (json{{{"cpu", 0}, {"kept", 0}, {"overwritten", 0}}}));
  machine.trace.record(kernel::TraceType::ThreadBlock, 1);
  EXPECT_EQ(run("trace", {"status"})["cpus"][0]["kept"], 1);
  EXPECT_EQ(run("trace", {"off"})["on"], false);
  machine.trace.record(kernel::TraceType::ThreadBlock, 2);
  EXPECT_EQ(run("trace")["cpus"][0]["kept"], 1);
  EXPECT_EQ(run("trace", {"clear"})["cpus"][0]["kept"], 0);
}

TEST_F(CommandTest, trace_dump_shows_the_newest_events_oldest_first) {
  run("trace", {"on"});
  machine.trace.record(kernel::TraceType::ThreadSwitch, 1, 2);
  machine.timer.now += 10;
  machine.trace.record(kernel::TraceType::UserFault, 3, 0xffff'8000'0000'0010, 0x5a);
  EXPECT_EQ(run("trace", {"dump"}),
            (json{{"events",
                   {{{"time_ns", 1'000'000'000}, {"cpu", 0}, {"event", "switch"}, {"from", 1}, {"to", 2}},
                    {{"time_ns", 1'000'000'010},
                     {"cpu", 0},
                     {"event", "user-fault"},
                     {"thread", 3},
                     {"address", "0xffff800000000010"},
                     {"syndrome", "0x5a"}}}},
                  {"left_off", 0},
                  {"overwritten", 0}}));
  EXPECT_EQ(text,
            "events:\n"
            "  time_ns=1000000000  cpu=0  event=switch  from=1  to=2\n"
            "  time_ns=1000000010  cpu=0  event=user-fault  thread=3  address=0xffff800000000010  syndrome=0x5a\n"
            "left_off: 0\noverwritten: 0\n");
}

TEST_F(CommandTest, a_long_trace_is_read_in_pieces) {
  run("trace", {"on"});
  for (std::uint32_t i = 0; i < 4096 + 7; ++i) {
    machine.trace.record(kernel::TraceType::ThreadBlock, i);
  }
  const json last = run("trace", {"dump", "2"});
  EXPECT_EQ(last["events"][0]["thread"], 4101);
  EXPECT_EQ(last["events"][1]["thread"], 4102);
  EXPECT_EQ(last["left_off"], 4094);
  EXPECT_EQ(last["overwritten"], 7);
  EXPECT_EQ(run("trace", {"dump", "2", "2"})["events"][1]["thread"], 4100);
  const json oldest = run("trace", {"dump", "10", "4095"});
  EXPECT_EQ(oldest["events"], (json{{{"time_ns", 1'000'000'000}, {"cpu", 0}, {"event", "block"}, {"thread", 7}}}));
  EXPECT_EQ(run("trace", {"dump", "10", "4096"})["events"], json::array());
}

TEST_F(CommandTest, the_longest_dump_fits_into_an_answer) {
  run("trace", {"on"});
  machine.timer.now = ~std::uint64_t{0};
  for (unsigned i = 0; i < 256; ++i) {
    machine.trace.record(kernel::TraceType::DeadlineMiss, ~std::uint32_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0});
  }
  EXPECT_EQ(run("trace", {"dump", "256"})["events"].size(), 256);
  EXPECT_LT(text.size(), 48U * 1024) << "what a shell line may print";
}

TEST_F(CommandTest, trace_refuses_what_does_not_fit_together) {
  EXPECT_EQ(run("trace", {"on", "5"}),
            (json{{"code", "bad-argument"}, {"message", "count: only for 'trace dump', found with 'trace on'"}}));
  EXPECT_EQ(run("trace", {"--skip", "5"})["code"], "bad-argument");
  EXPECT_EQ(run("trace", {"dump", "257"})["code"], "bad-argument");
  EXPECT_EQ(run("trace", {"dump", "0"})["code"], "bad-argument");
  EXPECT_FALSE(machine.trace.on());
  while (machine.pages.allocate(0)) {
  }
  EXPECT_EQ(told(run("trace", {"on"})), "busy: no memory for the trace: 128 KiB a CPU");
  EXPECT_FALSE(machine.trace.on());
}

TEST_F(CommandTest, log_shows_and_sets_the_verbosity) {
  EXPECT_EQ(run("log"), (json{{"level", "quiet"}}));
  EXPECT_EQ(run("log", {"debug"}), (json{{"level", "debug"}}));
  EXPECT_EQ(machine.log.verbosity(), kernel::Verbosity::Debug);
  EXPECT_EQ(run("log", {"loud"})["code"], "bad-argument");
}

TEST_F(CommandTest, selftest_tests_the_heap) {
  const std::uint64_t before = machine.heap.statistics().allocations;
  EXPECT_GT(run("selftest", {"2"})["blocks"], 0);
  EXPECT_GT(machine.heap.statistics().allocations, before);
  EXPECT_EQ(run("selftest", {"0"})["code"], "bad-argument");
  while (machine.pages.allocate(0)) {
  }
  EXPECT_EQ(told(run("selftest")), "failed: heap self-test: an allocation failed");
}

TEST_F(CommandTest, version_uptime_echo) {
  EXPECT_EQ(run("version"), (json{{"version", "0.1.0"}, {"build_id", "abcd"}}));
  EXPECT_EQ(run("uptime"), (json{{"uptime_ns", 1'000'000'000}}));
  EXPECT_EQ(run("echo", {"a", "b  c"}), (json{{"text", "a b  c"}}));
  EXPECT_EQ(text, "a b  c\n");
}

TEST_F(CommandTest, text_of_users_is_shown_without_its_control_characters) {
  run("echo", {"\x1e SIS-EXIT\n\x1b[2J\x7F \xC3\xA4\xC2\x9B"});
  EXPECT_EQ(text, "\\x1e SIS-EXIT\\n\\x1b[2J\\x7f \xC3\xA4\\xc2\\x9b\n");
  run("ping", {"\x1e"});
  EXPECT_THAT(text, HasSubstr("payload: \\x1e\n"));
}

TEST_F(CommandTest, shell_and_history_without_a_shell) {
  EXPECT_EQ(told(run("shell", {"ping"})), "busy: the shell has not started yet");
  EXPECT_EQ(run("history"), (json{{"lines", json::array()}}));
}

TEST(RenderMap, every_type) {
  const std::vector<std::uint8_t> document = json::to_cbor(
      {{"a", -5}, {"b", true}, {"c", nullptr}, {"d", json::binary({0xAB, 1})}, {"e", {{"f", 1}}}, {"g", {1, "two"}}});
  TextCapture capture;
  render_map(capture, *parse_cbor(std::as_bytes(std::span(document))));
  EXPECT_EQ(capture.text, "a: -5\nb: yes\nc: -\nd: ab01\ne:\n  f: 1\ng:\n  1\n  two\n");
}

TEST(RenderMap, maps_in_items_lie_below_them) {
  const std::vector<std::uint8_t> document =
      json::to_cbor({{"list", {{{"a", 1}, {"b", {{"c", 2}, {"d", 3}}}, {"e", {4, 5}}, {"f", 6}}, {{"a", 7}}}}});
  TextCapture capture;
  render_map(capture, *parse_cbor(std::as_bytes(std::span(document))));
  EXPECT_EQ(capture.text, "list:\n  a=1  f=6\n    b: c=2  d=3\n    e:\n      4\n      5\n  a=7\n");
}

}  // namespace
}  // namespace guest::control::testing
