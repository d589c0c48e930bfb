#include "request_run.hpp"

#include <new>

#include "guest/kernel/format.hpp"

namespace guest::shell {

namespace error = abi::control::error;
using control::Handled;
using control::Refusal;

void CapturedText::write(std::string_view text) {
  if (failed_ || text.size() > kMaxRequestOutput - text_.size() || !text_.append(std::as_bytes(std::span(text)))) {
    failed_ = true;
  }
}

std::string_view CapturedText::view() const {
  // The bytes of a text as text again.
  return {reinterpret_cast<const char*>(text_.bytes().data()), text_.size()};
}

namespace {

void write_result(control::ResultMap& result, std::string_view output, unsigned status) {
  result.add("output", output);
  result.add("status", status);
}

}  // namespace

Refusal RequestRun::refusal() const {
  return control::refuse(error::kTooLarge, "line",
                         "the commands were run, but what they print passes {} bytes: ask for less in one line",
                         kMaxRequestOutput)
      .error();
}

std::expected<Handled, Refusal> RequestRun::run(const Context& context, std::string_view line, control::Caller& caller,
                                                control::ResultMap& result) {
  std::unique_ptr<RequestRun> self(new (std::nothrow) RequestRun(context, caller));
  if (self == nullptr) {
    return control::refuse(error::kBusy, "", "no memory to run a shell line");
  }
  const auto ended = self->run_.start(line, context.who, self->output_);
  if (!ended) {
    return control::refuse(error::kBadArgument, "line", "line: byte {}: {}", ended.error().offset, ended.error().what);
  }
  if (!*ended) {
    caller.defer(*self.release());
    return Handled::Later;
  }
  if (self->output_.failed()) {
    return std::unexpected(self->refusal());
  }
  write_result(result, self->output_.view(), self->run_.status());
  return Handled::Now;
}

void RequestRun::on_finished(LineRun&) {
  const std::unique_ptr<RequestRun> self(this);
  if (output_.failed()) {
    return caller_.fail(refusal());
  }
  control::CborWriter writer(memory_);
  control::ResultMap result(writer);
  write_result(result, output_.view(), run_.status());
  result.finish();
  caller_.complete(writer.written());
}

}  // namespace guest::shell
