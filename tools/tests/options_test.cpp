#include "tools/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sisctl {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

Parsed parse(std::vector<const char*> words) {
  words.insert(words.begin(), "sisctl");
  return parse_options(static_cast<int>(words.size()), words.data());
}

/// The message of a command line that must be refused.
std::string usage_of(const std::vector<const char*>& words) {
  const auto parsed = parse(words);
  EXPECT_FALSE(parsed.run);
  EXPECT_EQ(parsed.exit_code, ExitCode::Usage);
  return parsed.text;
}

TEST(Options, defaults_are_those_of_the_help) {
  const auto parsed = parse({"ping"});
  ASSERT_TRUE(parsed.run) << parsed.text;
  EXPECT_EQ(parsed.options.timeout, 10s);
  EXPECT_FALSE(parsed.options.json);
  EXPECT_EQ(std::get<Ping>(parsed.options.command).count, 1u);
}

TEST(Options, global_ones_are_taken_before_and_after_the_command) {
  for (const auto& words :
       {std::vector<const char*>{"--json", "--machine", "x", "--timeout", "250ms", "ping", "-n", "3"},
        std::vector<const char*>{"ping", "-n", "3", "--json", "-m", "x", "--timeout=250ms"}}) {
    const auto parsed = parse(words);
    ASSERT_TRUE(parsed.run) << parsed.text;
    EXPECT_TRUE(parsed.options.json);
    EXPECT_EQ(parsed.options.machine, "x");
    EXPECT_EQ(parsed.options.timeout, 250ms);
    EXPECT_EQ(std::get<Ping>(parsed.options.command).count, 3u);
  }
}

TEST(Options, snapshot_waits_longer_unless_told) {
  const auto parsed = parse({"snapshot", "f"});
  ASSERT_TRUE(parsed.run) << parsed.text;
  EXPECT_EQ(std::get<Snapshot>(parsed.options.command).folder, "f");
  EXPECT_EQ(parsed.options.timeout, 10min);
  EXPECT_EQ(parse({"snapshot", "f", "--timeout", "1"}).options.timeout, 1s);
  EXPECT_THAT(usage_of({"snapshot"}), HasSubstr("FOLDER"));
}

TEST(Options, shell_takes_one_word_as_the_line_and_quotes_several) {
  const auto line = [](const std::vector<const char*>& words) {
    const auto parsed = parse(words);
    return parsed.run ? std::get<Shell>(parsed.options.command).line : parsed.text;
  };
  EXPECT_EQ(line({"shell", "echo 'a  b'; mem"}), "echo 'a  b'; mem");
  EXPECT_EQ(line({"shell", "echo", "a  b", "c;d"}), "echo 'a  b' 'c;d'");
  EXPECT_EQ(line({"shell", "--", "echo", "--"}), "echo --");
  EXPECT_EQ(line({"shell", "echo", "--json", "-n", "ping", "--help"}), "echo --json -n ping --help");
}

TEST(Options, call_takes_an_object_of_arguments) {
  const auto parsed = parse({"call", "ping", "--args", R"({"payload": "x"})"});
  ASSERT_TRUE(parsed.run) << parsed.text;
  const auto& call = std::get<Call>(parsed.options.command);
  EXPECT_EQ(call.op, "ping");
  EXPECT_EQ(call.args, nlohmann::json({{"payload", "x"}}));
}

TEST(Options, help_and_version_are_no_errors) {
  EXPECT_EQ(parse({"--help"}).exit_code, ExitCode::Ok);
  EXPECT_THAT(parse({"--help"}).text, HasSubstr("Exit status:"));
  EXPECT_THAT(parse({"ping", "--help"}).text, HasSubstr("--payload"));
  EXPECT_THAT(parse({"shell", "--help"}).text, HasSubstr("shell COMMAND"));
  EXPECT_THAT(parse({"sched", "-h"}).text, HasSubstr("servers and tasks"));
  EXPECT_THAT(parse({"--version"}).text, StartsWith("sisctl "));
}

TEST(Options, wrong_ones_are_named) {
  EXPECT_THAT(
      usage_of({}),
      HasSubstr("a command is missing, allowed: ping, info, shell, shutdown, top, call, batch, "
                "metrics, snapshot, ai_bench, ask, audit, bench, counters, cpus, ctladmin, ctlembed, ctlhex, "
                "ctlkey, ctlsubmit, det, graph, histograms, infdemo, irq, llm, mem, mldemo, npu, npudemo, pmu, ps, "
                "sched, token, trace, watch, ls\n"));
  EXPECT_THAT(usage_of({"frob"}), HasSubstr("unknown command 'frob', allowed: ping"));
  EXPECT_THAT(usage_of({"ping", "-n", "0"}), HasSubstr("--count: Value 0 not in range 1 to 100000000"));
  EXPECT_THAT(usage_of({"ping", "-n", "x"}), HasSubstr("--count: Value x"));
  EXPECT_THAT(usage_of({"ping", "more"}), HasSubstr("more"));
  EXPECT_THAT(usage_of({"ping", "--frob"}), HasSubstr("--frob"));
  EXPECT_THAT(usage_of({"ping", "info"}), HasSubstr("info"));
  EXPECT_THAT(usage_of({"shutdown", "--code", "256"}), HasSubstr("--code: Value 256 not in range 0 to 255"));
  EXPECT_THAT(usage_of({"shutdown", "--code", "-1"}), HasSubstr("--code"));
  EXPECT_THAT(usage_of({"shell"}), HasSubstr("COMMAND is missing"));
  EXPECT_THAT(usage_of({"call"}), HasSubstr("OP is required"));
  EXPECT_THAT(usage_of({"call", "ping", "--args", "{no"}), HasSubstr("'{no': not JSON"));
  EXPECT_THAT(usage_of({"call", "ping", "--args", "[1]"}), HasSubstr("expected a JSON object"));
  EXPECT_THAT(usage_of({"call", "det", "--args", R"({"budget_us": 1.5})"}),
              HasSubstr("--args: budget_us is 1.5, allowed: integers of up to 64 bits"));
  EXPECT_THAT(usage_of({"call", "det", "--args", R"({"a": [1, {"b": 18446744073709551616}]})"}),
              HasSubstr("--args: a.1.b is 1.8446744073709552e+19, allowed"));
  EXPECT_THAT(usage_of({"--machine", "a", "--socket", "b", "ls"}), HasSubstr("excludes"));
  EXPECT_THAT(usage_of({"--key", "a", "--token", "b", "ls"}), HasSubstr("excludes"));
  EXPECT_THAT(usage_of({"--machine", "", "ls"}), HasSubstr("--machine"));
  EXPECT_THAT(usage_of({"--timeout", "soon", "ls"}), HasSubstr("--timeout: found 'soon', allowed: a time such as"));
}

TEST(ParseTime, units_and_limits) {
  const auto time = [](const char* text) {
    std::chrono::milliseconds out{-1};
    return parse_time(text, out) ? out : -1ms;
  };
  EXPECT_EQ(time("10"), 10s);
  EXPECT_EQ(time("0.5"), 500ms);
  EXPECT_EQ(time(".5s"), 500ms);
  EXPECT_EQ(time("250ms"), 250ms);
  EXPECT_EQ(time("2m"), 120s);
  EXPECT_EQ(time("1440m"), 24h);
  for (const char* bad : {"", "0", "0ms", "-1", "+1", " 1", "1 ", "1x", "x", ".", "1.2.3", "inf", "nan", "0x10", "1e3",
                          "1441m", "99999999999999999999999999", "1h", "ms"}) {
    EXPECT_EQ(time(bad), -1ms) << bad;
  }
}

TEST(Options, top_takes_a_time_in_range) {
  EXPECT_EQ(std::get<Top>(parse({"top"}).options.command).ms, 0U);
  EXPECT_EQ(std::get<Top>(parse({"top", "250"}).options.command).ms, 250U);
  EXPECT_EQ(std::get<Top>(parse({"top", "10"}).options.command).ms, 10U);
  EXPECT_EQ(parse({"top", "60000"}).options.timeout, 70s);
  EXPECT_EQ(parse({"--timeout", "5", "top", "60000"}).options.timeout, 5s);
  for (const char* const bad : {"9", "0", "-1", "60001", "second"}) {
    EXPECT_THAT(usage_of({"top", bad}), HasSubstr("MS")) << bad;
  }
}

std::vector<std::string> words_of(const std::vector<const char*>& words) {
  const auto parsed = parse(words);
  EXPECT_TRUE(parsed.run) << parsed.text;
  const auto* const command = std::get_if<GuestCommand>(&parsed.options.command);
  return command == nullptr ? std::vector<std::string>{"no command of the guest's"} : command->words;
}

TEST(Options, commands_of_the_guest_are_taken_in_words) {
  using WordList = std::vector<std::string>;
  EXPECT_EQ(words_of({"det", "admit", "a", "1000", "10000"}), (WordList{"det", "admit", "a", "1000", "10000"}));
  EXPECT_EQ(words_of({"det"}), (WordList{"det"}));
  EXPECT_EQ(words_of({"graph", "show", "g"}), (WordList{"graph", "show", "g"}));
  EXPECT_EQ(words_of({"graph"}), (WordList{"graph"}));
  // From the first word on nothing is sisctl's own.
  EXPECT_EQ(words_of({"trace", "dump", "--count", "3", "--json", "-m", "x"}),
            (WordList{"trace", "dump", "--count", "3", "--json", "-m", "x"}));
  EXPECT_EQ(words_of({"trace", "dump", "--", "--help"}), (WordList{"trace", "dump", "--", "--help"}));
  EXPECT_EQ(words_of({"--timeout", "5", "sched", "--", "--help"}), (WordList{"sched", "--", "--help"}));
  EXPECT_EQ(words_of({"-m", "ping", "--json", "graph", "show", "-h"}), (WordList{"graph", "show", "-h"}));
  // Each option with a value is passed over with it, whatever that looks like.
  for (const char* option : {"-m", "--machine", "--socket", "--key", "--token", "--timeout"}) {
    EXPECT_EQ(words_of({option, "9s", "graph", "show", "x"}), (WordList{"graph", "show", "x"})) << option;
  }
  EXPECT_TRUE(parse({"--json", "mem"}).options.json);
  for (const char* const name :
       {"bench", "counters", "cpus", "det", "graph", "irq", "mem", "pmu", "ps", "sched", "trace"}) {
    EXPECT_EQ(words_of({name}), WordList{name});
  }
}

TEST(Options, commands_of_the_guest_have_help) {
  for (const char* const name :
       {"bench", "counters", "cpus", "det", "graph", "irq", "mem", "pmu", "ps", "sched", "trace"}) {
    const auto parsed = parse({name, "--help"});
    EXPECT_FALSE(parsed.run);
    EXPECT_EQ(parsed.exit_code, ExitCode::Ok);
    EXPECT_THAT(parsed.text, HasSubstr("sisctl shell help " + std::string(name)));
  }
  // Regression test: it was taken for the name of a graph.
  for (const auto& words :
       {std::vector<const char*>{"graph", "export", "--help"}, std::vector<const char*>{"graph", "import", "--help"},
        std::vector<const char*>{"graph", "show", "g", "--help"}}) {
    const auto parsed = parse(words);
    EXPECT_FALSE(parsed.run);
    EXPECT_EQ(parsed.exit_code, ExitCode::Ok);
    EXPECT_THAT(parsed.text, HasSubstr("graph import FILE"));
  }
}

TEST(Options, graph_export_takes_a_name_and_a_format) {
  const auto exported = [](const std::vector<const char*>& words) {
    const auto parsed = parse(words);
    const auto* const command = parsed.run ? std::get_if<GraphExport>(&parsed.options.command) : nullptr;
    return command == nullptr ? "none: " + parsed.text : command->graph + (command->dot ? " dot" : " json");
  };
  EXPECT_EQ(exported({"graph", "export", "g"}), "g json");
  EXPECT_EQ(exported({"graph", "export", "g", "--json"}), "g json");
  EXPECT_EQ(exported({"graph", "export", "--json", "g"}), "g json");
  EXPECT_EQ(exported({"graph", "export", "g", "--dot"}), "g dot");
  EXPECT_EQ(exported({"graph", "export", "--dot", "g"}), "g dot");
  EXPECT_EQ(exported({"--json", "graph", "export", "g"}), "g json");
  for (const auto& words :
       {std::vector<const char*>{"graph", "export"}, std::vector<const char*>{"graph", "export", "--dot"},
        std::vector<const char*>{"graph", "export", "--dot", "--dot"},
        std::vector<const char*>{"graph", "export", "--dot", "--json", "g"},
        std::vector<const char*>{"graph", "export", "g", "h"},
        std::vector<const char*>{"graph", "export", "g", "dot", "--dot"}}) {
    EXPECT_EQ(usage_of(words),
              "sisctl: graph export: expected NAME, and --json, --dot or nothing\nTry `sisctl --help`.\n");
  }
}

TEST(Options, graph_import_takes_a_file) {
  EXPECT_EQ(std::get<GraphImport>(parse({"graph", "import", "f.json"}).options.command).file, "f.json");
  EXPECT_EQ(usage_of({"graph", "import"}), "sisctl: graph import: expected FILE\nTry `sisctl --help`.\n");
  EXPECT_EQ(usage_of({"graph", "import", "f", "g"}),
            "sisctl: graph import: expected FILE, found 'f g'\nTry `sisctl --help`.\n");
}

TEST(Options, audit_verify_takes_a_file_and_audit_alone_goes_to_the_guest) {
  EXPECT_EQ(std::get<AuditVerify>(parse({"audit", "verify", "f.jsonl"}).options.command).file, "f.jsonl");
  EXPECT_EQ(usage_of({"audit", "verify"}), "sisctl: audit verify: expected FILE\nTry `sisctl --help`.\n");
  EXPECT_EQ(std::get<GuestCommand>(parse({"audit", "5"}).options.command).words.size(), 2U);
}

}  // namespace
}  // namespace sisctl
