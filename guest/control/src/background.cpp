#include "background.hpp"

#include <new>

#include "guest/kernel/cpu.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

constexpr std::size_t kAnswerBytes = std::size_t{32} * 1024;

}  // namespace

std::expected<Handled, Refusal> Background::start(std::unique_ptr<Background> work, std::string_view thread_name,
                                                  Caller& caller) {
  if (work == nullptr) {
    return refuse(error::kBusy, "", "no memory or no thread for '{}'", thread_name);
  }
  work->caller_ = &caller;
  auto thread = threads::spawn(
      {.name = thread_name, .cpu = kernel::cpu_index(), .gone = &work->gone_},
      [](void* self) { static_cast<Background*>(self)->run(); }, work.get());
  if (!thread) {
    return refuse(error::kBusy, "", "no memory or no thread for '{}'", thread_name);
  }
  // The loop is here: finish() comes after this.
  work->thread_ = std::move(*thread);
  caller.defer(*work.release());
  return Handled::Later;
}

void Background::cancel() {
  caller_ = nullptr;
  cancelled_.store(true, std::memory_order_relaxed);
  if (on_cancel_ == OnCancel::StopThread) {
    thread_->request_stop();
  }
}

void Background::run() {
  done_ = work();
  if (done_ && !cancelled()) {
    done_ = encode();
  }
  clean_up();
}

Background::Done Background::encode() {
  answer_.reset(new (std::nothrow) std::byte[kAnswerBytes]);
  if (answer_ == nullptr) {
    return refuse(error::kBusy, "", "no memory for the answer");
  }
  CborWriter writer({answer_.get(), kAnswerBytes});
  ResultMap result(writer);
  answer(result);
  result.finish();
  if (writer.overflowed()) {
    return refuse(error::kTooLarge, "", "the answer is longer than {} bytes", kAnswerBytes);
  }
  answer_bytes_ = writer.written().size();
  return {};
}

void Background::finish() {
  const std::unique_ptr<Background> self(this);
  if (caller_ == nullptr) {
    return;
  }
  if (!done_) {
    return caller_->fail(done_.error());
  }
  caller_->complete({answer_.get(), answer_bytes_});
}

}  // namespace guest::control
