#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/top_figures.hpp"
#include "tools/top_keys.hpp"
#include "tools/top_view.hpp"

namespace sisctl {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// As it comes from the guest: numbers without a sign are that.
json received(const json& value) { return json::from_cbor(json::to_cbor(value)); }

/// A guest with one of everything, that has run for so many seconds and does so much in each.
TopSample sample_at(std::uint64_t seconds) {
  TopSample sample{.uptime_ns = seconds * 1'000'000'000, .cpus = {}, .sched = {}, .graphs = {}};
  sample.cpus = {
      {"cpus",
       {{{"cpu", 0}, {"state", "online"}, {"interrupts", 50 * seconds}, {"stolen_ns", 100'000'000 * seconds}}}}};
  sample.sched = {{"servers",
                   {{{"name", "camera"},
                     {"id", 3},
                     {"cpu", 0},
                     {"state", "ready"},
                     {"budget_ns", 2'000'000},
                     {"period_ns", 10'000'000},
                     {"ran_ns", 100'000'000 * seconds},
                     {"misses", 2},
                     {"overruns", 0},
                     {"throttles", 7},
                     {"response", {{"count", 100}, {"p99_ns", 5000}}}}}}};
  sample.graphs.push_back({{"graph", "demo"},
                           {"operators",
                            {{{"id", 1},
                              {"name", "source"},
                              {"cpu", 0},
                              {"executions", 20 * seconds},
                              {"overruns", 1},
                              {"failures", 0},
                              {"execution_time", {{"count", 20 * seconds}, {"p50_ns", 1500}}}}}},
                           {"channels",
                            {{{"id", 9},
                              {"capacity", 8},
                              {"depth", 4},
                              {"high_water", 8},
                              {"sent", 20 * seconds},
                              {"stalls", 3},
                              {"dropped_oldest", 1},
                              {"dropped_newest", 2}}}}});
  sample.cpus = received(sample.cpus);
  sample.sched = received(sample.sched);
  sample.graphs[0] = received(sample.graphs[0]);
  return sample;
}

const json kTop =
    received({{"interval_ns", 1'000'000'000},
              {"cpus", {{{"cpu", 0}, {"busy_permille", 420}}}},
              {"threads", {{{"id", 5}, {"name", "shell"}, {"cpu", 0}, {"ran_ns", 1}, {"permille", 123}}}}});

TopFigures some_figures() { return figures_of(sample_at(10), kTop, sample_at(12)); }

std::string text_of(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += plain(line) + "\n";
  return text;
}

TEST(TopFigures, rates_are_of_the_guest_s_own_time) {
  const TopFigures figures = some_figures();
  EXPECT_EQ(figures.interval_ns, 2'000'000'000);
  EXPECT_DOUBLE_EQ(figures.cpus.at(0).interrupts_per_s, 50);
  EXPECT_EQ(figures.cpus[0].busy_permille, 420);
  EXPECT_EQ(figures.cpus[0].stolen_permille, 100);
  // It had 100 ms in each second, of the 200 ms that 2 ms in each 10 ms are.
  EXPECT_DOUBLE_EQ(figures.servers.at(0).budget_permille, 500);
  EXPECT_EQ(figures.servers[0].misses, 2);
  EXPECT_EQ(figures.servers[0].p99_ns, 5000);
  EXPECT_DOUBLE_EQ(figures.operators.at(0).runs_per_s, 20);
  EXPECT_EQ(figures.operators[0].p99_ns, std::nullopt);
  EXPECT_DOUBLE_EQ(figures.channels.at(0).sent_per_s, 20);
  EXPECT_EQ(figures.channels[0].drops, 3);
  EXPECT_EQ(figures.threads.at(0).name, "shell");
}

TEST(TopFigures, a_count_that_began_anew_is_not_taken_for_a_large_one) {
  const TopFigures figures = figures_of(sample_at(10), kTop, [] {
    TopSample sample = sample_at(12);
    sample.graphs[0]["operators"][0]["executions"] = 4U;
    return sample;
  }());
  EXPECT_DOUBLE_EQ(figures.operators.at(0).runs_per_s, 2);
}

TEST(TopFigures, a_graph_that_is_new_counts_from_its_begin) {
  TopSample before = sample_at(10);
  before.graphs.clear();
  EXPECT_DOUBLE_EQ(figures_of(before, kTop, sample_at(12)).operators.at(0).runs_per_s, 120);
}

TEST(TopFigures, replies_of_any_form_do_no_harm) {
  for (const json& odd : {json(), json(5), json::array({1, "x", nullptr}), json{{"cpus", 7}, {"servers", "x"}},
                          json{{"cpus", {1, json::object()}}, {"servers", {json{{"name", 1}}}}, {"threads", {2}}}}) {
    const TopSample sample{.uptime_ns = 1, .cpus = odd, .sched = odd, .graphs = {odd}};
    const TopFigures figures = figures_of(sample, odd, sample);
    EXPECT_FALSE(text_of(lines_of(figures, View::All)).empty());
    EXPECT_TRUE(json_of(figures).is_object());
  }
}

TEST(TopView, all_is_there_in_one_picture) {
  const std::string text = text_of(lines_of(some_figures(), View::All));
  EXPECT_THAT(text, HasSubstr("CPU  BUSY             %  IRQ/S  STOLEN%\n0    [####......]  42.0   50.0     10.0\n"));
  EXPECT_THAT(text, HasSubstr("camera  ready  [#####.....]  50.0    0   100  5.000 us       2         0          7\n"));
  EXPECT_THAT(text, HasSubstr("demo   source      0    20.0   240  1.500 us    -         1         0\n"));
  EXPECT_THAT(text, HasSubstr("demo   [#####.....]        9    4     8     8    20.0       3      3\n"));
  EXPECT_THAT(text, HasSubstr("shell    5    0  12.3\n"));
}

TEST(TopView, a_view_has_the_cpus_and_its_own) {
  const std::string text = text_of(lines_of(some_figures(), View::Channels));
  EXPECT_THAT(text, AllOf(HasSubstr("BUSY"), HasSubstr("STALLS"), Not(HasSubstr("camera")), Not(HasSubstr("shell"))));
  EXPECT_THAT(text_of(lines_of(TopFigures{}, View::Servers)), HasSubstr("no servers\n"));
}

TEST(TopView, names_of_the_guest_cannot_drive_the_terminal) {
  TopFigures figures = some_figures();
  figures.servers[0].name = "\x1b[2J\nevil\x7f\xc2\x9bx";
  figures.threads[0].name = std::string(100, 'n');
  const std::string text = text_of(lines_of(figures, View::All));
  EXPECT_THAT(text, HasSubstr("?[2J?evil???x"));
  EXPECT_EQ(text.find_first_of("\x1b\x7f\x9b"), std::string::npos);
  EXPECT_THAT(text, HasSubstr(std::string(31, 'n') + "~ "));
}

TEST(TopView, a_line_is_cut_to_the_columns_that_there_are) {
  const Line line = {{.text = "abc", .style = Style::Bad}, {.text = "def"}};
  EXPECT_EQ(painted(line, 100, true), "\x1b[31mabc\x1b[mdef");
  EXPECT_EQ(painted(line, 4, true), "\x1b[31mabc\x1b[md");
  EXPECT_EQ(painted(line, 2, false), "ab");
}

/// What a terminal of that size would show; fails if something goes beyond it.
std::vector<std::string> shown(const std::string& bytes, std::size_t columns, std::size_t rows) {
  std::vector<std::string> screen(rows);
  std::size_t row = 0;
  std::size_t column = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\x1b') {
      const std::size_t end = bytes.find_first_of("HJKm", i);
      if (bytes[end] == 'H') row = end == i + 2 ? 0 : std::stoul(bytes.substr(i + 2)) - 1;
      if (bytes[end] == 'H') column = 0;
      if (bytes[end] == 'K') screen.at(row).resize(column);
      if (bytes[end] == 'J') {
        for (std::size_t below = row; below < rows; ++below) screen[below].resize(below == row ? column : 0);
      }
      i = end;
    } else if (bytes[i] == '\r') {
      column = 0;
    } else if (bytes[i] == '\n') {
      ++row;
      EXPECT_LT(row, rows);
    } else {
      EXPECT_LT(column, columns);
      screen.at(row).resize(std::max(screen[row].size(), ++column), ' ');
      screen[row][column - 1] = bytes[i];
    }
  }
  return screen;
}

TEST(TopScreen, every_size_is_filled_and_not_more) {
  const std::vector<Line> lines = lines_of(some_figures(), View::All);
  for (const std::size_t columns : {1U, 20U, 39U, 40U, 80U, 300U}) {
    for (const std::size_t rows : {1U, 2U, 4U, 5U, 6U, 24U, 100U}) {
      const Screen screen{.columns = columns, .rows = rows, .colour = true};
      const auto rows_shown = shown(draw(screen, "m", View::All, {.text = "up"}, lines, 0), columns, rows);
      if (columns < kMinColumns || rows < kMinRows) {
        EXPECT_THAT(rows_shown[0] + " ", ::testing::StartsWith(std::string("too small").substr(0, columns)));
      } else {
        EXPECT_THAT(rows_shown[0], HasSubstr(" m  up"));
        EXPECT_THAT(rows_shown.back(), ::testing::StartsWith("q ends"));
      }
    }
  }
}

TEST(TopScreen, what_does_not_fit_can_be_scrolled_to) {
  std::vector<Line> lines;
  for (int i = 1; i <= 10; ++i) lines.push_back({{.text = "line " + std::to_string(i)}});
  const Screen screen{.columns = 100, .rows = 6, .colour = false};
  EXPECT_EQ(last_first(lines.size(), screen), 6);
  EXPECT_EQ(last_first(3, screen), 0);
  // Too far is as far as it goes.
  const auto rows = shown(draw(screen, "m", View::All, {}, lines, 1000), 100, 6);
  EXPECT_EQ(rows[1], "line 7");
  EXPECT_EQ(rows[4], "line 10");
  EXPECT_THAT(rows[5], HasSubstr("lines 7 to 10 of 10"));
}

std::vector<Key::Kind> kinds(const std::vector<Key>& keys) {
  std::vector<Key::Kind> kinds;
  for (const Key& key : keys) kinds.push_back(key.kind);
  return kinds;
}

TEST(TopKeys, letters_digits_and_control_characters) {
  using Kind = Key::Kind;
  const auto keys = KeyReader().feed(
      "q3x\x03\x1a"
      "6");
  EXPECT_THAT(kinds(keys), ElementsAre(Kind::Quit, Kind::Show, Kind::Interrupt, Kind::Suspend));
  EXPECT_EQ(keys[1].view, View::Operators);
}

TEST(TopKeys, arrows_come_in_any_pieces_and_unknown_sequences_are_nothing) {
  using Kind = Key::Kind;
  KeyReader reader;
  EXPECT_THAT(kinds(reader.feed("\x1b[A\x1bOB\x1b[5~\x1b[99;5q\x1b[1;5Cq")),
              ElementsAre(Kind::Up, Kind::Down, Kind::PageUp, Kind::Quit));
  EXPECT_TRUE(reader.feed("\x1b").empty());
  EXPECT_TRUE(reader.feed("[").empty());
  EXPECT_THAT(kinds(reader.feed("C")), ElementsAre(Kind::Right));
  // Alt-q, and a sequence that Ctrl-C ends.
  EXPECT_TRUE(reader.feed("\x1bq").empty());
  EXPECT_THAT(kinds(reader.feed("\x1b[\x03")), ElementsAre(Kind::Interrupt));
}

}  // namespace
}  // namespace sisctl
