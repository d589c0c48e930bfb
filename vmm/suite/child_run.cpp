#include "vmm/suite/child_run.hpp"

#include <array>
#include <csignal>
#include <utility>

namespace vmm::suite {
namespace {

/// A thousand steps with replies of 64 KiB.
constexpr std::size_t kMaxSummaryBytes = std::size_t{80} * 1024 * 1024;
constexpr std::size_t kMaxMessageBytes = 4096;
constexpr std::string_view kProgramPrefix = "sisvmm: ";

/// From its beginning, as far as `max_bytes`.
std::string contents(std::FILE* file, std::size_t max_bytes) {
  std::string text;
  std::array<char, 16384> piece;
  std::rewind(file);
  while (text.size() < max_bytes) {
    const std::size_t got = std::fread(piece.data(), 1, piece.size(), file);
    if (got == 0) break;
    text.append(piece.data(), got);
  }
  return text;
}

/// What a process without a summary has said, line by line.
std::string message_in(const std::string& errors) {
  std::string message;
  for (std::size_t at = 0; at < errors.size() && message.size() < kMaxMessageBytes;) {
    const std::size_t end = std::min(errors.find('\n', at), errors.size());
    std::string line = observe::printable(std::string_view(errors).substr(at, end - at));
    if (line.starts_with(kProgramPrefix)) line.erase(0, kProgramPrefix.size());
    if (!line.empty()) message += (message.empty() ? "" : "\n") + line;
    at = end + 1;
  }
  return message;
}

}  // namespace

Result<std::unique_ptr<ChildRun>> ChildRun::start(EventLoop& loop, const std::vector<std::string>& arguments,
                                                  std::function<void(ChildResult)> on_end) {
  TemporaryFile output(std::tmpfile());
  TemporaryFile errors(std::tmpfile());
  if (!output || !errors) return fail_errno("cannot make a temporary file");
  auto process = Subprocess::spawn({.arguments = arguments,
                                    .standard_output = ::fileno(output.get()),
                                    .standard_error = ::fileno(errors.get()),
                                    .inherited = {}});
  if (!process) return std::unexpected(std::move(process.error()));
  return std::unique_ptr<ChildRun>(
      new ChildRun(loop, std::move(*process), std::move(output), std::move(errors), std::move(on_end)));
}

ChildRun::ChildRun(EventLoop& loop, Subprocess process, TemporaryFile output, TemporaryFile errors,
                   std::function<void(ChildResult)> on_end)
    : loop_(loop),
      process_(std::move(process)),
      output_(std::move(output)),
      errors_(std::move(errors)),
      on_end_(std::move(on_end)) {
  loop_.add(process_.exit_fd(), Interest::Read, [this](Events) { on_exit(); });
}

ChildRun::~ChildRun() {
  if (!ended_) loop_.remove(process_.exit_fd());
}

void ChildRun::interrupt() {
  if (ended_) return;
  if (++interrupts_ > 2) {
    process_.kill();
  } else {
    ::kill(process_.pid(), SIGINT);  // not reaped yet, so the number is still its own
  }
}

void ChildRun::on_exit() {
  ended_ = true;
  loop_.remove(process_.exit_fd());
  const ExitStatus status = process_.wait();
  ChildResult result{.exit_code = status.code,
                     .summary = std::nullopt,
                     .message = "",
                     .duration = std::chrono::steady_clock::now() - started_};
  auto summary = observe::read_summary(contents(output_.get(), kMaxSummaryBytes));
  if (status.signal != 0) {
    result.exit_code = static_cast<int>(abi::ExitCode::Internal);
    result.message = "the process of the run " + status.describe();
  } else if (summary) {
    result.message = summary->message;
    result.summary = std::move(*summary);
  } else {
    result.message = message_in(contents(errors_.get(), kMaxMessageBytes));
    if (status.code == 0) {
      // Our own program says that all is well, and does not say what: not to be taken for a success.
      result.exit_code = static_cast<int>(abi::ExitCode::Internal);
      result.message = summary.error().message;
    }
  }
  std::exchange(on_end_, {})(std::move(result));
}

}  // namespace vmm::suite
