#include "llm_answer.hpp"

#include <memory>
#include <new>
#include <utility>

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Of an answer, beside its text.
constexpr std::size_t kAnswerBytes = 2048;

/// Text at the end of a buffer.
class BufferText final : public kernel::TextOutput {
 public:
  BufferText(Buffer& buffer, bool& failed) : buffer_(buffer), failed_(failed) {}
  void write(std::string_view text) override {
    if (!buffer_.append(std::as_bytes(std::span(text)))) {
      failed_ = true;
    }
  }

 private:
  Buffer& buffer_;
  bool& failed_;
};

std::string_view text_of(const Buffer& buffer) {
  // Bytes that were text.
  return {reinterpret_cast<const char*>(buffer.bytes().data()), buffer.size()};
}

}  // namespace

void LlmAnswer::start(Caller& caller) {
  caller_ = &caller;
  caller.defer(*this);
  services_.llm->waiters.add(*this);
  wake();
}

void LlmAnswer::cancel() {
  static_cast<void>(services_.llm->service.release(owner_, id_));  // it may have been released otherwise
  (void)detach();
}

/// Nobody wakes it any more, but for this once: whether the item was raised already or is now, it runs, and frees this.
Caller* LlmAnswer::detach() {
  services_.llm->waiters.remove(*this);
  services_.work.raise(turn_);
  return std::exchange(caller_, nullptr);
}

void LlmAnswer::turn() {
  if (caller_ == nullptr) {
    delete this;
    return;
  }
  llm::Service& service = services_.llm->service;
  if (how_ == How::Streamed && !caller_->has_room()) {
    return;  // on_room() follows
  }
  llm::Chunk chunks[kChunksPerTurn];
  const auto count = service.read(owner_.owner, id_, next_, chunks);
  if (!count) {
    return detach()->fail(refuse_llm(count.error()).error());
  }
  take(std::span(chunks).first(*count));
  if (caller_ == nullptr) {
    return;
  }
  // After read(): nothing comes behind an end.
  auto status = service.poll(owner_.owner, id_);
  if (!status) {
    return detach()->fail(refuse_llm(status.error()).error());
  }
  const bool full = text_.size() >= kMaxText && utf8_.whole();
  if (full || (status->finished && next_ == status->chunks)) {
    // That the last chunks have been read, too.
    static_cast<void>(service.read(owner_.owner, id_, next_, {}));
    status->drained = next_ == status->chunks;
    end(*status);
  } else if (*count != 0) {
    wake();  // others have their turn in between
  }
}

void LlmAnswer::take(std::span<const llm::Chunk> chunks) {
  if (chunks.empty()) {
    return;
  }
  BufferText text(text_, no_memory_);
  for (const llm::Chunk& chunk : chunks) {
    utf8_.add(chunk.text(), text);
  }
  const bool sent = how_ == How::Whole || send(chunks);
  if (no_memory_ || !sent) {
    static_cast<void>(services_.llm->service.release(owner_, id_));
    detach()->fail(refuse(error::kBusy, "", "no memory for what request {} says", id_).error());
    return;
  }
  next_ += chunks.size();
}

/// False: there is no memory.
bool LlmAnswer::send(std::span<const llm::Chunk> chunks) {
  CborWriter writer(event_);
  ResultMap event(writer);
  event.add("id", id_);
  event.add("from", next_);
  event.add("text", text_of(text_));
  CborWriter& tokens = event.key_for("tokens");
  const std::size_t list = tokens.begin_array();
  std::size_t count = 0;
  for (const llm::Chunk& chunk : chunks) {
    if (chunk.token != llm::Chunk::kNoToken) {
      tokens.number(chunk.token);
      ++count;
    }
  }
  tokens.end(list, count);
  event.finish();
  kernel::require(!writer.overflowed(), "pieces of an answer are longer than their event");
  text_.consume(text_.size());
  return caller_->emit(writer.written());
}

void LlmAnswer::end(const llm::RequestStatus& status) {
  if (status.stop == llm::StopReason::Refused) {  // for who waits as if it had not been taken
    static_cast<void>(services_.llm->service.release(owner_, id_));
    return detach()->fail(refuse_llm(status.error).error());
  }
  if (status.finished) {
    BufferText text(text_, no_memory_);
    utf8_.finish(text);
  }
  answer(status);
}

void LlmAnswer::answer(const llm::RequestStatus& status) {
  const std::size_t size = text_.size() + kAnswerBytes;
  const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[size]);
  if (memory == nullptr || no_memory_) {
    return detach()->fail(refuse(error::kBusy, "", "no memory for what request {} says", id_).error());
  }
  CborWriter writer({memory.get(), size});
  ResultMap result(writer);
  // Of a stream: what was left of a character.
  if (how_ == How::Whole || !text_.empty()) {
    result.add("text", text_of(text_));
  }
  add_request(result, status);
  if (!status.finished) {
    result.add("next", next_);
  }
  result.finish();
  detach()->complete(writer.written());
}

}  // namespace guest::control
