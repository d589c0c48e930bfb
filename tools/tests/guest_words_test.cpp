// Words of a command line as requests, by what a guest says of its commands.
#include "tools/guest_words.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

namespace sisctl {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

json argument(const std::string& name, const std::string& type) {
  return {{"name", name}, {"type", type}, {"required", false}, {"help", ""}};
}

/// As `help NAME` answers.
const std::map<std::string, json> kHelp = {
    {"mem", {{"usage", "mem"}, {"help", ""}}},
    {"sched", {{"arguments", json::array({argument("server", "text")})}}},
    {"echo", {{"arguments", json::array({argument("text", "words")})}}},
    {"det",
     {{"arguments", json::array({argument("action", "choice"), argument("name", "text"),
                                 argument("budget_us", "integer"), argument("reclaim", "bool")})}}},
    {"graph feed",
     {{"arguments", json::array({argument("graph", "text"), argument("data", "text-or-bytes"), argument("end", "bool"),
                                 argument("hex", "text")})}}},
    {"graph start", {{"arguments", json::array({argument("graph", "text"), argument("steps", "integer")})}}},
};

class GuestWords : public ::testing::Test {
 protected:
  Outcome<json> ask(const std::string& name) {
    asked.push_back(name);
    if (name.size() > 32) return refused("bad-argument", "command: found many bytes, allowed: 1 to 32");
    const auto found = kHelp.find(name);
    if (found == kHelp.end()) return refused("not-found", "no command '" + name + "'; 'help' lists them");
    return found->second;
  }
  static std::unexpected<Failure> refused(const std::string& code, const std::string& message) {
    return std::unexpected(
        Failure{.exit_code = ExitCode::Refused, .kind = "refused", .message = message, .code = code});
  }
  Outcome<Request> request(const Words& words) {
    asked.clear();
    return request_of(words, [this](const std::string& name) { return ask(name); });
  }
  json args(const Words& words) {
    const auto made = request(words);
    return made ? made->args : json(made.error().message);
  }
  std::string usage(const Words& words) {
    const auto made = request(words);
    if (made) return "not refused: " + made->op + " " + made->args.dump();
    EXPECT_EQ(made.error().exit_code, ExitCode::Usage);
    EXPECT_EQ(made.error().kind, "usage");
    return made.error().message;
  }

  Words asked;
};

TEST_F(GuestWords, names_of_two_words_and_of_one) {
  const auto two = request({"graph", "start", "g"});
  ASSERT_TRUE(two.has_value()) << two.error().message;
  EXPECT_EQ(two->op, "graph start");
  EXPECT_EQ(two->args, (json{{"graph", "g"}}));
  EXPECT_EQ(asked, (Words{"graph start"}));
  const auto one = request({"det", "admit", "a"});
  ASSERT_TRUE(one.has_value()) << one.error().message;
  EXPECT_EQ(one->op, "det");
  EXPECT_EQ(one->args, (json{{"action", "admit"}, {"name", "a"}}));
  EXPECT_EQ(asked, (Words{"det admit", "det"}));
  EXPECT_EQ(request({"mem"})->args, json::object());
  EXPECT_EQ(asked, (Words{"mem"}));
}

TEST_F(GuestWords, values_have_the_types_that_the_guest_says) {
  EXPECT_EQ(args({"det", "admit", "7", "1000", "yes"}),
            (json{{"action", "admit"}, {"name", "7"}, {"budget_us", 1000}, {"reclaim", true}}));
  EXPECT_EQ(args({"det", "--reclaim", "no", "admit", "--budget_us=18446744073709551615"}),
            (json{{"action", "admit"}, {"budget_us", 18446744073709551615U}, {"reclaim", false}}));
  EXPECT_EQ(args({"det", "--reclaim=false"}), (json{{"reclaim", false}}));
  EXPECT_EQ(args({"det", "--reclaim", "true"}), (json{{"reclaim", true}}));
  // What was named is passed over by those that follow by position.
  EXPECT_EQ(args({"graph", "start", "--graph", "g", "5"}), (json{{"graph", "g"}, {"steps", 5}}));
  EXPECT_EQ(args({"sched", "--server", "--odd"}), (json{{"server", "--odd"}}));
  EXPECT_EQ(args({"sched", "--server="}), (json{{"server", ""}}));
  EXPECT_EQ(args({"sched", "--", "--odd"}), (json{{"server", "--odd"}}));
  EXPECT_EQ(args({"sched", "-1"}), (json{{"server", "-1"}}));
}

TEST_F(GuestWords, a_bool_without_a_value_is_yes) {
  EXPECT_EQ(args({"graph", "feed", "g", "--end"}), (json{{"graph", "g"}, {"end", true}}));
  EXPECT_EQ(args({"graph", "feed", "g", "--end", "--hex", "00"}), (json{{"graph", "g"}, {"end", true}, {"hex", "00"}}));
  EXPECT_EQ(args({"graph", "feed", "g", "--end", "no"}), (json{{"graph", "g"}, {"end", false}}));
}

TEST_F(GuestWords, a_file_stands_for_its_bytes_where_bytes_are_taken) {
  const std::string path = ::testing::TempDir() + "/guest_words_bytes";
  std::ofstream(path, std::ios::binary) << std::string("a\0\xff", 3);
  EXPECT_EQ(args({"graph", "feed", "g", "@" + path}), (json{{"graph", "g"}, {"data", json::binary({'a', 0, 0xff})}}));
  EXPECT_EQ(args({"graph", "feed", "@g", "x"}), (json{{"graph", "@g"}, {"data", "x"}}));
  EXPECT_EQ(usage({"graph", "feed", "g", "@/no/such"}), "data: cannot read '/no/such'");
  EXPECT_EQ(usage({"graph", "feed", "g", "@/"}), "data: cannot read '/'");
  std::ofstream(path, std::ios::binary) << std::string(65537, 'x');
  EXPECT_EQ(usage({"graph", "feed", "g", "@" + path}), "data: '" + path + "' is longer than 65536 bytes");
  std::remove(path.c_str());
}

TEST_F(GuestWords, words_are_joined_by_the_last_argument_of_that_type) {
  EXPECT_EQ(args({"echo", "a", "b  c", "--", "--d"}), (json{{"text", "a b  c --d"}}));
  EXPECT_EQ(args({"echo"}), json::object());
}

TEST_F(GuestWords, wrong_words_are_named_with_what_is_allowed) {
  EXPECT_EQ(usage({"det", "admit", "a", "-1"}),
            "budget_us: found '-1', allowed: an integer from 0 to 18446744073709551615");
  EXPECT_EQ(usage({"det", "admit", "a", "1ms"}),
            "budget_us: found '1ms', allowed: an integer from 0 to 18446744073709551615");
  EXPECT_EQ(usage({"det", "--budget_us", ""}),
            "budget_us: found '', allowed: an integer from 0 to 18446744073709551615");
  EXPECT_EQ(usage({"det", "--budget_us", "18446744073709551616"}),
            "budget_us: found '18446744073709551616', allowed: an integer from 0 to 18446744073709551615");
  EXPECT_EQ(usage({"det", "--reclaim", "maybe\x1b"}), "reclaim: found 'maybe\\x1b', allowed: yes or no");
  EXPECT_EQ(usage({"graph", "start", "g", "1", "2"}), "'2' is one argument too many: 'graph start' has graph, steps");
  EXPECT_EQ(usage({"mem", "x"}), "'x' is one argument too many: 'mem' has none");
  EXPECT_EQ(usage({"graph", "start", "--dot", "g"}),
            "--dot: 'graph start' has no such argument, allowed: graph, steps");
  EXPECT_EQ(usage({"graph", "start", "g", "--dot"}),
            "--dot: 'graph start' has no such argument, allowed: graph, steps");
  EXPECT_EQ(usage({"graph", "start", "--graph"}), "--graph: no value");
  EXPECT_EQ(usage({"graph", "start", "g", "--graph", "h"}), "graph is given twice");
}

TEST_F(GuestWords, a_command_that_is_not_there_is_the_guests_refusal) {
  for (const Words& words : {Words{"graph", "frob"}, Words{"graph", "frob", "g"}}) {
    const auto made = request(words);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().exit_code, ExitCode::Refused);
    EXPECT_EQ(made.error().code, "not-found");
    // Of the name that was meant, not of its first word.
    EXPECT_EQ(made.error().message, "no command 'graph frob'; 'help' lists them");
  }
  EXPECT_EQ(request({"graph"}).error().message, "no command 'graph'; 'help' lists them");
}

/// Regression test: of a name of 32 bytes the guest said that no command's name is that long.
TEST_F(GuestWords, an_argument_that_is_too_long_for_a_commands_name) {
  const std::string name(32, 's');
  EXPECT_EQ(args({"sched", name}), (json{{"server", name}}));
}

TEST_F(GuestWords, other_errors_of_the_guest_are_passed_on) {
  const auto made = request_of({"graph", "start"}, [](const std::string&) -> Outcome<json> {
    return std::unexpected(Failure{.exit_code = ExitCode::NoReply, .kind = "no-reply", .message = "none"});
  });
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().exit_code, ExitCode::NoReply);
}

/// Regression test: what was no map of texts ended the program with an internal error.
TEST_F(GuestWords, a_guest_that_does_not_describe_its_command_breaks_the_protocol) {
  for (const json& said : {json::array(), json("text"), json{{"arguments", 7}}, json{{"arguments", json::array({7})}},
                           json{{"arguments", json::array({json{{"name", 7}, {"type", "text"}}})}},
                           json{{"arguments", json::array({json{{"name", "a"}}})}}}) {
    const auto made = request_of({"mem"}, [&](const std::string&) -> Outcome<json> { return said; });
    ASSERT_FALSE(made.has_value()) << said;
    EXPECT_EQ(made.error().exit_code, ExitCode::Protocol);
    EXPECT_EQ(made.error().message, "the guest does not say which arguments 'mem' has");
  }
}

TEST_F(GuestWords, underscores_of_names_may_be_dashes) {
  EXPECT_EQ(args({"det", "admit", "--budget-us", "7", "--reclaim"}),
            (json{{"action", "admit"}, {"budget_us", 7}, {"reclaim", true}}));
  EXPECT_EQ(args({"det", "--budget-us=7"}), (json{{"budget_us", 7}}));
  EXPECT_EQ(usage({"det", "--budget-us=7", "--budget_us=7"}), "budget_us is given twice");
  EXPECT_EQ(usage({"det", "--budget-ms=7"}),
            "--budget-ms: 'det' has no such argument, allowed: action, name, budget_us, reclaim");
}

TEST(ReadBytes, all_of_it_and_no_more_than_a_request_has) {
  const auto read = [](const std::string& text) {
    std::istringstream input(text);
    const auto bytes = read_bytes(input, "prompt", "it");
    return bytes ? std::to_string(bytes->get_binary().size()) : bytes.error().message;
  };
  EXPECT_EQ(read(""), "0");
  EXPECT_EQ(read("\xff\n"), "2");
  EXPECT_EQ(read(std::string(65'536, 'x')), "65536");
  EXPECT_EQ(read(std::string(65'537, 'x')), "prompt: it is longer than 65536 bytes");
}

}  // namespace
}  // namespace sisctl
