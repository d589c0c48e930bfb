#include "llm_generate.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "guest/graph/operators/services.hpp"
#include "guest/graph/schema.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/llm/service/owner.hpp"
#include "guest/llm/service/service.hpp"

namespace guest::graph {
namespace {

/// As many chunks as a tensor has tokens of at most.
constexpr std::size_t kBatch = 16;
/// How often it looks again whether the service takes a request, where nobody knows when, and whether it shall stop.
constexpr std::uint64_t kLookNs = 10'000'000;

std::uint64_t now_ns() { return threads::dispatcher().timers().clock().now_ns(); }

/// Such as pass: others will not be taken later either.
bool passes(const llm::Refusal& refusal) {
  return refusal.fits_at_ns != 0 || refusal.error.name == "llm-queue-full" ||
         refusal.error.name == "llm-too-many-requests";
}

/// An owner for each: their requests are counted, and closed, apart.
llm::OwnerId next_owner() {
  static std::atomic<std::uint32_t> last{0};
  return llm::owner_id(llm::OwnerKind::Graph, last.fetch_add(1, std::memory_order_relaxed) + 1);
}

/// A request for each text, one after the other. The thread that fires it waits for the model.
class LlmGenerate final : public OperatorCode {
 public:
  LlmGenerate(llm::Service& service, std::uint32_t client_class, const Parameters& parameters)
      : service_(service),
        caller_{.owner = next_owner(), .client_class = client_class},
        waits_(parameters.text("refused") == "wait"),
        seed_(static_cast<std::uint64_t>(parameters.integer("seed"))) {
    model_.write(parameters.text("model"));
    stop_.write(parameters.has("stop") ? parameters.text("stop") : "");
    pattern_.write(parameters.has("pattern") ? parameters.text("pattern") : "");
    options_.model = model_.view();
    options_.max_tokens = static_cast<std::uint32_t>(parameters.integer("max_tokens"));
    options_.priority = static_cast<std::uint8_t>(parameters.integer("priority"));
    options_.sampler.rules.temperature_milli = static_cast<std::uint32_t>(parameters.integer("temperature_milli"));
    options_.pattern = pattern_.view();
    if (!stop_.view().empty()) {
      kernel::require(options_.stop_words.push_back(stop_.view()), "no room for a stop word");
    }
  }
  ~LlmGenerate() override { service_.close(caller_); }

  void begin(std::uint64_t /*now_ns*/) override {
    stop();
    stops_.store(false);
    answers_ = 0;
  }

  /// Either this sees the request that fire() is about to make, or fire() sees that it is to stop: both in the order of
  /// sequential consistency.
  void stop() override {
    stops_.store(true);
    forget();
  }

  kernel::Outcome fire(Firing& firing) override {
    if (request_.load() == 0) {
      if (const kernel::Outcome asked = ask(firing.input(0)); !asked || request_.load() == 0) {
        return asked;
      }
    }
    std::array<llm::Chunk, kBatch> chunks;
    const auto count = next_chunks(chunks);
    if (stops_.load()) {
      return {};  // what the service says of a request that is gone does not matter
    }
    if (!count) {
      return std::unexpected(count.error());
    }
    if (*count == 0) {
      return end_answer(firing);
    }
    firing.go_on();
    return send(firing, std::span(chunks).first(*count));
  }

 private:
  /// Submits a text; without an error and without a request it was told to stop.
  kernel::Outcome ask(const TensorRef& text) {
    if (text.info().dtype != DType::U8) {
      return bad_input(0, "text in u8", text.info());
    }
    // Bytes are bytes.
    const std::string_view prompt(reinterpret_cast<const char*>(text.data().data()), text.data().size());
    options_.sampler.seed = seed_ + answers_;
    while (!stops_.load()) {
      const auto taken = service_.submit(caller_, prompt, options_);
      if (taken) {
        ++answers_;
        next_ = 0;
        request_.store(*taken);
        if (stops_.load()) {
          forget();
        }
        return {};
      }
      if (!waits_ || !passes(taken.error())) {
        return std::unexpected(taken.error().error);
      }
      const std::uint64_t now = now_ns();
      const std::uint64_t until = taken.error().fits_at_ns;
      threads::sleep_for(until > now ? std::min(until - now, kLookNs) : kLookNs);
    }
    return {};
  }

  /// Waits for some. None: the answer has ended.
  std::expected<std::size_t, kernel::NamedError> next_chunks(std::span<llm::Chunk> into) {
    const llm::RequestId id = request_.load();
    if (const auto waited = service_.wait(caller_.owner, id, next_); !waited) {
      return std::unexpected(waited.error());
    }
    const auto count = service_.read(caller_.owner, id, next_, into);
    if (count) {
      next_ += *count;
    }
    return count;
  }

  kernel::Outcome send(Firing& firing, std::span<const llm::Chunk> chunks) {
    std::array<llm::Token, kBatch> tokens;
    std::array<char, kBatch * llm::Chunk::kTextBytes> text;
    std::uint32_t token_count = 0;
    std::uint32_t text_bytes = 0;
    for (const llm::Chunk& chunk : chunks) {
      if (chunk.token != llm::Chunk::kNoToken) {
        tokens[token_count++] = chunk.token;
      }
      std::ranges::copy(chunk.text(), text.begin() + text_bytes);
      text_bytes += static_cast<std::uint32_t>(chunk.text().size());
    }
    kernel::Outcome sent;
    if (token_count > 0) {
      sent = send(firing, 0, DType::U32, token_count, std::as_bytes(std::span(tokens).first(token_count)));
    }
    if (sent && text_bytes > 0 && firing.outputs() > 1) {
      sent = send(firing, 1, DType::U8, text_bytes, std::as_bytes(std::span(text).first(text_bytes)));
    }
    return sent;
  }

  static kernel::Outcome send(Firing& firing, std::size_t port, DType dtype, std::uint32_t elements,
                              std::span<const std::byte> bytes) {
    auto made = firing.allocate(dtype, {.rank = 1, .dims = {elements}});
    if (!made) {
      return std::unexpected(made.error());
    }
    if (!bytes.empty()) {
      std::memcpy(made->writable().data(), bytes.data(), bytes.size());
    }
    const TensorInfo& info = made->info();
    if (info.schema == kUntyped) {
      made->stamp(port == 0 ? kSchemaTokens : kSchemaText, info.origin, info.sequence, info.timestamp_ns);
    }
    firing.send(port, *std::move(made));
    return {};
  }

  /// An empty tensor to each output; or why there is no answer.
  kernel::Outcome end_answer(Firing& firing) {
    const auto status = service_.poll(caller_.owner, request_.load());
    forget();
    if (stops_.load()) {
      return {};
    }
    if (status && has_error(status->stop)) {
      return std::unexpected(status->error);
    }
    kernel::Outcome sent = send(firing, 0, DType::U32, 0, {});
    if (sent && firing.outputs() > 1) {
      sent = send(firing, 1, DType::U8, 0, {});
    }
    return sent;
  }

  /// The request, if there is one, is cancelled and released. From either thread.
  void forget() {
    if (const llm::RequestId id = request_.exchange(0); id != 0) {
      // An error: it is gone.
      static_cast<void>(service_.release(caller_, id));
    }
  }

  llm::Service& service_;
  const llm::Caller caller_;
  const bool waits_;
  const std::uint64_t seed_;
  kernel::FixedText<llm::kMaxModelId> model_;
  kernel::FixedText<ParameterSpec::kMaxText> stop_;
  kernel::FixedText<ParameterSpec::kMaxText> pattern_;
  llm::RequestOptions options_;
  std::uint64_t answers_ = 0;  ///< begun in this run
  std::uint64_t next_ = 0;     ///< chunk
  std::atomic<llm::RequestId> request_{0};
  std::atomic<bool> stops_{false};
};

}  // namespace

MadeOperator make_llm_generate(const Parameters& parameters) {
  const OperatorServices& services = operator_services();
  if (services.llm == nullptr) {
    return kernel::fail("graph-unavailable", "this kernel has no service for language models");
  }
  return make_code<LlmGenerate>(*services.llm, services.llm_class, parameters);
}

}  // namespace guest::graph
