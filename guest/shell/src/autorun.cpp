#include "guest/shell/autorun.hpp"

#include "guest/kernel/format.hpp"

namespace guest::shell {

Autorun::Autorun(control::Services& services, kernel::TextOutput& console, std::string_view lines, Client& client)
    : services_(services),
      console_(console),
      client_(client),
      rest_(lines),
      memory_(new ResultMemory),
      run_(services, *memory_, *this) {}

/// One line in each turn: work that a line has raised has its turn before the next one.
void Autorun::run_next() {
  if (rest_.empty()) {
    return client_.on_lines_done();
  }
  line_ = rest_.substr(0, rest_.find('\0'));
  rest_.remove_prefix(line_.size() + 1);
  ++number_;
  console_.write("autorun> ");
  control::write_visible(console_, line_);
  console_.write("\n");
  const auto ended = run_.start(line_, {.rights = abi::control::Rights::All}, console_);
  if (!ended) {
    kernel::format_to(console_, "column {}: {}\n", ended.error().offset + 1, ended.error().what);
    return client_.on_line_failed(number_, line_);
  }
  if (*ended && end_line()) {
    services_.work.raise(turn_);
  }
}

void Autorun::on_finished(LineRun&) {
  if (end_line()) {
    services_.work.raise(turn_);
  }
}

bool Autorun::end_line() {
  if (run_.status() != 0) {
    client_.on_line_failed(number_, line_);
    return false;
  }
  services_.carry_out_power_request();
  return true;
}

}  // namespace guest::shell
