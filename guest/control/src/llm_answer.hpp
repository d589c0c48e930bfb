// The answer to a request to the LLM service, on its way to who waits for it.
//
//   worker: chunks --changed--> turn, from the loop --> Service::read() --> text --> event, if it is streamed
//                                                                            |
//                                                     the request has ended -+--> Caller::complete()
#pragma once

#include <array>
#include <cstdint>

#include "guest/control/buffer.hpp"
#include "llm_common.hpp"
#include "utf8_stream.hpp"

namespace guest::control {

/// Owns itself. When its caller goes away, the request is cancelled and forgotten; when it has answered, the service
/// keeps the request until it needs the place. In the loop's thread.
class LlmAnswer final : public Operation, private LlmWaiter {
 public:
  enum class How : std::uint8_t {
    Whole,     ///< all of the text in the answer
    Streamed,  ///< pieces of text as events, and the rest in the answer
  };
  /// Text of one answer. What is longer is answered when it is reached, and goes on with `llmpoll`.
  static constexpr std::size_t kMaxText = 32'768;

  LlmAnswer(Services& services, const llm::Caller& owner, llm::RequestId id, How how)
      : services_(services), owner_(owner), id_(id), how_(how) {}
  void start(Caller& caller);
  void cancel() override;
  void on_room() override { wake(); }

 private:
  static constexpr std::size_t kChunksPerTurn = 16;
  static constexpr std::size_t kPieceBytes = (kChunksPerTurn * llm::Chunk::kTextBytes + 4) * Utf8Stream::kMaxGrowth;

  void llm_changed() override { wake(); }
  void wake() { services_.work.raise(turn_); }
  void turn();
  void take(std::span<const llm::Chunk> chunks);
  [[nodiscard]] bool send(std::span<const llm::Chunk> chunks);
  void end(const llm::RequestStatus& status);
  void answer(const llm::RequestStatus& status);
  Caller* detach();

  Services& services_;
  const llm::Caller owner_;
  const llm::RequestId id_;
  const How how_;
  Caller* caller_ = nullptr;  ///< null: it has ended, and frees itself in its next turn
  std::uint64_t next_ = 0;    ///< chunk
  Utf8Stream utf8_;
  Buffer text_;
  bool no_memory_ = false;
  std::array<std::byte, kPieceBytes + 1024> event_{};
  kernel::WorkItem turn_{[](void* self) { static_cast<LlmAnswer*>(self)->turn(); }, this};
};

}  // namespace guest::control
