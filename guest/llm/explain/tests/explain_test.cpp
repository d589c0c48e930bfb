// Prompts and answers that tools/train/vectors.py wrote, and some by hand.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "guest/llm/explain/answer.hpp"
#include "guest/llm/explain/prompt.hpp"
#include "guest/llm/explain/quantity.hpp"

namespace guest::llm::explain {
namespace {

using Text = kernel::FixedText<4096>;

struct Asked {
  std::string question, shown, answer;
};
struct Situation {
  Figures figures;
  std::string lines;
  std::vector<Asked> asked;
};

void add_item(Situation& to, char letter, const std::vector<std::uint64_t>& v) {
  Figures& f = to.figures;
  Name name;
  if (letter == 'o') {
    kernel::format_to(name, "op-{}", f.operators.size() + 1);
    ASSERT_TRUE(f.operators.push_back({.name = name,
                                       .busy_permille = static_cast<std::uint32_t>(v[0]),
                                       .run_ns = v[1],
                                       .max_ns = v[2],
                                       .limit_ns = v[3],
                                       .over = v[4],
                                       .input = static_cast<std::int64_t>(v[5]) < 0
                                                    ? std::nullopt
                                                    : std::optional(static_cast<std::uint8_t>(v[5]))}));
  } else if (letter == 'c') {
    ASSERT_TRUE(f.channels.push_back({.id = static_cast<std::uint32_t>(101 + f.channels.size()),
                                      .writer = static_cast<std::uint8_t>(v[0]),
                                      .reader = static_cast<std::uint8_t>(v[1]),
                                      .top = v[2],
                                      .capacity = v[3],
                                      .drops = v[4] != 0,
                                      .hits = v[5]}));
  } else if (letter == 's') {
    kernel::format_to(name, "task.{}", f.servers.size() + 1);
    ASSERT_TRUE(f.servers.push_back({name, v[0], v[1], v[2], v[3], v[4], v[5], v[6]}));
  } else if (letter == 'a') {
    f.audit = {v[0], v[1], v[2]};
  } else if (letter == 'n') {
    f.npu = Npu{v[0], v[1], v[2]};
  } else {
    f.llm = Llm{v[0], v[1], v[2]};
  }
}

std::vector<Situation> read_situations() {
  std::ifstream file(SIS_SITUATIONS);
  EXPECT_TRUE(file) << SIS_SITUATIONS;
  std::vector<Situation> made(1);
  for (std::string line; std::getline(file, line);) {
    const char letter = line[0];
    const std::string rest = line.substr(2);
    if (std::string_view("ocsanl").contains(letter)) {
      if (!made.back().lines.empty()) {
        made.emplace_back();
      }
      std::istringstream words(rest);
      std::vector<std::uint64_t> values;
      for (std::int64_t value = 0; words >> value;) {
        values.push_back(static_cast<std::uint64_t>(value));
      }
      add_item(made.back(), letter, values);
    } else if (letter == 'f') {
      made.back().lines = " " + rest;
    } else if (letter == 'q') {
      made.back().asked.push_back({.question = rest, .shown = {}, .answer = {}});
    } else if (letter == 'p') {
      made.back().asked.back().shown = rest;
    } else if (letter == 'r') {
      made.back().asked.back().answer = rest;
    }
  }
  return made;
}

std::string shown(const Figures& figures, std::string_view question) {
  Text text;
  write_question(text, figures, question);
  return std::string(text.view());
}

/// What does not hold, for messages.
std::string faults(const Check& check) {
  std::string text = check.complete ? "" : "incomplete ";
  for (const Statement& statement : check.statements) {
    if (!statement.supported) {
      text += "'" + std::string(statement.text) + "' " + std::string(statement.figure) + "; ";
    }
  }
  return text;
}

TEST(Prompts, have_the_bytes_that_the_model_was_trained_with) {
  for (const Situation& situation : read_situations()) {
    for (const Asked& asked : situation.asked) {
      Text text;
      write_prompt(text, situation.figures, asked.question);
      EXPECT_EQ(text.view(), situation.lines + " ? " + asked.shown + " =");
      EXPECT_LE(text.view().size(), kMaxPrompt);
    }
  }
}

TEST(Answers, that_are_right_hold) {
  for (const Situation& situation : read_situations()) {
    for (const Asked& asked : situation.asked) {
      if (asked.answer == "the figures do not say.") {
        continue;
      }
      const Check check = check_answer(situation.figures, asked.answer);
      EXPECT_TRUE(check.holds()) << situation.lines << "\n" << asked.answer << "\n" << faults(check);
    }
  }
}

TEST(Answers, with_another_number_do_not_hold) {
  for (const Situation& situation : read_situations()) {
    for (const Asked& asked : situation.asked) {
      const std::size_t at = asked.answer.find_first_of("123456789", asked.answer.find(' '));
      if (at == std::string::npos || asked.answer[at - 1] != ' ') {
        continue;
      }
      std::string changed = asked.answer;
      changed[at] = changed[at] == '9' ? '8' : static_cast<char>(changed[at] + 1);
      EXPECT_FALSE(check_answer(situation.figures, changed).holds()) << changed;
    }
  }
}

TEST(Quantities, are_what_people_expect) {
  struct {
    std::uint64_t value;
    const char *count, *time;
  } constexpr kCases[] = {{0, "0", "0.0us"},          {99, "99", "0.1us"},        {104, "100", "0.1us"},
                          {105, "110", "0.1us"},      {995, "1.0k", "1.0us"},     {1050, "1.1k", "1.1us"},
                          {123'456, "120k", "120us"}, {995'000, "1.0M", "1.0ms"}, {12'345'678, "12M", "12ms"},
                          {~0ULL, "990M", "990s"}};
  for (const auto& c : kCases) {
    EXPECT_EQ(quantity(c.value, Unit::Count).view(), c.count);
    EXPECT_EQ(quantity(c.value, Unit::Nanoseconds).view(), c.time);
  }
  EXPECT_EQ(quantity(99, Unit::Permille).view(), "9.9%");
  EXPECT_EQ(quantity(105, Unit::Permille).view(), "11%");
  EXPECT_EQ(quantity(4000, Unit::Permille).view(), "100%");
}

Name name(std::string_view text) {
  Name made;
  made.write(text);
  return made;
}

/// Operators a, b and smooth of 1, 2 and 3 us; channel 7 from a to b, which drops; a server "a".
Figures small() {
  Figures f;
  std::uint64_t run = 0;
  for (const char* each : {"a", "b", "smooth"}) {
    run += 1000;
    EXPECT_TRUE(f.operators.push_back({.name = name(each), .busy_permille = 100, .run_ns = run, .max_ns = run}));
  }
  f.operators[1].input = 0;
  EXPECT_TRUE(
      f.channels.push_back({.id = 7, .writer = 0, .reader = 1, .top = 4, .capacity = 4, .drops = true, .hits = 3}));
  EXPECT_TRUE(f.servers.push_back({name("a"), 1000, 2000, 10, 0, 0, 0, 500}));
  return f;
}

TEST(Questions, have_labels_for_names) {
  const Figures f = small();
  EXPECT_EQ(shown(f, "Why was op B slower than op a?"), "why was op o2 slower than op o1");
  EXPECT_EQ(shown(f, "Is server a late?"), "is server s1 late");
  EXPECT_EQ(shown(f, "is a channel full"), "is a channel full");
  EXPECT_EQ(shown(f, "is \"a\" slow"), "is o1 slow");
  EXPECT_EQ(shown(f, "How full is channel 7, please..."), "how full is channel c1 please");
  EXPECT_EQ(shown(f, "channel 8 and smooth."), "channel 8 and o3");
  EXPECT_EQ(shown(f, "what about o2 and s1"), "what about and");
  EXPECT_EQ(shown(f, "\n=\xFF yes </s> \n?"), "yes s");
  EXPECT_EQ(shown(f, ""), "");
}

TEST(Questions, mention_names) {
  EXPECT_TRUE(mentions("why is Smooth slow", "smooth"));
  EXPECT_TRUE(mentions("what about smooth.", "smooth"));
  EXPECT_FALSE(mentions("what about smoother", "smooth"));
  EXPECT_FALSE(mentions("what about re-smooth", "smooth"));
  EXPECT_FALSE(mentions("", "smooth"));
  EXPECT_FALSE(mentions("why", ""));
}

TEST(Questions, that_are_long_are_cut_at_a_word) {
  std::string long_one;
  for (int i = 0; i < 100; ++i) {
    long_one += "word ";
  }
  EXPECT_EQ(shown(small(), long_one).size(), 5U * 25 + 4 - 5);
  EXPECT_EQ(shown(small(), std::string(5000, 'x')), "");
}

TEST(Answers, show_names) {
  Text text;
  write_answer(text, small(),
               "o2.run 2.0us, o1.run 1.0us: o2 is slower, o2.limit -; c1.lost 3, s1 and o9, o9.run 1.0us.");
  EXPECT_EQ(
      text.view(),
      "'b' a run takes 2.0us, 'a' a run takes 1.0us: 'b' is slower, limit -; channel 7 tensors lost 3, 'a' and o9, "
      "o9.run 1.0us.");
}

TEST(Answers, that_no_figure_supports_do_not_hold) {
  const Figures f = small();
  for (const char* wrong :
       {"o1.run 1.0us, o2.run 2.0us: o1 is slower.", "o9 is the bottleneck.", "o1 is the slowest.",
        "o1 is over its limit.", "no channel lost tensors.", "s1 is over budget.", "yes", "", "c1.lost 3, c1.reader o1",
        "c1.stalled 3", "it looks like token guessing", "there is no llm. 7", "o3.input c1", "o9.run 1.0us",
        "llm.asked 0", "o1.run", "o1.walk 1.0us", "o1.limit 0.0us"}) {
    EXPECT_FALSE(check_answer(f, wrong).holds()) << wrong;
  }
}

TEST(Answers, hold_only_while_the_figures_are_so) {
  Figures f = small();
  EXPECT_TRUE(check_answer(f, "c1 is saturated").holds());
  EXPECT_FALSE(check_answer(f, "c1 is not saturated").holds());
  EXPECT_FALSE(check_answer(f, "it looks like token guessing").holds());
  f.channels[0].hits = 0;
  f.audit = {.accepted = 9, .refused = 10, .links = 1};
  EXPECT_FALSE(check_answer(f, "c1 is saturated").holds());
  EXPECT_TRUE(check_answer(f, "no channel lost tensors").holds());
  EXPECT_TRUE(check_answer(f, "it looks like token guessing").holds());
}

TEST(Answers, propose_only_what_helps_most) {
  Figures f = small();
  EXPECT_TRUE(f.servers.push_back({name("b"), 1000, 2000, 10, 4, 0, 0, 500}));
  f.servers[0].over = 3;
  EXPECT_TRUE(check_answer(f, "s2.over 4, s2.budget 1.0us: raise the budget of s2.").holds());
  EXPECT_FALSE(check_answer(f, "s1.over 3, s1.budget 1.0us: raise the budget of s1.").holds());
  EXPECT_FALSE(check_answer(f, "s2.over 4, s2.budget 1.0us: raise the budget of s1.").holds());
  EXPECT_FALSE(check_answer(f, "s2.over 4: raise the budget of").holds());
  EXPECT_TRUE(check_answer(f, "c1.lost 3, c1.reader o2: make o2 faster.").holds());
  EXPECT_FALSE(check_answer(f, "c1.lost 3, c1.reader o2: make o1 faster.").holds());
  EXPECT_TRUE(f.channels.push_back({.id = 8, .writer = 1, .reader = 2, .top = 1, .capacity = 1, .hits = 9}));
  EXPECT_FALSE(check_answer(f, "c1.lost 3, c1.reader o2: make o2 faster.").holds());
  EXPECT_TRUE(check_answer(f, "c2.stalled 9, c2.reader o3: make o3 faster.").holds());
  f.channels = {};
  f.operators[0].over = 2;
  f.operators[2].over = 7;
  EXPECT_FALSE(check_answer(f, "make o1 faster.").holds());
  EXPECT_TRUE(check_answer(f, "make o3 faster.").holds());
}

TEST(Answers, say_on_which_figure_they_rest) {
  const std::string_view answer = "o2.run 2.0us, o1.run 1.1us: o2 is slower.";
  const Check check = check_answer(small(), answer);
  ASSERT_EQ(check.statements.size(), 4U);
  EXPECT_FALSE(check.holds());
  EXPECT_EQ(check.statements[0].text, "o2.run 2.0us");
  EXPECT_EQ(check.statements[0].subject, "o2");
  EXPECT_EQ(check.statements[0].figure, "run_ns");
  EXPECT_EQ(check.statements[0].value, 2000U);
  EXPECT_TRUE(check.statements[0].supported);
  EXPECT_FALSE(check.statements[1].supported);
  EXPECT_EQ(check.statements[1].shown.view(), "1.0us");
  EXPECT_EQ(check.statements[3].text, "is slower");
  EXPECT_TRUE(check.statements[3].supported);
}

}  // namespace
}  // namespace guest::llm::explain
