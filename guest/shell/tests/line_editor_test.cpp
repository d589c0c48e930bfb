// The line editor against a small model of a terminal: what the user sees must be what the line holds.
#include "guest/shell/line_editor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace guest::shell {
namespace {

using Event = LineEditor::Event;
using ::testing::HasSubstr;

/// One endless row of a terminal per line feed: understands what the editor sends, and nothing else.
class Terminal final : public kernel::TextOutput {
 public:
  void write(std::string_view text) override {
    for (const char c : text) {
      put(c);
    }
  }
  [[nodiscard]] std::string row() const {
    std::string text;
    for (const std::string& cell : cells_) {
      text += cell;
    }
    return text;
  }
  [[nodiscard]] std::size_t column() const { return column_; }
  [[nodiscard]] const std::vector<std::string>& above() const { return above_; }
  unsigned bells = 0;
  unsigned cleared = 0;

 private:
  void put(char c) {
    if (!sequence_.empty()) {
      sequence_ += c;
      if (sequence_.size() > 2 && c >= '@') {
        control(sequence_);
        sequence_.clear();
      }
    } else if (c == '\x1b') {
      sequence_ = c;
    } else if (c == '\a') {
      ++bells;
    } else if (c == '\n') {
      above_.push_back(row());
      cells_.clear();
      column_ = 0;
    } else if ((static_cast<unsigned char>(c) & 0xC0U) == 0x80) {
      ASSERT_GT(column_, 0U);
      cells_[column_ - 1] += c;
    } else {
      ASSERT_GE(static_cast<unsigned char>(c), 0x20U) << "a control character reached the terminal";
      cells_.resize(std::max(cells_.size(), column_ + 1), " ");
      cells_[column_++] = std::string(1, c);
    }
  }
  void control(const std::string& sequence) {
    if (sequence == "\x1b[K") {
      cells_.resize(column_);
    } else if (sequence == "\x1b[H") {
      column_ = 0;
    } else if (sequence == "\x1b[2J") {
      cells_.clear();
      ++cleared;
    } else if (sequence.back() == 'D') {
      const std::size_t by = std::stoul(sequence.substr(2));
      ASSERT_GE(column_, by);
      column_ -= by;
    } else {
      FAIL() << "the terminal does not know " << sequence.substr(1);
    }
  }

  std::vector<std::string> cells_;
  std::vector<std::string> above_;
  std::size_t column_ = 0;
  std::string sequence_;
};

class Names final : public NameList {
 public:
  [[nodiscard]] std::size_t size() const override { return std::size(kNames); }
  [[nodiscard]] std::string_view name(std::size_t index) const override { return kNames[index]; }

 private:
  static constexpr std::string_view kNames[] = {"clear", "graph show", "graph start", "graph stop",
                                                "help",  "shell",      "shutdown",    "sleep"};
};

constexpr char kUp[] = "\x1b[A", kDown[] = "\x1b[B", kRight[] = "\x1b[C", kLeft[] = "\x1b[D";

class LineEditorTest : public ::testing::Test {
 protected:
  void SetUp() override { editor.start(); }
  /// Types text; every line that is entered goes to `entered`.
  void type(std::string_view text) {
    for (const char c : text) {
      const Event event = editor.feed(static_cast<std::byte>(c));
      if (event == Event::Line) {
        entered.emplace_back(editor.line());
      }
      if (event == Event::Interrupt) {
        ++interrupts;
      }
      if (event != Event::None) {
        editor.start();
      }
    }
  }
  /// What is shown must be the prompt and the line, with the cursor where the editor has it.
  void expect_consistent() {
    EXPECT_EQ(terminal.row(), "> " + std::string(editor.line()));
    std::size_t columns = 2;
    for (const char c : editor.line().substr(0, editor.cursor())) {
      columns += (static_cast<unsigned char>(c) & 0xC0U) == 0x80 ? 0 : 1;
    }
    EXPECT_EQ(terminal.column(), columns);
  }

  Terminal terminal;
  Names names;
  LineEditor editor{terminal, names, "> "};
  std::vector<std::string> entered;
  unsigned interrupts = 0;
};

TEST_F(LineEditorTest, line_ends_with_return_or_line_feed_or_both) {
  type("one\rtwo\nthree\r\nfour\r\r");
  EXPECT_EQ(entered, (std::vector<std::string>{"one", "two", "three", "four", ""}));
}

TEST_F(LineEditorTest, insert_and_delete_in_the_middle) {
  type(std::string("helo") + kLeft + "l");
  EXPECT_EQ(editor.line(), "hello");
  expect_consistent();
  type("\x7f\x7f");  // backspace, twice
  EXPECT_EQ(editor.line(), "heo");
  type("\x1b[3~");  // delete
  EXPECT_EQ(editor.line(), "he");
  expect_consistent();
  type("\x01\x04");  // start, Ctrl-D
  EXPECT_EQ(editor.line(), "e");
  expect_consistent();
}

TEST_F(LineEditorTest, home_end_and_their_dialects) {
  type("abc");
  for (const auto* keys : {"\x1b[H", "\x1b[1~", "\x1b[7~", "\x1bOH", "\x01"}) {
    type("\x05");
    type(keys);
    EXPECT_EQ(editor.cursor(), 0U) << keys;
  }
  for (const auto* keys : {"\x1b[F", "\x1b[4~", "\x1b[8~", "\x1bOF", "\x05"}) {
    type("\x01");
    type(keys);
    EXPECT_EQ(editor.cursor(), 3U) << keys;
  }
  expect_consistent();
}

TEST_F(LineEditorTest, kill_keys) {
  type(std::string("one two  three") + "\x17");
  EXPECT_EQ(editor.line(), "one two  ");
  type("\x17");
  EXPECT_EQ(editor.line(), "one ");
  type(std::string("two") + kLeft + kLeft + "\x0b");
  EXPECT_EQ(editor.line(), "one t");
  type(std::string(kLeft) + "\x15");
  EXPECT_EQ(editor.line(), "t");
  EXPECT_EQ(editor.cursor(), 0U);
  expect_consistent();
}

TEST_F(LineEditorTest, utf8_moves_and_deletes_whole_characters) {
  type("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
  expect_consistent();
  type(kLeft);
  type("\x7f");
  EXPECT_EQ(editor.line(), "a\xC3\xA4\xF0\x9F\x98\x80");
  expect_consistent();
  type(std::string(kLeft) + kRight + "x");
  EXPECT_EQ(editor.line(), "a\xC3\xA4x\xF0\x9F\x98\x80");
  expect_consistent();
}

TEST_F(LineEditorTest, malformed_bytes_ring_and_change_nothing) {
  type("a");
  for (const auto* wrong : {"\x80", "\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xC2\x9B", "\x1e", "\x00"}) {
    const unsigned bells = terminal.bells;
    type(*wrong == '\0' ? std::string_view(wrong, 1) : std::string_view(wrong));
    EXPECT_GT(terminal.bells, bells);
    EXPECT_EQ(editor.line(), "a");
  }
  type("\xC3z");  // a sequence that is broken off by another character
  EXPECT_EQ(editor.line(), "az");
  expect_consistent();
}

TEST_F(LineEditorTest, full_line_refuses_and_keeps_what_it_has) {
  type(std::string(kMaxLineBytes - 1, 'x'));
  EXPECT_EQ(terminal.bells, 0U);
  type("\xC3\xA4");  // two bytes where one fits
  EXPECT_EQ(terminal.bells, 1U);
  type("y");
  EXPECT_EQ(terminal.bells, 1U);
  type("z");
  EXPECT_EQ(terminal.bells, 2U);
  type("\r");
  EXPECT_EQ(entered.front(), std::string(kMaxLineBytes - 1, 'x') + "y");
}

TEST_F(LineEditorTest, history_goes_up_and_down) {
  type("one\rtwo\rtwo\r\rthree\r");
  EXPECT_EQ(editor.history().size(), 3U);
  type(std::string(kUp) + kUp);
  EXPECT_EQ(editor.line(), "two");
  expect_consistent();
  type(kUp);
  EXPECT_EQ(editor.line(), "one");
  type(kUp);  // nothing older
  EXPECT_EQ(editor.line(), "one");
  EXPECT_EQ(terminal.bells, 1U);
  type(std::string(kDown) + kDown + "!");
  EXPECT_EQ(editor.line(), "three!");
  expect_consistent();
  type(kDown);
  EXPECT_EQ(editor.line(), "");
  expect_consistent();
  type(std::string("x") + kUp + "\r");
  EXPECT_EQ(entered.back(), "three");
}

TEST_F(LineEditorTest, history_forgets_the_oldest) {
  for (std::size_t i = 0; i < kHistoryLines + 5; ++i) {
    type("line" + std::to_string(i) + "\r");
  }
  EXPECT_EQ(editor.history().size(), kHistoryLines);
  EXPECT_EQ(editor.history().line(0), "line5");
  EXPECT_EQ(editor.history().line(kHistoryLines - 1), "line" + std::to_string(kHistoryLines + 4));
}

TEST_F(LineEditorTest, tab_completes_names_of_commands) {
  type("he\t");
  EXPECT_EQ(editor.line(), "help ");
  type("x; s\t");
  EXPECT_EQ(editor.line(), "help x; s");  // shell, shutdown, sleep
  EXPECT_THAT(terminal.above().back(), HasSubstr("shell  shutdown  sleep"));
  expect_consistent();
  type("h\t\t");
  EXPECT_EQ(editor.line(), "help x; sh");
  type("u\t");
  EXPECT_EQ(editor.line(), "help x; shutdown ");
  const unsigned bells = terminal.bells;
  type("s\t");  // an argument
  EXPECT_EQ(terminal.bells, bells + 1);
  EXPECT_EQ(editor.line(), "help x; shutdown s");
}

TEST_F(LineEditorTest, tab_completes_names_of_two_words) {
  type("g\t");
  EXPECT_EQ(editor.line(), "graph s");
  type("\t");
  EXPECT_THAT(terminal.above().back(), HasSubstr("graph show  graph start  graph stop"));
  type("t\t");
  EXPECT_EQ(editor.line(), "graph st");
  type("a\t");
  EXPECT_EQ(editor.line(), "graph start ");
  const unsigned bells = terminal.bells;
  type("g\t");  // the name of a graph
  EXPECT_EQ(terminal.bells, bells + 1);
  type(";  graph sh\t");
  EXPECT_EQ(editor.line(), "graph start g;  graph show ");
  expect_consistent();
  type("\x15graph  s\t");  // two blanks: no name has them
  EXPECT_EQ(editor.line(), "graph  s");
}

TEST_F(LineEditorTest, interrupt_drops_the_line) {
  type("half\x03");
  EXPECT_EQ(interrupts, 1U);
  EXPECT_EQ(editor.line(), "");
  EXPECT_THAT(terminal.above().back(), HasSubstr("half^C"));
  type("next\r");
  EXPECT_EQ(entered, std::vector<std::string>{"next"});
}

TEST_F(LineEditorTest, end_of_input_on_an_empty_line_rings) {
  type("\x04");
  EXPECT_EQ(terminal.bells, 1U);
}

TEST_F(LineEditorTest, clear_screen_keeps_the_line) {
  type(std::string("abc") + kLeft + "\x0c");
  EXPECT_EQ(terminal.cleared, 1U);
  expect_consistent();
}

TEST_F(LineEditorTest, unknown_sequences_leave_no_text) {
  for (const auto* keys : {"\x1b[15~", "\x1b[1;5C", "\x1b[?25h", "\x1bOP", "\x1bx", "\x1b[99999999999999~"}) {
    type(keys);
  }
  EXPECT_EQ(editor.line(), "");
  type("ok");
  EXPECT_EQ(editor.line(), "ok");
}

TEST_F(LineEditorTest, any_keys_keep_line_and_terminal_together) {
  std::mt19937 random(1);
  const std::string_view keys[] = {"a",      "b c",    "\xC3\xA4", "\xF0\x9F\x98\x80",
                                   kLeft,    kRight,   kUp,        kDown,
                                   "\x1b[H", "\x1b[F", "\x1b[3~",  "\x7f",
                                   "\x04",   "\x01",   "\x05",     "\x15",
                                   "\x0b",   "\x17",   "\t",       "\r",
                                   "\x03",   "\x80",   "\x1b[",    "\x1b",
                                   "; ",     "s"};
  for (int i = 0; i < 20'000; ++i) {
    type(keys[random() % std::size(keys)]);
    if (i % 7 == 0) {
      type("\x1b[9~");  // ends whatever sequence was open
    }
    if (terminal.row().size() > 2) {
      expect_consistent();
    }
    ASSERT_FALSE(HasFailure()) << "step " << i;
  }
  EXPECT_GT(entered.size(), 100U);
}

}  // namespace
}  // namespace guest::shell
