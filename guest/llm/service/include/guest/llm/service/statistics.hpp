// What the LLM service has done since it began (docs/llm.md, Metrics).
#pragma once

#include <cstdint>

#include "guest/kernel/histogram.hpp"

namespace guest::llm {

/// Of one moment.
struct StatisticsSnapshot {
  std::uint64_t requests = 0;       ///< that were taken
  std::uint64_t rejects = 0;        ///< llm_rejects
  std::uint64_t prompt_tokens = 0;  ///< that went through a model
  std::uint64_t tokens_out = 0;     ///< llm_tokens_out
  std::uint64_t stream_chunks = 0;  ///< llm_stream_chunks
  std::uint64_t finished = 0;       ///< for whatever reason
  std::uint64_t cancelled = 0;
  std::uint64_t failed = 0;
  std::uint64_t deadline_misses = 0;  ///< llm_deadline_miss_count
  std::uint64_t evicted_results = 0;
  std::uint64_t evicted_sessions = 0;
  std::uint64_t steps = 0;  ///< jobs of the NPU
  std::uint64_t cycles = 0;
  std::uint32_t queue_depth = 0;      ///< now
  std::uint32_t queue_depth_max = 0;  ///< llm_queue_depth_max
  std::uint32_t running = 0;          ///< now
  std::uint32_t kept = 0;             ///< finished, neither released nor evicted
  std::uint32_t sessions = 0;         ///< now
  std::uint64_t session_bytes = 0;
};

/// In nanoseconds.
struct Timings {
  kernel::Histogram infer;        ///< llm_infer_us: from the submission to the end
  kernel::Histogram first_token;  ///< from the submission on
  kernel::Histogram gap;          ///< between two tokens of a request
  kernel::Histogram step;         ///< a step of a model
};

}  // namespace guest::llm
