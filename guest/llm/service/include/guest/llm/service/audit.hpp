// What the LLM service tells an audit log (docs/llm.md, Audit). Never a prompt's text, nor an answer's.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "guest/llm/service/request.hpp"

namespace guest::llm {

enum class AuditOperation : std::uint8_t { Load, Unload, Submit, Refuse, Cancel, End, Close };
/// "load", "unload", "submit", "refuse", "cancel", "end", "close".
std::string_view to_string(AuditOperation operation);

struct AuditEntry {
  static constexpr std::uint8_t kOk = 1;
  static constexpr std::uint8_t kReject = 2;
  static constexpr std::uint8_t kDeadlineMiss = 4;

  AuditOperation operation = AuditOperation::Submit;
  Caller caller;
  RequestId request = 0;        ///< 0: of none
  std::string_view model = {};  ///< as long as the call
  std::uint32_t prompt_bytes = 0;
  std::array<std::uint8_t, 32> prompt_sha256{};  ///< where there is a prompt
  std::uint32_t tokens = 0;                      ///< asked for, or of an end: that came out
  /// "ok", the name of the refusal, or of an end: why it stopped, of one that failed the error's name. Static storage.
  std::string_view decision = {};
  std::uint8_t status = 0;  ///< kOk, kReject, kDeadlineMiss
  std::uint64_t at_ns = 0;  ///< when
  // Of a request; 0: not yet.
  std::uint64_t submitted_ns = 0;
  std::uint64_t began_ns = 0;
  std::uint64_t ended_ns = 0;
  std::uint64_t fits_at_ns = 0;  ///< of a refusal
};

class Audit {
 public:
  /// In the thread that did it, with the service's lock held: copies, and does not call the service.
  virtual void record(const AuditEntry& entry) = 0;

 protected:
  ~Audit() = default;
};

}  // namespace guest::llm
