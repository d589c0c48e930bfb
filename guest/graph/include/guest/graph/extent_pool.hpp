// Memory in pieces of any size, in bounded time: two-level segregated fit, with its books outside of the memory.
//
//   memory   [ used | free        | used | used | free ... ]     in units of 64 bytes
//   books      ^ a record for each piece, linked to its neighbours in memory and, if it is free, into the list of its
//              size class
//
// A size class is a power of two and one of eight steps above it; two levels of bitmaps find the first class that has a
// piece which is large enough. Allocation splits that piece, freeing joins it with its free neighbours: no loop, and no
// two free pieces are ever neighbours. So there are never more than 2n + 1 pieces where n are in use, and as nothing of
// the books lies in the memory, an operator that writes beyond its tensor damages data but not the allocator.
//
// M. Masmano, I. Ripoll, A. Crespo, J. Real: TLSF: a new dynamic memory allocator for real-time systems, ECRTS 2004.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace guest::graph {

/// Not thread safe: the owner's lock.
class ExtentPool {
 public:
  static constexpr std::uint32_t kUnitBytes = 64;
  /// 128 GiB less a unit.
  static constexpr std::uint64_t kMaxUnits = (std::uint64_t{1} << 31) - 1;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// A piece: what it is in the memory, and its places in the lists. Indices of records, or kNone.
  struct Record {
    std::uint32_t first_unit;
    std::uint32_t units;
    std::uint32_t before;  ///< in memory
    std::uint32_t after;
    std::uint32_t previous;  ///< in the list of its class; the list of unused records uses `next` only
    std::uint32_t next;
    bool free;
  };
  /// Records that `extents` pieces in use need.
  static constexpr std::uint64_t records_for(std::uint64_t extents) { return 2 * extents + 1; }

  struct Extent {
    std::uint32_t record;  ///< what release() wants
    std::uint64_t first_unit;
  };

  constexpr ExtentPool() = default;
  ExtentPool(const ExtentPool&) = delete;
  ExtentPool& operator=(const ExtentPool&) = delete;

  /// Manages `units`, 1 to kMaxUnits. `records` (the caller's; outlives the pool) limits how many pieces there are.
  void start(std::uint64_t units, std::span<Record> records);
  /// `units` (at least 1) that belong together; nothing: no piece is so large, or those that are are less than an
  /// eighth larger and were not looked at (of the class that also has smaller ones, only the first piece is).
  [[nodiscard]] std::optional<Extent> allocate(std::uint64_t units);
  /// Gives back what allocate() returned.
  void release(std::uint32_t record);

  [[nodiscard]] std::uint64_t free_units() const { return free_units_; }
  /// Free pieces: walks the lists. For tests.
  [[nodiscard]] std::uint32_t free_pieces() const;

 private:
  static constexpr unsigned kStepBits = 3;
  static constexpr std::uint32_t kSteps = 1U << kStepBits;
  static constexpr std::uint32_t kLevels = 31 - kStepBits + 1;
  struct Class {
    std::uint32_t level;
    std::uint32_t step;
  };
  static Class class_of(std::uint64_t units);
  static std::uint64_t round_up_to_class(std::uint64_t units);

  [[nodiscard]] std::optional<Class> first_from(Class least) const;
  [[nodiscard]] std::uint32_t find(std::uint64_t units) const;
  void insert_free(std::uint32_t index);
  void remove_free(std::uint32_t index);
  void split(std::uint32_t index, std::uint32_t units);
  std::uint32_t join(std::uint32_t first, std::uint32_t second);
  std::uint32_t take_record();
  void give_record(std::uint32_t index);

  std::span<Record> records_;
  std::uint32_t unused_records_ = kNone;
  std::uint64_t free_units_ = 0;
  std::uint32_t levels_ = 0;          ///< bit n: steps_[n] is not 0
  std::uint8_t steps_[kLevels] = {};  ///< bit n: lists_[level][n] is not empty
  std::uint32_t lists_[kLevels][kSteps] = {};
};

}  // namespace guest::graph
