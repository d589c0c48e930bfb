#include "vmm/observe/trace_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

namespace vmm::observe {
namespace {

using abi::trace::Record;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::uint16_t type_named(std::string_view name) {
  for (std::uint16_t type = 0; type < abi::trace::kTypes; ++type) {
    if (abi::trace::kDescriptions[type].name == name) return type;
  }
  ADD_FAILURE() << "no event " << name;
  return 0;
}

Record record(std::uint64_t time_ns, std::string_view type, std::uint32_t first = 0, std::uint64_t second = 0,
              std::uint64_t third = 0, std::uint16_t cpu = 0) {
  return {.time_ns = time_ns,
          .type = type_named(type),
          .cpu = cpu,
          .argument0 = first,
          .argument1 = second,
          .argument2 = third};
}

json event_of(const std::vector<Record>& records) {
  std::vector<std::uint8_t> bytes(records.size() * sizeof(Record));
  if (!records.empty()) std::memcpy(bytes.data(), records.data(), bytes.size());
  return {{"records", json::binary(std::move(bytes))}};
}

std::string text_of(const TraceFile& file) {
  std::string text;
  EXPECT_TRUE(file.write([&](std::string_view piece) {
    text += piece;
    return true;
  }));
  return text;
}

json write(const std::vector<Record>& records, TraceFile file = {}) {
  EXPECT_TRUE(file.records.take(event_of(records)));
  return json::parse(text_of(file));
}

/// The events of a phase, each with ts and dur as text of the file has them.
std::vector<json> events(const json& trace, std::string_view phase, int pid) {
  std::vector<json> found;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == phase && event["pid"] == pid) found.push_back(event);
  }
  return found;
}

TEST(TraceFileTest, threads_are_slices_and_interrupts_lie_in_them) {
  TraceFile file;
  file.names.take({{"threads", {{"7", "camera"}, {"8", "idle 0"}}}});
  const json trace = write({record(1000, "wake", 7), record(2000, "switch", 8, 7), record(2100, "irq-enter", 27),
                            record(2350, "irq-exit", 27), record(3001, "switch", 7, 8), record(4000, "wake", 7)},
                           file);
  const auto slices = events(trace, "X", 1);
  ASSERT_EQ(slices.size(), 4U);
  EXPECT_EQ(slices[0]["name"], "idle 0");
  EXPECT_EQ(slices[0]["ts"], 1.0);
  EXPECT_EQ(slices[0]["dur"], 1.0);
  EXPECT_EQ(slices[1]["name"], "interrupt 27");
  EXPECT_EQ(slices[1]["dur"], 0.25);
  EXPECT_EQ(slices[2]["name"], "camera");
  EXPECT_EQ(slices[2]["dur"], 1.001);
  EXPECT_EQ(slices[2]["args"]["thread"], 7);
  EXPECT_EQ(slices[3]["dur"], 0.999) << "what runs at the end is cut there";
  EXPECT_EQ(events(trace, "i", 1).at(0)["name"], "wake camera");
}

TEST(TraceFileTest, threads_that_rest_and_threads_that_are_not_known_are_told_apart) {
  const json trace = write({record(1000, "switch", 7, 0), record(2000, "switch", 0, 7), record(3000, "wake", 7),
                            record(3000, "wake", 7, 0, 0, 1)});
  const auto slices = events(trace, "X", 1);
  ASSERT_EQ(slices.size(), 4U);
  EXPECT_EQ(slices[1]["name"], "idle");
  EXPECT_EQ(slices[3]["name"], "?");
  EXPECT_EQ(slices[3]["tid"], 1);
  EXPECT_FALSE(slices[3].contains("args"));
}

TEST(TraceFileTest, times_are_exact) {
  TraceFile file;
  file.host_events.push_back({.track = "t", .name = "n", .begin_ns = -1'500'007, .end_ns = 0, .args = {{"a", 1}}});
  file.records.take(event_of({record(123'456'789'012'345, "wake")}));
  const std::string text = text_of(file);
  EXPECT_THAT(text, HasSubstr(R"("ts":123456789012.345)"));
  EXPECT_THAT(text, HasSubstr(R"("ts":-1500.007,"dur":1500.007,"args":{"a":1}})"));
}

TEST(TraceFileTest, operators_have_tracks_and_channels_have_counters) {
  TraceFile file;
  file.names.take(
      {{"graphs", {{"1", {{"name", "demo"}, {"operators", {{"5", {{"name", "camera"}, {"kind", "x"}}}}}}}}}});
  const json trace = write(
      {record(1000, "op-begin", 1, 5, 42), record(1500, "channel-send", 1, 9, 3), record(1600, "channel-drop", 1, 9, 3),
       record(2000, "op-end", 1, 5, 0, 1), record(2100, "op-begin", 1, 5, 43)},
      file);
  const auto slices = events(trace, "X", 2);
  ASSERT_EQ(slices.size(), 2U);
  EXPECT_EQ(slices[0]["name"], "camera");
  EXPECT_EQ(slices[0]["dur"], 1.0);
  EXPECT_EQ(slices[0]["args"], json({{"graph", 1}, {"operator", 5}, {"execution", 42}, {"cpu", 0}, {"failed", 0}}));
  EXPECT_EQ(slices[1]["args"]["unfinished"], 1);
  const auto counters = events(trace, "C", 2);
  ASSERT_EQ(counters.size(), 2U);
  EXPECT_EQ(counters[0]["name"], "demo channel 9");
  EXPECT_EQ(counters[0]["args"]["depth"], 3);
  EXPECT_EQ(events(trace, "i", 2).at(0)["name"], "channel-drop");
  bool named = false;
  for (const auto& event : events(trace, "M", 2)) named = named || event["args"]["name"] == "demo.camera";
  EXPECT_TRUE(named);
}

TEST(TraceFileTest, jobs_and_control_requests_overlap) {
  const json trace = write({record(1000, "control-begin", 3, 0x2'0000'0009, 60), record(1100, "npu-submit", 4, 77, 2),
                            record(2000, "npu-ran", 1, 77, 500), record(2000, "npu-end", 0, 77, 1234),
                            record(2500, "control-end", 1, 0x2'0000'0009)});
  const auto begins = events(trace, "b", 3);
  const auto ends = events(trace, "e", 3);
  ASSERT_EQ(begins.size(), 2U);
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_EQ(begins[0]["name"], "job");
  EXPECT_EQ(begins[1]["name"], "run");
  EXPECT_EQ(begins[1]["ts"], 1.5);
  EXPECT_EQ(ends[1]["args"], json({{"status", 0}, {"cycles", 1234}}));
  EXPECT_EQ(begins[0]["id"], ends[1]["id"]);
  EXPECT_EQ(events(trace, "b", 5).at(0)["args"], json({{"connection", 2}, {"request", 9}, {"bytes", 60}}));
  EXPECT_EQ(events(trace, "b", 5).at(0)["name"], "command 3");
  EXPECT_EQ(events(trace, "e", 5).at(0)["args"]["status"], 1);
}

TEST(TraceFileTest, what_overlaps_and_does_not_end_is_cut_at_the_end) {
  TraceFile file;
  file.names.take({{"ops", {{"3", "llminfer"}}}});
  const json trace =
      write({record(1000, "control-begin", 3, 9, 60), record(1100, "llm-submit", 0, 5, 8),
             record(1200, "npu-submit", 4, 77, 2), record(1300, "npu-submit", 4, 77, 2), record(9000, "wake", 1)},
            file);
  for (const int pid : {3, 4, 5}) {
    const auto ends = events(trace, "e", pid);
    ASSERT_EQ(ends.size(), events(trace, "b", pid).size()) << pid;
    EXPECT_EQ(ends.back()["ts"], 9.0);
    EXPECT_EQ(ends.back()["args"], json({{"unfinished", 1}}));
    EXPECT_EQ(ends.back()["id"], events(trace, "b", pid).back()["id"]);
  }
  EXPECT_EQ(events(trace, "e", 3)[0]["ts"], 1.3) << "of the job that is submitted again the end was lost";
  EXPECT_EQ(events(trace, "e", 5)[0]["name"], "llminfer");
  EXPECT_EQ(events(trace, "s", 1).size(), 1U);
  EXPECT_EQ(events(trace, "f", 1).at(0)["id"], events(trace, "s", 1).at(0)["id"]);
}

TEST(TraceFileTest, events_of_the_host_that_are_too_many_are_counted) {
  TraceFile file;
  file.host = {{"clock", {{"samples", json::array()}}}};
  file.host_events.resize(TraceFile::kMaxHostEvents + 3, {.track = "steps", .name = "ping", .args = json::object()});
  const json trace = write({}, file);
  EXPECT_EQ(events(trace, "X", 100).size(), TraceFile::kMaxHostEvents);
  EXPECT_EQ(trace["otherData"]["host"]["events_left_out"], 3);
}

TEST(TraceFileTest, events_without_their_beginning_are_counted) {
  const json trace =
      write({record(1, "irq-exit", 5), record(2, "op-end", 1, 1), record(3, "npu-end", 0, 1), record(4, "work-end")});
  EXPECT_EQ(trace["otherData"]["guest"]["unmatched"], 4);
}

TEST(TraceFileTest, losses_cut_what_was_open) {
  TraceFile file;
  file.records.take(event_of({record(1000, "switch", 1, 2), record(2000, "irq-enter", 5)}));
  json later = event_of({record(9000, "switch", 3, 4)});
  later["lost_by_cpu"] = {12};
  EXPECT_TRUE(file.records.take(later));
  const json trace = json::parse(text_of(file));
  const auto slices = events(trace, "X", 1);
  ASSERT_EQ(slices.size(), 5U);
  EXPECT_EQ(slices[1]["name"], "interrupt 5");
  EXPECT_EQ(slices[2]["name"], "thread 2");
  EXPECT_EQ(slices[2]["dur"], 1.0);
  EXPECT_EQ(slices[3]["name"], "thread 3");
  EXPECT_EQ(slices[3]["dur"], 0.0);
  EXPECT_EQ(events(trace, "i", 1).at(0)["args"]["events"], 12);
  EXPECT_EQ(trace["otherData"]["guest"]["lost_by_cpu"], json({12}));
}

TEST(TraceFileTest, size_is_bounded_and_the_file_stays_whole) {
  TraceFile file;
  file.max_bytes = 10'000;
  std::vector<Record> records;
  for (std::uint64_t i = 0; i < 1000; ++i) records.push_back(record(i, "wake", 7));
  file.records.take(event_of(records));
  const json trace = json::parse(text_of(file));
  const std::uint64_t written = events(trace, "i", 1).size();
  EXPECT_GT(written, 50U);
  EXPECT_EQ(trace["otherData"]["guest"]["left_out"], 1001 - written);
}

TEST(TraceFileTest, names_are_text_whatever_they_are) {
  TraceFile file;
  file.names.take({{"threads", {{"1", "a\"b\\\n\xc3\xa9"}, {"x", "no"}, {"2", 5}, {"3", std::string(100, 'a')}}}});
  const json trace = write({record(1, "wake", 1), record(1, "wake", 2), record(1, "wake", 3)}, file);
  EXPECT_EQ(events(trace, "i", 1).at(0)["name"], "wake a\"b\\\n\xc3\xa9");
  EXPECT_EQ(events(trace, "i", 1).at(1)["name"], "wake thread 2");
  EXPECT_EQ(events(trace, "i", 1).at(2)["name"], "wake thread 3");
}

TEST(TraceFileTest, same_records_are_the_same_text) {
  TraceFile file;
  file.machine = "m";
  file.scenario = "s";
  file.host = {{"clock", {{"samples", json::array()}}}};
  file.host_events.push_back({.track = "steps", .name = "ping", .begin_ns = 5, .end_ns = 9, .args = {{"op", "ping"}}});
  file.records.take(
      event_of({record(1, "switch", 1, 2), record(5, "irq-enter", 27), record(6, "irq-exit", 27),
                record(7, "op-begin", 1, 1, 1), record(8, "channel-send", 1, 1, 1), record(9, "channel-stall", 1, 1, 1),
                record(9, "op-end", 1, 1), record(9, "npu-submit", 1, 1, 1), record(10, "npu-ran", 0, 1, 1),
                record(11, "npu-end", 0, 1, 1), record(11, "work-begin", 0, 1), record(12, "work-end", 0, 1),
                record(13, "control-begin", 1, 1, 1), record(14, "control-end", 0, 1)}));
  EXPECT_EQ(text_of(file), text_of(file));
  // For the validator, which holds it against the schema.
  if (const char* path = std::getenv("SIS_TRACE_EXAMPLE")) std::ofstream(path, std::ios::binary) << text_of(file);
}

TEST(TraceFileTest, sink_that_is_full_ends_it) {
  EXPECT_FALSE(TraceFile{}.write([](std::string_view) { return false; }));
}

std::vector<std::uint64_t> times(const TraceRecords& records) {
  std::vector<std::uint64_t> found;
  records.for_each([&](const Record& each) { found.push_back(each.time_ns); });
  return found;
}

TEST(TraceRecordsTest, newest_are_kept) {
  TraceRecords records(4, 2);
  for (std::uint64_t i = 0; i < 9; ++i) records.take(event_of({record(i, "wake")}));
  EXPECT_THAT(times(records), ElementsAre(6, 7, 8));
  EXPECT_EQ(records.dropped(), 6U);
  EXPECT_EQ(records.size(), 3U);
}

TEST(TraceRecordsTest, what_is_told_again_after_a_lost_connection_is_taken_once) {
  TraceRecords records;
  records.take(event_of({record(5, "wake"), record(5, "block"), record(7, "wake", 0, 0, 0, 1)}));
  records.resume();
  records.take(event_of({record(5, "wake"), record(5, "block"), record(6, "wake"), record(6, "block"),
                         record(7, "wake", 0, 0, 0, 1), record(8, "wake", 0, 0, 0, 1)}));
  EXPECT_THAT(times(records), ElementsAre(5, 5, 7, 6, 6, 8));
}

TEST(TraceRecordsTest, what_a_guest_may_not_send_is_refused_or_counted) {
  TraceRecords records;
  EXPECT_FALSE(records.take(json::array()));
  EXPECT_FALSE(records.take({{"records", "text"}}));
  EXPECT_FALSE(records.take({{"records", json::binary(std::vector<std::uint8_t>(33))}}));
  Record bad_type = record(1, "wake");
  bad_type.type = TraceRecords::kGap;
  Record bad_cpu = record(1, "wake");
  bad_cpu.cpu = TraceRecords::kMaxCpus;
  EXPECT_TRUE(records.take(event_of({bad_type, bad_cpu, record(1, "wake")})));
  EXPECT_EQ(records.malformed(), 2U);
  EXPECT_EQ(records.size(), 1U);
}

}  // namespace
}  // namespace vmm::observe
