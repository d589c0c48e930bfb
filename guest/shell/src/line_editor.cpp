#include "guest/shell/line_editor.hpp"

#include <algorithm>

#include "guest/control/utf8.hpp"
#include "guest/kernel/format.hpp"

namespace guest::shell {
namespace {

constexpr char kCtrlA = 1, kCtrlC = 3, kCtrlD = 4, kCtrlE = 5, kBackspace = 8, kTab = 9, kLineFeed = 10, kCtrlK = 11,
               kCtrlL = 12, kReturn = 13, kCtrlU = 21, kCtrlW = 23, kEscape = 27, kDelete = 127;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; }

/// Bytes of the UTF-8 sequence that `lead` starts; 0 if it starts none.
std::size_t sequence_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte < 0x80) {
    return 1;
  }
  if (byte < 0xC2 || byte > 0xF4) {
    return 0;
  }
  return byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// U+0080 to U+009F: control characters in two bytes; terminals may obey them.
bool is_c1(std::string_view character) {
  return character.size() == 2 && character[0] == '\xC2' && static_cast<unsigned char>(character[1]) < 0xA0;
}

}  // namespace

void LineEditor::start() {
  size_ = cursor_ = sequence_size_ = 0;
  input_ = Input::Plain;
  browsed_.reset();
  output_.write(prompt_);
}

LineEditor::Event LineEditor::feed(std::byte byte) {
  const char c = static_cast<char>(byte);
  const bool after_return = after_return_;
  after_return_ = c == kReturn;
  if (c == kLineFeed && after_return) {
    return Event::None;
  }
  const auto code = std::to_integer<unsigned>(byte);
  const bool is_control = code < 0x20 || code == kDelete;
  if (is_control && c != kEscape) {
    // A key in the middle of a sequence: the sequence is given up.
    input_ = Input::Plain;
    sequence_size_ = 0;
    return control_key(c);
  }
  if (c == kEscape) {
    input_ = Input::Escape;
    sequence_size_ = 0;
  } else if (input_ != Input::Plain) {
    escape_byte(c);
  } else {
    text_byte(c);
  }
  return Event::None;
}

LineEditor::Event LineEditor::control_key(char c) {
  switch (c) {
    case kReturn:
    case kLineFeed:
      return enter();
    case kCtrlC:
      output_.write("^C\n");
      size_ = cursor_ = 0;
      return Event::Interrupt;
    case kCtrlA:
      move_to(0);
      break;
    case kCtrlE:
      move_to(size_);
      break;
    case kBackspace:
    case kDelete:
      erase(previous(cursor_), cursor_);
      break;
    case kCtrlD:
      erase(cursor_, next(cursor_));
      break;
    case kCtrlU:
      erase(0, cursor_);
      break;
    case kCtrlK:
      erase(cursor_, size_);
      break;
    case kCtrlW:
      erase(word_start(), cursor_);
      break;
    case kCtrlL:
      output_.write("\x1b[H\x1b[2J");
      redraw();
      break;
    case kTab:
      complete();
      break;
    default:
      bell();
      break;
  }
  return Event::None;
}

LineEditor::Event LineEditor::enter() {
  output_.write("\n");
  history_.add(line());
  return Event::Line;
}

// ---- sequences of bytes ----

/// ECMA-48, control sequences: ESC [ parameters intermediates final. SS3 (ESC O x) is what some terminals send for
/// cursor keys. Sequences that mean nothing here are taken whole, so that their bytes do not become text.
void LineEditor::escape_byte(char c) {
  switch (input_) {
    case Input::Escape:
      csi_parameter_ = 0;
      input_ = c == '[' ? Input::Csi : c == 'O' ? Input::Ss3 : Input::Plain;
      if (input_ == Input::Plain) {
        bell();
      }
      break;
    case Input::Csi:
      if (c >= '0' && c <= '9') {
        csi_parameter_ = std::min<std::uint32_t>(csi_parameter_ * 10 + static_cast<std::uint32_t>(c - '0'), 1000);
      } else if (c >= '@' && c <= '~') {
        input_ = Input::Plain;
        csi_final(c);
      } else if (c < ' ' || c > '?') {
        input_ = Input::Plain;  // not part of a control sequence
        bell();
      }
      break;
    case Input::Ss3:
      input_ = Input::Plain;
      csi_final(c);
      break;
    case Input::Plain:
      break;
  }
}

void LineEditor::csi_final(char c) {
  if (c == '~') {
    switch (csi_parameter_) {
      case 1:
      case 7:
        return move_to(0);
      case 4:
      case 8:
        return move_to(size_);
      case 3:
        return erase(cursor_, next(cursor_));
      default:
        return bell();
    }
  }
  switch (c) {
    case 'A':
      return browse(true);
    case 'B':
      return browse(false);
    case 'C':
      return move_to(next(cursor_));
    case 'D':
      return move_to(previous(cursor_));
    case 'H':
      return move_to(0);
    case 'F':
      return move_to(size_);
    default:
      return bell();
  }
}

/// Collects a character; one that is whole and well-formed is inserted.
void LineEditor::text_byte(char c) {
  if (sequence_size_ > 0 && !is_continuation(c)) {
    sequence_size_ = 0;
    bell();
  }
  if (sequence_size_ == 0 && sequence_length(c) == 0) {
    return bell();
  }
  sequence_[sequence_size_++] = c;
  if (sequence_size_ < sequence_length(sequence_[0])) {
    return;
  }
  const std::string_view character(sequence_.data(), sequence_size_);
  sequence_size_ = 0;
  if (!control::is_utf8(character) || is_c1(character)) {
    return bell();
  }
  insert(character);
}

// ---- the line ----

std::size_t LineEditor::previous(std::size_t position) const {
  do {
    position -= position > 0 ? 1 : 0;
  } while (position > 0 && is_continuation(line_[position]));
  return position;
}

std::size_t LineEditor::next(std::size_t position) const {
  if (position == size_) {
    return size_;
  }
  ++position;
  while (position < size_ && is_continuation(line_[position])) {
    ++position;
  }
  return position;
}

std::size_t LineEditor::columns(std::size_t from, std::size_t to) const {
  return static_cast<std::size_t>(
      std::count_if(line_.data() + from, line_.data() + to, [](char c) { return !is_continuation(c); }));
}

std::size_t LineEditor::word_start() const {
  std::size_t position = cursor_;
  while (position > 0 && line_[position - 1] == ' ') {
    --position;
  }
  while (position > 0 && line_[position - 1] != ' ') {
    --position;
  }
  return position;
}

void LineEditor::back(std::size_t columns) {
  if (columns > 0) {
    kernel::format_to(output_, "\x1b[{}D", columns);
  }
}

void LineEditor::insert(std::string_view text) {
  if (text.size() > line_.size() - size_) {
    return bell();
  }
  std::copy_backward(line_.data() + cursor_, line_.data() + size_, line_.data() + size_ + text.size());
  std::copy(text.begin(), text.end(), line_.data() + cursor_);
  size_ += text.size();
  output_.write(line().substr(cursor_));
  cursor_ += text.size();
  back(columns(cursor_, size_));
}

/// Takes out [from, to), of which one end is the cursor. Nothing to take out rings the bell.
void LineEditor::erase(std::size_t from, std::size_t to) {
  if (from == to) {
    return bell();
  }
  back(columns(from, cursor_));
  std::copy(line_.data() + to, line_.data() + size_, line_.data() + from);
  size_ -= to - from;
  cursor_ = from;
  output_.write(line().substr(cursor_));
  output_.write("\x1b[K");
  back(columns(cursor_, size_));
}

void LineEditor::move_to(std::size_t position) {
  if (position < cursor_) {
    back(columns(position, cursor_));
  } else {
    output_.write(line().substr(cursor_, position - cursor_));
  }
  cursor_ = position;
}

void LineEditor::redraw() {
  output_.write(prompt_);
  output_.write(line());
  back(columns(cursor_, size_));
}

void LineEditor::replace_line(std::string_view text) {
  back(columns(0, cursor_));
  std::copy(text.begin(), text.end(), line_.begin());
  size_ = cursor_ = text.size();
  output_.write(line());
  output_.write("\x1b[K");
}

void LineEditor::browse(bool older) {
  const std::size_t at = browsed_.value_or(history_.size());
  if (older ? at == 0 : at >= history_.size()) {
    return bell();
  }
  const std::size_t wanted = older ? at - 1 : at + 1;
  if (wanted == history_.size()) {
    browsed_.reset();
    return replace_line({});
  }
  browsed_ = wanted;
  replace_line(history_.line(wanted));
}

// ---- completion ----

/// Completes what is before the cursor where it is the beginning of a command's name, of one word or two: first in the
/// line or after ';'.
void LineEditor::complete() {
  // From the beginning of the command: behind a name no other one begins with what is there.
  std::size_t start = cursor_;
  while (start > 0 && line_[start - 1] != ';') {
    --start;
  }
  while (start < cursor_ && line_[start] == ' ') {
    ++start;
  }
  const std::string_view prefix = line().substr(start, cursor_ - start);
  std::string_view common;
  std::size_t matches = 0;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const std::string_view name = names_.name(i);
    if (!name.starts_with(prefix)) {
      continue;
    }
    if (matches++ == 0) {
      common = name;
    }
    const auto differ = std::mismatch(common.begin(), common.end(), name.begin(), name.end());
    common = common.substr(0, static_cast<std::size_t>(differ.first - common.begin()));
  }
  if (matches == 0) {
    bell();
  } else if (matches == 1) {
    // One insertion, so that a line without room for both is left alone. Names are short.
    std::array<char, 64> rest{};
    const std::string_view tail = common.substr(prefix.size());
    const std::size_t size = tail.copy(rest.data(), rest.size() - 1);
    rest[size] = ' ';
    insert({rest.data(), size + 1});
  } else if (common.size() > prefix.size()) {
    insert(common.substr(prefix.size()));
  } else {
    list_matches(prefix);
  }
}

void LineEditor::list_matches(std::string_view prefix) {
  output_.write("\n");
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_.name(i).starts_with(prefix)) {
      output_.write(names_.name(i));
      output_.write("  ");
    }
  }
  output_.write("\n");
  redraw();
}

}  // namespace guest::shell
