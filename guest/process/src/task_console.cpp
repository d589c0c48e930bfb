#include "guest/process/task_console.hpp"

#include <algorithm>

#include "guest/kernel/format.hpp"

namespace guest::process {

void TaskConsole::put(std::string_view text) {
  if (text.size() > kLineBytes - size_) {
    flush();
  }
  std::copy(text.begin(), text.end(), line_ + size_);
  size_ += text.size();
}

void TaskConsole::write(std::string_view bytes) {
  for (const char& byte : bytes) {
    if (byte == '\n') {
      // An empty line is a line too; flush() alone would drop it.
      if (size_ == 0) {
        kernel::Log::Line line(log_);
        line.write(label_);
        line.write(":");
      }
      flush();
    } else if (byte == '\t' || byte == '\\') {
      put({&byte, 1});  // neither drives a terminal
    } else {
      kernel::FixedText<8> text;  // "\x1e" at the longest
      kernel::write_escaped(text, {&byte, 1});
      put(text.view());
    }
  }
}

void TaskConsole::flush() {
  if (size_ == 0) {
    return;
  }
  kernel::Log::Line line(log_);
  line.write(label_);
  line.write(": ");
  line.write({line_, size_});
  size_ = 0;
}

}  // namespace guest::process
