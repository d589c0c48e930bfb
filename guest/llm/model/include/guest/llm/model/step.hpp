// One step of a model: some tokens at the end of a sequence go in, the logits of what comes after the last one come
// out. Each step is one job of the NPU, whatever runs it.
//
//   EmbedRows
//   for each layer:  RmsNorm, Gemm q k v, Rope q k, Attention, Gemm, Add;  RmsNorm, Gemm gate up, SwiGlu, Gemm, Add
//   of the last position:  RmsNorm, Gemm, ArgMax
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "guest/kernel/named_error.hpp"
#include "guest/llm/model/model.hpp"
#include "guest/llm/model/sequence.hpp"
#include "guest/ml/memory.hpp"
#include "guest/npu/job.hpp"
#include "guest/npu/npu.hpp"

namespace guest::llm {

/// Memory and a job for steps of one model, one at a time. In threads.
class Step {
 public:
  static constexpr std::uint32_t kMaxTokens = 512;

  /// @param weights  the handle of a region whose bytes are the model's file, from the first one on
  /// @param tokens   that a step may have, 1 to kMaxTokens
  /// `npu`, `model` and the region outlive it. Errors: ml-no-memory, llm-no-memory, the NPU's.
  static std::expected<std::unique_ptr<Step>, kernel::NamedError> make(npu::Npu& npu, const Model& model,
                                                                       std::uint32_t weights, std::uint32_t tokens);

  /// Appends `tokens` to the sequence, which is of the same model: at least one, at most as many as make() was told.
  /// On an error the sequence is as it was. Errors: the NPU's, and
  ///   llm-bad-token      there is no such token
  ///   llm-context-full   there is no room in the sequence: how much there is
  ///   llm-step-failed    the job ended otherwise than well: its status and reason, and the command
  kernel::Outcome run(Sequence& sequence, std::span<const std::uint32_t> tokens);

  /// Of the last step that went well: f32, one for each token of the vocabulary.
  [[nodiscard]] std::span<const std::byte> logits() const;
  /// The token with the largest one; of equal ones the lowest.
  [[nodiscard]] std::uint32_t best() const;

  /// For its options, and for its end: cycles, times.
  [[nodiscard]] npu::Job& job() { return *job_; }
  /// Of its memory; without that of the model and of sequences.
  [[nodiscard]] std::uint64_t bytes() const { return memory_->bytes().size(); }

 private:
  /// Where something lies in the step's memory.
  struct Places {
    std::uint64_t tokens, positions;  ///< i32 [tokens]
    std::uint64_t stream, normed;     ///< [tokens, embedding]
    std::uint64_t queries, attended;  ///< [tokens, query_elements]
    std::uint64_t keys, values;       ///< [tokens, key_elements], for sequences of f16
    std::uint64_t gate, up;           ///< [tokens, feed_forward]
    std::uint64_t logits, best;       ///< [1, vocabulary]; i32
    std::uint64_t bytes;
  };
  struct Build;
  /// An operand that lies in the sequence.
  struct Cached {
    std::uint32_t command;
    std::uint8_t operand;
    std::uint8_t which;  ///< keys (0) or values (1)
    bool at_end;         ///< behind what the sequence has, else where it begins
  };
  static constexpr std::uint32_t kCachedPerLayer = 6;
  /// What the job's stream was made for. A step of as many tokens differs in where the sequence lies and how long it
  /// is.
  struct Made {
    std::uint32_t tokens = 0;  ///< 0: for nothing
    abi::npu::Type type{};     ///< of the sequence
  };

  Step(npu::Npu& npu, const Model& model, std::uint32_t weights, std::uint32_t tokens)
      : npu_(npu), model_(model), weights_(weights), max_tokens_(tokens) {}
  static Places place(const Shape& shape, std::uint64_t tokens);
  void make_stream(const Sequence& sequence, std::uint32_t tokens);
  kernel::Outcome check(const Sequence& sequence, std::span<const std::uint32_t> tokens) const;

  npu::Npu& npu_;
  const Model& model_;
  std::uint32_t weights_;
  std::uint32_t max_tokens_;
  Places places_{};
  std::unique_ptr<ml::Memory> memory_;
  std::unique_ptr<npu::Job> job_;
  Made made_;
  std::unique_ptr<Cached[]> cached_;             ///< [layers, kCachedPerLayer]
  std::unique_ptr<std::uint32_t[]> attentions_;  ///< [layers]: the command
};

}  // namespace guest::llm
