// A request on its way in: what can be prepared of it without the service's lock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "guest/llm/service/service.hpp"
#include "prompt_text.hpp"
#include "state.hpp"

namespace guest::llm {

struct Service::Submission {
  const Caller& caller;
  const RequestOptions& options;
  LoadedModel* model = nullptr;  ///< that it is a user of
  std::uint32_t prompt_bytes = 0;
  std::array<std::uint8_t, 32> prompt_sha256{};
  ReadPrompt read;  ///< or, if it is for the worker to read:
  std::unique_ptr<KeptPromptText> unread;
  StopWords stop_words;
  ChunkRing chunks;

  [[nodiscard]] bool wants_session() const { return options.session != 0 || options.keep == KeepSession::New; }
};

}  // namespace guest::llm
