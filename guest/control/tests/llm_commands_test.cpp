// Commands of the LLM service, with a real one and a small model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/llm/service/owner.hpp"
#include "llm_fixture.hpp"

namespace guest::control::testing {
namespace {

TEST_F(LlmCommandsTest, without_a_service_each_says_so) {
  const std::vector<std::pair<std::string_view, std::vector<std::string_view>>> commands = {
      {"llmctl list", {}},       {"llmctl status", {}},       {"llmctl budget", {}}, {"llmctl load", {"tiny"}},
      {"llmstats", {}},          {"llmctl unload", {"tiny"}}, {"llmsummary", {}},    {"llmjson", {}},
      {"llmpoll", {}},           {"llmcancel", {}},           {"llmrelease", {}},    {"llminfer", {"tiny", "x"}},
      {"llmstream", {"a", "b"}}, {"llmgraph", {"a", "b"}},    {"ask", {"why"}}};
  for (const auto& [command, words] : commands) {
    EXPECT_EQ(told(ask(command, words)),
              "unavailable: this machine has no LLM service: its scenario has no key 'llm', or no memory")
        << command;
  }
}

TEST_F(LlmCommandsTest, models_are_listed_with_what_is_known_of_them) {
  start();
  EXPECT_EQ(refusal("llmctl load", {"bare"}),
            "package-unsigned: 'bare' has no signature, and the scenario does not allow that");
  EXPECT_EQ(refusal("llmctl load", {"none"}), "llm-no-file: there is no 'models/none.gguf' in the boot archive");
  const json models = ask("llmctl list")["models"];
  ASSERT_EQ(models.size(), 4U);
  EXPECT_EQ(models[0]["state"], "loaded");
  EXPECT_EQ(models[0]["revision"], 3);
  EXPECT_EQ(models[0]["signed"], true);
  EXPECT_EQ(models[0]["vocabulary"], 260);
  EXPECT_EQ(models[1]["state"], "refused");
  EXPECT_EQ(models[1]["error"], "package-unsigned");
  EXPECT_EQ(ask("llmctl unload", {"tiny"})["state"], "unloaded");
  EXPECT_EQ(ask("llmctl list")["models"].back()["state"], "available");
  EXPECT_EQ(refusal("llmctl unload", {"tiny"}), "llm-no-model: no model \"tiny\" is loaded");
}

TEST_F(LlmCommandsTest, answer_is_the_same_whole_in_pieces_and_polled) {
  start();
  const json whole = ask("llminfer", {"tiny", "Once", "--max_tokens", "20"});
  EXPECT_EQ(whole["stop"], "length");
  EXPECT_EQ(whole["tokens"], 20);
  EXPECT_EQ(whole["finished"], true);
  EXPECT_EQ(whole["drained"], true);
  EXPECT_FALSE(std::string(whole["text"]).empty());

  LlmCaller caller;
  EXPECT_TRUE(run_for(caller, "llmstream", {"tiny", "Once", "--max_tokens", "20"}).is_null());
  pump();
  std::string text;
  std::size_t tokens = 0;
  for (const json& event : caller.events) {
    text += std::string(event["text"]);
    tokens += event["tokens"].size();
  }
  EXPECT_GT(caller.events.size(), 1U);
  EXPECT_EQ(tokens, 20U);
  EXPECT_EQ(text + caller.answer.value("text", ""), whole.value("text", ""));
  EXPECT_EQ(caller.answer["stop"], "length");

  const json started = ask("llminfer", {"tiny", "Once", "--max_tokens", "20", "--wait", "no"});
  EXPECT_EQ(started["model"], "tiny");
  std::string polled;
  for (json piece = json::object(); !piece.value("finished", false) || !piece.value("drained", false);) {
    piece = ask("llmpoll", {"0", "--max", "4"});
    ASSERT_EQ(piece["id"], started["id"]);
    polled += std::string(piece["text"]);
  }
  EXPECT_EQ(polled, whole.value("text", ""));
}

TEST_F(LlmCommandsTest, pieces_can_be_asked_for_again_until_later_ones_were) {
  start();
  ask("llminfer", {"tiny", "Once", "--max_tokens", "20", "--wait=no"});
  const json first = ask("llmpoll", {"--from", "0", "--max", "8"});
  EXPECT_EQ(ask("llmpoll", {"--from", "0", "--max", "8"})["text"], first["text"]);
  const std::string next = std::to_string(first["next"].get<unsigned>());
  ask("llmpoll", {"--from", next});
  EXPECT_EQ(ask("llmpoll", {"--from", "0"})["code"], "llm-bad-chunk");
  EXPECT_EQ(ask("llmrelease")["id"], first["id"]);
  EXPECT_EQ(told(ask("llmpoll")), "llm-no-request: no request of yours is there");
}

TEST_F(LlmCommandsTest, every_argument_is_checked) {
  start();
  const auto infer = [&](std::string_view flag, std::string_view value) {
    return refusal("llminfer", {"tiny", "x", flag, value});
  };
  EXPECT_EQ(infer("--max_tokens", "0"), "bad-argument: max_tokens: found 0, allowed: an integer from 1 to 1000000");
  EXPECT_EQ(infer("--priority", "8"), "bad-argument: priority: found 8, allowed: an integer from 0 to 7");
  EXPECT_EQ(infer("--temperature", "hot"),
            "bad-argument: temperature: found 'hot', allowed: 0.000 to 100.000, with at most three places");
  EXPECT_EQ(infer("--top_p", "1.0001").substr(0, 20), "bad-argument: top_p:");
  EXPECT_EQ(infer("--top_p", "0").substr(0, 20), "bad-argument: top_p:");
  EXPECT_EQ(infer("--repeat_penalty", "0.05").substr(0, 29), "bad-argument: repeat_penalty:");
  EXPECT_EQ(infer("--session", "old"), "bad-argument: session: found 'old', allowed: new, or the number of a session");
  EXPECT_EQ(infer("--session", "77").substr(0, 14), "llm-no-session");
  EXPECT_EQ(infer("--stop", "a||b").substr(0, 17), "llm-bad-stop-word");
  EXPECT_EQ(infer("--stop", "1|2|3|4|5|6|7|8|9"), "bad-argument: stop: found more than 8 words, with | between them");
  EXPECT_EQ(infer("--wait", "maybe").substr(0, 18), "bad-argument: wait");
  EXPECT_EQ(infer("--verbose", "1").substr(0, 16), "unknown-argument");
  EXPECT_EQ(refusal("llminfer", {"none", "x"}), "llm-no-model: no model \"none\" is loaded");
  EXPECT_EQ(refusal("llmstream", {"tiny", "x", "--wait", "no"}).substr(0, 16), "unknown-argument");
  EXPECT_EQ(refusal("llmpoll", {"--max", "3"}), "bad-argument: max: found 3, allowed: an integer from 4 to 256");
}

TEST_F(LlmCommandsTest, arguments_reach_the_request) {
  start();
  const json seeded = ask("llminfer", {"tiny", "Once", "--max_tokens=9", "--temperature=1.5", "--seed=7"});
  EXPECT_EQ(ask("llminfer", {"tiny", "Once", "--max_tokens=9", "--temperature=1.5", "--seed=7"})["text"],
            seeded["text"]);
  EXPECT_NE(ask("llminfer", {"tiny", "Once", "--max_tokens=9", "--temperature=1.5", "--seed=8"})["text"],
            seeded["text"]);
  EXPECT_EQ(ask("llminfer", {"tiny", "Once", "--max_cycles=1"})["stop"], "budget");
  const json session = ask("llminfer", {"tiny", "Once", "--max_tokens=3", "--session=new"});
  const std::string number = std::to_string(session["session"].get<unsigned>());
  const json again = ask("llminfer", {"tiny", "upon", "--max_tokens=3", "--session", number});
  EXPECT_EQ(again["session"], session["session"]);
  EXPECT_GT(again["session_tokens"], 3);
}

TEST_F(LlmCommandsTest, answers_are_held_to_patterns_and_choices) {
  start();
  const json number = ask("llminfer", {"tiny", "Once", "--pattern", "[0-9]{3}", "--temperature=3"});
  EXPECT_THAT(std::string(number["text"]), ::testing::MatchesRegex("[0-9]{3}"));
  EXPECT_EQ(number["stop"], "end");
  const json choice = ask("llminfer", {"tiny", "Once", "--choices", "left|right"});
  EXPECT_THAT(std::string(choice["text"]), ::testing::AnyOf("left", "right"));
  EXPECT_EQ(refusal("llminfer", {"tiny", "x", "--pattern", "a("}).substr(0, 28), "llm-bad-pattern: at byte 2: ");
  EXPECT_EQ(refusal("llminfer", {"tiny", "x", "--choices", "a||b"}),
            "llm-bad-choice: choice 1 has 0 bytes, expected 1 to 128");
  EXPECT_EQ(refusal("llminfer", {"tiny", "x", "--choices", "a", "--pattern", "a"}),
            "llm-bad-option: a pattern and 1 choices, expected one of them");
  std::string many = "a";
  for (int i = 0; i < 64; ++i) {
    many += "|a";
  }
  EXPECT_EQ(refusal("llminfer", {"tiny", "x", "--choices", many}),
            "bad-argument: choices: found more than 64 texts, with | between them");
}

TEST_F(LlmCommandsTest, long_prompts_are_read_by_the_service_and_refused_as_short_ones) {
  start();
  ASSERT_EQ(ask("llmctl load", {"wide"})["state"], "loaded");
  const std::string fits(500, 'x');
  const std::string longer(600, 'x');
  const json answer = ask("llminfer", {"wide", fits, "--max_tokens=3"});
  EXPECT_EQ(answer["prompt_tokens"], 502);
  for (const char* const command : {"llminfer", "llmstream"}) {
    EXPECT_EQ(refusal(command, {"wide", longer}), "llm-prompt-too-long: 602 tokens, but there is room for 512 of 512");
  }
  EXPECT_EQ(ask("llmctl status")["kept"], 1);
  EXPECT_EQ(ask("llmstats")["rejects"], 2);
  // Who does not wait sees it when asking.
  ask("llminfer", {"wide", longer, "--wait=no"});
  const json polled = ask("llmpoll");
  EXPECT_EQ(polled["stop"], "refused");
  EXPECT_EQ(polled["error"], "llm-prompt-too-long");
}

TEST_F(LlmCommandsTest, graph_says_what_the_service_says) {
  start();
  know_operators();
  const json alone = ask("llminfer", {"tiny", "Once", "--max_tokens", "100"});
  for (int i = 0; i < 2; ++i) {
    const json said = ask("llmgraph", {"tiny", "Once", "--max_tokens", "100"});
    EXPECT_EQ(said["end"], "finished") << said;
    EXPECT_EQ(said["text"], alone["text"]);
    EXPECT_EQ(said["tokens"], 100);
    EXPECT_EQ(said["lost"], 0);
    EXPECT_EQ(graph::graph_set().size(), 0U);
  }
  const json held = ask("llmgraph", {"tiny", "Once", "--pattern=(ab|c){3}", "--temperature=2", "--seed=4",
                                     "--priority=7", "--stop=x", "--refused=fail"});
  EXPECT_THAT(std::string(held["text"]), ::testing::MatchesRegex("(ab|c)(ab|c)(ab|c)"));
}

TEST_F(LlmCommandsTest, graph_that_fails_says_why_and_is_gone) {
  start({.tokens_per_period = 10});
  know_operators();
  graph::set_operator_services({});
  EXPECT_EQ(refusal("llmgraph", {"tiny", "x"}),
            "graph-unavailable: operator 'model' (llm.generate): this kernel has no service for language models");
  know_operators();
  EXPECT_EQ(refusal("llmgraph", {"none", "x"}),
            "graph-failed: graph 'llmgraph' has ended, failed: operator 'model': llm-no-model: no model \"none\" is "
            "loaded");
  EXPECT_THAT(refusal("llmgraph", {"tiny", "x", "--max_tokens=11"}), ::testing::HasSubstr("llm-never-fits"));
  EXPECT_EQ(refusal("llmgraph", {"tiny", ""}).substr(0, 12), "bad-argument");
  EXPECT_EQ(graph::graph_set().size(), 0U);
}

TEST_F(LlmCommandsTest, graph_that_nobody_waits_for_is_stopped) {
  start();
  know_operators();
  LlmCaller caller;
  EXPECT_TRUE(run_for(caller, "llmgraph", {"tiny", "Once", "--max_tokens", "100"}).is_null());
  EXPECT_EQ(refusal("llmgraph", {"tiny", "x"}), "busy: there is a graph 'llmgraph': somebody asks already, or made it");
  EXPECT_FALSE(caller.answer.is_null());  // that it took so long, too, ran the first one to its end
  LlmCaller gone;
  EXPECT_TRUE(run_for(gone, "llmgraph", {"tiny", "Once", "--max_tokens", "100"}).is_null());
  gone.operation->cancel();
  pump();
  EXPECT_TRUE(gone.answer.is_null());
  EXPECT_EQ(graph::graph_set().size(), 0U);
  EXPECT_EQ(ask("llmctl status")["kept"], 0);
}

TEST_F(LlmCommandsTest, refusal_says_when_it_would_fit) {
  start({.tokens_per_period = 10});
  EXPECT_GT(ask("llminfer", {"tiny", "x", "--max_tokens", "10"})["tokens"], 4);
  LlmCaller caller;
  const Command* const command = find_command("llminfer");
  const std::string_view words[] = {"tiny", "x", "--max_tokens", "6"};
  std::vector<char> scratch(64);
  const auto arguments = Arguments::parse_words(command->arguments, words, scratch);
  CborWriter writer(memory);
  ResultMap result(writer);
  const auto refused = command->handler(machine.services, *arguments, caller, result);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "llm-over-budget");
  EXPECT_GT(refused.error().fits_at_ns, 0U);
  EXPECT_EQ(refused.error().fits_at_ns % 1'000'000'000, 0U);  // a period's begin
  EXPECT_EQ(refusal("llminfer", {"tiny", "x", "--max_tokens", "11"}).substr(0, 14), "llm-never-fits");
}

TEST_F(LlmCommandsTest, budget_is_changed_by_who_may) {
  llm::ServiceOptions options;
  llm::ClientClass one{.tokens_per_period = 5};
  one.name.write("ours");
  ASSERT_TRUE(options.classes.push_back(one));
  start(options);
  EXPECT_EQ(ask("llmctl budget")["tokens_per_period"], 0);
  EXPECT_EQ(ask("llmctl budget", {"--tokens_per_period", "12"})["tokens_per_period"], 12);
  EXPECT_EQ(refusal("llmctl budget", {"--tokens_per_period", "1", "--class", "none"}),
            "not-found: there is no class 'none' of clients");
  EXPECT_EQ(ask("llmctl budget", {"--tokens_per_period=2", "--class=ours"})["classes"][0]["tokens_per_period"], 2);
  EXPECT_EQ(refusal("llminfer", {"tiny", "x", "--max_tokens", "3"}).substr(0, 14), "llm-never-fits");
  EXPECT_EQ(ask("llmctl budget", {"--cycles_per_period=1000"})["cycles_per_period"], 1000);
  EXPECT_EQ(refusal("llmctl budget", {"--cycles_per_period=1", "--class=ours"}),
            "bad-argument: cycles are of the whole service, and a class has none of its own");
  EXPECT_EQ(refusal("llmctl budget", {"--class=ours"}), "missing-argument: class: of which the tokens are to change");
  machine.services.caller.rights = security::Rights::Observe;
  EXPECT_EQ(refusal("llmctl budget", {"--tokens_per_period=0"}), "forbidden: changing a budget needs rights of ADMIN");
  EXPECT_EQ(ask("llmctl budget")["tokens_per_period"], 12);
}

TEST_F(LlmCommandsTest, who_waits_no_more_has_no_request) {
  start();
  LlmCaller caller;
  EXPECT_TRUE(run_for(caller, "llminfer", {"tiny", "Once", "--max_tokens", "50"}).is_null());
  EXPECT_EQ(ask("llmsummary", {})["last"].size(), 1U);
  ASSERT_NE(caller.operation, nullptr);
  LlmCaller other;
  EXPECT_TRUE(run_for(other, "llminfer", {"tiny", "Once", "--max_tokens", "50"}).is_null());
  other.operation->cancel();
  pump();
  EXPECT_TRUE(other.answer.is_null());
  EXPECT_EQ(ask("llmsummary", {})["last"].size(), 1U);
}

TEST_F(LlmCommandsTest, requests_of_a_connection_go_with_it) {
  start();
  machine.services.caller.connection = 7;
  const json id = ask("llminfer", {"tiny", "Once", "--wait=no"})["id"];
  machine.services.caller.connection = 8;
  EXPECT_EQ(ask("llmpoll", {std::to_string(id.get<unsigned>())})["code"], "llm-no-request");
  ask("llminfer", {"tiny", "Once", "--wait=no"});
  desk_->close_connection(7);
  EXPECT_EQ(service_->list(0, {}), 1U);
  EXPECT_EQ(service_->latest(llm::owner_id(llm::OwnerKind::Connection, 7)), 0U);
  EXPECT_NE(service_->latest(llm::owner_id(llm::OwnerKind::Connection, 8)), 0U);
}

TEST_F(LlmCommandsTest, slow_reader_gets_all_of_it) {
  start({.stream_chunks = 32});
  LlmCaller caller;
  caller.room = false;
  EXPECT_TRUE(run_for(caller, "llmstream", {"tiny", "Once", "--max_tokens", "60"}).is_null());
  pump();
  EXPECT_TRUE(caller.events.empty());
  EXPECT_EQ(ask("llmctl status")["running"], 1);
  caller.room = true;
  caller.operation->on_room();
  pump();
  EXPECT_EQ(caller.answer["tokens"], 60);
}

TEST_F(LlmCommandsTest, without_memory_each_says_so_and_works_when_there_is_some) {
  start();
  const auto said = [&](std::string_view command, const std::vector<std::string_view>& words) {
    std::vector<std::string> all;
    json answer;
    kernel::fail_each_allocation([&] { answer = ask(command, words); }, [&] { all.push_back(told(answer)); });
    EXPECT_FALSE(answer.contains("code")) << answer;
    return all;
  };
  using ::testing::Contains;
  using ::testing::HasSubstr;
  const auto infer = said("llminfer", {"tiny", "Once", "--max_tokens", "3"});
  EXPECT_THAT(infer, Contains("busy: no memory to wait for an answer"));
  EXPECT_THAT(infer, Contains(HasSubstr("busy: no memory for what request ")));
  ASSERT_EQ(ask("llmctl load", {"wide"})["state"], "loaded");
  const auto asked = said("ask", {"why", "--model", "wide"});
  EXPECT_THAT(asked, Contains("busy: no memory for a question"));
  EXPECT_THAT(asked, Contains("busy: no memory for an answer"));
  EXPECT_THAT(said("llmpoll", {}), Contains("busy: no memory for an answer"));
  EXPECT_THAT(said("llmsummary", {}), Contains("busy: no memory for the requests"));
  know_operators();
  const auto graphs = said("llmgraph", {"tiny", "Once", "--max_tokens", "3"});
  EXPECT_THAT(graphs, Contains("busy: no memory to wait for a graph"));
  EXPECT_THAT(graphs, Contains("busy: no memory for what the graph says"));
  EXPECT_EQ(graph::graph_set().size(), 0U);
}

TEST_F(LlmCommandsTest, connections_that_are_noted_have_an_end) {
  start();
  for (std::uint32_t number = 1; number <= 256; ++number) {
    ASSERT_TRUE(desk_->note_connection(number));
  }
  machine.services.caller.connection = 300;
  EXPECT_EQ(refusal("ask", {"x"}), "busy: too many connections have submitted something");
  EXPECT_EQ(refusal("llminfer", {"tiny", "x"}), "busy: too many connections have submitted something");
  desk_->close_connection(7);
  EXPECT_EQ(ask("llminfer", {"tiny", "x", "--max_tokens=1"})["tokens"], 1);
}

TEST_F(LlmCommandsTest, statistics_are_one_line_of_json_too) {
  start();
  ask("llminfer", {"tiny", "Once", "--max_tokens", "5"});
  const json stats = ask("llmstats");
  EXPECT_EQ(stats["tokens_out"], 5);
  EXPECT_EQ(stats["infer"]["count"], 1);
  EXPECT_FALSE(stats["infer"].contains("p50_ns"));  // of one sample
  const json line = ask("llmjson");
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  EXPECT_EQ(json::parse(text), line);
  EXPECT_EQ(line["tokens_out"], 5);
}

}  // namespace
}  // namespace guest::control::testing
