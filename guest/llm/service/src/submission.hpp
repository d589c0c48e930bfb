// A request on its way in: what can be prepared of it without the service's lock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "guest/llm/service/service.hpp"
#include "state.hpp"

namespace guest::llm {

struct Service::Submission {
  const Caller& caller;
  const RequestOptions& options;
  LoadedModel* model = nullptr;  ///< that it is a user of
  std::uint32_t prompt_bytes = 0;
  std::array<std::uint8_t, 32> prompt_sha256{};
  std::unique_ptr<Token[]> prompt;  ///< with room for one more
  std::uint32_t prompt_tokens = 0;
  StopWords stop_words;
  std::unique_ptr<Constraint> constraint;
  ChunkRing chunks;

  [[nodiscard]] bool wants_session() const { return options.session != 0 || options.keep == KeepSession::New; }
};

}  // namespace guest::llm
