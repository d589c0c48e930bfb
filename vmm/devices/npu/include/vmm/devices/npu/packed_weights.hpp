// Copies of weights as the kernels want them (npu::Packing), made once for weights that do not change.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>

#include "npu/kernels/kernels.hpp"

namespace vmm::npu {

/// One of them. Whoever holds it may use it, even when its region is gone.
class PackedWeights {
 public:
  /// @param bytes of the copy; added to `total` as long as it is there
  PackedWeights(std::uint64_t bytes, std::shared_ptr<std::uint64_t> total);
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  [[nodiscard]] std::byte* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};  // what npu::Packing asks for
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, kAlignment); }
  };
  std::unique_ptr<std::byte[], Free> data_;
  std::uint64_t bytes_;
  std::shared_ptr<std::uint64_t> total_;
};

/// How much may be copied. A driver decides how often regions are registered, so it must not cost us more than this.
struct PackingLimits {
  std::uint64_t least = 4096;  ///< bytes of a copy: nothing is won below, and it bounds how many there are
  /// Of a copy. The output of a model of 32,000 tokens has 25 MiB.
  std::uint64_t most = 32ULL << 20;
  /// That are made before others of the loop get their turn; of one that is larger, that one alone.
  std::uint64_t per_turn = 8ULL << 20;
  std::uint64_t total = 128ULL << 20;  ///< of all copies, with those that only jobs in flight still hold
};

/// The copies of all regions. Thread: the device's, on which jobs end their lives, too.
class PackedStore {
 public:
  explicit PackedStore(const PackingLimits& limits = {}) : limits_(limits) {}

  /// Where weights lie, their type and their shape: what a copy depends on. A driver may name the same bytes as weights
  /// of several types, whose copies differ in length.
  struct Key {
    std::uint32_t region;  ///< handle
    std::uint64_t offset;
    std::uint64_t rows;
    std::uint64_t row_bytes;
    abi::npu::Type type;
    std::strong_ordering operator<=>(const Key&) const = default;
  };

  /// The copy of the command's weights; made if it is not there, fits the limits, and has no more bytes than `budget`,
  /// which they are taken from. One that has more is made if nothing else of the turn was, which ends the budget.
  /// @return null: the weights are used where they lie
  std::shared_ptr<const PackedWeights> find_or_make(const Key& key, const ::npu::Checked& command,
                                                    const ::npu::Packing& packing, std::uint64_t& budget);
  /// Forgets the copies of a region.
  void drop(std::uint32_t region);
  void clear() { copies_.clear(); }

  [[nodiscard]] const PackingLimits& limits() const { return limits_; }
  /// Of all copies that are there.
  [[nodiscard]] std::uint64_t bytes() const { return *total_; }

 private:
  PackingLimits limits_;
  std::map<Key, std::shared_ptr<const PackedWeights>> copies_;
  std::shared_ptr<std::uint64_t> total_ = std::make_shared<std::uint64_t>(0);
};

}  // namespace vmm::npu
