// llmpoll, llmcancel, llmrelease: what becomes of a request.
#include <algorithm>
#include <memory>
#include <new>

#include "llm_commands.hpp"
#include "llm_common.hpp"
#include "utf8_stream.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// The request that `id` names, or the newest of whoever asks.
std::expected<llm::RequestId, Refusal> find_id(Llm& llm, const Arguments& arguments, const llm::Caller& owner) {
  const llm::RequestId id = arguments.number("id") != 0 ? arguments.number("id") : llm.service.latest(owner.owner);
  if (id == 0) {
    return refuse("llm-no-request", "id", "no request of yours is there");
  }
  return id;
}

/// What may be said of some chunks: as CBOR's text, whole characters.
class Text final : public kernel::TextOutput {
 public:
  static constexpr std::size_t kBytes = (kMaxPollChunks * llm::Chunk::kTextBytes + 4) * Utf8Stream::kMaxGrowth;
  void write(std::string_view text) override { size_ += text.copy(bytes_ + size_, sizeof(bytes_) - size_); }
  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }

 private:
  char bytes_[kBytes];
  std::size_t size_ = 0;
};

/// Memory of one answer, too much for a stack.
struct Work {
  llm::Chunk chunks[kMaxPollChunks];
  Text text;
};

/// Of the first `count` chunks, how many can be told: a character that has begun in the last ones waits for its end,
/// unless none comes, or as many chunks as were asked for have no more of it (tokens without text do not).
std::size_t tell(Work& work, std::size_t count, bool is_last, std::size_t most) {
  Utf8Stream utf8;
  std::size_t whole = 0;
  for (std::size_t i = 0; i < count; ++i) {
    utf8.add(work.chunks[i].text(), work.text);
    whole = utf8.whole() ? i + 1 : whole;
  }
  if (!is_last && whole != count && (whole != 0 || count != most)) {
    work.text = {};
    utf8 = {};
    for (std::size_t i = 0; i < whole; ++i) {
      utf8.add(work.chunks[i].text(), work.text);
    }
    return whole;
  }
  utf8.finish(work.text);
  return count;
}

void add_chunks(ResultMap& result, const Work& work, std::uint64_t from, std::size_t count) {
  result.add("text", work.text.view());
  result.add("from", from);
  result.add("next", from + count);
  CborWriter& writer = result.key_for("ids");
  const std::size_t list = writer.begin_array();
  std::size_t tokens = 0;
  for (const llm::Chunk& chunk : std::span(work.chunks).first(count)) {
    if (chunk.token != llm::Chunk::kNoToken) {
      writer.number(chunk.token);
      ++tokens;
    }
  }
  writer.end(list, tokens);
}

}  // namespace

HandlerResult handle_llmpoll(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  const llm::Caller owner = llm_caller(services);
  llm::Service& service = (*llm)->service;
  const auto id = find_id(**llm, arguments, owner);
  if (!id) {
    return std::unexpected(id.error());
  }
  const std::unique_ptr<Work> work(new (std::nothrow) Work);
  if (work == nullptr) {
    return refuse(error::kBusy, "", "no memory for an answer");
  }
  // First the state: whatever is read after it belongs to it.
  const auto before = service.poll(owner.owner, *id);
  if (!before) {
    return refuse_llm(before.error());
  }
  const std::uint64_t from = arguments.number("from", before->read);
  const std::size_t most = std::min<std::uint64_t>(arguments.number("max", 64), kMaxPollChunks);
  const auto read = service.read(owner.owner, *id, from, std::span(work->chunks).first(most));
  if (!read) {
    return refuse_llm(read.error());
  }
  const bool last = before->finished && from + *read == before->chunks;
  const std::size_t count = tell(*work, *read, last, most);
  if (!arguments.has("from")) {
    static_cast<void>(service.read(owner.owner, *id, from + count, {}));  // given once
  }
  const auto status = service.poll(owner.owner, *id);
  if (!status) {
    return refuse_llm(status.error());
  }
  add_chunks(result, *work, from, count);
  add_request(result, *status);
  return Handled::Now;
}

namespace {

/// Of a command that does one thing to a request, and answers how it is then.
template <typename Action>
HandlerResult act(Services& services, const Arguments& arguments, ResultMap& result, const Action& action) {
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  const llm::Caller owner = llm_caller(services);
  const auto id = find_id(**llm, arguments, owner);
  if (!id) {
    return std::unexpected(id.error());
  }
  if (const kernel::Outcome done = action((*llm)->service, owner, *id); !done) {
    return refuse_llm(done.error());
  }
  result.add("id", *id);
  return Handled::Now;
}

}  // namespace

HandlerResult handle_llmcancel(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  return act(services, arguments, result, [](llm::Service& service, const llm::Caller& owner, llm::RequestId id) {
    return service.cancel(owner, id);
  });
}

HandlerResult handle_llmrelease(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  return act(services, arguments, result, [](llm::Service& service, const llm::Caller& owner, llm::RequestId id) {
    return service.release(owner, id);
  });
}

}  // namespace guest::control
